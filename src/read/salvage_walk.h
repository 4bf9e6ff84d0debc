/* SPDX-License-Identifier: MIT */
/*
 * salvage_walk: go down one tree as far as its pages verify.
 *
 * A page is taken if it passes page_check, is of the type, level and bucket
 * that led to it, no younger than its parent, and reached for the first time;
 * an inner page also only if its separators ascend and stay within its own
 * bounds.  Where one is not, the keys that it leads to are lost: its
 * separators give [low, high), and the walk goes on beside it.
 *
 * Of a leaf only entries within its bounds are taken, in ascending order.  So
 * every key is handed out once, in order, whatever the bytes are.
 *
 * Depth is capped by TREE_DEPTH_MAX, time by the bits of reached pages.
 */
#ifndef READ_SALVAGE_WALK_H
#define READ_SALVAGE_WALK_H

#include "read/salvage_pages.h"
#include "read/salvage_ranges.h"

/* What the walk tells its caller; a status other than BTS_OK ends the walk. */
struct salvage_walk_calls {
    enum bts_status (*entry)(void *context, const struct page_header *leaf,
                             const struct leaf_entry *entry, struct bts_error *error);
    /* Page `pgno` of `level` is damaged, or (`level` < 0) some entries of a leaf. */
    void (*damage)(void *context, pgno_t pgno, int level, struct bts_bytes low,
                   struct bts_bytes high, const char *why);
};

struct salvage_tree {
    uint32_t bucket;
    pgno_t root;
    uint32_t depth;  /* 0: empty */
    txnid_t txnid;   /* no page of it is younger */
};

/* Walks a tree and adds what it could not reach to `ranges`.  BTS_NO_MEMORY, or a call's. */
BTS_MUST_USE enum bts_status salvage_walk(struct salvage_pages *pages,
                                          const struct salvage_tree *tree,
                                          struct salvage_ranges *ranges,
                                          const struct salvage_walk_calls *calls, void *context,
                                          struct bts_error *error);

#endif
