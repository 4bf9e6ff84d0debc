/* SPDX-License-Identifier: MIT */
/*
 * multi_get: look up 16 random keys at once, in a snapshot that is held.
 * Counted in keys, so that it compares with single gets, which is what a store
 * without such a call makes of it.
 */
#include "workloads.h"

#define AT_ONCE 16
#define PROBES (AT_ONCE * 30000)

static bool suits(const struct adapter *adapter)
{
    return adapter->get_many != NULL;
}

static void prepare(struct worker *worker)
{
    bench_warm_up(worker);
    worker->state = probes_create(&bench.dataset, PROBE_UNIFORM, PROBES, worker->index + 1);
}

static void renew(struct worker *worker)
{
    probes_renew(worker->state, &bench.dataset);
}

static void get_some(const struct worker *worker)
{
    struct slice keys[AT_ONCE];
    struct slice values[AT_ONCE];
    bool is_there;

    for (size_t i = 0; i < AT_ONCE; i++) {
        keys[i] = probes_next(worker->state, &is_there);
    }
    worker->adapter->get_many(worker->peer, keys, values, AT_ONCE);
    for (size_t i = 0; i < AT_ONCE; i++) {
        if (!value_check(keys[i], values[i], bench.dataset.value_bytes)) {
            bench_fail("%s: a multi-get gave a wrong value", worker->adapter->name);
        }
    }
}

static void get_many(struct worker *worker)
{
    uint64_t deadline_ns = worker_begin(worker);

    worker->adapter->begin(worker->peer);
    do {
        get_some(worker);
    } while (worker_goes_on(worker, AT_ONCE, deadline_ns));
    worker->adapter->end(worker->peer);
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e3;
}

const struct workload multi_get_16 = {
    .name = "multi_get_16",
    .title = "16 random keys at once, one snapshot held; in keys",
    .processes = 1,
    .figures = {{"", "k/s", false}},
    .goals = {{"multi-get/%s/16", 0, "lmdb", false, {{7, 7}, {5, 5}, {4, 4}}}},
    .suits = suits,
    .prepare = prepare,
    .renew = renew,
    .run = get_many,
    .sum = sum,
};
