/* SPDX-License-Identifier: MIT */
/*
 * edit: see edit.h.
 */
#include "tree/edit.h"

#include "base/err.h"
#include "format/inner.h"

#include <string.h>

/* ---- descending ----------------------------------------------------------- */

/* Puts page `pgno` at step `at`.  An inner page with one child is never left in a file. */
static enum bts_status edit_visit(struct edit_path *path, unsigned at, pgno_t pgno,
                                  txnid_t born_max, struct bts_error *error)
{
    unsigned level = edit_level(path, at);
    const struct page_header *page = page_source_get(path->source, pgno, level, born_max, error);

    if (page == NULL) {
        return BTS_DAMAGED;
    }
    if (level > 0 && inner_count(page) == 0) {
        return err_set(error, BTS_DAMAGED, "page %u: has one child only; run btstore check", pgno);
    }
    path->step[at].page = page;
    path->step[at].index = 0;
    return BTS_OK;
}

/* Goes on from step `at` to the child that its index names. */
static enum bts_status edit_visit_child(struct edit_path *path, unsigned at,
                                        struct bts_error *error)
{
    const struct edit_step *step = &path->step[at];

    return edit_visit(path, at + 1, inner_children(step->page)[step->index], step->page->txnid,
                      error);
}

static enum bts_status edit_visit_root(struct edit_path *path, struct tree *tree,
                                       struct bts_error *error)
{
    struct tree_view view = tree_view_of(tree);
    enum bts_status status = tree_depth_check(&view, error);

    if (status != BTS_OK) {
        return status;
    }
    path->tree = tree;
    path->source = view.source;
    path->page_size = page_source_page_size(view.source);
    path->depth = view.depth;
    return edit_visit(path, 0, view.root, view.txnid, error);
}

enum bts_status edit_descend(struct edit_path *path, struct tree *tree, const void *key,
                             size_t key_size, bool *found, struct bts_error *error)
{
    enum bts_status status = edit_visit_root(path, tree, error);

    *found = false;
    for (unsigned at = 0; status == BTS_OK && at + 1 < path->depth; at++) {
        path->step[at].index = inner_search(path->step[at].page, key, key_size);
        status = edit_visit_child(path, at, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    edit_leaf(path)->index = leaf_lower_bound(edit_leaf(path)->page, key, key_size, found);
    return BTS_OK;
}

/* From the root to the first entry. */
static enum bts_status edit_descend_first(struct edit_path *path, struct tree *tree,
                                          struct bts_error *error)
{
    enum bts_status status = edit_visit_root(path, tree, error);

    for (unsigned at = 0; status == BTS_OK && at + 1 < path->depth; at++) {
        status = edit_visit_child(path, at, error);
    }
    return status;
}

/* To the first entry of the next leaf; *found: there is a next leaf. */
static enum bts_status edit_next_leaf(struct edit_path *path, bool *found, struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    unsigned at = path->depth - 1;

    do {
        *found = at > 0;
        if (!*found) {
            return BTS_OK;
        }
        at--;
    } while (path->step[at].index == inner_count(path->step[at].page));
    path->step[at].index++;
    for (; status == BTS_OK && at + 1 < path->depth; at++) {
        status = edit_visit_child(path, at, error);
    }
    return status;
}

enum bts_status edit_seek(struct edit_path *path, struct tree *tree, const void *key,
                          size_t key_size, bool *found, struct bts_error *error)
{
    bool equal;
    enum bts_status status = key == NULL
                                 ? edit_descend_first(path, tree, error)
                                 : edit_descend(path, tree, key, key_size, &equal, error);

    *found = status == BTS_OK;
    while (*found && edit_leaf(path)->index == leaf_count(edit_leaf(path)->page)) {
        status = edit_next_leaf(path, found, error);
        *found = *found && status == BTS_OK;
    }
    return status;
}

/* ---- owning --------------------------------------------------------------- */

enum bts_status edit_own(struct edit_path *path, unsigned at, struct page_header **page,
                         struct bts_error *error)
{
    struct page_header *own;
    pgno_t child = PGNO_NONE;

    *page = NULL;
    for (unsigned i = at;; i--) {
        pgno_t before = path->step[i].page->pgno;
        enum bts_status status =
            pages_edit(path->tree->pages, before, edit_level(path, i), &own, error);
        if (status != BTS_OK) {
            return status;
        }
        path->step[i].page = own;
        if (i == at) {
            *page = own;
        } else {
            inner_set_child(own, path->step[i].index, child);
        }
        if (own->pgno == before) {
            return BTS_OK; /* what is above leads here already */
        }
        if (i == 0) {
            path->tree->record.root = own->pgno;
            return BTS_OK;
        }
        child = own->pgno;
    }
}

enum bts_status edit_peek(const struct edit_path *path, unsigned at, unsigned index,
                          const struct page_header **child, struct bts_error *error)
{
    const struct page_header *page = path->step[at].page;

    *child = page_source_get(path->source, inner_children(page)[index], edit_level(path, at + 1),
                             page->txnid, error);
    if (*child == NULL) {
        return BTS_DAMAGED;
    }
    if ((*child)->pgno == path->step[at + 1].page->pgno) { /* it would be merged with itself */
        return err_set(error, BTS_DAMAGED, "page %u: two neighbours in page %u are this page; "
                       "run btstore check", (*child)->pgno, page->pgno);
    }
    return BTS_OK;
}

enum bts_status edit_own_child(struct edit_path *path, unsigned at, unsigned index,
                               struct page_header **child, struct bts_error *error)
{
    struct page_header *page;
    enum bts_status status = edit_own(path, at, &page, error);

    *child = NULL;
    if (status != BTS_OK) {
        return status;
    }
    status = pages_edit(path->tree->pages, inner_children(page)[index], edit_level(path, at + 1),
                        child, error);
    if (status == BTS_OK) {
        inner_set_child(page, index, (*child)->pgno);
    }
    return status;
}

/* ---- pages and runs, counted ---------------------------------------------- */

enum bts_status edit_new_page(struct tree *tree, unsigned level, struct page_header **page,
                              struct bts_error *error)
{
    enum bts_status status = pages_new(tree->pages, level > 0 ? PAGE_INNER : PAGE_LEAF, level,
                                       tree->record.id, page, error);

    if (status == BTS_OK) {
        tree->record.leaf_pages += level == 0;
        tree->record.inner_pages += level > 0;
    }
    return status;
}

enum bts_status edit_free_page(struct tree *tree, const struct page_header *page,
                               struct bts_error *error)
{
    bool leaf = page->type == PAGE_LEAF;
    enum bts_status status = pages_free(tree->pages, page->pgno, page->txnid, error);

    if (status == BTS_OK) {
        tree->record.leaf_pages -= leaf;
        tree->record.inner_pages -= !leaf;
    }
    return status;
}

enum bts_status edit_free_run(struct tree *tree, const struct leaf_entry *entry,
                              struct bts_error *error)
{
    enum bts_status status;

    if (!entry->is_run) {
        return BTS_OK;
    }
    status = pages_free_run(tree->pages, entry->run_pgno, entry->value_size, error);
    if (status == BTS_OK) {
        tree->record.run_pages -=
            page_run_pages(entry->value_size, pages_page_size(tree->pages));
    }
    return status;
}

enum bts_status edit_check_empty(const struct tree *tree, struct bts_error *error)
{
    const struct bucket_record *record = &tree->record;

    if (record->id != BUCKET_ID_DIRECTORY &&
        (record->entry_count != 0 || record->leaf_pages != 0 || record->inner_pages != 0 ||
         record->run_pages != 0)) {
        return err_set(error, BTS_DAMAGED, "bucket %u: its record counts entries or pages that "
                       "it does not have; run btstore check", record->id);
    }
    return BTS_OK;
}

void edit_reset_page(struct page_header *page, size_t page_size)
{
    page_init(page, page_size, (enum page_type)page->type, page->level, page->pgno, page->bucket,
              page->txnid);
}

/* ---- entries -------------------------------------------------------------- */

size_t edit_entry_size(const struct edit_entry *entry)
{
    size_t stored = entry->run != PGNO_NONE ? LEAF_RUN_POINTER_SIZE : (size_t)entry->value_size;

    return leaf_entry_size(entry->key_size, stored);
}

bool edit_insert(void *leaf, size_t page_size, unsigned index, const struct edit_entry *entry)
{
    if (entry->run != PGNO_NONE) {
        return leaf_insert_run(leaf, page_size, index, entry->key, entry->key_size, entry->run,
                               entry->value_size);
    }
    return leaf_insert(leaf, page_size, index, entry->key, entry->key_size, entry->value,
                       (size_t)entry->value_size);
}

bool edit_replace(void *leaf, size_t page_size, unsigned index, const struct edit_entry *entry)
{
    if (entry->run != PGNO_NONE) {
        return leaf_replace_run(leaf, page_size, index, entry->run, entry->value_size);
    }
    return leaf_replace(leaf, page_size, index, entry->value, (size_t)entry->value_size);
}
