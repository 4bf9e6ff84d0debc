/* SPDX-License-Identifier: MIT */
/*
 * buckets: the bucket directory in the group at work.
 *
 * Trees of buckets that were used are kept open (by id and by name), from
 * group to group; their records go back into the directory tree once per
 * group, by buckets_flush, or the directory page would be edited with every
 * put.  Creating, dropping and renaming edit the directory at once.
 *
 * Invariants
 *  (1) The names and ids in the directory tree are always current; of the
 *      records those of open buckets may be behind, until buckets_flush.
 *  (2) Ids are never used again: the next one only grows, undo aside.
 *  (3) After buckets_undo (with pages_undo) everything is as it was at
 *      buckets_savepoint; it needs no memory and cannot fail.
 */
#ifndef TREE_BUCKETS_H
#define TREE_BUCKETS_H

#include "tree/tree_write.h"

/* Buckets kept open from one batch to the next; with more, all are flushed and closed. */
#define BUCKETS_OPEN_MAX 256u

struct buckets;

/* The state that the directory tree is in. */
struct buckets_root {
    pgno_t root;
    uint32_t depth;
    uint64_t bucket_count;
    uint32_t next_bucket_id;
};

BTS_MUST_USE enum bts_status buckets_create(struct pages *pages, struct buckets **buckets,
                                            struct bts_error *error);
void buckets_destroy(struct buckets *buckets);

/* Starts from a committed state (all zero: an empty store); forgets all open trees. */
void buckets_set_root(struct buckets *buckets, const struct buckets_root *root);
/* After buckets_flush: what to publish. */
struct buckets_root buckets_root(const struct buckets *buckets);

/* Creates `default` (id 0) in an empty directory; for a new store. */
BTS_MUST_USE enum bts_status buckets_create_default(struct buckets *buckets,
                                                    struct bts_error *error);

/*
 * The bucket's tree; valid until it is dropped, buckets_undo, buckets_savepoint
 * or buckets_set_root.  Changing it through this pointer is noticed, but only
 * until the next buckets_savepoint.  BTS_NO_BUCKET, BTS_DAMAGED, BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status buckets_open(struct buckets *buckets, const void *name,
                                          size_t name_size, struct tree **tree,
                                          struct bts_error *error);
/* By number; walks the directory unless the bucket is open. */
BTS_MUST_USE enum bts_status buckets_open_id(struct buckets *buckets, uint32_t id,
                                             struct tree **tree, struct bts_error *error);
/*
 * On any failure of these three undo the batch.  BTS_EXISTS, BTS_NO_BUCKET;
 * BTS_INVALID: `default` is neither dropped nor renamed; BTS_LIMIT.
 */
BTS_MUST_USE enum bts_status buckets_add(struct buckets *buckets, const void *name,
                                         size_t name_size, uint32_t *id, struct bts_error *error);
BTS_MUST_USE enum bts_status buckets_drop(struct buckets *buckets, const void *name,
                                          size_t name_size, struct bts_error *error);
BTS_MUST_USE enum bts_status buckets_rename(struct buckets *buckets, const void *old_name,
                                            size_t old_name_size, const void *new_name,
                                            size_t new_name_size, struct bts_error *error);

/*
 * To be taken right before pages_savepoint: it may flush, under a savepoint of
 * its own.  On failure nothing was changed.
 */
BTS_MUST_USE enum bts_status buckets_savepoint(struct buckets *buckets, struct bts_error *error);
void buckets_undo(struct buckets *buckets);

/*
 * Writes changed records into the directory tree, all or none (no savepoint
 * may be open).
 */
BTS_MUST_USE enum bts_status buckets_flush(struct buckets *buckets, struct bts_error *error);

/* Asserts that the tables find every open bucket; for tests. */
void buckets_check(const struct buckets *buckets);

#endif
