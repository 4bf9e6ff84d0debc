/* SPDX-License-Identifier: MIT */
/*
 * crash_run: one life of the engine, the versions that it makes, and what a
 * recovered store is held against.
 *
 * Version n is what the store holds after n commits (versions.h).
 */
#ifndef CRASH_RUN_H
#define CRASH_RUN_H

#include "commit/commit.h"
#include "disk.h"

#define VERSIONS_MAX 400u

struct run {
    char directory[200];
    struct beacon *beacon;
    struct horizon horizon;
    struct commit *commit;
    size_t page_size;       /* of a store that is created */
    bool threads;           /* the engine's: for log syncs and checkpoints */
    bool direct;            /* long batches and what waits beside them bypass the log */
    uint64_t direct_groups; /* that did, in all lives */
};

/* What a recovered image is held against.  Threads look while the story goes on. */
struct oracle {
    _Atomic unsigned acknowledged;  /* acquire and release: what was acknowledged is durable */
    _Atomic unsigned begun;
    uint64_t digests[VERSIONS_MAX]; /* of each version's contents */
};

/* What is wrong with a recovered image. */
enum run_verdict {
    RUN_SOUND,
    RUN_REFUSED,   /* it does not open */
    RUN_LOST,      /* a version before the last acknowledged one, or after the last begun one */
    RUN_HOLES,     /* not what that version holds */
    RUN_LEAKED,    /* pages and space map differ, or a page is damaged */
    RUN_RESTLESS,  /* recovered once more it is another */
    RUN_VERDICTS,
};

void run_init(struct run *run, const char *directory);
/* As by SIGKILL. */
void run_kill(struct run *run);
void run_fini(struct run *run);

/* The run directory goes with the power. */
void run_power_cut(struct run *run);

enum bts_status run_start(struct run *run, const struct file_system *system,
                          struct bts_error *error);

/*
 * Commits versions up to `last`, up to `most` of them at once, with a
 * checkpoint after each `checkpoint_each` of them; the oracle is told before
 * and after.  False: the engine failed.
 */
bool run_work(struct run *run, struct oracle *oracle, unsigned last, unsigned most,
              unsigned checkpoint_each);

/* The newest state: which version it says it is, and a digest of all that is in it. */
enum bts_status run_read(struct run *run, unsigned *version, uint64_t *digest,
                         struct bts_error *error);

/* Holds a store that run_start has recovered after a power cut against the oracle. */
enum run_verdict run_check(struct run *run, const struct oracle *oracle, unsigned *version,
                           struct bts_error *error);
/* Kills it and recovers once more: it must still be `version`. */
enum run_verdict run_check_again(struct run *run, const struct file_system *system,
                                 const struct oracle *oracle, unsigned version,
                                 struct bts_error *error);

#endif
