/* SPDX-License-Identifier: MIT */
/*
 * workload: what the writers of the machine tests write, and what must be
 * there afterwards.
 *
 * Transaction number `sequence` of a writer is a function of these two
 * numbers, so nobody needs to note what was issued.  A writer sends number
 * n + 1 only after the outside world has recorded the acknowledgement of n.
 *
 * Invariants
 *  (1) With `acknowledged` as recorded, a recovered store holds number
 *      `acknowledged` or the one after it, wholly: less is a lost
 *      acknowledgement, anything else a hole.
 *  (2) Every transaction also puts its number, under the writer's own key.
 *
 * No I/O but through the public API.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <btstore.h>
#include <stdint.h>

#define WORKLOAD_WRITERS 3u
#define WORKLOAD_LOG_SIZE "16M" /* the least that the daemon takes: checkpoints are many */

enum workload_verdict {
    WORKLOAD_SOUND,
    WORKLOAD_LOST,    /* an acknowledged transaction is missing */
    WORKLOAD_HOLE,    /* the content is not that of any number of transactions allowed */
    WORKLOAD_LEAKED,  /* the space map is not what is reachable, or a page is damaged */
    WORKLOAD_REFUSED, /* no daemon, no file system, a failing call */
};

#define WORKLOAD_VERDICTS 5u

/* One word for each. */
const char *workload_verdict_name(enum workload_verdict verdict);

/* Fills the batch with a writer's transaction; sequence counts from 1. */
void workload_fill(struct bts_batch *batch, unsigned writer, uint64_t sequence);

/*
 * Compares all of the store with what `acknowledged` allows, and checks its
 * pages.  `found` gets each writer's recovered number.  What is wrong is told
 * on stdout, one line each; the verdict is the first that applies.
 */
enum workload_verdict workload_verify(struct bts_store *store,
                                      const uint64_t acknowledged[WORKLOAD_WRITERS],
                                      uint64_t found[WORKLOAD_WRITERS]);

#endif
