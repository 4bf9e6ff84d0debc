/* SPDX-License-Identifier: MIT */
/*
 * stat: numbers of the newest state, read from the file and the beacon.
 */
#include "client/snapshot_private.h"

#include "base/err.h"
#include "format/bucket_record.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static enum bts_status stat_file_size(const struct snapshot *snapshot, uint64_t *size_bytes,
                                      struct bts_error *error)
{
    struct stat stat;
    const struct map *map =
        atomic_load_explicit(&snapshot->attachment->map, memory_order_acquire);

    if (fstat(map->fd, &stat) != 0) {
        return err_set_errno(error, BTS_IO, errno, "%s: fstat", snapshot_store(snapshot)->name);
    }
    *size_bytes = (uint64_t)stat.st_size;
    return BTS_OK;
}

static enum bts_status stat_count_buckets(const struct bts_snapshot *snapshot,
                                          struct bts_stat *stat, struct bts_error *error)
{
    struct bts_cursor cursor;
    struct bts_bytes value;
    enum bts_status status;

    bts_cursor_init_buckets(&cursor, snapshot);
    while ((status = bts_cursor_next(&cursor, NULL, &value, error)) == BTS_OK) {
        struct bucket_record record;
        status = bucket_record_decode(value.data, value.size, &record, error);
        if (status != BTS_OK) {
            return store_failed(snapshot_store(snapshot_of(snapshot)), status, error);
        }
        stat->bucket_count++;
        stat->entry_count += record.entry_count;
    }
    return status == BTS_END ? BTS_OK : status;
}

static enum bts_status stat_fill(const struct bts_snapshot *snapshot, struct bts_stat *stat,
                                 struct bts_error *error)
{
    const struct beacon *beacon = snapshot_of(snapshot)->attachment->beacon;
    enum bts_status status;

    memcpy(stat->uuid, beacon->uuid, sizeof(stat->uuid));
    stat->page_size_bytes = beacon->page_size;
    stat->key_size_max_bytes = (uint32_t)page_key_max(beacon->page_size);
    stat->value_size_max_bytes = VALUE_SIZE_MAX;
    stat->txnid = bts_snapshot_txnid(snapshot);
    /* relaxed: numbers to show, nothing follows from them */
    stat->checkpoint_txnid = atomic_load_explicit(&beacon->checkpoint, memory_order_relaxed);
    stat->page_count = atomic_load_explicit(&beacon->page_count, memory_order_relaxed);
    status = stat_file_size(snapshot_of(snapshot), &stat->file_size_bytes, error);
    return status == BTS_OK ? stat_count_buckets(snapshot, stat, error) : status;
}

enum bts_status bts_store_stat(struct bts_store *store, struct bts_stat *stat,
                               struct bts_error *error)
{
    struct bts_snapshot snapshot;
    enum bts_status status;

    memset(stat, 0, sizeof(*stat));
    status = bts_snapshot_open(store, &snapshot, error);
    if (status != BTS_OK) {
        return status;
    }
    status = stat_fill(&snapshot, stat, error);
    bts_snapshot_close(&snapshot);
    if (status != BTS_OK) {
        memset(stat, 0, sizeof(*stat));
    }
    return status;
}
