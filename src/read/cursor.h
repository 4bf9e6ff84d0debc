/* SPDX-License-Identifier: MIT */
/*
 * cursor: walk a tree in key order, both ways, without allocating.
 *
 * A cursor holds the path from the root to its leaf, and which entries of that
 * leaf lie within its bounds: a step inside the leaf is an index and a look at
 * one cell, and bounds cost something once per leaf.  It is valid while the
 * tree_view's pages are; for the daemon: until it changes the tree.
 *
 * States
 *   unset      after cursor_init and cursor_set_*: next = first, prev = last
 *   at entry   key and value were handed out
 *   before / after  the move said BTS_END: the opposite move comes back
 *   failed     a page did not verify: next and prev say so until first, last
 *              or seek place the cursor anew
 *
 *   unset, before, after, failed --first, last, seek--> at entry
 *   at entry --next--> at entry, after         at entry --prev--> at entry, before
 *   after --prev = last--> at entry            before --next = first--> at entry
 *   any --damage--> failed
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

/* An inner page on the way, and which of its children was followed. */
struct cursor_step {
    const struct page_header *page;
    uint32_t index;
    uint32_t reserved;
};

struct cursor {
    struct tree_view view;
    const struct page_header *leaf;
    enum cursor_state state;
    uint32_t index;          /* of the entry in the leaf */
    uint32_t first;          /* entries [first, limit) of the leaf are within the bounds */
    uint32_t limit;
    /* Bounds; data NULL: open.  A prefix cursor has `prefix`, the same `from`, and no `to`. */
    struct bts_bytes from;
    struct bts_bytes to;
    struct bts_bytes prefix;
    struct cursor_step path[TREE_DEPTH_MAX - 1]; /* path[0]: the root, if that is not the leaf */
};

void cursor_init(struct cursor *cursor, const struct tree_view *view);
/* The bytes are not copied: they must stay as long as the cursor is used. */
void cursor_set_range(struct cursor *cursor, struct bts_bytes from, struct bts_bytes to);
void cursor_set_prefix(struct cursor *cursor, struct bts_bytes prefix);

/* Each moves and fills key and value (either NULL: not wanted).  BTS_OK, BTS_END, BTS_DAMAGED. */
BTS_MUST_USE enum bts_status cursor_first(struct cursor *cursor, struct bts_bytes *key,
                                          struct bts_bytes *value, struct bts_error *error);
BTS_MUST_USE enum bts_status cursor_last(struct cursor *cursor, struct bts_bytes *key,
                                         struct bts_bytes *value, struct bts_error *error);
BTS_MUST_USE enum bts_status cursor_seek(struct cursor *cursor, const void *key, size_t key_size,
                                         struct bts_bytes *found_key, struct bts_bytes *value,
                                         struct bts_error *error);

/* The moves that leave the leaf, or begin, or fail: the slow halves of next and prev. */
BTS_MUST_USE enum bts_status cursor_next_far(struct cursor *cursor, struct bts_bytes *key,
                                             struct bts_bytes *value, struct bts_error *error);
BTS_MUST_USE enum bts_status cursor_prev_far(struct cursor *cursor, struct bts_bytes *key,
                                             struct bts_bytes *value, struct bts_error *error);
/* Hands out the value of entry `index` of the leaf, which lies in a run. */
BTS_MUST_USE enum bts_status cursor_run_value(struct cursor *cursor, uint32_t index,
                                              struct bts_bytes *key, struct bts_bytes *value,
                                              struct bts_error *error);

/* Hands out entry `index` of the leaf: field by field, for this is most of a scan. */
static inline enum bts_status cursor_hand_out(struct cursor *cursor, uint32_t index,
                                              struct bts_bytes *key, struct bts_bytes *value,
                                              struct bts_error *error)
{
    const uint8_t *cell = leaf_cell(cursor->leaf, index);
    uint32_t key_size = leaf_cell_key_size(cell);
    uint32_t vlen = bytes_load_u16(cell + 2);

    cursor->index = index;
    cursor->state = CURSOR_AT_ENTRY;
    cell += LEAF_CELL_HEADER_SIZE;
    if (key != NULL) {
        key->data = cell;
        key->size = key_size;
    }
    if (value != NULL) {
        if (__builtin_expect(vlen == LEAF_VLEN_RUN, 0))
            return cursor_run_value(cursor, index, key, value, error);
        value->data = cell + key_size;
        value->size = vlen;
    }
    return BTS_OK;
}

static inline enum bts_status cursor_next(struct cursor *cursor, struct bts_bytes *key,
                                          struct bts_bytes *value, struct bts_error *error)
{
    uint32_t next = cursor->index + 1;

    if (__builtin_expect(cursor->state == CURSOR_AT_ENTRY && next < cursor->limit, 1))
        return cursor_hand_out(cursor, next, key, value, error);
    return cursor_next_far(cursor, key, value, error);
}

static inline enum bts_status cursor_prev(struct cursor *cursor, struct bts_bytes *key,
                                          struct bts_bytes *value, struct bts_error *error)
{
    if (__builtin_expect(cursor->state == CURSOR_AT_ENTRY && cursor->index > cursor->first, 1))
        return cursor_hand_out(cursor, cursor->index - 1, key, value, error);
    return cursor_prev_far(cursor, key, value, error);
}

#endif
