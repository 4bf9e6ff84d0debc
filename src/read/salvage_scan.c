/* SPDX-License-Identifier: MIT */
/*
 * salvage_scan: see salvage_scan.h.
 */
#include "read/salvage_scan.h"

#include "base/err.h"
#include "format/space_map.h"

#include <stdlib.h>

static int salvage_scan_order(const void *a, const void *b)
{
    const struct salvage_page *left = a;
    const struct salvage_page *right = b;

    if (left->bucket != right->bucket) {
        return left->bucket < right->bucket ? -1 : 1;
    }
    if (left->is_live != right->is_live) {
        return left->is_live ? -1 : 1;
    }
    if (left->txnid != right->txnid) {
        return left->txnid > right->txnid ? -1 : 1;
    }
    if (left->level != right->level) {
        return left->level > right->level ? -1 : 1;
    }
    return (left->pgno > right->pgno) - (left->pgno < right->pgno);
}

static enum bts_status salvage_scan_add(struct salvage_scan *scan,
                                        const struct page_header *header, bool is_live,
                                        struct bts_error *error)
{
    if (scan->count == scan->room) {
        size_t room = scan->room * 2 + 256;
        struct salvage_page *grown = realloc(scan->page, room * sizeof(*grown));
        if (grown == NULL) {
            return err_set(error, BTS_NO_MEMORY, "no memory for %zu pages that were found", room);
        }
        scan->page = grown;
        scan->room = room;
    }
    scan->page[scan->count++] = (struct salvage_page){.txnid = header->txnid,
                                                      .bucket = header->bucket,
                                                      .pgno = header->pgno,
                                                      .level = header->level,
                                                      .is_live = is_live};
    return BTS_OK;
}

/* How many pages a whole run takes that begins here; 0: none begins here. */
static uint64_t salvage_scan_run_pages(struct salvage_pages *pages,
                                       const struct page_header *header, pgno_t pgno)
{
    struct bts_bytes value;

    if (header->type != PAGE_RUN || header->pgno != pgno ||
        salvage_pages_run(pages, pgno, header->run_length, header->bucket, header->txnid, &value,
                          NULL) != BTS_OK) {
        return 0;
    }
    return page_run_pages(header->run_length, pages->page_size);
}

/* Looks at one page; *count: how many it is the first of. */
static enum bts_status salvage_scan_page(struct salvage_scan *scan, struct salvage_pages *pages,
                                         const struct salvage_map *map,
                                         const struct salvage_scan_options *options, pgno_t pgno,
                                         void *page, uint64_t *count, struct bts_error *error)
{
    const struct page_header *header = page;
    enum salvage_use use = salvage_map_use(map, pgno);

    *count = 1;
    if (salvage_pages_read(pages, pgno, page, NULL) != BTS_OK) {
        return BTS_OK;
    }
    if (header->type == PAGE_RUN) {
        uint64_t run = salvage_scan_run_pages(pages, header, pgno);
        *count = run > 0 ? run : 1;
        return BTS_OK;
    }
    if ((header->type != PAGE_LEAF && header->type != PAGE_INNER) ||
        header->txnid > options->born_max || !options->wants(options->context, header->bucket) ||
        page_check(page, pages->page_size, pgno, NULL) != BTS_OK) {
        return BTS_OK;
    }
    if (use == SALVAGE_USE_FREE && !options->takes_free) {
        scan->passed_over += header->type == PAGE_LEAF;
        return BTS_OK;
    }
    return salvage_scan_add(scan, header, use == SALVAGE_USE_LIVE, error);
}

enum bts_status salvage_scan_run(struct salvage_scan *scan, struct salvage_pages *pages,
                                 const struct salvage_map *map,
                                 const struct salvage_scan_options *options,
                                 struct bts_error *error)
{
    uint64_t end = pages->page_count < pages->file_pages ? pages->page_count : pages->file_pages;
    void *page = malloc(pages->page_size);
    enum bts_status status = BTS_OK;
    uint64_t count = 1;

    *scan = (struct salvage_scan){.page = NULL};
    if (page == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a page");
    }
    for (uint64_t pgno = 4; pgno < end && status == BTS_OK; pgno += count) {
        count = 1;
        if (!salvage_pages_is_reached(pages, pgno) &&
            !space_map_is_fixed((pgno_t)pgno, pages->page_size)) {
            status = salvage_scan_page(scan, pages, map, options, (pgno_t)pgno, page, &count,
                                       error);
        }
    }
    free(page);
    if (scan->count > 0) {
        qsort(scan->page, scan->count, sizeof(*scan->page), salvage_scan_order);
    }
    return status;
}

void salvage_scan_fini(struct salvage_scan *scan)
{
    free(scan->page);
    *scan = (struct salvage_scan){.page = NULL};
}

size_t salvage_scan_bucket(const struct salvage_scan *scan, uint32_t bucket, size_t *first)
{
    size_t low = 0;
    size_t high = scan->count;
    size_t count = 0;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (scan->page[middle].bucket < bucket) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *first = low;
    while (low + count < scan->count && scan->page[low + count].bucket == bucket) {
        count++;
    }
    return count;
}
