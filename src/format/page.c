/* SPDX-License-Identifier: MIT */
/*
 * page: make, seal and check pages; see page.h for the bytes.
 *
 * A check goes from what any damage breaks to what only a wrong writer can:
 * checksum, own number, header, structure.
 */
#include "format/page.h"

#include "base/crc32c.h"
#include "base/err.h"
#include "format/inner.h"
#include "format/leaf.h"

#include <assert.h>
#include <string.h>

void page_init(void *page, size_t page_size, enum page_type type, unsigned level, pgno_t pgno,
               uint32_t bucket, txnid_t txnid)
{
    struct page_header *header = page;

    assert(type == PAGE_RUN || page_size_valid(page_size));
    assert(level <= PAGE_LEVEL_MAX);
    memset(page, 0, page_size);
    header->type = (uint8_t)type;
    header->level = (uint8_t)level;
    header->pgno = pgno;
    header->bucket = bucket;
    header->txnid = txnid;
    if (type != PAGE_RUN) {
        header->upper = (uint16_t)page_size; /* 65536 wraps to 0, which means it */
    }
}

static uint32_t page_checksum(const void *page, size_t size)
{
    return crc32c(0, (const uint8_t *)page + sizeof(uint32_t), size - sizeof(uint32_t));
}

void page_seal(void *page, size_t size)
{
    ((struct page_header *)page)->crc = page_checksum(page, size);
}

static enum bts_status page_check_run(const struct page_header *header, size_t size,
                                      struct bts_error *error)
{
    if (header->run_length > VALUE_SIZE_MAX || header->run_length > size - PAGE_HEADER_SIZE) {
        return err_set(error, BTS_DAMAGED, "run of %zu bytes claims a value of %llu", size,
                       (unsigned long long)header->run_length);
    }
    return BTS_OK;
}

/* The part of the header that every type has. */
static enum bts_status page_check_header(const struct page_header *header, size_t size,
                                         struct bts_error *error)
{
    unsigned level = header->level;

    if (header->type < PAGE_META || header->type > PAGE_RUN) {
        return err_set(error, BTS_VERSION, "page type %u, written by a newer version",
                       header->type);
    }
    if (header->flags != 0) {
        return err_set(error, BTS_VERSION, "page flags %04x, written by a newer version",
                       header->flags);
    }
    if (header->type != PAGE_RUN && !page_size_valid(size)) {
        return err_set(error, BTS_DAMAGED, "page type %u where a run of %zu bytes should be",
                       header->type, size);
    }
    if (header->type == PAGE_INNER ? level < 1 || level > PAGE_LEVEL_MAX : level != 0) {
        return err_set(error, BTS_DAMAGED, "level %u in a page of type %u", level, header->type);
    }
    return BTS_OK;
}

enum bts_status page_check(const void *page, size_t size, pgno_t pgno, struct bts_error *error)
{
    const struct page_header *header = page;
    uint32_t checksum = page_checksum(page, size);
    enum bts_status status;

    assert(size >= PAGE_SIZE_MIN);
    if (checksum != header->crc) {
        return err_set(error, BTS_DAMAGED, "checksum %08x, expected %08x", checksum, header->crc);
    }
    if (header->pgno != pgno) {
        return err_set(error, BTS_DAMAGED, "carries the number of page %u", header->pgno);
    }
    status = page_check_header(header, size, error);
    if (status != BTS_OK) {
        return status;
    }
    switch (header->type) {
    case PAGE_LEAF:
        return leaf_check(page, size, error);
    case PAGE_INNER:
        return inner_check(page, size, error);
    case PAGE_RUN:
        return page_check_run(header, size, error);
    default:
        return BTS_OK;
    }
}

enum bts_status page_check_edit(const void *page, size_t page_size, struct bts_error *error)
{
    const struct page_header *header = page;

    switch (header->type) {
    case PAGE_LEAF:
        return leaf_check_edit(page, page_size, error);
    case PAGE_INNER:
        return inner_check_edit(page, page_size, error);
    default:
        return BTS_OK;
    }
}
