/* SPDX-License-Identifier: MIT */
/*
 * tree_write: see tree_write.h.  One key at a time here; ranges in range.c.
 */
#include "tree/tree_write.h"

#include "tree/edit.h"
#include "tree/merge.h"
#include "tree/split.h"

#include <assert.h>

struct tree_view tree_view_of(const struct tree *tree)
{
    return (struct tree_view){.source = pages_source(tree->pages),
                              .root = tree->record.root,
                              .depth = tree->record.depth,
                              .txnid = pages_txnid(tree->pages)};
}

/* ---- put ------------------------------------------------------------------ */

/* A value that does not fit in a cell moves to a run. */
static enum bts_status tree_store_value(struct tree *tree, struct edit_entry *entry,
                                        struct bts_error *error)
{
    size_t page_size = pages_page_size(tree->pages);
    enum bts_status status;

    if (leaf_value_fits(page_size, entry->key_size, entry->value_size)) {
        return BTS_OK;
    }
    status = pages_new_run(tree->pages, tree->record.id, entry->value, entry->value_size,
                           &entry->run, error);
    if (status == BTS_OK) {
        tree->record.run_pages += page_run_pages(entry->value_size, page_size);
    }
    return status;
}

static enum bts_status tree_put_first(struct tree *tree, const struct edit_entry *entry,
                                      struct bts_error *error)
{
    struct page_header *leaf;
    enum bts_status status = edit_new_page(tree, 0, &leaf, error);

    if (status != BTS_OK) {
        return status;
    }
    if (!edit_insert(leaf, pages_page_size(tree->pages), 0, entry)) {
        assert(!"an empty leaf has room for any entry");
    }
    tree->record.root = leaf->pgno;
    tree->record.depth = 1;
    return BTS_OK;
}

/* Whether there surely is no room, which an odd number of entries can shift by a byte. */
static bool tree_leaf_is_full(struct edit_path *path, const struct edit_entry *entry)
{
    return edit_entry_size(entry) > leaf_free_bytes(edit_leaf(path)->page, path->page_size) + 1;
}

/* Whether the path leads behind the last entry of the tree. */
static bool tree_path_is_last(const struct edit_path *path)
{
    for (unsigned at = 0; at < path->depth; at++) {
        if (path->step[at].index != path->step[at].page->n) {
            return false;
        }
    }
    return true;
}

static enum bts_status tree_put_new(struct edit_path *path, const struct edit_entry *entry,
                                    struct tree_place *place, struct bts_error *error)
{
    bool is_last = tree_path_is_last(path);
    struct page_header *leaf;
    enum bts_status status;

    if (tree_leaf_is_full(path, entry)) {
        return split_insert(path, entry, error); /* it need not be copied, maybe */
    }
    status = edit_own(path, path->depth - 1, &leaf, error);
    if (status != BTS_OK) {
        return status;
    }
    if (!edit_insert(leaf, path->page_size, edit_leaf(path)->index, entry)) {
        return split_insert(path, entry, error);
    }
    *place = (struct tree_place){path->tree, leaf->pgno, is_last};
    return BTS_OK;
}

static enum bts_status tree_put_over(struct edit_path *path, const struct edit_entry *entry,
                                     struct tree_place *place, struct bts_error *error)
{
    unsigned index = edit_leaf(path)->index;
    struct page_header *leaf;
    struct leaf_entry old;
    enum bts_status status = edit_own(path, path->depth - 1, &leaf, error);

    if (status != BTS_OK) {
        return status;
    }
    old = leaf_entry_at(leaf, index);
    status = edit_free_run(path->tree, &old, error);
    if (status != BTS_OK) {
        return status;
    }
    if (!edit_replace(leaf, path->page_size, index, entry)) {
        leaf_remove(leaf, path->page_size, index, 1);
        return split_insert(path, entry, error);
    }
    if (merge_is_sparse(leaf, path->page_size)) {
        return merge_sparse(path, path->depth - 1, error);
    }
    *place = (struct tree_place){path->tree, leaf->pgno, false};
    return BTS_OK;
}

/* Whether the mode lets a key be written that is there, or is not. */
static bool tree_mode_allows(enum tree_put_mode mode, bool found)
{
    return mode == TREE_PUT_ALWAYS || (mode == TREE_PUT_IF_PRESENT) == found;
}

static enum bts_status tree_put_searching(struct tree *tree, struct tree_place *place,
                                          enum tree_put_mode mode, struct edit_entry *entry,
                                          bool *replaced, bool *written, struct bts_error *error)
{
    struct edit_path path;
    enum bts_status status = BTS_OK;
    bool found = false;

    *place = (struct tree_place){.tree = NULL};
    if (tree->record.depth > 0) {
        status = edit_descend(&path, tree, entry->key, entry->key_size, &found, error);
    }
    if (status != BTS_OK || !tree_mode_allows(mode, found)) {
        return status;
    }
    status = tree_store_value(tree, entry, error);
    if (status != BTS_OK) {
        return status;
    }
    if (tree->record.depth == 0) {
        status = tree_put_first(tree, entry, error);
    } else {
        status = found ? tree_put_over(&path, entry, place, error)
                       : tree_put_new(&path, entry, place, error);
    }
    tree->record.entry_count += !found;
    *replaced = found;
    *written = status == BTS_OK;
    return status;
}

/* ---- put where the one before went -------------------------------------------- */

/*
 * Whether the leaf is surely where the key belongs; *index, *found: its place
 * in it, as leaf_lower_bound says.
 */
static bool tree_leaf_takes(const struct page_header *leaf, bool is_last,
                            const struct edit_entry *entry, unsigned *index, bool *found)
{
    unsigned count = leaf_count(leaf);

    *found = false;
    *index = count;
    if (count == 0) {
        return false;
    }
    if (leaf_order(leaf, count - 1, entry->key, entry->key_size) < 0) {
        return is_last;
    }
    if (leaf_order(leaf, 0, entry->key, entry->key_size) > 0) {
        return false;
    }
    *index = leaf_lower_bound(leaf, entry->key, entry->key_size, found);
    return true;
}

/* Puts over an entry; *done false: there is no room, or a run is to be freed. */
static enum bts_status tree_put_over_near(struct tree *tree, struct tree_place *place,
                                          struct page_header *leaf, unsigned index,
                                          const struct edit_entry *entry, bool *done,
                                          struct bts_error *error)
{
    size_t page_size = pages_page_size(tree->pages);
    struct edit_path path;
    bool found;
    enum bts_status status;

    *done = !leaf_entry_at(leaf, index).is_run && edit_replace(leaf, page_size, index, entry);
    if (!*done || !merge_is_sparse(leaf, page_size)) {
        return BTS_OK;
    }
    *place = (struct tree_place){.tree = NULL};
    status = edit_descend(&path, tree, entry->key, entry->key_size, &found, error);
    return status == BTS_OK ? merge_sparse(&path, path.depth - 1, error) : status;
}

/* Puts the entry into the leaf of the place if it belongs and fits there; *done: it did. */
static enum bts_status tree_put_here(struct tree *tree, struct tree_place *place,
                                     enum tree_put_mode mode, const struct edit_entry *entry,
                                     bool *done, bool *replaced, bool *written,
                                     struct bts_error *error)
{
    struct page_header *leaf;
    unsigned index;
    bool found;
    enum bts_status status = pages_edit(tree->pages, place->leaf, 0, &leaf, error);

    *done = false;
    if (status != BTS_OK || !tree_leaf_takes(leaf, place->is_last, entry, &index, &found)) {
        return status;
    }
    if (!tree_mode_allows(mode, found)) {
        *done = true;
        return BTS_OK;
    }
    if (found) {
        status = tree_put_over_near(tree, place, leaf, index, entry, done, error);
    } else {
        *done = edit_insert(leaf, pages_page_size(tree->pages), index, entry);
    }
    tree->record.entry_count += *done && !found;
    *replaced = *done && found;
    *written = *done;
    return status;
}

enum bts_status tree_put_near(struct tree *tree, struct tree_place *place, enum tree_put_mode mode,
                              const void *key, size_t key_size, const void *value,
                              size_t value_size, bool *replaced, bool *written,
                              struct bts_error *error)
{
    struct edit_entry entry = {
        .key = key, .key_size = key_size, .value = value, .value_size = value_size};

    assert(key_size >= 1 && key_size <= page_key_max(pages_page_size(tree->pages)));
    assert(value_size <= VALUE_SIZE_MAX);
    *replaced = false;
    *written = false;
    if (place->tree == tree &&
        leaf_value_fits(pages_page_size(tree->pages), key_size, value_size)) {
        bool done;
        enum bts_status status =
            tree_put_here(tree, place, mode, &entry, &done, replaced, written, error);

        if (status != BTS_OK || done) {
            return status;
        }
    }
    return tree_put_searching(tree, place, mode, &entry, replaced, written, error);
}

enum bts_status tree_put(struct tree *tree, enum tree_put_mode mode, const void *key,
                         size_t key_size, const void *value, size_t value_size, bool *replaced,
                         bool *written, struct bts_error *error)
{
    struct tree_place place = {.tree = NULL};

    return tree_put_near(tree, &place, mode, key, key_size, value, value_size, replaced, written,
                         error);
}

/* ---- delete --------------------------------------------------------------- */

enum bts_status tree_delete(struct tree *tree, const void *key, size_t key_size, bool *found,
                            struct bts_error *error)
{
    struct edit_path path;
    struct page_header *leaf;
    struct leaf_entry old;
    enum bts_status status;

    *found = false;
    if (tree->record.depth == 0) {
        return BTS_OK;
    }
    status = edit_descend(&path, tree, key, key_size, found, error);
    if (status != BTS_OK || !*found) {
        return status;
    }
    status = edit_own(&path, path.depth - 1, &leaf, error);
    if (status != BTS_OK) {
        return status;
    }
    old = leaf_entry_at(leaf, edit_leaf(&path)->index);
    status = edit_free_run(tree, &old, error);
    if (status != BTS_OK) {
        return status;
    }
    leaf_remove(leaf, path.page_size, edit_leaf(&path)->index, 1);
    tree->record.entry_count--;
    return merge_is_sparse(leaf, path.page_size) ? merge_sparse(&path, path.depth - 1, error)
                                                 : BTS_OK;
}
