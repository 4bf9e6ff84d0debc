/* SPDX-License-Identifier: MIT */
/*
 * inner: a page that leads to the child holding a key.
 *
 *   32              prefix bytes          common to all separators (header.prefix of them)
 *   .. padded to 4  u32 head[n]           next 4 bytes after the prefix, zero-padded, as the
 *                                         native integer of the big-endian value
 *                   u32 child[n + 1]      page numbers
 *                   u16 offset[n]         <= 4: the separator's remainder (after the prefix) is
 *                                         that many bytes, all in its head; else the offset of
 *                                         its tail cell
 *   gap (zero)
 *   upper           tail cells, growing down: u16 size, then the whole remainder (head
 *                   bytes included), size > 4
 *
 * child[i] leads to keys < separator[i]; child[n] to the rest; a key equal to
 * separator[i] is in child[i + 1].  Separators are the shortest that separate,
 * strictly ascending.  n may be 0 (one child) only while a page is edited.
 *
 * Invariants
 *  (1) header.prefix is the longest common prefix of the separators when built
 *      (n >= 1), at most what the builder chose; never more than any separator.
 *  (2) header.dead counts tail bytes in [upper, page size) no offset names.
 *
 * No I/O and no allocation.
 */
#ifndef FORMAT_INNER_H
#define FORMAT_INNER_H

#include "format/page.h"

#define INNER_HEAD_SIZE 4u

static inline unsigned inner_count(const void *page)
{
    return ((const struct page_header *)page)->n;
}

static inline const uint32_t *inner_heads(const void *page)
{
    unsigned prefix = ((const struct page_header *)page)->prefix;
    return (const uint32_t *)((const uint8_t *)page + PAGE_HEADER_SIZE + ((prefix + 3u) & ~3u));
}

static inline const pgno_t *inner_children(const void *page)
{
    return inner_heads(page) + inner_count(page);
}

static inline const uint16_t *inner_offsets(const void *page)
{
    return (const uint16_t *)(inner_children(page) + inner_count(page) + 1);
}

/* Index of the child that holds `key`: 0 .. n. */
unsigned inner_search(const void *page, const void *key, size_t key_size);

/* Writes separator `index` whole into `out` (page_key_max bytes of room); its size. */
size_t inner_separator(const void *page, unsigned index, uint8_t *out);

/* Points child `index` elsewhere, in place. */
void inner_set_child(void *page, unsigned index, pgno_t child);

/* A separator for inner_build. */
struct inner_key {
    const uint8_t *data;
    size_t size;
};

/* Bytes of a page built from these, header included; may be over the page size. */
size_t inner_built_size(const struct inner_key *separators, unsigned n);

/*
 * Fills a page that page_init prepared (type, level and number stay) from n
 * separators and n + 1 children.  False: they do not fit, page unchanged.
 */
bool inner_build(void *page, size_t page_size, const struct inner_key *separators,
                 const pgno_t *children, unsigned n);

/*
 * Inserts separator `index` and, right of it, child `index + 1`.
 * False: no room even after rebuilding, page unchanged.
 */
bool inner_insert(void *page, size_t page_size, unsigned index, const void *separator,
                  size_t separator_size, pgno_t right);

/* Removes child `index` and the separator beside it (left of it; for child 0, right of it). */
void inner_remove_child(void *page, size_t page_size, unsigned index);

/* Replaces separator `index`.  False: no room, page unchanged. */
bool inner_replace_separator(void *page, size_t page_size, unsigned index, const void *separator,
                             size_t separator_size);

/* Bytes in use, header included, as a rebuilt page would use at most. */
size_t inner_used_bytes(const void *page, size_t page_size);

/* Shortest separator s with left < s <= right (left < right): its size; it is a prefix of `right`. */
size_t inner_shortest_separator(const void *left, size_t left_size, const void *right,
                                size_t right_size);

/* The structure part of page_check. */
BTS_MUST_USE enum bts_status inner_check(const void *page, size_t page_size,
                                         struct bts_error *error);
/* Beyond that: order, prefix, dead bytes, overlap. */
BTS_MUST_USE enum bts_status inner_check_deep(const void *page, size_t page_size,
                                              struct bts_error *error);

#endif
