/* SPDX-License-Identifier: MIT */
/*
 * load: all entries into an empty store, in transactions of 10,000, each
 * durable at the end.  In random order, then the same entries sorted.
 *
 * The size is what the data file takes on the disk after the store was closed
 * and its server, if any, stopped.
 */
#include "workloads.h"

#include <stdlib.h>

#define TRANSACTION_ENTRIES 10000

static void prepare_random(struct worker *worker)
{
    worker->state = &bench.dataset;
}

static void prepare_sorted(struct worker *worker)
{
    struct dataset *sorted = bench_alloc(sizeof(*sorted));

    dataset_sort(&bench.dataset, sorted);
    worker->state = sorted;
}

static void load(struct worker *worker)
{
    static struct pair pairs[TRANSACTION_ENTRIES];
    const struct dataset *dataset = worker->state;
    size_t done = 0;

    worker->result->start_ns = bench_now_ns();
    while (done < dataset->count) {
        size_t count = 0;
        while (count < TRANSACTION_ENTRIES && done + count < dataset->count) {
            pairs[count].key = key_slice(dataset->keys[done + count]);
            pairs[count].value = (struct slice){dataset->values[done + count], VALUE_BYTES};
            count++;
        }
        worker->adapter->write(worker->peer, pairs, count);
        done += count;
    }
    worker->adapter->drain(worker->peer);
    worker->result->end_ns = bench_now_ns();
    worker->result->operations = done;
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e3;
    values[1] = round_disk_bytes(round) / 1e6;
}

const struct workload load_random = {
    .name = "load_random",
    .title = "load in random order, transactions of 10,000; then the file's size",
    .rounds = 3,
    .processes = 1,
    .use = PEER_LOAD,
    .makes_store = true,
    .figures = {{"", "k/s", false, 2}, {"_size", "MB", true, 1.18}},
    .prepare = prepare_random,
    .run = load,
    .verify = bench_verify_all,
    .sum = sum,
};

const struct workload load_sorted = {
    .name = "load_sorted",
    .title = "load in ascending order, transactions of 10,000; then the file's size",
    .rounds = 3,
    .processes = 1,
    .use = PEER_LOAD_SORTED,
    .makes_store = true,
    .figures = {{"", "k/s", false, 1}, {"_size", "MB", true, 0}},
    .prepare = prepare_sorted,
    .run = load,
    .verify = bench_verify_all,
    .sum = sum,
};
