/* SPDX-License-Identifier: MIT */
/*
 * salvage_replay: apply later commits from the pending log to the new store.
 *
 * Frames are accepted facts, so conditions are not judged again.  But a write
 * whose outcome depends on what its key held (an increment, a put only if the
 * key is absent or present) cannot be repeated when that lies behind damage
 * and no later commit has settled it: it is left out and told.
 */
#ifndef CLIENT_SALVAGE_REPLAY_H
#define CLIENT_SALVAGE_REPLAY_H

#include "client/salvage_log.h"
#include "client/salvage_writer.h"

/*
 * Applies the commits behind salvage->txnid in order, up to the first that is
 * not whole.  *frame_count: how many.  BTS_NO_MEMORY, or why the new store
 * refused.
 */
BTS_MUST_USE enum bts_status salvage_replay(struct salvage *salvage, struct salvage_log *log,
                                            struct salvage_writer *writer, uint64_t *frame_count,
                                            struct bts_error *error);

#endif
