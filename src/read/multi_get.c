/* SPDX-License-Identifier: MIT */
/*
 * multi_get: descents side by side.
 *
 * All leaves of a tree are equally deep, so a group of descents takes each
 * level in step: a pass over one level ends with the pages of the next one
 * asked for.  In the leaves one pass asks for the cells that the fingerprints
 * point to, and another looks at them.  A descent that is over (it failed, or
 * no page can hold its key) stays behind; the others go on.
 */
#include "read/multi_get.h"

#include "base/prefetch.h"
#include "format/inner.h"

/* One descent. */
struct multi_get_lane {
    pgno_t pgno;      /* of the page to visit next */
    txnid_t born_max;
    bool over;
    const struct page_header *leaf;
    int candidate;    /* the entry of the leaf to look at first */
};

/* Gives a lookup its first value: nothing was found, nothing failed. */
static void multi_get_begin(struct bts_lookup *lookup)
{
    lookup->value.data = NULL;
    lookup->value.size = 0;
    lookup->status = BTS_NOT_FOUND;
}

/* A lookup failed.  Only the first failure of a call fills its error: the callers see to that. */
static void multi_get_fail(struct bts_lookup *lookup, enum bts_status *first)
{
    lookup->status = BTS_DAMAGED;
    *first = BTS_DAMAGED;
}

/*
 * The page that a lane visits next; *even: whether guessing pays in it.  NULL: the lane is
 * over.  Most pages are known ones of the map, and that case is worth its own few lines.
 */
static inline const struct page_header *multi_get_page(const struct tree_view *view,
                                                       unsigned level,
                                                       struct multi_get_lane *lane,
                                                       struct bts_lookup *lookup, bool *even,
                                                       enum bts_status *first,
                                                       struct bts_error *error)
{
    const struct page_source *source = view->source;
    uint16_t kind = page_source_kind(level);
    const struct page_header *page = NULL;
    uint32_t mark = 0;

    *even = false;
    if (__builtin_expect(source->private_page == NULL, 1)) {
        if (level + 1 < view->depth) {
            page = page_source_known_below(source, lane->pgno, kind, lane->born_max, even);
        } else {
            page = page_source_known(source, lane->pgno, kind, lane->born_max, &mark);
            *even = page_mark_is_even(mark);
        }
    }
    if (__builtin_expect(page != NULL, 1))
        return page;
    page = page_source_get(source, lane->pgno, level, lane->born_max,
                           *first == BTS_OK ? error : NULL);
    if (page == NULL) {
        lane->over = true;
        multi_get_fail(lookup, first);
    }
    return page;
}

/* Visits one inner level with every lane and asks for the pages below it. */
static void multi_get_level(const struct tree_view *view, unsigned level,
                            struct multi_get_lane *lanes, struct bts_lookup *lookups,
                            unsigned count, enum bts_status *first, struct bts_error *error)
{
    for (unsigned i = 0; i < count; i++) {
        struct multi_get_lane *lane = &lanes[i];
        const struct page_header *page;
        bool even;

        if (lane->over)
            continue;
        page = multi_get_page(view, level, lane, &lookups[i], &even, first, error);
        if (page == NULL)
            continue;
        lane->pgno = inner_children(page)[inner_search_even(
            page, lookups[i].key, lookups[i].key_size, even)];
        lane->born_max = page->txnid;
        page_source_prefetch(view->source, lane->pgno);
    }
}

/*
 * Asks for a cell: two cache lines, and a third where the cells of this leaf
 * are larger than one line on average.
 */
static inline void multi_get_prefetch_cell(const struct page_header *leaf, size_t page_size,
                                           unsigned index)
{
    const uint8_t *cell = leaf_cell(leaf, index);

    prefetch(cell);
    prefetch(cell + 64);
    if (page_size - page_upper(leaf) > (size_t)64 * leaf_count(leaf))
        prefetch(cell + 128);
}

/* Visits the leaf of every lane and asks for the cell where its key would lie. */
static void multi_get_leaves(const struct tree_view *view, struct multi_get_lane *lanes,
                             struct bts_lookup *lookups, unsigned count,
                             enum bts_status *first, struct bts_error *error)
{
    size_t page_size = page_source_page_size(view->source);

    for (unsigned i = 0; i < count; i++) {
        struct multi_get_lane *lane = &lanes[i];
        bool even;

        if (lane->over)
            continue;
        lane->leaf = multi_get_page(view, 0, lane, &lookups[i], &even, first, error);
        if (lane->leaf == NULL)
            continue;
        lane->candidate = leaf_candidate(lane->leaf, lookups[i].key, lookups[i].key_size);
        lane->over = lane->candidate < 0;
        if (!lane->over)
            multi_get_prefetch_cell(lane->leaf, page_size, (unsigned)lane->candidate);
    }
}

/* Looks one key up in its leaf, the candidate first. */
static inline enum bts_status multi_get_find(const struct tree_view *view,
                                             const struct multi_get_lane *lane,
                                             struct bts_lookup *lookup, struct bts_error *error)
{
    int index = lane->candidate;
    struct leaf_entry entry;

    if (!leaf_has_key(lane->leaf, (unsigned)index, lookup->key, lookup->key_size))
        index = leaf_find(lane->leaf, lookup->key, lookup->key_size);
    if (index < 0)
        return BTS_NOT_FOUND;
    entry = leaf_entry_at(lane->leaf, (unsigned)index);
    if (__builtin_expect(entry.is_run, 0))
        return tree_value(view, lane->leaf->txnid, &entry, &lookup->value, error);
    lookup->value.data = entry.value;
    lookup->value.size = entry.value_size;
    return BTS_OK;
}

/* Up to MULTI_GET_WIDTH keys in a tree that is not empty. */
static void multi_get_group(const struct tree_view *view, struct bts_lookup *lookups,
                            unsigned count, enum bts_status *first, struct bts_error *error)
{
    struct multi_get_lane lanes[MULTI_GET_WIDTH];

    for (unsigned i = 0; i < count; i++)
        lanes[i] = (struct multi_get_lane){.pgno = view->root,
                                           .born_max = view->txnid,
                                           .over = lookups[i].key_size == 0};
    for (unsigned level = view->depth - 1; level > 0; level--)
        multi_get_level(view, level, lanes, lookups, count, first, error);
    multi_get_leaves(view, lanes, lookups, count, first, error);
    for (unsigned i = 0; i < count; i++) {
        if (lanes[i].over)
            continue;
        lookups[i].status =
            multi_get_find(view, &lanes[i], &lookups[i], *first == BTS_OK ? error : NULL);
        if (lookups[i].status == BTS_DAMAGED)
            multi_get_fail(&lookups[i], first);
    }
}

enum bts_status multi_get(const struct tree_view *view, struct bts_lookup *lookups,
                          size_t lookup_count, struct bts_error *error)
{
    enum bts_status first = tree_depth_check(view, error);

    for (size_t i = 0; i < lookup_count; i++) {
        multi_get_begin(&lookups[i]);
        if (first != BTS_OK)
            lookups[i].status = first;
    }
    if (first != BTS_OK || view->depth == 0)
        return first;
    for (size_t done = 0; done < lookup_count; done += MULTI_GET_WIDTH) {
        size_t left = lookup_count - done;
        unsigned count = left < MULTI_GET_WIDTH ? (unsigned)left : MULTI_GET_WIDTH;

        multi_get_group(view, lookups + done, count, &first, error);
    }
    return first;
}
