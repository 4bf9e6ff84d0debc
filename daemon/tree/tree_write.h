/* SPDX-License-Identifier: MIT */
/*
 * tree_write: change one tree, copy-on-write.
 *
 * A struct tree is the working root of one bucket (or of the directory) in
 * the group at work.  Each call either does its change whole or returns an
 * error after which the caller undoes the batch (pages_undo and its own copy
 * of struct tree): trees and counts are never repaired half-way.
 *
 * tree_put            edit.c descends and edits the leaf; split.c when it does not fit
 * tree_delete         edit.c; merge.c when a page gets sparse (below a quarter) or empty
 * tree_delete_range   range.c, mended by merge.c
 *
 * Invariants, of every tree between two calls
 *  (1) The counts of the record are exact: entries, pages of each kind, depth.
 *  (2) No page is empty, and no inner page has one child only; an empty tree
 *      has root 0 and depth 0.
 *  (3) Keys and values passed in lie in no page of the tree.
 */
#ifndef TREE_TREE_WRITE_H
#define TREE_TREE_WRITE_H

#include "format/bucket_record.h"
#include "pages/pages.h"
#include "read/tree.h"

struct tree {
    struct pages *pages;
    struct bucket_record record; /* id, root, depth and counts are kept up to date */
};

/* The tree as the group at work sees it. */
struct tree_view tree_view_of(const struct tree *tree);

enum tree_put_mode {
    TREE_PUT_ALWAYS,
    TREE_PUT_IF_ABSENT,
    TREE_PUT_IF_PRESENT,
};

/*
 * Puts one entry.  *replaced: the key was there.  *written: false when the
 * mode kept it from being written.  Values over the cell limit go to runs.
 */
BTS_MUST_USE enum bts_status tree_put(struct tree *tree, enum tree_put_mode mode, const void *key,
                                      size_t key_size, const void *value, size_t value_size,
                                      bool *replaced, bool *written, struct bts_error *error);

/*
 * The leaf that a put went into.  Zero it to start, and whenever anything but
 * tree_put_near may have changed a tree since.
 */
struct tree_place {
    const struct tree *tree;
    pgno_t leaf;
    bool is_last; /* no leaf of the tree comes behind it */
};

/*
 * tree_put, which need not search when the key belongs into the leaf of the
 * put before: between its entries, or behind all others of the tree.
 */
BTS_MUST_USE enum bts_status tree_put_near(struct tree *tree, struct tree_place *place,
                                           enum tree_put_mode mode, const void *key,
                                           size_t key_size, const void *value, size_t value_size,
                                           bool *replaced, bool *written,
                                           struct bts_error *error);

/* Deletes one key; *found: it was there. */
BTS_MUST_USE enum bts_status tree_delete(struct tree *tree, const void *key, size_t key_size,
                                         bool *found, struct bts_error *error);

/*
 * Deletes from <= key < to (data NULL: open).  Whole subtrees are freed
 * without visiting their entries one by one.  *deleted: how many.
 */
BTS_MUST_USE enum bts_status tree_delete_range(struct tree *tree, struct bts_bytes from,
                                               struct bts_bytes to, uint64_t *deleted,
                                               struct bts_error *error);

/* Frees every page of the tree: root 0, counts 0. */
BTS_MUST_USE enum bts_status tree_clear(struct tree *tree, struct bts_error *error);

#endif
