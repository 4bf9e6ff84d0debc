/* SPDX-License-Identifier: MIT */
/*
 * read_everything: one round of every call that reads, for tests of what such
 * calls must not do.  The store holds READ_ENTRIES entries "key/NNNNNN".
 */
#ifndef READ_EVERYTHING_H
#define READ_EVERYTHING_H

#include "harness.h"

#include <string.h>

#define READ_ENTRIES 20000u
#define READ_LOOKUPS 40u
#define READ_STEPS 300u

/* Fails without printf: in these tests that could be the very call that is forbidden. */
#define READ_EXPECT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

static inline void read_make_entries(struct bts_store *store)
{
    struct bts_batch *batch;
    struct bts_error error;
    char key[32], value[200];

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    memset(value, 'v', sizeof(value));
    for (unsigned i = 0; i < READ_ENTRIES; i++) {
        snprintf(key, sizeof(key), "key/%06u", i);
        /* Some values lie in pages of their own. */
        HARNESS_OK(bts_batch_put(batch, key, strlen(key), value, i % 200, &error), &error);
    }
    HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
}

/* The digits of a key without printf. */
static inline void read_key(char key[11], unsigned number)
{
    memcpy(key, "key/000000", 11);
    for (unsigned i = 9; number > 0; i--, number /= 10) {
        key[i] = (char)('0' + number % 10);
    }
}

static inline void read_gets(const struct bts_snapshot *snapshot, const struct bts_bucket *bucket,
                             unsigned start)
{
    struct bts_lookup lookups[READ_LOOKUPS];
    char keys[READ_LOOKUPS][11];
    struct bts_bytes value;

    for (unsigned i = 0; i < READ_LOOKUPS; i++) {
        unsigned number = (start + i * 499) % READ_ENTRIES;
        read_key(keys[i], number);
        READ_EXPECT(bts_get(snapshot, bucket, keys[i], 10, &value, NULL) == BTS_OK);
        READ_EXPECT(value.size == number % 200);
        lookups[i] = (struct bts_lookup){.key = keys[i], .key_size = i % 10 == 9 ? 9 : 10};
    }
    READ_EXPECT(bts_get(snapshot, bucket, "nothing", 7, &value, NULL) == BTS_NOT_FOUND);
    READ_EXPECT(bts_get_many(snapshot, bucket, lookups, READ_LOOKUPS, NULL) == BTS_OK);
    READ_EXPECT(lookups[0].status == BTS_OK && lookups[9].status == BTS_NOT_FOUND);
}

static inline void read_scans(const struct bts_snapshot *snapshot, const struct bts_bucket *bucket,
                              unsigned start)
{
    struct bts_cursor cursor;
    struct bts_bytes key, value;
    char first[11];
    unsigned count = 0;

    read_key(first, start % READ_ENTRIES);
    bts_cursor_init(&cursor, snapshot, bucket);
    READ_EXPECT(bts_cursor_seek(&cursor, first, 10, &key, &value, NULL) == BTS_OK);
    for (unsigned i = 0; i < READ_STEPS && count == i; i++) {
        count += bts_cursor_next(&cursor, &key, &value, NULL) == BTS_OK;
    }
    READ_EXPECT(bts_cursor_last(&cursor, &key, &value, NULL) == BTS_OK);
    for (unsigned i = 0; i < READ_STEPS; i++) {
        READ_EXPECT(bts_cursor_prev(&cursor, &key, &value, NULL) == BTS_OK);
    }
    bts_cursor_set_prefix(&cursor, first, 8);
    READ_EXPECT(bts_cursor_first(&cursor, &key, &value, NULL) == BTS_OK);
    for (count = 1; bts_cursor_next(&cursor, &key, &value, NULL) == BTS_OK; count++) {
    }
    READ_EXPECT(count == 100);
    bts_cursor_set_range(&cursor, first, 10, NULL, 0);
    READ_EXPECT(bts_cursor_next(&cursor, &key, &value, NULL) == BTS_OK);
    bts_cursor_init_buckets(&cursor, snapshot);
    READ_EXPECT(bts_cursor_next(&cursor, &key, &value, NULL) == BTS_OK);
}

static inline void read_everything(struct bts_store *store, unsigned start)
{
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;

    READ_EXPECT(bts_snapshot_open(store, &snapshot, NULL) == BTS_OK);
    READ_EXPECT(bts_bucket_open(&snapshot, "default", 7, &bucket, NULL) == BTS_OK);
    read_gets(&snapshot, &bucket, start);
    READ_EXPECT(bts_snapshot_renew(&snapshot, NULL) == BTS_OK);
    READ_EXPECT(bts_bucket_open(&snapshot, "default", 7, &bucket, NULL) == BTS_OK);
    read_scans(&snapshot, &bucket, start);
    bts_snapshot_close(&snapshot);
}

#endif
