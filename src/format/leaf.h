/* SPDX-License-Identifier: MIT */
/*
 * leaf: a page of entries in key order, found by fingerprint.
 *
 *   32              u8  fingerprint[n]   one hash byte of each key, in key order
 *   32 + n, even    u16 offset[n]        of the cells, in key order
 *   gap (zero)
 *   upper           cells, growing down; dead ones in between
 *
 *   cell: u16 klen    bits 0-13 key bytes; bit 14 compressed, bit 15 expires (both 0 in version 1)
 *         u16 vlen    value bytes; 0xffff: the value is a run, and 12 bytes follow the key:
 *         key             u32 first page, u64 length
 *         value
 *
 * Cells have no alignment.  Keys are whole and contiguous, so that a cursor
 * can hand them out as they lie.
 *
 * Invariants
 *  (1) Keys are strictly ascending (memcmp order, a prefix first).
 *  (2) header.dead counts the bytes of cells in [upper, page size) that no
 *      offset names; contiguous gap + dead = leaf_free_bytes.
 *  (3) The fingerprint is leaf_fingerprint(whole key): part of the format.
 *
 * No I/O and no allocation.  Readers pass pages that passed page_check.
 */
#ifndef FORMAT_LEAF_H
#define FORMAT_LEAF_H

#include "format/page.h"

#define LEAF_VLEN_RUN 0xffffu
#define LEAF_KLEN_MASK 0x3fffu
#define LEAF_RUN_POINTER_SIZE 12u

/* One entry as it lies in the page. */
struct leaf_entry {
    const uint8_t *key;
    uint32_t key_size;
    bool is_run;          /* the value is elsewhere: run_pgno, value_size */
    const uint8_t *value; /* NULL when is_run */
    uint64_t value_size;
    pgno_t run_pgno;
};

/* The hash byte of a key; part of the format, the same on every machine. */
uint8_t leaf_fingerprint(const void *key, size_t key_size);

static inline unsigned leaf_count(const void *page)
{
    return ((const struct page_header *)page)->n;
}

static inline const uint8_t *leaf_fingerprints(const void *page)
{
    return (const uint8_t *)page + PAGE_HEADER_SIZE;
}

static inline const uint16_t *leaf_offsets(const void *page)
{
    unsigned n = leaf_count(page);
    return (const uint16_t *)((const uint8_t *)page + PAGE_HEADER_SIZE + n + (n & 1));
}

/* The entry at `index` < leaf_count. */
struct leaf_entry leaf_entry_at(const void *page, unsigned index);

/* Finds a key by fingerprint: its index, or -1. */
int leaf_find(const void *page, const void *key, size_t key_size);

/* Index of the first key >= `key` (leaf_count when none); *found: it is equal. */
unsigned leaf_lower_bound(const void *page, const void *key, size_t key_size, bool *found);

/* Bytes an entry takes in all: cell, fingerprint and offset. */
static inline size_t leaf_entry_size(size_t key_size, size_t stored_value_size)
{
    return 4 + key_size + stored_value_size + 3;
}

/* Whether a value of this size lies in the cell (else it moves to a run). */
static inline bool leaf_value_fits(size_t page_size, size_t key_size, uint64_t value_size)
{
    return 4 + key_size + value_size <= page_cell_max(page_size);
}

/* Bytes that compaction could give to new entries. */
size_t leaf_free_bytes(const void *page, size_t page_size);

/*
 * Inserts at `index` (from leaf_lower_bound, not found).  Compacts the page
 * when only that makes room.  False: no room, page unchanged.
 */
bool leaf_insert(void *page, size_t page_size, unsigned index, const void *key, size_t key_size,
                 const void *value, size_t value_size);
bool leaf_insert_run(void *page, size_t page_size, unsigned index, const void *key,
                     size_t key_size, pgno_t run, uint64_t value_size);

/* Replaces the value at `index`.  False: no room, page unchanged. */
bool leaf_replace(void *page, size_t page_size, unsigned index, const void *value,
                  size_t value_size);
bool leaf_replace_run(void *page, size_t page_size, unsigned index, pgno_t run,
                      uint64_t value_size);

/* Removes entries [first, first + count). */
void leaf_remove(void *page, size_t page_size, unsigned first, unsigned count);

/* Appends entries [first, first + count) of `from` to `to`; false: no room, `to` unchanged. */
bool leaf_append(void *to, size_t page_size, const void *from, unsigned first, unsigned count);

/* Bytes entries [first, first + count) take, as leaf_entry_size counts. */
size_t leaf_bytes(const void *page, unsigned first, unsigned count);

/* Rewrites the page without dead bytes and with a zeroed gap. */
void leaf_compact(void *page, size_t page_size);

/* The structure part of page_check: every offset and cell inside the page, no reserved bits. */
BTS_MUST_USE enum bts_status leaf_check(const void *page, size_t page_size,
                                        struct bts_error *error);
/* Beyond that: order, fingerprints, dead bytes, no two cells overlap (for btstore check and tests). */
BTS_MUST_USE enum bts_status leaf_check_deep(const void *page, size_t page_size,
                                             struct bts_error *error);

#endif
