/* SPDX-License-Identifier: MIT */
/*
 * tree: the descent from a root to the leaf of a key.
 */
#include "read/tree.h"

#include "base/err.h"
#include "format/inner.h"

enum bts_status tree_depth_check(const struct tree_view *view, struct bts_error *error)
{
    if (view->depth <= TREE_DEPTH_MAX && (view->depth == 0) == (view->root == PGNO_NONE))
        return BTS_OK;
    return err_set(error, BTS_DAMAGED, "page %u: root of a tree of %u levels; run btstore check",
                   view->root, view->depth);
}

/* The leaf that holds the key if any does; NULL: damage. */
static const struct page_header *tree_find_leaf(const struct tree_view *view, const void *key,
                                                size_t key_size, struct bts_error *error)
{
    const struct page_source *source = view->source;
    txnid_t born_max = view->txnid;
    pgno_t pgno = view->root;
    unsigned level = view->depth - 1;
    const struct page_header *page = page_source_get(source, pgno, level, born_max, error);

    while (page != NULL && level > 0) {
        pgno = inner_children(page)[page_source_search(source, pgno, page, key, key_size)];
        page_source_prefetch(source, pgno);
        born_max = page->txnid;
        page = page_source_get(source, pgno, --level, born_max, error);
    }
    return page;
}

enum bts_status tree_value(const struct tree_view *view, txnid_t born_max,
                           const struct leaf_entry *entry, struct bts_bytes *value,
                           struct bts_error *error)
{
    const uint8_t *data = entry->value;

    if (entry->is_run)
        data = page_source_run(view->source, entry->run_pgno, entry->value_size, born_max, error);
    value->data = data;
    value->size = data != NULL ? entry->value_size : 0;
    return data != NULL ? BTS_OK : BTS_DAMAGED;
}

enum bts_status tree_get_slowly(const struct tree_view *view, const void *key, size_t key_size,
                                struct bts_bytes *value, struct bts_error *error)
{
    const struct page_header *leaf;
    struct leaf_entry entry;
    int index;

    value->data = NULL;
    value->size = 0;
    if (tree_depth_check(view, error) != BTS_OK)
        return BTS_DAMAGED;
    if (view->depth == 0 || key_size == 0)
        return BTS_NOT_FOUND;
    leaf = tree_find_leaf(view, key, key_size, error);
    if (leaf == NULL)
        return BTS_DAMAGED;
    index = leaf_find(leaf, key, key_size);
    if (index < 0)
        return BTS_NOT_FOUND;
    entry = leaf_entry_at(leaf, (unsigned)index);
    return tree_value(view, leaf->txnid, &entry, value, error);
}

enum bts_status tree_get(const struct tree_view *view, const void *key, size_t key_size,
                         struct bts_bytes *value, struct bts_error *error)
{
    return tree_get_inline(view, key, key_size, value, error);
}
