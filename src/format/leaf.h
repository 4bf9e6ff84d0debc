/* SPDX-License-Identifier: MIT */
/*
 * leaf: a page of entries in key order, found by fingerprint.
 *
 *   32              u8  fingerprint[n]   one hash byte of each key, in key order
 *   32 + n          u8  0                only when n is odd
 *   32 + n, even    u16 offset[n]        of the cells, in key order
 *   gap (zero)
 *   upper           cells, growing down; dead bytes in between
 *
 *   cell: u16 klen    bits 0-13 key bytes; bit 14 compressed, bit 15 expires (both 0 in version 1)
 *         u16 vlen    value bytes; 0xffff: the value is a run, and 12 bytes follow the key:
 *         key             u32 first page, u64 length
 *         value
 *
 * Cells have no alignment.  Keys are whole and contiguous, so that a cursor
 * can hand them out as they lie.
 *
 * The fingerprint of a key, to the byte.  Cut the key into words of 8 bytes,
 * little-endian, the last one filled up with zero bytes.  All arithmetic is
 * on unsigned 64-bit numbers, modulo 2^64:
 *
 *   h = key size in bytes
 *   for each word w, in order:  h = (h + w) * 0x9e3779b97f4a7c15
 *   h = h xor (h >> 32)
 *   h = h * 0xd6e8feb86659fd93
 *   fingerprint = h >> 56
 *
 * so "a" has c3, "user:00001234" 94, "https://example.com/" a6.  In a leaf of
 * 100 neighbours a get then meets 0.38 strangers with the same byte, where
 * chance would give 0.39, be the keys random, numbered, paths or URLs.
 *
 * Invariants
 *  (1) Keys are strictly ascending (memcmp order, a prefix first).
 *  (2) header.dead counts the bytes in [upper, page size) that no cell covers;
 *      gap + dead = leaf_free_bytes.
 *  (3) The fingerprint is leaf_fingerprint(whole key): part of the format.
 *  (4) The gap and the dead bytes are zero: what was deleted is not kept.
 *
 * No I/O and no allocation.  Readers pass pages that passed page_check; a page
 * lies at an address divisible by 8.
 */
#ifndef FORMAT_LEAF_H
#define FORMAT_LEAF_H

#include "base/bytes.h"
#include "format/key.h"
#include "format/page.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LEAF_VLEN_RUN 0xffffu
#define LEAF_KLEN_MASK 0x3fffu
#define LEAF_CELL_HEADER_SIZE 4u
#define LEAF_RUN_POINTER_SIZE 12u

/* ---- the bytes ----------------------------------------------------------- */

/* One entry as it lies in the page. */
struct leaf_entry {
    const uint8_t *key;
    uint32_t key_size;
    bool is_run;          /* the value is elsewhere: run_pgno, value_size */
    const uint8_t *value; /* NULL when is_run */
    uint64_t value_size;
    pgno_t run_pgno;
};

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

static inline const uint8_t *leaf_cell(const void *page, unsigned index)
{
    return (const uint8_t *)page + leaf_offsets(page)[index];
}

static inline uint32_t leaf_cell_key_size(const uint8_t *cell)
{
    return bytes_load_u16(cell) & LEAF_KLEN_MASK;
}

/* Bytes of the value in the cell, or of the pointer to its run. */
static inline size_t leaf_cell_stored_size(const uint8_t *cell)
{
    uint32_t vlen = bytes_load_u16(cell + 2);

    return vlen == LEAF_VLEN_RUN ? LEAF_RUN_POINTER_SIZE : vlen;
}

static inline size_t leaf_cell_size(const uint8_t *cell)
{
    return LEAF_CELL_HEADER_SIZE + leaf_cell_key_size(cell) + leaf_cell_stored_size(cell);
}

/* Where the fingerprints and offsets of n entries end. */
static inline size_t leaf_arrays_end(unsigned n)
{
    return PAGE_HEADER_SIZE + n + (n & 1) + 2 * (size_t)n;
}

/* The entry at `index` < leaf_count. */
static inline struct leaf_entry leaf_entry_at(const void *page, unsigned index)
{
    const uint8_t *cell = leaf_cell(page, index);
    uint32_t key_size = leaf_cell_key_size(cell);
    uint32_t vlen = bytes_load_u16(cell + 2);
    const uint8_t *key = cell + LEAF_CELL_HEADER_SIZE;

    if (__builtin_expect(vlen == LEAF_VLEN_RUN, 0)) {
        return (struct leaf_entry){.key = key,
                                   .key_size = key_size,
                                   .is_run = true,
                                   .value_size = bytes_load_u64(key + key_size + 4),
                                   .run_pgno = bytes_load_u32(key + key_size)};
    }
    return (struct leaf_entry){.key = key,
                               .key_size = key_size,
                               .value = key + key_size,
                               .value_size = vlen};
}

/* ---- search: inline, for these few lines are most of a get ---------------- */

/* The last `size % 8` bytes of a key as a number, zero-padded; size % 8 is not 0. */
static inline uint64_t leaf_last_word(const uint8_t *key, size_t size)
{
    size_t rest = size % 8;

    if (size >= 8) {
        return bytes_load_u64(key + size - 8) >> (64 - 8 * rest);
    }
    if (size >= 4) {
        uint64_t high = (uint64_t)bytes_load_u32(key + size - 4) >> (8 * (8 - size));
        return bytes_load_u32(key) | high << 32;
    }
    return (uint64_t)key[0] | (uint64_t)key[size / 2] << (8 * (size / 2)) |
           (uint64_t)key[size - 1] << (8 * (size - 1));
}

/* The hash byte of a key, as the top of this file says. */
static inline uint8_t leaf_fingerprint(const void *key, size_t key_size)
{
    const uint64_t spread = 0x9e3779b97f4a7c15u;
    const uint8_t *byte = (const uint8_t *)key;
    uint64_t h = key_size;
    size_t i;

    for (i = 0; i + 8 <= key_size; i += 8) {
        h = (h + bytes_load_u64(byte + i)) * spread;
    }
    if (i < key_size) {
        h = (h + leaf_last_word(byte, key_size)) * spread;
    }
    h ^= h >> 32;
    return (uint8_t)((h * 0xd6e8feb86659fd93u) >> 56);
}

/* Which of the 16 fingerprints at `at` are `fingerprint`: bit i for at[i]. */
static inline uint32_t leaf_match_16(const uint8_t *at, uint8_t fingerprint)
{
#ifdef __SSE2__
    __m128i have = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i want = _mm_set1_epi8((char)fingerprint);

    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(have, want));
#else
    uint32_t hits = 0;

    for (unsigned i = 0; i < 16; i++) {
        hits |= (uint32_t)(at[i] == fingerprint) << i;
    }
    return hits;
#endif
}

/* Which of the 64 fingerprints at `at` are `fingerprint`. */
static inline uint64_t leaf_match_64(const uint8_t *at, uint8_t fingerprint)
{
    return leaf_match_16(at, fingerprint) | (uint64_t)leaf_match_16(at + 16, fingerprint) << 16 |
           (uint64_t)leaf_match_16(at + 32, fingerprint) << 32 |
           (uint64_t)leaf_match_16(at + 48, fingerprint) << 48;
}

/* Whether entry `index` has this key. */
static inline bool leaf_has_key(const void *page, unsigned index, const void *key,
                                size_t key_size)
{
    const uint8_t *cell = leaf_cell(page, index);

    return leaf_cell_key_size(cell) == key_size &&
           key_equal(cell + LEAF_CELL_HEADER_SIZE, (const uint8_t *)key, key_size);
}

/*
 * Finds a key of 1 byte or more by fingerprint: its index, or -1.
 *
 * Fingerprints are read 64 at a time, so up to 63 bytes after the last one.
 * That is inside the page: n fingerprints have 2n bytes of offsets after them,
 * and what lies behind the last index is masked off.
 */
static inline int leaf_find(const void *page, const void *key, size_t key_size)
{
    const uint8_t *fingerprints = leaf_fingerprints(page);
    uint8_t fingerprint = leaf_fingerprint(key, key_size);
    unsigned n = leaf_count(page);

    for (unsigned base = 0; base < n; base += 64) {
        uint64_t hits = leaf_match_64(fingerprints + base, fingerprint);
        if (n - base < 64) {
            hits &= (1ull << (n - base)) - 1;
        }
        for (; hits != 0; hits &= hits - 1) {
            unsigned index = base + (unsigned)__builtin_ctzll(hits);
            if (leaf_has_key(page, index, key, key_size)) {
                return (int)index;
            }
        }
    }
    return -1;
}

/* The first entry whose fingerprint is the key's, or -1: where its cell would lie. */
static inline int leaf_candidate(const void *page, const void *key, size_t key_size)
{
    const uint8_t *fingerprints = leaf_fingerprints(page);
    uint8_t fingerprint = leaf_fingerprint(key, key_size);
    unsigned n = leaf_count(page);

    for (unsigned base = 0; base < n; base += 64) {
        uint64_t hits = leaf_match_64(fingerprints + base, fingerprint);

        if (n - base < 64)
            hits &= (1ull << (n - base)) - 1;
        if (hits != 0)
            return (int)(base + (unsigned)__builtin_ctzll(hits));
    }
    return -1;
}

/* The order of entry `index` and a key: negative, zero, positive. */
static inline int leaf_order(const void *page, unsigned index, const void *key, size_t key_size)
{
    const uint8_t *cell = leaf_cell(page, index);

    return key_order(cell + LEAF_CELL_HEADER_SIZE, leaf_cell_key_size(cell), (const uint8_t *)key,
                     key_size);
}

/*
 * Index of the first key >= `key` (leaf_count when none); *found: it is equal.
 * It branches on each comparison: while one waits for its cell, the processor
 * guesses on and fetches the next one, which halves the time in a cold leaf.
 */
static inline unsigned leaf_lower_bound(const void *page, const void *key, size_t key_size,
                                        bool *found)
{
    unsigned low = 0;
    unsigned high = leaf_count(page);

    *found = false;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = leaf_order(page, middle, key, key_size);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- room ---------------------------------------------------------------- */

/*
 * Bytes an entry takes in all: cell, fingerprint and offset.  Entries fit in
 * one page when their sizes, and 1 if their number is odd, add up to no more
 * than the page size less PAGE_HEADER_SIZE.
 */
static inline size_t leaf_entry_size(size_t key_size, size_t stored_value_size)
{
    return LEAF_CELL_HEADER_SIZE + key_size + stored_value_size + 3;
}

/* Whether a value of this size lies in the cell (else it moves to a run). */
static inline bool leaf_value_fits(size_t page_size, size_t key_size, uint64_t value_size)
{
    return value_size <= page_cell_max(page_size) &&
           LEAF_CELL_HEADER_SIZE + key_size + value_size <= page_cell_max(page_size);
}

/* Bytes that compaction could give to new entries: gap and dead bytes. */
static inline size_t leaf_free_bytes(const void *page, size_t page_size)
{
    const struct page_header *header = (const struct page_header *)page;

    (void)page_size;
    return page_upper(page) - leaf_arrays_end(header->n) + header->dead;
}

/* Bytes entries [first, first + count) take, as leaf_entry_size counts. */
size_t leaf_bytes(const void *page, unsigned first, unsigned count);

/* ---- editing --------------------------------------------------------------
 *
 * Keys and values must not point into the page.  A page that comes from the
 * file must have passed leaf_check_edit too: page_check alone lets cells lie
 * over each other, and writing one would then break another.
 */

/*
 * Inserts at `index` (from leaf_lower_bound, not found).  Compacts the page
 * when only that makes room.  False: no room, page unchanged.  The key has
 * 1 to page_key_max bytes and leaf_value_fits says yes.
 */
BTS_MUST_USE bool leaf_insert(void *page, size_t page_size, unsigned index, const void *key,
                              size_t key_size, const void *value, size_t value_size);
BTS_MUST_USE bool leaf_insert_run(void *page, size_t page_size, unsigned index, const void *key,
                                  size_t key_size, pgno_t run, uint64_t value_size);

/* Replaces the value at `index`.  False: no room, page unchanged. */
BTS_MUST_USE bool leaf_replace(void *page, size_t page_size, unsigned index, const void *value,
                               size_t value_size);
BTS_MUST_USE bool leaf_replace_run(void *page, size_t page_size, unsigned index, pgno_t run,
                                   uint64_t value_size);

/* Removes entries [first, first + count). */
void leaf_remove(void *page, size_t page_size, unsigned first, unsigned count);

/*
 * Appends entries [first, first + count) of the leaf `from` to `to`, another
 * page whose keys are all smaller; false: no room, `to` unchanged.
 */
BTS_MUST_USE bool leaf_append(void *to, size_t page_size, const void *from, unsigned first,
                              unsigned count);

/* Rewrites the page without dead bytes and with a zeroed gap. */
void leaf_compact(void *page, size_t page_size);

/* ---- checks -------------------------------------------------------------- */

/* The structure part of page_check: every offset and cell inside the page, no reserved bits. */
BTS_MUST_USE enum bts_status leaf_check(const void *page, size_t page_size,
                                        struct bts_error *error);
/*
 * What editing needs besides: no two cells overlap, and dead bytes are counted
 * right.  Takes 8 KiB of stack, and about as long as leaf_check.
 */
BTS_MUST_USE enum bts_status leaf_check_edit(const void *page, size_t page_size,
                                             struct bts_error *error);
/* All the invariants (for btstore check and tests); includes the two above. */
BTS_MUST_USE enum bts_status leaf_check_deep(const void *page, size_t page_size,
                                             struct bts_error *error);

#endif
