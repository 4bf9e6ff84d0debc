/* SPDX-License-Identifier: MIT */
/*
 * salvage_pages: see salvage_pages.h.
 */
#include "read/salvage_pages.h"

#include "base/err.h"
#include "read/page_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum bts_status salvage_pages_init(struct salvage_pages *pages, int fd, size_t page_size,
                                   uint64_t page_count, struct bts_error *error)
{
    struct stat stat;

    *pages = (struct salvage_pages){.fd = fd, .page_size = page_size};
    if (fstat(fd, &stat) != 0) {
        return err_set_errno(error, BTS_IO, errno, "fstat");
    }
    pages->file_pages = (uint64_t)stat.st_size / page_size;
    pages->page_count = page_count != 0 ? page_count : pages->file_pages;
    if (pages->page_count > UINT32_MAX) {
        pages->page_count = UINT32_MAX;
    }
    pages->reached = calloc((size_t)pages->page_count / 8 + 1, 1);
    if (pages->reached == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a bit for each of %llu pages",
                       (unsigned long long)pages->page_count);
    }
    return BTS_OK;
}

void salvage_pages_fini(struct salvage_pages *pages)
{
    free(pages->reached);
    free(pages->run);
    *pages = (struct salvage_pages){.fd = -1};
}

/* ---- reading -------------------------------------------------------------------- */

/* Reads `count` pages from `pgno` on. */
static enum bts_status salvage_pages_read_many(const struct salvage_pages *pages, pgno_t pgno,
                                               uint64_t count, void *bytes, struct bts_error *why)
{
    if (pgno >= pages->page_count || count > pages->page_count - pgno) {
        return err_set(why, BTS_DAMAGED, "beyond the end of the store at page %llu",
                       (unsigned long long)pages->page_count);
    }
    return page_copy(pages->fd, pages->page_size, pgno, count, bytes, why);
}

enum bts_status salvage_pages_read(const struct salvage_pages *pages, pgno_t pgno, void *page,
                                   struct bts_error *why)
{
    return salvage_pages_read_many(pages, pgno, 1, page, why);
}

enum bts_status salvage_pages_get(const struct salvage_pages *pages, pgno_t pgno, void *page,
                                  struct bts_error *why)
{
    enum bts_status status = salvage_pages_read(pages, pgno, page, why);

    return status == BTS_OK ? page_check(page, pages->page_size, pgno, why) : status;
}

/* ---- runs ----------------------------------------------------------------------- */

static enum bts_status salvage_pages_check_run(const struct page_header *run, uint64_t length,
                                               uint32_t bucket, txnid_t born_max,
                                               struct bts_error *why)
{
    if (run->type != PAGE_RUN || run->run_length != length) {
        return err_set(why, BTS_DAMAGED, "no run of %llu bytes", (unsigned long long)length);
    }
    if (run->bucket != bucket) {
        return err_set(why, BTS_DAMAGED, "belongs to bucket %u, expected %u", run->bucket, bucket);
    }
    if (run->txnid > born_max) {
        return err_set(why, BTS_DAMAGED, "born in transaction %llu, after %llu that led here",
                       (unsigned long long)run->txnid, (unsigned long long)born_max);
    }
    return BTS_OK;
}

enum bts_status salvage_pages_run(struct salvage_pages *pages, pgno_t pgno, uint64_t length,
                                  uint32_t bucket, txnid_t born_max, struct bts_bytes *value,
                                  struct bts_error *why)
{
    uint64_t count;
    enum bts_status status;

    *value = (struct bts_bytes){NULL, 0};
    if (length > VALUE_SIZE_MAX) {
        return err_set(why, BTS_DAMAGED, "a value of %llu bytes, at most %u",
                       (unsigned long long)length, VALUE_SIZE_MAX);
    }
    count = page_run_pages(length, pages->page_size);
    if (count * pages->page_size > pages->run_room) {
        free(pages->run);
        pages->run_room = (size_t)count * pages->page_size;
        pages->run = malloc(pages->run_room);
        if (pages->run == NULL) {
            pages->run_room = 0;
            return err_set(why, BTS_NO_MEMORY, "no memory for a value of %llu bytes",
                           (unsigned long long)length);
        }
    }
    status = salvage_pages_read_many(pages, pgno, count, pages->run, why);
    if (status == BTS_OK) {
        status = page_check(pages->run, (size_t)count * pages->page_size, pgno, why);
    }
    if (status == BTS_OK) {
        status = salvage_pages_check_run((const struct page_header *)(void *)pages->run, length,
                                         bucket, born_max, why);
    }
    if (status == BTS_OK) {
        *value = (struct bts_bytes){pages->run + PAGE_HEADER_SIZE, (size_t)length};
    }
    return status;
}

/* ---- reached --------------------------------------------------------------------- */

bool salvage_pages_reach(struct salvage_pages *pages, pgno_t pgno, uint64_t count)
{
    bool first = true;

    for (uint64_t p = pgno; p < pgno + count; p++) {
        first = first && !salvage_pages_is_reached(pages, p);
        pages->reached[p / 8] |= (uint8_t)(1u << p % 8);
    }
    return first;
}
