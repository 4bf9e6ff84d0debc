/* SPDX-License-Identifier: MIT */
/*
 * harness: measure several stores side by side.
 *
 * A machine's speed changes by up to two times within minutes, so only what
 * was measured in the same run can be compared.  Each store gets a team of
 * worker processes that open it and warm up; then the stores take turns, one
 * round each, in alternating order, while the other teams wait in read(2).
 * The figure of a store is the median of its rounds; the ratio of two stores
 * is the median of the ratios of their rounds, each against its neighbour.
 *
 * Nothing but the store is on the timed path: keys and values were made
 * before, and results go to memory shared with the parent.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "adapter.h"
#include "dataset.h"

#include <stdint.h>

#define ROUNDS_MAX 16
#define FIGURES_MAX 4
#define PROCESSES_MAX 128
#define LATENCIES_MAX (1u << 17)
#define ADAPTERS_MAX 8

/* What one run of the program is told. */
struct bench {
    const char *folder; /* stores lie in FOLDER/ADAPTER/NAME */
    const char *daemon; /* btstored */
    size_t entries;
    unsigned rounds; /* 0: what each workload asks for */
    unsigned commit_ms;
    const struct adapter *adapters[ADAPTERS_MAX]; /* ours first; NULL ends */
    struct dataset dataset;
};

extern struct bench bench;

/* What one worker did in one round; lies in shared memory. */
struct result {
    uint64_t operations;
    uint64_t start_ns;
    uint64_t end_ns;
    size_t latency_count;
    uint32_t latencies_ns[LATENCIES_MAX];
};

struct worker {
    const struct adapter *adapter;
    const char *folder;
    struct peer *peer;
    unsigned index; /* among `count` workers */
    unsigned count;
    struct result *result;
    void *state; /* of the workload, made by prepare */
};

/* What a team did in one round. */
struct round {
    const struct adapter *adapter;
    const char *folder;
    struct result *const *results;
    unsigned count;
};

struct figure {
    const char *name; /* added to the workload's name; "" for the main figure */
    const char *unit;
    bool lower_is_better;
    double goal; /* how many times better than the peer; 0: none */
};

struct workload {
    const char *name;
    const char *title;
    unsigned rounds;
    unsigned processes;
    enum peer_use use;
    bool makes_store;  /* a new store for each round, measured after it was closed */
    bool opens_itself; /* workers get no open peer */
    struct figure figures[FIGURES_MAX]; /* without a unit: ends */
    void (*prepare)(struct worker *worker); /* once in each worker, untimed; or NULL */
    void (*run)(struct worker *worker);     /* one round; sets all of the result */
    void (*verify)(struct worker *worker);  /* after each round, untimed; or NULL */
    void (*sum)(const struct round *round, double values[FIGURES_MAX]);
};

/* Runs a workload with all adapters and reports it. */
void harness_run(const struct workload *workload);

/* ---- what workloads and adapters need ------------------------------------ */

__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *format, ...);
void *bench_alloc(size_t size); /* zeroed; fails instead of returning NULL */
size_t bench_map_bytes(void);   /* address space that is enough for any store here */
uint64_t bench_now_ns(void);

static inline struct slice key_slice(const void *key)
{
    return (struct slice){key, KEY_BYTES};
}

/* Reads each entry of the loaded store once and compares its whole value. */
void bench_verify_all(struct worker *worker);

/* Operations per second of all workers together. */
double round_rate(const struct round *round);

/* The latency that `percent` of all operations of the round stay below, in ns. */
double round_latency_ns(const struct round *round, double percent);

/* Bytes that the adapter's data file takes on the disk. */
double round_disk_bytes(const struct round *round);

#endif
