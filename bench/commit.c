/* SPDX-License-Identifier: MIT */
/*
 * commit: durable transactions of one put each, by 1, 8 and 32 processes.
 *
 * Each process overwrites keys of its own, at random places of the loaded
 * store, for a fixed time, and afterwards reads all of them back: each must
 * hold the last version that was acknowledged.
 *
 * Also told: how long one commit takes, and what the slowest writer got,
 * measured by an equal share for all.
 */
#include "workloads.h"

#define KEYS_PER_WORKER_MAX 4096

struct writing {
    size_t key_count;
    uint8_t keys[KEYS_PER_WORKER_MAX][KEY_BYTES_MAX];
    uint8_t key_sizes[KEYS_PER_WORKER_MAX];
    uint64_t versions[KEYS_PER_WORKER_MAX]; /* last acknowledged; 0: not written by us */
    uint64_t version; /* grows by one with each commit */
    size_t next;
};

/* Worker `index` owns the keys index, index + count, index + 2 * count, ... */
static void prepare(struct worker *worker)
{
    struct writing *writing = bench_alloc(sizeof(*writing));
    size_t at = worker->index;

    while (at < bench.dataset.count && writing->key_count < KEYS_PER_WORKER_MAX) {
        size_t i = writing->key_count++;
        writing->key_sizes[i] =
            (uint8_t)dataset_key(&bench.dataset, at, writing->keys[i]).size;
        at += worker->count;
    }
    if (writing->key_count == 0) {
        bench_fail("more writers than entries");
    }
    worker->state = writing;
}

static struct slice key_at(const struct writing *writing, size_t i)
{
    return (struct slice){writing->keys[i], writing->key_sizes[i]};
}

static void commit_next(struct worker *worker, struct writing *writing)
{
    struct result *result = worker->result;
    uint8_t value[VALUE_BYTES_MAX];
    struct pair pair = {key_at(writing, writing->next), {value, bench.dataset.value_bytes}};
    uint64_t start_ns;

    value_fill(pair.key, ++writing->version, value, pair.value.size);
    start_ns = bench_now_ns();
    worker->adapter->write(worker->peer, &pair, 1);
    if (result->latency_count < LATENCIES_MAX) {
        uint64_t latency_ns = bench_now_ns() - start_ns;
        result->latencies_ns[result->latency_count++] =
            latency_ns < UINT32_MAX ? (uint32_t)latency_ns : UINT32_MAX;
    }
    writing->versions[writing->next] = writing->version;
    writing->next = (writing->next + 1) % writing->key_count;
    result->operations++;
}

static void commit_for_a_while(struct worker *worker)
{
    struct result *result = worker->result;
    uint64_t deadline_ns;

    result->operations = 0;
    result->latency_count = 0;
    result->start_ns = bench_now_ns();
    deadline_ns = result->start_ns + (uint64_t)worker->round_ms * 1000000;
    do {
        commit_next(worker, worker->state);
        result->end_ns = bench_now_ns();
    } while (result->end_ns < deadline_ns);
}

static void read_back(struct worker *worker)
{
    const struct writing *writing = worker->state;

    worker->adapter->begin(worker->peer);
    for (size_t i = 0; i < writing->key_count; i++) {
        struct slice key = key_at(writing, i);
        struct slice value;
        if (writing->versions[i] != 0 &&
            (!worker->adapter->get(worker->peer, key, &value) ||
             !value_check_whole(key, value, writing->versions[i]))) {
            bench_fail("%s: an acknowledged put is not there", worker->adapter->name);
        }
    }
    worker->adapter->end(worker->peer);
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    uint64_t least = UINT64_MAX;
    uint64_t all = 0;

    for (unsigned i = 0; i < round->count; i++) {
        uint64_t operations = round->results[i]->operations;
        least = operations < least ? operations : least;
        all += operations;
    }
    values[0] = round_rate(round);
    values[1] = round_latency_ns(round, 50) / 1e3;
    values[2] = round_latency_ns(round, 99) / 1e3;
    values[3] = (double)least * round->count / (double)all;
}

#define COMMITS(writers)                                                                          \
    .title = "durable commits of one put, " #writers " processes", .processes = writers,          \
    .use = PEER_COMMIT, .syncs = true,                                                            \
    .figures = {{"", "1/s", false},                                                               \
                {"_p50", "us", true},                                                             \
                {"_p99", "us", true},                                                             \
                {"_least", "share", false}},                                                      \
    .prepare = prepare, .run = commit_for_a_while, .verify = read_back, .sum = sum

const struct workload commit_1 = {
    .name = "commit_1",
    .goals = {{"commit/%s/1/lmdb", 0, "lmdb", false, GOAL(2, 2)}},
    COMMITS(1),
};

const struct workload commit_8 = {
    .name = "commit_8",
    .goals = {{"commit/%s/8/lmdb", 0, "lmdb", false, GOAL(10, 10)}},
    COMMITS(8),
};

const struct workload commit_32 = {
    .name = "commit_32",
    .goals = {{"commit/%s/32/lmdb", 0, "lmdb", false, GOAL(25, 25)},
              {"commit/%s/32/p99/lmdb", 2, "lmdb", true, GOAL(0.025, 0.025)}},
    COMMITS(32),
};
