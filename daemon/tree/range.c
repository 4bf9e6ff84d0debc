/* SPDX-License-Identifier: MIT */
/*
 * range: delete many entries at once; the rest of tree_write.h.
 *
 * A range is deleted in steps.  Each seeks its first entry that is left and
 * looks along the path, from the root down, for children that lie wholly in
 * the range: those are freed with all that is below them, at the highest level
 * where there are any; if there are none, the entries of that one leaf are
 * removed.  Then the page that lost something is mended, as after any delete,
 * so each step leaves a good tree behind.  There are a few steps per level.
 */
#include "tree/tree_write.h"

#include "format/inner.h"
#include "tree/edit.h"
#include "tree/merge.h"

#include <assert.h>

/* ---- whole subtrees -------------------------------------------------------- */

/* Frees the runs of a leaf, and uncounts its entries. */
static enum bts_status range_free_entries(struct tree *tree, const void *leaf, unsigned first,
                                          unsigned count, struct bts_error *error)
{
    for (unsigned i = first; i < first + count; i++) {
        struct leaf_entry entry = leaf_entry_at(leaf, i);
        enum bts_status status = edit_free_run(tree, &entry, error);
        if (status != BTS_OK) {
            return status;
        }
    }
    tree->record.entry_count -= count;
    return BTS_OK;
}

/* Frees a page and what it leads to; calls itself once per level, TREE_DEPTH_MAX deep at most. */
static enum bts_status range_free_subtree(struct tree *tree, pgno_t pgno, unsigned level,
                                          txnid_t born_max, struct bts_error *error)
{
    const struct page_header *page =
        page_source_get(pages_source(tree->pages), pgno, level, born_max, error);
    enum bts_status status = BTS_OK;

    if (page == NULL) {
        return BTS_DAMAGED;
    }
    if (level == 0) {
        status = range_free_entries(tree, page, 0, leaf_count(page), error);
    }
    for (unsigned i = 0; level > 0 && i <= inner_count(page) && status == BTS_OK; i++) {
        status = range_free_subtree(tree, inner_children(page)[i], level - 1, page->txnid, error);
    }
    return status == BTS_OK ? edit_free_page(tree, page, error) : status;
}

enum bts_status tree_clear(struct tree *tree, struct bts_error *error)
{
    struct tree_view view = tree_view_of(tree);
    enum bts_status status = tree_depth_check(&view, error);

    if (status == BTS_OK && view.depth > 0) {
        status = range_free_subtree(tree, view.root, view.depth - 1, view.txnid, error);
    }
    if (status == BTS_OK) {
        tree->record.root = PGNO_NONE;
        tree->record.depth = 0;
    }
    return status;
}

/* ---- a part of the tree ---------------------------------------------------- */

/* Children [first, end) of the page of step `at` lie wholly in the range. */
struct range_part {
    unsigned at;
    unsigned first;
    unsigned end;
};

/* Whether the path leads to the very first entry below the child it follows at step `at`. */
static bool range_begins_child(const struct edit_path *path, unsigned at)
{
    while (++at < path->depth) {
        if (path->step[at].index > 0) {
            return false;
        }
    }
    return true;
}

/*
 * Looks for the highest page with children that lie wholly between the path's
 * entry and `to`; part->at == path->depth - 1: there is none.  Also tells whether the
 * whole tree does.
 */
static void range_find_part(const struct edit_path *path, struct bts_bytes to,
                            struct range_part *part, bool *whole)
{
    bool inside = to.data == NULL; /* all of the page's keys are below `to` */

    *whole = inside && path->step[0].index == 0 && range_begins_child(path, 0);
    for (part->at = 0; part->at + 1 < path->depth; part->at++) {
        const struct edit_step *step = &path->step[part->at];
        part->first = step->index + !range_begins_child(path, part->at);
        part->end = inside ? inner_count(step->page) + 1
                           : inner_search(step->page, to.data, to.size);
        if (part->first < part->end) {
            return;
        }
        inside = step->index < part->end;
    }
}

static enum bts_status range_free_children(struct edit_path *path, const struct range_part *part,
                                           struct bts_error *error)
{
    unsigned level = edit_level(path, part->at) - 1;
    struct page_header *page;
    enum bts_status status = edit_own(path, part->at, &page, error);

    for (unsigned i = part->first; i < part->end && status == BTS_OK; i++) {
        status = range_free_subtree(path->tree, inner_children(page)[i], level, page->txnid, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    for (unsigned i = part->end; i > part->first; i--) {
        inner_remove_child(page, path->page_size, i - 1);
    }
    return merge_sparse(path, part->at, error);
}

static enum bts_status range_remove_entries(struct edit_path *path, struct bts_bytes to,
                                            struct bts_error *error)
{
    unsigned at = path->depth - 1;
    unsigned first = edit_leaf(path)->index;
    struct page_header *leaf;
    unsigned end;
    bool equal;
    enum bts_status status = edit_own(path, at, &leaf, error);

    if (status != BTS_OK) {
        return status;
    }
    end = to.data == NULL ? leaf_count(leaf) : leaf_lower_bound(leaf, to.data, to.size, &equal);
    /* in whatever order the keys are: the first one is below `to`, and it was found by the same
     * search, with a key below `to` */
    assert(end > first);
    status = range_free_entries(path->tree, leaf, first, end - first, error);
    if (status != BTS_OK) {
        return status;
    }
    leaf_remove(leaf, path->page_size, first, end - first);
    return merge_sparse(path, at, error);
}

/* One step; *done: nothing of the range is left. */
static enum bts_status range_step(struct tree *tree, struct bts_bytes from, struct bts_bytes to,
                                  bool *done, struct bts_error *error)
{
    struct edit_path path;
    struct range_part part;
    bool found;
    bool whole;
    enum bts_status status = edit_seek(&path, tree, from.data, from.size, &found, error);

    *done = true;
    if (status != BTS_OK || !found) {
        return status;
    }
    if (to.data != NULL && leaf_order(edit_leaf(&path)->page, edit_leaf(&path)->index, to.data,
                                      to.size) >= 0) {
        return BTS_OK;
    }
    *done = false;
    range_find_part(&path, to, &part, &whole);
    if (whole) {
        status = tree_clear(tree, error);
        return status == BTS_OK ? edit_check_empty(tree, error) : status;
    }
    return part.at + 1 < path.depth ? range_free_children(&path, &part, error)
                                    : range_remove_entries(&path, to, error);
}

enum bts_status tree_delete_range(struct tree *tree, struct bts_bytes from, struct bts_bytes to,
                                  uint64_t *deleted, struct bts_error *error)
{
    uint64_t before = tree->record.entry_count;
    enum bts_status status = BTS_OK;
    bool done = false;

    *deleted = 0;
    while (status == BTS_OK && !done && tree->record.depth > 0) {
        status = range_step(tree, from, to, &done, error);
    }
    *deleted = before - tree->record.entry_count;
    return status;
}
