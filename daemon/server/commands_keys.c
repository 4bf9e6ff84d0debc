/* SPDX-License-Identifier: MIT */
/*
 * commands_keys: values by key.
 *
 * Reads run against the newest published state; within MULTI they are built
 * into the batch, and so read what the transaction has written so far.
 */
#include "server/commands.h"

#include "base/bytes.h"
#include "base/err.h"
#include "read/bucket.h"

#include <string.h>
#include <strings.h>

/* ---- reading --------------------------------------------------------------------- */

/*
 * Finds the value of part `index` in the session's bucket.  A failure other
 * than BTS_NOT_FOUND is answered.
 */
static enum bts_status keys_get(struct call *call, size_t index, struct bts_bytes *value)
{
    struct tree_view view;
    struct bts_error error;
    enum bts_status status = call_session_bucket(call, &view, &error);

    if (status == BTS_OK) {
        status = tree_get(&view, call->parts[index].data, call->parts[index].size, value, &error);
    }
    if (status != BTS_OK && status != BTS_NOT_FOUND) {
        call_failed(call, &error);
    }
    return status;
}

static void keys_get_run(struct call *call)
{
    struct bts_bytes value;
    enum bts_status status = keys_get(call, 1, &value);

    if (status == BTS_OK) {
        resp_bulk(call->out, value.data, value.size);
    } else if (status == BTS_NOT_FOUND) {
        resp_null(call->out, call->version);
    }
}

static void keys_strlen_run(struct call *call)
{
    struct bts_bytes value;
    enum bts_status status = keys_get(call, 1, &value);

    if (status == BTS_OK || status == BTS_NOT_FOUND) {
        resp_number(call->out, status == BTS_OK ? (int64_t)value.size : 0);
    }
}

static void keys_type_run(struct call *call)
{
    struct bts_bytes value;
    enum bts_status status = keys_get(call, 1, &value);

    if (status == BTS_OK || status == BTS_NOT_FOUND) {
        resp_simple(call->out, status == BTS_OK ? "string" : "none");
    }
}

/* One damaged page fails the whole command: a reply that lacks a value would be a lie. */
static void keys_mget_run(struct call *call)
{
    size_t before = call->out->size;
    struct tree_view view;
    struct bts_error error;
    enum bts_status status = call_session_bucket(call, &view, &error);

    resp_array(call->out, call->part_count - 1);
    for (size_t i = 1; status == BTS_OK && i < call->part_count; i++) {
        struct bts_bytes value;
        status = tree_get(&view, call->parts[i].data, call->parts[i].size, &value, &error);
        if (status == BTS_OK) {
            resp_bulk(call->out, value.data, value.size);
        } else if (status == BTS_NOT_FOUND) {
            resp_null(call->out, call->version);
            status = BTS_OK;
        }
        if (call->out->size - before > SESSION_REPLY_MAX) {
            break; /* the caller makes an error of it */
        }
    }
    if (status != BTS_OK) {
        call->out->size = before;
        call_failed(call, &error);
    }
}

static void keys_exists_run(struct call *call)
{
    struct tree_view view;
    struct bts_error error;
    enum bts_status status = call_session_bucket(call, &view, &error);
    int64_t found = 0;

    for (size_t i = 1; status == BTS_OK && i < call->part_count; i++) {
        struct bts_bytes value;
        status = tree_get(&view, call->parts[i].data, call->parts[i].size, &value, &error);
        found += status == BTS_OK;
        status = status == BTS_NOT_FOUND ? BTS_OK : status;
    }
    if (status == BTS_OK) {
        resp_number(call->out, found);
    } else {
        call_failed(call, &error);
    }
}

/* ---- reading within MULTI -------------------------------------------------------- */

static enum bts_status keys_build_gets(struct call *call, struct write *write,
                                       enum reply_kind kind, struct bts_error *error)
{
    for (size_t i = 1; i < call->part_count; i++) {
        enum bts_status status =
            call_add(call, write, BATCH_GET, 0, &call->parts[i], NULL, 0, error);
        if (status != BTS_OK) {
            return status;
        }
    }
    return reply_plan_add(&write->plan, kind, call->part_count - 1, error);
}

static enum bts_status keys_get_build(struct call *call, struct write *write,
                                      struct bts_error *error)
{
    return keys_build_gets(call, write, REPLY_VALUE, error);
}

static enum bts_status keys_mget_build(struct call *call, struct write *write,
                                       struct bts_error *error)
{
    return keys_build_gets(call, write, REPLY_VALUES, error);
}

static enum bts_status keys_exists_build(struct call *call, struct write *write,
                                         struct bts_error *error)
{
    return keys_build_gets(call, write, REPLY_PRESENT, error);
}

static enum bts_status keys_strlen_build(struct call *call, struct write *write,
                                         struct bts_error *error)
{
    return keys_build_gets(call, write, REPLY_SIZE, error);
}

static enum bts_status keys_type_build(struct call *call, struct write *write,
                                       struct bts_error *error)
{
    return keys_build_gets(call, write, REPLY_TYPE, error);
}

/* ---- SET and its kin ------------------------------------------------------------- */

static enum bts_status keys_put(struct call *call, struct write *write, size_t key, size_t value,
                                unsigned flags, struct bts_error *error)
{
    return call_add(call, write, BATCH_PUT, flags, &call->parts[key], call->parts[value].data,
                    call->parts[value].size, error);
}

static enum bts_status keys_put_one(struct call *call, struct write *write, unsigned flags,
                                    enum reply_kind kind, struct bts_error *error)
{
    enum bts_status status = keys_put(call, write, 1, 2, flags, error);

    return status == BTS_OK ? reply_plan_add(&write->plan, kind, 1, error) : status;
}

/* The options behind SET key value. */
static enum bts_status keys_set_flags(const struct call *call, unsigned *flags,
                                      struct bts_error *error)
{
    static const char *const expiries[] = {"EX", "PX", "EXAT", "PXAT", "KEEPTTL"};

    *flags = 0;
    for (size_t i = 3; i < call->part_count; i++) {
        const struct bts_bytes *part = &call->parts[i];
        for (size_t j = 0; j < sizeof(expiries) / sizeof(expiries[0]); j++) {
            if (part->size == strlen(expiries[j]) &&
                strncasecmp(part->data, expiries[j], part->size) == 0) {
                return err_set(error, BTS_INVALID,
                               "SET: option %s: keys that expire are not supported yet",
                               expiries[j]);
            }
        }
        unsigned flag = call_word_is(part, "nx")    ? BATCH_IF_ABSENT
                        : call_word_is(part, "xx")  ? BATCH_IF_PRESENT
                        : call_word_is(part, "get") ? BATCH_RETURN
                                                    : 0;
        *flags |= flag;
        if (flag == 0 || (*flags & BATCH_IF_ABSENT && *flags & BATCH_IF_PRESENT)) {
            return err_set(error, BTS_INVALID, "syntax error");
        }
    }
    return BTS_OK;
}

static enum bts_status keys_set_build(struct call *call, struct write *write,
                                      struct bts_error *error)
{
    unsigned flags = 0;
    enum bts_status status = keys_set_flags(call, &flags, error);

    if (status != BTS_OK) {
        return status;
    }
    status = keys_put(call, write, 1, 2, flags, error);
    if (status != BTS_OK) {
        return status;
    }
    enum reply_kind kind = (flags & BATCH_RETURN) != 0 ? REPLY_VALUE
                           : flags != 0                ? REPLY_OK_OR_NULL
                                                       : REPLY_OK;
    return reply_plan_add(&write->plan, kind, 1, error);
}

static enum bts_status keys_setnx_build(struct call *call, struct write *write,
                                        struct bts_error *error)
{
    return keys_put_one(call, write, BATCH_IF_ABSENT, REPLY_FLAG, error);
}

static enum bts_status keys_getset_build(struct call *call, struct write *write,
                                         struct bts_error *error)
{
    return keys_put_one(call, write, BATCH_RETURN, REPLY_VALUE, error);
}

static enum bts_status keys_mset_build(struct call *call, struct write *write,
                                       struct bts_error *error)
{
    if (call->part_count % 2 == 0) {
        return err_set(error, BTS_INVALID, "wrong number of arguments for 'mset' command");
    }
    for (size_t i = 1; i < call->part_count; i += 2) {
        enum bts_status status = keys_put(call, write, i, i + 1, 0, error);
        if (status != BTS_OK) {
            return status;
        }
    }
    return reply_plan_add(&write->plan, REPLY_OK, 0, error);
}

/* ---- deleting -------------------------------------------------------------------- */

static enum bts_status keys_del_build(struct call *call, struct write *write,
                                      struct bts_error *error)
{
    for (size_t i = 1; i < call->part_count; i++) {
        enum bts_status status =
            call_add(call, write, BATCH_DELETE, BATCH_RETURN, &call->parts[i], NULL, 0, error);
        if (status != BTS_OK) {
            return status;
        }
    }
    return reply_plan_add(&write->plan, REPLY_SUM, call->part_count - 1, error);
}

static enum bts_status keys_getdel_build(struct call *call, struct write *write,
                                         struct bts_error *error)
{
    enum bts_status status = call_add(call, write, BATCH_GET, 0, &call->parts[1], NULL, 0, error);

    if (status == BTS_OK) {
        status = call_add(call, write, BATCH_DELETE, 0, &call->parts[1], NULL, 0, error);
    }
    return status == BTS_OK ? reply_plan_add(&write->plan, REPLY_VALUE, 1, error) : status;
}

static enum bts_status keys_flushdb_build(struct call *call, struct write *write,
                                          struct bts_error *error)
{
    if (call->part_count > 2 ||
        (call->part_count == 2 && !call_part_is(call, 1, "async") &&
         !call_part_is(call, 1, "sync"))) {
        return err_set(error, BTS_INVALID, "syntax error");
    }
    enum bts_status status = call_add(call, write, BATCH_DELETE_RANGE,
                                      BATCH_OPEN_FROM | BATCH_OPEN_TO, NULL, NULL, 0, error);
    return status == BTS_OK ? reply_plan_add(&write->plan, REPLY_OK, 0, error) : status;
}

/* ---- counting -------------------------------------------------------------------- */

static enum bts_status keys_add_build(struct call *call, struct write *write, int64_t delta,
                                      struct bts_error *error)
{
    uint8_t bytes[8];

    bytes_store_u64(bytes, (uint64_t)delta);
    enum bts_status status = call_add(call, write, BATCH_INCREMENT, BATCH_RETURN, &call->parts[1],
                                      bytes, sizeof(bytes), error);
    return status == BTS_OK ? reply_plan_add(&write->plan, REPLY_NUMBER, 1, error) : status;
}

static enum bts_status keys_delta(const struct call *call, int64_t *delta,
                                  struct bts_error *error)
{
    if (!call_number(&call->parts[2], delta)) {
        return err_set(error, BTS_INVALID, "value is not an integer or out of range");
    }
    return BTS_OK;
}

static enum bts_status keys_incr_build(struct call *call, struct write *write,
                                       struct bts_error *error)
{
    return keys_add_build(call, write, 1, error);
}

static enum bts_status keys_decr_build(struct call *call, struct write *write,
                                       struct bts_error *error)
{
    return keys_add_build(call, write, -1, error);
}

static enum bts_status keys_incrby_build(struct call *call, struct write *write,
                                         struct bts_error *error)
{
    int64_t delta = 0;
    enum bts_status status = keys_delta(call, &delta, error);

    return status == BTS_OK ? keys_add_build(call, write, delta, error) : status;
}

static enum bts_status keys_decrby_build(struct call *call, struct write *write,
                                         struct bts_error *error)
{
    int64_t delta = 0;
    enum bts_status status = keys_delta(call, &delta, error);

    if (status == BTS_OK && delta == INT64_MIN) {
        status = err_set(error, BTS_INVALID, "decrement would overflow");
    }
    return status == BTS_OK ? keys_add_build(call, write, -delta, error) : status;
}

const struct command commands_keys[] = {
    {"get", 2, COMMAND_READ, 1, 1, 1, keys_get_run, keys_get_build, NULL},
    {"set", -3, COMMAND_WRITE, 1, 1, 1, NULL, keys_set_build, NULL},
    {"mget", -2, COMMAND_READ, 1, -1, 1, keys_mget_run, keys_mget_build, NULL},
    {"mset", -3, COMMAND_WRITE, 1, -1, 2, NULL, keys_mset_build, NULL},
    {"del", -2, COMMAND_WRITE, 1, -1, 1, NULL, keys_del_build, NULL},
    {"unlink", -2, COMMAND_WRITE, 1, -1, 1, NULL, keys_del_build, NULL},
    {"exists", -2, COMMAND_READ, 1, -1, 1, keys_exists_run, keys_exists_build, NULL},
    {"incr", 2, COMMAND_WRITE, 1, 1, 1, NULL, keys_incr_build, NULL},
    {"decr", 2, COMMAND_WRITE, 1, 1, 1, NULL, keys_decr_build, NULL},
    {"incrby", 3, COMMAND_WRITE, 1, 1, 1, NULL, keys_incrby_build, NULL},
    {"decrby", 3, COMMAND_WRITE, 1, 1, 1, NULL, keys_decrby_build, NULL},
    {"setnx", 3, COMMAND_WRITE, 1, 1, 1, NULL, keys_setnx_build, NULL},
    {"getset", 3, COMMAND_WRITE, 1, 1, 1, NULL, keys_getset_build, NULL},
    {"getdel", 2, COMMAND_WRITE, 1, 1, 1, NULL, keys_getdel_build, NULL},
    {"strlen", 2, COMMAND_READ, 1, 1, 1, keys_strlen_run, keys_strlen_build, NULL},
    {"type", 2, COMMAND_READ, 1, 1, 1, keys_type_run, keys_type_build, NULL},
    {"flushdb", -1, COMMAND_WRITE, 0, 0, 0, NULL, keys_flushdb_build, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
