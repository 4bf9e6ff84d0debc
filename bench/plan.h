/* SPDX-License-Identifier: MIT */
/*
 * plan: which workloads a run takes, over which data sets and stores.
 *
 * A plan is a list of stages; each loads its stores once.  A stage of many
 * entries takes ours and LMDB alone, which the goals are set against.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "harness.h"

#define STAGE_WORKLOADS_MAX 40

struct stage_plan {
    enum key_set keys;
    bool is_large;                /* of BENCH_LARGE entries, else of BENCH_ENTRIES */
    const struct workload *workloads[STAGE_WORKLOADS_MAX]; /* NULL ends */
};

struct plan {
    const char *name;
    const struct stage_plan *stages; /* without a workload: ends */
};

extern const struct plan *const all_plans[]; /* NULL ends */
extern const struct workload *const all_workloads[];

/* By name; NULL: there is none. */
const struct plan *plan_find(const char *name);
const struct workload *plan_find_workload(const char *name);

#endif
