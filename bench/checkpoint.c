/* SPDX-License-Identifier: MIT */
/*
 * checkpoint: p99 of durable single puts by 8 writers while checkpoints are
 * made one after the other, divided by their p99 a moment before, when none is
 * asked for.  The ninth worker asks.
 */
#include "workloads.h"

#include <stdlib.h>
#include <unistd.h>

#define WRITERS 8
#define KEYS_WRITTEN 100000
#define IS_WRITER(worker) ((worker)->index < WRITERS)

enum mark { MARK_FIRST_HALF }; /* latencies that belong to it */

static bool suits(const struct adapter *adapter)
{
    return adapter->checkpoint != NULL;
}

static void prepare(struct worker *worker)
{
    worker->state =
        probes_create(&bench.dataset, PROBE_UNIFORM, KEYS_WRITTEN, worker->index + 1);
}

static void write_until(const struct worker *worker, uint64_t deadline_ns)
{
    struct result *result = worker->result;
    uint8_t value[VALUE_BYTES_MAX];
    uint64_t now_ns = bench_now_ns();

    while (now_ns < deadline_ns && result->latency_count < LATENCIES_MAX) {
        bool is_there;
        struct pair pair = {.key = probes_next(worker->state, &is_there),
                            .value = {value, bench.dataset.value_bytes}};
        uint64_t start_ns;
        value_fill(pair.key, result->latency_count, value, pair.value.size);
        start_ns = bench_now_ns();
        worker->adapter->write(worker->peer, &pair, 1);
        now_ns = bench_now_ns();
        result->latencies_ns[result->latency_count++] = (uint32_t)(now_ns - start_ns);
    }
}

static void ask_until(const struct worker *worker, uint64_t deadline_ns)
{
    while (bench_now_ns() < deadline_ns) {
        worker->adapter->checkpoint(worker->peer);
        worker->result->operations++;
    }
}

static void run(struct worker *worker)
{
    struct result *result = worker->result;
    uint64_t half_ns = (uint64_t)worker->round_ms * 1000000;

    result->operations = 0;
    result->latency_count = 0;
    result->start_ns = bench_now_ns();
    if (IS_WRITER(worker)) {
        write_until(worker, result->start_ns + half_ns);
        result->marks[MARK_FIRST_HALF] = (double)result->latency_count;
        write_until(worker, result->start_ns + 2 * half_ns);
    } else {
        usleep((useconds_t)(half_ns / 1000));
        ask_until(worker, result->start_ns + 2 * half_ns);
    }
    result->end_ns = bench_now_ns();
}

/* The p99 of the first or the second half, in us. */
static double p99_us(const struct round *round, bool is_second)
{
    struct result *halves[WRITERS];
    struct round half = {.results = halves, .count = WRITERS};
    double latency_ns;

    for (unsigned i = 0; i < WRITERS; i++) {
        const struct result *result = round->results[i];
        size_t first = (size_t)result->marks[MARK_FIRST_HALF];
        size_t from = is_second ? first : 0;
        halves[i] = bench_alloc(sizeof(*halves[i]));
        halves[i]->latency_count = is_second ? result->latency_count - first : first;
        memcpy(halves[i]->latencies_ns, result->latencies_ns + from,
               halves[i]->latency_count * sizeof(*result->latencies_ns));
    }
    latency_ns = round_latency_ns(&half, 99);
    for (unsigned i = 0; i < WRITERS; i++) {
        free(halves[i]);
    }
    return latency_ns / 1e3;
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    values[1] = p99_us(round, true);
    values[2] = p99_us(round, false);
    values[0] = values[1] / values[2];
    values[3] = (double)round->results[WRITERS]->operations;
}

const struct workload beside_checkpoint = {
    .name = "beside_checkpoint",
    .title = "p99 of durable commits of one put, 8 writers, during checkpoints by that without",
    .processes = WRITERS + 1,
    .use = PEER_COMMIT,
    .syncs = true,
    .figures = {{"", "times", true}, {"_p99", "us", true}, {"_p99_without", "us", true},
                {"_count", "", false}},
    .goals = {{"checkpoint/%s/p99", 0, "", true, GOAL(3, 3)}},
    .suits = suits,
    .prepare = prepare,
    .run = run,
    .sum = sum,
};
