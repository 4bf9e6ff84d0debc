/* SPDX-License-Identifier: MIT */
/*
 * reply: see reply.h.
 */
#include "server/reply.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_ROOM_KEPT 1024u

void reply_plan_fini(struct reply_plan *plan)
{
    free(plan->items);
    memset(plan, 0, sizeof(*plan));
}

void reply_plan_clear(struct reply_plan *plan)
{
    if (plan->room > REPLY_ROOM_KEPT) {
        reply_plan_fini(plan);
    }
    plan->count = 0;
    plan->is_array = false;
}

enum bts_status reply_plan_add(struct reply_plan *plan, enum reply_kind kind, size_t count,
                               struct bts_error *error)
{
    if (plan->count == plan->room) {
        size_t room = plan->room > 0 ? 2 * plan->room : 4;
        struct reply_item *grown = realloc(plan->items, room * sizeof(*grown));
        if (grown == NULL) {
            return err_set(error, BTS_NO_MEMORY, "out of memory");
        }
        plan->items = grown;
        plan->room = room;
    }
    plan->items[plan->count++] = (struct reply_item){kind, (uint32_t)count};
    return BTS_OK;
}

/* ---- results to replies ---------------------------------------------------------- */

/* The results of one batch, taken one after the other. */
struct reply_source {
    const struct apply_results *results;
    size_t next;
    unsigned version;
    struct resp_buffer *out;
};

static const struct apply_result *reply_take(struct reply_source *source)
{
    assert(source->next < source->results->count);
    return &source->results->entries[source->next++];
}

static void reply_value(struct reply_source *source)
{
    const struct apply_result *result = reply_take(source);

    if (result->type == APPLY_BYTES) {
        resp_bulk(source->out, source->results->bytes + result->offset, result->size);
    } else {
        resp_null(source->out, source->version);
    }
}

static void reply_sum(struct reply_source *source, const struct reply_item *item)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < item->count; i++) {
        const struct apply_result *result = reply_take(source);
        sum += item->kind == REPLY_SUM ? result->number : result->type == APPLY_BYTES;
    }
    resp_number(source->out, sum);
}

static void reply_ok_or_null(struct reply_source *source)
{
    if (reply_take(source)->type == APPLY_SKIPPED) {
        resp_null(source->out, source->version);
    } else {
        resp_simple(source->out, "OK");
    }
}

static void reply_item_write(struct reply_source *source, const struct reply_item *item,
                             txnid_t txnid)
{
    struct resp_buffer *out = source->out;

    switch (item->kind) {
    case REPLY_OK:
        resp_simple(out, "OK");
        break;
    case REPLY_TXNID:
        resp_number(out, (int64_t)txnid);
        break;
    case REPLY_LOCAL:
        resp_array(out, 2);
        resp_number(out, 1);
        resp_number(out, 0);
        break;
    case REPLY_OK_OR_NULL:
        reply_ok_or_null(source);
        break;
    case REPLY_FLAG:
        resp_number(out, reply_take(source)->type != APPLY_SKIPPED);
        break;
    case REPLY_VALUE:
        reply_value(source);
        break;
    case REPLY_VALUES:
        resp_array(out, item->count);
        for (uint32_t i = 0; i < item->count; i++) {
            reply_value(source);
        }
        break;
    case REPLY_NUMBER:
        resp_number(out, reply_take(source)->number);
        break;
    case REPLY_SUM:
    case REPLY_PRESENT:
        reply_sum(source, item);
        break;
    case REPLY_SIZE:
        resp_number(out, (int64_t)reply_take(source)->size);
        break;
    case REPLY_TYPE:
        resp_simple(out, reply_take(source)->type == APPLY_BYTES ? "string" : "none");
        break;
    }
}

void reply_write(const struct reply_plan *plan, const struct commit_request *request,
                 unsigned version, struct resp_buffer *out)
{
    struct reply_source source = {&request->results, 0, version, out};

    if (request->status != BTS_OK) {
        resp_status_error(out, request->status,
                          request->error.text[0] != '\0' ? request->error.text
                                                         : bts_status_name(request->status));
        return;
    }
    if (plan->is_array) {
        resp_array(out, plan->count);
    }
    for (size_t i = 0; i < plan->count; i++) {
        reply_item_write(&source, &plan->items[i], request->txnid);
    }
}
