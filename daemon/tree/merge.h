/* SPDX-License-Identifier: MIT */
/*
 * merge: join pages that got sparse.
 *
 * A page is sparse when less than a quarter of it is used; an inner page with
 * one child always is.  It is merged with a sibling if both fit in one page,
 * else levelled against it; an empty leaf just goes.  Merging takes a
 * child from the page above, which may make that sparse: so it goes upwards.
 * An inner root with one child, and an empty leaf that is the root, are dropped.
 */
#ifndef TREE_MERGE_H
#define TREE_MERGE_H

#include "tree/edit.h"

/* Whether an owned page needs merge_sparse. */
bool merge_is_sparse(const void *page, size_t page_size);

/*
 * To be called when something was removed from the page of step `at`, which
 * is owned: mends it and what is above it.  The path is spent.
 */
BTS_MUST_USE enum bts_status merge_sparse(struct edit_path *path, unsigned at,
                                          struct bts_error *error);

#endif
