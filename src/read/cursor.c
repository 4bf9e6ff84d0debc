/* SPDX-License-Identifier: MIT */
/*
 * cursor: place the cursor, and move it from leaf to leaf.
 *
 * A placement descends to one leaf and then settles: forward on the first
 * entry within the bounds, backward on the last.  That entry lies in the leaf
 * itself or in the one beside it; two leaves without it mean that there is
 * none, so no move visits more than two leaves, whatever the pages hold.
 *
 * A step to the leaf beside compares the first keys of the two: they ascend, or
 * it is damage.  So a walk meets no leaf twice, though hostile inner pages led
 * to one a billion times.
 */
#include "read/cursor.h"

#include "base/bytes.h"
#include "base/err.h"
#include "format/inner.h"

/* Which way a descent takes at each inner page. */
enum cursor_way {
    CURSOR_WAY_FIRST, /* the leftmost child */
    CURSOR_WAY_LAST,  /* the rightmost child */
    CURSOR_WAY_KEY,   /* the child that holds a key */
};

void cursor_init(struct cursor *cursor, const struct tree_view *view)
{
    memset(cursor, 0, sizeof(*cursor));
    cursor->view = *view;
}

void cursor_set_range(struct cursor *cursor, struct bts_bytes from, struct bts_bytes to)
{
    cursor->from = from;
    cursor->to = to;
    cursor->prefix = (struct bts_bytes){NULL, 0};
    cursor->state = CURSOR_UNSET;
}

void cursor_set_prefix(struct cursor *cursor, struct bts_bytes prefix)
{
    cursor->from = prefix;
    cursor->to = (struct bts_bytes){NULL, 0};
    cursor->prefix = prefix;
    cursor->state = CURSOR_UNSET;
}

/* ---- ends ------------------------------------------------------------------ */

static void cursor_hand_out_nothing(struct bts_bytes *key, struct bts_bytes *value)
{
    if (key != NULL)
        *key = (struct bts_bytes){NULL, 0};
    if (value != NULL)
        *value = (struct bts_bytes){NULL, 0};
}

/* What a move says that found no entry: the end in that direction, or damage. */
static enum bts_status cursor_stop(struct cursor *cursor, enum bts_status status,
                                   enum cursor_state end, struct bts_bytes *key,
                                   struct bts_bytes *value)
{
    cursor->state = status == BTS_END ? end : CURSOR_FAILED;
    cursor_hand_out_nothing(key, value);
    return status;
}

enum bts_status cursor_run_value(struct cursor *cursor, uint32_t index, struct bts_bytes *key,
                                 struct bts_bytes *value, struct bts_error *error)
{
    struct leaf_entry entry = leaf_entry_at(cursor->leaf, index);
    enum bts_status status =
        tree_value(&cursor->view, cursor->leaf->txnid, &entry, value, error);

    return status == BTS_OK ? BTS_OK : cursor_stop(cursor, status, CURSOR_FAILED, key, value);
}

/* ---- bounds ----------------------------------------------------------------- */

/* Whether entry `index` of the leaf lies behind the upper bound. */
static bool cursor_is_beyond(const struct cursor *cursor, unsigned index)
{
    const struct bts_bytes *prefix = &cursor->prefix;
    struct leaf_entry entry;

    if (prefix->data == NULL && cursor->to.data == NULL)
        return false; /* and no cache line is touched to find out */
    entry = leaf_entry_at(cursor->leaf, index);
    if (prefix->data != NULL)
        return bytes_compare(entry.key, bytes_min(entry.key_size, prefix->size), prefix->data,
                             bytes_min(entry.key_size, prefix->size)) > 0;
    return bytes_compare(entry.key, entry.key_size, cursor->to.data, cursor->to.size) >= 0;
}

/* Finds [first, limit).  Mostly the whole leaf: then its outermost keys tell. */
static void cursor_measure(struct cursor *cursor)
{
    const struct bts_bytes *from = &cursor->from;
    unsigned low = 0;
    unsigned high = leaf_count(cursor->leaf);
    bool found;

    cursor->first = 0;
    if (from->data != NULL && leaf_order(cursor->leaf, 0, from->data, from->size) < 0)
        cursor->first = leaf_lower_bound(cursor->leaf, from->data, from->size, &found);
    if (!cursor_is_beyond(cursor, high - 1))
        low = high;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (cursor_is_beyond(cursor, middle))
            high = middle;
        else
            low = middle + 1;
    }
    cursor->limit = low;
}

/* ---- paths ------------------------------------------------------------------- */

/* The page at place `step` of a path that ends at place `bottom`; all above it came from here. */
static inline const struct page_header *cursor_page(const struct page_source *source, pgno_t pgno,
                                                    unsigned step, unsigned bottom,
                                                    txnid_t born_max, struct bts_error *error)
{
    return step > 0 ? page_source_get_below(source, pgno, bottom - step, born_max, error)
                    : page_source_get(source, pgno, bottom, born_max, error);
}

/* Goes down from page `pgno`, whose place in the path is `step`, to a leaf. */
static enum bts_status cursor_descend(struct cursor *cursor, unsigned step, pgno_t pgno,
                                      txnid_t born_max, enum cursor_way way,
                                      const struct bts_bytes *key, struct bts_error *error)
{
    const struct page_source *source = cursor->view.source;
    unsigned bottom = cursor->view.depth - 1;

    for (; step < bottom; step++) {
        const struct page_header *page = cursor_page(source, pgno, step, bottom, born_max, error);
        unsigned index = 0;

        if (page == NULL)
            return BTS_DAMAGED;
        if (way == CURSOR_WAY_LAST)
            index = inner_count(page);
        else if (way == CURSOR_WAY_KEY)
            index = page_source_search(source, pgno, page, key->data, key->size);
        cursor->path[step].page = page;
        cursor->path[step].index = index;
        pgno = inner_children(page)[index];
        page_source_prefetch(source, pgno);
        born_max = page->txnid;
    }
    cursor->leaf = cursor_page(source, pgno, bottom, bottom, born_max, error);
    if (cursor->leaf == NULL)
        return BTS_DAMAGED;
    if (leaf_count(cursor->leaf) == 0)
        return err_set(error, BTS_DAMAGED, "page %u: a leaf without entries; run btstore check",
                       pgno);
    if (way == CURSOR_WAY_KEY) /* a binary search is to come: let its misses overlap */
        page_prefetch_cells(cursor->leaf, page_source_page_size(source));
    cursor_measure(cursor);
    return BTS_OK;
}

/* From the root to a leaf. */
static enum bts_status cursor_enter(struct cursor *cursor, enum cursor_way way,
                                    const struct bts_bytes *key, struct bts_error *error)
{
    if (tree_depth_check(&cursor->view, error) != BTS_OK)
        return BTS_DAMAGED;
    if (cursor->view.depth == 0)
        return BTS_END;
    return cursor_descend(cursor, 0, cursor->view.root, cursor->view.txnid, way, key, error);
}

/* The first key of this leaf lies on the right side of that of the leaf it was reached from. */
static enum bts_status cursor_check_order(const struct cursor *cursor,
                                          const struct page_header *from, int direction,
                                          struct bts_error *error)
{
    struct leaf_entry before = leaf_entry_at(from, 0);
    struct leaf_entry entry = leaf_entry_at(cursor->leaf, 0);
    int order = bytes_compare(entry.key, entry.key_size, before.key, before.key_size);

    if (__builtin_expect(direction > 0 ? order > 0 : order < 0, 1))
        return BTS_OK;
    return err_set(error, BTS_DAMAGED,
                   "page %u: its keys do not lie %s those of page %u; run btstore check",
                   cursor->leaf->pgno, direction > 0 ? "behind" : "before", from->pgno);
}

/* The leaf after this one, or (direction -1) before it; BTS_END: there is none. */
static enum bts_status cursor_enter_beside(struct cursor *cursor, int direction,
                                           struct bts_error *error)
{
    enum cursor_way way = direction > 0 ? CURSOR_WAY_FIRST : CURSOR_WAY_LAST;
    const struct page_header *from = cursor->leaf;
    unsigned step = cursor->view.depth - 1;
    enum bts_status status;

    while (step > 0) {
        struct cursor_step *above = &cursor->path[--step];
        unsigned outermost = direction > 0 ? inner_count(above->page) : 0;

        if (above->index != outermost) {
            above->index += (uint32_t)direction;
            status = cursor_descend(cursor, step + 1, inner_children(above->page)[above->index],
                                    above->page->txnid, way, NULL, error);
            return status == BTS_OK ? cursor_check_order(cursor, from, direction, error) : status;
        }
    }
    return BTS_END;
}

/*
 * Asks for what a walk in this direction will need: the cells of the next leaf,
 * whose header was asked for when this leaf was the next one, and the header of
 * the one after it.  So a walk waits for memory once, at its beginning.
 */
static void cursor_prefetch_beside(const struct cursor *cursor, int direction)
{
    const struct page_source *source = cursor->view.source;
    const struct cursor_step *above;
    const pgno_t *children;
    int64_t next, outermost;

    if (cursor->view.depth < 2)
        return;
    above = &cursor->path[cursor->view.depth - 2];
    children = inner_children(above->page);
    outermost = direction > 0 ? (int64_t)inner_count(above->page) : 0;
    next = above->index;
    if (next == outermost)
        return;
    next += direction;
    page_source_prefetch_cells(source, children[next]);
    if (next != outermost)
        page_source_prefetch(source, children[next + direction]);
}

/* ---- settling ---------------------------------------------------------------- */

/* On the first entry within the bounds at or behind `index` (no less than `first`). */
static enum bts_status cursor_settle_forward(struct cursor *cursor, uint32_t index,
                                             struct bts_bytes *key, struct bts_bytes *value,
                                             struct bts_error *error)
{
    enum bts_status status = BTS_OK;

    if (index >= leaf_count(cursor->leaf)) {
        status = cursor_enter_beside(cursor, 1, error);
        index = cursor->first;
    }
    if (status == BTS_OK && index >= cursor->limit)
        status = BTS_END;
    if (status != BTS_OK)
        return cursor_stop(cursor, status, CURSOR_AFTER, key, value);
    cursor_prefetch_beside(cursor, 1);
    return cursor_hand_out(cursor, index, key, value, error);
}

/* On the last entry within the bounds before `end` (no more than `limit`). */
static enum bts_status cursor_settle_backward(struct cursor *cursor, uint32_t end,
                                              struct bts_bytes *key, struct bts_bytes *value,
                                              struct bts_error *error)
{
    enum bts_status status = BTS_OK;

    if (end == 0) {
        status = cursor_enter_beside(cursor, -1, error);
        end = cursor->limit;
    }
    if (status == BTS_OK && end <= cursor->first)
        status = BTS_END;
    if (status != BTS_OK)
        return cursor_stop(cursor, status, CURSOR_BEFORE, key, value);
    cursor_prefetch_beside(cursor, -1);
    return cursor_hand_out(cursor, end - 1, key, value, error);
}

/* ---- placing ------------------------------------------------------------------ */

enum bts_status cursor_seek(struct cursor *cursor, const void *key, size_t key_size,
                            struct bts_bytes *found_key, struct bts_bytes *value,
                            struct bts_error *error)
{
    struct bts_bytes target = {key_size > 0 ? key : "", key_size};
    const struct bts_bytes *from = &cursor->from;
    enum bts_status status;
    bool found;

    if (from->data != NULL && bytes_compare(key, key_size, from->data, from->size) < 0)
        target = *from;
    status = cursor_enter(cursor, CURSOR_WAY_KEY, &target, error);
    if (status != BTS_OK)
        return cursor_stop(cursor, status, CURSOR_AFTER, found_key, value);
    return cursor_settle_forward(cursor,
                                 leaf_lower_bound(cursor->leaf, target.data, target.size, &found),
                                 found_key, value, error);
}

enum bts_status cursor_first(struct cursor *cursor, struct bts_bytes *key,
                             struct bts_bytes *value, struct bts_error *error)
{
    enum bts_status status;

    if (cursor->from.data != NULL)
        return cursor_seek(cursor, cursor->from.data, cursor->from.size, key, value, error);
    status = cursor_enter(cursor, CURSOR_WAY_FIRST, NULL, error);
    if (status != BTS_OK)
        return cursor_stop(cursor, status, CURSOR_AFTER, key, value);
    return cursor_settle_forward(cursor, 0, key, value, error);
}

/*
 * The first key behind all that begin with `prefix`: its last byte that is not
 * 0xff, plus one, and nothing after.  `room` holds prefix->size bytes.  Size 0:
 * there is no such key.
 */
static struct bts_bytes cursor_prefix_end(const struct bts_bytes *prefix, uint8_t *room)
{
    const uint8_t *data = prefix->data;
    size_t size = prefix->size;

    while (size > 0 && data[size - 1] == 0xff)
        size--;
    if (size > 0) {
        memcpy(room, data, size);
        room[size - 1]++;
    }
    return (struct bts_bytes){room, size};
}

/* To the leaf with the last key of the prefix, or the one after it. */
static enum bts_status cursor_enter_prefix_end(struct cursor *cursor, struct bts_error *error)
{
    uint8_t room[PAGE_SIZE_MAX / 4]; /* above every page_key_max */
    struct bts_bytes end;

    if (cursor->prefix.size > sizeof(room))
        return BTS_END;
    end = cursor_prefix_end(&cursor->prefix, room);
    return cursor_enter(cursor, end.size > 0 ? CURSOR_WAY_KEY : CURSOR_WAY_LAST, &end, error);
}

enum bts_status cursor_last(struct cursor *cursor, struct bts_bytes *key, struct bts_bytes *value,
                            struct bts_error *error)
{
    enum bts_status status;

    if (cursor->prefix.data != NULL)
        status = cursor_enter_prefix_end(cursor, error);
    else
        status = cursor_enter(cursor, cursor->to.data != NULL ? CURSOR_WAY_KEY : CURSOR_WAY_LAST,
                              &cursor->to, error);
    if (status != BTS_OK)
        return cursor_stop(cursor, status, CURSOR_BEFORE, key, value);
    return cursor_settle_backward(cursor, cursor->limit, key, value, error);
}

/* ---- moving -------------------------------------------------------------------- */

static enum bts_status cursor_still_failed(struct bts_bytes *key, struct bts_bytes *value,
                                           struct bts_error *error)
{
    cursor_hand_out_nothing(key, value);
    return err_set(error, BTS_DAMAGED, "the cursor met a damaged page: place it anew");
}

enum bts_status cursor_next_far(struct cursor *cursor, struct bts_bytes *key,
                                struct bts_bytes *value, struct bts_error *error)
{
    switch (cursor->state) {
    case CURSOR_UNSET:
    case CURSOR_BEFORE:
        return cursor_first(cursor, key, value, error);
    case CURSOR_AT_ENTRY:
        return cursor_settle_forward(cursor, cursor->index + 1, key, value, error);
    case CURSOR_AFTER:
        return cursor_stop(cursor, BTS_END, CURSOR_AFTER, key, value);
    case CURSOR_FAILED:
    default:
        return cursor_still_failed(key, value, error);
    }
}

enum bts_status cursor_prev_far(struct cursor *cursor, struct bts_bytes *key,
                                struct bts_bytes *value, struct bts_error *error)
{
    switch (cursor->state) {
    case CURSOR_UNSET:
    case CURSOR_AFTER:
        return cursor_last(cursor, key, value, error);
    case CURSOR_AT_ENTRY:
        return cursor_settle_backward(cursor, cursor->index, key, value, error);
    case CURSOR_BEFORE:
        return cursor_stop(cursor, BTS_END, CURSOR_BEFORE, key, value);
    case CURSOR_FAILED:
    default:
        return cursor_still_failed(key, value, error);
    }
}
