/* SPDX-License-Identifier: MIT */
/*
 * text_store: keys and values that are C strings, in bucket `default`, for
 * tests whose point lies elsewhere.  Every failure fails the test.
 */
#ifndef TEXT_STORE_H
#define TEXT_STORE_H

#include "harness.h"

#include <string.h>

static inline uint64_t text_put(struct bts_store *store, const char *key, const char *value)
{
    struct bts_error error;
    uint64_t txnid;

    HARNESS_OK(bts_put(store, BTS_DEFAULT_BUCKET, strlen(BTS_DEFAULT_BUCKET), key, strlen(key),
                       value, strlen(value), &txnid, &error),
               &error);
    return txnid;
}

/* Opens a snapshot and its default bucket. */
static inline void text_begin(struct bts_store *store, struct bts_snapshot *snapshot,
                              struct bts_bucket *bucket)
{
    struct bts_error error;

    HARNESS_OK(bts_snapshot_open(store, snapshot, &error), &error);
    HARNESS_OK(bts_bucket_open(snapshot, BTS_DEFAULT_BUCKET, strlen(BTS_DEFAULT_BUCKET), bucket,
                               &error),
               &error);
}

/* Copies the value into `text`; "" when there is no such key. */
static inline void text_get(const struct bts_snapshot *snapshot, const struct bts_bucket *bucket,
                            const char *key, char *text, size_t text_size)
{
    struct bts_error error;
    struct bts_bytes value;
    enum bts_status status = bts_get(snapshot, bucket, key, strlen(key), &value, &error);

    text[0] = '\0';
    if (status == BTS_NOT_FOUND) {
        return;
    }
    HARNESS_OK(status, &error);
    HARNESS_CHECK(value.size < text_size, "value of %zu bytes", value.size);
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
}

/* Whether the newest state has this value for the key. */
static inline bool text_has(struct bts_store *store, const char *key, const char *value)
{
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    char found[256];

    text_begin(store, &snapshot, &bucket);
    text_get(&snapshot, &bucket, key, found, sizeof(found));
    bts_snapshot_close(&snapshot);
    return strcmp(found, value) == 0;
}

#endif
