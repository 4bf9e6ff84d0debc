/* SPDX-License-Identifier: MIT */
/*
 * pages_private: what pages.c (private pages) and pages_write.c (the file) share.
 *
 * Not for anyone else: the room's face is pages.h.
 */
#ifndef PAGES_PAGES_PRIVATE_H
#define PAGES_PAGES_PRIVATE_H

#include "pages/page_buffers.h"
#include "pages/page_copies.h"
#include "pages/pages.h"
#include "pages/private_table.h"

enum undo_type {
    UNDO_CREATED,
    UNDO_CHANGED,
    UNDO_FREED,
};

struct undo {
    enum undo_type type;
    struct private_page page; /* CHANGED: data is the copy of the old bytes */
};

struct pages {
    const struct file *data;
    struct map *map;
    struct space *space;
    struct page_source source;      /* the map's, with the private pages in front */
    _Atomic uint64_t file_pages;    /* what the file has room for: the source's bound */
    size_t page_size;
    txnid_t txnid;
    txnid_t first_txnid;            /* of the first group: pages born before are not our own work */
    struct private_table table;
    struct page_buffers buffers;
    struct page_copies *copies;     /* NULL: pages that are not private are seen in the map */
    struct undo *undo;
    size_t undo_count;
    size_t undo_room;
    struct private_page *list;      /* of pages_write, sorted; kept for the next one */
    size_t list_room;
    bool has_holes;                 /* a clean stop made some that have no room on the disk yet */
    bool saving;                    /* a savepoint is open */
    uint64_t stamp;                 /* counts savepoints; a page with the present one is saved */
    struct space_savepoint saved;
};

/* Takes base, span and marks from the (perhaps grown) map. */
void pages_take_map(struct pages *pages);

/* Forgets all private pages. */
void pages_drop_private(struct pages *pages);

/* Makes the file, and the map, reach `page_count` pages. */
BTS_MUST_USE enum bts_status pages_ensure_file(struct pages *pages, pgno_t page_count,
                                               struct bts_error *error);

#endif
