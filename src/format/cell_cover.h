/* SPDX-License-Identifier: MIT */
/*
 * cell_cover: which bytes of a page its cells cover, one bit a byte.
 *
 * For the checks of leaf and inner pages only: it finds cells that overlap
 * and bytes that no cell owns.  8 KiB, meant for the stack.
 */
#ifndef FORMAT_CELL_COVER_H
#define FORMAT_CELL_COVER_H

#include "base/bytes.h"
#include "format/page.h"

#include <string.h>

struct cell_cover {
    uint64_t bits[PAGE_SIZE_MAX / 64]; /* zeroed up to the page size by cell_cover_init */
    size_t total;                      /* bytes covered */
};

static inline void cell_cover_init(struct cell_cover *cover, size_t page_size)
{
    memset(cover->bits, 0, page_size / 8);
    cover->total = 0;
}

/* Covers [at, at + size), which is inside the page; false: some of it was covered before. */
static inline bool cell_cover_add(struct cell_cover *cover, size_t at, size_t size)
{
    uint64_t before = 0;

    cover->total += size;
    while (size > 0) {
        size_t bit = at % 64;
        size_t take = size < 64 - bit ? size : 64 - bit;
        uint64_t mask = (~0ull >> (64 - take)) << bit;
        before |= cover->bits[at / 64] & mask;
        cover->bits[at / 64] |= mask;
        at += take;
        size -= take;
    }
    return before == 0;
}

static inline bool cell_cover_has(const struct cell_cover *cover, size_t at)
{
    return (cover->bits[at / 64] >> (at % 64) & 1) != 0;
}

/*
 * Whether every byte in [from, page_size) that no cell covers is zero; else
 * false and *at says where the first one lies that is not.
 */
static inline bool cell_cover_rest_is_zero(const struct cell_cover *cover, const void *page,
                                           size_t from, size_t page_size, size_t *at)
{
    const uint8_t *bytes = page;

    *at = from;
    while (*at < page_size) {
        if (*at % 64 == 0 && cover->bits[*at / 64] == ~0ull) {
            *at += 64;
        } else if (*at % 8 == 0 && bytes_load_u64(bytes + *at) == 0) {
            *at += 8;
        } else if (bytes[*at] == 0 || cell_cover_has(cover, *at)) {
            ++*at;
        } else {
            return false;
        }
    }
    return true;
}

#endif
