/* SPDX-License-Identifier: MIT */
/*
 * commands_bucket: BTS.BUCKET CREATE, DROP, RENAME, LIST, INFO.
 */
#include "server/commands.h"

#include "base/err.h"
#include "read/bucket.h"
#include "read/cursor.h"

/* ---- changing -------------------------------------------------------------------- */

/* A name of digits only would be taken for a number by every other command. */
static enum bts_status bucket_check_name(const struct bts_bytes *name, struct bts_error *error)
{
    if (call_word_is_digits(name)) {
        return err_set(error, BTS_INVALID, "a bucket's name must not be a number");
    }
    return BTS_OK;
}

static enum bts_status bucket_create_build(struct call *call, struct write *write,
                                           struct bts_error *error)
{
    const struct bts_bytes *name = &call->parts[2];
    enum bts_status status = bucket_check_name(name, error);

    if (status == BTS_OK) {
        status = batch_add(&write->batch, BATCH_BUCKET_CREATE, BATCH_RETURN, name->data,
                           name->size, NULL, 0, error);
    }
    return status == BTS_OK ? reply_plan_add(&write->plan, REPLY_NUMBER, 1, error) : status;
}

static enum bts_status bucket_drop_build(struct call *call, struct write *write,
                                         struct bts_error *error)
{
    const struct bts_bytes *name = &call->parts[2];
    enum bts_status status = batch_add(&write->batch, BATCH_BUCKET_DROP, 0, name->data,
                                       name->size, NULL, 0, error);

    return status == BTS_OK ? reply_plan_add(&write->plan, REPLY_OK, 0, error) : status;
}

static enum bts_status bucket_rename_build(struct call *call, struct write *write,
                                           struct bts_error *error)
{
    const struct bts_bytes *from = &call->parts[2];
    const struct bts_bytes *to = &call->parts[3];
    enum bts_status status = bucket_check_name(to, error);

    if (status == BTS_OK) {
        status = batch_add(&write->batch, BATCH_BUCKET_RENAME, 0, from->data, from->size, to->data,
                           to->size, error);
    }
    return status == BTS_OK ? reply_plan_add(&write->plan, REPLY_OK, 0, error) : status;
}

/* ---- looking --------------------------------------------------------------------- */

/* Per bucket: name, number, entries. */
static void bucket_list(struct call *call)
{
    struct tree_view directory = commit_latest(call->server->commit);
    struct resp_buffer *body = call_scratch(call);
    struct cursor cursor;
    struct bucket_record record;
    struct bts_bytes name, value;
    struct bts_error error;
    enum bts_status status;
    size_t count = 0;

    cursor_init(&cursor, &directory);
    while ((status = cursor_next(&cursor, &name, &value, &error)) == BTS_OK) {
        status = bucket_record_decode(value.data, value.size, &record, &error);
        if (status != BTS_OK) {
            break;
        }
        resp_array(body, 3);
        resp_bulk(body, name.data, name.size);
        resp_number(body, (int64_t)record.id);
        resp_number(body, (int64_t)record.entry_count);
        count++;
    }
    if (status != BTS_END) {
        call_failed(call, &error);
        return;
    }
    resp_array(call->out, count);
    resp_append(call->out, body->data, body->size);
    call->out->failed = call->out->failed || body->failed;
}

static void bucket_pair(struct call *call, const char *name, uint64_t number)
{
    resp_text(call->out, name);
    resp_number(call->out, (int64_t)number);
}

static void bucket_info(struct call *call)
{
    struct named_bucket bucket;
    struct bts_error error;

    if (call_find_bucket(call, &call->parts[2], &bucket, &error) != BTS_OK) {
        call_failed(call, &error);
        return;
    }
    resp_map(call->out, 8, call->version);
    resp_text(call->out, "name");
    resp_bulk(call->out, bucket.name, bucket.name_size);
    bucket_pair(call, "id", bucket.record.id);
    bucket_pair(call, "entries", bucket.record.entry_count);
    bucket_pair(call, "depth", bucket.record.depth);
    bucket_pair(call, "leaf_pages", bucket.record.leaf_pages);
    bucket_pair(call, "inner_pages", bucket.record.inner_pages);
    bucket_pair(call, "run_pages", bucket.record.run_pages);
    bucket_pair(call, "created_txnid", bucket.record.created);
}

static const struct command bucket_subcommands[] = {
    {"create", 3, COMMAND_WRITE, 0, 0, 0, NULL, bucket_create_build, NULL},
    {"drop", 3, COMMAND_WRITE, 0, 0, 0, NULL, bucket_drop_build, NULL},
    {"rename", 4, COMMAND_WRITE, 0, 0, 0, NULL, bucket_rename_build, NULL},
    {"list", 2, COMMAND_READ, 0, 0, 0, bucket_list, NULL, NULL},
    {"info", 3, COMMAND_READ, 0, 0, 0, bucket_info, NULL, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

const struct command commands_bucket[] = {
    {"bts.bucket", -2, COMMAND_WRITE, 0, 0, 0, NULL, NULL, bucket_subcommands},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
