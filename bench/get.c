/* SPDX-License-Identifier: MIT */
/*
 * get: look up random keys, all of which are there; one snapshot held, or one
 * for each get, by one process and by two.
 *
 * Each worker looks up the keys in an order of its own, which lies in memory
 * one key after the other; each round goes on where the last one ended.
 */
#include "workloads.h"

#define GETS_MAX 250000

static void prepare(struct worker *worker)
{
    bench_verify_all(worker);
    worker->state = probes_create(&bench.dataset, worker->index + 1);
}

static size_t gets(void)
{
    return bench.entries < GETS_MAX ? bench.entries : GETS_MAX;
}

static void check(const struct worker *worker, const void *key, bool found, struct slice value)
{
    if (!found || !value_check(key_slice(key), value, 0)) {
        bench_fail("%s: a get gave a wrong value", worker->adapter->name);
    }
}

static void get_with_one_snapshot(struct worker *worker)
{
    const struct adapter *adapter = worker->adapter;
    size_t count = gets();
    const uint8_t(*probes)[KEY_BYTES] = probes_take(worker->state, count);
    struct slice value;

    worker->result->start_ns = bench_now_ns();
    adapter->begin(worker->peer);
    for (size_t i = 0; i < count; i++) {
        bool found = adapter->get(worker->peer, key_slice(probes[i]), &value);
        check(worker, probes[i], found, value);
    }
    adapter->end(worker->peer);
    worker->result->end_ns = bench_now_ns();
    worker->result->operations = count;
}

static void get_with_own_snapshots(struct worker *worker)
{
    const struct adapter *adapter = worker->adapter;
    size_t count = gets();
    const uint8_t(*probes)[KEY_BYTES] = probes_take(worker->state, count);
    struct slice value;

    worker->result->start_ns = bench_now_ns();
    for (size_t i = 0; i < count; i++) {
        bool found;
        adapter->begin(worker->peer);
        found = adapter->get(worker->peer, key_slice(probes[i]), &value);
        check(worker, probes[i], found, value);
        adapter->end(worker->peer);
    }
    worker->result->end_ns = bench_now_ns();
    worker->result->operations = count;
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e3;
}

const struct workload get_held = {
    .name = "get_held",
    .title = "random get, one snapshot held",
    .rounds = 11,
    .processes = 1,
    .use = PEER_READ,
    .figures = {{"", "k/s", false, 3.5}},
    .prepare = prepare,
    .run = get_with_one_snapshot,
    .sum = sum,
};

const struct workload get_each = {
    .name = "get_each",
    .title = "random get, a snapshot for each",
    .rounds = 11,
    .processes = 1,
    .use = PEER_READ,
    .figures = {{"", "k/s", false, 3.5}},
    .prepare = prepare,
    .run = get_with_own_snapshots,
    .sum = sum,
};

const struct workload get_each_2 = {
    .name = "get_each_2",
    .title = "random get, a snapshot for each, 2 processes",
    .rounds = 11,
    .processes = 2,
    .use = PEER_READ,
    .figures = {{"", "k/s", false, 3.5}},
    .prepare = prepare,
    .run = get_with_own_snapshots,
    .sum = sum,
};
