/* SPDX-License-Identifier: MIT */
/*
 * node_pages: empty leaf and inner pages for tests, each in a block of its
 * own, so that a sanitizer sees a read beyond it.
 */
#ifndef NODE_PAGES_H
#define NODE_PAGES_H

#include "format/inner.h"
#include "format/leaf.h"

#include "unit.h"

static inline uint8_t *leaf_new(size_t page_size)
{
    uint8_t *page = aligned_alloc(64, page_size);

    ck_assert_ptr_nonnull(page);
    page_init(page, page_size, PAGE_LEAF, 0, 7, 1, 99);
    return page;
}

/* An inner page of one child, page 1000. */
static inline uint8_t *inner_new(size_t page_size)
{
    uint8_t *page = aligned_alloc(64, page_size);
    const pgno_t child = 1000;

    ck_assert_ptr_nonnull(page);
    page_init(page, page_size, PAGE_INNER, 1, 7, 1, 99);
    ck_assert(inner_build(page, page_size, NULL, &child, 0));
    return page;
}

static inline void leaf_assert_sound(const void *page, size_t page_size)
{
    struct bts_error error;

    ck_assert_msg(leaf_check_deep(page, page_size, &error) == BTS_OK, "%s", error.text);
}

static inline void inner_assert_sound(const void *page, size_t page_size)
{
    struct bts_error error;

    ck_assert_msg(inner_check_deep(page, page_size, &error) == BTS_OK, "%s", error.text);
}

#endif
