/* SPDX-License-Identifier: MIT */
/*
 * page_copies: pages of the file, read one at a time instead of mapped.
 *
 * For who visits each page about once, in no order of the file: a read takes a
 * third of what it takes to map the page, and the bytes are in the processor's
 * caches when they are checked.
 *
 * A copy is checked as page_source_verify checks, its birth aside.  It shows
 * the file as it was: forget all before one of these pages is written again.
 * One thread.
 */
#ifndef PAGES_PAGE_COPIES_H
#define PAGES_PAGE_COPIES_H

#include "format/page.h"
#include "pages/file.h"

#define PAGE_COPIES_MAX 64u

struct page_copies {
    const struct file *data;
    size_t page_size;
    uint8_t *bytes; /* of PAGE_COPIES_MAX pages, owned */
    size_t count;
    pgno_t pgnos[PAGE_COPIES_MAX];
};

/* NULL: no memory. */
struct page_copies *page_copies_create(const struct file *data, size_t page_size);
void page_copies_destroy(struct page_copies *copies);

/*
 * The tree page `pgno`, which lies within the file.  NULL: it cannot be read,
 * is damaged or no page of a tree, or there are too many: see the map.
 */
const void *page_copies_get(struct page_copies *copies, pgno_t pgno);

static inline void page_copies_forget(struct page_copies *copies)
{
    copies->count = 0;
}

#endif
