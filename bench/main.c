/* SPDX-License-Identifier: MIT */
/*
 * bench: measure btree_store beside its peers.
 *
 *     bench [--OPTION VALUE]... [WORKLOAD...]
 *     bench --plan reads
 *
 * An option --round-ms is the variable BENCH_ROUND_MS, too:
 *   --plan NAME      all of `make bench-reads` or `make bench-writes`
 *   --entries N      entries, default 1,000,000; --large N: of a plan's large
 *                    stages, default 10,000,000
 *   --keys SET       random (default), prefix or url; a plan has its own
 *   --stores NAMES   in one word, default "btstore lmdb"; a plan: all
 *   --rounds N       default 5
 *   --round-ms N     about a second is best; default 500, a plan's 700
 *   --minutes N      nothing is begun after that; default 23
 *   --dir FOLDER     where the stores lie (default: the current one); it must
 *                    be a real disk for durable figures
 *   --json FILE      raw figures, default bench.json
 *   --daemon FILE    default the btstored that was built
 *
 * Prints medians of the rounds (min .. max), and last the ratios; report.h.
 */
#include "plan.h"
#include "report.h"
#include "stage.h"
#include "store_folder.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define OPTION_BYTES_MAX 64
#define LARGE_STAGE_S 180 /* what loading the stores of a large stage takes, about */

struct bench bench;

/* Each store, and the package that it was not built for lack of. */
static const struct {
    const struct adapter *adapter;
    const char *name;
    const char *package;
} peers[] = {
    {&adapter_btstore, "btstore", NULL},
#ifdef BENCH_LMDB
    {&adapter_lmdb, "lmdb", NULL},
#else
    {NULL, "lmdb", "liblmdb-dev"},
#endif
#ifdef BENCH_SQLITE
    {&adapter_sqlite, "sqlite", NULL},
#else
    {NULL, "sqlite", "libsqlite3-dev"},
#endif
#ifdef BENCH_ROCKSDB_VERSION
    {&adapter_rocksdb, "rocksdb", NULL},
#else
    {NULL, "rocksdb", "librocksdb-dev"},
#endif
#ifdef BENCH_REDIS_SERVER
    {&adapter_redis, "redis", NULL},
#else
    {NULL, "redis", "libhiredis-dev and redis-server"},
#endif
    {&adapter_btstore_unverified, "btstore_unverified", NULL},
};

#define PEERS (sizeof(peers) / sizeof(peers[0]))

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
    return bench.dataset.count * 1000 + ((size_t)4 << 30);
}

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool bench_is_late(unsigned needed_s)
{
    return bench_now_ns() + (uint64_t)needed_s * 1000000000u > bench.deadline_ns;
}

bool bench_is_listed(const char *list, const char *name)
{
    size_t size = strlen(name);

    if (list == NULL) {
        return true;
    }
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += size) {
        if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

pid_t bench_server(const struct adapter *adapter)
{
    const struct adapter *loader = adapter->stands_for != NULL ? adapter->stands_for : adapter;
    unsigned i = 0;

    while (bench.adapters[i] != loader) {
        i++;
    }
    return bench.servers[i];
}

void bench_warm_up(struct worker *worker)
{
    size_t count;

    if (worker->adapter->scan == NULL) {
        return;
    }
    worker->adapter->begin(worker->peer);
    count = worker->adapter->scan(worker->peer, (struct slice){NULL, 0}, SIZE_MAX,
                                  bench.dataset.value_bytes);
    worker->adapter->end(worker->peer);
    if (count != bench.dataset.count) {
        bench_fail("%s: the store has %zu entries of %zu", worker->adapter->name, count,
                   bench.dataset.count);
    }
}

/* ---- what is asked for --------------------------------------------------- */

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : otherwise;
}

static size_t number(const char *name, size_t otherwise)
{
    const char *text = setting(name, NULL);
    char *end;
    size_t value;

    if (text == NULL) {
        return otherwise;
    }
    value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0) {
        bench_fail("%s=%s is no number above 0", name, text);
    }
    return value;
}

/* --round-ms 500 becomes BENCH_ROUND_MS=500. */
static void set_option(const char *option, const char *value)
{
    static const char known[] = "BENCH_PLAN BENCH_ENTRIES BENCH_LARGE BENCH_KEYS BENCH_STORES "
                                "BENCH_ROUNDS BENCH_ROUND_MS BENCH_MINUTES "
                                "BENCH_DIR BENCH_JSON BENCH_DAEMON";
    char name[OPTION_BYTES_MAX] = "BENCH_";
    size_t size = strlen(name);

    for (const char *at = option + 2; *at != '\0' && size + 1 < sizeof(name); at++) {
        name[size++] = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
    }
    name[size] = '\0';
    if (value == NULL || !bench_is_listed(known, name)) {
        bench_fail("%s: no such option, or without a value; bench/main.c lists them", option);
    }
    setenv(name, value, 1);
}

/* Sets the options; leaves the names of workloads, and returns how many. */
static unsigned read_arguments(int argc, char *argv[], const char *names[])
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            set_option(argv[i], argv[i + 1]);
            i++;
        } else if (count == STAGE_WORKLOADS_MAX - 1 || plan_find_workload(argv[i]) == NULL) {
            bench_fail("there is no workload %s; bench/plan.c lists them", argv[i]);
        } else {
            names[count++] = argv[i];
        }
    }
    return count;
}

static void read_settings(bool has_plan)
{
    bench.folder = setting("BENCH_DIR", ".");
    bench.daemon = setting("BENCH_DAEMON", BENCH_BTSTORED);
    bench.rounds = (unsigned)number("BENCH_ROUNDS", 5);
    bench.round_ms = (unsigned)number("BENCH_ROUND_MS", has_plan ? 700 : 500);
    bench.deadline_ns = bench_now_ns() + number("BENCH_MINUTES", 23) * 60000000000u;
    if (bench.rounds > ROUNDS_MAX) {
        bench_fail("at most %d rounds", ROUNDS_MAX);
    }
}

static enum key_set key_set_asked_for(void)
{
    const char *name = setting("BENCH_KEYS", "random");

    for (enum key_set keys = 0; keys < KEY_SETS; keys++) {
        if (strcmp(key_set_name(keys), name) == 0) {
            return keys;
        }
    }
    bench_fail("there are no keys %s", name);
}

/* Puts those of the named stores that were built into bench.adapters. */
static void choose_stores(const char *names, bool is_told)
{
    unsigned count = 0;

    for (unsigned i = 0; i < PEERS; i++) {
        if (!bench_is_listed(names, peers[i].name)) {
            continue;
        }
        if (peers[i].adapter != NULL) {
            bench.adapters[count++] = peers[i].adapter;
        } else if (is_told) {
            printf("peer %s: not built, install %s and configure again\n", peers[i].name,
                   peers[i].package);
        }
    }
    bench.adapters[count] = NULL;
    if (count == 0) {
        bench_fail("no store is named");
    }
}

static void print_header(void)
{
    printf("# medians of %u rounds of %u ms (min .. max); keys: 16 random bytes, user:00001234, "
           "URL-like of 10 to 60 bytes;\n# values of 100 bytes, with URL-like keys of 8\n",
           bench.rounds, bench.round_ms);
    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        printf("# %s %s: %s\n", bench.adapters[i]->name, bench.adapters[i]->version(),
               bench.adapters[i]->settings);
    }
    fflush(stdout);
}

/* ---- go ------------------------------------------------------------------ */

static void choose_data(const struct stage_plan *stage)
{
    dataset_init(&bench.dataset, stage->keys,
                 stage->is_large ? number("BENCH_LARGE", 10000000)
                                 : number("BENCH_ENTRIES", 1000000));
}

/* So that what cannot be measured shows all the same. */
static void plan_rows(const struct stage_plan *stages)
{
    for (const struct stage_plan *stage = stages; stage->workloads[0] != NULL; stage++) {
        choose_data(stage);
        report_plan(&stage_load);
        for (unsigned i = 0; stage->workloads[i] != NULL; i++) {
            report_plan(stage->workloads[i]);
        }
    }
}

static void run_workloads(const struct stage_plan *stage)
{
    bool is_memory = store_folder_is_memory();

    for (unsigned i = 0; stage->workloads[i] != NULL; i++) {
        const struct workload *workload = stage->workloads[i];
        if (bench_is_late(0)) {
            printf("SKIP %s: no time is left; set --minutes\n", workload->name);
        } else if (is_memory && workload->syncs) {
            printf("SKIP %s: %s lies in memory, where syncing means nothing; set --dir\n",
                   workload->name, bench.folder);
        } else {
            harness_run(workload);
        }
    }
}

static void run_stage(const struct stage_plan *stage)
{
    choose_data(stage);
    if (!bench_is_late(stage->is_large ? LARGE_STAGE_S : 0) && stage_open()) {
        run_workloads(stage);
    } else {
        printf("SKIP %s keys, %zu entries: no time is left; set --minutes\n",
               key_set_name(stage->keys), bench.dataset.count);
    }
    stage_close();
}

/* A plan of one stage with the named workloads, in their own order; without names all. */
static const struct stage_plan *plan_of(const char *const names[], unsigned name_count)
{
    static struct stage_plan stages[2];
    unsigned count = 0;

    stages[0].keys = key_set_asked_for();
    for (unsigned i = 0; all_workloads[i] != NULL; i++) {
        bool is_wanted = name_count == 0;
        for (unsigned name = 0; name < name_count; name++) {
            is_wanted |= strcmp(names[name], all_workloads[i]->name) == 0;
        }
        if (is_wanted) {
            stages[0].workloads[count++] = all_workloads[i];
        }
    }
    return stages;
}

int main(int argc, char *argv[])
{
    const char *names[STAGE_WORKLOADS_MAX];
    unsigned name_count = read_arguments(argc, argv, names);
    const char *plan_name = setting("BENCH_PLAN", NULL);
    const struct plan *plan = plan_name != NULL ? plan_find(plan_name) : NULL;
    const struct stage_plan *stages = plan != NULL ? plan->stages : plan_of(names, name_count);
    const char *usual = "btstore lmdb btstore_unverified";

    if (plan_name != NULL && plan == NULL) {
        bench_fail("there is no plan %s; bench/plan.c lists them", plan_name);
    }
    read_settings(plan != NULL);
    store_folder_remove_all(); /* what an interrupted run left */
    choose_stores(setting("BENCH_STORES", plan != NULL ? NULL : usual), true);
    print_header();
    report_open(setting("BENCH_JSON", "bench.json"));
    plan_rows(stages);
    for (; stages->workloads[0] != NULL; stages++) {
        choose_stores(setting("BENCH_STORES", plan != NULL && !stages->is_large ? NULL : usual),
                      false);
        run_stage(stages);
    }
    report_close();
    store_folder_remove_all();
    return 0;
}
