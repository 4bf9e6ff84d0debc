/* SPDX-License-Identifier: MIT */
/*
 * Readers go on while the daemon is killed, stopped, started again, and while
 * its run directory disappears: in the same process, with the snapshot that
 * they opened at the very beginning intact, never going backwards, and seeing
 * new commits as soon as there are some.
 */
#include "text_store.h"

#include <ftw.h>
#include <libgen.h>
#include <stdatomic.h>
#include <unistd.h>

#define READERS 3
#define COMMITS 50       /* between two interruptions */
#define PATIENCE_US 10000000

struct shared {
    _Atomic int stop;
    _Atomic uint64_t reads[READERS];
    _Atomic uint64_t newest[READERS]; /* the number that a reader has seen last */
};

static struct harness harness;
static struct shared *shared;

struct reader {
    struct bts_store *store;
    struct bts_snapshot old;
    struct bts_bucket old_bucket;
    uint64_t last_txnid;
    uint64_t last_number;
};

/* One state: both keys of a batch show the same number, and no state is older than the last. */
static void read_once(struct reader *reader, unsigned index)
{
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    char one[64], two[64];
    uint64_t number;

    text_begin(reader->store, &snapshot, &bucket);
    text_get(&snapshot, &bucket, "one", one, sizeof(one));
    text_get(&snapshot, &bucket, "two", two, sizeof(two));
    HARNESS_CHECK(strcmp(one, two) == 0, "half a commit: %s and %s", one, two);
    number = strtoull(one, NULL, 10);
    HARNESS_CHECK(bts_snapshot_txnid(&snapshot) >= reader->last_txnid, "went back to txnid %llu",
                  (unsigned long long)bts_snapshot_txnid(&snapshot));
    HARNESS_CHECK(number >= reader->last_number, "went back to number %s", one);
    reader->last_txnid = bts_snapshot_txnid(&snapshot);
    reader->last_number = number;
    bts_snapshot_close(&snapshot);
    atomic_store(&shared->newest[index], number);
}

static void read_old(struct reader *reader)
{
    char text[64];

    text_get(&reader->old, &reader->old_bucket, "one", text, sizeof(text));
    HARNESS_CHECK(strcmp(text, "0") == 0, "the old snapshot changed to %s", text);
    text_get(&reader->old, &reader->old_bucket, "later", text, sizeof(text));
    HARNESS_CHECK(strcmp(text, "") == 0, "the old snapshot shows what came later");
}

static int run_reader(void *argument)
{
    unsigned index = (unsigned)(uintptr_t)argument;
    struct reader reader = {.store = harness_open(&harness)};

    text_begin(reader.store, &reader.old, &reader.old_bucket);
    while (!atomic_load(&shared->stop)) {
        read_once(&reader, index);
        read_old(&reader);
        atomic_fetch_add(&shared->reads[index], 1);
    }
    bts_snapshot_close(&reader.old);
    bts_store_close(reader.store);
    return 0;
}

/* Until every reader has read so many times more. */
static void let_them_read(uint64_t times)
{
    for (unsigned i = 0; i < READERS; i++) {
        uint64_t goal = atomic_load(&shared->reads[i]) + times;
        uint64_t deadline = harness_now_us() + PATIENCE_US;
        while (atomic_load(&shared->reads[i]) < goal) {
            HARNESS_CHECK(harness_now_us() < deadline, "reader %u stands still", i);
            harness_sleep_us(1000);
        }
    }
}

static void let_them_see(uint64_t number)
{
    for (unsigned i = 0; i < READERS; i++) {
        uint64_t deadline = harness_now_us() + PATIENCE_US;
        while (atomic_load(&shared->newest[i]) < number) {
            HARNESS_CHECK(harness_now_us() < deadline, "reader %u has not seen %llu, but %llu", i,
                          (unsigned long long)number,
                          (unsigned long long)atomic_load(&shared->newest[i]));
            harness_sleep_us(1000);
        }
    }
}

static void commit_number(struct bts_store *store, uint64_t number)
{
    struct bts_batch *batch;
    struct bts_error error;
    char text[32], filler[32];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    snprintf(filler, sizeof(filler), "filler/%llu", (unsigned long long)(number % 100));
    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    HARNESS_OK(bts_batch_put(batch, "one", 3, text, strlen(text), &error), &error);
    HARNESS_OK(bts_batch_put(batch, filler, strlen(filler), text, strlen(text), &error), &error);
    HARNESS_OK(bts_batch_put(batch, "two", 3, text, strlen(text), &error), &error);
    HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
}

static uint64_t commit_some(struct bts_store *store, uint64_t number)
{
    for (unsigned i = 0; i < COMMITS; i++) {
        commit_number(store, ++number);
    }
    let_them_see(number);
    return number;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_run_directory(struct bts_store *store)
{
    char *path = strdup(bts_store_socket(store));

    HARNESS_CHECK(nftw(dirname(path), remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0, "%s", path);
    free(path);
}

int main(void)
{
    pid_t readers[READERS];
    struct bts_store *store;
    uint64_t number = 0;

    shared = harness_shared(sizeof(*shared));
    harness_init(&harness);
    harness_start(&harness, NULL);
    store = harness_open(&harness);
    commit_number(store, 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = harness_spawn(run_reader, (void *)(uintptr_t)i);
    }
    let_them_read(10);
    text_put(store, "later", "yes");
    number = commit_some(store, number);

    harness_kill(&harness);
    let_them_read(1000);
    harness_start(&harness, NULL);
    number = commit_some(store, number);
    puts("# readers went on through SIGKILL and restart");

    harness_stop(&harness);
    let_them_read(1000);
    harness_start(&harness, NULL);
    number = commit_some(store, number);
    puts("# readers went on through a clean stop and restart");

    harness_kill(&harness);
    remove_run_directory(store);
    harness_start(&harness, NULL);
    uint64_t start = harness_now_us();
    number = commit_some(store, number);
    printf("# readers found the daemon of a new run directory after %llu ms\n",
           (unsigned long long)(harness_now_us() - start) / 1000);
    harness_kill(&harness);
    let_them_read(100);
    harness_start(&harness, NULL);
    number = commit_some(store, number);

    atomic_store(&shared->stop, 1);
    for (unsigned i = 0; i < READERS; i++) {
        harness_join(readers[i], "reader");
    }
    harness_check_store(store);
    bts_store_close(store);
    harness_stop(&harness);
    return 0;
}
