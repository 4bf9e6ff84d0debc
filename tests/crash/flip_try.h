/* SPDX-License-Identifier: MIT */
/*
 * flip_try: one flip, and what a reader, the check and a starting daemon make
 * of it.
 *
 * Each try_ function looks at flipper->place, in which a bit is flipped, counts
 * in the row of its type, and keeps the text of the first thing that is wrong.
 */
#ifndef FLIP_TRY_H
#define FLIP_TRY_H

#include "flip_store.h"

/* What became of the flips of one type; in memory that all jobs share. */
struct row {
    unsigned long flips;
    unsigned long detected;   /* reported by the check, page and reason */
    unsigned long refused;    /* by the reader */
    unsigned long wrong;      /* wrong data, or damage passed over, or a wrong name for it */
    unsigned long recovered;  /* recoveries tried */
    unsigned long declined;   /* of those: refused to start */
    unsigned long undetected; /* of a type where that is right: the log's last frame */
    char first[600];          /* what the first one that went wrong was */
};

struct job {
    struct row rows[FLIP_TYPES];
};

struct flipper {
    struct job *job;
    const struct flip_store *stores;  /* the first of them, for their order */
    struct bts_store **open;          /* each store, opened once */
    char scratch[220];
    char scratch_path[260];
    char scratch_log[280];
    uint64_t random;
    unsigned long count;
    /* the flip at hand */
    const struct flip_store *store;
    const struct flip_place *place;
    uint64_t bit;             /* from the place's begin */
};

/* A number below `below`. */
uint64_t flip_draw(struct flipper *flipper, uint64_t below);

static inline struct row *flip_row(struct flipper *flipper)
{
    return &flipper->job->rows[flipper->place->type];
}

static inline bool flip_in_log(const struct flip_place *place)
{
    return place->type >= FLIP_PAGE_TYPES;
}

/* A reader and the check. */
void flip_try_page(struct flipper *flipper);
void flip_try_log(struct flipper *flipper);
/* A daemon's engine, on a copy. */
void flip_try_recovery(struct flipper *flipper);

/* `btstore check` of an open store; the lines that it reported, and whether one names the page. */
struct flip_watch {
    char begin[32];
    bool named;
    unsigned long lines;
};
BTS_MUST_USE enum bts_status flip_check(struct bts_store *open, pgno_t pgno,
                                        struct flip_watch *watch,
                                        struct bts_check_result *result, struct bts_error *error);

#endif
