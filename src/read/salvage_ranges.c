/* SPDX-License-Identifier: MIT */
/*
 * salvage_ranges: see salvage_ranges.h.
 */
#include "read/salvage_ranges.h"

#include "base/bytes.h"

#include <stdlib.h>

struct bts_bytes salvage_copy_bytes(struct bts_bytes bytes)
{
    void *copy = bytes.data != NULL ? malloc(bytes.size + 1) : NULL;

    if (copy == NULL) {
        return (struct bts_bytes){NULL, 0};
    }
    memcpy(copy, bytes.data, bytes.size);
    return (struct bts_bytes){copy, bytes.size};
}

static void salvage_free_bytes(struct bts_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

void salvage_ranges_fini(struct salvage_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        salvage_free_bytes(ranges->range[i].low);
        salvage_free_bytes(ranges->range[i].high);
        free(ranges->range[i].why);
    }
    free(ranges->range);
    *ranges = (struct salvage_ranges){.range = NULL};
}

static bool salvage_ranges_reserve(struct salvage_ranges *ranges)
{
    size_t room = ranges->room * 2 + 16;
    struct salvage_range *grown;

    if (ranges->count < ranges->room) {
        return true;
    }
    grown = realloc(ranges->range, room * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    ranges->range = grown;
    ranges->room = room;
    return true;
}

/* The last range, if what begins at `low` goes on where it ends. */
static struct salvage_range *salvage_ranges_before(const struct salvage_ranges *ranges,
                                                   struct bts_bytes low)
{
    struct salvage_range *last;

    if (ranges->count == 0 || low.data == NULL) {
        return NULL;
    }
    last = &ranges->range[ranges->count - 1];
    if (last->is_value || last->high.data == NULL ||
        bytes_compare(last->high.data, last->high.size, low.data, low.size) != 0) {
        return NULL;
    }
    return last;
}

static enum bts_status salvage_ranges_append(struct salvage_ranges *ranges, struct bts_bytes low,
                                             struct bts_bytes high, pgno_t pgno, const char *why)
{
    struct salvage_range *range;

    if (!salvage_ranges_reserve(ranges)) {
        return BTS_NO_MEMORY;
    }
    range = &ranges->range[ranges->count];
    *range = (struct salvage_range){.low = salvage_copy_bytes(low),
                                    .high = salvage_copy_bytes(high),
                                    .pgno = pgno,
                                    .why = strdup(why)};
    ranges->count++;
    return (range->low.data == NULL) == (low.data == NULL) &&
                   (range->high.data == NULL) == (high.data == NULL)
               ? BTS_OK
               : BTS_NO_MEMORY;
}

enum bts_status salvage_ranges_add(struct salvage_ranges *ranges, struct bts_bytes low,
                                   struct bts_bytes high, pgno_t pgno, const char *why)
{
    struct salvage_range *last = salvage_ranges_before(ranges, low);
    struct bts_bytes copy;

    if (last == NULL) {
        return salvage_ranges_append(ranges, low, high, pgno, why);
    }
    copy = salvage_copy_bytes(high);
    if (copy.data == NULL && high.data != NULL) {
        return BTS_NO_MEMORY;
    }
    salvage_free_bytes(last->high);
    last->high = copy;
    last->more++;
    return BTS_OK;
}

enum bts_status salvage_ranges_add_value(struct salvage_ranges *ranges, struct bts_bytes key,
                                         pgno_t pgno, const char *why)
{
    uint8_t *after = malloc(key.size + 1); /* the first key behind it */
    enum bts_status status;

    if (after == NULL) {
        return BTS_NO_MEMORY;
    }
    memcpy(after, key.data, key.size);
    after[key.size] = 0;
    status = salvage_ranges_append(ranges, key, (struct bts_bytes){after, key.size + 1}, pgno,
                                   why);
    free(after);
    if (status == BTS_OK) {
        ranges->range[ranges->count - 1].is_value = true;
        ranges->value_count++;
    }
    return status;
}

struct salvage_range *salvage_ranges_find(const struct salvage_ranges *ranges, const void *key,
                                          size_t key_size)
{
    size_t low = 0;
    size_t high = ranges->count;

    while (low < high) { /* the first that ends behind the key */
        size_t middle = (low + high) / 2;
        const struct bts_bytes *end = &ranges->range[middle].high;
        if (end->data != NULL && bytes_compare(end->data, end->size, key, key_size) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == ranges->count) {
        return NULL;
    }
    return ranges->range[low].low.data == NULL ||
                   bytes_compare(ranges->range[low].low.data, ranges->range[low].low.size, key,
                                 key_size) <= 0
               ? &ranges->range[low]
               : NULL;
}
