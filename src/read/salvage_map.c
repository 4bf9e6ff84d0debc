/* SPDX-License-Identifier: MIT */
/*
 * salvage_map: see salvage_map.h.
 */
#include "read/salvage_map.h"

#include "base/err.h"
#include "format/space_map.h"

#include <stdlib.h>
#include <string.h>

/* Chooses the copy of a group as recovery does; false: none that can be believed. */
static bool salvage_map_load(const struct salvage_map *map, const struct salvage_pages *pages,
                             uint32_t group, txnid_t txnid, bool is_alike, uint8_t *page)
{
    size_t bits_size = map->page_size - PAGE_HEADER_SIZE;
    txnid_t newest = 0;
    bool is_whole = true;

    for (unsigned copy = 0; copy < 2; copy++) {
        pgno_t pgno = space_map_pgno(group, copy, map->page_size);
        const struct page_header *header = (const struct page_header *)(void *)page;

        if (salvage_pages_read(pages, pgno, page, NULL) != BTS_OK ||
            space_map_check(page, map->page_size, group, copy, NULL) != BTS_OK) {
            is_whole = false;
        } else if (header->txnid <= txnid && header->txnid > newest) {
            newest = header->txnid;
            memcpy(map->bits + group * bits_size, space_map_bits(page), bits_size);
        }
    }
    return newest > 0 && (is_whole || is_alike);
}

enum bts_status salvage_map_init(struct salvage_map *map, const struct salvage_pages *pages,
                                 txnid_t txnid, bool is_alike, struct bts_error *error)
{
    uint8_t *page = malloc(pages->page_size);
    uint32_t count = space_map_group_count((pgno_t)pages->page_count, pages->page_size);

    *map = (struct salvage_map){.page_size = pages->page_size, .group_count = count};
    map->bits = calloc(count, pages->page_size - PAGE_HEADER_SIZE);
    map->is_usable = calloc(count, sizeof(*map->is_usable));
    if (page == NULL || map->bits == NULL || map->is_usable == NULL) {
        free(page);
        return err_set(error, BTS_NO_MEMORY, "no memory for a space map of %u groups", count);
    }
    for (uint32_t group = 0; group < count; group++) {
        map->is_usable[group] = salvage_map_load(map, pages, group, txnid, is_alike, page);
        map->unusable_count += !map->is_usable[group];
    }
    free(page);
    return BTS_OK;
}

void salvage_map_fini(struct salvage_map *map)
{
    free(map->bits);
    free(map->is_usable);
    *map = (struct salvage_map){.bits = NULL};
}

enum salvage_use salvage_map_use(const struct salvage_map *map, pgno_t pgno)
{
    uint32_t group = space_map_group_of(pgno, map->page_size);
    size_t bits_size = map->page_size - PAGE_HEADER_SIZE;
    pgno_t bit = pgno % space_map_group_pages(map->page_size);

    if (group >= map->group_count || !map->is_usable[group]) {
        return SALVAGE_USE_UNKNOWN;
    }
    return (map->bits[group * bits_size + bit / 8] >> bit % 8 & 1) != 0 ? SALVAGE_USE_LIVE
                                                                        : SALVAGE_USE_FREE;
}
