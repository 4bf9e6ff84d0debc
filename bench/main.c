/* SPDX-License-Identifier: MIT */
/*
 * bench: measure btree_store beside its peers; `make bench` runs it.
 *
 *     bench [WORKLOAD...]
 *
 * The environment says how:
 *   BENCH_DIR        where the stores lie (default: the current folder); it
 *                    must be a real disk for durable figures
 *   BENCH_ENTRIES    entries, default 1,000,000
 *   BENCH_ROUNDS     rounds of each workload, default as the workload says
 *   BENCH_COMMIT_MS  length of a round of commits, default 1500
 *   BENCH_STORES     names of stores, ours first, default "btstore lmdb"
 *   BENCH_JSON       file of raw figures, default bench.json
 *   BTSTORED         the daemon, default the one that was built
 *
 * Prints medians of the rounds (min .. max), and one line for each ratio:
 *   ratio NAME VALUE goal >=GOAL ok|short
 */
#include "report.h"
#include "store_folder.h"
#include "workloads.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct bench bench;

static const struct adapter *const all_adapters[] = {&adapter_btstore, &adapter_lmdb, NULL};

/* In this order: load_random makes the store, and the commits change it. */
static const struct workload *const all_workloads[] = {
    &load_random, &load_sorted, &get_held,           &get_each,       &get_each_2, &multi_get_16,
    &scan_all,    &range_100,   &snapshot_begin_end, &open_first_get, &commit_1,   &commit_8,
    &commit_32,   NULL,
};

/* ---- helpers of the harness ---------------------------------------------- */

void bench_fail(const char *format, ...)
{
    int error_number = errno;
    va_list list;

    fflush(stdout);
    fputs("bench: ", stderr);
    va_start(list, format);
    errno = error_number; /* for %m */
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    _exit(1);
}

void *bench_alloc(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);

    if (memory == NULL) {
        bench_fail("out of memory");
    }
    return memory;
}

size_t bench_map_bytes(void)
{
    return bench.entries * 1000 + ((size_t)4 << 30);
}

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_verify_all(struct worker *worker)
{
    struct slice value;

    worker->adapter->begin(worker->peer);
    for (size_t i = 0; i < bench.dataset.count; i++) {
        struct slice key = key_slice(bench.dataset.keys[i]);
        if (!worker->adapter->get(worker->peer, key, &value) || value.size != VALUE_BYTES ||
            memcmp(value.data, bench.dataset.values[i], VALUE_BYTES) != 0) {
            bench_fail("%s: entry %zu is not what was loaded", worker->adapter->name, i);
        }
    }
    worker->adapter->end(worker->peer);
}

/* ---- what is asked for --------------------------------------------------- */

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : otherwise;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *text = setting(name, NULL);
    char *end;
    unsigned long value;

    if (text == NULL) {
        return otherwise;
    }
    value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0) {
        bench_fail("%s=%s is no number above 0", name, text);
    }
    return value;
}

/* True if `name` is one of the words of `list`. */
static bool is_listed(const char *list, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = list; (at = strstr(at, name)) != NULL; at += size) {
        if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

static void read_settings(void)
{
    const char *stores = setting("BENCH_STORES", "btstore lmdb");
    unsigned count = 0;

    bench.folder = setting("BENCH_DIR", ".");
    bench.daemon = setting("BTSTORED", BENCH_BTSTORED);
    bench.entries = number("BENCH_ENTRIES", 1000000);
    bench.rounds = (unsigned)number("BENCH_ROUNDS", 0);
    bench.commit_ms = (unsigned)number("BENCH_COMMIT_MS", 1500);
    for (unsigned i = 0; all_adapters[i] != NULL; i++) {
        if (is_listed(stores, all_adapters[i]->name)) {
            bench.adapters[count++] = all_adapters[i];
        }
    }
    if (count == 0) {
        bench_fail("BENCH_STORES=%s names no store", stores);
    }
}

static bool is_wanted(const struct workload *workload, int argc, char *argv[])
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], workload->name) == 0) {
            return true;
        }
    }
    return argc <= 1;
}

static void check_names(int argc, char *argv[])
{
    for (int i = 1; i < argc; i++) {
        unsigned at = 0;
        while (all_workloads[at] != NULL && strcmp(all_workloads[at]->name, argv[i]) != 0) {
            at++;
        }
        if (all_workloads[at] == NULL) {
            bench_fail("there is no workload %s", argv[i]);
        }
    }
}

static void print_header(void)
{
    printf("# %zu entries: keys of %d random bytes, values of %d bytes; medians (min .. max)\n",
           bench.entries, KEY_BYTES, VALUE_BYTES);
    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        printf("# %s %s: %s\n", bench.adapters[i]->name, bench.adapters[i]->version(),
               bench.adapters[i]->settings);
    }
    fflush(stdout);
}

/* ---- go ------------------------------------------------------------------ */

static bool is_durable(const struct workload *workload)
{
    return workload->use == PEER_COMMIT;
}

int main(int argc, char *argv[])
{
    bool is_memory;

    read_settings();
    check_names(argc, argv);
    is_memory = store_folder_is_memory();
    store_folder_remove_all(); /* what an interrupted run left */
    dataset_create(&bench.dataset, bench.entries, 1);
    print_header();
    report_open(setting("BENCH_JSON", "bench.json"));
    for (unsigned i = 0; all_workloads[i] != NULL; i++) {
        const struct workload *workload = all_workloads[i];
        /* The first one always runs: it makes the store that the others use. */
        if (i > 0 && !is_wanted(workload, argc, argv)) {
            continue;
        }
        if (is_memory && is_durable(workload)) {
            printf("SKIP %s: %s lies in memory, where syncing means nothing; set BENCH_DIR\n",
                   workload->name, bench.folder);
            continue;
        }
        harness_run(workload);
    }
    report_close();
    store_folder_remove_all();
    return 0;
}
