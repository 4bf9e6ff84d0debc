/* SPDX-License-Identifier: MIT */
/*
 * load: write both tables, in batches.
 *
 * A batch is one transaction: all of it or nothing.  Putting the same pair
 * twice changes nothing, so a batch whose outcome is unknown is simply sent
 * again; count.c shows what to do when that is not so.
 */
#include "packages.h"

#include <string.h>

#define BATCH_ENTRIES 400
#define OUTAGE_MAX_MS 30000

struct loader {
    const struct arguments *arguments;
    struct bts_batch *batch;
    size_t batch_entries;
    uint64_t loaded;
    uint64_t total;
    uint64_t outages;
    uint64_t started_ms;
    uint64_t txnid;
};

static void loader_tell(const struct loader *loader)
{
    status_write(loader->arguments, "loader %llu %llu %llu %llu %llu",
                 (unsigned long long)loader->loaded, (unsigned long long)loader->total,
                 (unsigned long long)(now_ms() - loader->started_ms),
                 (unsigned long long)loader->outages, (unsigned long long)loader->txnid);
}

static void loader_commit(struct loader *loader)
{
    struct bts_error error;
    uint64_t deadline_ms = now_ms() + OUTAGE_MAX_MS;
    uint64_t txnid;
    enum bts_status status;

    if (loader->batch_entries == 0) {
        return;
    }
    while ((status = bts_commit(loader->arguments->store, loader->batch, &txnid, &error)) !=
           BTS_OK) {
        /* The daemon is away, or went away while it had our batch. */
        if ((status != BTS_UNAVAILABLE && status != BTS_UNKNOWN) || now_ms() > deadline_ms) {
            must(status, &error);
        }
        loader->outages += status == BTS_UNKNOWN;
        sleep_ms(20);
    }
    loader->txnid = txnid;
    loader->loaded += loader->batch_entries;
    loader->batch_entries = 0;
    bts_batch_clear(loader->batch);
    loader_tell(loader);
}

static void loader_put(struct loader *loader, const struct table *table, const struct entry *entry)
{
    struct bts_error error;

    if (loader->batch_entries == 0) {
        must(bts_batch_use(loader->batch, table->bucket, strlen(table->bucket), &error), &error);
    }
    must(bts_batch_put(loader->batch, entry->key, entry->key_size, entry->value, entry->value_size,
                       &error), &error);
    if (++loader->batch_entries == BATCH_ENTRIES) {
        loader_commit(loader);
    }
}

static size_t common_divisor(size_t a, size_t b)
{
    return b == 0 ? a : common_divisor(b, a % b);
}

/*
 * In an order of its own, so that the tree grows in many places: `step` and
 * the count have no common divisor, so each entry has its turn once.
 */
static void loader_put_table(struct loader *loader, const struct table *table)
{
    size_t step = 7919;
    size_t place = 0;

    while (common_divisor(table->count, step) > 1) {
        step++;
    }
    for (size_t i = 0; i < table->count; i++) {
        loader_put(loader, table, &table->entries[place]);
        place = (place + step) % table->count;
    }
    loader_commit(loader);
}

void make_bucket(struct bts_store *store, const char *name)
{
    struct bts_error error;
    enum bts_status status = bts_bucket_create(store, name, strlen(name), NULL, &error);

    if (status != BTS_EXISTS) {
        must(status, &error);
    }
}

void load_run(const struct arguments *arguments)
{
    const struct data *data = arguments->data;
    struct loader loader = {.arguments = arguments, .started_ms = now_ms()};
    struct bts_error error;

    loader.total = data->packages.count + data->files.count;
    must(bts_batch_create(&loader.batch, &error), &error);
    make_bucket(arguments->store, COUNTERS_BUCKET);
    make_bucket(arguments->store, data->packages.bucket);
    make_bucket(arguments->store, data->files.bucket);
    loader_put_table(&loader, &data->packages);
    loader_put_table(&loader, &data->files);
    loader_tell(&loader);
    bts_batch_destroy(loader.batch);
}
