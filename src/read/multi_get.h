/* SPDX-License-Identifier: MIT */
/*
 * multi_get: find many keys at once.
 *
 * Descents go side by side, level by level, in groups of MULTI_GET_WIDTH: the
 * pages of all of them are fetched before the first is searched, so their
 * cache misses overlap.
 */
#ifndef READ_MULTI_GET_H
#define READ_MULTI_GET_H

#include "read/tree.h"

#define MULTI_GET_WIDTH 16u

/* See bts_get_many. */
BTS_MUST_USE enum bts_status multi_get(const struct tree_view *view, struct bts_lookup *lookups,
                                       size_t lookup_count, struct bts_error *error);

#endif
