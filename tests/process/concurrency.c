/* SPDX-License-Identifier: MIT */
/*
 * concurrency: eight readers and eight writers on one store.
 *
 * Writers move money between accounts that lie in two buckets, each move one
 * transaction whose conditions name the balances it was computed from.
 * Readers sum all accounts of a snapshot: the sum never changes, because each
 * snapshot is one committed state; and txnids never go back.  A writer sees
 * its own acknowledged move in the next snapshot that it opens.
 */
#include "harness.h"

#include <inttypes.h>
#include <string.h>

#define READERS 8u
#define WRITERS 8u
#define ACCOUNTS 40u      /* in each bucket */
#define BALANCE 1000
#define RUN_US 4000000u

static const char *const bucket_names[2] = {"checking", "savings"};

struct test {
    struct harness harness;
    uint64_t end_us;
    uint64_t moves[WRITERS];
    uint64_t conflicts[WRITERS];
    uint64_t states[READERS];
};

struct task {
    struct test *test;
    unsigned index;
};

static size_t account_key(char key[32], unsigned account)
{
    return (size_t)snprintf(key, 32, "account%04u", account);
}

static long balance_in(const struct bts_bytes *value)
{
    char text[32] = "";

    HARNESS_CHECK(value->size < sizeof text, "a balance of %zu bytes", value->size);
    memcpy(text, value->data, value->size);
    return strtol(text, NULL, 10);
}

static void open_accounts(struct bts_store *store)
{
    struct bts_batch *batch;
    struct bts_error error;
    char key[32];
    char text[32];
    int size = snprintf(text, sizeof text, "%d", BALANCE);

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    for (int b = 0; b < 2; b++) {
        HARNESS_OK(bts_batch_bucket_create(batch, bucket_names[b], strlen(bucket_names[b]), &error),
                   &error);
        HARNESS_OK(bts_batch_use(batch, bucket_names[b], strlen(bucket_names[b]), &error), &error);
        for (unsigned a = 0; a < ACCOUNTS; a++)
            HARNESS_OK(bts_batch_put(batch, key, account_key(key, a), text, (size_t)size, &error),
                       &error);
    }
    HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
}

static int read_states(void *argument)
{
    struct task *task = argument;
    struct bts_store *store = harness_open(&task->test->harness);
    struct bts_error error;
    uint64_t newest = 0;

    while (harness_now_us() < task->test->end_us) {
        struct bts_snapshot snapshot;
        long sum = 0;
        unsigned seen = 0;

        HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
        HARNESS_CHECK(bts_snapshot_txnid(&snapshot) >= newest, "state %" PRIu64 " after %" PRIu64,
                      bts_snapshot_txnid(&snapshot), newest);
        newest = bts_snapshot_txnid(&snapshot);
        for (int b = 0; b < 2; b++) {
            struct bts_bucket bucket;
            struct bts_cursor cursor;
            struct bts_bytes key;
            struct bts_bytes value;
            enum bts_status status;

            HARNESS_OK(bts_bucket_open(&snapshot, bucket_names[b], strlen(bucket_names[b]),
                                       &bucket, &error),
                       &error);
            bts_cursor_init(&cursor, &snapshot, &bucket);
            for (status = bts_cursor_first(&cursor, &key, &value, &error); status == BTS_OK;
                 status = bts_cursor_next(&cursor, &key, &value, &error)) {
                sum += balance_in(&value);
                seen++;
            }
            HARNESS_CHECK(status == BTS_END, "%s", error.text);
        }
        HARNESS_CHECK(seen == 2 * ACCOUNTS && sum == 2L * ACCOUNTS * BALANCE,
                      "state %" PRIu64 ": %u accounts, sum %ld", newest, seen, sum);
        bts_snapshot_close(&snapshot);
        task->test->states[task->index]++;
    }
    bts_store_close(store);
    return 0;
}

/* Adds one side of a move to the batch: the balance must be as read. */
static void add_side(struct bts_batch *batch, const struct bts_snapshot *snapshot, int bucket_index,
                     unsigned account, long amount)
{
    struct bts_bucket bucket;
    struct bts_bytes value;
    struct bts_error error;
    char key[32];
    char text[32];
    size_t size = account_key(key, account);
    const char *name = bucket_names[bucket_index];

    HARNESS_OK(bts_bucket_open(snapshot, name, strlen(name), &bucket, &error), &error);
    HARNESS_OK(bts_get(snapshot, &bucket, key, size, &value, &error), &error);
    HARNESS_OK(bts_batch_use(batch, name, strlen(name), &error), &error);
    HARNESS_OK(bts_batch_require_equal(batch, key, size, value.data, value.size, &error), &error);
    snprintf(text, sizeof text, "%ld", balance_in(&value) + amount);
    HARNESS_OK(bts_batch_put(batch, key, size, text, strlen(text), &error), &error);
}

static void own_write_is_seen(struct bts_store *store, uint64_t txnid, unsigned index,
                              uint64_t moves)
{
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_bytes value;
    struct bts_error error;
    char key[32];
    size_t size = (size_t)snprintf(key, sizeof key, "moves of %u", index);

    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    HARNESS_CHECK(bts_snapshot_txnid(&snapshot) >= txnid, "own commit %" PRIu64 " is not seen",
                  txnid);
    HARNESS_OK(bts_bucket_open(&snapshot, "default", 7, &bucket, &error), &error);
    HARNESS_OK(bts_get(&snapshot, &bucket, key, size, &value, &error), &error);
    HARNESS_CHECK((uint64_t)balance_in(&value) == moves,
                  "writer %u: %ld moves are seen, not %" PRIu64, index, balance_in(&value), moves);
    bts_snapshot_close(&snapshot);
}

static int move_money(void *argument)
{
    struct task *task = argument;
    struct bts_store *store = harness_open(&task->test->harness);
    struct bts_batch *batch;
    struct bts_error error;
    uint64_t random = 77 + task->index;
    char key[32];
    size_t size = (size_t)snprintf(key, sizeof key, "moves of %u", task->index);

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    while (harness_now_us() < task->test->end_us) {
        struct bts_snapshot snapshot;
        uint64_t txnid;
        long amount = (long)(harness_random(&random) % 20);
        enum bts_status status;

        HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
        bts_batch_clear(batch);
        add_side(batch, &snapshot, 0, (unsigned)(harness_random(&random) % ACCOUNTS), -amount);
        add_side(batch, &snapshot, 1, (unsigned)(harness_random(&random) % ACCOUNTS), amount);
        bts_snapshot_close(&snapshot);
        HARNESS_OK(bts_batch_use(batch, "default", 7, &error), &error);
        HARNESS_OK(bts_batch_increment(batch, key, size, 1, &error), &error);
        status = bts_commit(store, batch, &txnid, &error);
        if (status == BTS_CONFLICT) {
            task->test->conflicts[task->index]++;
            continue;
        }
        HARNESS_CHECK(status == BTS_OK, "%s: %s", bts_status_name(status), error.text);
        task->test->moves[task->index]++;
        own_write_is_seen(store, txnid, task->index, task->test->moves[task->index]);
    }
    bts_batch_destroy(batch);
    bts_store_close(store);
    return 0;
}

int main(void)
{
    struct test *test = harness_shared(sizeof *test);
    struct task tasks[READERS + WRITERS];
    pid_t pids[READERS + WRITERS];
    uint64_t moves = 0;
    uint64_t conflicts = 0;
    uint64_t states = 0;
    struct bts_store *store;

    harness_init(&test->harness);
    harness_start(&test->harness, NULL);
    store = harness_open(&test->harness);
    open_accounts(store);
    test->end_us = harness_now_us() + RUN_US;
    for (unsigned i = 0; i < READERS + WRITERS; i++) {
        tasks[i] = (struct task){test, i < READERS ? i : i - READERS};
        pids[i] = harness_spawn(i < READERS ? read_states : move_money, &tasks[i]);
    }
    for (unsigned i = 0; i < READERS + WRITERS; i++)
        harness_join(pids[i], i < READERS ? "reader" : "writer");
    for (unsigned i = 0; i < READERS; i++) {
        HARNESS_CHECK(test->states[i] > 0, "reader %u saw nothing", i);
        states += test->states[i];
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        HARNESS_CHECK(test->moves[i] > 0, "writer %u moved nothing", i);
        moves += test->moves[i];
        conflicts += test->conflicts[i];
    }
    harness_check_store(store);
    bts_store_close(store);
    harness_stop(&test->harness);
    printf("# %" PRIu64 " states read, %" PRIu64 " moves, %" PRIu64 " conflicts\n", states, moves,
           conflicts);
    return 0;
}
