/* SPDX-License-Identifier: MIT */
/*
 * attach: ask a daemon for the three descriptors and make an attachment of them.
 *
 * The descriptors come with the first byte of the reply; they are mapped under
 * the fork lock in the same breath (DESIGN, "Attach"), the text is read after.
 */
#ifndef CLIENT_ATTACH_H
#define CLIENT_ATTACH_H

#include "client/attachment.h"
#include "client/connection.h"

/* An attach under way. */
struct attach {
    struct connection *connection;   /* fresh: nothing else was asked on it */
    uint64_t span;                   /* for map_open */
    struct attachment *attachment;   /* as soon as the descriptors came; the owner takes it */
};

/* Sends the request. */
BTS_MUST_USE enum bts_status attach_begin(struct attach *attach, struct connection *connection,
                                          uint64_t span, struct bts_error *error);

/*
 * Takes in what came, without waiting.  *done: attach->attachment is whole and
 * checked.  On failure attach_abort is to be called.
 */
BTS_MUST_USE enum bts_status attach_step(struct attach *attach, bool *done,
                                         struct bts_error *error);

/* Begin and steps, waiting until the deadline.  On failure nothing is left. */
BTS_MUST_USE enum bts_status attach_wait(struct connection *connection, uint64_t span,
                                         uint64_t deadline, struct attachment **attachment,
                                         struct bts_error *error);

void attach_abort(struct attach *attach);

#endif
