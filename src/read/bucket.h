/* SPDX-License-Identifier: MIT */
/*
 * bucket: find a bucket in the bucket directory of a state.
 *
 * The directory is a tree like any other: names to bucket records.
 */
#ifndef READ_BUCKET_H
#define READ_BUCKET_H

#include "format/bucket_record.h"
#include "read/tree.h"

/* On failure `record` is zeroed.  BTS_NO_BUCKET (the text names it), BTS_DAMAGED. */
BTS_MUST_USE enum bts_status bucket_find(const struct tree_view *directory, const void *name,
                                         size_t name_size, struct bucket_record *record,
                                         struct bts_error *error);

/*
 * By number: walks the directory.  `name` (BUCKET_NAME_MAX bytes of room, or
 * NULL) and `name_size` (or NULL) get its name.
 */
BTS_MUST_USE enum bts_status bucket_find_id(const struct tree_view *directory, uint32_t id,
                                            struct bucket_record *record, uint8_t *name,
                                            size_t *name_size, struct bts_error *error);

/* The tree of a bucket in the state that `directory` shows. */
static inline struct tree_view bucket_view(const struct tree_view *directory,
                                           const struct bucket_record *record)
{
    struct tree_view view = *directory;

    view.root = record->root;
    view.depth = record->depth;
    return view;
}

#endif
