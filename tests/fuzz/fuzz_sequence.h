/* SPDX-License-Identifier: MIT */
/*
 * fuzz_sequence: bytes as a row of operations, done on a real store and on the
 * oracle, and compared.
 *
 * The input is a row of records of three bytes: what, and two numbers (see
 * sequence_steps in fuzz_sequence.c).  Operations gather in a batch, batches
 * in a group, and the group goes to the store under test.  After each group
 * statuses and results are compared, every entry of every bucket, both ways,
 * and counts; the store's own check runs as often as it is cheap enough.  In
 * between cursors walk what was published last, while nothing is.
 *
 * Two stores serve: a tree without log or metas (fuzz_tree), which is fast, and
 * the whole engine with kills, recoveries, checkpoints and clean stops
 * (fuzz_engine).
 */
#ifndef FUZZ_SEQUENCE_H
#define FUZZ_SEQUENCE_H

#include "fuzz_oracle.h"
#include "read/tree.h"

#define SEQUENCE_BATCHES_MAX 6u
#define SEQUENCE_STEPS_MAX 600u /* records of one input; the rest is ignored */

/* A batch and what became of it. */
struct sequence_batch {
    struct batch batch;
    enum bts_status status;
    struct apply_results results;
};

enum sequence_event {
    SEQUENCE_CHECKPOINT,
    SEQUENCE_KILL,      /* and recover */
    SEQUENCE_POWER_CUT, /* the same without the run directory */
    SEQUENCE_STOP,      /* cleanly, and start */
};

/* A store under test.  Each function stops the program when something is wrong. */
struct sequence_store {
    void (*open)(void);
    void (*close)(void);
    /* Does the batches as one group; `taken_back`: and then undoes it, if it can (else false). */
    bool (*group)(struct sequence_batch *batches, size_t count, bool taken_back);
    void (*event)(enum sequence_event event);
    /* The published directory. */
    struct tree_view (*directory)(void);
    /* All that the store can check by itself. */
    void (*check)(void);
};

/* Runs one input. */
void sequence_run(const struct sequence_store *store, const uint8_t *data, size_t size);

/* Input number `index` to begin with; its size, 0: no more. */
size_t sequence_seed(unsigned index, uint8_t *out);

#endif
