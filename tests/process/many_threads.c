/* SPDX-License-Identifier: MIT */
/*
 * many_threads: one process, one open store, many threads, and a map that is
 * too small from the start.
 *
 *  - four threads read one and the same snapshot, which stays what it was
 *  - four more open snapshots of their own, which never go back
 *  - meanwhile the store grows to many times the span of the first map, so the
 *    map is replaced under all of them; what was handed out before stays valid
 *  - two threads commit at the same time through the same store
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define READERS 4u
#define WRITERS 2u
#define FIRST_KEYS 200u
#define VALUE_SIZE 3000u
#define COMMITS 40u
#define COMMITS_SANITIZED 12u
#define PUTS 50u

static struct harness harness;
static struct bts_store *store;
static struct bts_snapshot shared;
static _Atomic bool over;
static _Atomic uint64_t looks;

static void fill(uint8_t *value, unsigned number)
{
    memset(value, (int)(number % 251), VALUE_SIZE);
    memcpy(value, &number, sizeof number);
}

static void check_value(const struct bts_bytes *value, unsigned number)
{
    uint8_t expected[VALUE_SIZE];

    fill(expected, number);
    HARNESS_CHECK(value->size == VALUE_SIZE && memcmp(value->data, expected, VALUE_SIZE) == 0,
                  "value %u is wrong", number);
}

static void put_numbers(struct bts_store *to, unsigned first, unsigned count)
{
    struct bts_batch *batch;
    struct bts_error error;
    uint8_t value[VALUE_SIZE];

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    for (unsigned i = first; i < first + count; i++) {
        fill(value, i);
        HARNESS_OK(bts_batch_put(batch, &i, sizeof i, value, sizeof value, &error), &error);
    }
    HARNESS_OK(bts_commit(to, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
}

static void *read_shared(void *argument)
{
    uint64_t random = 1 + (uint64_t)(uintptr_t)argument;
    struct bts_bytes early = {NULL, 0};
    struct bts_bucket bucket;
    struct bts_error error;

    HARNESS_OK(bts_bucket_open(&shared, "default", 7, &bucket, &error), &error);
    HARNESS_CHECK(bucket.entry_count == FIRST_KEYS, "the shared snapshot changed");
    while (!atomic_load(&over)) {
        unsigned number = (unsigned)(harness_random(&random) % (2 * FIRST_KEYS));
        struct bts_bytes value;
        enum bts_status status =
            bts_get(&shared, &bucket, &number, sizeof number, &value, &error);

        HARNESS_CHECK(status == (number < FIRST_KEYS ? BTS_OK : BTS_NOT_FOUND), "key %u: %s",
                      number, bts_status_name(status));
        if (status == BTS_OK)
            check_value(&value, number);
        if (status == BTS_OK && early.data == NULL && number == 7)
            early = value;
        atomic_fetch_add(&looks, 1);
    }
    if (early.data != NULL) /* handed out before the map was replaced */
        check_value(&early, 7);
    return NULL;
}

static void *read_newest(void *argument)
{
    uint64_t newest = 0;
    uint64_t entries = 0;
    struct bts_error error;

    (void)argument;
    while (!atomic_load(&over)) {
        struct bts_snapshot snapshot;
        struct bts_bucket bucket;
        struct bts_cursor cursor;
        struct bts_bytes key;
        struct bts_bytes value;
        unsigned number;

        HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
        HARNESS_CHECK(bts_snapshot_txnid(&snapshot) >= newest, "a snapshot went back");
        newest = bts_snapshot_txnid(&snapshot);
        HARNESS_OK(bts_bucket_open(&snapshot, "default", 7, &bucket, &error), &error);
        HARNESS_CHECK(bucket.entry_count >= entries, "entries are gone");
        entries = bucket.entry_count;
        bts_cursor_init(&cursor, &snapshot, &bucket);
        HARNESS_OK(bts_cursor_last(&cursor, &key, &value, &error), &error);
        memcpy(&number, key.data, sizeof number);
        check_value(&value, number);
        bts_snapshot_close(&snapshot);
        atomic_fetch_add(&looks, 1);
    }
    return NULL;
}

static void *write_much(void *argument)
{
    unsigned base = 1000000 * (1 + (unsigned)(uintptr_t)argument);
    unsigned commits = harness_count(COMMITS, COMMITS_SANITIZED);

    for (unsigned i = 0; i < commits; i++)
        put_numbers(store, base + i * PUTS, PUTS);
    return NULL;
}

static pthread_t start(void *(*body)(void *argument), unsigned index)
{
    pthread_t thread;

    HARNESS_CHECK(pthread_create(&thread, NULL, body, (void *)(uintptr_t)index) == 0, "thread");
    return thread;
}

int main(void)
{
    struct bts_options options = {.flags = BTS_OPEN_NO_START, .map_size_bytes = 1u << 20};
    pthread_t readers[2 * READERS];
    pthread_t writers[WRITERS];
    struct bts_error error;
    struct bts_stat stat;

    harness_init(&harness);
    harness_start(&harness, NULL);
    HARNESS_OK(bts_store_open(harness.store, &options, &store, &error), &error);
    put_numbers(store, 0, FIRST_KEYS);
    HARNESS_OK(bts_snapshot_open(store, &shared, &error), &error);
    for (unsigned i = 0; i < 2 * READERS; i++)
        readers[i] = start(i < READERS ? read_shared : read_newest, i);
    for (unsigned i = 0; i < WRITERS; i++)
        writers[i] = start(write_much, i);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&over, true);
    for (unsigned i = 0; i < 2 * READERS; i++)
        pthread_join(readers[i], NULL);
    HARNESS_OK(bts_store_stat(store, &stat, &error), &error);
    HARNESS_CHECK(stat.page_count * stat.page_size_bytes > 3 * options.map_size_bytes,
                  "the store did not outgrow the map");
    bts_snapshot_close(&shared);
    harness_check_store(store);
    bts_store_close(store);
    harness_stop(&harness);
    printf("# %llu looks by %u threads\n", (unsigned long long)atomic_load(&looks), 2 * READERS);
    return 0;
}
