/* SPDX-License-Identifier: MIT */
/*
 * workloads: what is measured; one file each, in the order in which they run.
 *
 * Goals are GOALS.md's, as "how many times better than the peer": a time of a
 * quarter is 4, a size of 0.85 is 1.18.
 */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include "harness.h"

/* load.c: makes the store that the others use. */
extern const struct workload load_random;
extern const struct workload load_sorted;
/* get.c */
extern const struct workload get_held;
extern const struct workload get_each;
extern const struct workload get_each_2;
/* multi_get.c */
extern const struct workload multi_get_16;
/* scan.c */
extern const struct workload scan_all;
extern const struct workload range_100;
/* snapshot.c */
extern const struct workload snapshot_begin_end;
extern const struct workload open_first_get;
/* commit.c: changes the store, so it comes last. */
extern const struct workload commit_1;
extern const struct workload commit_8;
extern const struct workload commit_32;

#endif
