/* SPDX-License-Identifier: MIT */
/* page_copies: see page_copies.h. */
#include "pages/page_copies.h"

#include <stdlib.h>

struct page_copies *page_copies_create(const struct file *data, size_t page_size)
{
    struct page_copies *made = calloc(1, sizeof *made);

    if (made != NULL)
        made->bytes = aligned_alloc(page_size, PAGE_COPIES_MAX * page_size);
    if (made == NULL || made->bytes == NULL) {
        free(made);
        return NULL;
    }
    made->data = data;
    made->page_size = page_size;
    return made;
}

void page_copies_destroy(struct page_copies *copies)
{
    if (copies != NULL)
        free(copies->bytes);
    free(copies);
}

const void *page_copies_get(struct page_copies *copies, pgno_t pgno)
{
    uint8_t *page;
    const struct page_header *header;

    for (size_t i = copies->count; i-- > 0;) {
        if (copies->pgnos[i] == pgno)
            return copies->bytes + i * copies->page_size;
    }
    if (copies->count == PAGE_COPIES_MAX)
        return NULL;
    page = copies->bytes + copies->count * copies->page_size;
    header = (const struct page_header *)page;
    if (file_read(copies->data, page, copies->page_size, (uint64_t)pgno * copies->page_size,
                  NULL) != BTS_OK ||
        page_check(page, copies->page_size, pgno, NULL) != BTS_OK ||
        (header->type != PAGE_LEAF && header->type != PAGE_INNER))
        return NULL;
    copies->pgnos[copies->count++] = pgno;
    return page;
}
