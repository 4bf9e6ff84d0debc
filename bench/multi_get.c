/* SPDX-License-Identifier: MIT */
/*
 * multi_get: look up 16 random keys at once, in a snapshot that is held.
 * Counted in keys, so that it compares with single gets.
 */
#include "workloads.h"

#define AT_ONCE 16
#define CALLS_MAX 25000

static void prepare(struct worker *worker)
{
    bench_verify_all(worker);
    worker->state = probes_create(&bench.dataset, worker->index + 1);
}

static void get_many(struct worker *worker)
{
    const struct adapter *adapter = worker->adapter;
    size_t calls = bench.entries / AT_ONCE < CALLS_MAX ? bench.entries / AT_ONCE : CALLS_MAX;
    const uint8_t(*probes)[KEY_BYTES] = probes_take(worker->state, calls * AT_ONCE);
    struct slice keys[AT_ONCE];
    struct slice values[AT_ONCE];

    worker->result->start_ns = bench_now_ns();
    adapter->begin(worker->peer);
    for (size_t call = 0; call < calls; call++) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            keys[i] = key_slice(probes[call * AT_ONCE + i]);
        }
        adapter->get_many(worker->peer, keys, values, AT_ONCE);
        for (size_t i = 0; i < AT_ONCE; i++) {
            if (!value_check(keys[i], values[i], 0)) {
                bench_fail("%s: a multi-get gave a wrong value", adapter->name);
            }
        }
    }
    adapter->end(worker->peer);
    worker->result->end_ns = bench_now_ns();
    worker->result->operations = calls * AT_ONCE;
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e3;
}

const struct workload multi_get_16 = {
    .name = "multi_get_16",
    .title = "16 random keys at once, one snapshot held; in keys (the peer: one get each)",
    .rounds = 11,
    .processes = 1,
    .use = PEER_READ,
    .figures = {{"", "k/s", false, 7}},
    .prepare = prepare,
    .run = get_many,
    .sum = sum,
};
