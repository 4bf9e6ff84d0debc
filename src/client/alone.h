/* SPDX-License-Identifier: MIT */
/*
 * alone: open a file that no daemon serves (a backup, read-only media).
 *
 * Reads the newest meta page and shows that state for as long as the store is
 * open.  The lock of DESIGN, "Attach" (5), on the descriptor that the map
 * keeps, tells a daemon that starts later not to reuse what we see.
 */
#ifndef CLIENT_ALONE_H
#define CLIENT_ALONE_H

#include "client/attachment.h"

/*
 * Opens `file_path`.  `flags`: BTS_OPEN_IGNORE_PENDING.  BTS_BUSY: a daemon
 * serves it, or a pending log lies beside it and matters.  BTS_DAMAGED,
 * BTS_VERSION, BTS_IO, BTS_DENIED.
 */
BTS_MUST_USE enum bts_status alone_open(const char *file_path, unsigned flags, uint64_t span,
                                        struct attachment **attachment, struct bts_error *error);

/*
 * What keeps a daemon that starts later from reusing what is read through
 * `fd`.  BTS_BUSY: a daemon serves the file already.
 */
BTS_MUST_USE enum bts_status alone_lock(int fd, struct bts_error *error);

#endif
