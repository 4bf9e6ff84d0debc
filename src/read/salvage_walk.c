/* SPDX-License-Identifier: MIT */
/*
 * salvage_walk: see salvage_walk.h.
 *
 * One call a level.  Each level has a page of memory and room for the two
 * separators around the child at hand, allocated at once: TREE_DEPTH_MAX of
 * them at most.
 */
#include "read/salvage_walk.h"

#include "base/err.h"
#include "format/inner.h"
#include "format/space_map.h"
#include "read/tree.h"

#include <stdlib.h>

struct walk_bounds {
    struct bts_bytes low; /* data NULL: open */
    struct bts_bytes high;
};

struct walk {
    struct salvage_pages *pages;
    const struct salvage_tree *tree;
    struct salvage_ranges *ranges;
    const struct salvage_walk_calls *calls;
    void *context;
    struct bts_error *error;
    uint8_t *memory; /* per level: a page, two separators */
};

static size_t walk_level_size(const struct walk *walk)
{
    return walk->pages->page_size * 2; /* a separator takes less than a quarter of a page */
}

static uint8_t *walk_page(const struct walk *walk, unsigned level)
{
    return walk->memory + level * walk_level_size(walk);
}

/* Writes out separator `index`; it takes the place of the one before the last. */
static struct bts_bytes walk_separator(const struct walk *walk, const void *page, unsigned level,
                                       unsigned index)
{
    size_t page_size = walk->pages->page_size;
    uint8_t *out = walk_page(walk, level) + page_size + index % 2 * (page_size / 2);

    return (struct bts_bytes){out, inner_separator(page, index, out)};
}

/* ---- is it the page that should be here? ------------------------------------------- */

static enum bts_status walk_check_kind(const struct walk *walk, const struct page_header *page,
                                       unsigned level, txnid_t born_max, struct bts_error *why)
{
    uint8_t type = level == 0 ? PAGE_LEAF : PAGE_INNER;

    if (page->type != type || page->level != level) {
        return err_set(why, BTS_DAMAGED, "type %u of level %u, expected type %u of level %u",
                       page->type, page->level, type, level);
    }
    if (page->bucket != walk->tree->bucket) {
        return err_set(why, BTS_DAMAGED, "belongs to bucket %u, expected %u", page->bucket,
                       walk->tree->bucket);
    }
    if (page->txnid > born_max) {
        return err_set(why, BTS_DAMAGED, "born in transaction %llu, after %llu that led here",
                       (unsigned long long)page->txnid, (unsigned long long)born_max);
    }
    return BTS_OK;
}

/* Separators must lie within low < separator < high; that they ascend was checked. */
static enum bts_status walk_check_inner(const struct walk *walk, const struct page_header *page,
                                        const struct walk_bounds *bounds, struct bts_error *why)
{
    unsigned n = inner_count(page);
    struct bts_bytes first;
    struct bts_bytes last;
    enum bts_status status = inner_check_deep(page, walk->pages->page_size, why);

    if (status != BTS_OK || n == 0) {
        return status;
    }
    first = walk_separator(walk, page, page->level, 0);
    if (bounds->low.data != NULL && bytes_compare(first.data, first.size, bounds->low.data,
                                                  bounds->low.size) <= 0) {
        return err_set(why, BTS_DAMAGED, "its first key lies before the separator that leads here");
    }
    last = walk_separator(walk, page, page->level, n - 1);
    if (bounds->high.data != NULL && bytes_compare(last.data, last.size, bounds->high.data,
                                                   bounds->high.size) >= 0) {
        return err_set(why, BTS_DAMAGED, "its last key lies behind the separator that ends it");
    }
    return BTS_OK;
}

/* Reads page `pgno` into the memory of its level.  BTS_DAMAGED: `why`. */
static enum bts_status walk_get(struct walk *walk, pgno_t pgno, unsigned level, txnid_t born_max,
                                const struct walk_bounds *bounds, struct bts_error *why)
{
    const struct page_header *page = (const void *)walk_page(walk, level);
    enum bts_status status;

    if (pgno < walk->pages->page_count && space_map_is_fixed(pgno, walk->pages->page_size)) {
        return err_set(why, BTS_DAMAGED, "is a meta or space map page");
    }
    status = salvage_pages_get(walk->pages, pgno, walk_page(walk, level), why);
    if (status == BTS_OK) {
        status = walk_check_kind(walk, page, level, born_max, why);
    }
    if (status == BTS_OK && level > 0) {
        status = walk_check_inner(walk, page, bounds, why);
    }
    if (status == BTS_OK && !salvage_pages_reach(walk->pages, pgno, 1)) {
        status = err_set(why, BTS_DAMAGED, "reached twice");
    }
    return status;
}

/* ---- down ---------------------------------------------------------------------------- */

static enum bts_status walk_lose(struct walk *walk, pgno_t pgno, unsigned level,
                                 const struct walk_bounds *bounds, const char *why)
{
    walk->calls->damage(walk->context, pgno, (int)level, bounds->low, bounds->high, why);
    if (salvage_ranges_add(walk->ranges, bounds->low, bounds->high, pgno, why) == BTS_OK) {
        return BTS_OK;
    }
    return err_set(walk->error, BTS_NO_MEMORY, "no memory to remember what is lost");
}

/* Whether an entry lies where it may: above the one before, and within the bounds. */
static bool walk_takes(const struct leaf_entry *entry, const struct leaf_entry *last,
                       const struct walk_bounds *bounds)
{
    return (last->key == NULL ||
            bytes_compare(entry->key, entry->key_size, last->key, last->key_size) > 0) &&
           (bounds->low.data == NULL || bytes_compare(entry->key, entry->key_size,
                                                      bounds->low.data, bounds->low.size) >= 0) &&
           (bounds->high.data == NULL || bytes_compare(entry->key, entry->key_size,
                                                       bounds->high.data, bounds->high.size) < 0);
}

static enum bts_status walk_leaf(struct walk *walk, pgno_t pgno, const struct walk_bounds *bounds)
{
    const struct page_header *page = (const void *)walk_page(walk, 0);
    struct leaf_entry last = {.key = NULL};
    enum bts_status status = BTS_OK;
    unsigned odd = 0;

    for (unsigned i = 0; i < leaf_count(page) && status == BTS_OK; i++) {
        struct leaf_entry entry = leaf_entry_at(page, i);
        if (!walk_takes(&entry, &last, bounds)) {
            odd++;
            continue;
        }
        last = entry;
        status = walk->calls->entry(walk->context, page, &entry, walk->error);
    }
    if (odd > 0) {
        struct bts_error why;
        err_set(&why, BTS_DAMAGED, "%u entries are out of order, or of keys that lead elsewhere",
                odd);
        walk->calls->damage(walk->context, pgno, -1, bounds->low, bounds->high, why.text);
    }
    return status;
}

static enum bts_status walk_down(struct walk *walk, pgno_t pgno, unsigned level, txnid_t born_max,
                                 const struct walk_bounds *bounds)
{
    const struct page_header *page = (const void *)walk_page(walk, level);
    struct walk_bounds below = {bounds->low, bounds->high};
    struct bts_error why;
    enum bts_status status = walk_get(walk, pgno, level, born_max, bounds, &why);
    unsigned n;

    if (status != BTS_OK) {
        return walk_lose(walk, pgno, level, bounds, why.text);
    }
    if (level == 0) {
        return walk_leaf(walk, pgno, bounds);
    }
    n = inner_count(page);
    for (unsigned i = 0; i <= n && status == BTS_OK; i++) {
        below.high = i < n ? walk_separator(walk, page, level, i) : bounds->high;
        status = walk_down(walk, inner_children(page)[i], level - 1, page->txnid, &below);
        below.low = below.high;
    }
    return status;
}

enum bts_status salvage_walk(struct salvage_pages *pages, const struct salvage_tree *tree,
                             struct salvage_ranges *ranges,
                             const struct salvage_walk_calls *calls, void *context,
                             struct bts_error *error)
{
    struct walk walk = {pages, tree, ranges, calls, context, error, NULL};
    const struct tree_view view = {.root = tree->root, .depth = tree->depth};
    const struct walk_bounds open = {{NULL, 0}, {NULL, 0}};
    struct bts_error why;
    enum bts_status status;

    if (tree_depth_check(&view, NULL) != BTS_OK) {
        err_set(&why, BTS_DAMAGED, "root of a tree of %u levels", tree->depth);
        return walk_lose(&walk, tree->root, 0, &open, why.text);
    }
    if (tree->depth == 0) {
        return BTS_OK;
    }
    walk.memory = malloc(tree->depth * walk_level_size(&walk));
    if (walk.memory == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a tree of %u levels", tree->depth);
    }
    status = walk_down(&walk, tree->root, tree->depth - 1, tree->txnid, &open);
    free(walk.memory);
    return status;
}
