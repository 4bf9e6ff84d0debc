/* SPDX-License-Identifier: MIT */
/*
 * locate: from the path that a program gives to the places that matter.
 *
 * The path is the database file, present or not, or a socket.  Beside the
 * database, FILE.socket is a symbolic link to the socket of its daemon.
 */
#ifndef CLIENT_LOCATE_H
#define CLIENT_LOCATE_H

#include <btstore.h>
#include <sys/types.h>

struct location {
    char *file_path;   /* absolute, links followed; NULL: the path is a socket */
    char *socket_path; /* absolute */
};

/* Owned by the caller: location_fini.  BTS_INVALID, BTS_UNAVAILABLE, BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status location_find(const char *path, struct location *location,
                                           struct bts_error *error);
void location_fini(struct location *location);

/* The socket itself, links followed; NULL: not there, or no memory.  The caller frees it. */
char *location_served_by(const char *socket_path);

#endif
