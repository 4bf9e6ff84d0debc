/* SPDX-License-Identifier: MIT */
/*
 * load: all entries into an empty store, in transactions of 10,000, each
 * durable at the end.  In random order, then the same entries sorted.
 *
 * The size is what the data file takes on the disk after the store was closed
 * and its server, if any, stopped.
 */
#include "stage.h"
#include "workloads.h"

#include <stdlib.h>

/* ---- in key order -------------------------------------------------------- */

struct sorted {
    size_t count;
    uint8_t (*keys)[KEY_BYTES_MAX]; /* behind its last byte a key has zeros, and last its size */
};

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, KEY_BYTES_MAX);
}

static void prepare_sorted(struct worker *worker)
{
    struct sorted *sorted = bench_alloc(sizeof(*sorted));

    sorted->count = bench.dataset.count;
    sorted->keys = bench_alloc(sorted->count * sizeof(*sorted->keys));
    for (size_t i = 0; i < sorted->count; i++) {
        uint8_t *key = sorted->keys[i];
        key[KEY_BYTES_MAX - 1] = (uint8_t)dataset_key(&bench.dataset, i, key).size;
    }
    qsort(sorted->keys, sorted->count, KEY_BYTES_MAX, compare_keys);
    worker->state = sorted;
}

static void put_sorted(struct worker *worker)
{
    static struct pair pairs[LOAD_TRANSACTION_ENTRIES];
    static uint8_t values[LOAD_TRANSACTION_ENTRIES][VALUE_BYTES_MAX];
    const struct sorted *sorted = worker->state;

    for (size_t done = 0; done < sorted->count;) {
        size_t count = 0;
        while (count < LOAD_TRANSACTION_ENTRIES && done < sorted->count) {
            const uint8_t *key = sorted->keys[done++];
            pairs[count].key = (struct slice){key, key[KEY_BYTES_MAX - 1]};
            value_fill(pairs[count].key, 0, values[count], bench.dataset.value_bytes);
            pairs[count].value = (struct slice){values[count], bench.dataset.value_bytes};
            count++;
        }
        worker->adapter->write(worker->peer, pairs, count);
    }
    worker->adapter->drain(worker->peer);
}

/* ---- rounds -------------------------------------------------------------- */

static void load(struct worker *worker, void (*put_all)(struct worker *worker))
{
    worker->result->start_ns = bench_now_ns();
    put_all(worker);
    worker->result->end_ns = bench_now_ns();
    worker->result->operations = bench.dataset.count;
}

static void load_in_random_order(struct worker *worker)
{
    load(worker, stage_put_all);
}

static void load_in_key_order(struct worker *worker)
{
    load(worker, put_sorted);
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e3;
    values[1] = round_disk_bytes(round) / 1e6;
}

const struct workload load_random = {
    .name = "load_random",
    .title = "load in random order, transactions of 10,000; then the file's size",
    .stores = "btstore lmdb",
    .processes = 1,
    .use = PEER_LOAD,
    .makes_store = true,
    .syncs = true,
    .figures = {{"", "k/s", false}, {"_size", "MB", true}},
    .goals = {{"load/%s/random-order", 0, "lmdb", false, GOAL(2, 2)}},
    .run = load_in_random_order,
    .verify = bench_warm_up,
    .sum = sum,
};

const struct workload load_sorted = {
    .name = "load_sorted",
    .title = "load in ascending order, transactions of 10,000; then the file's size",
    .stores = "btstore lmdb",
    .processes = 1,
    .use = PEER_LOAD_SORTED,
    .makes_store = true,
    .syncs = true,
    .figures = {{"", "k/s", false}, {"_size", "MB", true}},
    .goals = {{"load/%s/sorted", 0, "lmdb", false, GOAL(1, 1)}},
    .prepare = prepare_sorted,
    .run = load_in_key_order,
    .verify = bench_warm_up,
    .sum = sum,
};
