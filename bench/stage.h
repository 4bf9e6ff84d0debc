/* SPDX-License-Identifier: MIT */
/*
 * stage: the loaded stores that several workloads share.
 *
 * stage_open loads the data set in random order into a new store of each
 * adapter, in transactions of 10,000, checks each entry, reports the size of
 * the data files after a clean close, and serves the stores until stage_close.
 *
 * With BENCH_CGROUP, which bench/limited sets, the loaded stores are dropped
 * from memory, and all that is done with them happens in that group.
 */
#ifndef BENCH_STAGE_H
#define BENCH_STAGE_H

#include "harness.h"

#define LOAD_TRANSACTION_ENTRIES 10000

extern const struct workload stage_load; /* how its size is reported */

/* False if the time of the run was over before all stores were loaded. */
bool stage_open(void);
void stage_close(void);

/* Puts all entries, in random order, and waits until they are durable. */
void stage_put_all(struct worker *worker);

#endif
