/* SPDX-License-Identifier: MIT */
/*
 * space_private: what space.c, free_pages.c, nursery.c and limbo.c share.
 *
 * Not for anyone else: the room's face is space.h.
 */
#ifndef PAGES_SPACE_PRIVATE_H
#define PAGES_SPACE_PRIVATE_H

#include "format/space_map.h"
#include "pages/space.h"

/* Groups that may be unpublished at once: one at work, the others in the log. */
#define SPACE_GROUPS_MAX 8u

/* The metas and the maps of group 0: every file has them. */
#define SPACE_FIXED_MIN 4u

/* The nursery: pages of a chunk, chunks at most, groups whose age can be told. */
#define NURSERY_CHUNK 64u
#define NURSERY_CHUNKS_MAX 256u
#define NURSERY_AGES 1024u

/* Extents are searched for in this many lengths: see free_pages.c. */
#define SPACE_EXTENT_STEPS 4u

/* Where a claim took its pages from, and where undo puts them back. */
enum claim_source {
    CLAIM_NURSERY = 0,
    CLAIM_BITMAP = 1,
    CLAIM_ABOVE = 2, /* at the high-water mark */
};

/* Pages claimed or freed together. */
struct space_entry {
    pgno_t first;
    pgno_t count;
    txnid_t born;             /* of a release */
    txnid_t freed;            /* of a release */
    enum claim_source source; /* of a claim */
};

struct space_list {
    struct space_entry *entries;
    size_t count;
    size_t room;
};

/* Makes room for `more` entries.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status space_list_reserve(struct space_list *list, size_t more,
                                                struct bts_error *error);

/* One group of pages of the file (as a space map page covers). */
struct space_group {
    uint8_t *live;       /* one allocation holds all bitmaps */
    uint8_t *free;
    uint8_t *young;      /* claimed by a group of this process: unborn, or live since */
    uint8_t *leaving;    /* released by a group that is not yet published */
    uint16_t *nursery;   /* for each 64 pages: 0, or 1 + the number of their chunk */
    pgno_t free_count;
    bool dirty;          /* live changed since a checkpoint took it */
};

/* One commit group that is not yet published. */
struct space_work {
    txnid_t txnid;
    pgno_t page_count;         /* the mark when it began */
    struct space_list claims;
    struct space_list releases;
};

/* Entries that one snapshot kept from being free when they were last judged. */
struct limbo_pin {
    txnid_t txnid;
    struct space_list entries;
};

/*
 * Limbo: an entry is in one of
 *   fresh      published, not yet judged
 *   waiting    a checkpoint still holds it; ascending by `freed`
 *   pins[]     a snapshot held it when it was last judged
 */
struct limbo {
    struct space_list fresh;
    struct space_list waiting;
    size_t waiting_first;      /* entries before it are gone */
    struct limbo_pin *pins;    /* ascending by txnid */
    size_t pin_count;
    size_t pin_room;
    uint64_t pages;            /* in all of them */
};

/* Pages of the nursery that lie together. */
struct nursery_chunk {
    pgno_t first;          /* a multiple of NURSERY_CHUNK */
    uint64_t owned;        /* a bit for each page from there on */
    uint64_t free;         /* of the owned ones */
};

struct nursery {
    struct nursery_chunk chunks[NURSERY_CHUNKS_MAX];
    uint32_t chunk_count;
    uint32_t at;           /* claims come from this chunk, from next_bit on */
    unsigned next_bit;
    pgno_t owned;          /* in all chunks */
    pgno_t free;
    uint64_t clock;        /* single pages claimed so far */
    uint64_t clock_at[NURSERY_AGES]; /* when a group began, by its txnid */
    txnid_t first_txnid;   /* of the first group */
};

struct space {
    size_t page_size;
    pgno_t group_pages;
    pgno_t page_count;
    pgno_t hold;               /* 0, or: claim nothing below */
    txnid_t checkpoint;        /* C */
    txnid_t checkpoint_begun;  /* K, 0: none in progress */
    struct space_group *groups;
    uint32_t group_count;
    uint32_t group_room;
    struct space_work works[SPACE_GROUPS_MAX]; /* a ring, oldest first */
    size_t work_first;
    size_t work_count;
    bool working;              /* the newest of them is still being applied */
    struct limbo limbo;
    struct nursery nursery;
    pgno_t extent_next;        /* pages of the present extent are marked free until claimed */
    pgno_t extent_end;
    pgno_t search_next;
    uint64_t freed;            /* pages that came into the bitmap so far */
    uint64_t search_again[SPACE_EXTENT_STEPS]; /* nothing was found: not before `freed` is this */
    int64_t live;
    uint64_t unborn;
    uint64_t free;             /* in the bitmap */
};

/* ---- bits ------------------------------------------------------------------------- */

static inline bool space_bit_get(const uint8_t *bits, pgno_t i)
{
    return (bits[i / 8] >> (i % 8)) & 1;
}

static inline void space_bit_set(uint8_t *bits, pgno_t i)
{
    bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

static inline void space_bit_clear(uint8_t *bits, pgno_t i)
{
    bits[i / 8] &= (uint8_t)~(1u << (i % 8));
}

static inline struct space_group *space_group_of(const struct space *space, pgno_t pgno,
                                                 pgno_t *index)
{
    *index = pgno % space->group_pages;
    return &space->groups[pgno / space->group_pages];
}

static inline bool space_is_free(const struct space *space, pgno_t pgno)
{
    pgno_t i;
    struct space_group *group = space_group_of(space, pgno, &i);

    return space_bit_get(group->free, i);
}

/* ---- free_pages.c: the bitmap ----------------------------------------------------- */

/* Marks pages free, or no longer free, in the bitmap. */
void space_set_free(struct space *space, pgno_t first, pgno_t count);
void space_clear_free(struct space *space, pgno_t first, pgno_t count);

/*
 * Finds `least` to `most` contiguous free pages, beginning where the last
 * search ended.  How many, 0: none; *first: where.  They stay marked free.
 */
pgno_t space_find_free(struct space *space, pgno_t least, pgno_t most, pgno_t *first);

/* Takes the next page of the extent, choosing a new extent if need be; false: none is worth it. */
bool space_claim_from_extent(struct space *space, pgno_t *pgno);

/* ---- nursery.c -------------------------------------------------------------------- */

void nursery_group_begin(struct space *space, txnid_t txnid);
/* Whether a page that group `now` makes in the place of one born in `replaces` is for it. */
bool nursery_wants(const struct space *space, txnid_t now, txnid_t replaces);
/* Takes a page; false: there is none. */
bool nursery_claim(struct space *space, pgno_t *pgno);
/* Takes a page back that has become free; false: it is none of the nursery's. */
bool nursery_take_back(struct space *space, pgno_t pgno);
/* Forgets what lies at and above a lowered mark: all of it is free. */
void nursery_cut(struct space *space, pgno_t page_count);
/* Gives back what it has too much of. */
void nursery_shrink(struct space *space);
void nursery_check(const struct space *space);

/* ---- space.c: the mark ------------------------------------------------------------ */

/*
 * Raises the mark past `count` contiguous pages that contain no fixed page;
 * what is skipped before them becomes free.  BTS_NO_MEMORY, BTS_NO_SPACE.
 */
BTS_MUST_USE enum bts_status space_raise(struct space *space, pgno_t count, pgno_t *first,
                                         struct bts_error *error);

/* ---- limbo.c ---------------------------------------------------------------------- */

/* A release was published: into limbo.  Its room was reserved by space_reserve. */
void limbo_add(struct space *space, const struct space_entry *entry);
void limbo_fini(struct limbo *limbo);
void limbo_check(const struct space *space);

#endif
