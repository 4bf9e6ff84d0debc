/* SPDX-License-Identifier: MIT */
/*
 * page_source, for a library that only bench/ builds: it does not look into
 * the table of verified pages.
 *
 * It stands before src/read in the search path, so that the very sources of
 * the product are compiled once more with these functions: no mark and no
 * bit is loaded or compared, all else is as it is.  What that saves is
 * what verifying once costs in steady state.  A mark also tells where guessing
 * pays; without one it is always guessed, which is right for random keys, so
 * only with these may the two be compared.  And only with stores that were just
 * checked by other means: a page that was damaged would be believed.
 */
#ifndef BENCH_UNVERIFIED_PAGE_SOURCE_H
#define BENCH_UNVERIFIED_PAGE_SOURCE_H

#define page_source_known page_source_known_by_mark
#define page_source_known_below page_source_known_by_bits
#define page_source_get page_source_get_by_mark
#define page_source_get_below page_source_get_by_bits
#define page_source_search page_source_search_by_mark
#include "../../../src/read/page_source.h"
#undef page_source_known
#undef page_source_known_below
#undef page_source_get
#undef page_source_get_below
#undef page_source_search

static inline const struct page_header *page_source_known(const struct page_source *source,
                                                          pgno_t pgno, uint16_t kind,
                                                          txnid_t born_max, uint32_t *mark)
{
    const struct page_header *page =
        (const struct page_header *)(source->base + ((size_t)pgno << source->page_shift));

    if (__builtin_expect(pgno >= source->page_limit, 0)) {
        return NULL;
    }
    *mark = page_mark(0, true);
    if (__builtin_expect(bytes_load_u16(&page->type) == kind && page->txnid <= born_max, 1)) {
        return page;
    }
    return NULL;
}

static inline const struct page_header *page_source_known_below(const struct page_source *source,
                                                                pgno_t pgno, uint16_t kind,
                                                                txnid_t born_max, bool *even)
{
    uint32_t mark;

    *even = true;
    return page_source_known(source, pgno, kind, born_max, &mark);
}

static inline const struct page_header *page_source_get(const struct page_source *source,
                                                        pgno_t pgno, unsigned level,
                                                        txnid_t born_max, struct bts_error *error)
{
    const struct page_header *page;
    uint32_t mark;

    page = source->private_page == NULL
               ? page_source_known(source, pgno, page_source_kind(level), born_max, &mark)
               : NULL;
    if (__builtin_expect(page != NULL, 1)) {
        return page;
    }
    return page_source_verify(source, pgno, level, born_max, error);
}

static inline const struct page_header *page_source_get_below(const struct page_source *source,
                                                              pgno_t pgno, unsigned level,
                                                              txnid_t born_max,
                                                              struct bts_error *error)
{
    return page_source_get(source, pgno, level, born_max, error);
}

static inline unsigned page_source_search(const struct page_source *source, pgno_t pgno,
                                          const struct page_header *page, const void *key,
                                          size_t key_size)
{
    (void)source;
    (void)pgno;
    return inner_search_even(page, key, key_size, true);
}

#endif
