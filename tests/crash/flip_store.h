/* SPDX-License-Identifier: MIT */
/*
 * flip_store: a store made by the engine, what it must hold, and its bytes to
 * be damaged in place.
 *
 * The model is made before the store and never read back from it: an entry's
 * bytes follow from its number.  A store with a log holds `log_commits` more
 * commits there than its checkpoint has; version v of the model is the store
 * after v of them.
 *
 * It knows what lies where (flip_place), so that rows can draw from pages of
 * one type; it does not flip and does not judge a flip: bitflip.c does.
 */
#ifndef FLIP_STORE_H
#define FLIP_STORE_H

#include <stdio.h>

#include "commit/commit.h"
#include "format/meta.h"

enum flip_keys {
    FLIP_KEYS_SHORT, /* "user 0012ab34", many to a leaf */
    FLIP_KEYS_LONG,  /* hundreds of bytes, few to a page: trees get deep */
};

struct flip_shape {
    const char *name;
    size_t page_size;
    enum flip_keys keys;
    unsigned key_count;      /* over all buckets that are not empty */
    unsigned bucket_count;   /* with entries, `default` among them */
    unsigned empty_buckets;  /* with long names, to make the directory deep */
    size_t value_max;
    unsigned run_each;       /* every so manieth value is larger than a page; 0: none */
    unsigned log_commits;    /* after the checkpoint; 0: stopped cleanly */
    bool is_far;             /* part of it lies in the second group of the space map */
};

/* What a page, or a stretch of the log, is. */
enum flip_type {
    FLIP_META,
    FLIP_MAP,
    FLIP_DIRECTORY,       /* leaves of the bucket directory */
    FLIP_DIRECTORY_INNER,
    FLIP_INNER,
    FLIP_LEAF,
    FLIP_RUN,
    FLIP_PAGE_TYPES,
    FLIP_LOG_HEADER = FLIP_PAGE_TYPES, /* segment headers */
    FLIP_LOG_DURABLE,     /* frames that a later frame says were durable */
    FLIP_LOG_LAST,        /* the last frame: nothing says that it was acknowledged */
    FLIP_LOG_REST,        /* padding and segments that hold nothing: not live */
    FLIP_TYPES,
};
extern const char *const flip_type_names[FLIP_TYPES];

/* Bytes [offset, offset + size) of the file or the log, all of one type. */
struct flip_place {
    enum flip_type type;
    uint64_t offset;
    uint64_t size;
    pgno_t pgno;        /* of the page that a report must name; 0 in the log */
    unsigned version;   /* log: what is left without it; the commits before */
};

struct flip_entry {
    struct bts_bytes key;
    struct bts_bytes value;
};

struct flip_bucket {
    char name[BTS_BUCKET_NAME_MAX + 1];
    struct flip_entry *entries; /* ascending */
    size_t count;
};

struct flip_store {
    struct flip_shape shape;
    char directory[200];
    char path[220];
    char log_path[240];
    struct flip_bucket *buckets; /* buckets[0] is `default`, at version 0 */
    size_t bucket_count;
    struct flip_bucket *versions; /* of `default`: log_commits + 1 of them */
    struct meta meta;
    uint8_t *file;           /* mapped for writing: flips are made here */
    uint64_t file_size;
    uint8_t *log;            /* likewise; NULL: none */
    uint64_t log_size;
    struct flip_place *places;
    size_t place_count;
    size_t type_first[FLIP_TYPES + 1]; /* places of a type: [type_first[t], type_first[t + 1]) */
};

/* Makes it in a folder of its own below `base`; a failure ends the program and says why. */
void flip_store_create(struct flip_store *store, const char *base, const struct flip_shape *shape);
void flip_store_destroy(struct flip_store *store);

static inline size_t flip_store_place_count(const struct flip_store *store, enum flip_type type)
{
    return store->type_first[type + 1] - store->type_first[type];
}

/* What one reading found; see flip_read. */
struct flip_reading {
    bool damage;             /* something was refused as damaged */
    bool wrong;              /* the text says what */
    char text[BTS_ERROR_TEXT_MAX];
};

/*
 * Reads all entries of all buckets from the open store `open` by cursor, and
 * `gets` keys besides (SIZE_MAX: all of them), and holds them against version
 * `version`.  Whatever is refused must be refused as damaged, naming page
 * `pgno`; PGNO_NONE: nothing may be refused.
 */
void flip_read(const struct flip_store *store, struct bts_store *open, unsigned version,
               pgno_t pgno, size_t gets, struct flip_reading *reading);

/* The version that an open store says it is of; BTS_DAMAGED: it cannot tell. */
BTS_MUST_USE enum bts_status flip_version(struct bts_store *open, unsigned *version);

/* Opens the file at `path` alone, whatever its log. */
BTS_MUST_USE enum bts_status flip_open(const char *path, struct bts_store **open,
                                       struct bts_error *error);

/* Lets an open store forget which pages it has verified, as if it had just been opened. */
void flip_forget(struct bts_store *open);

/* The engine, on the file at `path`; *commit NULL on failure. */
struct flip_engine {
    struct beacon *beacon;
    struct horizon horizon;
    struct commit *commit;
};
BTS_MUST_USE enum bts_status flip_engine_start(struct flip_engine *engine, const char *path,
                                               size_t page_size, struct bts_error *error);
void flip_engine_kill(struct flip_engine *engine);
/* Commits one entry to bucket `default`. */
BTS_MUST_USE enum bts_status flip_engine_put(struct flip_engine *engine,
                                             const struct flip_entry *entry,
                                             struct bts_error *error);

/* The same numbers in every run. */
uint64_t flip_mix(uint64_t x);

#endif
