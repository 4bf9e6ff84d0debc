/* SPDX-License-Identifier: MIT */
/*
 * tool: ask the daemon something that is no commit, and take its reply apart.
 */
#ifndef CLIENT_TOOL_H
#define CLIENT_TOOL_H

#include "client/store.h"

/*
 * Sends one command on `connection` (closed: it is connected first) and
 * returns its reply, valid until the next call.  An error reply is returned as
 * its status.  On BTS_TIMEOUT and broken connections it is closed.
 */
BTS_MUST_USE enum bts_status tool_ask(const struct bts_store *store,
                                      struct connection *connection,
                                      const struct bts_bytes *parts, size_t part_count,
                                      const char **reply, size_t *reply_size,
                                      struct bts_error *error);

/* The words of a command, for tool_ask. */
#define TOOL_WORD(text) ((struct bts_bytes){(text), sizeof(text) - 1})

/* Reads an array of exactly `count` numbers at *position.  False: it is none. */
bool tool_read_numbers(const char *reply, size_t reply_size, size_t *position, int64_t *numbers,
                       size_t count);

#endif
