/* SPDX-License-Identifier: MIT */
/*
 * recover: from the files as they lie to a state that can be served.
 *
 *   1  per group the newest map that the meta may use
 *   2  those maps, and the chosen meta, are written again, as they are, and
 *      synced: what the cache shows may never have reached the disk.  (Not a
 *      map whose other copy is older: that checkpoint got no further, and the
 *      map was synced before its meta.)
 *   3  the log is read whole, and must fit the meta
 *   4  its frames are replayed as one group of a new number T
 *   5  a new epoch of the log begins, in segments that the old one does not use
 *   6  a full checkpoint of T, then T is published
 *
 * Until 6 is durable nothing that 1 to 4 read was changed: a recovery that is
 * cut short is begun again and comes to the same state.
 */
#ifndef COMMIT_RECOVER_H
#define COMMIT_RECOVER_H

#include "commit/commit_private.h"

/* Does it all; beacon, horizon and survivors are set in `commit`. */
BTS_MUST_USE enum bts_status recover_run(struct commit *commit, struct bts_error *error);

#endif
