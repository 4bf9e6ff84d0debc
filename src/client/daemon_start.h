/* SPDX-License-Identifier: MIT */
/*
 * daemon_start: start a private daemon for a store that nobody serves.
 *
 * The daemon becomes no child of the program: it is forked twice and has a
 * session, standard files and an empty signal mask of its own, and none of
 * the program's descriptors.
 */
#ifndef CLIENT_DAEMON_START_H
#define CLIENT_DAEMON_START_H

#include <btstore.h>

/*
 * Runs `daemon_path FILE_PATH --private --ready-fd N` and waits until it says
 * that it serves, at most until the deadline.  `file_path` is absolute; a
 * missing file is created unless it `must_exist`.
 * BTS_BUSY: another daemon has the file (it is starting or ending: connect
 * again).  BTS_UNAVAILABLE: it could not be run, or did not become ready.
 * Else what the daemon said was wrong.
 */
BTS_MUST_USE enum bts_status daemon_start(const char *daemon_path, const char *file_path,
                                          bool must_exist, uint64_t deadline,
                                          struct bts_error *error);

/* The same for a file that is missing, and will have pages of that size. */
BTS_MUST_USE enum bts_status daemon_start_new(const char *daemon_path, const char *file_path,
                                              size_t page_size, uint64_t deadline,
                                              struct bts_error *error);

#endif
