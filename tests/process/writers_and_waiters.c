/* SPDX-License-Identifier: MIT */
/*
 * What a writer may rely on when its daemon dies, and how others wait for it.
 *
 *  - many commits under way at once, waited for in any order
 *  - the daemon is killed under them: each says committed, unknown or not sent,
 *    never anything else; what was acknowledged is there afterwards; the next
 *    commit finds the new daemon by itself
 *  - while it is down, a commit says so at once, and reading goes on
 *  - another process waits for a commit by its number, without asking anybody
 */
#include "text_store.h"

#include <stdatomic.h>
#include <unistd.h>

#define KILLS 10
#define KILLS_REDUCED 3
#define PAUSE_MAX_US 5000u /* from no pause before the kill to nearly this one, by equal steps */
#define UNDER_WAY 100

static struct harness harness;

/* ---- commits under way ---------------------------------------------------------------------- */

static uint64_t submit_number(struct bts_store *store, struct bts_batch *batch, unsigned number)
{
    struct bts_error error;
    uint64_t ticket;
    char key[32];
    enum bts_status status;

    snprintf(key, sizeof(key), "number/%08u", number);
    bts_batch_clear(batch);
    HARNESS_OK(bts_batch_put(batch, key, strlen(key), key, strlen(key), &error), &error);
    status = bts_commit_submit(store, batch, &ticket, &error);
    HARNESS_CHECK(status == BTS_OK || status == BTS_UNAVAILABLE, "%s: %s",
                  bts_status_name(status), error.text);
    return ticket;
}

static bool number_is_there(struct bts_store *store, unsigned number)
{
    char key[32];

    snprintf(key, sizeof(key), "number/%08u", number);
    return text_has(store, key, key);
}

/* The outcome of a ticket: counted, and whether it was acknowledged. */
static bool wait_for_ticket(struct bts_store *store, uint64_t ticket, unsigned counts[3])
{
    struct bts_error error;
    uint64_t txnid;
    enum bts_status status = ticket == 0
                                 ? BTS_UNAVAILABLE
                                 : bts_commit_wait(store, ticket, 10000, &txnid, &error);

    HARNESS_CHECK(status == BTS_OK || status == BTS_UNKNOWN || status == BTS_UNAVAILABLE,
                  "%s: %s", bts_status_name(status), error.text);
    counts[status == BTS_OK ? 0 : status == BTS_UNKNOWN ? 1 : 2]++;
    return status == BTS_OK;
}

/*
 * Submits, has the daemon killed in the middle, and accounts for every ticket.
 * The last round waits for its first commit before, so that one is acknowledged
 * however slow the machine is.
 */
static void kill_under_commits(struct bts_store *store, unsigned round, unsigned rounds,
                               unsigned counts[3])
{
    uint64_t tickets[UNDER_WAY];
    bool acknowledged[UNDER_WAY] = {false};
    unsigned first = round * UNDER_WAY;
    bool is_last = round + 1 == rounds;
    struct bts_batch *batch;
    struct bts_error error;

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    for (unsigned i = 0; i < UNDER_WAY; i++) {
        if (i == UNDER_WAY / 2) {
            harness_sleep_us(round * PAUSE_MAX_US / rounds); /* the longer, the more answers */
            if (is_last)
                acknowledged[0] = wait_for_ticket(store, tickets[0], counts);
            harness_kill(&harness);
        }
        tickets[i] = submit_number(store, batch, first + i);
    }
    bts_batch_destroy(batch);
    for (unsigned i = UNDER_WAY; i-- > is_last;)
        acknowledged[i] = wait_for_ticket(store, tickets[i], counts);
    HARNESS_CHECK(bts_put(store, "default", 7, "k", 1, "v", 1, NULL, &error) == BTS_UNAVAILABLE,
                  "a commit without a daemon");
    harness_start(&harness, NULL);
    text_put(store, "round", "over");
    for (unsigned i = 0; i < UNDER_WAY; i++) {
        HARNESS_CHECK(!acknowledged[i] || number_is_there(store, first + i),
                      "acknowledged number %u is lost", first + i);
    }
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct waiting {
    _Atomic uint64_t wanted;    /* the txnid that the waiter waits for next */
    _Atomic uint64_t seen_us;   /* when it saw it */
    _Atomic uint64_t committed_us;
};

static struct waiting *waiting;

static int wait_for_commits(void *argument)
{
    struct bts_store *store = harness_open(&harness);
    struct bts_error error;
    uint64_t last = 0;

    (void)argument;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t wanted;
        while ((wanted = atomic_load(&waiting->wanted)) == last) {
            harness_sleep_us(100);
        }
        HARNESS_OK(bts_wait(store, wanted, 10000, &error), &error);
        atomic_store(&waiting->seen_us, harness_now_us());
        last = wanted;
    }
    bts_store_close(store);
    return 0;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;

    return (one > two) - (one < two);
}

static void waiters_are_woken(struct bts_store *store)
{
    struct bts_error error;
    struct bts_snapshot snapshot;
    uint64_t times[20];
    pid_t waiter = harness_spawn(wait_for_commits, NULL);

    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    uint64_t txnid = bts_snapshot_txnid(&snapshot);
    bts_snapshot_close(&snapshot);
    HARNESS_OK(bts_wait(store, txnid, 0, &error), &error);
    uint64_t start = harness_now_us();
    HARNESS_CHECK(bts_wait(store, txnid + 1, 60, &error) == BTS_TIMEOUT, "%s", error.text);
    HARNESS_CHECK(harness_now_us() - start >= 59000, "waited %llu us",
                  (unsigned long long)(harness_now_us() - start));

    for (unsigned i = 0; i < 20; i++) {
        atomic_store(&waiting->seen_us, 0);
        atomic_store(&waiting->wanted, txnid + 1);
        harness_sleep_us(20000); /* long enough that it sleeps */
        HARNESS_CHECK(atomic_load(&waiting->seen_us) == 0, "woken without a commit");
        uint64_t got = text_put(store, "for", "the waiter");
        uint64_t committed_us = harness_now_us();
        HARNESS_CHECK(got > txnid, "txnid %llu", (unsigned long long)got);
        txnid = got;
        while (atomic_load(&waiting->seen_us) == 0) {
            HARNESS_CHECK(harness_now_us() - committed_us < 10000000, "the waiter sleeps on");
            harness_sleep_us(50);
        }
        uint64_t seen_us = atomic_load(&waiting->seen_us);
        times[i] = seen_us > committed_us ? seen_us - committed_us : 0;
    }
    harness_join(waiter, "waiter");
    qsort(times, 20, sizeof(times[0]), compare_times);
    printf("# a waiter saw a commit %llu us after its writer (median; at most %llu)\n",
           (unsigned long long)times[10], (unsigned long long)times[19]);
}

int main(void)
{
    unsigned rounds = harness_count(KILLS, KILLS_REDUCED);
    unsigned counts[3] = {0, 0, 0};
    struct bts_store *store;

    waiting = harness_shared(sizeof(*waiting));
    harness_init(&harness);
    harness_start(&harness, NULL);
    store = harness_open(&harness);
    waiters_are_woken(store);
    for (unsigned round = 0; round < rounds; round++) {
        kill_under_commits(store, round, rounds, counts);
    }
    printf("# of the commits under way at a kill %u were committed, %u unknown, %u not sent\n",
           counts[0], counts[1], counts[2]);
    HARNESS_CHECK(counts[0] > 0, "no commit was acknowledged");
    harness_check_store(store);
    bts_store_close(store);
    harness_stop(&harness);
    return 0;
}
