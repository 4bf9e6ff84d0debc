/* SPDX-License-Identifier: MIT */
/*
 * cuts: what a power cut may leave of the operations in doubt, and whether
 * each such image recovers.
 *
 * At each sync of a recorded run images are built from the durable state and
 * some of the operations since:
 *
 *   none, all           of them
 *   subset              every subset, of a few operations
 *   prefix              the first so many, of many
 *   lost, alone         all but one, one alone
 *   random              any
 *   torn                one write in part, at 512 bytes; the others whole
 *   size                a size change lost alone, or kept alone
 *
 * An image is recovered once, however many ways lead to it, and not at all if
 * an earlier one was the same in every page that recovery and check looked at:
 * then both can only go the same way.  It counts as distinct if the bytes that
 * its recovery read were not those of an earlier one: metas, space maps, log
 * segments, and the pages that replay visited.
 */
#ifndef CRASH_CUTS_H
#define CRASH_CUTS_H

#include "crash_run.h"
#include "recorder.h"
#include "scratch.h"

enum cut_kind {
    CUT_NONE,
    CUT_ALL,
    CUT_SUBSET,
    CUT_PREFIX,
    CUT_LOST,
    CUT_ALONE,
    CUT_RANDOM,
    CUT_TORN,
    CUT_SIZE,
    CUT_KINDS,
};

extern const char *const cut_names[CUT_KINDS];

/* What was found; it lies in memory that processes share. */
struct cut_counts {
    uint64_t built;
    uint64_t images[CUT_KINDS];    /* recovered */
    uint64_t distinct[CUT_KINDS];
    uint64_t verdicts[RUN_VERDICTS];
    uint64_t direct_groups;        /* of the lives that were cut: committed without the log */
    struct bts_error first;        /* what was wrong with the first bad one */
};

/* Hashes that were seen. */
struct hash_set {
    uint64_t *hashes;
    size_t room;                   /* a power of two */
    size_t count;
};
void hash_set_init(struct hash_set *set);
void hash_set_fini(struct hash_set *set);
/* True: it was not in there. */
bool hash_set_add(struct hash_set *set, uint64_t hash);

/* All that decided how an image's recovery and check went. */
#define CUT_CLASSES 32u
#define CUT_CLASS_PAGES 4096u
struct cut_class {
    unsigned due;                  /* what had been acknowledged */
    int names[DISK_NAMES];
    uint64_t sizes[DISK_NAMES];
    size_t count;                  /* 0: unused */
    struct disk_place *places;
    uint64_t *hashes;
};

struct cuts {
    struct oracle *oracle;
    struct cut_counts *counts;
    const char *story;             /* for messages */
    struct run run;                /* that recovers images */
    unsigned place;                /* .. in that scratch */
    struct cuts *nested;           /* cuts the recoveries of some of them; NULL: none */
    unsigned nested_each;
    unsigned nested_turn;
    unsigned samples;              /* of each kind, when there are many operations */
    unsigned torn;                 /* ways to tear one write */
    bool first;                    /* nothing is looked at once an image was bad */
    unsigned long from_sync;       /* earlier ones were cut before */
    uint64_t random;
    struct image *image;
    struct hash_set images;        /* by all their bytes */
    struct hash_set reads;         /* by what recovery read of them */
    struct cut_class classes[CUT_CLASSES]; /* a ring */
    unsigned class_next;
    struct scratch scratch;
    struct recorder *followed;     /* the one that scratch follows; NULL: none yet */
};

/* How many images were not sound. */
uint64_t cut_counts_bad(const struct cut_counts *counts);

/* `oracle` and `counts` must outlive it. */
void cuts_init(struct cuts *cuts, unsigned place, struct oracle *oracle,
               struct cut_counts *counts, unsigned samples, unsigned torn, uint64_t random);
void cuts_fini(struct cuts *cuts);

/* Before a recorder that was cut goes: its files go from the scratch. */
void cuts_forget(struct cuts *cuts);

/* For recorder.at_sync; the context is a struct cuts. */
void cuts_at_sync(void *context, struct recorder *recorder);

#endif
