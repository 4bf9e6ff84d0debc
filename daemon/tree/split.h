/* SPDX-License-Identifier: MIT */
/*
 * split: make room where an entry, or a child, does not fit.
 *
 * An entry that does not fit in its leaf goes, by the first of these that does:
 *   edge    at either end of the whole tree, as sorted input is: a leaf of its
 *           own; the full leaf stays as it is, not even copied
 *   share   the leaf and a sibling with enough room are levelled, the entry
 *           between them
 *   end     at either end of its leaf, as sorted input within a range is: like edge
 *   thirds  the leaf and a full sibling become three
 *   halves  the leaf becomes two
 * Sharing and thirds are what keeps leaves of random input about 85 % full, where
 * halves alone give 69 %.
 *
 * An inner page that overflows is cut in the middle, or, when the new child
 * comes at its end, there; so it goes upwards, at most to a new root.
 */
#ifndef TREE_SPLIT_H
#define TREE_SPLIT_H

#include "tree/edit.h"

/*
 * Inserts at the leaf's index of the path; the leaf has no room.  The path is
 * spent.
 */
BTS_MUST_USE enum bts_status split_insert(struct edit_path *path, const struct edit_entry *entry,
                                          struct bts_error *error);

/*
 * The page that is child `index` of the page above step `at` (at 0: the root)
 * got a right neighbour `right`: adds it above, behind `separator`, which lies in
 * no page of the tree.  The path is spent above `at`.
 */
BTS_MUST_USE enum bts_status split_add_neighbour(struct edit_path *path, unsigned at,
                                                 unsigned index, const void *separator,
                                                 size_t separator_size, pgno_t right,
                                                 struct bts_error *error);

/*
 * Replaces separator `index` of the page above step `at`, splitting that if it
 * must; *in_place: it did not.  Else the path is spent above `at`.
 */
BTS_MUST_USE enum bts_status split_set_separator(struct edit_path *path, unsigned at,
                                                 unsigned index, const void *separator,
                                                 size_t separator_size, bool *in_place,
                                                 struct bts_error *error);

#endif
