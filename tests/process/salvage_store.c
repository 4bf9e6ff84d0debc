/* SPDX-License-Identifier: MIT */
/* salvage_store: see salvage_store.h. */
#include "salvage_store.h"

#include <string.h>

size_t salvage_store_value(const char *bucket, const char *key, unsigned generation, char *out)
{
    size_t size = (size_t)sprintf(out, "%s/%s/%u/", bucket, key, generation);
    size_t fill = 20 + 7u * generation;

    if (strcmp(bucket, "wide") == 0) {
        fill = 700;
    } else if (strcmp(bucket, "blobs") == 0) {
        fill = 6000 + 1000 * (size_t)(key[4] - '0') + generation;
    }
    memset(out + size, 'a' + (int)generation, fill);
    return size + fill;
}

static void put(struct bts_batch *batch, const char *bucket, const char *key, unsigned generation)
{
    static char value[32768];
    size_t size = salvage_store_value(bucket, key, generation, value);
    struct bts_error error;

    HARNESS_OK(bts_batch_use(batch, bucket, strlen(bucket), &error), &error);
    HARNESS_OK(bts_batch_put(batch, key, strlen(key), value, size, &error), &error);
}

/* Puts keys first, first + step .. below count. */
static void put_many(struct bts_store *store, const char *bucket, unsigned first, unsigned step,
                     unsigned count, unsigned generation)
{
    struct bts_batch *batch;
    struct bts_error error;
    char key[32];

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    for (unsigned i = first; i < count; i += step) {
        snprintf(key, sizeof key, "key-%u-%05u", i % 10, i * 17 % count);
        put(batch, bucket, key, generation);
    }
    HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
}

static void delete_range(struct bts_store *store, const char *bucket, const char *from,
                         const char *to)
{
    struct bts_batch *batch;
    struct bts_error error;

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    HARNESS_OK(bts_batch_use(batch, bucket, strlen(bucket), &error), &error);
    HARNESS_OK(bts_batch_delete_range(batch, from, strlen(from), to, strlen(to), &error), &error);
    HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
}

/* Commit `n` of the log: a new key, an older one again, one deleted, a counter. */
static void log_commit(struct bts_store *store, unsigned n)
{
    struct bts_batch *batch;
    struct bts_error error;
    char key[32];

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    snprintf(key, sizeof key, "log-%u", n);
    put(batch, "users", key, 3);
    HARNESS_OK(bts_batch_increment(batch, "counter", 7, 1, &error), &error);
    snprintf(key, sizeof key, "gone-%u", n);
    HARNESS_OK(bts_batch_delete(batch, key, strlen(key), &error), &error);
    HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
}

void salvage_store_build(struct harness *harness)
{
    struct bts_store *store;
    struct bts_error error;
    char key[32];

    harness_start(harness, NULL);
    store = harness_open(harness);
    HARNESS_OK(bts_bucket_create(store, "users", 5, NULL, &error), &error);
    HARNESS_OK(bts_bucket_create(store, "wide", 4, NULL, &error), &error);
    HARNESS_OK(bts_bucket_create(store, "blobs", 5, NULL, &error), &error);
    HARNESS_OK(bts_bucket_create(store, "empty", 5, NULL, &error), &error);
    HARNESS_OK(bts_put(store, "users", 5, "counter", 7, "5", 1, NULL, &error), &error);
    put_many(store, "users", 0, 1, 2000, 0);
    put_many(store, "wide", 0, 1, 2400, 0);
    put_many(store, "blobs", 0, 1, 20, 0);
    for (unsigned i = 0; i < SALVAGE_STORE_COMMITS; i++) {
        snprintf(key, sizeof key, "gone-%u", i);
        HARNESS_OK(bts_put(store, "users", 5, key, strlen(key), "users/gone", 10, NULL, &error),
                   &error);
    }
    HARNESS_OK(bts_store_checkpoint(store, NULL, &error), &error);
    /* Old versions and deleted keys stay behind in free pages. */
    put_many(store, "users", 0, 3, 2000, 1);
    put_many(store, "wide", 5, 90, 2400, 1);
    put_many(store, "blobs", 1, 5, 20, 1);
    delete_range(store, "users", "key-2-005", "key-2-012");
    delete_range(store, "wide", "key-4", "key-4-006");
    HARNESS_OK(bts_store_checkpoint(store, NULL, &error), &error);
    for (unsigned i = 0; i < SALVAGE_STORE_COMMITS; i++) {
        log_commit(store, i);
    }
    bts_store_close(store);
    harness_kill(harness);
}
