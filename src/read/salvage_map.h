/* SPDX-License-Identifier: MIT */
/*
 * salvage_map: which pages the space map of a damaged file calls in use.
 *
 * A leaf that no tree leads to may be one that the damage cut off, or an old
 * version that waits for its page to be used again.  The map tells them apart,
 * where it can be believed: its newest copy is that of the state if the other
 * copy is whole, too, or if a finished checkpoint left both alike.
 */
#ifndef READ_SALVAGE_MAP_H
#define READ_SALVAGE_MAP_H

#include "read/salvage_pages.h"

enum salvage_use {
    SALVAGE_USE_UNKNOWN, /* no map that can be believed */
    SALVAGE_USE_FREE,
    SALVAGE_USE_LIVE,
};

struct salvage_map {
    size_t page_size;
    uint32_t group_count;
    uint8_t *bits;      /* owned */
    bool *is_usable;    /* per group; owned */
    uint32_t unusable_count;
};

/*
 * Loads the map of state `txnid` (0: none is known, and no group is usable).
 * `is_alike`: its checkpoint was finished.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status salvage_map_init(struct salvage_map *map,
                                              const struct salvage_pages *pages, txnid_t txnid,
                                              bool is_alike, struct bts_error *error);
void salvage_map_fini(struct salvage_map *map);

enum salvage_use salvage_map_use(const struct salvage_map *map, pgno_t pgno);

#endif
