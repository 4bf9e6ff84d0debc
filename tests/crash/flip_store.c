/* SPDX-License-Identifier: MIT */
/* flip_store: see flip_store.h.  Making the store and its model; flip_places.c maps it out. */
#include "flip_store.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flip_places.h"
#include "format/batch.h"

#define BATCH_KEYS 25u
#define FAR_VALUE_SIZE (63u << 20)
#define LOG_SEGMENT_SIZE (64u << 10)

const char *const flip_type_names[FLIP_TYPES] = {
    [FLIP_META] = "meta",
    [FLIP_MAP] = "space map",
    [FLIP_DIRECTORY] = "directory leaf",
    [FLIP_DIRECTORY_INNER] = "directory inner",
    [FLIP_INNER] = "inner",
    [FLIP_LEAF] = "leaf",
    [FLIP_RUN] = "run",
    [FLIP_LOG_HEADER] = "log, segment headers",
    [FLIP_LOG_DURABLE] = "log, durable frames",
    [FLIP_LOG_LAST] = "log, last frame",
    [FLIP_LOG_REST] = "log, rest",
};

uint64_t flip_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

void flip_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    exit(2);
}

/* Zeroed memory that lives as long as the program: a model is never given back. */
static void *flip_alloc(size_t size)
{
    struct block {
        struct block *next; /* so that it stays reachable */
        uint8_t bytes[];
    };
    static struct block *newest;
    struct block *block = calloc(1, sizeof(*block) + size + 1);

    if (block == NULL)
        flip_die("out of memory");
    block->next = newest;
    newest = block;
    return block->bytes;
}

/* ---- the engine ----------------------------------------------------------- */

enum bts_status flip_engine_start(struct flip_engine *engine, const char *path, size_t page_size,
                                  struct bts_error *error)
{
    struct commit_options options = {.path = path,
                                     .create = true,
                                     .page_size = page_size,
                                     .map_span = 512u << 20,
                                     .log_segment_size = LOG_SEGMENT_SIZE,
                                     .log_size_max = 64u << 20,
                                     .inline_only = true};
    enum bts_status status;

    memset(engine, 0, sizeof(*engine));
    engine->beacon = aligned_alloc(4096, sizeof(*engine->beacon));
    if (engine->beacon == NULL || horizon_init(&engine->horizon, error) != BTS_OK)
        flip_die("out of memory");
    memset(engine->beacon, 0, sizeof(*engine->beacon));
    status = commit_open(&options, &engine->commit, error);
    if (status == BTS_OK)
        status = commit_recover(engine->commit, engine->beacon, &engine->horizon, false, error);
    if (status != BTS_OK)
        flip_engine_kill(engine);
    return status;
}

void flip_engine_kill(struct flip_engine *engine)
{
    commit_close(engine->commit);
    engine->commit = NULL;
    horizon_fini(&engine->horizon);
    free(engine->beacon);
    engine->beacon = NULL;
}

static enum bts_status flip_commit(struct flip_engine *engine, struct batch *batch,
                                   struct bts_error *error)
{
    struct commit_request request = {.next = NULL};

    request.batch = batch_bytes(batch, &request.size);
    commit_take(engine->commit, &request);
    if (commit_collect(engine->commit) != &request)
        flip_die("a commit did not come back");
    apply_results_fini(&request.results);
    batch_fini(batch);
    *error = request.error;
    return request.status;
}

static void flip_add(struct batch *batch, enum batch_type type, const void *first,
                     size_t first_size, const void *second, size_t second_size)
{
    struct bts_error error;

    if (batch_add(batch, type, 0, first, first_size, second, second_size, &error) != BTS_OK)
        flip_die("batch: %s", error.text);
}

/* A commit of a store in the making must not fail. */
static void flip_must_commit(struct flip_engine *engine, struct batch *batch)
{
    struct bts_error error;

    if (flip_commit(engine, batch, &error) != BTS_OK)
        flip_die("commit: %s", error.text);
}

enum bts_status flip_engine_put(struct flip_engine *engine, const struct flip_entry *entry,
                                struct bts_error *error)
{
    struct batch batch = {.data = NULL};

    flip_add(&batch, BATCH_PUT, entry->key.data, entry->key.size, entry->value.data,
             entry->value.size);
    return flip_commit(engine, &batch, error);
}

/* ---- the model -------------------------------------------------------------- */

static struct bts_bytes flip_bytes(uint64_t seed, size_t size)
{
    uint8_t *data = flip_alloc(size);

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(flip_mix(seed + i / 8) >> (i % 8 * 8));
    return (struct bts_bytes){data, size};
}

/*
 * The key of an entry.  Long ones come in families whose members differ at
 * their end only: so separators are long too, and inner pages hold few.
 */
static struct bts_bytes flip_key(const struct flip_shape *shape, unsigned number)
{
    size_t size = page_key_max(shape->page_size) - number % 7;
    char short_key[32];
    struct bts_bytes key;
    uint8_t *data;

    if (shape->keys == FLIP_KEYS_SHORT) {
        size = (size_t)snprintf(short_key, sizeof(short_key), "user %06x %u",
                                (unsigned)(flip_mix(number) & 0xffffff), number);
        key = (struct bts_bytes){flip_alloc(size), size};
        memcpy((void *)(uintptr_t)key.data, short_key, size);
        return key;
    }
    key = flip_bytes(number / 6 * 1000, size);
    data = (uint8_t *)(uintptr_t)key.data;
    data[size - 2] = (uint8_t)(number >> 8);
    data[size - 1] = (uint8_t)number;
    return key;
}

static struct bts_bytes flip_value(const struct flip_shape *shape, unsigned number)
{
    uint64_t drawn = flip_mix(number + 77);
    bool is_run = shape->run_each > 0 && number % shape->run_each == 0;
    size_t size = drawn % (shape->value_max + 1);

    if (is_run)
        size = shape->page_size / 2 + drawn % (3 * shape->page_size);
    return flip_bytes(drawn, size);
}

static int flip_compare_entries(const void *a, const void *b)
{
    const struct flip_entry *x = a;
    const struct flip_entry *y = b;

    return bytes_compare(x->key.data, x->key.size, y->key.data, y->key.size);
}

static void flip_sort(struct flip_bucket *bucket)
{
    qsort(bucket->entries, bucket->count, sizeof(*bucket->entries), flip_compare_entries);
}

static void flip_model_buckets(struct flip_store *store)
{
    const struct flip_shape *shape = &store->shape;

    store->bucket_count = shape->bucket_count + shape->empty_buckets;
    store->buckets = flip_alloc(store->bucket_count * sizeof(*store->buckets));
    for (unsigned b = 0; b < store->bucket_count; b++) {
        struct flip_bucket *bucket = &store->buckets[b];
        unsigned width = b < shape->bucket_count ? 3 : 200;

        snprintf(bucket->name, sizeof(bucket->name), "bucket %04x %0*u",
                 (unsigned)(flip_mix(b) & 0xffff), (int)width, b);
        bucket->entries = flip_alloc((shape->key_count + 1) * sizeof(*bucket->entries));
    }
    snprintf(store->buckets[0].name, sizeof(store->buckets[0].name), "default");
    for (unsigned i = 0; i < shape->key_count; i++) {
        struct flip_bucket *bucket = &store->buckets[i % shape->bucket_count];
        bucket->entries[bucket->count++] =
            (struct flip_entry){flip_key(shape, i), flip_value(shape, i)};
    }
}

/* What commit `version` of the log puts. */
static struct flip_entry flip_log_entry(const struct flip_shape *shape, unsigned version)
{
    char text[32];
    size_t size = (size_t)snprintf(text, sizeof(text), "log %03u", version);
    struct flip_entry entry = {{flip_alloc(size), size}, flip_value(shape, version * 7919)};

    memcpy((void *)(uintptr_t)entry.key.data, text, size);
    return entry;
}

static struct flip_entry flip_version_entry(unsigned version)
{
    char *text = flip_alloc(16);

    return (struct flip_entry){{"n", 1}, {text, (size_t)snprintf(text, 16, "%u", version)}};
}

static void flip_model_versions(struct flip_store *store)
{
    unsigned count = store->shape.log_commits + 1;
    const struct flip_bucket *base = &store->buckets[0];
    struct flip_entry *added = flip_alloc(count * sizeof(*added));

    store->versions = flip_alloc(count * sizeof(*store->versions));
    for (unsigned v = 0; v < count; v++) {
        struct flip_bucket *bucket = &store->versions[v];
        *bucket = *base;
        bucket->entries = flip_alloc((base->count + v + 1) * sizeof(*bucket->entries));
        memcpy(bucket->entries, base->entries, base->count * sizeof(*bucket->entries));
        if (v > 0)
            added[v] = flip_log_entry(&store->shape, v);
        for (unsigned i = 1; i <= v; i++)
            bucket->entries[bucket->count++] = added[i];
        if (v > 0)
            bucket->entries[bucket->count++] = flip_version_entry(v);
        flip_sort(bucket);
    }
}

/* ---- the store ---------------------------------------------------------------- */

static void flip_fill_bucket(struct flip_engine *engine, const struct flip_bucket *bucket,
                             bool is_default)
{
    struct batch batch = {.data = NULL};

    if (!is_default)
        flip_add(&batch, BATCH_BUCKET_CREATE, bucket->name, strlen(bucket->name), NULL, 0);
    flip_add(&batch, BATCH_USE, bucket->name, strlen(bucket->name), NULL, 0);
    for (size_t i = 0; i < bucket->count; i++) {
        const struct flip_entry *entry = &bucket->entries[i];
        flip_add(&batch, BATCH_PUT, entry->key.data, entry->key.size, entry->value.data,
                 entry->value.size);
        if (i % 5 == 0) { /* comes and goes: dead bytes, and pages that are free again */
            flip_add(&batch, BATCH_PUT, "gone", 4, entry->value.data, entry->value.size);
            flip_add(&batch, BATCH_DELETE, "gone", 4, NULL, 0);
        }
        if (i % BATCH_KEYS == BATCH_KEYS - 1) {
            flip_must_commit(engine, &batch);
            batch = (struct batch){.data = NULL};
            flip_add(&batch, BATCH_USE, bucket->name, strlen(bucket->name), NULL, 0);
        }
    }
    flip_must_commit(engine, &batch);
}

/* Two values so large that the third, which is not, lies in the second group. */
static void flip_go_far(struct flip_engine *engine, bool there)
{
    struct bts_bytes value = {there ? calloc(1, FAR_VALUE_SIZE) : NULL, FAR_VALUE_SIZE};

    if (there && value.data == NULL)
        flip_die("out of memory");

    for (char name = 'a'; name <= 'c'; name++) {
        struct batch batch = {.data = NULL};
        if (name == 'c')
            value.size = 2u << 20;
        if (there)
            flip_add(&batch, BATCH_PUT, &name, 1, value.data, value.size);
        else
            flip_add(&batch, BATCH_DELETE, &name, 1, NULL, 0);
        flip_must_commit(engine, &batch);
    }
    free((void *)(uintptr_t)value.data);
}

static void flip_write_log(const struct flip_store *store, struct flip_engine *engine)
{
    commit_checkpoint_request(engine->commit, NULL);
    for (unsigned v = 1; v <= store->shape.log_commits; v++) {
        struct flip_entry entry = flip_log_entry(&store->shape, v);
        struct flip_entry number = flip_version_entry(v);
        struct batch batch = {.data = NULL};
        flip_add(&batch, BATCH_PUT, entry.key.data, entry.key.size, entry.value.data,
                 entry.value.size);
        flip_add(&batch, BATCH_PUT, number.key.data, number.key.size, number.value.data,
                 number.value.size);
        flip_must_commit(engine, &batch);
    }
}

static void flip_make_file(const struct flip_store *store)
{
    struct flip_engine engine;
    struct bts_error error;

    if (flip_engine_start(&engine, store->path, store->shape.page_size, &error) != BTS_OK)
        flip_die("%s: %s", store->shape.name, error.text);
    if (store->shape.is_far)
        flip_go_far(&engine, true);
    for (size_t b = 0; b < store->bucket_count; b++)
        flip_fill_bucket(&engine, &store->buckets[b], b == 0);
    if (store->shape.is_far)
        flip_go_far(&engine, false);
    if (store->shape.log_commits > 0)
        flip_write_log(store, &engine);
    else if (commit_stop(engine.commit, &error) != BTS_OK)
        flip_die("%s: stop: %s", store->shape.name, error.text);
    flip_engine_kill(&engine);
}

void flip_store_create(struct flip_store *store, const char *base, const struct flip_shape *shape)
{
    memset(store, 0, sizeof(*store));
    store->shape = *shape;
    snprintf(store->directory, sizeof(store->directory), "%s/bitflip.XXXXXX", base);
    if (mkdtemp(store->directory) == NULL)
        flip_die("%s: no folder below it", base);
    snprintf(store->path, sizeof(store->path), "%s/store.bts", store->directory);
    snprintf(store->log_path, sizeof(store->log_path), "%s.pending", store->path);
    flip_model_buckets(store);
    flip_make_file(store); /* in no particular order */
    for (size_t b = 0; b < store->bucket_count; b++)
        flip_sort(&store->buckets[b]);
    flip_model_versions(store);
    flip_map_out(store);
}

void flip_store_destroy(struct flip_store *store)
{
    flip_unmap(store);
    unlink(store->path);
    unlink(store->log_path);
    rmdir(store->directory);
}
