/* SPDX-License-Identifier: MIT */
/*
 * page_source, for a library that only bench/ builds: it does not look into
 * the table of verified pages.
 *
 * It stands before src/read in the search path, so that the very sources of
 * the product are compiled once more with this page_source_get: no mark is
 * loaded, compared or prefetched, all else is as it is.  What that saves is
 * what verifying once costs in steady state.  Only for stores that were just
 * checked by other means: a page that was damaged would be believed.
 */
#ifndef BENCH_UNVERIFIED_PAGE_SOURCE_H
#define BENCH_UNVERIFIED_PAGE_SOURCE_H

#define page_source_get page_source_get_verified
#define page_source_prefetch page_source_prefetch_verified
#include "../../../src/read/page_source.h"
#undef page_source_get
#undef page_source_prefetch

static inline const struct page_header *page_source_get(const struct page_source *source,
                                                        pgno_t pgno, unsigned level,
                                                        txnid_t born_max, struct bts_error *error)
{
    const struct page_header *page =
        (const struct page_header *)(source->base + ((size_t)pgno << source->page_shift));
    uint8_t type = level == 0 ? PAGE_LEAF : PAGE_INNER;

    if (__builtin_expect(source->private_page == NULL && pgno < source->page_limit, 1) &&
        __builtin_expect(page->type == type && page->level == level && page->txnid <= born_max,
                         1)) {
        return page;
    }
    return page_source_verify(source, pgno, level, born_max, error);
}

static inline void page_source_prefetch(const struct page_source *source, pgno_t pgno)
{
    if (pgno < source->page_limit) {
        const uint8_t *page = source->base + ((size_t)pgno << source->page_shift);
        __builtin_prefetch(page);
        __builtin_prefetch(page + 64);
        __builtin_prefetch(page + 128);
    }
}

#endif
