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

/* The one form of all complaints here; returns NULL for the caller to return. */
#define PAGE_SOURCE_DAMAGED(error, format, ...)                                                    \
    (err_set(error, BTS_DAMAGED, "page %u: " format "; run btstore check", __VA_ARGS__), NULL)

static const struct page_header *page_source_at(const struct page_source *source, pgno_t pgno)
{
    return (const struct page_header *)(source->base + ((size_t)pgno << source->page_shift));
}

/* Whether pages [pgno, pgno + count) may be touched. */
static bool page_source_reaches(const struct page_source *source, pgno_t pgno, uint64_t count,
                                struct bts_error *error)
{
    /* relaxed: it only grows, and was stored before the root that led here */
    uint64_t page_count = atomic_load_explicit(source->page_count, memory_order_relaxed);

    if (pgno >= page_count || count > page_count - pgno) {
        (void)PAGE_SOURCE_DAMAGED(error, "beyond the end of the store at page %llu", pgno,
                                  (unsigned long long)page_count);
        return false;
    }
    if (pgno >= source->page_limit || count > source->page_limit - pgno) {
        (void)PAGE_SOURCE_DAMAGED(error, "beyond the end of the map at page %u", pgno,
                                  source->page_limit);
        return false;
    }
    return true;
}

static void page_source_mark(const struct page_source *source, const struct page_header *page)
{
    /* relaxed: the mark says only that these bytes were checked, by whomever */
    atomic_store_explicit(&source->verified[page->pgno], (uint32_t)page->txnid,
                          memory_order_relaxed);
}

/* What a whole page of the right type must still be: no younger than what led to it. */
static bool page_source_is_older(const struct page_header *page, txnid_t born_max,
                                 struct bts_error *error)
{
    if (page->txnid <= born_max)
        return true;
    (void)PAGE_SOURCE_DAMAGED(error, "born in transaction %llu, after %llu that led here",
                              page->pgno, (unsigned long long)page->txnid,
                              (unsigned long long)born_max);
    return false;
}

const struct page_header *page_source_verify(const struct page_source *source, pgno_t pgno,
                                             unsigned level, txnid_t born_max,
                                             struct bts_error *error)
{
    uint8_t type = level == 0 ? PAGE_LEAF : PAGE_INNER;
    const struct page_header *page;
    struct bts_error why;

    if (!page_source_reaches(source, pgno, 1, error))
        return NULL;
    page = page_source_at(source, pgno);
    if (page_check(page, page_source_page_size(source), pgno, &why) != BTS_OK)
        return PAGE_SOURCE_DAMAGED(error, "%s", pgno, why.text);
    if (page->type != type || page->level != level)
        return PAGE_SOURCE_DAMAGED(error, "type %u of level %u, expected type %u of level %u",
                                   pgno, page->type, page->level, type, level);
    if (!page_source_is_older(page, born_max, error))
        return NULL;
    page_source_mark(source, page);
    return page;
}

const struct page_header *page_source_verify_run(const struct page_source *source, pgno_t pgno,
                                                 uint64_t length, txnid_t born_max,
                                                 struct bts_error *error)
{
    size_t page_size = page_source_page_size(source);
    const struct page_header *page;
    struct bts_error why;
    uint64_t count;

    if (length > VALUE_SIZE_MAX)
        return PAGE_SOURCE_DAMAGED(error, "a value of %llu bytes, at most %u", pgno,
                                   (unsigned long long)length, VALUE_SIZE_MAX);
    count = page_run_pages(length, page_size);
    if (!page_source_reaches(source, pgno, count, error))
        return NULL;
    page = page_source_at(source, pgno);
    if (page_check(page, count << source->page_shift, pgno, &why) != BTS_OK)
        return PAGE_SOURCE_DAMAGED(error, "%s", pgno, why.text);
    if (page->type != PAGE_RUN)
        return PAGE_SOURCE_DAMAGED(error, "type %u, expected a run", pgno, page->type);
    if (page->run_length != length)
        return PAGE_SOURCE_DAMAGED(error, "a run of %llu bytes, expected %llu", pgno,
                                   (unsigned long long)page->run_length,
                                   (unsigned long long)length);
    if (!page_source_is_older(page, born_max, error))
        return NULL;
    page_source_mark(source, page);
    return page;
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
    if (mark == 0)
        return NULL;
    page = page_source_at(source, pgno);
    if (mark != (uint32_t)page->txnid || page->type != PAGE_RUN || page->run_length != length ||
        page->txnid > born_max)
        return NULL;
    return page;
}

const uint8_t *page_source_run(const struct page_source *source, pgno_t pgno, uint64_t length,
                               txnid_t born_max, struct bts_error *error)
{
    const struct page_header *page = NULL;

    if (source->private_page != NULL)
        page = source->private_page(source->private_context, pgno);
    if (page == NULL)
        page = page_source_known_run(source, pgno, length, born_max);
    if (page == NULL)
        page = page_source_verify_run(source, pgno, length, born_max, error);
    return page != NULL ? (const uint8_t *)page + PAGE_HEADER_SIZE : NULL;
}
