/* SPDX-License-Identifier: MIT */
/*
 * workloads: what is measured; one file each.  plan.c says in which order.
 *
 * Goals are those of issues 4 and 5 (GOALS.md), as ratios of a figure's own
 * unit: a time of a quarter is <= 0.25, a rate of three times >= 3.
 */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include "harness.h"

/* get.c */
extern const struct workload get_held;
extern const struct workload get_each;
extern const struct workload get_each_2;
extern const struct workload get_misses;
extern const struct workload get_zipf;
extern const struct workload verify_cost;
/* multi_get.c */
extern const struct workload multi_get_16;
/* scan.c */
extern const struct workload scan_all;
extern const struct workload range_100;
/* snapshot.c */
extern const struct workload snapshot_begin_end;
extern const struct workload open_first_get;
/* load.c, replay.c: in stores of their own. */
extern const struct workload load_random;
extern const struct workload load_sorted;
extern const struct workload replay_log;

/* The others change the store, so they come last. */
/* beside.c */
extern const struct workload reader_beside_writer;
/* commit.c */
extern const struct workload commit_1;
extern const struct workload commit_2;
extern const struct workload commit_8;
extern const struct workload commit_32;
extern const struct workload commit_128;
extern const struct workload transaction_1;
extern const struct workload transaction_8;
extern const struct workload relaxed_8;
/* pipeline.c, checkpoint.c, growth.c: of ours alone. */
extern const struct workload pipeline_64;
extern const struct workload beside_checkpoint;
extern const struct workload growth;

#endif
