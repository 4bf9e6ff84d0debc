/* SPDX-License-Identifier: MIT */
/*
 * checkpoint: make one state durable in the database file itself.
 *
 *   1  the bitmaps of all changed groups, each into the copy that the last
 *      durable checkpoint does not use
 *   2  everything of the file to the disk, a piece at a time
 *   3  one meta page, sync
 *   4  the same bitmaps into the other copies, and the other meta page, sync
 *
 * So a finished checkpoint leaves metas and maps twice, alike: one that rots
 * is not missed, and an older one is never taken for it.
 *
 * A job holds copies of all it needs, so commits go on while a thread does it.
 * Until step 3 is done nothing that the last checkpoint uses was touched.
 *
 * Invariants
 *  (1) One job at a time; only jobs write maps and metas (but for creation, and
 *      for recovery's rewriting of the meta it chose).
 *  (2) checkpoint_adopt, and only that, moves what counts as durable.
 */
#ifndef COMMIT_CHECKPOINT_H
#define COMMIT_CHECKPOINT_H

#include "commit/worker.h"
#include "format/meta.h"
#include "pages/file.h"
#include "pages/space.h"

#include <stdatomic.h>

/* Neither copy of a group's map is of the last durable checkpoint. */
#define CHECKPOINT_COPY_NONE 2u

/* The bitmap of one group, to be written. */
struct checkpoint_map {
    uint32_t group;
    unsigned copy;
    uint8_t *bits; /* owned */
};

struct checkpoint {
    struct worker_task task;
    const struct file *data;
    void *page;            /* to encode maps and metas in */

    /* ---- durable: the last checkpoint --------------------------------------- */
    struct meta meta;
    pgno_t meta_pgno;      /* one that holds it; the other is written first */
    uint8_t *copies;       /* per group: the copy in use, or CHECKPOINT_COPY_NONE */
    uint32_t copy_room;    /* groups that `copies` has entries for */

    /* ---- the job in progress ------------------------------------------------ */
    struct meta next;
    struct checkpoint_map *maps;
    size_t map_count;
    size_t map_room;
    bool paced;            /* let commits breathe */
    _Atomic bool hurry;    /* relaxed: stop pacing, the log is nearly full */
    _Atomic unsigned progress; /* relaxed: what is written back, in parts of 1000; to show */
    enum bts_status status;
    struct bts_error error;
};

/* `meta`, page `meta_pgno` of the file `data`, is the last durable checkpoint.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status checkpoint_init(struct checkpoint *checkpoint,
                                             const struct file *data, const struct meta *meta,
                                             pgno_t meta_pgno, struct bts_error *error);
/* A zeroed one is left alone. */
void checkpoint_fini(struct checkpoint *checkpoint);

/* Recovery says which copy of a group's map the chosen meta uses.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status checkpoint_set_copy(struct checkpoint *checkpoint, uint32_t group,
                                                 unsigned copy, struct bts_error *error);

/*
 * Prepares the job that makes `next` durable: takes the changed bitmaps from
 * `space` and fills next.page_count.  On failure nothing happened.
 */
BTS_MUST_USE enum bts_status checkpoint_prepare(struct checkpoint *checkpoint, struct space *space,
                                                const struct meta *next, struct bts_error *error);
/* Prepares a job that writes the metas alone: the same state, with another mark. */
void checkpoint_prepare_metas(struct checkpoint *checkpoint, const struct meta *next);

/* Does the job, in any thread; fills status and error.  A failure is fatal. */
void checkpoint_run(struct checkpoint *checkpoint);

/* The job succeeded: `next` is the last durable checkpoint. */
void checkpoint_adopt(struct checkpoint *checkpoint);

#endif
