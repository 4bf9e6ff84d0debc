/* SPDX-License-Identifier: MIT */
/*
 * ticket: a session that waits for a checkpoint, or keeps one pinned.
 *
 *   waiting -- durable --> answered -- PIN: until the connection closes --> freed
 */
#ifndef SERVER_TICKET_H
#define SERVER_TICKET_H

#include "commit/commit.h"

struct server;
struct session;

struct ticket {
    struct commit_checkpoint checkpoint;
    struct session *session;
    bool waiting;
    struct ticket *next;
    struct ticket **link;
};

/* Has the session wait for a checkpoint, which it then keeps pinned if `pin`. */
BTS_MUST_USE enum bts_status ticket_open(struct session *session, bool pin,
                                         struct bts_error *error);

/* Lets go of the session's ticket and its pin; without one it does nothing. */
void ticket_close(struct session *session);

/* Whether the session waits for one. */
bool ticket_waits(const struct session *session);

/* Answers the sessions whose checkpoints are durable; for when the engine's event fired. */
void tickets_settle(struct server *server);

#endif
