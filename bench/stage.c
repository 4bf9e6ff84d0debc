/* SPDX-License-Identifier: MIT */
/*
 * stage: see stage.h.
 */
#include "stage.h"

#include "report.h"
#include "store_folder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS_AT_ONCE 16
#define LOOK_US 20000
#define LOOKS_MAX 1500 /* for a server to end cleanly */

const struct workload stage_load = {
    .name = "size",
    .title = "load in random order; the size of the file",
    .figures = {{"", "MB", true}},
    .goals = {{"size/%s/random-load", 0, "lmdb", true, GOAL(0.85, 0.85)}},
};

void stage_put_all(struct worker *worker)
{
    uint8_t (*keys)[KEY_BYTES_MAX] = bench_alloc(LOAD_TRANSACTION_ENTRIES * sizeof(*keys));
    uint8_t (*values)[VALUE_BYTES_MAX] = bench_alloc(LOAD_TRANSACTION_ENTRIES * sizeof(*values));
    struct pair *pairs = bench_alloc(LOAD_TRANSACTION_ENTRIES * sizeof(*pairs));
    size_t value_bytes = bench.dataset.value_bytes;

    for (size_t done = 0; done < bench.dataset.count;) {
        size_t count = 0;
        while (count < LOAD_TRANSACTION_ENTRIES && done < bench.dataset.count) {
            pairs[count].key = dataset_key(&bench.dataset, done++, keys[count]);
            value_fill(pairs[count].key, 0, values[count], value_bytes);
            pairs[count].value = (struct slice){values[count], value_bytes};
            count++;
        }
        worker->adapter->write(worker->peer, pairs, count);
    }
    worker->adapter->drain(worker->peer);
    free(pairs);
    free(values);
    free(keys);
}

static void look_some_up(struct worker *worker, size_t first, size_t count)
{
    uint8_t bytes[KEYS_AT_ONCE][KEY_BYTES_MAX];
    struct slice keys[KEYS_AT_ONCE];
    struct slice values[KEYS_AT_ONCE];

    for (size_t i = 0; i < count; i++) {
        keys[i] = dataset_key(&bench.dataset, first + i, bytes[i]);
    }
    worker->adapter->get_many(worker->peer, keys, values, count);
    for (size_t i = 0; i < count; i++) {
        if (!value_check_whole(keys[i], values[i], 0)) {
            bench_fail("%s: entry %zu is not what was loaded", worker->adapter->name, first + i);
        }
    }
}

/* What cannot be scanned is looked up, all of it. */
static void look_all_up(struct worker *worker)
{
    worker->adapter->begin(worker->peer);
    for (size_t first = 0; first < bench.dataset.count; first += KEYS_AT_ONCE) {
        size_t left = bench.dataset.count - first;
        look_some_up(worker, first, left < KEYS_AT_ONCE ? left : KEYS_AT_ONCE);
    }
    worker->adapter->end(worker->peer);
}

static void check_all(struct worker *worker)
{
    dataset_check_whole = true;
    if (worker->adapter->scan != NULL) {
        bench_warm_up(worker);
    } else {
        look_all_up(worker);
    }
}

static pid_t serve(const struct adapter *adapter, const char *folder, enum peer_use use)
{
    return adapter->serve != NULL ? adapter->serve(folder, use) : 0;
}

/* Loads a new store and closes it; returns the size of its file in MB, or 0. */
static double load_one(const struct adapter *adapter)
{
    char folder[STORE_FOLDER_MAX];
    pid_t server;

    store_folder_name(adapter, LOADED_STORE, folder);
    store_folder_make(folder);
    server = serve(adapter, folder, PEER_FILL);
    harness_once(adapter, folder, PEER_FILL, stage_put_all, NULL);
    if (server > 0) {
        adapter->stop(server, folder);
    }
    return adapter->data_file != NULL
               ? store_folder_disk_bytes(folder, adapter->data_file) / 1e6
               : 0;
}

/* Ends what loads, and the servers that it started, which are of its process group. */
static void stop_loading(const pid_t *children)
{
    for (unsigned i = 0; i < ADAPTERS_MAX; i++) {
        if (children[i] > 0) {
            kill(-children[i], SIGTERM);
            waitpid(children[i], NULL, 0);
        }
        for (unsigned look = 0; look < LOOKS_MAX && children[i] > 0; look++) {
            if (kill(-children[i], 0) != 0) {
                break;
            }
            usleep(LOOK_US);
        }
    }
}

/* False if the time was over before they had loaded. */
static bool wait_for_loading(const pid_t *children)
{
    for (unsigned i = 0; i < ADAPTERS_MAX; i++) {
        int status = 0;
        while (children[i] > 0 && waitpid(children[i], &status, WNOHANG) == 0) {
            if (bench_is_late(0)) {
                stop_loading(children);
                return false;
            }
            usleep(LOOK_US);
        }
        if (status != 0) {
            bench_fail("%s: loading failed", bench.adapters[i]->name);
        }
    }
    return true;
}

/* Loads all stores at once, as no clock runs; sizes_mb lies in shared memory. */
static bool load_side_by_side(double *sizes_mb)
{
    pid_t children[ADAPTERS_MAX] = {0};

    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        if (bench.adapters[i]->stands_for != NULL) {
            continue;
        }
        children[i] = fork();
        if (children[i] < 0) {
            bench_fail("fork: %m");
        }
        if (children[i] == 0) {
            setpgid(0, 0);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            sizes_mb[i] = load_one(bench.adapters[i]);
            _exit(0);
        }
    }
    return wait_for_loading(children);
}

static bool load_all(void)
{
    struct report report = {.workload = &stage_load, .rounds = 1};
    double *sizes_mb = mmap(NULL, ADAPTERS_MAX * sizeof(*sizes_mb), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (sizes_mb == MAP_FAILED) {
        bench_fail("mmap: %m");
    }
    if (!load_side_by_side(sizes_mb)) {
        return false;
    }
    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        if (sizes_mb[i] > 0) {
            report.adapters[report.count] = bench.adapters[i];
            report.values[report.count++][0][0] = sizes_mb[i];
        }
    }
    munmap(sizes_mb, ADAPTERS_MAX * sizeof(*sizes_mb));
    report_print(&report);
    return true;
}

/* This process, and all that it starts from now on, joins the group, if one is set. */
static void join(const char *group)
{
    char path[STORE_FOLDER_MAX];
    FILE *file;

    snprintf(path, sizeof(path), "%s/cgroup.procs", group);
    file = fopen(path, "w");
    if (file == NULL || fprintf(file, "%d\n", getpid()) < 0 || fclose(file) != 0) {
        bench_fail("%s: %m", path);
    }
}

bool stage_open(void)
{
    const char *group = getenv("BENCH_CGROUP");

    report_title(&stage_load);
    if (!load_all()) {
        return false;
    }
    if (group != NULL) {
        join(group);
    }
    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        const struct adapter *adapter = bench.adapters[i];
        char folder[STORE_FOLDER_MAX];
        if (adapter->stands_for == NULL) {
            store_folder_name(adapter, LOADED_STORE, folder);
            if (group != NULL) {
                store_folder_forget(folder);
            }
            bench.servers[i] = serve(adapter, folder, PEER_READ);
            harness_once(adapter, folder, PEER_READ, check_all, NULL);
        }
    }
    return true;
}

void stage_close(void)
{
    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        char folder[STORE_FOLDER_MAX];
        store_folder_name(bench.adapters[i], LOADED_STORE, folder);
        if (bench.servers[i] > 0) {
            bench.adapters[i]->stop(bench.servers[i], folder);
            bench.servers[i] = 0;
        }
    }
    store_folder_remove_all();
    if (getenv("BENCH_CGROUP") != NULL) {
        join(getenv("BENCH_CGROUP_PARENT"));
    }
}
