/* SPDX-License-Identifier: MIT */
/*
 * apply: do what a batch says, wholly or not at all.
 *
 * Replay of the pending log and live commits take the same path; replay does
 * not judge the conditions again, since a logged batch is an accepted fact.
 *
 * Invariant: after any status but BTS_OK pages, space, directory and counts
 * are as before the call, malloc failures included.
 */
#ifndef TREE_APPLY_H
#define TREE_APPLY_H

#include "format/batch.h"
#include "tree/buckets.h"

enum apply_mode {
    APPLY_LIVE,
    APPLY_REPLAY,
};

enum apply_result_type {
    APPLY_ABSENT,  /* GET: no such key; PUT with BATCH_RETURN: there was no old value */
    APPLY_NUMBER,  /* INCREMENT: the sum; DELETE: 1 or 0; DELETE_RANGE: how many; bucket
                      create: id */
    APPLY_BYTES,   /* GET: the value; PUT: the old value */
    APPLY_WRITTEN, /* PUT: done */
    APPLY_SKIPPED, /* PUT with a mode: the key was there, or was not */
};

/* What became of an operation that asked for it: BATCH_RETURN, GET, PUT with a mode. */
struct apply_result {
    enum apply_result_type type;
    bool written;    /* PUT with BATCH_RETURN: whether it was written */
    int64_t number;
    size_t offset;   /* APPLY_BYTES: in `bytes` of the results */
    size_t size;
};

/* Results of one batch, in the order of the operations that have one; owned by the caller. */
struct apply_results {
    struct apply_result *entries;
    size_t count;
    size_t room;
    uint8_t *bytes;
    size_t bytes_size;
    size_t bytes_room;
};
void apply_results_fini(struct apply_results *results);

/*
 * Applies a batch that passed batch_check.  `results` NULL: nobody asks; else
 * it was zeroed or used before, and is empty after a failure.  A bucket is
 * looked up when the batch chooses it and followed by its number, so renaming
 * it in the batch changes nothing, and dropping it makes what follows fail.
 * BTS_CONFLICT (the text names the key), BTS_NO_BUCKET, BTS_EXISTS, BTS_INVALID
 * (increment of what is no number), BTS_NO_MEMORY, BTS_NO_SPACE, BTS_DAMAGED.
 * The text begins with the number of the operation, counted from 1.
 */
BTS_MUST_USE enum bts_status apply_batch(struct buckets *buckets, struct pages *pages,
                                         enum apply_mode mode, const void *batch, size_t size,
                                         struct apply_results *results, struct bts_error *error);

#endif
