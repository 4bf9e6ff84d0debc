/* SPDX-License-Identifier: MIT */
/*
 * page_source: where a tree descent takes its pages from.
 *
 * A reader's source is the map of the file with its table of verified pages.
 * The daemon's has, over the same map, the private pages that the group at
 * work has built and not yet written.  One descent serves both.
 *
 * Invariants
 *  (1) Every page handed out passed page_check once in this process since it
 *      was born: verified[pgno] is its mark, of the low 31 bits of the txnid
 *      it was checked at.  0 means never; a page whose low txnid is 0 is
 *      checked at each visit.  Two threads may check the same page at once:
 *      both store the same value.
 *  (2) No page at or above *page_count or page_limit is touched.
 *  (3) A page's type and level are what the descent expects, and it is no
 *      younger than the page that led to it: anything else is damage.
 *  (4) Private pages are whole, for the process built them itself; but what
 *      leads to one may be a hostile page, so its level and birth, and of a run
 *      its type and length, are held against what is expected.
 */
#ifndef READ_PAGE_SOURCE_H
#define READ_PAGE_SOURCE_H

#include "format/inner.h"

#include <stdatomic.h>

struct page_source {
    const uint8_t *base;              /* the map; page p is at base + (p << page_shift) */
    _Atomic uint32_t *verified;       /* page_limit marks; relaxed, see (1) */
    const _Atomic uint64_t *page_count; /* high-water mark; relaxed is enough: it only grows, and
                                         it was stored before the root that led here */
    pgno_t page_limit;                /* pages that base and verified span */
    unsigned page_shift;
    /* Daemon only, else NULL: the private copy of a page, or NULL. */
    const void *(*private_page)(const void *context, pgno_t pgno);
    const void *private_context;
};

static inline size_t page_source_page_size(const struct page_source *source)
{
    return (size_t)1 << source->page_shift;
}

/*
 * The mark of a page: that these bytes were checked, and, in the lowest bit,
 * whether guessing pays in an inner page.  That bit is no more than a hint:
 * whoever reads it may have another page before him.
 */
static inline uint32_t page_mark(txnid_t txnid, bool even)
{
    return (uint32_t)txnid << 1 | even;
}

static inline bool page_mark_is_even(uint32_t mark)
{
    return (mark & 1) != 0;
}

/* Whether a page born in `txnid` was checked.  False for 0: then it may lie outside the file. */
static inline bool page_mark_is_of(uint32_t mark, txnid_t txnid)
{
    return (mark ^ (uint32_t)txnid << 1) <= 1;
}

/* Checks a page of the map and marks it: the slow half of page_source_get. */
const struct page_header *page_source_verify(const struct page_source *source, pgno_t pgno,
                                             unsigned level, txnid_t born_max,
                                             struct bts_error *error);

/* What a page of this level is: type and level as one number, as they lie in its header. */
static inline uint16_t page_source_kind(unsigned level)
{
    return (uint16_t)(level == 0 ? PAGE_LEAF : PAGE_INNER | level << 8);
}

/*
 * The page of the map, if it was checked and is of that kind; else NULL.
 * *mark: its mark.
 */
static inline const struct page_header *page_source_known(const struct page_source *source,
                                                          pgno_t pgno, uint16_t kind,
                                                          txnid_t born_max, uint32_t *mark)
{
    const struct page_header *page =
        (const struct page_header *)(source->base + ((size_t)pgno << source->page_shift));

    if (__builtin_expect(pgno >= source->page_limit, 0))
        return NULL;
    *mark = atomic_load_explicit(&source->verified[pgno], memory_order_relaxed);
    /* A mark above 1 says that the page lies within the file: it may be touched. */
    if (__builtin_expect(*mark > 1 && page_mark_is_of(*mark, page->txnid) &&
                             bytes_load_u16(&page->type) == kind && page->txnid <= born_max,
                         1))
        return page;
    return NULL;
}

/*
 * The page `pgno`, a leaf (level 0) or inner page of that level, born at
 * `born_max` or before.  NULL: BTS_DAMAGED, the text names the page.
 */
static inline const struct page_header *page_source_get(const struct page_source *source,
                                                        pgno_t pgno, unsigned level,
                                                        txnid_t born_max, struct bts_error *error)
{
    const struct page_header *page;
    uint32_t mark;

    if (__builtin_expect(source->private_page != NULL, 0)) {
        page = source->private_page(source->private_context, pgno);
        if (page != NULL && page->level == level && page->txnid <= born_max)
            return page;
    }
    page = page_source_known(source, pgno, page_source_kind(level), born_max, &mark);
    if (__builtin_expect(page != NULL, 1))
        return page;
    return page_source_verify(source, pgno, level, born_max, error);
}

/* The child of inner page `page`, whose number is `pgno`, that holds a key. */
static inline unsigned page_source_search(const struct page_source *source, pgno_t pgno,
                                          const struct page_header *page, const void *key,
                                          size_t key_size)
{
    uint32_t mark = 0;

    /* A private page has a number of the map's, too, or one beyond it. */
    if (__builtin_expect(pgno < source->page_limit, 1))
        mark = atomic_load_explicit(&source->verified[pgno], memory_order_relaxed);
    return inner_search_even(page, key, key_size, page_mark_is_even(mark));
}

/*
 * The value of `length` bytes in the run that begins at `pgno`.  A run is
 * checked as a whole and marked at its first page; a private one lies whole
 * behind its first page.  NULL: BTS_DAMAGED.
 */
const uint8_t *page_source_run(const struct page_source *source, pgno_t pgno, uint64_t length,
                               txnid_t born_max, struct bts_error *error);

/*
 * For those who check for a living: a page or a run of the map, checked
 * whatever its mark says, and marked.  NULL: `why` says what is wrong without
 * naming the page.
 */
const struct page_header *page_source_check(const struct page_source *source, pgno_t pgno,
                                            unsigned level, txnid_t born_max,
                                            struct bts_error *why);
const struct page_header *page_source_check_run(const struct page_source *source, pgno_t pgno,
                                                uint64_t length, txnid_t born_max,
                                                struct bts_error *why);

/* The same checks on a copy in the caller's memory (a run: all its pages); nothing is marked. */
BTS_MUST_USE enum bts_status page_source_check_copy(const struct page_header *page,
                                                    size_t page_size, pgno_t pgno, unsigned level,
                                                    txnid_t born_max, struct bts_error *why);
BTS_MUST_USE enum bts_status page_source_check_run_copy(const struct page_header *page,
                                                        size_t page_size, pgno_t pgno,
                                                        uint64_t length, txnid_t born_max,
                                                        struct bts_error *why);

#define PAGE_PREFETCH_LINES 64u /* cache lines of cells asked for at most */

/* Asks the processor for the cells of a leaf; whatever its bytes are, that does no harm. */
static inline void page_prefetch_cells(const struct page_header *page, size_t page_size)
{
    size_t at = page_upper(page) & ~(size_t)63;
    size_t end = bytes_min(page_size, at + PAGE_PREFETCH_LINES * 64);

    for (; at < end; at += 64) {
        const uint8_t *line = (const uint8_t *)page + at;

        __builtin_prefetch(line);
        __asm__ volatile("" : : "r"(line)); /* gcc drops a loop that does nothing else */
    }
}

/* The same for a leaf that was not visited yet; its header should be on its way. */
static inline void page_source_prefetch_cells(const struct page_source *source, pgno_t pgno)
{
    /* relaxed, and enough: only a page within the file has a mark */
    if (pgno < source->page_limit &&
        atomic_load_explicit(&source->verified[pgno], memory_order_relaxed) != 0)
        page_prefetch_cells((const struct page_header *)(source->base +
                                                         ((size_t)pgno << source->page_shift)),
                            page_source_page_size(source));
}

/* Asks the processor for a page that will be visited soon: header line, two more, its mark. */
static inline void page_source_prefetch(const struct page_source *source, pgno_t pgno)
{
    if (pgno < source->page_limit) {
        const uint8_t *page = source->base + ((size_t)pgno << source->page_shift);
        __builtin_prefetch(page);
        __builtin_prefetch(page + 64);
        __builtin_prefetch(page + 128);
        __builtin_prefetch((const void *)&source->verified[pgno]);
    }
}

#endif
