/* SPDX-License-Identifier: MIT */
/*
 * salvage_meta: see salvage_meta.h.
 */
#include "read/salvage_meta.h"

#include "base/err.h"
#include "read/page_copy.h"

#include <stdlib.h>
#include <string.h>

#define SALVAGE_METAS_SIZE (2u * PAGE_SIZE_MAX) /* always holds both metas */
#define SALVAGE_SAMPLE 64u                      /* right pages that settle the page size */

/* Meta `pgno` at `offset`: whether it is valid there. */
static bool salvage_meta_at(const uint8_t *bytes, size_t size, size_t offset, pgno_t pgno,
                            struct meta *meta, struct bts_error *fault)
{
    size_t left = offset < size ? size - offset : 0;

    err_clear(fault);
    if (meta_decode(left > 0 ? bytes + offset : bytes, left, pgno, meta, fault) != BTS_OK) {
        return false;
    }
    if (pgno == 1 && meta->page_size != offset) {
        err_set(fault, BTS_DAMAGED, "page size %u, but at offset %zu", meta->page_size, offset);
        return false;
    }
    return true;
}

/* Meta 1 lies where the page size says, or at any size that a page can have. */
static bool salvage_meta_one(const uint8_t *bytes, size_t size, size_t page_size,
                             struct meta *meta, struct bts_error *fault)
{
    if (page_size != 0) {
        return salvage_meta_at(bytes, size, page_size, 1, meta, fault);
    }
    for (size_t offset = PAGE_SIZE_MIN; offset <= PAGE_SIZE_MAX; offset *= 2) {
        struct bts_error here;
        bool is_valid = salvage_meta_at(bytes, size, offset, 1, meta, &here);
        if (offset == PAGE_SIZE_MIN || is_valid || here.status == BTS_VERSION) {
            *fault = here;
        }
        if (is_valid || here.status == BTS_VERSION) {
            return is_valid;
        }
    }
    return false;
}

/* How many pages are right at this size; it stops at SALVAGE_SAMPLE. */
static unsigned salvage_meta_count_right(int fd, size_t page_size, uint8_t *page)
{
    unsigned right = 0;

    for (uint64_t pgno = 0; pgno <= UINT32_MAX && right < SALVAGE_SAMPLE; pgno++) {
        if (page_copy_bytes(fd, page, page_size, pgno * page_size) < page_size) {
            break;
        }
        right += page_check(page, page_size, (pgno_t)pgno, NULL) == BTS_OK;
    }
    return right;
}

/* The page size at which most pages are right; 0: at none is any. */
static uint32_t salvage_meta_guess_size(int fd, uint8_t *page)
{
    unsigned most = 0;
    uint32_t best = 0;

    for (size_t page_size = PAGE_SIZE_MIN; page_size <= PAGE_SIZE_MAX; page_size *= 2) {
        unsigned right = salvage_meta_count_right(fd, page_size, page);
        if (right > most) {
            most = right;
            best = (uint32_t)page_size;
        }
    }
    return best;
}

static enum bts_status salvage_meta_choose(int fd, uint8_t *bytes, struct salvage_meta *found,
                                           struct bts_error *error)
{
    size_t size = page_copy_bytes(fd, bytes, SALVAGE_METAS_SIZE, 0);
    struct meta zero;
    struct meta one;
    bool has_zero = salvage_meta_at(bytes, size, 0, 0, &zero, &found->fault[0]);
    bool has_one = salvage_meta_one(bytes, size, has_zero ? zero.page_size : 0, &one,
                                    &found->fault[1]);

    for (unsigned i = 0; i < 2; i++) {
        if (found->fault[i].status == BTS_VERSION) {
            return err_set(error, BTS_VERSION, "page %u: %s", i, found->fault[i].text);
        }
    }
    found->is_found = has_zero || has_one;
    if (found->is_found) {
        bool newer = has_zero && has_one &&
                     (one.txnid > zero.txnid ||
                      (one.txnid == zero.txnid && one.clean && !zero.clean));
        found->meta = !has_zero || newer ? one : zero;
        found->is_alike = has_zero && has_one && zero.txnid == one.txnid;
        return BTS_OK;
    }
    found->meta = (struct meta){.page_size = salvage_meta_guess_size(fd, bytes)};
    return found->meta.page_size != 0
               ? BTS_OK
               : err_set(error, BTS_DAMAGED, "no page in it is a page of a store");
}

enum bts_status salvage_meta_find(int fd, struct salvage_meta *found, struct bts_error *error)
{
    uint8_t *bytes = malloc(SALVAGE_METAS_SIZE);
    enum bts_status status;

    memset(found, 0, sizeof(*found));
    if (bytes == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for the meta pages");
    }
    status = salvage_meta_choose(fd, bytes, found, error);
    free(bytes);
    return status;
}
