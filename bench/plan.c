/* SPDX-License-Identifier: MIT */
/*
 * plan: see plan.h.
 */
#include "plan.h"

#include "workloads.h"

#include <string.h>

#define GETS_AND_SCANS &get_held, &get_each, &get_each_2, &multi_get_16, &scan_all, &range_100

static const struct stage_plan reads_stages[] = {
    {KEYS_RANDOM, false,
     {GETS_AND_SCANS, &get_misses, &get_zipf, &snapshot_begin_end, &open_first_get, &verify_cost,
      &reader_beside_writer}},
    {KEYS_PREFIX, false, {GETS_AND_SCANS}},
    {KEYS_URL, false, {GETS_AND_SCANS}},
    {KEYS_RANDOM, true, {GETS_AND_SCANS, &get_misses, &get_zipf, &open_first_get, &verify_cost}},
    {KEYS_PREFIX, true, {GETS_AND_SCANS}},
    {KEYS_URL, true, {GETS_AND_SCANS}},
    {0},
};

static const struct plan reads = {"reads", reads_stages};

static const struct stage_plan writes_stages[] = {
    {KEYS_RANDOM, false,
     {&load_random, &load_sorted, &replay_log, &commit_1, &commit_2, &commit_8, &commit_32,
      &commit_128, &transaction_1, &transaction_8, &relaxed_8, &pipeline_64, &beside_checkpoint,
      &growth}},
    {0},
};

static const struct plan writes = {"writes", writes_stages};

/* 100M small entries, and a file of 10 GB of larger ones, which takes 55M. */
static const struct stage_plan large_stages[] = {
    {KEYS_URL, true, {GETS_AND_SCANS, &open_first_get}},
    {KEYS_RANDOM, false,
     {GETS_AND_SCANS, &get_zipf, &open_first_get, &reader_beside_writer, &commit_8, &pipeline_64,
      &beside_checkpoint}},
    {0},
};

static const struct plan large = {"large", large_stages};

const struct plan *const all_plans[] = {&reads, &writes, &large, NULL};

/* In this order; the last ones change the store. */
const struct workload *const all_workloads[] = {
    &get_held,
    &get_each,
    &get_each_2,
    &get_misses,
    &get_zipf,
    &multi_get_16,
    &scan_all,
    &range_100,
    &snapshot_begin_end,
    &open_first_get,
    &verify_cost,
    &load_random,
    &load_sorted,
    &replay_log,
    &reader_beside_writer,
    &commit_1,
    &commit_2,
    &commit_8,
    &commit_32,
    &commit_128,
    &transaction_1,
    &transaction_8,
    &relaxed_8,
    &pipeline_64,
    &beside_checkpoint,
    &growth,
    NULL,
};

const struct plan *plan_find(const char *name)
{
    for (unsigned i = 0; all_plans[i] != NULL; i++) {
        if (strcmp(all_plans[i]->name, name) == 0) {
            return all_plans[i];
        }
    }
    return NULL;
}

const struct workload *plan_find_workload(const char *name)
{
    for (unsigned i = 0; all_workloads[i] != NULL; i++) {
        if (strcmp(all_workloads[i]->name, name) == 0) {
            return all_workloads[i];
        }
    }
    return NULL;
}
