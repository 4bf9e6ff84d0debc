/* SPDX-License-Identifier: MIT */
/*
 * reply: how the results of a batch become the replies of the commands that
 * made it.
 *
 * A plan has one item for each command in the batch (one, or as many as a
 * MULTI queued), in order; each item says how many of the batch's results are
 * the command's, and what its reply makes of them.
 */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include "commit/commit.h"
#include "format/resp.h"

enum reply_kind {
    REPLY_OK,         /* takes no result: +OK */
    REPLY_TXNID,      /* takes none: the number of the commit */
    REPLY_LOCAL,      /* takes none: one log is synced, and no replica: 1, 0 */
    REPLY_OK_OR_NULL, /* PUT with a mode: +OK, or null if it was skipped */
    REPLY_FLAG,       /* PUT with a mode: 1, or 0 if it was skipped */
    REPLY_VALUE,      /* the value, or null */
    REPLY_VALUES,     /* an array of `count` values */
    REPLY_NUMBER,     /* the number */
    REPLY_SUM,        /* the sum of `count` numbers */
    REPLY_PRESENT,    /* how many of `count` keys were there */
    REPLY_SIZE,       /* bytes of the value, 0 if absent */
    REPLY_TYPE,       /* +string or +none */
};

struct reply_item {
    enum reply_kind kind;
    uint32_t count; /* results taken */
};

/* Zero it to start; owns `items`. */
struct reply_plan {
    struct reply_item *items;
    size_t count;
    size_t room;
    bool is_array; /* the replies of an EXEC */
};

void reply_plan_fini(struct reply_plan *plan);
void reply_plan_clear(struct reply_plan *plan);
BTS_MUST_USE enum bts_status reply_plan_add(struct reply_plan *plan, enum reply_kind kind,
                                            size_t count, struct bts_error *error);

/* Appends the reply to a finished request: what was planned, or its error. */
void reply_write(const struct reply_plan *plan, const struct commit_request *request,
                 unsigned version, struct resp_buffer *out);

#endif
