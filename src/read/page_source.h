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
 *      A page below a root has two bits besides, in `known`: that its mark was
 *      found good, and its mark's lowest bit.  Whoever checks an inner page for
 *      the first time clears them for all its children before he marks it.  So
 *      who came by way of a known parent may go by the bits alone: a page born
 *      since they were set has a parent born since, which became known after
 *      they were cleared.  (Who set them saw the page in a pinned snapshot, so
 *      before its number was used again.)  A get then touches a quarter of a byte
 *      for each page, which stays in the processor's caches where marks do not.
 *  (2) No page at or above *page_count or page_limit is touched.
 *  (3) A page's type and level are what the descent expects, and it is no
 *      younger than the page that led to it: anything else is damage.
 *  (4) Private pages are whole, for the process built them itself; but what
 *      leads to one may be a hostile page, so its level and birth, and of a run
 *      its type and length, are held against what is expected.
 */
#ifndef READ_PAGE_SOURCE_H
#define READ_PAGE_SOURCE_H

#include "base/prefetch.h"
#include "format/inner.h"

#include <stdatomic.h>

struct page_source {
    const uint8_t *base;              /* the map; page p is at base + (p << page_shift) */
    _Atomic uint32_t *verified;       /* page_limit marks, see (1) */
    _Atomic uint64_t *known;          /* not 0: bits were set; then 2 for each page, see (1) */
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
    /* acquire: pairs with the release in page_source_mark, after which bits of children count */
    *mark = atomic_load_explicit(&source->verified[pgno], memory_order_acquire);
    /* A mark above 1 says that the page lies within the file: it may be touched. */
    if (__builtin_expect(*mark > 1 && page_mark_is_of(*mark, page->txnid) &&
                             bytes_load_u16(&page->type) == kind && page->txnid <= born_max,
                         1))
        return page;
    return NULL;
}

/* Words of `known` for so many pages. */
static inline size_t page_source_known_words(size_t pages)
{
    return 1 + (pages + 31) / 32;
}

#define PAGE_KNOWN 1u      /* its mark was found good */
#define PAGE_KNOWN_EVEN 2u /* and guessing pays in it */

/* The word of `known` that a page has its bits in, and where in it. */
static inline _Atomic uint64_t *page_source_known_word(const struct page_source *source,
                                                       pgno_t pgno)
{
    return &source->known[1 + pgno / 32];
}

static inline unsigned page_source_known_shift(pgno_t pgno)
{
    return pgno % 32 * 2;
}

/* PAGE_KNOWN, PAGE_KNOWN_EVEN. */
static inline unsigned page_source_known_bits(const struct page_source *source, pgno_t pgno)
{
    /* acquire: pairs with the release in page_source_know, after which bits of children count */
    return atomic_load_explicit(page_source_known_word(source, pgno), memory_order_acquire) >>
               page_source_known_shift(pgno) &
           (PAGE_KNOWN | PAGE_KNOWN_EVEN);
}

/* page_source_known_below for a page whose bits are not set; they are, if its mark is good. */
const struct page_header *page_source_know(const struct page_source *source, pgno_t pgno,
                                           uint16_t kind, txnid_t born_max, bool *even);

/*
 * page_source_known for a page that a known one led to: its bits are enough.
 * *even: whether guessing pays in it.
 */
static inline const struct page_header *page_source_known_below(const struct page_source *source,
                                                                pgno_t pgno, uint16_t kind,
                                                                txnid_t born_max, bool *even)
{
    const struct page_header *page =
        (const struct page_header *)(source->base + ((size_t)pgno << source->page_shift));
    unsigned bits;

    if (__builtin_expect(pgno >= source->page_limit, 0))
        return NULL;
    bits = page_source_known_bits(source, pgno);
    if (__builtin_expect((bits & PAGE_KNOWN) == 0, 0))
        return page_source_know(source, pgno, kind, born_max, even);
    *even = (bits & PAGE_KNOWN_EVEN) != 0;
    /* A known page lies within the file: it may be touched. */
    if (__builtin_expect(bytes_load_u16(&page->type) == kind && page->txnid <= born_max, 1))
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

/* The same for a page whose parent came from here, all the way from the root. */
static inline const struct page_header *page_source_get_below(const struct page_source *source,
                                                              pgno_t pgno, unsigned level,
                                                              txnid_t born_max,
                                                              struct bts_error *error)
{
    const struct page_header *page = NULL;
    bool even;

    /* Private parents are not known, so their children's bits say nothing. */
    if (__builtin_expect(source->private_page == NULL, 1))
        page = page_source_known_below(source, pgno, page_source_kind(level), born_max, &even);
    if (__builtin_expect(page != NULL, 1))
        return page;
    return page_source_get(source, pgno, level, born_max, error);
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

    for (; at < end; at += 64)
        prefetch((const uint8_t *)page + at);
}

/* The same for a leaf that was not visited yet; its header should be on its way. */
static inline void page_source_prefetch_cells(const struct page_source *source, pgno_t pgno)
{
    /* Only a page within the file was ever known. */
    if (pgno < source->page_limit &&
        page_source_known_bits(source, pgno) != 0)
        page_prefetch_cells((const struct page_header *)(source->base +
                                                         ((size_t)pgno << source->page_shift)),
                            page_source_page_size(source));
}

/* Asks the processor for a page that will be visited soon: header line and two more. */
static inline void page_source_prefetch(const struct page_source *source, pgno_t pgno)
{
    if (pgno < source->page_limit) {
        const uint8_t *page = source->base + ((size_t)pgno << source->page_shift);
        prefetch(page);
        prefetch(page + 64);
        prefetch(page + 128);
    }
}

#endif
