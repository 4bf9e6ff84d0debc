/* SPDX-License-Identifier: MIT */
/*
 * open_buckets: the buckets that are open, found by id and by name.
 *
 * Private to buckets.c.  An entry lives at one address until it is closed.
 * A bucket that was dropped stays in the list, `gone`, until the batch is
 * kept, and one that was renamed is found under its old name no more; what they
 * leave in the tables is passed over, and swept out at the next savepoint.
 *
 * Each entry remembers how it was at the savepoint (`then`), from the first
 * touch after it, so undo needs no memory.
 */
#ifndef TREE_OPEN_BUCKETS_H
#define TREE_OPEN_BUCKETS_H

#include "tree/tree_write.h"

struct bucket_name {
    size_t size;
    uint8_t bytes[];
};

struct open_bucket {
    struct tree tree;            /* its record is the current one */
    struct bucket_record stored; /* as the last flush left it in the directory */
    struct bucket_name *name;    /* owned */
    bool gone;                   /* dropped */
    uint64_t opened;             /* the savepoint after which it was opened */
    uint64_t touched;            /* the savepoint that `then` shows it at */
    struct {
        struct bucket_record record;
        struct bucket_name *name; /* owned where it differs from `name` */
    } then;
};

struct open_buckets {
    struct open_bucket **list;
    uint32_t *by_id;   /* index in the list, plus 1; 0: free place */
    uint32_t *by_name;
    size_t count;
    size_t places_used;   /* in by_name, old names included */
    size_t room;          /* of the list */
    bool stale;           /* since the savepoint buckets were renamed or dropped */
    size_t place_count;   /* of each table: a power of two, twice the room at least */
    uint64_t savepoint;   /* counts them */
};

void open_buckets_fini(struct open_buckets *open);
/* Closes all. */
void open_buckets_clear(struct open_buckets *open);

/* NULL: it is not open. */
struct open_bucket *open_buckets_find(const struct open_buckets *open, const void *name,
                                      size_t name_size);
struct open_bucket *open_buckets_find_id(const struct open_buckets *open, uint32_t id);

/* Adds a bucket that is not open.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status open_buckets_add(struct open_buckets *open, struct pages *pages,
                                              const struct bucket_record *record,
                                              const void *name, size_t name_size,
                                              struct open_bucket **bucket,
                                              struct bts_error *error);

/* Renames; the bucket was touched.  BTS_NO_MEMORY: nothing happened. */
BTS_MUST_USE enum bts_status open_buckets_rename(struct open_buckets *open,
                                                 struct open_bucket *bucket, const void *name,
                                                 size_t name_size, struct bts_error *error);

/* The bucket, which was touched, is found no more. */
void open_buckets_drop(struct open_buckets *open, struct open_bucket *bucket);

/* To be called before an entry is changed. */
void open_buckets_touch(struct open_buckets *open, struct open_bucket *bucket);

/* Keeps what was done, and begins to remember anew. */
void open_buckets_savepoint(struct open_buckets *open);
/* Puts every entry back to how it was at the savepoint. */
void open_buckets_undo(struct open_buckets *open);

#endif
