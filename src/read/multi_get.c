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

/* Visits one inner level with every lane and asks for the pages below it. */
static void multi_get_level(const struct tree_view *view, unsigned level,
                            struct multi_get_lane *lanes, struct bts_lookup *lookups,
                            unsigned count, enum bts_status *first, struct bts_error *error)
{
    for (unsigned i = 0; i < count; i++) {
        struct multi_get_lane *lane = &lanes[i];
        const struct page_header *page;
        unsigned index;

        if (lane->over)
            continue;
        page = page_source_get(view->source, lane->pgno, level, lane->born_max,
                               *first == BTS_OK ? error : NULL);
        if (page == NULL) {
            lane->over = true;
            multi_get_fail(&lookups[i], first);
            continue;
        }
        index = page_source_search(view->source, lane->pgno, page, lookups[i].key,
                                   lookups[i].key_size);
        lane->pgno = inner_children(page)[index];
        lane->born_max = page->txnid;
        page_source_prefetch(view->source, lane->pgno);
    }
}

/* Visits the leaf of every lane and asks for the cell where its key would lie. */
static void multi_get_leaves(const struct tree_view *view, struct multi_get_lane *lanes,
                             struct bts_lookup *lookups, unsigned count,
                             enum bts_status *first, struct bts_error *error)
{
    for (unsigned i = 0; i < count; i++) {
        struct multi_get_lane *lane = &lanes[i];

        if (lane->over)
            continue;
        lane->leaf = page_source_get(view->source, lane->pgno, 0, lane->born_max,
                                     *first == BTS_OK ? error : NULL);
        if (lane->leaf == NULL) {
            lane->over = true;
            multi_get_fail(&lookups[i], first);
            continue;
        }
        lane->candidate = leaf_candidate(lane->leaf, lookups[i].key, lookups[i].key_size);
        lane->over = lane->candidate < 0;
        if (!lane->over) {
            const uint8_t *cell = leaf_cell(lane->leaf, (unsigned)lane->candidate);

            __builtin_prefetch(cell);
            __builtin_prefetch(cell + 64);
        }
    }
}

/* Looks one key up in its leaf, the candidate first. */
static enum bts_status multi_get_find(const struct tree_view *view,
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
    return tree_value(view, lane->leaf->txnid, &entry, &lookup->value, error);
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
