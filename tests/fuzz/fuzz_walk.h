/* SPDX-License-Identifier: MIT */
/*
 * fuzz_walk: read a published state in every way, and hold it against the oracle.
 */
#ifndef FUZZ_WALK_H
#define FUZZ_WALK_H

#include "fuzz_oracle.h"
#include "read/cursor.h"

enum walk_place {
    WALK_CLOSED = 0,
    WALK_UNSET,
    WALK_AT,
    WALK_BEFORE,
    WALK_AFTER,
};

/* A cursor and where it must be. */
struct walk {
    struct cursor cursor;
    enum walk_place place;
    unsigned bucket;
    unsigned from;      /* bounds: from <= key < to */
    unsigned to;
    unsigned key;       /* WALK_AT */
};

/* Every bucket: count, every entry forwards and backwards, what is not there too. */
void walk_compare(struct tree_view directory, const struct oracle *oracle);

/* One move of the cursor: which follows from a and b; it is opened if need be. */
void walk_step(struct walk *walk, struct tree_view directory, const struct oracle *oracle,
               unsigned a, unsigned b);
/* The state that it walks is no more. */
void walk_end(struct walk *walk);

/* Up to 40 keys at once. */
void walk_get_many(struct tree_view directory, const struct oracle *oracle, unsigned a,
                   unsigned b);

#endif
