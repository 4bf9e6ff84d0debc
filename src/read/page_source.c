/* SPDX-License-Identifier: MIT */
/*
 * page_source: the first visit to a page, and values in runs.
 *
 * What led here may be hostile bytes: a page number is believed only after it
 * was held against the high-water mark and the map, a length only after the
 * whole run was.  Nothing beyond either is touched: it may be past the end of
 * the file, where a load is a SIGBUS.
 */
#include "read/page_source.h"

#include "base/err.h"

static const struct page_header *page_source_at(const struct page_source *source, pgno_t pgno)
{
    return (const struct page_header *)(source->base + ((size_t)pgno << source->page_shift));
}

/* Whether pages [pgno, pgno + count) may be touched. */
static enum bts_status page_source_reach(const struct page_source *source, pgno_t pgno,
                                         uint64_t count, struct bts_error *why)
{
    /* relaxed: it only grows, and was stored before the root that led here */
    uint64_t page_count = atomic_load_explicit(source->page_count, memory_order_relaxed);

    if (pgno >= page_count || count > page_count - pgno)
        return err_set(why, BTS_DAMAGED, "beyond the end of the store at page %llu",
                       (unsigned long long)page_count);
    if (pgno >= source->page_limit || count > source->page_limit - pgno)
        return err_set(why, BTS_DAMAGED, "beyond the end of the map at page %u",
                       source->page_limit);
    return BTS_OK;
}

/* A page is no younger than the one that led to it. */
static enum bts_status page_source_check_birth(const struct page_header *page, txnid_t born_max,
                                               struct bts_error *why)
{
    if (page->txnid <= born_max)
        return BTS_OK;
    return err_set(why, BTS_DAMAGED, "born in transaction %llu, after %llu that led here",
                   (unsigned long long)page->txnid, (unsigned long long)born_max);
}

/* What page_check does not know: what the page should be. */
static enum bts_status page_source_check_kind(const struct page_header *page, unsigned level,
                                              struct bts_error *why)
{
    uint8_t type = level == 0 ? PAGE_LEAF : PAGE_INNER;

    if (page->type == type && page->level == level)
        return BTS_OK;
    return err_set(why, BTS_DAMAGED, "type %u of level %u, expected type %u of level %u",
                   page->type, page->level, type, level);
}

static enum bts_status page_source_check_run_kind(const struct page_header *page, uint64_t length,
                                                  struct bts_error *why)
{
    if (page->type != PAGE_RUN)
        return err_set(why, BTS_DAMAGED, "type %u, expected a run", page->type);
    if (page->run_length != length)
        return err_set(why, BTS_DAMAGED, "a run of %llu bytes, expected %llu",
                       (unsigned long long)page->run_length, (unsigned long long)length);
    return BTS_OK;
}

/* The pages below an inner page seen for the first time: their bits may be of older pages. */
static void page_source_forget_below(const struct page_source *source,
                                     const struct page_header *page)
{
    const pgno_t *children = inner_children(page);

    /* Who only opens, gets once and ends need not touch the bits of a large file.  relaxed: whoever
       set bits of a page saw it before its number was used again, so before this page was born */
    if (atomic_load_explicit(&source->known[0], memory_order_relaxed) == 0)
        return;
    for (unsigned i = 0; i <= inner_count(page); i++) {
        pgno_t pgno = children[i];
        uint64_t bits = (uint64_t)(PAGE_KNOWN | PAGE_KNOWN_EVEN)
                        << page_source_known_shift(pgno);

        /* relaxed: the release of this page's mark follows; bits that are set meanwhile were
           cleared by another thread that checks the same page */
        if (pgno < source->page_limit && page_source_known_bits(source, pgno) != 0)
            atomic_fetch_and_explicit(page_source_known_word(source, pgno), ~bits,
                                      memory_order_relaxed);
    }
}

static void page_source_mark(const struct page_source *source, const struct page_header *page)
{
    bool even = false;

    if (page->type == PAGE_INNER) {
        even = inner_guess_pays(inner_heads(page), inner_count(page));
        page_source_forget_below(source, page);
    }
    /* release: pairs with the acquire in page_source_known, so that the bits are cleared first */
    atomic_store_explicit(&source->verified[page->pgno], page_mark(page->txnid, even),
                          memory_order_release);
}

const struct page_header *page_source_know(const struct page_source *source, pgno_t pgno,
                                           uint16_t kind, txnid_t born_max, bool *even)
{
    uint32_t mark;
    const struct page_header *page = page_source_known(source, pgno, kind, born_max, &mark);
    uint64_t bits;

    if (page == NULL)
        return NULL;
    *even = page_mark_is_even(mark);
    bits = *even ? PAGE_KNOWN | PAGE_KNOWN_EVEN : PAGE_KNOWN;
    if (atomic_load_explicit(&source->known[0], memory_order_relaxed) == 0)
        atomic_store_explicit(&source->known[0], 1, memory_order_relaxed);
    /* release: pairs with the acquire in page_source_known_bits, as the mark's does */
    atomic_fetch_or_explicit(page_source_known_word(source, pgno),
                             bits << page_source_known_shift(pgno), memory_order_release);
    return page;
}

enum bts_status page_source_check_copy(const struct page_header *page, size_t page_size,
                                       pgno_t pgno, unsigned level, txnid_t born_max,
                                       struct bts_error *why)
{
    enum bts_status status = page_check(page, page_size, pgno, why);

    if (status == BTS_OK)
        status = page_source_check_kind(page, level, why);
    return status == BTS_OK ? page_source_check_birth(page, born_max, why) : status;
}

enum bts_status page_source_check_run_copy(const struct page_header *page, size_t page_size,
                                           pgno_t pgno, uint64_t length, txnid_t born_max,
                                           struct bts_error *why)
{
    enum bts_status status =
        page_check(page, (size_t)page_run_pages(length, page_size) * page_size, pgno, why);

    if (status == BTS_OK)
        status = page_source_check_run_kind(page, length, why);
    return status == BTS_OK ? page_source_check_birth(page, born_max, why) : status;
}

const struct page_header *page_source_check(const struct page_source *source, pgno_t pgno,
                                            unsigned level, txnid_t born_max,
                                            struct bts_error *why)
{
    const struct page_header *page;

    if (page_source_reach(source, pgno, 1, why) != BTS_OK)
        return NULL;
    page = page_source_at(source, pgno);
    if (page_source_check_copy(page, page_source_page_size(source), pgno, level, born_max, why) !=
        BTS_OK)
        return NULL;
    page_source_mark(source, page);
    return page;
}

const struct page_header *page_source_check_run(const struct page_source *source, pgno_t pgno,
                                                uint64_t length, txnid_t born_max,
                                                struct bts_error *why)
{
    const struct page_header *page;
    size_t page_size = page_source_page_size(source);

    if (length > VALUE_SIZE_MAX) {
        err_set(why, BTS_DAMAGED, "a value of %llu bytes, at most %u", (unsigned long long)length,
                VALUE_SIZE_MAX);
        return NULL;
    }
    if (page_source_reach(source, pgno, page_run_pages(length, page_size), why) != BTS_OK)
        return NULL;
    page = page_source_at(source, pgno);
    if (page_source_check_run_copy(page, page_size, pgno, length, born_max, why) != BTS_OK)
        return NULL;
    page_source_mark(source, page);
    return page;
}

/* Says which page it is and what to do; returns NULL for the caller to return. */
static const void *page_source_refuse(pgno_t pgno, const struct bts_error *why,
                                      struct bts_error *error)
{
    err_set(error, BTS_DAMAGED, "page %u: %s; run btstore check", pgno, why->text);
    return NULL;
}

const struct page_header *page_source_verify(const struct page_source *source, pgno_t pgno,
                                             unsigned level, txnid_t born_max,
                                             struct bts_error *error)
{
    struct bts_error why;
    const struct page_header *page = page_source_check(source, pgno, level, born_max, &why);

    return page != NULL ? page : page_source_refuse(pgno, &why, error);
}

/* The run, if all of it lies in the file and was checked since it was born. */
static const struct page_header *page_source_known_run(const struct page_source *source,
                                                       pgno_t pgno, uint64_t length,
                                                       txnid_t born_max)
{
    const struct page_header *page;
    uint32_t mark;

    if (pgno >= source->page_limit)
        return NULL;
    mark = atomic_load_explicit(&source->verified[pgno], memory_order_relaxed);
    if (mark <= 1)
        return NULL;
    page = page_source_at(source, pgno);
    if (!page_mark_is_of(mark, page->txnid) || page->type != PAGE_RUN ||
        page->run_length != length || page->txnid > born_max)
        return NULL;
    return page;
}

const uint8_t *page_source_run(const struct page_source *source, pgno_t pgno, uint64_t length,
                               txnid_t born_max, struct bts_error *error)
{
    const struct page_header *page = NULL;
    struct bts_error why;

    if (source->private_page != NULL)
        page = source->private_page(source->private_context, pgno);
    if (page != NULL && (page->type != PAGE_RUN || page->run_length != length))
        page = NULL; /* what lies in the file under this number is looked at instead */
    if (page == NULL)
        page = page_source_known_run(source, pgno, length, born_max);
    if (page == NULL)
        page = page_source_check_run(source, pgno, length, born_max, &why);
    if (page == NULL)
        return page_source_refuse(pgno, &why, error);
    return (const uint8_t *)page + PAGE_HEADER_SIZE;
}
