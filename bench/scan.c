/* SPDX-License-Identifier: MIT */
/*
 * scan: all entries in key order, and ranges of 100 entries from random keys.
 * Each entry's value is checked.
 */
#include "workloads.h"

#define PASSES 2
#define RANGE_ENTRIES 100
#define RANGES_MAX 20000

static void prepare_scan(struct worker *worker)
{
    bench_verify_all(worker);
}

static void prepare_ranges(struct worker *worker)
{
    bench_verify_all(worker);
    worker->state = probes_create(&bench.dataset, worker->index + 1);
}

static void scan(struct worker *worker)
{
    const struct adapter *adapter = worker->adapter;

    worker->result->start_ns = bench_now_ns();
    adapter->begin(worker->peer);
    for (unsigned pass = 0; pass < PASSES; pass++) {
        size_t count = adapter->scan(worker->peer, (struct slice){NULL, 0}, SIZE_MAX);
        if (count != bench.entries) {
            bench_fail("%s: a scan gave %zu entries of %zu", adapter->name, count, bench.entries);
        }
    }
    adapter->end(worker->peer);
    worker->result->end_ns = bench_now_ns();
    worker->result->operations = bench.entries * PASSES;
}

static void scan_ranges(struct worker *worker)
{
    const struct adapter *adapter = worker->adapter;
    size_t ranges = bench.entries < RANGES_MAX ? bench.entries : RANGES_MAX;
    const uint8_t(*probes)[KEY_BYTES] = probes_take(worker->state, ranges);
    size_t visited = 0;

    worker->result->start_ns = bench_now_ns();
    adapter->begin(worker->peer);
    for (size_t i = 0; i < ranges; i++) {
        visited += adapter->scan(worker->peer, key_slice(probes[i]), RANGE_ENTRIES);
    }
    adapter->end(worker->peer);
    worker->result->end_ns = bench_now_ns();
    worker->result->operations = ranges;
    /* Only the few ranges that start near the end are shorter. */
    if (visited < ranges * RANGE_ENTRIES / 2) {
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
    .rounds = 11,
    .processes = 1,
    .use = PEER_READ,
    .figures = {{"", "M/s", false, 1.9}},
    .prepare = prepare_scan,
    .run = scan,
    .sum = sum_entries,
};

const struct workload range_100 = {
    .name = "range_100",
    .title = "ranges of 100 entries from random keys",
    .rounds = 11,
    .processes = 1,
    .use = PEER_READ,
    .figures = {{"", "k/s", false, 2}},
    .prepare = prepare_ranges,
    .run = scan_ranges,
    .sum = sum_ranges,
};
