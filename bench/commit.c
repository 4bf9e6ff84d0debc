/* SPDX-License-Identifier: MIT */
/*
 * commit: transactions of one put or of 100, by 1 to 128 processes; durable,
 * or relaxed.
 *
 * Each writer overwrites keys of its own, at random places of the loaded
 * store, for a fixed time, and afterwards reads all of them back: each must
 * hold the last version that was acknowledged.
 *
 * Also told: how long one commit takes; what the slowest writer got, measured
 * by an equal share for all; and the bytes that went to the disk for each put.
 * These are counted at the device (a process's write_bytes count a whole folio
 * for each page of it), until all files of the store are synced, so they are
 * true only while nobody else writes to that device.
 */
#include "store_folder.h"
#include "workloads.h"

#define KEYS_PER_WORKER_MAX 4096
#define PUTS_MAX 100

enum figure_index { RATE, P50, P99, MAX, LEAST, BYTES };
enum mark { MARK_PUTS, MARK_BYTES };

struct writing {
    unsigned puts; /* in a transaction */
    size_t key_count;
    uint8_t keys[KEYS_PER_WORKER_MAX][KEY_BYTES_MAX];
    uint8_t key_sizes[KEYS_PER_WORKER_MAX];
    uint64_t versions[KEYS_PER_WORKER_MAX]; /* last acknowledged; 0: not written by us */
    uint64_t version; /* grows by one with each commit */
    size_t next;
    struct pair pairs[PUTS_MAX];
    uint8_t values[PUTS_MAX][VALUE_BYTES_MAX];
};

/* Worker `index` owns the keys index, index + count, index + 2 * count, ... */
static void prepare_puts(struct worker *worker, unsigned puts)
{
    struct writing *writing = bench_alloc(sizeof(*writing));
    size_t at = worker->index;

    writing->puts = puts;
    while (at < bench.dataset.count && writing->key_count < KEYS_PER_WORKER_MAX) {
        size_t i = writing->key_count++;
        writing->key_sizes[i] =
            (uint8_t)dataset_key(&bench.dataset, at, writing->keys[i]).size;
        at += worker->count;
    }
    if (writing->key_count < puts) {
        bench_fail("more writers than entries");
    }
    worker->state = writing;
}

static void prepare(struct worker *worker)
{
    prepare_puts(worker, 1);
}

static void prepare_100(struct worker *worker)
{
    prepare_puts(worker, PUTS_MAX);
}

static struct slice key_at(const struct writing *writing, size_t i)
{
    return (struct slice){writing->keys[i], writing->key_sizes[i]};
}

static void fill_pairs(struct writing *writing)
{
    size_t size = bench.dataset.value_bytes;

    writing->version++;
    for (unsigned i = 0; i < writing->puts; i++) {
        struct pair *pair = &writing->pairs[i];
        pair->key = key_at(writing, (writing->next + i) % writing->key_count);
        pair->value = (struct slice){writing->values[i], size};
        value_fill(pair->key, writing->version, writing->values[i], size);
    }
}

static void commit_next(struct worker *worker, struct writing *writing)
{
    struct result *result = worker->result;
    uint64_t start_ns;

    fill_pairs(writing);
    start_ns = bench_now_ns();
    worker->adapter->write(worker->peer, writing->pairs, writing->puts);
    if (result->latency_count < LATENCIES_MAX) {
        uint64_t latency_ns = bench_now_ns() - start_ns;
        result->latencies_ns[result->latency_count++] =
            latency_ns < UINT32_MAX ? (uint32_t)latency_ns : UINT32_MAX;
    }
    for (unsigned i = 0; i < writing->puts; i++) {
        writing->versions[writing->next] = writing->version;
        writing->next = (writing->next + 1) % writing->key_count;
    }
    result->operations++;
}

static void commit_for_a_while(struct worker *worker)
{
    struct result *result = worker->result;
    double bytes = store_folder_device_bytes(worker->folder);
    uint64_t deadline_ns;

    result->operations = 0;
    result->latency_count = 0;
    result->start_ns = bench_now_ns();
    deadline_ns = result->start_ns + (uint64_t)worker->round_ms * 1000000;
    do {
        commit_next(worker, worker->state);
        result->end_ns = bench_now_ns();
    } while (result->end_ns < deadline_ns);
    if (worker->index == 0) {
        store_folder_sync(worker->folder);
        result->marks[MARK_BYTES] = store_folder_device_bytes(worker->folder) - bytes;
    }
    result->marks[MARK_PUTS] =
        (double)result->operations * ((const struct writing *)worker->state)->puts;
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
    double puts = 0;

    for (unsigned i = 0; i < round->count; i++) {
        const struct result *result = round->results[i];
        least = result->operations < least ? result->operations : least;
        all += result->operations;
        puts += result->marks[MARK_PUTS];
    }
    values[RATE] = round_rate(round);
    values[P50] = round_latency_ns(round, 50) / 1e3;
    values[P99] = round_latency_ns(round, 99) / 1e3;
    values[MAX] = round_latency_ns(round, 100) / 1e3;
    values[LEAST] = (double)least * round->count / (double)all;
    values[BYTES] = round->results[0]->marks[MARK_BYTES] / puts;
}

#define WRITERS(writers)                                                                          \
    .processes = writers, .syncs = true, .run = commit_for_a_while, .verify = read_back,          \
    .sum = sum,                                                                                   \
    .figures = {{"", "1/s", false}, {"_p50", "us", true}, {"_p99", "us", true},                   \
                {"_max", "us", true}, {"_least", "share", false}, {"_bytes", "B/put", true}}

#define COMMITS(writers)                                                                          \
    .title = "durable commits of one put, " #writers " writers", .use = PEER_COMMIT,              \
    .prepare = prepare, WRITERS(writers)

#define TRANSACTIONS(writers)                                                                     \
    .title = "durable transactions of 100 puts, " #writers " writers", .use = PEER_COMMIT,        \
    .prepare = prepare_100, WRITERS(writers)

const struct workload commit_1 = {
    .name = "commit_1",
    .goals = {{"commit/%s/1/lmdb", RATE, "lmdb", false, GOAL(2, 2)},
              {"commit/%s/1/best-of-redis-rocksdb", RATE, "redis rocksdb", false, GOAL(1.2, 1.2)}},
    COMMITS(1),
};

const struct workload commit_2 = {
    .name = "commit_2",
    COMMITS(2),
};

const struct workload commit_8 = {
    .name = "commit_8",
    .goals = {{"commit/%s/8/lmdb", RATE, "lmdb", false, GOAL(10, 10)},
              {"commit/%s/8/best-of-redis-rocksdb", RATE, "redis rocksdb", false, GOAL(1.2, 1.2)}},
    COMMITS(8),
};

const struct workload commit_32 = {
    .name = "commit_32",
    .goals = {{"commit/%s/32/lmdb", RATE, "lmdb", false, GOAL(25, 25)},
              {"commit/%s/32/best-of-redis-rocksdb", RATE, "redis rocksdb", false, GOAL(1.2, 1.2)},
              {"commit/%s/32/p99/lmdb", P99, "lmdb", true, GOAL(0.025, 0.025)},
              {"commit/%s/32/p99/redis", P99, "redis", true, GOAL(1, 1)},
              {"commit/%s/32/bytes/lmdb", BYTES, "lmdb", true, GOAL(1, 1)}},
    COMMITS(32),
};

const struct workload commit_128 = {
    .name = "commit_128",
    .goals = {{"commit/%s/128/lmdb", RATE, "lmdb", false, GOAL(25, 25)},
              {"commit/%s/128/best-of-redis-rocksdb", RATE, "redis rocksdb", false,
               GOAL(1.2, 1.2)},
              {"commit/%s/128/least-share", LEAST, "", false, GOAL(0.5, 0.5)}},
    COMMITS(128),
};

const struct workload transaction_1 = {
    .name = "transaction_1",
    .goals = {{"transaction-100/%s/1/best-peer", RATE, "lmdb sqlite rocksdb redis", false,
               GOAL(1.2, 1.2)}},
    TRANSACTIONS(1),
};

const struct workload transaction_8 = {
    .name = "transaction_8",
    .goals = {{"transaction-100/%s/8/best-peer", RATE, "lmdb sqlite rocksdb redis", false,
               GOAL(1.2, 1.2)}},
    TRANSACTIONS(8),
};

const struct workload relaxed_8 = {
    .name = "relaxed_8",
    .title = "relaxed commits of one put, 8 writers (LMDB: MDB_NOSYNC)",
    .use = PEER_RELAXED,
    .goals = {{"relaxed/%s/8/lmdb-nosync", RATE, "lmdb", false, GOAL(3, 3)}},
    .prepare = prepare,
    WRITERS(8),
};
