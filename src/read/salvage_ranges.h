/* SPDX-License-Identifier: MIT */
/*
 * salvage_ranges: which keys of a bucket lie behind damage.
 *
 * Ascending and apart.  Neighbours are merged, so there are never more than
 * pages that were read, whatever hostile bytes say.
 */
#ifndef READ_SALVAGE_RANGES_H
#define READ_SALVAGE_RANGES_H

#include "format/page.h"

struct salvage_range {
    struct bts_bytes low;  /* owned; data NULL: open */
    struct bts_bytes high;
    pgno_t pgno;           /* the first damaged page */
    uint32_t more;         /* how many others */
    bool is_value;         /* one key, which is known; only its value is lost */
    uint64_t found;        /* entries found elsewhere */
    char *why;             /* owned; of the first page; NULL: no memory for it */
};

struct salvage_ranges {
    struct salvage_range *range;
    size_t count;
    size_t room;
    size_t value_count; /* of them is_value */
};

void salvage_ranges_fini(struct salvage_ranges *ranges);

/*
 * Adds [low, high), which lies behind all that were added before; the bytes
 * are copied.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status salvage_ranges_add(struct salvage_ranges *ranges,
                                                struct bts_bytes low, struct bts_bytes high,
                                                pgno_t pgno, const char *why);
/* The value of one key. */
BTS_MUST_USE enum bts_status salvage_ranges_add_value(struct salvage_ranges *ranges,
                                                      struct bts_bytes key, pgno_t pgno,
                                                      const char *why);

/* Whether keys lie behind damage, not only values. */
static inline bool salvage_ranges_have_keys(const struct salvage_ranges *ranges)
{
    return ranges->count > ranges->value_count;
}

/* The range that a key lies in, or NULL. */
struct salvage_range *salvage_ranges_find(const struct salvage_ranges *ranges, const void *key,
                                          size_t key_size);

/* A copy of bytes, never NULL for bytes that are there; data NULL: no memory, or NULL given. */
struct bts_bytes salvage_copy_bytes(struct bts_bytes bytes);

#endif
