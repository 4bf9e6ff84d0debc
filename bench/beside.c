/* SPDX-License-Identifier: MIT */
/*
 * beside: what a reader still reads while one other process commits durable
 * puts as fast as it can; its own idle throughput, taken a moment before, is
 * what that is a share of.
 *
 * The writer gives entries values of version 1 and back of version 0, so the
 * reader, which has a snapshot for each get, takes either.
 */
#include "workloads.h"

#include <unistd.h>

#define PROBES 500000
#define GETS_BETWEEN_LOOKS 64 /* at the clock */
#define KEYS_WRITTEN 20000
#define IS_READER(worker) ((worker)->index == 0)

enum mark { MARK_IDLE, MARK_BESIDE };

static void prepare(struct worker *worker)
{
    enum peer_use use = IS_READER(worker) ? PEER_READ_SHARED : PEER_COMMIT;

    worker->peer = worker->adapter->open(worker->folder, use);
    if (IS_READER(worker)) {
        bench_warm_up(worker);
    }
    worker->state = probes_create(&bench.dataset, PROBE_UNIFORM,
                                  IS_READER(worker) ? PROBES : KEYS_WRITTEN, worker->index + 1);
}

static void get_one(const struct worker *worker)
{
    struct slice value;
    bool is_there;
    struct slice key = probes_next(worker->state, &is_there);
    uint64_t first;

    worker->adapter->begin(worker->peer);
    if (!worker->adapter->get(worker->peer, key, &value) ||
        value.size != bench.dataset.value_bytes) {
        bench_fail("%s: a key is missing", worker->adapter->name);
    }
    memcpy(&first, value.data, sizeof(first));
    if (first != value_word(key, 0, 0) && first != value_word(key, 1, 0)) {
        bench_fail("%s: a get gave a wrong value", worker->adapter->name);
    }
    worker->adapter->end(worker->peer);
}

/* Gets per second until the deadline. */
static double read_until(const struct worker *worker, uint64_t deadline_ns)
{
    uint64_t start_ns = bench_now_ns();
    uint64_t now_ns;
    uint64_t count = 0;

    do {
        for (unsigned i = 0; i < GETS_BETWEEN_LOOKS; i++) {
            get_one(worker);
        }
        count += GETS_BETWEEN_LOOKS;
        now_ns = bench_now_ns();
    } while (now_ns < deadline_ns);
    return (double)count * 1e9 / (double)(now_ns - start_ns);
}

static void write_until(const struct worker *worker, uint64_t deadline_ns)
{
    static uint64_t version; /* of the process, which is the only writer */
    uint8_t value[VALUE_BYTES_MAX];

    version ^= 1;
    do {
        bool is_there;
        struct pair pair = {.key = probes_next(worker->state, &is_there),
                            .value = {value, bench.dataset.value_bytes}};
        value_fill(pair.key, version, value, pair.value.size);
        worker->adapter->write(worker->peer, &pair, 1);
        worker->result->operations++;
    } while (bench_now_ns() < deadline_ns);
}

static void run(struct worker *worker)
{
    struct result *result = worker->result;
    uint64_t half_ns = (uint64_t)worker->round_ms * 500000;

    result->operations = 0;
    result->start_ns = bench_now_ns();
    if (IS_READER(worker)) {
        result->marks[MARK_IDLE] = read_until(worker, result->start_ns + half_ns);
        result->marks[MARK_BESIDE] = read_until(worker, result->start_ns + 2 * half_ns);
    } else {
        usleep((useconds_t)(half_ns / 1000));
        write_until(worker, result->start_ns + 2 * half_ns);
    }
    result->end_ns = bench_now_ns();
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    const struct result *reader = round->results[0];
    const struct result *writer = round->results[1];

    values[0] = reader->marks[MARK_BESIDE] / reader->marks[MARK_IDLE];
    values[1] = reader->marks[MARK_BESIDE] / 1e3;
    values[2] = (double)writer->operations * 2e9 / (double)(writer->end_ns - writer->start_ns);
}

static bool suits(const struct adapter *adapter)
{
    return !adapter->threads;
}

const struct workload reader_beside_writer = {
    .name = "beside",
    .title = "random get, a snapshot for each, beside one durable writer; share of idle",
    .processes = 2,
    .opens_itself = true,
    .syncs = true,
    .figures = {{"", "share", false}, {"_gets", "k/s", false}, {"_puts", "1/s", false}},
    .goals = {{"beside/%s/one-writer", 0, "", false, GOAL(0.85, 0.85)}},
    .suits = suits,
    .prepare = prepare,
    .run = run,
    .sum = sum,
};
