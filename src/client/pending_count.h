/* SPDX-License-Identifier: MIT */
/*
 * pending_count: how much of the pending log waits for replay.
 *
 * Reads the log as it lies and changes nothing: for a check without a daemon.
 * It follows the log by the rules of a replay (pending_frame.h), without
 * applying anything.
 */
#ifndef CLIENT_PENDING_COUNT_H
#define CLIENT_PENDING_COUNT_H

#include "format/meta.h"
#include "format/pending_frame.h"

/*
 * Counts the whole frames of `path` that continue `meta`, which is not clean.
 * BTS_DAMAGED: the log is missing, or contradicts itself or the meta, the text
 * says how; *frame_count is then what was whole.  BTS_IO, BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status pending_count(const char *path, const struct meta *meta,
                                           uint64_t *frame_count, struct bts_error *error);

#endif
