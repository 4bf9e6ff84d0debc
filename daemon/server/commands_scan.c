/* SPDX-License-Identifier: MIT */
/*
 * commands_scan: many keys at a time.
 *
 *   SCAN cursor [MATCH pattern] [COUNT n] [TYPE t]
 *   KEYS pattern               DBSIZE
 *   BTS.RANGE bucket from to [LIMIT n] [REVERSE]
 *                              key, value, key, value ..; bounds as in ZRANGEBYLEX: "[key" with
 *                              the key, "(key" without it, "-" and "+" the two ends
 *
 * All run against the newest state.  SCAN goes on at the key it stopped
 * before, in whatever state is newest then: a key that is there all the time
 * is returned exactly once.
 *
 * Patterns come from anybody: they are bounded in size, and a walk looks at
 * the clock, so that none holds up the other clients for long.
 */
#include "server/commands.h"

#include "base/bytes.h"
#include "base/err.h"
#include "read/bucket.h"
#include "read/cursor.h"
#include "server/glob.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_COUNT_DEFAULT 10
#define SCAN_COUNT_MAX 10000
#define SCAN_PATTERN_MAX 4096u
#define SCAN_TIME_MS 50u   /* a SCAN that took so long returns what it has */
#define KEYS_TIME_MS 1000u /* a KEYS that took so long is an error */
#define SCAN_CLOCK_EVERY 256u

/* ---- a walk over keys that match ------------------------------------------------- */

struct scan {
    struct tree_view view;
    struct cursor cursor;
    const struct bts_bytes *pattern; /* NULL: every key */
    uint8_t prefix[SCAN_PATTERN_MAX];
    struct bts_bytes from;           /* first key to look at; NULL: the first there is */
    bool types_match;                /* TYPE string, or none given */
    int64_t left;                    /* keys to look at */
    uint64_t end_ms;
    unsigned until_clock;
    size_t found;
    struct bts_bytes stopped_at;     /* the first key not looked at; NULL: it got to the end */
    bool out_of_time;
};

static enum bts_status scan_begin(struct call *call, struct scan *scan, struct bts_error *error)
{
    enum bts_status status = call_session_bucket(call, &scan->view, error);

    if (status != BTS_OK) {
        return status;
    }
    cursor_init(&scan->cursor, &scan->view);
    if (scan->pattern != NULL) {
        size_t size = glob_prefix(scan->pattern->data, scan->pattern->size, scan->prefix);
        if (size > 0) {
            cursor_set_prefix(&scan->cursor, (struct bts_bytes){scan->prefix, size});
        }
    }
    return BTS_OK;
}

static enum bts_status scan_first(struct scan *scan, struct bts_bytes *key,
                                  struct bts_error *error)
{
    if (scan->from.data == NULL) {
        return cursor_first(&scan->cursor, key, NULL, error);
    }
    return cursor_seek(&scan->cursor, scan->from.data, scan->from.size, key, NULL, error);
}

/* Whether the walk must stop before its next key. */
static bool scan_must_stop(struct scan *scan)
{
    if (scan->left <= 0) {
        return true;
    }
    if (++scan->until_clock % SCAN_CLOCK_EVERY == 0 && server_now_ms() >= scan->end_ms) {
        scan->out_of_time = true;
    }
    return scan->out_of_time;
}

/* Appends the keys that match to `out` as bulk strings, until the end or a limit. */
static enum bts_status scan_walk(struct scan *scan, struct resp_buffer *out,
                                 struct bts_error *error)
{
    struct bts_bytes key;
    enum bts_status status = scan_first(scan, &key, error);

    for (; status == BTS_OK; status = cursor_next(&scan->cursor, &key, NULL, error)) {
        if (scan_must_stop(scan) || out->size > SESSION_REPLY_MAX) {
            scan->stopped_at = key;
            return BTS_OK;
        }
        scan->left--;
        if (scan->types_match &&
            (scan->pattern == NULL || glob_match(scan->pattern->data, scan->pattern->size,
                                                 key.data, key.size, false))) {
            resp_bulk(out, key.data, key.size);
            scan->found++;
        }
    }
    return status == BTS_END ? BTS_OK : status;
}

/* ---- SCAN ------------------------------------------------------------------------ */

static enum bts_status scan_set_pattern(struct scan *scan, const struct bts_bytes *pattern,
                                        struct bts_error *error)
{
    if (pattern->size > SCAN_PATTERN_MAX) {
        return err_set(error, BTS_LIMIT, "a pattern has %u bytes at most, not %zu",
                       SCAN_PATTERN_MAX, pattern->size);
    }
    bool is_all = pattern->size == 1 && *(const char *)pattern->data == '*';
    scan->pattern = is_all ? NULL : pattern;
    return BTS_OK;
}

static enum bts_status scan_options(struct call *call, struct scan *scan, struct bts_error *error)
{
    for (size_t i = 2; i < call->part_count; i += 2) {
        enum bts_status status = BTS_OK;
        if (i + 1 == call->part_count) {
            return err_set(error, BTS_INVALID, "syntax error");
        }
        if (call_part_is(call, i, "match")) {
            status = scan_set_pattern(scan, &call->parts[i + 1], error);
        } else if (call_part_is(call, i, "count")) {
            if (!call_number(&call->parts[i + 1], &scan->left)) {
                status = err_set(error, BTS_INVALID, "value is not an integer or out of range");
            } else if (scan->left < 1) {
                status = err_set(error, BTS_INVALID, "syntax error");
            }
        } else if (call_part_is(call, i, "type")) {
            scan->types_match = call_part_is(call, i + 1, "string");
        } else {
            status = err_set(error, BTS_INVALID, "syntax error");
        }
        if (status != BTS_OK) {
            return status;
        }
    }
    scan->left = scan->left < SCAN_COUNT_MAX ? scan->left : SCAN_COUNT_MAX;
    return BTS_OK;
}

/* Cursor 0 begins; any other one is looked up. */
static enum bts_status scan_resume(struct call *call, struct scan *scan, struct bts_error *error)
{
    int64_t id = 0;

    if (!call_number(&call->parts[1], &id) || id < 0) {
        return err_set(error, BTS_INVALID, "invalid cursor");
    }
    if (id == 0) {
        return BTS_OK;
    }
    return scan_table_find(&call->server->scans, (uint64_t)id, call->session->bucket_id,
                           &scan->from, error);
}

static enum bts_status scan_run(struct call *call, struct scan *scan, uint64_t *next,
                                struct bts_error *error)
{
    enum bts_status status = scan_options(call, scan, error);

    *next = 0;
    if (status == BTS_OK) {
        status = scan_resume(call, scan, error);
    }
    if (status == BTS_OK) {
        status = scan_begin(call, scan, error);
    }
    if (status == BTS_OK) {
        status = scan_walk(scan, call_scratch(call), error);
    }
    if (status == BTS_OK && scan->stopped_at.data != NULL) {
        status = scan_table_add(&call->server->scans, call->session->bucket_id,
                                scan->stopped_at.data, scan->stopped_at.size, next, error);
    }
    return status;
}

static void scan_scan(struct call *call)
{
    struct scan scan = {.types_match = true,
                        .left = SCAN_COUNT_DEFAULT,
                        .end_ms = server_now_ms() + SCAN_TIME_MS};
    struct resp_buffer *found = &call->server->scratch;
    struct bts_error error;
    char cursor[24];
    uint64_t next = 0;

    if (scan_run(call, &scan, &next, &error) != BTS_OK) {
        call_failed(call, &error);
        return;
    }
    snprintf(cursor, sizeof(cursor), "%" PRIu64, next);
    resp_array(call->out, 2);
    resp_text(call->out, cursor);
    resp_array(call->out, scan.found);
    resp_append(call->out, found->data, found->size);
    call->out->failed = call->out->failed || found->failed;
}

static void scan_keys(struct call *call)
{
    struct scan scan = {
        .types_match = true, .left = INT64_MAX, .end_ms = server_now_ms() + KEYS_TIME_MS};
    struct resp_buffer *found = call_scratch(call);
    struct bts_error error;
    enum bts_status status = scan_set_pattern(&scan, &call->parts[1], &error);

    if (status == BTS_OK) {
        status = scan_begin(call, &scan, &error);
    }
    if (status == BTS_OK) {
        status = scan_walk(&scan, found, &error);
    }
    if (status == BTS_OK && scan.stopped_at.data != NULL) {
        status = err_set(&error, BTS_LIMIT, "KEYS: there are too many keys; use SCAN");
    }
    if (status != BTS_OK) {
        call_failed(call, &error);
        return;
    }
    resp_array(call->out, scan.found);
    resp_append(call->out, found->data, found->size);
    call->out->failed = call->out->failed || found->failed;
}

/* ---- DBSIZE ---------------------------------------------------------------------- */

static void scan_dbsize(struct call *call)
{
    struct named_bucket bucket;
    struct bts_error error;
    struct tree_view directory = commit_latest(call->server->commit);

    if (bucket_find_id(&directory, call->session->bucket_id, &bucket.record, NULL, NULL, &error) !=
        BTS_OK) {
        call_failed(call, &error);
        return;
    }
    resp_number(call->out, (int64_t)bucket.record.entry_count);
}

/* ---- BTS.RANGE ------------------------------------------------------------------- */

struct range {
    struct bts_bytes bounds[2]; /* from <= key < to; NULL: open */
    uint8_t *memory[2];         /* of a bound that is a key and a zero byte */
    int64_t limit;
    bool reverse;
};

/*
 * One bound.  "[key" as an upper and "(key" as a lower one include or exclude
 * the key itself: they are the key with a zero byte, the next key there can be.
 */
static enum bts_status range_bound(struct range *range, size_t side, const struct bts_bytes *word,
                                   struct bts_error *error)
{
    const char *text = word->data;
    struct bts_bytes key = {text + 1, word->size - 1};

    if (word->size == 1 && text[0] == (side == 0 ? '-' : '+')) {
        return BTS_OK;
    }
    if (word->size < 1 || (text[0] != '[' && text[0] != '(')) {
        return err_set(error, BTS_INVALID,
                       "a bound is [key or (key, or - for the first and + for the last key");
    }
    range->bounds[side] = key;
    if ((text[0] == '(') == (side == 0)) {
        range->memory[side] = malloc(key.size + 1);
        if (range->memory[side] == NULL) {
            return err_set(error, BTS_NO_MEMORY, "out of memory");
        }
        memcpy(range->memory[side], key.data, key.size);
        range->memory[side][key.size] = 0;
        range->bounds[side] = (struct bts_bytes){range->memory[side], key.size + 1};
    }
    return BTS_OK;
}

static enum bts_status range_options(struct call *call, struct range *range,
                                     struct bts_error *error)
{
    for (size_t i = 4; i < call->part_count; i++) {
        if (call_part_is(call, i, "reverse")) {
            range->reverse = true;
        } else if (call_part_is(call, i, "limit") && i + 1 < call->part_count &&
                   call_number(&call->parts[i + 1], &range->limit) && range->limit >= 0) {
            i++;
        } else {
            return err_set(error, BTS_INVALID,
                           "syntax error: BTS.RANGE bucket from to [LIMIT n] [REVERSE]");
        }
    }
    return BTS_OK;
}

/* Appends keys and values to `out`; *found counts both. */
static enum bts_status range_walk(const struct range *range, const struct tree_view *view,
                                  struct resp_buffer *out, size_t *found, struct bts_error *error)
{
    struct cursor cursor;
    struct bts_bytes key, value;
    int64_t left = range->limit;
    enum bts_status status = BTS_OK;

    cursor_init(&cursor, view);
    cursor_set_range(&cursor, range->bounds[0], range->bounds[1]);
    for (; left > 0 && out->size <= SESSION_REPLY_MAX; left--) {
        status = range->reverse ? cursor_prev(&cursor, &key, &value, error)
                                : cursor_next(&cursor, &key, &value, error);
        if (status != BTS_OK) {
            break;
        }
        resp_bulk(out, key.data, key.size);
        resp_bulk(out, value.data, value.size);
        *found += 2;
    }
    return status == BTS_END ? BTS_OK : status;
}

static enum bts_status range_run(struct call *call, struct range *range, size_t *found,
                                 struct bts_error *error)
{
    struct named_bucket bucket;
    enum bts_status status = call_find_bucket(call, &call->parts[1], &bucket, error);

    for (size_t side = 0; status == BTS_OK && side < 2; side++) {
        status = range_bound(range, side, &call->parts[2 + side], error);
    }
    if (status == BTS_OK) {
        status = range_options(call, range, error);
    }
    if (status == BTS_OK) {
        struct tree_view directory = commit_latest(call->server->commit);
        struct tree_view view = bucket_view(&directory, &bucket.record);
        status = range_walk(range, &view, call_scratch(call), found, error);
    }
    return status;
}

static void scan_range(struct call *call)
{
    struct range range = {.limit = INT64_MAX};
    const struct resp_buffer *body = &call->server->scratch;
    struct bts_error error;
    size_t found = 0;
    enum bts_status status = range_run(call, &range, &found, &error);

    free(range.memory[0]);
    free(range.memory[1]);
    if (status != BTS_OK) {
        call_failed(call, &error);
        return;
    }
    resp_array(call->out, found);
    resp_append(call->out, body->data, body->size);
    call->out->failed = call->out->failed || body->failed;
}

const struct command commands_scan[] = {
    {"scan", -2, COMMAND_READ, 0, 0, 0, scan_scan, NULL, NULL},
    {"keys", 2, COMMAND_READ, 0, 0, 0, scan_keys, NULL, NULL},
    {"dbsize", 1, COMMAND_READ, 0, 0, 0, scan_dbsize, NULL, NULL},
    {"bts.range", -4, COMMAND_READ, 0, 0, 0, scan_range, NULL, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
