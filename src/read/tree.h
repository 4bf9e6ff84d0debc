/* SPDX-License-Identifier: MIT */
/*
 * tree: find one key in a B+tree.
 *
 * The tree may be a bucket or the bucket directory.  Its pages come from a
 * page source, so the same descent serves readers and the daemon.
 */
#ifndef READ_TREE_H
#define READ_TREE_H

#include "format/leaf.h"
#include "read/page_source.h"

/* A tree with more levels than this is damage: the narrowest tree of 2^32 pages has fewer. */
#define TREE_DEPTH_MAX 24u

/* One tree in one state. */
struct tree_view {
    const struct page_source *source;
    pgno_t root;      /* PGNO_NONE: empty, depth 0 */
    uint32_t depth;   /* levels; 1: the root is a leaf */
    txnid_t txnid;    /* of the state: no page of it is younger */
};

/* BTS_DAMAGED: root and depth contradict each other, or there are too many levels. */
BTS_MUST_USE enum bts_status tree_depth_check(const struct tree_view *view,
                                              struct bts_error *error);

/*
 * Finds a key.  The value points into the map (or into a private page, until
 * that changes).  BTS_OK, BTS_NOT_FOUND, BTS_DAMAGED.
 */
BTS_MUST_USE enum bts_status tree_get(const struct tree_view *view, const void *key,
                                      size_t key_size, struct bts_bytes *value,
                                      struct bts_error *error);

/* The value of an entry of a leaf of this tree, following it into its run. */
BTS_MUST_USE enum bts_status tree_value(const struct tree_view *view, txnid_t born_max,
                                        const struct leaf_entry *entry, struct bts_bytes *value,
                                        struct bts_error *error);

#endif
