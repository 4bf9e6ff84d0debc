/* SPDX-License-Identifier: MIT */
/* page_buffers: see page_buffers.h. */
#include "pages/page_buffers.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BUFFER_BLOCK_SIZE (1u << 20)

struct page_buffer_block {
    struct page_buffer_block *next;
    uint8_t *data;
};

void page_buffers_init(struct page_buffers *buffers, size_t page_size)
{
    memset(buffers, 0, sizeof *buffers);
    buffers->page_size = page_size;
}

void page_buffers_fini(struct page_buffers *buffers)
{
    while (buffers->blocks != NULL) {
        struct page_buffer_block *block = buffers->blocks;

        buffers->blocks = block->next;
        free(block->data);
        free(block);
    }
    free(buffers->free);
}

static enum bts_status page_buffers_add(struct page_buffers *buffers, struct bts_error *error)
{
    size_t count = PAGE_BUFFER_BLOCK_SIZE / buffers->page_size;
    struct page_buffer_block *block = malloc(sizeof *block);
    uint8_t **list = realloc(buffers->free, (buffers->count + count) * sizeof *buffers->free);

    if (list != NULL)
        buffers->free = list;
    if (block != NULL && list != NULL)
        block->data = aligned_alloc(buffers->page_size, PAGE_BUFFER_BLOCK_SIZE);
    if (block == NULL || list == NULL || block->data == NULL) {
        free(block);
        return err_set(error, BTS_NO_MEMORY, "pages: out of memory for %zu more pages", count);
    }
    block->next = buffers->blocks;
    buffers->blocks = block;
    for (size_t i = 0; i < count; i++)
        page_buffers_give(buffers, block->data + i * buffers->page_size);
    buffers->count += count;
    return BTS_OK;
}

enum bts_status page_buffers_reserve(struct page_buffers *buffers, struct bts_error *error)
{
    return buffers->free_count > 0 ? BTS_OK : page_buffers_add(buffers, error);
}
