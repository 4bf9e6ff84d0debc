/* SPDX-License-Identifier: MIT */
/*
 * get: look up random keys; one snapshot held, or one for each get, by one
 * process and by two; with one key in ten missing; and zipfian.
 *
 * Each worker looks up keys of its own choice, which lie in memory one after
 * the other and are others in each round.  With misses and zipfian keys the
 * snapshot is held.
 */
#include "workloads.h"

#define PROBES 500000
#define GETS_BETWEEN_LOOKS 64 /* at the clock */

static void prepare_kind(struct worker *worker, enum probe_kind kind)
{
    bench_warm_up(worker);
    worker->state = probes_create(&bench.dataset, kind, PROBES, worker->index + 1);
}

static void prepare(struct worker *worker)
{
    prepare_kind(worker, PROBE_UNIFORM);
}

static void prepare_misses(struct worker *worker)
{
    prepare_kind(worker, PROBE_MISSES);
}

static void prepare_zipf(struct worker *worker)
{
    prepare_kind(worker, PROBE_ZIPF);
}

static void renew(struct worker *worker)
{
    probes_renew(worker->state, &bench.dataset);
}

static inline void get_one(const struct worker *worker, struct probes *probes)
{
    struct slice value;
    bool is_there;
    struct slice key = probes_next(probes, &is_there);
    bool found = worker->adapter->get(worker->peer, key, &value);

    if (found != is_there || (found && !value_check(key, value, bench.dataset.value_bytes))) {
        bench_fail("%s: a get gave a wrong value", worker->adapter->name);
    }
}

static void get_with_one_snapshot(struct worker *worker)
{
    uint64_t deadline_ns = worker_begin(worker);

    worker->adapter->begin(worker->peer);
    do {
        for (unsigned i = 0; i < GETS_BETWEEN_LOOKS; i++) {
            get_one(worker, worker->state);
        }
    } while (worker_goes_on(worker, GETS_BETWEEN_LOOKS, deadline_ns));
    worker->adapter->end(worker->peer);
}

static void get_with_own_snapshots(struct worker *worker)
{
    uint64_t deadline_ns = worker_begin(worker);

    do {
        for (unsigned i = 0; i < GETS_BETWEEN_LOOKS; i++) {
            worker->adapter->begin(worker->peer);
            get_one(worker, worker->state);
            worker->adapter->end(worker->peer);
        }
    } while (worker_goes_on(worker, GETS_BETWEEN_LOOKS, deadline_ns));
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e3;
}

/* ns for each get, which a share of a get can be taken of. */
static void sum_ns(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = 1e9 / round_rate(round);
}

#define GET_GOAL {{3.5, 2.4}, {2.2, 2}, {2.2, 2}}

const struct workload get_held = {
    .name = "get_held",
    .title = "random get, one snapshot held",
    .processes = 1,
    .figures = {{"", "k/s", false}},
    .goals = {{"get/%s/held", 0, "lmdb", false, GET_GOAL}},
    .prepare = prepare,
    .renew = renew,
    .run = get_with_one_snapshot,
    .sum = sum,
};

const struct workload get_each = {
    .name = "get_each",
    .title = "random get, a snapshot for each",
    .processes = 1,
    .figures = {{"", "k/s", false}},
    .goals = {{"get/%s/each", 0, "lmdb", false, GET_GOAL}},
    .prepare = prepare,
    .renew = renew,
    .run = get_with_own_snapshots,
    .sum = sum,
};

const struct workload get_each_2 = {
    .name = "get_each_2",
    .title = "random get, a snapshot for each, 2 processes",
    .processes = 2,
    .figures = {{"", "k/s", false}},
    .goals = {{"get/%s/2-processes", 0, "lmdb", false, GET_GOAL}},
    .prepare = prepare,
    .renew = renew,
    .run = get_with_own_snapshots,
    .sum = sum,
};

const struct workload get_misses = {
    .name = "get_misses",
    .title = "random get, one snapshot held, one key in ten is missing",
    .processes = 1,
    .figures = {{"", "k/s", false}},
    .prepare = prepare_misses,
    .renew = renew,
    .run = get_with_one_snapshot,
    .sum = sum,
};

const struct workload get_zipf = {
    .name = "get_zipf",
    .title = "zipfian get, one snapshot held",
    .processes = 1,
    .figures = {{"", "k/s", false}},
    .prepare = prepare_zipf,
    .renew = renew,
    .run = get_with_one_snapshot,
    .sum = sum,
};

/*
 * The same library twice; in one the look into the table of verified pages is
 * left out (bench/unverified).  Time with it divided by time without.
 */
const struct workload verify_cost = {
    .name = "verify_cost",
    .title = "random get, one snapshot held: with and without the table of verified pages",
    .stores = "btstore btstore_unverified",
    .rounds = 11, /* a small difference */
    .processes = 1,
    .figures = {{"", "ns", true}},
    .goals = {{"verify-once/%s/cost", 0, "btstore_unverified", true, GOAL(1.05, 1.05)}},
    .prepare = prepare,
    .renew = renew,
    .run = get_with_one_snapshot,
    .sum = sum_ns,
};
