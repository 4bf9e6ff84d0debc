/* SPDX-License-Identifier: MIT */
/*
 * salvage_replay: see salvage_replay.h.
 *
 * The buckets of the salvage are kept as the log changes them, so that names
 * and numbers mean what they meant when a commit was made.
 */
#include "client/salvage_replay.h"

#include "base/bytes.h"
#include "base/err.h"
#include "client/salvage_settled.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct replay {
    struct salvage *salvage;
    struct salvage_writer *writer;
    txnid_t txnid;           /* of the frame at work */
    uint32_t next_id;        /* of the next bucket; 0: not known */
    struct salvage_settled settled;

    bool has_bucket;         /* the batch at work writes to salvage->bucket[at] */
    size_t at;
    bool was_told;           /* that its bucket is not there */
};

typedef enum bts_status replay_handler(struct replay *replay,
                                       const struct batch_operation *operation,
                                       struct bts_error *error);

static const struct bts_bytes replay_none = {NULL, 0};

static struct bts_bytes replay_first(const struct batch_operation *operation)
{
    return (struct bts_bytes){operation->first, operation->first_size};
}

static struct bts_bytes replay_second(const struct batch_operation *operation)
{
    return (struct bts_bytes){operation->second, operation->second_size};
}

static enum bts_status replay_no_memory(struct bts_error *error)
{
    return err_set(error, BTS_NO_MEMORY, "no memory to replay the pending log");
}

/* ---- what is behind damage --------------------------------------------------------------- */

static bool replay_is_lost(const struct replay *replay, struct bts_bytes key)
{
    return salvage_ranges_find(&replay->salvage->bucket[replay->at].ranges, key.data, key.size) !=
           NULL;
}

/* The commit at work says what the key holds. */
static enum bts_status replay_settle(struct replay *replay, struct bts_bytes key,
                                     struct bts_error *error)
{
    if (!replay_is_lost(replay, key) ||
        salvage_settled_add(&replay->settled, replay->at, key) == BTS_OK) {
        return BTS_OK;
    }
    return replay_no_memory(error);
}

/*
 * Whether the new store has a key that lay behind damage.  Then it is as it
 * was, if no old version can have come into that bucket.
 */
static enum bts_status replay_look(const struct replay *replay, struct bts_bytes key, bool *has,
                                   struct bts_error *error)
{
    struct salvage_bucket *salvaged = &replay->salvage->bucket[replay->at];
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_bytes value;
    enum bts_status status = salvage_writer_flush(replay->writer, error);

    *has = false;
    if (status == BTS_OK) {
        status = bts_snapshot_open(replay->writer->store, &snapshot, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    status = bts_bucket_open(&snapshot, salvaged->name.data, salvaged->name.size, &bucket, error);
    if (status == BTS_OK) {
        status = bts_get(&snapshot, &bucket, key.data, key.size, &value, error);
    }
    bts_snapshot_close(&snapshot);
    *has = status == BTS_OK;
    /* The batch begins anew. */
    return status == BTS_OK || status == BTS_NOT_FOUND || status == BTS_NO_BUCKET
               ? salvage_writer_use(replay->writer, salvaged, error)
               : status;
}

/* Whether nobody can know what the key holds. */
static enum bts_status replay_is_open(const struct replay *replay, struct bts_bytes key,
                                      bool *is_open, struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    bool is_known;

    *is_open = replay_is_lost(replay, key);
    if (!*is_open) {
        return BTS_OK;
    }
    if (salvage_settled_has(&replay->settled, replay->at, key, &is_known) != BTS_OK) {
        return replay_no_memory(error);
    }
    if (!is_known && replay->salvage->bucket[replay->at].found_old == 0) {
        status = replay_look(replay, key, &is_known, error);
    }
    *is_open = !is_known;
    return status;
}

/* ---- buckets ------------------------------------------------------------------------------ */

static void replay_say_commit(struct replay *replay)
{
    salvage_add(replay->salvage->report, "pending log: commit %" PRIu64 ": ",
                (uint64_t)replay->txnid);
}

/* A bucket that the log knows and the directory does not any more. */
static enum bts_status replay_adopt(struct replay *replay, uint32_t id, struct bts_bytes name,
                                    struct bts_error *error)
{
    struct salvage *salvage = replay->salvage;
    struct salvage_bucket *bucket = salvage_add_bucket(salvage, id, name, NULL);

    if (bucket == NULL || salvage_ranges_add(&bucket->ranges, replay_none, replay_none,
                                             salvage->directory.root, "its record is lost") !=
                              BTS_OK) {
        return replay_no_memory(error);
    }
    salvage_add(salvage->report, "bucket ");
    salvage_add_quoted(salvage->report, name.data, name.size);
    salvage_add(salvage->report,
                ": all keys: its record is lost; it has what commits from %" PRIu64 " on in the "
                "pending log put there",
                (uint64_t)replay->txnid);
    salvage_say(salvage->report, BTS_SALVAGE_LOST);
    replay->at = (size_t)(bucket - salvage->bucket);
    replay->has_bucket = true;
    return BTS_OK;
}

/* The operations that follow write to `bucket`; NULL: nobody knows it. */
static bool replay_choose(struct replay *replay, const struct salvage_bucket *bucket)
{
    replay->has_bucket = bucket != NULL;
    replay->at = bucket != NULL ? (size_t)(bucket - replay->salvage->bucket) : 0;
    return bucket != NULL || replay->salvage->names.count == 0;
}

static enum bts_status replay_use(struct replay *replay, const struct batch_operation *operation,
                                  struct bts_error *error)
{
    struct bts_bytes name = replay_first(operation);

    if (replay_choose(replay, salvage_find_name(replay->salvage, name.data, name.size))) {
        return BTS_OK;
    }
    return replay_adopt(replay, BUCKET_ID_NONE, name, error);
}

static enum bts_status replay_use_id(struct replay *replay,
                                     const struct batch_operation *operation,
                                     struct bts_error *error)
{
    uint32_t id = bytes_load_u32(operation->second);
    char text[32];

    if (id >= BUCKET_ID_NONE || replay_choose(replay, salvage_find_id(replay->salvage, id))) {
        replay->has_bucket = replay->has_bucket && id < BUCKET_ID_NONE;
        return BTS_OK;
    }
    snprintf(text, sizeof(text), "lost-%u", id);
    return replay_adopt(replay, id, (struct bts_bytes){text, strlen(text)}, error);
}

/* Whether the operation has a bucket to go to; else that is told once a batch. */
static enum bts_status replay_enter(struct replay *replay, bool *enters, struct bts_error *error)
{
    *enters = replay->has_bucket;
    if (replay->has_bucket) {
        return salvage_writer_use(replay->writer, &replay->salvage->bucket[replay->at], error);
    }
    if (!replay->was_told) {
        replay_say_commit(replay);
        salvage_add(replay->salvage->report, "writes to a bucket that is not there");
        salvage_say(replay->salvage->report, BTS_SALVAGE_LOST);
        replay->was_told = true;
    }
    return BTS_OK;
}

static enum bts_status replay_create(struct replay *replay,
                                     const struct batch_operation *operation,
                                     struct bts_error *error)
{
    uint32_t id = replay->next_id != 0 ? replay->next_id++ : BUCKET_ID_NONE;
    struct bts_bytes name = replay_first(operation);
    struct salvage_bucket *bucket;

    if (salvage_find_name(replay->salvage, name.data, name.size) != NULL) {
        replay_say_commit(replay);
        salvage_add(replay->salvage->report, "creates bucket ");
        salvage_add_quoted(replay->salvage->report, name.data, name.size);
        salvage_add(replay->salvage->report, ", which is there: its entries are put together");
        salvage_say(replay->salvage->report, BTS_SALVAGE_LOST);
        return BTS_OK;
    }
    bucket = salvage_add_bucket(replay->salvage, id, name, NULL);
    return bucket != NULL ? salvage_writer_use(replay->writer, bucket, error)
                          : replay_no_memory(error);
}

static enum bts_status replay_drop(struct replay *replay, const struct batch_operation *operation,
                                   struct bts_error *error)
{
    struct bts_bytes name = replay_first(operation);
    struct salvage_bucket *bucket =
        salvage_find_name(replay->salvage, name.data, name.size);
    enum bts_status status;

    if (bucket == NULL || bucket->id == BUCKET_DEFAULT_ID) {
        return BTS_OK; /* it is not among what was salvaged */
    }
    replay->has_bucket = replay->has_bucket && bucket != &replay->salvage->bucket[replay->at];
    replay->writer->bucket = replay_none;
    status = bucket->is_created ? salvage_writer_add(replay->writer, BATCH_BUCKET_DROP, 0, name,
                                                     replay_none, error)
                                : BTS_OK;
    salvage_forget_bucket(replay->salvage, bucket);
    return status;
}

static enum bts_status replay_rename(struct replay *replay,
                                     const struct batch_operation *operation,
                                     struct bts_error *error)
{
    struct bts_bytes name = replay_first(operation);
    struct salvage_bucket *bucket =
        salvage_find_name(replay->salvage, name.data, name.size);
    enum bts_status status;

    if (bucket == NULL || bucket->id == BUCKET_DEFAULT_ID ||
        salvage_find_name(replay->salvage, operation->second, operation->second_size) != NULL) {
        replay_say_commit(replay);
        salvage_add(replay->salvage->report, "cannot rename bucket ");
        salvage_add_quoted(replay->salvage->report, name.data, name.size);
        salvage_say(replay->salvage->report, BTS_SALVAGE_LOST);
        return BTS_OK;
    }
    status = salvage_writer_use(replay->writer, bucket, error);
    if (status == BTS_OK) {
        status = salvage_writer_add(replay->writer, BATCH_BUCKET_RENAME, 0, name,
                                    replay_second(operation), error);
    }
    replay->writer->bucket = replay_none; /* it is the old name */
    return status == BTS_OK && !salvage_rename_bucket(bucket, replay_second(operation))
               ? replay_no_memory(error)
               : status;
}

/* ---- keys ---------------------------------------------------------------------------------- */

static enum bts_status replay_leave_out(struct replay *replay, const char *what,
                                        struct bts_bytes key)
{
    const struct salvage_bucket *bucket = &replay->salvage->bucket[replay->at];

    replay_say_commit(replay);
    salvage_add(replay->salvage->report, "%s of key ", what);
    salvage_add_quoted(replay->salvage->report, key.data, key.size);
    salvage_add(replay->salvage->report, " in bucket ");
    salvage_add_quoted(replay->salvage->report, bucket->name.data, bucket->name.size);
    salvage_add(replay->salvage->report, ": what the key held before is lost");
    salvage_say(replay->salvage->report, BTS_SALVAGE_LOST);
    return BTS_OK;
}

static enum bts_status replay_put(struct replay *replay, const struct batch_operation *operation,
                                  struct bts_error *error)
{
    unsigned flags = operation->flags & (BATCH_IF_ABSENT | BATCH_IF_PRESENT);
    struct bts_bytes key = replay_first(operation);
    bool enters;
    bool is_open = false;
    enum bts_status status = replay_enter(replay, &enters, error);

    if (status != BTS_OK || !enters) {
        return status;
    }
    if (flags != 0) {
        status = replay_is_open(replay, key, &is_open, error);
    } else {
        status = replay_settle(replay, key, error);
    }
    if (status != BTS_OK || is_open) {
        return status == BTS_OK ? replay_leave_out(replay, "conditional put", key) : status;
    }
    return salvage_writer_add(replay->writer, BATCH_PUT, flags, key, replay_second(operation),
                              error);
}

static enum bts_status replay_delete(struct replay *replay,
                                     const struct batch_operation *operation,
                                     struct bts_error *error)
{
    struct bts_bytes key = replay_first(operation);
    bool enters;
    enum bts_status status = replay_enter(replay, &enters, error);

    if (status == BTS_OK && enters) {
        status = replay_settle(replay, key, error);
    }
    return status == BTS_OK && enters
               ? salvage_writer_add(replay->writer, BATCH_DELETE, 0, key, replay_none, error)
               : status;
}

static enum bts_status replay_delete_range(struct replay *replay,
                                           const struct batch_operation *operation,
                                           struct bts_error *error)
{
    bool enters;
    enum bts_status status = replay_enter(replay, &enters, error);

    return status == BTS_OK && enters
               ? salvage_writer_add(replay->writer, BATCH_DELETE_RANGE, operation->flags,
                                    replay_first(operation), replay_second(operation), error)
               : status;
}

static enum bts_status replay_increment(struct replay *replay,
                                        const struct batch_operation *operation,
                                        struct bts_error *error)
{
    struct bts_bytes key = replay_first(operation);
    bool enters;
    bool is_open = false;
    enum bts_status status = replay_enter(replay, &enters, error);

    if (status == BTS_OK && enters) {
        status = replay_is_open(replay, key, &is_open, error);
    }
    if (status != BTS_OK || !enters || is_open) {
        return status == BTS_OK && enters ? replay_leave_out(replay, "increment", key) : status;
    }
    return salvage_writer_add(replay->writer, BATCH_INCREMENT, 0, key, replay_second(operation),
                              error);
}

static enum bts_status replay_nothing(struct replay *replay,
                                      const struct batch_operation *operation,
                                      struct bts_error *error)
{
    (void)replay, (void)operation, (void)error;
    return BTS_OK;
}

/* ---- batches and frames --------------------------------------------------------------------- */

static replay_handler *const replay_handlers[BATCH_TYPE_END] = {
    [BATCH_USE] = replay_use,
    [BATCH_USE_ID] = replay_use_id,
    [BATCH_PUT] = replay_put,
    [BATCH_DELETE] = replay_delete,
    [BATCH_DELETE_RANGE] = replay_delete_range,
    [BATCH_INCREMENT] = replay_increment,
    [BATCH_GET] = replay_nothing,
    [BATCH_BUCKET_CREATE] = replay_create,
    [BATCH_BUCKET_DROP] = replay_drop,
    [BATCH_BUCKET_RENAME] = replay_rename,
    [BATCH_REQUIRE_ABSENT] = replay_nothing,
    [BATCH_REQUIRE_PRESENT] = replay_nothing,
    [BATCH_REQUIRE_EQUAL] = replay_nothing,
};

static enum bts_status replay_batch(struct replay *replay, const uint8_t *batch, size_t size,
                                    struct bts_error *error)
{
    struct batch_operation operation;
    struct batch_reader reader;
    enum bts_status status = BTS_OK;

    replay->was_told = false;
    replay_choose(replay, salvage_find_id(replay->salvage, BUCKET_DEFAULT_ID));
    batch_reader_init(&reader, batch, size);
    while (status == BTS_OK && batch_next(&reader, &operation)) {
        status = replay_handlers[operation.type](replay, &operation, error);
    }
    return status;
}

/* Whether every batch of a frame is well-formed. */
static bool replay_frame_is_sound(const struct replay *replay, const struct pending_frame *frame,
                                  struct bts_error *why)
{
    struct pending_body_reader reader = {frame->body, frame->body + frame->body_size};
    const uint8_t *batch;
    size_t size;
    uint32_t count = 0;

    for (; pending_body_next(&reader, &batch, &size); count++) {
        if (batch_check(batch, size, replay->salvage->pages.page_size, why) != BTS_OK) {
            return false;
        }
    }
    if (count != frame->batch_count || reader.next != reader.end) {
        err_set(why, BTS_DAMAGED, "%u batches, its frame says %u", count, frame->batch_count);
        return false;
    }
    return true;
}

static enum bts_status replay_frame(struct replay *replay, const struct pending_frame *frame,
                                    struct bts_error *error)
{
    struct pending_body_reader reader = {frame->body, frame->body + frame->body_size};
    enum bts_status status = BTS_OK;
    const uint8_t *batch;
    size_t size;

    while (status == BTS_OK && pending_body_next(&reader, &batch, &size)) {
        status = replay_batch(replay, batch, size, error);
    }
    return status;
}

/* Why the log ends where it does, if not because nothing was written after. */
static void replay_say_end(struct replay *replay, const struct salvage_log *log, const char *why)
{
    struct salvage_report *report = replay->salvage->report;
    size_t at = salvage_log_find(log, replay->txnid);
    txnid_t newest = log->count > 0 ? log->frame[log->count - 1].txnid : 0;

    if (why == NULL && at < log->count) {
        why = "its frame is not whole: it was never finished, or is damaged";
    } else if (why == NULL && (log->durable >= replay->txnid || newest > replay->txnid)) {
        why = "its frame is missing or damaged";
    }
    if (why == NULL) {
        return;
    }
    replay_say_commit(replay);
    salvage_add(report, "%s", why);
    newest = newest > log->durable ? newest : log->durable;
    if (newest > replay->txnid) {
        salvage_add(report, "; with it all later ones up to commit %" PRIu64 " are lost",
                    (uint64_t)newest);
    }
    salvage_say(report, BTS_SALVAGE_LOST);
}

enum bts_status salvage_replay(struct salvage *salvage, struct salvage_log *log,
                               struct salvage_writer *writer, uint64_t *frame_count,
                               struct bts_error *error)
{
    struct replay replay = {.salvage = salvage,
                            .writer = writer,
                            .txnid = salvage->txnid + 1,
                            .next_id = salvage->found.meta.next_bucket_id};
    struct pending_frame frame;
    struct bts_error why;
    enum bts_status status = BTS_OK;

    err_clear(&why);
    *frame_count = 0;
    while (status == BTS_OK) {
        size_t at = salvage_log_find(log, replay.txnid);
        if (at == log->count || log->frame[at].size == 0 ||
            salvage_log_read(log, at, &frame, &why) != BTS_OK ||
            !replay_frame_is_sound(&replay, &frame, &why)) {
            break;
        }
        status = replay_frame(&replay, &frame, error);
        replay.txnid++;
        ++*frame_count;
    }
    salvage_settled_fini(&replay.settled);
    if (status == BTS_OK) {
        replay_say_end(&replay, log, why.status != BTS_OK ? why.text : NULL);
        status = salvage_writer_flush(writer, error);
    }
    return status;
}
