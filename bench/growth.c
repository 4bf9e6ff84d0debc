/* SPDX-License-Identifier: MIT */
/*
 * growth: what a commit costs in a store of ten times as many entries, and in
 * one with as many free pages as entries, divided by what it costs in the
 * loaded store.
 *
 * One client keeps 64 durable commits of one put on their way, so that the
 * tree and the free pages are what counts and not the wait for each sync.  It
 * visits the three stores in turn, several times in each round.
 */
#include "stage.h"
#include "store_folder.h"
#include "workloads.h"

#include <stdlib.h>

#define TIMES_LARGER 10
#define KEYS_WRITTEN 200000
#define VISITS 4           /* of each store in a round */
#define RUN_PAGES 8        /* pages of a value that leaves free pages behind */
#define RUN_BYTES (RUN_PAGES * 4096 - 512)
#define RUNS_AT_ONCE 64

enum store_index { LOADED, LARGE, HOLES, STORES };

struct store {
    char folder[STORE_FOLDER_MAX];
    pid_t server; /* 0: the stage's */
    struct dataset dataset;
    struct peer *peer;
    struct probes *probes;
};

static bool suits(const struct adapter *adapter)
{
    return adapter->submit != NULL && adapter->erase != NULL && adapter->serve != NULL;
}

/* ---- stores -------------------------------------------------------------- */

static struct slice run_key(size_t i, uint8_t key[16])
{
    memcpy(key, "run:", 4);
    for (size_t at = 0; at < 8; at++) {
        key[4 + at] = (uint8_t)(i >> (56 - 8 * at));
    }
    return (struct slice){key, 12};
}

/* Puts values of RUN_PAGES pages, of as many pages in all as there are entries. */
static void put_runs(struct worker *worker)
{
    static struct pair pairs[RUNS_AT_ONCE];
    static uint8_t keys[RUNS_AT_ONCE][16];
    char *value = bench_alloc(RUN_BYTES);
    size_t runs = bench.dataset.count / RUN_PAGES;

    for (size_t done = 0; done < runs;) {
        size_t count = 0;
        for (; count < RUNS_AT_ONCE && done < runs; count++, done++) {
            pairs[count].key = run_key(done, keys[count]);
            pairs[count].value = (struct slice){value, RUN_BYTES};
        }
        worker->adapter->write(worker->peer, pairs, count);
    }
    worker->adapter->drain(worker->peer);
    free(value);
}

static void erase_runs(struct worker *worker)
{
    static uint8_t keys[RUNS_AT_ONCE][16];
    struct slice slices[RUNS_AT_ONCE];
    size_t runs = bench.dataset.count / RUN_PAGES;

    for (size_t done = 0; done < runs;) {
        size_t count = 0;
        for (; count < RUNS_AT_ONCE && done < runs; count++, done++) {
            slices[count] = run_key(done, keys[count]);
        }
        worker->adapter->erase(worker->peer, slices, count);
    }
}

static void put_and_erase(struct worker *worker)
{
    put_runs(worker);
    stage_put_all(worker); /* behind the runs: the file's end is not free */
    erase_runs(worker);
    worker->adapter->checkpoint(worker->peer);
}

/* bench.dataset is this process's own copy: a worker's. */
static void make_store(struct worker *worker, struct store *store, const char *name,
                       size_t count, void (*fill)(struct worker *worker))
{
    const struct dataset stage = bench.dataset;

    store_folder_name(worker->adapter, name, store->folder);
    store_folder_make(store->folder);
    bench.dataset.count = count;
    store->dataset = bench.dataset;
    store->server = worker->adapter->serve(store->folder, PEER_FILL);
    harness_once(worker->adapter, store->folder, PEER_FILL, fill, NULL);
    worker->adapter->stop(store->server, store->folder);
    store->server = worker->adapter->serve(store->folder, PEER_COMMIT);
    bench.dataset = stage;
}

static void prepare(struct worker *worker)
{
    struct store *stores = bench_alloc(STORES * sizeof(*stores));
    size_t count = bench.dataset.count;

    store_folder_name(worker->adapter, LOADED_STORE, stores[LOADED].folder);
    stores[LOADED].dataset = bench.dataset;
    make_store(worker, &stores[LARGE], "large", TIMES_LARGER * count, stage_put_all);
    make_store(worker, &stores[HOLES], "holes", count, put_and_erase);
    for (unsigned i = 0; i < STORES; i++) {
        stores[i].peer = worker->adapter->open(stores[i].folder, PEER_COMMIT);
        stores[i].probes = probes_create(&stores[i].dataset, PROBE_UNIFORM, KEYS_WRITTEN, i + 1);
    }
    worker->state = stores;
}

static void finish(struct worker *worker)
{
    struct store *stores = worker->state;

    for (unsigned i = 0; i < STORES; i++) {
        worker->adapter->close(stores[i].peer);
        if (stores[i].server > 0) {
            worker->adapter->stop(stores[i].server, stores[i].folder);
        }
    }
}

/* ---- rounds -------------------------------------------------------------- */

/* Adds commits and their time in us to the marks. */
static void commit_for(struct worker *worker, struct store *store, uint64_t time_ns,
                       double *commits, double *time_us)
{
    uint64_t start_ns = bench_now_ns();
    uint8_t value[VALUE_BYTES_MAX];
    unsigned in_flight = 0;
    uint64_t count = 0;

    while (bench_now_ns() - start_ns < time_ns) {
        bool is_there;
        struct pair pair = {.key = probes_next(store->probes, &is_there),
                            .value = {value, bench.dataset.value_bytes}};
        value_fill(pair.key, 0, value, pair.value.size);
        worker->adapter->submit(store->peer, &pair, 1);
        count++;
        if (++in_flight == PEER_IN_FLIGHT_MAX) {
            worker->adapter->wait(store->peer);
            in_flight--;
        }
    }
    for (; in_flight > 0; in_flight--) {
        worker->adapter->wait(store->peer);
    }
    *commits += (double)count;
    *time_us += (double)(bench_now_ns() - start_ns) / 1e3;
}

static void run(struct worker *worker)
{
    struct store *stores = worker->state;
    uint64_t visit_ns = (uint64_t)worker->round_ms * 1000000 / VISITS;
    double commits[STORES] = {0};
    double time_us[STORES] = {0};

    for (unsigned visit = 0; visit < VISITS; visit++) {
        for (unsigned i = 0; i < STORES; i++) {
            commit_for(worker, &stores[i], visit_ns, &commits[i], &time_us[i]);
        }
    }
    for (unsigned i = 0; i < STORES; i++) {
        worker->result->marks[i] = time_us[i] / commits[i];
    }
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    const double *us = round->results[0]->marks;

    values[0] = us[LARGE] / us[LOADED];
    values[1] = us[HOLES] / us[LOADED];
    values[2] = us[LOADED];
    values[3] = us[LARGE];
    values[4] = us[HOLES];
}

const struct workload growth = {
    .name = "growth",
    .title = "cost of a commit: with ten times the entries, and with many free pages",
    .processes = 1,
    .use = PEER_COMMIT,
    .opens_itself = true,
    .syncs = true,
    .figures = {{"_entries", "times", true}, {"_free", "times", true}, {"_loaded", "us", true},
                {"_large", "us", true}, {"_holes", "us", true}},
    .goals = {{"growth/%s/ten-times-the-entries", 0, "", true, GOAL(1.3, 1.3)},
              {"growth/%s/as-many-free-pages", 1, "", true, GOAL(1.3, 1.3)}},
    .suits = suits,
    .prepare = prepare,
    .run = run,
    .finish = finish,
    .sum = sum,
};
