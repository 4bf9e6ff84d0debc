/* SPDX-License-Identifier: MIT */
/*
 * connection: one Unix socket to the daemon, and the replies on it.
 *
 * The socket is non-blocking; who must wait polls, with a deadline.  Nothing
 * here knows what requests mean.  Not locked: its owner sees to that.
 *
 * Invariants
 *  (1) The peer was checked: it runs as the owner of the store (or of the
 *      socket's file) or as root.
 *  (2) The descriptor is guarded (fork_guard) as long as it is open.
 *  (3) data[taken, size) are bytes received and not yet taken.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "client/fork_guard.h"

#include <sys/types.h>
#include <sys/uio.h>

#define CONNECTION_REPLY_MAX (256u << 20) /* bytes in one reply */
#define CONNECTION_PATIENCE_MS 200u
#define CONNECTION_FDS_MAX 3u             /* descriptors that a reply may bring */

struct connection {
    int fd; /* -1: closed */
    struct fork_guard guard;
    bool is_wide;    /* the socket holds more than at first */
    char *data;
    size_t taken;
    size_t size;
    size_t room;
};

/* A connection that is not open; every other function takes it. */
void connection_init(struct connection *connection);

/*
 * Connects to the socket at `socket_path`, of any length.  `owner`: who else
 * than root may serve there; NULL: the owner of the socket's file.
 * BTS_UNAVAILABLE: nobody listens there, or not before the deadline.
 * BTS_DENIED: this user may not, or somebody else than the owner listens.
 */
BTS_MUST_USE enum bts_status connection_open(struct connection *connection,
                                             const char *socket_path, const uid_t *owner,
                                             uint64_t deadline, struct bts_error *error);

/* Takes over a connected socket. */
void connection_adopt(struct connection *connection, int fd);

/* Closes it and forgets what was received; frees everything. */
void connection_close(struct connection *connection);

/*
 * Sends what the kernel takes at once and moves the vectors on; *left: the
 * vectors that are not empty yet.  BTS_OK also when nothing was taken.
 * BTS_UNAVAILABLE: the connection is broken.
 */
BTS_MUST_USE enum bts_status connection_push(struct connection *connection, struct iovec **vectors,
                                             size_t *left, struct bts_error *error);

/* Waits until there is something to read, or room to write if wanted; false at the deadline. */
bool connection_poll(int fd, bool want_write, uint64_t deadline);

/* Descriptors that came with a reply. */
struct connection_fds {
    int fds[CONNECTION_FDS_MAX];
    size_t count;
};
/* Closes those that were not taken (-1: taken). */
void connection_fds_close(struct connection_fds *fds);

/*
 * Receives what is there, without waiting; *received: bytes.  `fds` NULL: no
 * descriptors are expected, and any that come are closed.  With `fds` the
 * caller holds fork_guard_lock.  BTS_UNAVAILABLE: the peer closed.
 */
BTS_MUST_USE enum bts_status connection_pull(struct connection *connection, size_t *received,
                                             struct connection_fds *fds, struct bts_error *error);

/*
 * The same, but waits for the first byte, CONNECTION_PATIENCE_MS at most: BTS_OK
 * with nothing received is the end of that.  While one thread waits here no
 * other may use the connection but for sending and connection_is_alive.
 */
BTS_MUST_USE enum bts_status connection_pull_patiently(struct connection *connection,
                                                       size_t *received,
                                                       struct bts_error *error);

/*
 * The first whole reply received, which stays valid until the next pull;
 * *reply NULL: none yet.  connection_take moves behind it.  BTS_INVALID: the
 * peer does not speak RESP.
 */
BTS_MUST_USE enum bts_status connection_reply(struct connection *connection, const char **reply,
                                              size_t *reply_size, struct bts_error *error);
void connection_take(struct connection *connection, size_t reply_size);

/*
 * One command and its reply, waited for (valid until the next call).
 * BTS_TIMEOUT: sent, no reply by the deadline.  BTS_UNAVAILABLE: broken.
 */
BTS_MUST_USE enum bts_status connection_ask(struct connection *connection,
                                            const struct bts_bytes *parts, size_t part_count,
                                            uint64_t deadline, const char **reply,
                                            size_t *reply_size, struct bts_error *error);

/* Whether the peer is still there, as far as a look without waiting can say. */
bool connection_is_alive(const struct connection *connection);

/* The status and text of an error reply; BTS_OK if it is none. */
BTS_MUST_USE enum bts_status connection_refusal(const char *reply, size_t reply_size,
                                                struct bts_error *error);

#endif
