/* SPDX-License-Identifier: MIT */
/*
 * merge: see merge.h.
 */
#include "tree/merge.h"

#include "format/inner.h"
#include "tree/split.h"
#include "tree/spread.h"

#include <assert.h>
#include <string.h>

/* A page is sparse below this part of its room. */
#define MERGE_SPARSE_PART 4u

bool merge_is_sparse(const void *page, size_t page_size)
{
    size_t room = page_size - PAGE_HEADER_SIZE;

    if (((const struct page_header *)page)->type == PAGE_LEAF) {
        return room - leaf_free_bytes(page, page_size) < room / MERGE_SPARSE_PART;
    }
    return inner_used_bytes(page, page_size) - PAGE_HEADER_SIZE < room / MERGE_SPARSE_PART;
}

/* The pages at work: a sparse page and its sibling, side by side under one page. */
struct merge {
    struct edit_path *path;
    unsigned at;                       /* the step of the sparse page */
    struct page_header *page;          /* owned */
    struct page_header *above;         /* owned */
    unsigned index;                    /* of the page, in the one above */
    const struct page_header *sibling;
    bool sibling_left;
    bool merged;                       /* out: the page above has lost a child */
};

static size_t merge_used_bytes(const struct page_header *page, size_t page_size)
{
    return page->type == PAGE_LEAF ? page_size - leaf_free_bytes(page, page_size)
                                   : inner_used_bytes(page, page_size);
}

/* Finds the sibling with less in it. */
static enum bts_status merge_choose_sibling(struct merge *merge, struct bts_error *error)
{
    const struct edit_path *path = merge->path;
    const struct page_header *left = NULL;
    const struct page_header *right = NULL;
    enum bts_status status = BTS_OK;

    if (merge->index > 0) {
        status = edit_peek(path, merge->at - 1, merge->index - 1, &left, error);
    }
    if (status == BTS_OK && merge->index < inner_count(merge->above)) {
        status = edit_peek(path, merge->at - 1, merge->index + 1, &right, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    assert(left != NULL || right != NULL);
    merge->sibling_left = right == NULL || (left != NULL &&
                                            merge_used_bytes(left, path->page_size) <=
                                                merge_used_bytes(right, path->page_size));
    merge->sibling = merge->sibling_left ? left : right;
    return BTS_OK;
}

/* The index of the left one of the two pages; also that of the separator between them. */
static unsigned merge_left_index(const struct merge *merge)
{
    return merge->index - merge->sibling_left;
}

/* Everything of the sibling is in the page now: only the page stays. */
static enum bts_status merge_drop_sibling(struct merge *merge, struct bts_error *error)
{
    unsigned left = merge_left_index(merge);

    inner_remove_child(merge->above, merge->path->page_size, left + 1);
    inner_set_child(merge->above, left, merge->page->pgno);
    merge->merged = true;
    return edit_free_page(merge->path->tree, merge->sibling, error);
}

/* ---- leaves --------------------------------------------------------------- */

/* Writes the entries of both leaves to one; false: there are too many. */
static bool merge_into_one_leaf(struct merge *merge, struct spread *spread)
{
    size_t page_size = merge->path->page_size;

    spread_begin(spread, page_size, NULL);
    spread_add(spread, merge->sibling_left ? merge->sibling : merge->page, -1);
    spread_add(spread, merge->sibling_left ? merge->page : merge->sibling, -1);
    if (!spread_plan(spread, 1)) {
        return false;
    }
    spread_fill(spread, 0, merge->page);
    return true;
}

/* Shares the entries of both leaves out evenly. */
static enum bts_status merge_level_leaves(struct merge *merge, struct spread *spread,
                                          struct bts_error *error)
{
    unsigned left = merge_left_index(merge);
    struct page_header *sibling;
    struct bts_bytes separator;
    bool in_place;
    enum bts_status status = edit_own_child(merge->path, merge->at - 1,
                                            merge->sibling_left ? left : left + 1, &sibling, error);

    if (status != BTS_OK || !spread_plan(spread, 2)) {
        return status;
    }
    separator = spread_separator(spread, 0);
    spread_fill(spread, merge->sibling_left ? 0 : 1, sibling);
    spread_fill(spread, merge->sibling_left ? 1 : 0, merge->page);
    return split_set_separator(merge->path, merge->at, left, separator.data, separator.size,
                               &in_place, error);
}

static enum bts_status merge_leaf(struct merge *merge, struct bts_error *error)
{
    struct spread spread;
    enum bts_status status;

    if (leaf_count(merge->page) == 0) {
        inner_remove_child(merge->above, merge->path->page_size, merge->index);
        merge->merged = true;
        return edit_free_page(merge->path->tree, merge->page, error);
    }
    status = merge_choose_sibling(merge, error);
    if (status != BTS_OK) {
        return status;
    }
    if (merge_into_one_leaf(merge, &spread)) {
        return merge_drop_sibling(merge, error);
    }
    return merge_level_leaves(merge, &spread, error);
}

/* ---- inner pages ---------------------------------------------------------- */

/* A separator on its way from one page to another. */
struct merge_carry {
    uint8_t data[PAGE_SIZE_MAX / 4];
    size_t size;
};

/* Moves the first child of `right` behind all of `left`, below the separator carried. */
static bool merge_move_first(struct page_header *left, const struct page_header *right,
                             unsigned index, size_t page_size, struct merge_carry *carry)
{
    if (!inner_insert(left, page_size, inner_count(left), carry->data, carry->size,
                      inner_children(right)[index])) {
        return false;
    }
    if (index < inner_count(right)) {
        carry->size = inner_separator(right, index, carry->data);
    }
    return true;
}

/* Builds in `joined`, a copy of the left page, both of them; false: they do not fit. */
static bool merge_join_inner(const struct merge *merge, struct page_header *joined,
                             struct merge_carry *carry)
{
    const struct page_header *left = merge->sibling_left ? merge->sibling : merge->page;
    const struct page_header *right = merge->sibling_left ? merge->page : merge->sibling;

    memcpy(joined, left, merge->path->page_size);
    for (unsigned i = 0; i <= inner_count(right); i++) {
        if (!merge_move_first(joined, right, i, merge->path->page_size, carry)) {
            return false;
        }
    }
    return true;
}

/* Moves children from the front of the right sibling behind those of the page, until level. */
static void merge_take_from_right(struct page_header *page, struct page_header *sibling,
                                  size_t page_size, struct merge_carry *carry)
{
    while (inner_count(sibling) > 1 &&
           inner_used_bytes(page, page_size) < inner_used_bytes(sibling, page_size) &&
           merge_move_first(page, sibling, 0, page_size, carry)) {
        inner_remove_child(sibling, page_size, 0);
    }
}

/* Moves children from the end of the left sibling before those of the page, until level. */
static void merge_take_from_left(struct page_header *page, struct page_header *sibling,
                                 size_t page_size, struct merge_carry *carry)
{
    while (inner_count(sibling) > 1 &&
           inner_used_bytes(page, page_size) < inner_used_bytes(sibling, page_size)) {
        unsigned last = inner_count(sibling);
        if (!inner_insert(page, page_size, 0, carry->data, carry->size, inner_children(page)[0])) {
            return;
        }
        inner_set_child(page, 0, inner_children(sibling)[last]);
        carry->size = inner_separator(sibling, last - 1, carry->data);
        inner_remove_child(sibling, page_size, last);
    }
}

static enum bts_status merge_level_inner(struct merge *merge, struct merge_carry *carry,
                                         struct bts_error *error)
{
    size_t page_size = merge->path->page_size;
    unsigned left = merge_left_index(merge);
    struct page_header *sibling;
    bool in_place;
    enum bts_status status = edit_own_child(merge->path, merge->at - 1,
                                            merge->sibling_left ? left : left + 1, &sibling, error);

    if (status != BTS_OK) {
        return status;
    }
    carry->size = inner_separator(merge->above, left, carry->data);
    if (merge->sibling_left) {
        merge_take_from_left(merge->page, sibling, page_size, carry);
    } else {
        merge_take_from_right(merge->page, sibling, page_size, carry);
    }
    return split_set_separator(merge->path, merge->at, left, carry->data, carry->size, &in_place,
                               error);
}

static enum bts_status merge_inner(struct merge *merge, struct bts_error *error)
{
    _Alignas(8) uint8_t joined[PAGE_SIZE_MAX];
    struct page_header *header = (struct page_header *)joined;
    struct page_header own = *merge->page;
    struct merge_carry carry;
    enum bts_status status = merge_choose_sibling(merge, error);

    if (status != BTS_OK) {
        return status;
    }
    carry.size = inner_separator(merge->above, merge_left_index(merge), carry.data);
    if (!merge_join_inner(merge, header, &carry)) {
        return merge_level_inner(merge, &carry, error);
    }
    header->pgno = own.pgno;
    header->bucket = own.bucket;
    header->txnid = own.txnid;
    memcpy(merge->page, joined, merge->path->page_size);
    return merge_drop_sibling(merge, error);
}

/* ---- upwards -------------------------------------------------------------- */

/* Drops roots that lead to one child or to nothing. */
static enum bts_status merge_lower_root(struct tree *tree, struct bts_error *error)
{
    enum bts_status status = BTS_OK;

    while (status == BTS_OK && tree->record.depth > 0) {
        const struct page_header *root =
            page_source_get(pages_source(tree->pages), tree->record.root, tree->record.depth - 1,
                            pages_txnid(tree->pages), error);
        if (root == NULL) {
            return BTS_DAMAGED;
        }
        if (root->n > 0) {
            return BTS_OK;
        }
        tree->record.root = tree->record.depth > 1 ? inner_children(root)[0] : PGNO_NONE;
        tree->record.depth--;
        status = edit_free_page(tree, root, error);
    }
    return status == BTS_OK ? edit_check_empty(tree, error) : status;
}

/* Mends one sparse page that is not the root; *merged: the page above lost a child. */
static enum bts_status merge_one(struct edit_path *path, unsigned at, bool *merged,
                                 struct bts_error *error)
{
    struct merge merge = {.path = path, .at = at, .index = path->step[at - 1].index};
    enum bts_status status = edit_own(path, at, &merge.page, error);

    *merged = false;
    if (status == BTS_OK) {
        status = edit_own(path, at - 1, &merge.above, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    status = merge.page->type == PAGE_LEAF ? merge_leaf(&merge, error)
                                           : merge_inner(&merge, error);
    *merged = merge.merged;
    return status;
}

enum bts_status merge_sparse(struct edit_path *path, unsigned at, struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    bool merged = true;

    while (status == BTS_OK && merged && at > 0 &&
           merge_is_sparse(path->step[at].page, path->page_size)) {
        status = merge_one(path, at, &merged, error);
        at--;
    }
    return status == BTS_OK ? merge_lower_root(path->tree, error) : status;
}
