/* SPDX-License-Identifier: MIT */
/*
 * pipeline: one client that has 64 durable commits of one put on their way,
 * and, in the same round before, the same client when it waits for each.
 */
#include "workloads.h"

#define KEYS_WRITTEN 100000

enum mark { MARK_WAITING, MARK_PIPELINED };

static bool suits(const struct adapter *adapter)
{
    return adapter->submit != NULL;
}

static void prepare(struct worker *worker)
{
    worker->state = probes_create(&bench.dataset, PROBE_UNIFORM, KEYS_WRITTEN, 1);
}

static struct pair next_pair(struct probes *probes, uint64_t version, uint8_t *value)
{
    bool is_there;
    struct pair pair = {.key = probes_next(probes, &is_there),
                        .value = {value, bench.dataset.value_bytes}};

    value_fill(pair.key, version, value, pair.value.size);
    return pair;
}

/* Commits per second until the deadline, with up to `depth` on their way. */
static double commit_until(const struct worker *worker, unsigned depth, uint64_t deadline_ns)
{
    uint64_t start_ns = bench_now_ns();
    uint8_t value[VALUE_BYTES_MAX];
    unsigned in_flight = 0;
    uint64_t count = 0;

    do {
        struct pair pair = next_pair(worker->state, count, value);
        worker->adapter->submit(worker->peer, &pair, 1);
        if (++in_flight == depth) {
            worker->adapter->wait(worker->peer);
            in_flight--;
        }
        count++;
    } while (bench_now_ns() < deadline_ns);
    for (; in_flight > 0; in_flight--) {
        worker->adapter->wait(worker->peer);
    }
    return (double)count * 1e9 / (double)(bench_now_ns() - start_ns);
}

static void run(struct worker *worker)
{
    struct result *result = worker->result;
    uint64_t half_ns = (uint64_t)worker->round_ms * 500000;

    result->marks[MARK_WAITING] = commit_until(worker, 1, bench_now_ns() + half_ns);
    result->marks[MARK_PIPELINED] =
        commit_until(worker, PEER_IN_FLIGHT_MAX, bench_now_ns() + half_ns);
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    const double *marks = round->results[0]->marks;

    values[0] = marks[MARK_PIPELINED] / marks[MARK_WAITING];
    values[1] = marks[MARK_PIPELINED];
    values[2] = marks[MARK_WAITING];
}

const struct workload pipeline_64 = {
    .name = "pipeline_64",
    .title = "one client with 64 durable commits on their way, by the same that waits for each",
    .processes = 1,
    .use = PEER_COMMIT,
    .syncs = true,
    .figures = {{"", "times", false}, {"_rate", "1/s", false}, {"_waiting", "1/s", false}},
    .goals = {{"pipeline/%s/depth-64", 0, "", false, GOAL(5, 5)}},
    .suits = suits,
    .prepare = prepare,
    .run = run,
    .sum = sum,
};
