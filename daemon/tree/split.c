/* SPDX-License-Identifier: MIT */
/*
 * split: see split.h.
 */
#include "tree/split.h"

#include "base/err.h"
#include "format/inner.h"
#include "tree/spread.h"

#include <assert.h>
#include <string.h>

/* Room for any separator. */
#define SPLIT_SEPARATOR_MAX (PAGE_SIZE_MAX / 4)

/* A page that is full has more separators than this; one alone takes less than a quarter. */
#define SPLIT_INNER_MIN 3u

/* A sibling takes part in sharing when this part of a page is left free in it. */
#define SPLIT_SHARE_PART 16u

/* ---- inner pages ---------------------------------------------------------- */

/* A new root over the old one and its right neighbour. */
static enum bts_status split_grow_root(struct tree *tree, const struct inner_key *separator,
                                       pgno_t right, struct bts_error *error)
{
    pgno_t children[2] = {tree->record.root, right};
    struct page_header *root;
    enum bts_status status;
    bool fits;

    if (tree->record.depth == TREE_DEPTH_MAX) {
        return err_set(error, BTS_LIMIT, "bucket %u: its tree would have more than %u levels",
                       tree->record.id, TREE_DEPTH_MAX);
    }
    status = edit_new_page(tree, tree->record.depth, &root, error);
    if (status != BTS_OK) {
        return status;
    }
    fits = inner_build(root, pages_page_size(tree->pages), separator, children, 1);
    assert(fits);
    (void)fits;
    tree->record.root = root->pgno;
    tree->record.depth++;
    return BTS_OK;
}

/* The separator of an inner page that has about as many bytes before it as behind it. */
static unsigned split_middle(const void *page)
{
    uint8_t buffer[SPLIT_SEPARATOR_MAX];
    unsigned n = inner_count(page);
    size_t total = 0;
    size_t before = 0;
    unsigned middle = 0;

    for (unsigned i = 0; i < n; i++) {
        total += inner_separator(page, i, buffer);
    }
    while (middle + 1 < n && before < total / 2) {
        before += inner_separator(page, middle, buffer);
        middle++;
    }
    return middle;
}

/* A child to be added, and the two pages that an inner page becomes. */
struct split_inner {
    size_t page_size;
    struct page_header *left;
    struct page_header *right;
    unsigned index; /* of the new separator among the old ones */
    const struct inner_key *separator;
    pgno_t child; /* right of it */
};

/* Cuts at the old separator `cut`, which goes up, and adds the child; false: that does not fit. */
static bool split_inner_at(const struct split_inner *split, const void *old, unsigned cut)
{
    bool goes_left = split->index <= cut;
    unsigned index = goes_left ? split->index : split->index - cut - 1;

    edit_reset_page(split->left, split->page_size);
    edit_reset_page(split->right, split->page_size);
    inner_copy(split->left, split->page_size, old, 0, cut);
    inner_copy(split->right, split->page_size, old, cut + 1, inner_count(old) - cut - 1);
    return inner_insert(goes_left ? split->left : split->right, split->page_size, index,
                        split->separator->data, split->separator->size, split->child);
}

/*
 * Where to cut.  A child at the end gets a page of its own, with one old child:
 * that serves sorted input, and it is the one cut that always fits when the
 * new separator does not share the others' prefix, for then it is at an end.
 * Else from the middle outwards.
 */
static bool split_inner_cut(const struct split_inner *split, const void *old, unsigned *cut)
{
    unsigned n = inner_count(old);
    unsigned middle = split_middle(old);

    if (split->index == 0 || split->index == n) {
        *cut = split->index == 0 ? 0 : n - 1;
        return split_inner_at(split, old, *cut);
    }
    for (unsigned away = 0; away < n; away++) {
        for (unsigned side = 0; side < 2; side++) {
            *cut = side == 0 ? middle + away : middle - away; /* may wrap */
            if (*cut >= 1 && *cut <= n - 2 && split_inner_at(split, old, *cut)) {
                return true;
            }
        }
    }
    return false;
}

/*
 * Splits a full inner page in two and adds the child; the separator that goes
 * up is written to `up`, which separator->data may be.
 */
static enum bts_status split_inner_page(struct tree *tree, struct page_header *page,
                                        unsigned index, const struct inner_key *separator,
                                        pgno_t child, pgno_t *right, uint8_t *up, size_t *up_size,
                                        struct bts_error *error)
{
    struct split_inner split = {.page_size = pages_page_size(tree->pages),
                                .left = page,
                                .index = index,
                                .separator = separator,
                                .child = child};
    _Alignas(8) uint8_t old[PAGE_SIZE_MAX];
    unsigned cut;
    enum bts_status status = edit_new_page(tree, page->level, &split.right, error);

    if (status != BTS_OK) {
        return status;
    }
    memcpy(old, page, split.page_size);
    if (inner_count(old) < SPLIT_INNER_MIN || !split_inner_cut(&split, old, &cut)) {
        /* the page by now has another number than in the file */
        return err_set(error, BTS_DAMAGED, "bucket %u: the separators of an inner page are in no "
                       "order; run btstore check", tree->record.id);
    }
    *up_size = inner_separator(old, cut, up);
    *right = split.right->pgno;
    return BTS_OK;
}

enum bts_status split_add_neighbour(struct edit_path *path, unsigned at, unsigned index,
                                    const void *separator, size_t separator_size, pgno_t right,
                                    struct bts_error *error)
{
    struct inner_key key = {separator, separator_size};
    uint8_t up[SPLIT_SEPARATOR_MAX];

    for (; at > 0; at--) {
        struct page_header *page;
        enum bts_status status = edit_own(path, at - 1, &page, error);
        if (status != BTS_OK) {
            return status;
        }
        if (inner_insert(page, path->page_size, index, key.data, key.size, right)) {
            return BTS_OK;
        }
        status = split_inner_page(path->tree, page, index, &key, right, &right, up, &key.size,
                                  error);
        if (status != BTS_OK) {
            return status;
        }
        key.data = up;
        index = at > 1 ? path->step[at - 2].index : 0;
    }
    return split_grow_root(path->tree, &key, right, error);
}

enum bts_status split_set_separator(struct edit_path *path, unsigned at, unsigned index,
                                    const void *separator, size_t separator_size, bool *in_place,
                                    struct bts_error *error)
{
    struct page_header *above;
    enum bts_status status = edit_own(path, at - 1, &above, error);
    pgno_t right;

    *in_place = false;
    if (status != BTS_OK) {
        return status;
    }
    if (inner_replace_separator(above, path->page_size, index, separator, separator_size)) {
        *in_place = true;
        return BTS_OK;
    }
    right = inner_children(above)[index + 1];
    inner_remove_child(above, path->page_size, index + 1);
    return split_add_neighbour(path, at, index, separator, separator_size, right, error);
}

/* ---- leaves --------------------------------------------------------------- */

/* Whether the entry comes before, or behind, everything in the tree. */
static bool split_at_edge(const struct edit_path *path)
{
    bool first = true;
    bool last = true;

    for (unsigned at = 0; at < path->depth; at++) {
        const struct edit_step *step = &path->step[at];
        first = first && step->index == 0;
        last = last && step->index == step->page->n;
    }
    return first || last;
}

static bool split_at_end(struct edit_path *path)
{
    const struct edit_step *leaf = edit_leaf(path);

    return leaf->index == 0 || leaf->index == leaf_count(leaf->page);
}

/* The index that the leaf has in the page above it. */
static unsigned split_place(const struct edit_path *path)
{
    return path->depth > 1 ? path->step[path->depth - 2].index : 0;
}

/* Lets the page above the leaf (or the root pointer) lead to `pgno` instead. */
static enum bts_status split_lead_to(struct edit_path *path, pgno_t pgno, struct bts_error *error)
{
    struct page_header *above;
    enum bts_status status;

    if (path->depth == 1) {
        path->tree->record.root = pgno;
        return BTS_OK;
    }
    status = edit_own(path, path->depth - 2, &above, error);
    if (status == BTS_OK) {
        inner_set_child(above, split_place(path), pgno);
    }
    return status;
}

static enum bts_status split_refuse(const struct edit_path *path, struct bts_error *error)
{
    return err_set(error, BTS_DAMAGED, "bucket %u: the keys of a leaf are in no order; "
                   "run btstore check", path->tree->record.id);
}

/* Gives the entry, which comes before or behind its whole leaf, a leaf of its own. */
static enum bts_status split_off(struct edit_path *path, const struct edit_entry *entry,
                                 struct bts_error *error)
{
    const struct edit_step *leaf = edit_leaf(path);
    bool before = leaf->index == 0;
    struct leaf_entry near = leaf_entry_at(leaf->page, before ? 0 : leaf->index - 1);
    struct bts_bytes mine = {entry->key, entry->key_size};
    struct bts_bytes theirs = {near.key, near.key_size};
    struct bts_bytes last = before ? mine : theirs;  /* of the left leaf */
    struct bts_bytes first = before ? theirs : mine; /* of the right one, and it stays there */
    struct page_header *own;
    enum bts_status status;
    pgno_t right;

    if (bytes_compare(last.data, last.size, first.data, first.size) >= 0) {
        return split_refuse(path, error);
    }
    status = edit_new_page(path->tree, 0, &own, error);
    if (status != BTS_OK) {
        return status;
    }
    if (!edit_insert(own, path->page_size, 0, entry)) {
        assert(!"an empty leaf has room for any entry");
    }
    right = before ? leaf->page->pgno : own->pgno;
    if (before) {
        status = split_lead_to(path, own->pgno, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    first.size = inner_shortest_separator(last.data, last.size, first.data, first.size);
    return split_add_neighbour(path, path->depth - 1, split_place(path), first.data, first.size,
                               right, error);
}

/* The sibling with more room; *left: which one it is.  The leaf is not the root. */
static enum bts_status split_roomier_sibling(const struct edit_path *path, bool *left,
                                             size_t *room, struct bts_error *error)
{
    unsigned above = path->depth - 2;
    unsigned index = path->step[above].index;
    const struct page_header *sibling;
    enum bts_status status = BTS_OK;

    *left = false;
    *room = 0;
    if (index < inner_count(path->step[above].page)) {
        status = edit_peek(path, above, index + 1, &sibling, error);
        if (status != BTS_OK) {
            return status;
        }
        *room = leaf_free_bytes(sibling, path->page_size);
    }
    if (index > 0) {
        size_t left_room;
        status = edit_peek(path, above, index - 1, &sibling, error);
        if (status != BTS_OK) {
            return status;
        }
        left_room = leaf_free_bytes(sibling, path->page_size);
        *left = left_room >= *room || index == inner_count(path->step[above].page);
        *room = *left ? left_room : *room;
    }
    return status;
}

/* Writes what is planned to two leaves side by side, of which the left is child `index`. */
static enum bts_status split_write_pair(struct edit_path *path, const struct spread *spread,
                                        unsigned index, struct page_header *left,
                                        struct page_header *right, struct bts_error *error)
{
    struct bts_bytes separator = spread_separator(spread, 0);
    bool in_place;

    spread_fill(spread, 0, left);
    spread_fill(spread, 1, right);
    return split_set_separator(path, path->depth - 1, index, separator.data, separator.size,
                               &in_place, error);
}

/* ... and to a third one, new, right of them.  *done false: the page above has no room. */
static enum bts_status split_write_three(struct edit_path *path, const struct spread *spread,
                                         unsigned index, struct page_header *left,
                                         struct page_header *right, bool *done,
                                         struct bts_error *error)
{
    struct bts_bytes first = spread_separator(spread, 0);
    struct bts_bytes second = spread_separator(spread, 1);
    struct page_header *above;
    struct page_header *third;
    enum bts_status status = edit_own(path, path->depth - 2, &above, error);

    *done = false;
    if (status != BTS_OK ||
        !inner_replace_separator(above, path->page_size, index, first.data, first.size)) {
        return status;
    }
    status = edit_new_page(path->tree, 0, &third, error);
    if (status != BTS_OK) {
        return status;
    }
    spread_fill(spread, 0, left);
    spread_fill(spread, 1, right);
    spread_fill(spread, 2, third);
    *done = true;
    return split_add_neighbour(path, path->depth - 1, index + 1, second.data, second.size,
                               third->pgno, error);
}

/* The leaf and a sibling take the entry together, with a new leaf besides when `third`. */
static enum bts_status split_with_sibling(struct edit_path *path, const struct edit_entry *entry,
                                          bool sibling_left, bool third, bool *done,
                                          struct bts_error *error)
{
    unsigned above = path->depth - 2;
    unsigned index = path->step[above].index - sibling_left; /* of the left one */
    int at = (int)edit_leaf(path)->index;
    struct page_header *left;
    struct page_header *right;
    struct spread spread;
    enum bts_status status = edit_own_child(path, above, index, &left, error);

    *done = false;
    if (status == BTS_OK) {
        status = edit_own_child(path, above, index + 1, &right, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    spread_begin(&spread, path->page_size, entry);
    spread_add(&spread, left, sibling_left ? -1 : at);
    spread_add(&spread, right, sibling_left ? at : -1);
    if (!spread_plan(&spread, third ? 3 : 2)) {
        return BTS_OK;
    }
    if (third) {
        return split_write_three(path, &spread, index, left, right, done, error);
    }
    *done = true;
    return split_write_pair(path, &spread, index, left, right, error);
}

/* The leaf becomes two. */
static enum bts_status split_halves(struct edit_path *path, struct page_header *leaf,
                                    const struct edit_entry *entry, struct bts_error *error)
{
    struct page_header *right;
    struct bts_bytes separator;
    struct spread spread;
    enum bts_status status = edit_new_page(path->tree, 0, &right, error);

    if (status != BTS_OK) {
        return status;
    }
    spread_begin(&spread, path->page_size, entry);
    spread_add(&spread, leaf, (int)edit_leaf(path)->index);
    if (!spread_plan(&spread, 2)) {
        return split_refuse(path, error);
    }
    separator = spread_separator(&spread, 0);
    spread_fill(&spread, 0, leaf);
    spread_fill(&spread, 1, right);
    return split_add_neighbour(path, path->depth - 1, split_place(path), separator.data,
                               separator.size, right->pgno, error);
}

enum bts_status split_insert(struct edit_path *path, const struct edit_entry *entry,
                             struct bts_error *error)
{
    struct page_header *leaf;
    enum bts_status status;
    bool done = false;
    bool left = false;
    size_t room = 0;

    if (split_at_edge(path)) {
        return split_off(path, entry, error);
    }
    status = edit_own(path, path->depth - 1, &leaf, error); /* before it is reached as a child */
    if (status == BTS_OK && path->depth > 1) {
        status = split_roomier_sibling(path, &left, &room, error);
        if (status == BTS_OK && room >= path->page_size / SPLIT_SHARE_PART) {
            status = split_with_sibling(path, entry, left, false, &done, error);
        }
    }
    if (status == BTS_OK && !done && split_at_end(path)) {
        return split_off(path, entry, error);
    }
    if (status == BTS_OK && !done && path->depth > 1) {
        status = split_with_sibling(path, entry, left, true, &done, error);
    }
    if (status == BTS_OK && !done) {
        status = split_halves(path, leaf, entry, error);
    }
    return status;
}
