/* SPDX-License-Identifier: MIT */
/*
 * edit: the way from the root to a leaf, and making it writable.
 *
 * A path remembers the page and the place in it at every level.  Descending
 * only reads; edit_own makes one page of the path private, and with it, as far
 * as they are not yet, the pages above it, whose child pointers must follow.
 * A page that was born in the group at work is private, and so is then every
 * page above it: that ends the walk upwards at once in a warm group.
 *
 * After a change that split, merged or removed pages above the leaf a path is
 * spent: descend again.
 */
#ifndef TREE_EDIT_H
#define TREE_EDIT_H

#include "tree/tree_write.h"

struct edit_step {
    const struct page_header *page; /* as the group at work sees it */
    unsigned index;                 /* inner: of the child followed; leaf: of the entry */
};

struct edit_path {
    struct tree *tree;
    const struct page_source *source;
    size_t page_size;
    unsigned depth;                           /* steps in use, at least 1 */
    struct edit_step step[TREE_DEPTH_MAX];    /* step[0]: the root; step[depth - 1]: the leaf */
};

/* An entry to be stored; its bytes lie in no page of the tree. */
struct edit_entry {
    const void *key;
    size_t key_size;
    const void *value;
    uint64_t value_size;
    pgno_t run; /* PGNO_NONE: the value lies in the cell */
};

static inline unsigned edit_level(const struct edit_path *path, unsigned at)
{
    return path->depth - 1 - at;
}

static inline struct edit_step *edit_leaf(struct edit_path *path)
{
    return &path->step[path->depth - 1];
}

/*
 * From the root of a tree that is not empty to the leaf for `key`, and in it
 * to the first entry that is not below; *found: it is the key.  BTS_DAMAGED.
 */
BTS_MUST_USE enum bts_status edit_descend(struct edit_path *path, struct tree *tree,
                                          const void *key, size_t key_size, bool *found,
                                          struct bts_error *error);

/*
 * To the first entry that is not below `key`, in whichever leaf it is (key
 * NULL: the first of all); *found: there is one.
 */
BTS_MUST_USE enum bts_status edit_seek(struct edit_path *path, struct tree *tree, const void *key,
                                       size_t key_size, bool *found, struct bts_error *error);

/* Makes the page of step `at` writable; the path and the pointers above follow. */
BTS_MUST_USE enum bts_status edit_own(struct edit_path *path, unsigned at,
                                      struct page_header **page, struct bts_error *error);

/* Child `index` of the page of step `at`, beside the one on the path, to look at. */
BTS_MUST_USE enum bts_status edit_peek(const struct edit_path *path, unsigned at, unsigned index,
                                       const struct page_header **child, struct bts_error *error);

/*
 * Makes child `index` of the page of step `at` writable, and that page with it.
 * The path does not follow: the child is none of its pages, or is owned already.
 */
BTS_MUST_USE enum bts_status edit_own_child(struct edit_path *path, unsigned at, unsigned index,
                                            struct page_header **child, struct bts_error *error);

/* A new page of this tree, counted. */
BTS_MUST_USE enum bts_status edit_new_page(struct tree *tree, unsigned level,
                                           struct page_header **page, struct bts_error *error);

/* Frees a page of this tree, and counts that; what it leads to is the caller's business. */
BTS_MUST_USE enum bts_status edit_free_page(struct tree *tree, const struct page_header *page,
                                            struct bts_error *error);

/* Frees the run of an entry, if its value is in one, and counts that. */
BTS_MUST_USE enum bts_status edit_free_run(struct tree *tree, const struct leaf_entry *entry,
                                           struct bts_error *error);

/*
 * To be called of a tree that has become empty.  BTS_DAMAGED: its record still
 * counts something, so it was wrong when it was read (those of the directory,
 * which nobody needs, aside).
 */
BTS_MUST_USE enum bts_status edit_check_empty(const struct tree *tree, struct bts_error *error);

/* Empties a private page: type, level, number and bucket stay. */
void edit_reset_page(struct page_header *page, size_t page_size);

/* Bytes the entry takes in a leaf, as leaf_entry_size counts. */
size_t edit_entry_size(const struct edit_entry *entry);

/* What leaf_insert and leaf_replace do, for either kind of entry. */
BTS_MUST_USE bool edit_insert(void *leaf, size_t page_size, unsigned index,
                              const struct edit_entry *entry);
BTS_MUST_USE bool edit_replace(void *leaf, size_t page_size, unsigned index,
                               const struct edit_entry *entry);

#endif
