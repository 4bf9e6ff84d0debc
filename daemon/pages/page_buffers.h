/* SPDX-License-Identifier: MIT */
/*
 * page_buffers: memory for pages that are being made.
 *
 * Had in blocks, which are kept until the end; a buffer that is given back is
 * the next to be taken, while it is still in the processor's caches.  Aligned to
 * the page size.  One thread.
 */
#ifndef PAGES_PAGE_BUFFERS_H
#define PAGES_PAGE_BUFFERS_H

#include <assert.h>
#include <btstore.h>

struct page_buffer_block;

struct page_buffers {
    size_t page_size;
    struct page_buffer_block *blocks;
    uint8_t **free; /* a stack */
    size_t free_count;
    size_t count;   /* in all blocks: the room of `free` */
};

void page_buffers_init(struct page_buffers *buffers, size_t page_size);
void page_buffers_fini(struct page_buffers *buffers);

/* Makes sure that the next take finds one.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status page_buffers_reserve(struct page_buffers *buffers,
                                                  struct bts_error *error);

/* A buffer, with whatever lies in it; one was reserved. */
static inline uint8_t *page_buffers_take(struct page_buffers *buffers)
{
    assert(buffers->free_count > 0);
    return buffers->free[--buffers->free_count];
}

static inline void page_buffers_give(struct page_buffers *buffers, uint8_t *buffer)
{
    buffers->free[buffers->free_count++] = buffer;
}

#endif
