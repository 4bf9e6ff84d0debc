/* SPDX-License-Identifier: MIT */
/*
 * snapshot: what it costs to begin and end one without reading anything, and
 * what a fresh process pays until it has read its first value.
 */
#include "workloads.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define SNAPSHOTS_BETWEEN_LOOKS 100000 /* at the clock */
#define OPENS 30

static bool suits_snapshots(const struct adapter *adapter)
{
    return adapter->snapshots != NULL;
}

static void prepare_open(struct worker *worker)
{
    worker->state = probes_create(&bench.dataset, PROBE_UNIFORM, OPENS, 1);
}

static void begin_and_end(struct worker *worker)
{
    uint64_t deadline_ns = worker_begin(worker);

    do {
        worker->adapter->snapshots(worker->peer, SNAPSHOTS_BETWEEN_LOOKS);
    } while (worker_goes_on(worker, SNAPSHOTS_BETWEEN_LOOKS, deadline_ns));
}

/* Ends the child; the time it took goes to the shared result. */
__attribute__((noreturn)) static void open_and_get(const struct worker *worker, struct slice key,
                                                   uint32_t *latency_ns)
{
    const struct adapter *adapter = worker->adapter;
    uint64_t start_ns = bench_now_ns();
    struct peer *peer = adapter->open(worker->folder, PEER_READ);
    struct slice value;

    adapter->begin(peer);
    if (!adapter->get(peer, key, &value) ||
        !value_check(key, value, bench.dataset.value_bytes)) {
        bench_fail("%s: the first get gave a wrong value", adapter->name);
    }
    *latency_ns = (uint32_t)(bench_now_ns() - start_ns);
    adapter->end(peer);
    adapter->close(peer);
    _exit(0);
}

static void open_in_fresh_processes(struct worker *worker)
{
    struct result *result = worker->result;

    result->start_ns = bench_now_ns();
    for (unsigned i = 0; i < OPENS; i++) {
        bool is_there;
        struct slice key = probes_next(worker->state, &is_there);
        pid_t child = fork();
        int status;
        if (child == 0) {
            open_and_get(worker, key, &result->latencies_ns[i]);
        }
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        if (child < 0 || status != 0) {
            bench_fail("%s: a process that opens the store failed", worker->adapter->name);
        }
    }
    result->end_ns = bench_now_ns();
    result->latency_count = OPENS;
    result->operations = OPENS;
}

static void sum_snapshots(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = 1e9 / round_rate(round);
}

static void sum_opens(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_latency_ns(round, 50) / 1e3;
}

const struct workload snapshot_begin_end = {
    .name = "snapshot",
    .title = "begin and end a snapshot (LMDB: renew and reset)",
    .processes = 1,
    .figures = {{"", "ns", true}},
    .goals = {{"snapshot/%s/begin-end", 0, "lmdb", true, GOAL(0.25, 0.25)}},
    .suits = suits_snapshots,
    .run = begin_and_end,
    .sum = sum_snapshots,
};

const struct workload open_first_get = {
    .name = "open_first_get",
    .title = "open and first get of a fresh process, p50",
    .processes = 1,
    .opens_itself = true,
    .figures = {{"", "us", true}},
    .goals = {{"open/%s/first-get", 0, "lmdb", true, GOAL(2, 2)}},
    .prepare = prepare_open,
    .run = open_in_fresh_processes,
    .sum = sum_opens,
};
