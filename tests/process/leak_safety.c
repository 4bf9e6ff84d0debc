/* SPDX-License-Identifier: MIT */
/*
 * leak_safety: whatever ends badly, every page comes back.
 *
 * After refused batches, kills, dropped buckets, and overwrite storms, the
 * space map of the next checkpoint names exactly the reachable pages.  And
 * while readers are killed in the middle of their snapshots, a store that is
 * overwritten for ever stays of bounded size.
 */
#include "harness.h"

#include <string.h>
#include <unistd.h>

#define STORM_KEYS 2000u

static struct harness harness;
static uint64_t random_state = 42;

static void put_many(struct bts_store *store, const char *bucket, unsigned first, unsigned count,
                     size_t size_max)
{
    static uint8_t value[100000];
    struct bts_batch *batch;
    struct bts_error error;

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    HARNESS_OK(bts_batch_use(batch, bucket, strlen(bucket), &error), &error);
    for (unsigned i = first; i < first + count; i++) {
        char key[32];
        size_t size = (size_t)snprintf(key, sizeof key, "key%08u", i * 7919u % 1000003u);

        memset(value, (int)i, sizeof value);
        HARNESS_OK(bts_batch_put(batch, key, size, value, harness_random(&random_state) % size_max,
                                 &error),
                   &error);
    }
    HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
}

/*
 * Commits a batch that is to be refused, between two that are not: sent at once,
 * all three mostly share a group, and the refused one must be undone inside it.
 */
static enum bts_status commit_in_company(struct bts_store *store, const struct bts_batch *batch)
{
    struct bts_batch *good;
    struct bts_error error;
    uint64_t tickets[3];
    enum bts_status status;

    HARNESS_OK(bts_batch_create(&good, &error), &error);
    HARNESS_OK(bts_batch_put(good, "company", 7, "kept", 4, &error), &error);
    HARNESS_OK(bts_commit_submit(store, good, &tickets[0], &error), &error);
    HARNESS_OK(bts_commit_submit(store, batch, &tickets[1], &error), &error);
    HARNESS_OK(bts_commit_submit(store, good, &tickets[2], &error), &error);
    HARNESS_OK(bts_commit_wait(store, tickets[0], 20000, NULL, &error), &error);
    status = bts_commit_wait(store, tickets[1], 20000, NULL, &error);
    HARNESS_OK(bts_commit_wait(store, tickets[2], 20000, NULL, &error), &error);
    bts_batch_destroy(good);
    return status;
}

/* A batch that does much and is refused at its end, in three ways. */
static void refused_batches_leave_nothing(struct bts_store *store)
{
    struct bts_check_result before;
    struct bts_check_result after;
    struct bts_batch *batch;
    struct bts_error error;
    enum bts_status expected[3] = {BTS_CONFLICT, BTS_NO_BUCKET, BTS_INVALID};

    HARNESS_OK(bts_put(store, "default", 7, "company", 7, "kept", 4, NULL, &error), &error);
    before = harness_check_store(store);
    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    for (int way = 0; way < 3; way++) {
        enum bts_status status;

        bts_batch_clear(batch);
        HARNESS_OK(bts_batch_bucket_create(batch, "never", 5, &error), &error);
        HARNESS_OK(bts_batch_use(batch, "never", 5, &error), &error);
        for (unsigned i = 0; i < 3000; i++)
            HARNESS_OK(bts_batch_put(batch, &i, sizeof i, "value", 5, &error), &error);
        HARNESS_OK(bts_batch_delete_range(batch, NULL, 0, NULL, 0, &error), &error);
        HARNESS_OK(bts_batch_put(batch, "text", 4, "no number", 9, &error), &error);
        if (way == 0)
            HARNESS_OK(bts_batch_require_absent(batch, "text", 4, &error), &error);
        if (way == 1)
            HARNESS_OK(bts_batch_use(batch, "nowhere", 7, &error), &error);
        if (way < 2)
            HARNESS_OK(bts_batch_put(batch, "a", 1, "b", 1, &error), &error);
        else
            HARNESS_OK(bts_batch_increment(batch, "text", 4, 1, &error), &error);
        status = commit_in_company(store, batch);
        HARNESS_CHECK(status == expected[way], "%s instead of %s", bts_status_name(status),
                      bts_status_name(expected[way]));
    }
    bts_batch_destroy(batch);
    after = harness_check_store(store);
    HARNESS_CHECK(after.reachable == before.reachable, "%llu pages, %llu before",
                  (unsigned long long)after.reachable, (unsigned long long)before.reachable);
}

static void dropped_buckets_come_back(struct bts_store *store)
{
    struct bts_error error;
    uint64_t reachable = harness_check_store(store).reachable;

    for (int round = 0; round < 3; round++) {
        HARNESS_OK(bts_bucket_create(store, "short-lived", 11, NULL, &error), &error);
        put_many(store, "short-lived", 0, 3000, 3000);
        harness_check_store(store);
        HARNESS_OK(bts_bucket_drop(store, "short-lived", 11, NULL, &error), &error);
        HARNESS_CHECK(harness_check_store(store).reachable == reachable,
                      "pages of a dropped bucket stay");
    }
}

static void storms_reuse_their_pages(struct bts_store *store)
{
    uint64_t size;

    put_many(store, "default", 0, STORM_KEYS, 400);
    for (int i = 0; i < 20; i++)
        put_many(store, "default", 0, STORM_KEYS, 400);
    harness_check_store(store);
    size = harness_file_size(harness.store);
    for (int i = 0; i < 100; i++)
        put_many(store, "default", (unsigned)i * 17u % STORM_KEYS, 100, 400);
    harness_check_store(store);
    HARNESS_CHECK(harness_file_size(harness.store) <= size * 2, "the file grew from %llu to %llu",
                  (unsigned long long)size, (unsigned long long)harness_file_size(harness.store));
}

static int sleep_in_a_snapshot(void *argument)
{
    struct bts_store *store = harness_open(&harness);
    struct bts_snapshot snapshot;
    struct bts_error error;
    int *pipe_end = argument;

    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    HARNESS_CHECK(write(*pipe_end, "x", 1) == 1, "pipe");
    for (;;)
        pause();
}

static void killed_readers_do_not_make_it_grow(struct bts_store *store)
{
    uint64_t bound = 0;
    int ends[2];
    char byte;

    HARNESS_CHECK(pipe(ends) == 0, "pipe");
    for (int round = 0; round < 30; round++) {
        pid_t reader = harness_spawn(sleep_in_a_snapshot, &ends[1]);

        HARNESS_CHECK(read(ends[0], &byte, 1) == 1, "pipe");
        put_many(store, "default", 0, STORM_KEYS, 400);
        harness_kill_child(reader);
        put_many(store, "default", 0, STORM_KEYS, 400);
        if (round == 9)
            bound = harness_file_size(harness.store) * 3 / 2;
    }
    harness_check_store(store);
    HARNESS_CHECK(harness_file_size(harness.store) <= bound, "%llu bytes, the bound is %llu",
                  (unsigned long long)harness_file_size(harness.store),
                  (unsigned long long)bound);
}

static int write_for_ever(void *argument)
{
    struct bts_store *store = harness_open(&harness);

    (void)argument;
    for (unsigned i = 0; i < 1000000; i++)
        put_many(store, "default", i % 5000, 50, i % 10 == 0 ? 50000 : 300);
    return 0;
}

static void kills_leave_nothing(void)
{
    unsigned kills = harness_count(20, 5);

    for (unsigned i = 0; i < kills; i++) {
        pid_t writers[3];
        struct bts_store *store;

        for (int w = 0; w < 3; w++)
            writers[w] = harness_spawn(write_for_ever, NULL);
        harness_sleep_us(20000 + harness_random(&random_state) % 30000);
        for (int w = 0; w < 3; w++)
            harness_kill_child(writers[w]);
        harness_kill(&harness);
        harness_start(&harness, "--log-size", "16M", NULL);
        store = harness_open(&harness);
        harness_check_store(store);
        bts_store_close(store);
    }
}

int main(void)
{
    struct bts_store *store;

    harness_init(&harness);
    harness_start(&harness, "--log-size", "16M", NULL);
    store = harness_open(&harness);
    put_many(store, "default", 0, 500, 2000);
    refused_batches_leave_nothing(store);
    dropped_buckets_come_back(store);
    storms_reuse_their_pages(store);
    killed_readers_do_not_make_it_grow(store);
    bts_store_close(store);
    kills_leave_nothing();
    harness_stop(&harness);
    printf("# the file is %llu bytes in the end\n",
           (unsigned long long)harness_file_size(harness.store));
    return 0;
}
