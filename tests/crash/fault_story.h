/* SPDX-License-Identifier: MIT */
/*
 * fault_story: one story of an engine, told while calls fail, and what must be
 * true all the way and in the end.
 *
 * The story: a store is created; commits small and of many pages, buckets made,
 * renamed and dropped, ranges deleted, batches refused, a batch too large for
 * the log, checkpoints, a log that grows and wraps; a clean stop, a start; a
 * kill, a start with replay; and a last clean stop.  A reader pins an early
 * snapshot and keeps it through almost all of that.
 *
 * Version n is what the store holds after n commits; key "n" says which.
 *
 * What must be true, whatever fails
 *  (1) A commit that is refused leaves no trace, and the engine goes on: pages
 *      are accounted for, and once nothing fails any more it is accepted.
 *  (2) After a failed sync, or a write that failed by EIO, nothing that was
 *      begun later is acknowledged by this engine.
 *  (3) An interrupted or short call is gone on with, and nobody notices.
 *  (4) The pinned snapshot reads the same bytes, and a fresh reader a version
 *      between the acknowledged and the begun one, at any time, daemon or not.
 *  (5) The files as they are, and as a power cut leaves them (all that was not
 *      synced is gone), recover to such a version, every page accounted for;
 *      and after the former, commits are good, and after a power cut then, too.
 *  (6) Afterwards every descriptor and every byte of memory is given back.
 */
#ifndef CRASH_FAULT_STORY_H
#define CRASH_FAULT_STORY_H

#include "commit/commit.h"
#include "faults.h"
#include "format/slot.h"
#include "read/map.h"

#define STORY_VERSIONS 70u
#define STORY_AFTER 4u /* more commits, after the end */

/* A reader of its own: map, slot, and what it saw at first. */
struct story_reader {
    struct map *map;           /* NULL: not attached */
    _Atomic uint64_t page_count;
    struct slot *slot;
    struct tree_view view;
    uint64_t digest;
};

struct story {
    char directory[100];       /* of the story */
    char scratch[100];         /* where power cuts are recovered */
    bool threads;
    uint64_t digests[STORY_VERSIONS + STORY_AFTER + 1];

    const struct file_system *system;
    struct beacon *beacon;
    struct horizon horizon;
    struct slot_file *slots;   /* of the readers: slot 0 pinned long, slot 1 fresh */
    struct story_reader pinned;
    struct commit *commit;
    bool learns;               /* told for the first time: digests are taken down */
    bool lost_counts;          /* what failed was of the engine at hand */
    unsigned acknowledged;
    unsigned begun;

    unsigned refused;          /* commits, while something failed */
    bool died;                 /* the engine, or a start or stop of it, failed */
    bool is_wrong;
    struct bts_error wrong;    /* the first thing that was not as it must be */
};

/* Makes the directories and tells the story without faults, to learn digests and sites. */
bool story_init(struct story *story, bool threads);
void story_fini(struct story *story);

/* Tells it once while the plan comes true.  False: story->wrong says what. */
bool story_tell(struct story *story, const struct fault_plan *plan);

#endif
