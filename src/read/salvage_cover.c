/* SPDX-License-Identifier: MIT */
/*
 * salvage_cover: see salvage_cover.h.
 *
 * Intervals never overlap: those that a new one overlaps are taken into it.
 */
#include "read/salvage_cover.h"

#include "base/bytes.h"
#include "read/salvage_ranges.h"

#include <stdlib.h>

static int salvage_cover_order(struct bts_bytes a, struct bts_bytes b)
{
    return bytes_compare(a.data, a.size, b.data, b.size);
}

static void salvage_interval_fini(struct salvage_interval *interval)
{
    free((void *)(uintptr_t)interval->from.data);
    free((void *)(uintptr_t)interval->to.data);
}

void salvage_cover_fini(struct salvage_cover *cover)
{
    for (size_t i = 0; i < cover->count; i++) {
        salvage_interval_fini(&cover->interval[i]);
    }
    free(cover->interval);
    *cover = (struct salvage_cover){NULL, 0, 0};
}

/* The first interval that ends at `key` or behind it. */
static size_t salvage_cover_lower(const struct salvage_cover *cover, struct bts_bytes key)
{
    size_t low = 0;
    size_t high = cover->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (salvage_cover_order(cover->interval[middle].to, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool salvage_cover_has(const struct salvage_cover *cover, const void *key, size_t key_size)
{
    struct bts_bytes bytes = {key, key_size};
    size_t at = salvage_cover_lower(cover, bytes);

    return at < cover->count && salvage_cover_order(cover->interval[at].from, bytes) <= 0;
}

static bool salvage_cover_reserve(struct salvage_cover *cover)
{
    size_t room = cover->room * 2 + 64;
    struct salvage_interval *grown;

    if (cover->count < cover->room) {
        return true;
    }
    grown = realloc(cover->interval, room * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    cover->interval = grown;
    cover->room = room;
    return true;
}

enum bts_status salvage_cover_add(struct salvage_cover *cover, struct bts_bytes from,
                                  struct bts_bytes to)
{
    struct salvage_interval added;
    size_t first = salvage_cover_lower(cover, from);
    size_t end = first;

    while (end < cover->count && salvage_cover_order(cover->interval[end].from, to) <= 0) {
        end++;
    }
    if (end > first) { /* those it overlaps become one with it */
        if (salvage_cover_order(cover->interval[first].from, from) < 0) {
            from = cover->interval[first].from;
        }
        if (salvage_cover_order(cover->interval[end - 1].to, to) > 0) {
            to = cover->interval[end - 1].to;
        }
    }
    added = (struct salvage_interval){salvage_copy_bytes(from), salvage_copy_bytes(to)};
    if (added.from.data == NULL || added.to.data == NULL || !salvage_cover_reserve(cover)) {
        salvage_interval_fini(&added);
        return BTS_NO_MEMORY;
    }
    for (size_t i = first; i < end; i++) {
        salvage_interval_fini(&cover->interval[i]);
    }
    memmove(&cover->interval[first + 1], &cover->interval[end],
            (cover->count - end) * sizeof(added));
    cover->interval[first] = added;
    cover->count = cover->count - (end - first) + 1;
    return BTS_OK;
}
