/* SPDX-License-Identifier: MIT */
/*
 * store: what an open store is made of, shared by the files of this room.
 *
 * Reading uses `mark` and `attachment` and nothing else: no lock.
 * Writing uses `pipeline`, tools (readers, checkpoint ...) use `tool`.
 *
 * Locks, in the order in which one thread may take them:
 *   look.lock (only tried) -> pipeline.lock -> adopt_lock -> the fork lock
 *   tool_lock -> the fork lock
 */
#ifndef CLIENT_STORE_H
#define CLIENT_STORE_H

#include "client/attach.h"
#include "client/pipeline.h"

#include <pthread.h>

#define STORE_TIMEOUT_MS 30000u

/* The look at the socket, once a second at most. */
struct look {
    pthread_mutex_t lock;          /* only ever tried: whoever comes second need not look */
    _Atomic uint64_t due_ms;       /* coarse monotonic clock; relaxed: a hint */
    struct connection connection;  /* attaching anew, without waiting */
    struct attach attach;
    bool is_attaching;
};

struct bts_store {
    fork_mark *mark;
    _Atomic(struct attachment *) attachment; /* the newest; see attachment.h for the orders */

    char *name;         /* as the caller gave it: begins every error text */
    char *file_path;    /* absolute; NULL: the caller gave a socket */
    char *socket_path;  /* absolute: FILE_PATH.socket, or what the caller gave */
    char *served_by;    /* the socket behind it, for bts_store_socket; "" when alone */
    char *daemon_path;
    unsigned flags;
    unsigned timeout_ms;
    uint64_t span;
    pid_t owner;        /* the process that opened it */

    pthread_mutex_t adopt_lock;
    struct look look;
    struct pipeline pipeline;
    pthread_mutex_t tool_lock;
    struct connection tool;
};

static inline bool store_is_alone(const struct bts_store *store)
{
    return (store->flags & BTS_OPEN_ALONE) != 0;
}

/* BTS_FORKED for all but the process that opened the store. */
BTS_MUST_USE enum bts_status store_check_fork(const struct bts_store *store,
                                              struct bts_error *error);

/* Puts the store's name before the text; returns `status`. */
enum bts_status store_failed(const struct bts_store *store, enum bts_status status,
                             struct bts_error *error);

/* A plain connection to the daemon; starts none.  Texts are without the store's name. */
BTS_MUST_USE enum bts_status store_connect(const struct bts_store *store,
                                           struct connection *connection, uint64_t deadline,
                                           struct bts_error *error);

/*
 * Connects and attaches, starting a private daemon where the options allow it,
 * and adopts the attachment.  On failure the connection is closed.
 */
BTS_MUST_USE enum bts_status store_attach(struct bts_store *store, struct connection *connection,
                                          uint64_t deadline, struct bts_error *error);

/*
 * Makes a fresh attachment the store's newest one; or, when it belongs to the
 * run directory that the newest one is of, drops it: a daemon's restart changes
 * nothing for readers.  Owns it from then on.
 */
void store_adopt(struct bts_store *store, struct attachment *attachment);

/* The daemon was seen alive just now: the first look is due in a second. */
void look_begin(struct bts_store *store);

/* Looks at the socket if a second has passed; never waits. */
void look_if_due(struct bts_store *store);

#endif
