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

static bool foresee_ascend(const struct bts_bytes *keys, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        if (bytes_compare(keys[i - 1].data, keys[i - 1].size, keys[i].data, keys[i].size) > 0) {
            return false;
        }
    }
    return true;
}

/*
 * From pages of one level to those of the next.  Where keys ascend, what the
 * first and the last one share all others share, too: puts in order mostly go
 * into one leaf, and two searches say so.
 */
static void foresee_level(const struct tree_view *view, unsigned level,
                          const struct bts_bytes *keys, pgno_t *pgnos, unsigned count, bool ascend)
{
    bool together = ascend && pgnos[0] == pgnos[count - 1];

    pgnos[0] = foresee_child(view, pgnos[0], level, &keys[0]);
    pgnos[count - 1] = foresee_child(view, pgnos[count - 1], level, &keys[count - 1]);
    together = together && pgnos[0] == pgnos[count - 1];
    for (unsigned i = 1; i + 1 < count; i++) {
        pgnos[i] = together ? pgnos[0] : foresee_child(view, pgnos[i], level, &keys[i]);
    }
}

void foresee_keys(const struct tree *tree, const struct bts_bytes *keys, unsigned count)
{
    struct tree_view view = tree_view_of(tree);
    bool ascend = foresee_ascend(keys, count);
    pgno_t pgnos[FORESEE_MAX];

    if (count < 2 || view.depth == 0 || tree_depth_check(&view, NULL) != BTS_OK) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        pgnos[i] = view.root;
    }
    for (unsigned level = view.depth - 1; level > 0; level--) {
        foresee_level(&view, level, keys, pgnos, count, ascend);
    }
    for (unsigned i = 0; i < count; i++) {
        if (i == 0 || pgnos[i] != pgnos[i - 1]) {
            foresee_leaf(&view, pgnos[i]);
        }
    }
}
