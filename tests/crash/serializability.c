/* SPDX-License-Identifier: MIT */
/*
 * serializability [READS_AND_ACKS]: what many processes saw and were told,
 * while their daemon was killed again and again, was all of one order.
 *
 * In rounds, so that a long run needs no more memory than a short one: each
 * begins with the state that the history so far demands, and ends with a look
 * at all of it.  How a history is made stands in serial_clients.h, what it
 * must fulfil in serial_check.h.  The first round's history is then made wrong
 * in every way that serial_mangle knows, to show that it would be found.
 */
#include "serial_check.h"
#include "serial_clients.h"
#include "serial_mangle.h"

#include <string.h>

#define WANTED 2000000u
#define WANTED_SANITIZED 100000u
#define ROUND_COMMITS_MIN 500u
#define ROUND_READS_MAX 1050000u /* of all readers */

struct test {
    struct harness harness;
    struct serial_clients clients;
    uint32_t versions[SERIAL_CELLS]; /* that the history so far demands */
    uint64_t total;
    uint64_t random;
    struct serial_result sum;
    unsigned kills, rounds;
    uint64_t began_us;
};

/* So far, in this round; a slow disk must not make a history of reads alone. */
static size_t commits(const struct test *test)
{
    size_t count = 0;

    for (unsigned l = 0; l < SERIAL_WRITERS; l++)
        count += __atomic_load_n(&test->clients.logs[l].commit_count, __ATOMIC_RELAXED);
    return count;
}

static void kill_now_and_then(struct test *test)
{
    while (atomic_load(&test->clients.reading) > 0 || commits(test) < ROUND_COMMITS_MIN) {
        serial_clients_check(&test->clients);
        harness_sleep_us(100000 + harness_random(&test->random) % 300000);
        harness_kill(&test->harness);
        test->kills++;
        harness_sleep_us(harness_random(&test->random) % 10000);
        harness_start(&test->harness, NULL);
    }
}

static void add_up(struct test *test, const struct serial_result *result)
{
    test->sum.reads += result->reads;
    test->sum.snapshots += result->snapshots;
    test->sum.commits += result->commits;
    test->sum.refusals += result->refusals;
    test->sum.unknown += result->unknown;
    test->sum.shared += result->shared;
}

static void check_round(struct test *test, struct serial_history *history)
{
    uint32_t versions[SERIAL_CELLS];
    struct serial_result result = {.versions = versions};

    if (!serial_check(history, &result))
        harness_fail(__FILE__, __LINE__, "serial_check", "round %u: %s: %s", test->rounds,
                     serial_verdict_name(result.verdict), result.text);
    add_up(test, &result);
    if (test->rounds == 1)
        printf("# a checker that can fail: %u of %u wrong histories found\n",
               serial_mangle_all(history), serial_mangle_all(history));
    memcpy(test->versions, versions, sizeof versions);
    test->total = result.total;
}

static void one_round(struct test *test)
{
    struct serial_clients *clients = &test->clients;
    struct serial_log *driver = &clients->logs[SERIAL_DRIVER];
    struct bts_store *store = harness_open(&test->harness);
    struct serial_history history = {.logs = clients->logs,
                                     .log_count = SERIAL_LOGS,
                                     .cell_count = SERIAL_CELLS,
                                     .base = test->versions,
                                     .base_total = test->total};

    test->rounds++;
    driver->snapshot_count = 0;
    driver->read_count = 0;
    serial_clients_look(clients, store);
    history.base_txnid = driver->snapshots[0].txnid;
    bts_store_close(store);
    serial_clients_start(clients);
    kill_now_and_then(test);
    serial_clients_join(clients);
    store = harness_open(&test->harness);
    serial_clients_look(clients, store);
    harness_check_store(store);
    bts_store_close(store);
    check_round(test, &history);
}

static uint64_t checked(const struct test *test)
{
    return test->sum.reads + test->sum.commits + test->sum.refusals;
}

static void tell(const struct test *test)
{
    const struct serial_result *sum = &test->sum;

    printf("# %llu reads in %llu snapshots, %llu acknowledged commits (%llu in company), %llu "
           "refusals, %llu commits of unknown outcome found; %u rounds, %.1f s\n",
           (unsigned long long)sum->reads, (unsigned long long)sum->snapshots,
           (unsigned long long)sum->commits, (unsigned long long)sum->shared,
           (unsigned long long)sum->refusals, (unsigned long long)sum->unknown, test->rounds,
           (double)(harness_now_us() - test->began_us) / 1e6);
    printf("# %llu reads and acks of %u processes, %u daemon kills: strictly serializable\n",
           (unsigned long long)checked(test), SERIAL_DRIVER, test->kills);
}

int main(int argc, char *argv[])
{
    struct test *test = harness_shared(sizeof *test);
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 10)
                               : harness_count(WANTED, WANTED_SANITIZED);
    uint64_t round_reads = wanted < ROUND_READS_MAX ? wanted : ROUND_READS_MAX;
    struct bts_store *store;

    test->random = 20261125;
    test->began_us = harness_now_us();
    harness_init(&test->harness);
    harness_start(&test->harness, NULL);
    store = harness_open(&test->harness);
    serial_cells_create(store);
    bts_store_close(store);
    serial_clients_init(&test->clients, &test->harness, round_reads / SERIAL_READERS);
    while (checked(test) < wanted)
        one_round(test);
    harness_stop(&test->harness);
    tell(test);
    HARNESS_CHECK(test->sum.commits > 0 && test->sum.refusals > 0 && test->sum.shared > 0 &&
                      test->kills > 0,
                  "the histories are too simple");
    return 0;
}
