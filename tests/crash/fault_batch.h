/* SPDX-License-Identifier: MIT */
/*
 * fault_batch: the batches of fault_story, by version, and digests of what a
 * store then holds.
 */
#ifndef CRASH_FAULT_BATCH_H
#define CRASH_FAULT_BATCH_H

#include "format/batch.h"
#include "read/tree.h"

/* The batch that makes version `version` of the one before; the caller frees. */
void fault_batch_make(unsigned version, struct batch *batch);
/* One that changes much and is refused in the end. */
void fault_batch_make_refused(unsigned version, struct batch *batch);

/* All buckets and entries of a state: the version it says it is, and a hash of every byte. */
BTS_MUST_USE enum bts_status fault_batch_read(const struct tree_view *directory, unsigned *version,
                                              uint64_t *digest, struct bts_error *error);

#endif
