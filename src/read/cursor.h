/* SPDX-License-Identifier: MIT */
/*
 * cursor: walk a tree in key order, both ways, without allocating.
 *
 * A cursor holds the path from the root to its leaf.  It is valid while the
 * tree_view's pages are; for the daemon: until it changes the tree.
 *
 * States
 *   unset      after cursor_init and cursor_set_*: next = first, prev = last
 *   at entry   key and value were handed out
 *   before / after  the move said BTS_END: the opposite move comes back
 *   failed     a page did not verify: every move says so until it is set again
 */
#ifndef READ_CURSOR_H
#define READ_CURSOR_H

#include "read/tree.h"

enum cursor_state {
    CURSOR_UNSET = 0,
    CURSOR_AT_ENTRY,
    CURSOR_BEFORE,
    CURSOR_AFTER,
    CURSOR_FAILED,
};

struct cursor_step {
    const struct page_header *page;
    uint32_t index; /* of the child followed, or of the entry */
    uint32_t reserved;
};

struct cursor {
    struct tree_view view;
    enum cursor_state state;
    /* Bounds; data NULL: open.  A prefix cursor has `prefix` instead. */
    struct bts_bytes from;
    struct bts_bytes to;
    struct bts_bytes prefix;
    struct cursor_step path[TREE_DEPTH_MAX]; /* path[0]: the root */
};

void cursor_init(struct cursor *cursor, const struct tree_view *view);
void cursor_set_range(struct cursor *cursor, struct bts_bytes from, struct bts_bytes to);
void cursor_set_prefix(struct cursor *cursor, struct bts_bytes prefix);

/* Each moves and fills key and value (either NULL: not wanted).  BTS_OK, BTS_END, BTS_DAMAGED. */
BTS_MUST_USE enum bts_status cursor_first(struct cursor *cursor, struct bts_bytes *key,
                                          struct bts_bytes *value, struct bts_error *error);
BTS_MUST_USE enum bts_status cursor_last(struct cursor *cursor, struct bts_bytes *key,
                                         struct bts_bytes *value, struct bts_error *error);
BTS_MUST_USE enum bts_status cursor_next(struct cursor *cursor, struct bts_bytes *key,
                                         struct bts_bytes *value, struct bts_error *error);
BTS_MUST_USE enum bts_status cursor_prev(struct cursor *cursor, struct bts_bytes *key,
                                         struct bts_bytes *value, struct bts_error *error);
BTS_MUST_USE enum bts_status cursor_seek(struct cursor *cursor, const void *key, size_t key_size,
                                         struct bts_bytes *found_key, struct bts_bytes *value,
                                         struct bts_error *error);

#endif
