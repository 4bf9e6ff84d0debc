/* SPDX-License-Identifier: MIT */
/*
 * foresee: see foresee.h.
 */
#include "tree/foresee.h"

#include "base/prefetch.h"
#include "format/inner.h"

#define FORESEE_LINE 64u

/* The page if it can be looked at without checking it; NULL: it cannot. */
static const struct page_header *foresee_page(const struct page_source *source, pgno_t pgno,
                                              unsigned level, txnid_t born_max)
{
    const struct page_header *page = source->private_page(source->private_context, pgno);
    uint32_t mark;

    if (page != NULL && page->level == level && page->txnid <= born_max) {
        return page;
    }
    return page_source_known(source, pgno, page_source_kind(level), born_max, &mark);
}

/* The child that the key leads to; PGNO_NONE: it cannot be known. */
static pgno_t foresee_child(const struct tree_view *view, pgno_t pgno, unsigned level,
                            const struct bts_bytes *key)
{
    const struct page_header *page;
    pgno_t child;

    if (pgno == PGNO_NONE) {
        return PGNO_NONE;
    }
    page = foresee_page(view->source, pgno, level, view->txnid);
    if (page == NULL) {
        return PGNO_NONE;
    }
    child = inner_children(page)[inner_search(page, key->data, key->size)];
    page_source_prefetch(view->source, child);
    return child;
}

/* All of a leaf: it will be searched, and copied. */
static void foresee_leaf(const struct tree_view *view, pgno_t pgno)
{
    const uint8_t *page = NULL;

    if (pgno != PGNO_NONE) {
        page = (const uint8_t *)foresee_page(view->source, pgno, 0, view->txnid);
    }
    for (size_t at = 0; page != NULL && at < page_source_page_size(view->source);
         at += FORESEE_LINE) {
        prefetch(page + at);
    }
}

void foresee_keys(const struct tree *tree, const struct bts_bytes *keys, unsigned count)
{
    struct tree_view view = tree_view_of(tree);
    pgno_t pgnos[FORESEE_MAX];

    if (view.depth == 0 || tree_depth_check(&view, NULL) != BTS_OK) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        pgnos[i] = view.root;
    }
    for (unsigned level = view.depth - 1; level > 0; level--) {
        for (unsigned i = 0; i < count; i++) {
            pgnos[i] = foresee_child(&view, pgnos[i], level, &keys[i]);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        foresee_leaf(&view, pgnos[i]);
    }
}
