/* SPDX-License-Identifier: MIT */
/*
 * options: the command line of btstored.
 *
 * Parsing only: nothing is opened, no name is looked up.  The strings point
 * into argv.
 */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <btstore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_IDLE_NEVER (-1)
#define OPTIONS_IDLE_PRIVATE_S 10 /* of a private daemon */

struct options {
    const char *store;  /* the database file */
    const char *socket; /* NULL: in the run directory */
    const char *group;  /* whose members may connect; NULL: the owner and root only */
    size_t page_size;   /* of a new file; 0: default */
    uint64_t map_size;  /* 0: default */
    uint64_t log_size;  /* 0: default */
    int idle_exit_s;    /* OPTIONS_IDLE_NEVER, or seconds without client and reader */
    int ready_fd;       /* -1, or where the socket's path is written once it is served */
    bool foreground;    /* stay with the starter, log to stderr */
    bool is_private;    /* started by the library for a path that somebody opened */
    bool must_exist;    /* do not create a missing file */
};

enum options_action {
    OPTIONS_SERVE,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

/* BTS_INVALID: the text says which option, and what would be right. */
BTS_MUST_USE enum bts_status options_parse(int argc, char *argv[], struct options *options,
                                           enum options_action *action, struct bts_error *error);

/*
 * A size with an optional unit K, M, G or T (powers of 1024).  False: no such
 * number, or above `max`.
 */
bool options_parse_size(const char *text, uint64_t max, uint64_t *size);

void options_print_help(FILE *out);

#endif
