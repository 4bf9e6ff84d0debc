/* SPDX-License-Identifier: MIT */
/*
 * listener: the socket, and the link beside the database that leads to it.
 *
 * The socket is made under another name and renamed, so that who finds it can
 * connect, and so that the socket of a dead daemon is replaced in one step.
 * A path may be longer than a socket address: it is reached through
 * /proc/self/fd.
 */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <btstore.h>
#include <sys/types.h>

struct listener {
    int fd;           /* -1: not listening */
    int directory_fd; /* that holds the socket */
    char *path;       /* of the socket, absolute */
    char *link;       /* STORE.socket, or NULL: not made */
};

void listener_init(struct listener *listener);

/*
 * Looks whether a socket can be made at `path`, and changes nothing yet.
 * BTS_BUSY: somebody else listens there.  BTS_IO, BTS_INVALID, BTS_LIMIT.
 */
BTS_MUST_USE enum bts_status listener_prepare(struct listener *listener, const char *path,
                                              struct bts_error *error);

/* Listens there.  `group`: mode 0660 of that group; (gid_t)-1: mode 0600.  BTS_IO. */
BTS_MUST_USE enum bts_status listener_open(struct listener *listener, gid_t group,
                                           struct bts_error *error);

/* Makes `store_path`.socket a link to the socket, unless it is the socket. */
BTS_MUST_USE enum bts_status listener_link(struct listener *listener, const char *store_path,
                                           struct bts_error *error);

/* One connection that waits, non-blocking; -1 with errno set: none. */
int listener_accept(const struct listener *listener);

/* Clean stop: removes link and socket. */
void listener_remove(struct listener *listener);
void listener_close(struct listener *listener);

#endif
