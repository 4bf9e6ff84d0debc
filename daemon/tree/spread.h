/* SPDX-License-Identifier: MIT */
/*
 * spread: write the entries of one or two leaves, and perhaps a new one among
 * them, to one, two or three leaves, evenly.
 *
 *   spread_begin, spread_add in key order, spread_plan  nothing is changed yet
 *   spread_separator                                    what will part the targets
 *   spread_fill                                         each target
 *
 * What is added is copied first, so targets may be the pages it came from.
 * Splitting and levelling both come down to this.
 */
#ifndef TREE_SPREAD_H
#define TREE_SPREAD_H

#include "tree/edit.h"

#define SPREAD_SOURCES_MAX 2u
#define SPREAD_TARGETS_MAX 3u
#define SPREAD_PIECES_MAX 4u /* two leaves, one cut in two by the new entry between */

/* Entries in a row: of a leaf, or the new one alone. */
struct spread_piece {
    const void *leaf; /* NULL: the new entry */
    unsigned first;
    unsigned count;
};

struct spread {
    size_t page_size;
    const struct edit_entry *entry;
    struct spread_piece pieces[SPREAD_PIECES_MAX];
    unsigned piece_count;
    unsigned source_count;
    unsigned count;                       /* entries in all */
    size_t bytes;                         /* that they take */
    unsigned cuts[SPREAD_TARGETS_MAX + 1]; /* target t gets entries [cuts[t], cuts[t + 1]) */
    unsigned target_count;
    _Alignas(8) uint8_t sources[SPREAD_SOURCES_MAX][PAGE_SIZE_MAX];
};

/* `entry` may be NULL; it must stay as it is until the last spread_fill. */
void spread_begin(struct spread *spread, size_t page_size, const struct edit_entry *entry);

/* Adds a leaf, copying it; `entry_at` < 0: the new entry is not here, else at this index. */
void spread_add(struct spread *spread, const void *leaf, int entry_at);

/* Cuts for so many targets; false: entries are too large, or too few, for this. */
BTS_MUST_USE bool spread_plan(struct spread *spread, unsigned target_count);

/* The shortest separator of targets `t` and `t` + 1; valid as long as what was added. */
struct bts_bytes spread_separator(const struct spread *spread, unsigned t);

/* Empties a private leaf and fills it with what is planned for target `t`. */
void spread_fill(const struct spread *spread, unsigned t, struct page_header *target);

#endif
