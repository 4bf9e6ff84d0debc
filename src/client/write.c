/* SPDX-License-Identifier: MIT */
/*
 * write: batches, commits, and one-shot writes of the public interface.
 *
 * A batch is built in the very bytes that travel and lie in the log
 * (format/batch); a commit hands them to the pipeline.  Nothing is resent.
 */
#include "client/store.h"

#include "base/err.h"
#include "base/bytes.h"
#include "client/deadline.h"
#include "format/batch.h"

#include <stdlib.h>

struct bts_batch {
    struct batch batch;
    enum bts_durability durability;
};

/* ---- batches --------------------------------------------------------------------- */

enum bts_status bts_batch_create(struct bts_batch **batch, struct bts_error *error)
{
    *batch = calloc(1, sizeof(**batch));
    return *batch != NULL ? BTS_OK : err_set(error, BTS_NO_MEMORY, "no memory for a batch");
}

void bts_batch_destroy(struct bts_batch *batch)
{
    if (batch != NULL) {
        batch_fini(&batch->batch);
        free(batch);
    }
}

void bts_batch_clear(struct bts_batch *batch)
{
    batch_clear(&batch->batch);
    batch->durability = BTS_DURABLE;
}

void bts_batch_set_durability(struct bts_batch *batch, enum bts_durability durability)
{
    batch->durability = durability;
}

enum bts_status bts_batch_use(struct bts_batch *batch, const void *name, size_t name_size,
                              struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_USE, 0, name, name_size, NULL, 0, error);
}

enum bts_status bts_batch_put(struct bts_batch *batch, const void *key, size_t key_size,
                              const void *value, size_t value_size, struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_PUT, 0, key, key_size, value, value_size, error);
}

enum bts_status bts_batch_delete(struct bts_batch *batch, const void *key, size_t key_size,
                                 struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_DELETE, 0, key, key_size, NULL, 0, error);
}

enum bts_status bts_batch_delete_range(struct bts_batch *batch, const void *from,
                                       size_t from_size, const void *to, size_t to_size,
                                       struct bts_error *error)
{
    unsigned flags = (from == NULL ? BATCH_OPEN_FROM : 0) | (to == NULL ? BATCH_OPEN_TO : 0);

    return batch_add(&batch->batch, BATCH_DELETE_RANGE, flags, from, from != NULL ? from_size : 0,
                     to, to != NULL ? to_size : 0, error);
}

enum bts_status bts_batch_increment(struct bts_batch *batch, const void *key, size_t key_size,
                                    int64_t delta, struct bts_error *error)
{
    uint8_t bytes[8];

    bytes_store_u64(bytes, (uint64_t)delta);
    return batch_add(&batch->batch, BATCH_INCREMENT, 0, key, key_size, bytes, sizeof(bytes),
                     error);
}

enum bts_status bts_batch_require_absent(struct bts_batch *batch, const void *key,
                                         size_t key_size, struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_REQUIRE_ABSENT, 0, key, key_size, NULL, 0, error);
}

enum bts_status bts_batch_require_present(struct bts_batch *batch, const void *key,
                                          size_t key_size, struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_REQUIRE_PRESENT, 0, key, key_size, NULL, 0, error);
}

enum bts_status bts_batch_require_equal(struct bts_batch *batch, const void *key, size_t key_size,
                                        const void *value, size_t value_size,
                                        struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_REQUIRE_EQUAL, 0, key, key_size, value, value_size,
                     error);
}

enum bts_status bts_batch_bucket_create(struct bts_batch *batch, const void *name,
                                        size_t name_size, struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_BUCKET_CREATE, 0, name, name_size, NULL, 0, error);
}

enum bts_status bts_batch_bucket_drop(struct bts_batch *batch, const void *name, size_t name_size,
                                      struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_BUCKET_DROP, 0, name, name_size, NULL, 0, error);
}

enum bts_status bts_batch_bucket_rename(struct bts_batch *batch, const void *old_name,
                                        size_t old_name_size, const void *new_name,
                                        size_t new_name_size, struct bts_error *error)
{
    return batch_add(&batch->batch, BATCH_BUCKET_RENAME, 0, old_name, old_name_size, new_name,
                     new_name_size, error);
}

/* ---- commits --------------------------------------------------------------------- */

static enum bts_status write_check(const struct bts_store *store, struct bts_error *error)
{
    enum bts_status status = store_check_fork(store, error);

    if (status == BTS_OK && store_is_alone(store)) {
        status = err_set(error, BTS_READ_ONLY,
                         "%s: opened alone, without a daemon: it can only be read", store->name);
    }
    return status;
}

/* Sends the batch; the deadline is for sending only. */
static enum bts_status write_submit(struct bts_store *store, const struct bts_batch *batch,
                                    uint64_t deadline, uint64_t *ticket, struct bts_error *error)
{
    size_t size;
    /* batch_bytes only looks */
    const uint8_t *bytes = batch_bytes((struct batch *)(uintptr_t)&batch->batch, &size);

    return pipeline_submit(store, bytes, size, batch->durability == BTS_RELAXED, deadline, ticket,
                           error);
}

static enum bts_status write_commit(struct bts_store *store, const struct bts_batch *batch,
                                    uint64_t *txnid, struct bts_error *error)
{
    uint64_t deadline = deadline_after(store->timeout_ms);
    uint64_t ticket;
    enum bts_status status = write_submit(store, batch, deadline, &ticket, error);

    if (status != BTS_OK) {
        return status;
    }
    status = pipeline_wait(&store->pipeline, ticket, deadline, txnid, error);
    if (status == BTS_TIMEOUT) {
        pipeline_break(&store->pipeline);
        status = pipeline_wait(&store->pipeline, ticket, deadline, txnid, error);
    }
    return status;
}

enum bts_status bts_commit(struct bts_store *store, const struct bts_batch *batch,
                           uint64_t *txnid, struct bts_error *error)
{
    uint64_t unwanted;
    enum bts_status status;

    txnid = txnid != NULL ? txnid : &unwanted;
    *txnid = 0;
    status = write_check(store, error);
    if (status != BTS_OK) {
        return status;
    }
    status = write_commit(store, batch, txnid, error);
    return status == BTS_OK ? BTS_OK : store_failed(store, status, error);
}

enum bts_status bts_commit_submit(struct bts_store *store, const struct bts_batch *batch,
                                  uint64_t *ticket, struct bts_error *error)
{
    enum bts_status status;

    *ticket = 0;
    status = write_check(store, error);
    if (status != BTS_OK) {
        return status;
    }
    status = write_submit(store, batch, deadline_after(store->timeout_ms), ticket, error);
    return status == BTS_OK ? BTS_OK : store_failed(store, status, error);
}

enum bts_status bts_commit_wait(struct bts_store *store, uint64_t ticket, unsigned timeout_ms,
                                uint64_t *txnid, struct bts_error *error)
{
    uint64_t unwanted;
    enum bts_status status;

    txnid = txnid != NULL ? txnid : &unwanted;
    *txnid = 0;
    status = write_check(store, error);
    if (status != BTS_OK) {
        return status;
    }
    status =
        pipeline_wait(&store->pipeline, ticket, deadline_after(timeout_ms), txnid, error);
    return status == BTS_OK ? BTS_OK : store_failed(store, status, error);
}

/* ---- one-shot writes ---------------------------------------------------------------- */

/* One operation; `bucket` NULL: it needs none. */
static enum bts_status write_one(struct bts_store *store, const struct bts_bytes *bucket,
                                 enum batch_type type, struct bts_bytes first,
                                 struct bts_bytes second, uint64_t *txnid,
                                 struct bts_error *error)
{
    struct bts_batch batch = {.batch = {.data = NULL}};
    enum bts_status status = BTS_OK;

    if (txnid != NULL) {
        *txnid = 0;
    }
    if (bucket != NULL) {
        status = bts_batch_use(&batch, bucket->data, bucket->size, error);
    }
    if (status == BTS_OK) {
        status = batch_add(&batch.batch, type, 0, first.data, first.size, second.data, second.size,
                           error);
    }
    if (status != BTS_OK) {
        status = store_failed(store, status, error);
    } else {
        status = bts_commit(store, &batch, txnid, error);
    }
    batch_fini(&batch.batch);
    return status;
}

enum bts_status bts_put(struct bts_store *store, const void *bucket_name, size_t bucket_name_size,
                        const void *key, size_t key_size, const void *value, size_t value_size,
                        uint64_t *txnid, struct bts_error *error)
{
    struct bts_bytes bucket = {bucket_name, bucket_name_size};

    return write_one(store, &bucket, BATCH_PUT, (struct bts_bytes){key, key_size},
                     (struct bts_bytes){value, value_size}, txnid, error);
}

enum bts_status bts_delete(struct bts_store *store, const void *bucket_name,
                           size_t bucket_name_size, const void *key, size_t key_size,
                           uint64_t *txnid, struct bts_error *error)
{
    struct bts_bytes bucket = {bucket_name, bucket_name_size};

    return write_one(store, &bucket, BATCH_DELETE, (struct bts_bytes){key, key_size},
                     (struct bts_bytes){NULL, 0}, txnid, error);
}

enum bts_status bts_bucket_create(struct bts_store *store, const void *name, size_t name_size,
                                  uint64_t *txnid, struct bts_error *error)
{
    return write_one(store, NULL, BATCH_BUCKET_CREATE, (struct bts_bytes){name, name_size},
                     (struct bts_bytes){NULL, 0}, txnid, error);
}

enum bts_status bts_bucket_drop(struct bts_store *store, const void *name, size_t name_size,
                                uint64_t *txnid, struct bts_error *error)
{
    return write_one(store, NULL, BATCH_BUCKET_DROP, (struct bts_bytes){name, name_size},
                     (struct bts_bytes){NULL, 0}, txnid, error);
}

enum bts_status bts_bucket_rename(struct bts_store *store, const void *old_name,
                                  size_t old_name_size, const void *new_name,
                                  size_t new_name_size, uint64_t *txnid, struct bts_error *error)
{
    return write_one(store, NULL, BATCH_BUCKET_RENAME,
                     (struct bts_bytes){old_name, old_name_size},
                     (struct bts_bytes){new_name, new_name_size}, txnid, error);
}
