/* SPDX-License-Identifier: MIT */
/*
 * pipeline: commits on one connection, many at a time, replies in order.
 *
 * A commit gets a ticket before its first byte is sent; the tickets that wait
 * for replies form a queue in the order of sending.  Threads share two roles:
 * one sends (the others wait for their turn), one waits for replies (the
 * others wait to be told).  The lock is never held while waiting for the peer.
 *
 *   free -> queued      pipeline_submit
 *   queued -> done      its reply came; or the connection broke:
 *                       BTS_UNKNOWN, or BTS_UNAVAILABLE if it was not sent in full
 *   done -> free        pipeline_wait
 *
 * Invariants
 *  (1) Nothing is ever sent twice.
 *  (2) Who sends also takes in replies when nobody else does, so two full
 *      socket buffers cannot stop both sides.
 *  (3) A descriptor is closed only when no thread polls it: a broken
 *      connection is shut down first, which wakes them.
 */
#ifndef CLIENT_PIPELINE_H
#define CLIENT_PIPELINE_H

#include "client/connection.h"

#include <pthread.h>

#define PIPELINE_TICKETS 1024u

enum pipeline_state {
    PIPELINE_FREE = 0,
    PIPELINE_QUEUED,
    PIPELINE_DONE,
};

struct pipeline_ticket {
    uint64_t number;   /* what the caller holds: generation * PIPELINE_TICKETS + index */
    enum pipeline_state state;
    enum bts_status status;
    uint64_t txnid;
    bool is_sent;      /* every byte of it was handed to the kernel */
    char *text;        /* of a failure; owned; NULL: none, or no memory for it */
};

struct pipeline {
    pthread_mutex_t lock;
    pthread_cond_t changed;  /* a ticket is done, a role is free, polls is 0 */
    struct connection connection;
    bool is_connected;       /* else it is closed, or broken and waits for its pollers */
    bool is_sending;         /* the role is taken */
    bool is_receiving;       /* the role is taken */
    unsigned polls;          /* threads that poll the descriptor outside the lock */
    /* Three arrays of PIPELINE_TICKETS, one piece of memory; NULL before the first commit. */
    struct pipeline_ticket *tickets;
    uint32_t *unused;        /* stack of free tickets */
    uint32_t *queue;         /* ring of queued tickets */
    uint32_t unused_count;
    uint32_t queue_first;
    uint32_t queue_count;
};

struct bts_store;

BTS_MUST_USE enum bts_status pipeline_init(struct pipeline *pipeline, struct bts_error *error);
/* No thread may be inside; in a fork child it only frees. */
void pipeline_fini(struct pipeline *pipeline);

/*
 * Sends one batch, connecting first if need be; `relaxed`: its outcome need not
 * be durable.  BTS_UNAVAILABLE: nothing of it was applied.  BTS_BUSY: all
 * tickets are out.
 */
BTS_MUST_USE enum bts_status pipeline_submit(struct bts_store *store, const void *batch,
                                             size_t batch_size, bool relaxed, uint64_t deadline,
                                             uint64_t *ticket, struct bts_error *error);

/* The outcome; BTS_TIMEOUT leaves the ticket valid.  BTS_INVALID: no such ticket. */
BTS_MUST_USE enum bts_status pipeline_wait(struct pipeline *pipeline, uint64_t ticket,
                                           uint64_t deadline, uint64_t *txnid,
                                           struct bts_error *error);

/* Gives up on the connection: everything queued is BTS_UNKNOWN. */
void pipeline_break(struct pipeline *pipeline);

/*
 * Whether the connection is sound, as far as can be told without waiting; one
 * that is not is given up.  When the pipeline is busy it is.
 */
bool pipeline_look(struct pipeline *pipeline);

/* Takes over a sound connection if there is none; else closes it. */
void pipeline_offer(struct pipeline *pipeline, struct connection *connection);

#endif
