/* SPDX-License-Identifier: MIT */
/*
 * load: the writers of the machine tests, each a process of its own.
 *
 * A writer commits its transactions one after the other and tells each
 * acknowledgement to the outside before it sends the next: into a file of the
 * host, or as a mark in the log of dm-log-writes.  So an acknowledgement may
 * be known late, by one transaction, and never early.
 */
#ifndef LOAD_H
#define LOAD_H

#include "workload.h"

/*
 * Starts the writers on the store that the daemon serves: from number
 * `done[writer]` + 1 on, to `last` (0: until the machine is off).  `marked`:
 * the dm-log-writes device that takes the marks; NULL: the host's files do.
 */
void load_start(const uint64_t done[WORKLOAD_WRITERS], uint64_t last, const char *marked);

/* Waits until all of them are through. */
void load_join(void);

/* The mark of one acknowledgement; `mark` has room for LOG_WRITES_MARK_MAX. */
void load_mark(char *mark, unsigned writer, uint64_t sequence);
/* Notes what a mark tells; false: it is none of ours. */
bool load_note_mark(const char *mark, uint64_t acknowledged[WORKLOAD_WRITERS]);

#endif
