/* SPDX-License-Identifier: MIT */
/*
 * bucket_record: the value of a bucket's name in the bucket directory.
 *
 *   0 u32 id           the bucket's number, never used again
 *   4 u32 root         page, 0: the bucket is empty
 *   8 u32 depth        levels of its tree, 0: empty
 *  12 u32 flags        0
 *  16 u64 entries
 *  24 u64 leaf pages
 *  32 u64 inner pages
 *  40 u64 run pages    pages, not runs
 *  48 u64 created      txnid that created it
 *  56 u64 reserved, 0
 */
#ifndef FORMAT_BUCKET_RECORD_H
#define FORMAT_BUCKET_RECORD_H

#include "format/page.h"

#define BUCKET_RECORD_SIZE 64u
#define BUCKET_DEFAULT_ID 0u
#define BUCKET_NAME_MAX BTS_BUCKET_NAME_MAX

struct bucket_record {
    uint32_t id;
    pgno_t root;
    uint32_t depth;
    uint32_t flags;
    uint64_t entry_count;
    uint64_t leaf_pages;
    uint64_t inner_pages;
    uint64_t run_pages;
    txnid_t created;
    uint64_t reserved;
};
_Static_assert(sizeof(struct bucket_record) == BUCKET_RECORD_SIZE, "bucket record is 64 bytes");

/* What it encodes must be such that bucket_record_decode takes it. */
void bucket_record_encode(const struct bucket_record *record, uint8_t out[BUCKET_RECORD_SIZE]);

/*
 * BTS_DAMAGED: wrong size, a number that is reserved, reserved bits set, root
 * and depth that contradict each other, an empty bucket with counts.
 */
BTS_MUST_USE enum bts_status bucket_record_decode(const void *data, size_t size,
                                                  struct bucket_record *record,
                                                  struct bts_error *error);

#endif
