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
 * The stores of a stage are loaded once (stage.h) and shared by its workloads.
 * Nothing but the store is on the timed path: keys were made before, and
 * results go to memory shared with the parent.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "adapter.h"
#include "dataset.h"

#include <stdint.h>

#define ROUNDS_MAX 16
#define FIGURES_MAX 6
#define GOALS_MAX 5
#define PROCESSES_MAX 128
#define LATENCIES_MAX (1u << 17)
#define ADAPTERS_MAX 8
#define MARKS_MAX 4

/* What one run of the program is told. */
struct bench {
    const char *folder; /* stores lie in FOLDER/bench-stores/ADAPTER/NAME */
    const char *daemon; /* btstored */
    unsigned rounds;
    unsigned round_ms;
    uint64_t deadline_ns; /* nothing more is begun then: see bench_is_late */
    const struct adapter *adapters[ADAPTERS_MAX + 1]; /* ours first, LMDB second; NULL ends */
    struct dataset dataset; /* of the stage that runs */
    pid_t servers[ADAPTERS_MAX]; /* of its stores, as stage.h starts them; 0: none */
};

extern struct bench bench;

/* What one worker did in one round; lies in shared memory. */
struct result {
    uint64_t operations;
    uint64_t start_ns;
    uint64_t end_ns;
    double marks[MARKS_MAX]; /* whatever else the workload wants to sum */
    size_t latency_count;
    uint32_t latencies_ns[LATENCIES_MAX];
};

struct worker {
    const struct adapter *adapter;
    const char *folder;
    struct peer *peer;
    unsigned index; /* among `count` workers */
    unsigned count;
    pid_t server;
    unsigned round_ms;
    struct result *result;
    void *state; /* of the workload, made by prepare */
};

/* A round begins: nothing was done yet.  When it is to end. */
uint64_t worker_begin(struct worker *worker);

/* Counts `operations` more, up to now; whether there is time for others. */
bool worker_goes_on(struct worker *worker, uint64_t operations, uint64_t deadline_ns);

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
};

/* GOAL(1M, 10M) for all key sets alike. */
#define GOAL(small, large) {{small, large}, {small, large}, {small, large}}

/* A figure of ours divided by that of a peer, or by nothing. */
struct goal {
    const char *row;     /* the row's name, with %s for "random/1M" */
    unsigned figure;
    const char *against; /* names of adapters, of which the best counts; "": the figure itself */
    bool at_most;        /* smaller is better */
    double value[KEY_SETS][2]; /* for 1M entries and for more; 0: none */
};

struct workload {
    const char *name;
    const char *title;
    const char *stores; /* names of adapters; NULL: all that can */
    unsigned rounds; /* at least; 0: as many as the run is told */
    unsigned processes;
    enum peer_use use;
    bool makes_store;  /* a new store for each round, measured after it was closed */
    bool opens_itself; /* workers get no open peer */
    bool syncs;        /* means nothing on a file system in memory */
    struct figure figures[FIGURES_MAX]; /* without a unit: ends */
    struct goal goals[GOALS_MAX];       /* without a row: ends */
    bool (*suits)(const struct adapter *adapter); /* or NULL: all suit */
    void (*prepare)(struct worker *worker); /* once in each worker, untimed; or NULL */
    void (*renew)(struct worker *worker);   /* before each round, untimed; or NULL */
    void (*run)(struct worker *worker);     /* one round; sets all of the result */
    void (*verify)(struct worker *worker);  /* after each round, untimed; or NULL */
    void (*finish)(struct worker *worker);  /* once in each worker, at the end; or NULL */
    void (*sum)(const struct round *round, double values[FIGURES_MAX]);
};

/* Runs a workload with all adapters and reports it. */
void harness_run(const struct workload *workload);

/*
 * Runs `work` in a process of its own with the adapter's store in `folder`
 * open, and waits: a store is never opened by the parent of the workers.
 */
void harness_once(const struct adapter *adapter, const char *folder, enum peer_use use,
                  void (*work)(struct worker *worker), struct result *result);

/* ---- what workloads and adapters need ------------------------------------ */

__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *format, ...);
void *bench_alloc(size_t size); /* zeroed; fails instead of returning NULL */
size_t bench_map_bytes(void);   /* address space that is enough for any store here */
uint64_t bench_now_ns(void);

/* True if so little time is left that what takes `needed_s` must not be begun. */
bool bench_is_late(unsigned needed_s);

/* True if `name` is one of the words of `list`; NULL lists all. */
bool bench_is_listed(const char *list, const char *name);

/* The server of an adapter's loaded store, 0 if there is none. */
pid_t bench_server(const struct adapter *adapter);

/* Scans the whole store once: warms it up, and checks that each entry is there. */
void bench_warm_up(struct worker *worker);

/* Operations per second of all workers together. */
double round_rate(const struct round *round);

/* The latency that `percent` of all operations of the round stay below, in ns. */
double round_latency_ns(const struct round *round, double percent);


/* Bytes that the adapter's data file takes on the disk. */
double round_disk_bytes(const struct round *round);

#endif
