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

/* The value of an entry of a leaf of this tree, following it into its run. */
BTS_MUST_USE enum bts_status tree_value(const struct tree_view *view, txnid_t born_max,
                                        const struct leaf_entry *entry, struct bts_bytes *value,
                                        struct bts_error *error);

/* tree_get whatever is in the way: pages never seen before, private ones, damage, runs. */
BTS_MUST_USE enum bts_status tree_get_slowly(const struct tree_view *view, const void *key,
                                             size_t key_size, struct bts_bytes *value,
                                             struct bts_error *error);

/*
 * The leaf that holds the key if any does, when every page on the way is of
 * the map and was checked before; else NULL.
 */
static inline const struct page_header *tree_known_leaf(const struct tree_view *view,
                                                        const void *key, size_t key_size)
{
    const struct page_source *source = view->source;
    unsigned depth = view->depth;
    txnid_t born_max = view->txnid;
    pgno_t pgno = view->root;
    const struct page_header *page;
    uint16_t kind;
    uint32_t mark = 0;
    bool even;

    if (__builtin_expect(depth - 1 >= TREE_DEPTH_MAX || source->private_page != NULL, 0))
        return NULL; /* depth 0, too */
    kind = page_source_kind(depth - 1);
    page = page_source_known(source, pgno, kind, born_max, &mark);
    even = page_mark_is_even(mark);
    while (page != NULL && kind != PAGE_LEAF) {
        pgno = inner_children(page)[inner_search_even(page, key, key_size, even)];
        page_source_prefetch(source, pgno);
        born_max = page->txnid;
        kind = kind >> 8 > 1 ? (uint16_t)(kind - (1u << 8)) : PAGE_LEAF;
        page = page_source_known_below(source, pgno, kind, born_max, &even);
    }
    return page;
}

/*
 * Finds a key.  The value points into the map (or into a private page, until
 * that changes).  BTS_OK, BTS_NOT_FOUND, BTS_DAMAGED.
 */
BTS_MUST_USE enum bts_status tree_get(const struct tree_view *view, const void *key,
                                      size_t key_size, struct bts_bytes *value,
                                      struct bts_error *error);

/*
 * The same for bts_get, of which it is nearly all: the shorter it is, the
 * sooner the processor begins with the next get while this one waits for
 * memory.  So the value's place follows from the size of the key asked for,
 * not from the cell's, which may be on its way still.
 */
BTS_MUST_USE static inline enum bts_status tree_get_inline(const struct tree_view *view,
                                                           const void *key, size_t key_size,
                                                           struct bts_bytes *value,
                                                           struct bts_error *error)
{
    const struct page_header *leaf = key_size > 0 ? tree_known_leaf(view, key, key_size) : NULL;
    const uint8_t *cell;
    uint32_t vlen;
    int index;

    if (__builtin_expect(leaf == NULL, 0))
        return tree_get_slowly(view, key, key_size, value, error);
    index = leaf_find(leaf, key, key_size);
    if (index < 0) {
        *value = (struct bts_bytes){NULL, 0};
        return BTS_NOT_FOUND;
    }
    cell = leaf_cell(leaf, (unsigned)index);
    vlen = bytes_load_u16(cell + 2);
    if (__builtin_expect(vlen == LEAF_VLEN_RUN, 0))
        return tree_get_slowly(view, key, key_size, value, error);
    value->data = cell + LEAF_CELL_HEADER_SIZE + key_size;
    value->size = vlen;
    return BTS_OK;
}

#endif
