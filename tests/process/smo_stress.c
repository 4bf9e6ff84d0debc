/* SPDX-License-Identifier: MIT */
/*
 * smo_stress: splits, merges and everything between, against a model.
 *
 * In phases: random inserts, overwrites with other sizes, deletes down to
 * nothing, ascending, descending, ascending within many ranges, deleted ranges,
 * tiny and huge keys and values.  In groups of random length, with batches taken
 * back in between, pages reused, checkpoints begun and finished.  After each
 * phase the whole store is checked, page for page, and every entry compared.
 *
 *   smo_stress [operations [seed]]
 */
#include "../unit/tree_model.h"
#include "../unit/writer_fixture.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A sanitizer makes each several times as long. */
#ifndef BTS_SANITIZER
#define BTS_SANITIZER 0
#endif
#define OPERATIONS (BTS_SANITIZER ? 2500u : 50000u)

#define GROUP_MAX 200u
#define KEY_ROOM PAGE_SIZE_MAX

struct stress {
    struct writer writer;
    struct tree_model model;
    struct tree *tree;      /* of the group at work */
    uint64_t random;
    unsigned left_in_group;
    size_t key_max;
    uint8_t key[KEY_ROOM];
    size_t key_size;
};

static uint64_t pick(struct stress *stress, uint64_t below)
{
    return writer_random(&stress->random) % below;
}

/* ---- groups ---------------------------------------------------------------- */

static void begin(struct stress *stress)
{
    struct bts_error error;

    writer_begin(&stress->writer);
    if (buckets_open_id(stress->writer.buckets, BUCKET_DEFAULT_ID, &stress->tree, &error) !=
        BTS_OK) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    stress->left_in_group = 1 + (unsigned)pick(stress, GROUP_MAX);
}

static void next_group(struct stress *stress)
{
    writer_commit(&stress->writer);
    begin(stress);
}

/* Changes the tree at random, and takes it back. */
static void spoil_and_undo(struct stress *stress)
{
    struct pages *pages = stress->writer.pages;
    struct bucket_record before = stress->tree->record;
    struct bts_error error;
    enum bts_status status = BTS_OK;
    bool a;
    bool b;

    pages_savepoint(pages);
    for (unsigned i = 0; i < 20 && status == BTS_OK && stress->model.count > 0; i++) {
        const struct model_entry *entry =
            &stress->model.entries[pick(stress, stress->model.count)];
        size_t size = pick(stress, pick(stress, 8) == 0 ? 20000 : 200);
        uint64_t deleted;
        if (i % 2 == 0) {
            status = tree_put(stress->tree, TREE_PUT_ALWAYS, entry->key,
                              1 + pick(stress, entry->key_size),
                              model_value(&stress->model, i, size), size, &a, &b, &error);
        } else if (i == 19) {
            status = tree_delete_range(stress->tree, (struct bts_bytes){entry->key, 1},
                                       (struct bts_bytes){entry->key, entry->key_size}, &deleted,
                                       &error);
        } else {
            status = tree_delete(stress->tree, entry->key, entry->key_size, &a, &error);
        }
    }
    if (status != BTS_OK) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    pages_undo(pages);
    stress->tree->record = before;
}

static void count_operation(struct stress *stress)
{
    if (pick(stress, 300) == 0) {
        spoil_and_undo(stress);
    }
    if (--stress->left_in_group == 0) {
        next_group(stress);
    }
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check(struct stress *stress, const char *phase, double started)
{
    struct tree_view view;
    struct bucket_record record;
    struct space_stat space;
    size_t page_size = pages_page_size(stress->writer.pages);
    double took = now_s() - started;
    size_t payload = 0;

    next_group(stress);
    record = stress->tree->record;
    view = writer_view(&stress->writer);
    view.root = record.root;
    view.depth = record.depth;
    writer_check(&stress->writer);
    model_compare(&stress->model, &view);
    for (size_t i = 0; i < stress->model.count; i++) {
        payload += stress->model.entries[i].key_size + stress->model.entries[i].size;
    }
    space = space_stat(stress->writer.space);
    printf("# %5zu %-26s %6llu entries, %6llu leaves, %4llu inner, %6llu in runs, depth %u, "
           "leaves %2.0f %% payload, file %llu pages, %.2f s\n",
           page_size, phase, (unsigned long long)record.entry_count,
           (unsigned long long)record.leaf_pages, (unsigned long long)record.inner_pages,
           (unsigned long long)record.run_pages, record.depth,
           record.leaf_pages == 0 ? 0.0
                                  : 100.0 * (double)payload /
                                        ((double)(record.leaf_pages + record.run_pages) *
                                         (double)page_size),
           (unsigned long long)space.page_count, took);
}

/* ---- keys and sizes -------------------------------------------------------- */

static void number_key(struct stress *stress, uint64_t number)
{
    stress->key_size = (size_t)sprintf((char *)stress->key, "user:%012llu",
                                       (unsigned long long)number);
}

static void random_key(struct stress *stress)
{
    number_key(stress, pick(stress, 1000000000));
}

static void existing_key(struct stress *stress)
{
    const struct model_entry *entry;

    if (stress->model.count == 0) {
        random_key(stress);
        return;
    }
    entry = &stress->model.entries[pick(stress, stress->model.count)];
    stress->key_size = entry->key_size;
    memcpy(stress->key, entry->key, entry->key_size);
}

/* Tiny, long with a shared beginning, longest, binary. */
static void strange_key(struct stress *stress)
{
    static const size_t sizes[] = {1, 2, 3, 9, 40, 300};
    uint64_t kind = pick(stress, 10);

    stress->key_size = kind < 6 ? sizes[kind] : kind < 8 ? stress->key_max
                                                         : 1 + pick(stress, stress->key_max);
    memset(stress->key, kind % 2 == 0 ? 'p' : 0, stress->key_size);
    for (size_t i = stress->key_size; i-- > 0 && stress->key_size - i <= 5;) {
        stress->key[i] = (uint8_t)pick(stress, 256);
    }
}

static size_t strange_size(struct stress *stress)
{
    uint64_t kind = pick(stress, 1000);

    if (kind == 0) {
        return pick(stress, 3u << 20);
    }
    if (kind < 20) {
        return pick(stress, 100000);
    }
    if (kind < 200) { /* about where a value moves to a run */
        return stress->key_max - 30 + pick(stress, 60);
    }
    return pick(stress, 2) * pick(stress, 200);
}

static void put(struct stress *stress, size_t size)
{
    model_put(&stress->model, stress->tree, stress->key, stress->key_size,
              writer_random(&stress->random), size);
    count_operation(stress);
}

static void delete(struct stress *stress)
{
    model_delete(&stress->model, stress->tree, stress->key, stress->key_size);
    count_operation(stress);
}

/* ---- phases ---------------------------------------------------------------- */

static void insert_random(struct stress *stress, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        random_key(stress);
        put(stress, 100);
    }
}

static void overwrite_random(struct stress *stress, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        existing_key(stress);
        put(stress, pick(stress, 20) == 0 ? pick(stress, 3000) : pick(stress, 250));
    }
}

static void delete_random(struct stress *stress, unsigned operations)
{
    (void)operations;
    while (stress->model.count > 0) {
        if (pick(stress, 16) == 0) {
            random_key(stress);
        } else {
            existing_key(stress);
        }
        delete(stress);
    }
}

static void insert_ascending(struct stress *stress, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        number_key(stress, i);
        put(stress, 100);
    }
}

static void delete_ascending(struct stress *stress, unsigned operations)
{
    (void)operations;
    while (stress->model.count > 0) {
        stress->key_size = stress->model.entries[0].key_size;
        memcpy(stress->key, stress->model.entries[0].key, stress->key_size);
        delete(stress);
    }
}

static void insert_descending(struct stress *stress, unsigned operations)
{
    for (unsigned i = operations; i > 0; i--) {
        number_key(stress, i);
        put(stress, 100);
    }
}

static void delete_ranges(struct stress *stress, unsigned operations)
{
    uint8_t to[KEY_ROOM];
    size_t to_size;

    (void)operations;
    for (unsigned i = 0; stress->model.count > 0; i++) {
        existing_key(stress);
        to_size = stress->key_size;
        memcpy(to, stress->key, to_size);
        if (i % 3 == 0) {
            existing_key(stress);
        } else if (to_size > 2) {
            stress->key_size--;
        }
        model_delete_range(&stress->model, stress->tree, i % 50 == 49 ? NULL : stress->key,
                           stress->key_size, i % 70 == 69 ? NULL : to, to_size);
        count_operation(stress);
        for (unsigned k = 0; k < 20 && i < 500; k++) {
            existing_key(stress);
            stress->key[stress->key_size - 1] ^= (uint8_t)pick(stress, 256);
            put(stress, 60);
        }
    }
}

static void insert_in_ranges(struct stress *stress, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        number_key(stress, pick(stress, 50) * 1000000 + i);
        put(stress, 100);
    }
}

static size_t copy_key(uint8_t *to, const struct model_entry *entry)
{
    memcpy(to, entry->key, entry->key_size);
    return entry->key_size;
}

/* Deletes a range that holds a few entries, often where others share a long prefix. */
static void delete_few(struct stress *stress)
{
    size_t first = (size_t)pick(stress, stress->model.count + 1);
    size_t end = first + (size_t)pick(stress, 12);
    uint8_t low[KEY_ROOM];
    uint8_t high[KEY_ROOM];
    size_t low_size;
    size_t high_size;

    if (end >= stress->model.count) {
        return;
    }
    low_size = copy_key(low, &stress->model.entries[first]);
    high_size = copy_key(high, &stress->model.entries[end]);
    model_delete_range(&stress->model, stress->tree, low, low_size, high, high_size);
    count_operation(stress);
}

static void all_strange(struct stress *stress, unsigned operations)
{
    for (unsigned i = 0; i < operations / 2; i++) {
        uint64_t what = pick(stress, 120);
        strange_key(stress);
        if (what < 75) {
            put(stress, strange_size(stress));
        } else if (what < 85) {
            existing_key(stress);
            put(stress, strange_size(stress));
        } else if (what < 118) {
            existing_key(stress);
            delete(stress);
        } else {
            delete_few(stress);
        }
    }
}

static const struct phase {
    const char *name;
    void (*run)(struct stress *stress, unsigned operations);
} phases[] = {
    {"insert random", insert_random},
    {"overwrite random", overwrite_random},
    {"delete random", delete_random},
    {"insert ascending", insert_ascending},
    {"overwrite random", overwrite_random},
    {"delete ascending", delete_ascending},
    {"insert descending", insert_descending},
    {"delete ranges", delete_ranges},
    {"insert in ranges", insert_in_ranges},
    {"delete ranges", delete_ranges},
    {"strange keys and values", all_strange},
    {"delete random", delete_random},
    {"strange keys and values", all_strange},
    {"delete ranges", delete_ranges},
};

static void run(size_t page_size, unsigned operations, uint64_t seed)
{
    static struct stress stress;

    memset(&stress, 0, sizeof(stress));
    stress.random = seed;
    stress.key_max = page_key_max(page_size);
    writer_open(&stress.writer, page_size);
    model_init(&stress.model);
    begin(&stress);
    for (size_t i = 0; i < sizeof(phases) / sizeof(*phases); i++) {
        double started = now_s();
        phases[i].run(&stress, operations);
        check(&stress, phases[i].name, started);
    }
    writer_commit(&stress.writer);
    model_fini(&stress.model);
    writer_close(&stress.writer);
}

int main(int argc, char **argv)
{
    unsigned operations = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : OPERATIONS;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

    run(4096, operations, seed);
    run(65536, operations, seed);
    return EXIT_SUCCESS;
}
