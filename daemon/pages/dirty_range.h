/* SPDX-License-Identifier: MIT */
/*
 * dirty_range: where in a file lies what was written and not handed to the disk.
 */
#ifndef PAGES_DIRTY_RANGE_H
#define PAGES_DIRTY_RANGE_H

#include "pages/file.h"

/* Zero: nothing. */
struct dirty_range {
    uint64_t first;
    uint64_t end;
    uint64_t size; /* bytes written between the two */
};

static inline void dirty_range_add(struct dirty_range *range, uint64_t offset, uint64_t size)
{
    if (range->size == 0 || offset < range->first)
        range->first = offset;
    if (range->size == 0 || offset + size > range->end)
        range->end = offset + size;
    range->size += size;
}

/* Begins to write it back once it is `size_min`; see file_write_back. */
static inline enum bts_status dirty_range_write_back(struct dirty_range *range,
                                                     const struct file *file, uint64_t size_min,
                                                     struct bts_error *error)
{
    if (range->size < size_min)
        return BTS_OK;
    range->size = 0;
    return file_write_back(file, range->first, range->end - range->first, error);
}

#endif
