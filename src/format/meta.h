/* SPDX-License-Identifier: MIT */
/*
 * meta: choose and check the root of the store.
 *
 * The file keeps two meta pages, 0 and 1.  A checkpoint of transaction N
 * writes one, syncs it, then the other, and touches no other byte that a
 * reader can reach, so at every moment at least one of the two is whole.
 *
 *   0 page header     type PAGE_META, pgno 0 or 1, bucket BUCKET_ID_NONE, txnid = N
 *  32 u8  magic[8]    "btstore\n"
 *  40 u32 version     1
 *  44 u32 page size
 *  48 u8  uuid[16]    of the store
 *  64 u64 txnid       N again
 *  72 u32 root        of the bucket directory
 *  76 u32 depth       of the bucket directory
 *  80 u64 buckets     entries of the bucket directory
 *  88 u32 page count  the high-water mark: pages at and above it are not part of the store
 *  92 u32 flags       bit 0 clean: no pending log is needed
 *  96 u64 log epoch   of the pending log that continues N
 * 104 u64 log position  where replay starts (see pending_frame.h)
 * 112 u32 next bucket id
 * 116 u32 reserved, 0
 * 120 u64 created     seconds since 1970
 * 128 zero to the end of the page
 *
 * Invariants
 *  (1) A valid meta names only pages that were synced before it was written.
 *  (2) The newer valid meta is current; a finished checkpoint leaves both alike
 *      except for their page numbers and checksums.  Under one txnid nothing but
 *      the clean flag ever changes: of two alike the clean one is current, else 0.
 *  (3) Magic, version, page size and checksum stay where they are in every
 *      later version, so that a newer file is never mistaken for a damaged one.
 *
 * No I/O and no allocation here: callers hand in the pages.
 */
#ifndef FORMAT_META_H
#define FORMAT_META_H

#include "format/page.h"

#define META_VERSION 1u
#define META_SIZE 128u
#define META_CLEAN 1u

struct meta {
    uint32_t page_size;
    uint8_t uuid[16];
    txnid_t txnid;
    pgno_t root;
    uint32_t depth;
    uint64_t bucket_count;
    pgno_t page_count;
    bool clean;
    uint64_t log_epoch;
    uint64_t log_position;
    uint32_t next_bucket_id;
    uint64_t created_s;
};

/* Builds and seals meta page `pgno` (0 or 1) in `page`, meta->page_size bytes. */
void meta_encode(const struct meta *meta, pgno_t pgno, void *page);

/*
 * Reads a meta page of `size` bytes, of which the page size must be found
 * first: size is at least PAGE_SIZE_MIN and at least the page's own size, else
 * BTS_DAMAGED.  BTS_VERSION: a version this code does not know.
 */
BTS_MUST_USE enum bts_status meta_decode(const void *page, size_t size, pgno_t pgno,
                                         struct meta *meta, struct bts_error *error);

/*
 * Chooses the current meta from the first `size` bytes of a file (131,072
 * bytes always suffice; less is fine for a small file): meta 0 at offset 0;
 * meta 1 at its page size, or at 4096, 8192 .. 65536 if meta 0 is bad.
 * `pgno`: which of the two it is.  BTS_DAMAGED: neither is valid, the text
 * says why for each.  A file whose both metas disagree about uuid or page
 * size is damaged.  BTS_VERSION: one of them is of a version unknown here.
 */
BTS_MUST_USE enum bts_status meta_choose(const void *file, size_t size, struct meta *meta,
                                         pgno_t *pgno, struct bts_error *error);

#endif
