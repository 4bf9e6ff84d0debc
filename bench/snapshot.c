/* SPDX-License-Identifier: MIT */
/*
 * snapshot: what it costs to begin and end one without reading anything, and
 * what a fresh process pays until it has read its first value.
 */
#include "workloads.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define SNAPSHOTS 2000000
#define OPENS_MAX 30

static void prepare_open(struct worker *worker)
{
    worker->state = probes_create(&bench.dataset, 1);
}

static void begin_and_end(struct worker *worker)
{
    worker->result->start_ns = bench_now_ns();
    worker->adapter->snapshots(worker->peer, SNAPSHOTS);
    worker->result->end_ns = bench_now_ns();
    worker->result->operations = SNAPSHOTS;
}

/* Ends the child; the time it took goes to the shared result. */
__attribute__((noreturn)) static void open_and_get(const struct worker *worker, const void *key,
                                                   uint32_t *latency_ns)
{
    const struct adapter *adapter = worker->adapter;
    uint64_t start_ns = bench_now_ns();
    struct peer *peer = adapter->open(worker->folder, PEER_READ);
    struct slice value;

    adapter->begin(peer);
    if (!adapter->get(peer, key_slice(key), &value) || !value_check(key_slice(key), value, 0)) {
        bench_fail("%s: the first get gave a wrong value", adapter->name);
    }
    *latency_ns = (uint32_t)(bench_now_ns() - start_ns);
    adapter->end(peer);
    adapter->close(peer);
    _exit(0);
}

static void open_in_fresh_processes(struct worker *worker)
{
    size_t opens = bench.entries < OPENS_MAX ? bench.entries : OPENS_MAX;
    const uint8_t(*probes)[KEY_BYTES] = probes_take(worker->state, opens);
    struct result *result = worker->result;

    result->start_ns = bench_now_ns();
    for (unsigned i = 0; i < opens; i++) {
        pid_t child = fork();
        int status;
        if (child == 0) {
            open_and_get(worker, probes[i], &result->latencies_ns[i]);
        }
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        if (child < 0 || status != 0) {
            bench_fail("%s: a process that opens the store failed", worker->adapter->name);
        }
    }
    result->end_ns = bench_now_ns();
    result->latency_count = opens;
    result->operations = opens;
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
    .title = "begin and end a snapshot (the peer: renew and reset)",
    .rounds = 11,
    .processes = 1,
    .use = PEER_READ,
    .figures = {{"", "ns", true, 4}},
    .run = begin_and_end,
    .sum = sum_snapshots,
};

const struct workload open_first_get = {
    .name = "open_first_get",
    .title = "open and first get of a fresh process, p50",
    .rounds = 11,
    .processes = 1,
    .use = PEER_READ,
    .opens_itself = true,
    .figures = {{"", "us", true, 0.5}},
    .prepare = prepare_open,
    .run = open_in_fresh_processes,
    .sum = sum_opens,
};
