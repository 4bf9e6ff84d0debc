/* SPDX-License-Identifier: MIT */
/*
 * bucket_record: read and write the record of one bucket.
 *
 * Whether root lies inside the store, and whether the counts are true, cannot
 * be told from the record: readers check pages as they visit them, and
 * `btstore check` counts.
 */
#include "format/bucket_record.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

_Static_assert(offsetof(struct bucket_record, id) == 0, "id at 0");
_Static_assert(offsetof(struct bucket_record, root) == 4, "root at 4");
_Static_assert(offsetof(struct bucket_record, depth) == 8, "depth at 8");
_Static_assert(offsetof(struct bucket_record, flags) == 12, "flags at 12");
_Static_assert(offsetof(struct bucket_record, entry_count) == 16, "entries at 16");
_Static_assert(offsetof(struct bucket_record, leaf_pages) == 24, "leaf pages at 24");
_Static_assert(offsetof(struct bucket_record, inner_pages) == 32, "inner pages at 32");
_Static_assert(offsetof(struct bucket_record, run_pages) == 40, "run pages at 40");
_Static_assert(offsetof(struct bucket_record, created) == 48, "created at 48");
_Static_assert(offsetof(struct bucket_record, reserved) == 56, "reserved at 56");

static bool bucket_record_consistent(const struct bucket_record *record)
{
    bool empty = record->root == PGNO_NONE;

    if (empty) {
        return record->depth == 0 && record->entry_count == 0 && record->leaf_pages == 0 &&
               record->inner_pages == 0 && record->run_pages == 0;
    }
    return record->depth > 0;
}

void bucket_record_encode(const struct bucket_record *record, uint8_t out[BUCKET_RECORD_SIZE])
{
    assert(record->id < BUCKET_ID_NONE && record->flags == 0 && record->reserved == 0);
    assert(bucket_record_consistent(record));
    memcpy(out, record, BUCKET_RECORD_SIZE);
}

static enum bts_status bucket_record_check(const struct bucket_record *record,
                                           struct bts_error *error)
{
    if (record->id >= BUCKET_ID_NONE) {
        return err_set(error, BTS_DAMAGED, "bucket record: number %u is reserved", record->id);
    }
    if (record->flags != 0 || record->reserved != 0) {
        return err_set(error, BTS_DAMAGED, "bucket record %u: reserved bits are set", record->id);
    }
    if (!bucket_record_consistent(record)) {
        return err_set(error, BTS_DAMAGED,
                       "bucket record %u: root %u, depth %u and its counts contradict each other",
                       record->id, record->root, record->depth);
    }
    return BTS_OK;
}

enum bts_status bucket_record_decode(const void *data, size_t size, struct bucket_record *record,
                                     struct bts_error *error)
{
    memset(record, 0, sizeof(*record));
    if (size != BUCKET_RECORD_SIZE) {
        return err_set(error, BTS_DAMAGED, "bucket record of %zu bytes instead of %u", size,
                       BUCKET_RECORD_SIZE);
    }
    memcpy(record, data, BUCKET_RECORD_SIZE);
    enum bts_status status = bucket_record_check(record, error);
    if (status != BTS_OK) {
        memset(record, 0, sizeof(*record));
    }
    return status;
}
