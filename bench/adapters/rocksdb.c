/* SPDX-License-Identifier: MIT */
/*
 * rocksdb: RocksDB through its C interface.
 *
 * One process owns a RocksDB, so writers are its threads and share one handle;
 * readers of a store that nobody changes open it read-only.
 *
 *  - Reading: a bloom filter of 10 bits a key, a block cache that holds the
 *    whole store, no compression, values pinned and not copied; compacted
 *    after the fill.
 *  - Durable commits: WriteOptions.sync, else the defaults.
 *  - Filling: no write-ahead log, then a flush and a full compaction.
 */
#include "../adapter.h"
#include "../dataset.h"
#include "../harness.h"

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOOM_BITS 10
#define PARALLELISM 2

/* The one handle of the process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rocksdb_t *shared_db;
static unsigned shared_users;

struct peer {
    rocksdb_t *db;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    const rocksdb_snapshot_t *snapshot;
    rocksdb_pinnableslice_t *pinned;
    bool is_filling;
};

static void must(char *error, const char *what)
{
    if (error != NULL) {
        bench_fail("rocksdb: %s: %s", what, error);
    }
}

static const char *rocksdb_version(void)
{
    return BENCH_ROCKSDB_VERSION;
}

static rocksdb_options_t *options_for(enum peer_use use)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    size_t store_bytes = bench.dataset.count * (bench.dataset.value_bytes + KEY_BYTES_MAX);

    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_increase_parallelism(options, PARALLELISM);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_block_based_options_set_block_cache(table,
                                                rocksdb_cache_create_lru(2 * store_bytes));
    rocksdb_options_set_block_based_table_factory(options, table);
    if (use == PEER_READ) {
        rocksdb_options_set_max_open_files(options, -1);
    }
    return options;
}

static rocksdb_t *open_db(const char *folder, enum peer_use use)
{
    rocksdb_options_t *options = options_for(use);
    char *error = NULL;
    rocksdb_t *db = use == PEER_READ
                        ? rocksdb_open_for_read_only(options, folder, 0, &error)
                        : rocksdb_open(options, folder, &error);

    must(error, folder);
    return db;
}

static struct peer *rocksdb_peer_open(const char *folder, enum peer_use use)
{
    struct peer *peer = bench_alloc(sizeof(*peer));

    pthread_mutex_lock(&lock);
    if (shared_users++ == 0) {
        shared_db = open_db(folder, use);
    }
    peer->db = shared_db;
    pthread_mutex_unlock(&lock);
    peer->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(peer->read, 1); /* when a block is read; default */
    peer->write = rocksdb_writeoptions_create();
    peer->is_filling = use == PEER_FILL;
    rocksdb_writeoptions_disable_WAL(peer->write, peer->is_filling);
    rocksdb_writeoptions_set_sync(peer->write, !peer->is_filling && use != PEER_RELAXED);
    return peer;
}

static void rocksdb_peer_close(struct peer *peer)
{
    pthread_mutex_lock(&lock);
    if (--shared_users == 0) {
        rocksdb_close(shared_db);
    }
    pthread_mutex_unlock(&lock);
    rocksdb_writeoptions_destroy(peer->write);
    rocksdb_readoptions_destroy(peer->read);
    free(peer);
}

static void rocksdb_begin(struct peer *peer)
{
    peer->snapshot = rocksdb_create_snapshot(peer->db);
    rocksdb_readoptions_set_snapshot(peer->read, peer->snapshot);
}

static void let_go(struct peer *peer)
{
    if (peer->pinned != NULL) {
        rocksdb_pinnableslice_destroy(peer->pinned);
        peer->pinned = NULL;
    }
}

static void rocksdb_end(struct peer *peer)
{
    let_go(peer);
    rocksdb_readoptions_set_snapshot(peer->read, NULL);
    rocksdb_release_snapshot(peer->db, peer->snapshot);
}

static bool rocksdb_peer_get(struct peer *peer, struct slice key, struct slice *value)
{
    char *error = NULL;

    let_go(peer);
    peer->pinned = rocksdb_get_pinned(peer->db, peer->read, key.data, key.size, &error);
    must(error, "get");
    if (peer->pinned == NULL) {
        return false;
    }
    value->data = rocksdb_pinnableslice_value(peer->pinned, &value->size);
    return true;
}

static size_t rocksdb_scan(struct peer *peer, struct slice from, size_t limit, size_t value_bytes)
{
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(peer->db, peer->read);
    char *error = NULL;
    size_t count = 0;

    if (from.size > 0) {
        rocksdb_iter_seek(iterator, from.data, from.size);
    } else {
        rocksdb_iter_seek_to_first(iterator);
    }
    for (; count < limit && rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
        struct slice key, value;
        key.data = rocksdb_iter_key(iterator, &key.size);
        value.data = rocksdb_iter_value(iterator, &value.size);
        if (!value_check(key, value, value_bytes)) {
            bench_fail("rocksdb: a scan gave a wrong value");
        }
        count++;
    }
    rocksdb_iter_get_error(iterator, &error);
    must(error, "scan");
    rocksdb_iter_destroy(iterator);
    return count;
}

static void rocksdb_peer_write(struct peer *peer, const struct pair *pairs, size_t count)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char *error = NULL;

    for (size_t i = 0; i < count; i++) {
        rocksdb_writebatch_put(batch, pairs[i].key.data, pairs[i].key.size, pairs[i].value.data,
                               pairs[i].value.size);
    }
    rocksdb_write(peer->db, peer->write, batch, &error);
    must(error, "write");
    rocksdb_writebatch_destroy(batch);
}

static void rocksdb_drain(struct peer *peer)
{
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    char *error = NULL;

    if (peer->is_filling) {
        rocksdb_flush(peer->db, flush, &error);
        must(error, "flush");
        rocksdb_compact_range(peer->db, NULL, 0, NULL, 0);
    }
    rocksdb_flushoptions_destroy(flush);
}

const struct adapter adapter_rocksdb = {
    .name = "rocksdb",
    .threads = true,
    .version = rocksdb_version,
    .settings = "bloom filter of 10 bits, block cache over the store, no compression, "
                "compacted; workers are threads; durable: WriteOptions.sync; fill: no WAL",
    .open = rocksdb_peer_open,
    .close = rocksdb_peer_close,
    .begin = rocksdb_begin,
    .end = rocksdb_end,
    .get = rocksdb_peer_get,
    .scan = rocksdb_scan,
    .write = rocksdb_peer_write,
    .drain = rocksdb_drain,
};
