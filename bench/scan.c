/* SPDX-License-Identifier: MIT */
/*
 * scan: all entries in key order, again and again, and ranges of 100 entries
 * from random keys.  Each entry's value is checked.
 */
#include "workloads.h"

#define RANGE_ENTRIES 100
#define RANGES_BETWEEN_LOOKS 16 /* at the clock */
#define PROBES 100000

static bool suits(const struct adapter *adapter)
{
    return adapter->scan != NULL;
}

static void prepare_scan(struct worker *worker)
{
    bench_warm_up(worker);
}

static void prepare_ranges(struct worker *worker)
{
    bench_warm_up(worker);
    worker->state = probes_create(&bench.dataset, PROBE_UNIFORM, PROBES, worker->index + 1);
}

static void scan(struct worker *worker)
{
    const struct adapter *adapter = worker->adapter;
    uint64_t deadline_ns = worker_begin(worker);
    size_t count;

    adapter->begin(worker->peer);
    do {
        count = adapter->scan(worker->peer, (struct slice){NULL, 0}, SIZE_MAX,
                              bench.dataset.value_bytes);
        if (count != bench.dataset.count) {
            bench_fail("%s: a scan gave %zu entries of %zu", adapter->name, count,
                       bench.dataset.count);
        }
    } while (worker_goes_on(worker, count, deadline_ns));
    adapter->end(worker->peer);
}

/* Only the few ranges that start near the end are shorter. */
static void scan_ranges(struct worker *worker)
{
    const struct adapter *adapter = worker->adapter;
    struct result *result = worker->result;
    uint64_t deadline_ns = worker_begin(worker);
    size_t visited = 0;

    adapter->begin(worker->peer);
    do {
        for (unsigned i = 0; i < RANGES_BETWEEN_LOOKS; i++) {
            bool is_there;
            struct slice from = probes_next(worker->state, &is_there);
            visited += adapter->scan(worker->peer, from, RANGE_ENTRIES,
                                     bench.dataset.value_bytes);
        }
    } while (worker_goes_on(worker, RANGES_BETWEEN_LOOKS, deadline_ns));
    adapter->end(worker->peer);
    if (visited < result->operations * RANGE_ENTRIES / 2) {
        bench_fail("%s: ranges gave %zu entries only", adapter->name, visited);
    }
}

static void sum_entries(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e6;
}

static void sum_ranges(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e3;
}

const struct workload scan_all = {
    .name = "scan",
    .title = "full scan, in entries",
    .processes = 1,
    .figures = {{"", "M/s", false}},
    .goals = {{"scan/%s/full", 0, "lmdb", false, GOAL(1.9, 1.9)}},
    .suits = suits,
    .prepare = prepare_scan,
    .run = scan,
    .sum = sum_entries,
};

const struct workload range_100 = {
    .name = "range_100",
    .title = "ranges of 100 entries from random keys",
    .processes = 1,
    .figures = {{"", "k/s", false}},
    .goals = {{"scan/%s/range-100", 0, "lmdb", false, GOAL(2, 2)}},
    .suits = suits,
    .prepare = prepare_ranges,
    .run = scan_ranges,
    .sum = sum_ranges,
};
