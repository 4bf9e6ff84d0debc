/* SPDX-License-Identifier: MIT */
/*
 * space_map: which pages a checkpoint uses, one bit a page.
 *
 * The file is divided into groups of as many pages as one bitmap page has
 * bits.  Every group begins with two copies of its bitmap page (group 0: pages
 * 2 and 3, after the metas); checkpoint T writes the copy that the last
 * durable checkpoint does not use.
 *
 *   0 page header   type PAGE_MAP, pgno, txnid = T
 *  32 u8 bits[]     bit p % 8 of byte p / 8: page (group start + p) is in use as of T;
 *                   metas and map pages are always in use; bits at and above the
 *                   high-water mark are 0
 *
 * Recovery takes per group the newest valid copy whose txnid is <= the meta's.
 *
 * No I/O and no allocation.
 */
#ifndef FORMAT_SPACE_MAP_H
#define FORMAT_SPACE_MAP_H

#include "format/page.h"

/* Pages that one group spans: the bits of one bitmap page. */
static inline pgno_t space_map_group_pages(size_t page_size)
{
    return (pgno_t)((page_size - PAGE_HEADER_SIZE) * 8);
}

static inline uint32_t space_map_group_of(pgno_t pgno, size_t page_size)
{
    return pgno / space_map_group_pages(page_size);
}

/* Groups that a file of `page_count` pages has. */
static inline uint32_t space_map_group_count(pgno_t page_count, size_t page_size)
{
    pgno_t n = space_map_group_pages(page_size);
    return page_count / n + (page_count % n != 0);
}

/* Page number of copy 0 or 1 of a group's bitmap. */
static inline pgno_t space_map_pgno(uint32_t group, unsigned copy, size_t page_size)
{
    return group == 0 ? 2 + copy : group * space_map_group_pages(page_size) + copy;
}

/* Whether a page is a meta or a map page: never allocated, never freed. */
static inline bool space_map_is_fixed(pgno_t pgno, size_t page_size)
{
    return pgno < 4 || (pgno >= space_map_group_pages(page_size) &&
                        pgno % space_map_group_pages(page_size) < 2);
}

static inline const uint8_t *space_map_bits(const void *page)
{
    return (const uint8_t *)page + PAGE_HEADER_SIZE;
}

/*
 * Builds and seals copy `copy` of `group` as of `txnid`; bits:
 * space_map_group_pages / 8 bytes.
 */
void space_map_encode(void *page, size_t page_size, uint32_t group, unsigned copy, txnid_t txnid,
                      const uint8_t *bits);

/* page_check for a map page: also type, and that the fixed pages' bits are set. */
BTS_MUST_USE enum bts_status space_map_check(const void *page, size_t page_size, uint32_t group,
                                             unsigned copy, struct bts_error *error);

#endif
