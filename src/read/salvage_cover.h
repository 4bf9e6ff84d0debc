/* SPDX-License-Identifier: MIT */
/*
 * salvage_cover: which keys newer leaves have spoken for.
 *
 * A leaf holds all keys of its bucket between its first and its last one, as
 * of its birth.  So an older leaf has nothing to say about those: what it
 * holds there was deleted, replaced or moved since.  Leaves come in order of
 * trust; each is first asked about, then added.
 *
 * Intervals are kept in one sorted array; adding one that touches none moves
 * what lies behind it.
 */
#ifndef READ_SALVAGE_COVER_H
#define READ_SALVAGE_COVER_H

#include <btstore.h>

/* Keys from <= key <= to; owned. */
struct salvage_interval {
    struct bts_bytes from;
    struct bts_bytes to;
};

struct salvage_cover {
    struct salvage_interval *interval;
    size_t count;
    size_t room;
};

void salvage_cover_fini(struct salvage_cover *cover);

bool salvage_cover_has(const struct salvage_cover *cover, const void *key, size_t key_size);

/* Adds from <= key <= to; the bytes are copied.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status salvage_cover_add(struct salvage_cover *cover, struct bts_bytes from,
                                               struct bts_bytes to);

#endif
