/* SPDX-License-Identifier: MIT */
/*
 * buckets: the bucket directory in the group at work.
 *
 * Trees of buckets that the group touched are kept open (by id and by name);
 * their records go back into the directory tree once per group, by
 * buckets_flush, or the directory page would be edited with every put.
 * Creating, dropping and renaming edit the directory at once.
 */
#ifndef TREE_BUCKETS_H
#define TREE_BUCKETS_H

#include "tree/tree_write.h"

/* Buckets open at once in one group; the least recently used is flushed beyond it. */
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

/* Starts from a committed state; forgets all open trees. */
void buckets_set_root(struct buckets *buckets, const struct buckets_root *root);
/* After buckets_flush: what to publish. */
struct buckets_root buckets_root(const struct buckets *buckets);

/* Creates `default` (id 0) in an empty directory; for a new store. */
BTS_MUST_USE enum bts_status buckets_create_default(struct buckets *buckets,
                                                    struct bts_error *error);

/* The bucket's tree, valid until the next call that opens one.  BTS_NO_BUCKET, BTS_DAMAGED. */
BTS_MUST_USE enum bts_status buckets_open(struct buckets *buckets, const void *name,
                                          size_t name_size, struct tree **tree,
                                          struct bts_error *error);
BTS_MUST_USE enum bts_status buckets_open_id(struct buckets *buckets, uint32_t id,
                                             struct tree **tree, struct bts_error *error);
BTS_MUST_USE enum bts_status buckets_add(struct buckets *buckets, const void *name,
                                         size_t name_size, uint32_t *id, struct bts_error *error);
BTS_MUST_USE enum bts_status buckets_drop(struct buckets *buckets, const void *name,
                                          size_t name_size, struct bts_error *error);
BTS_MUST_USE enum bts_status buckets_rename(struct buckets *buckets, const void *old_name,
                                            size_t old_name_size, const void *new_name,
                                            size_t new_name_size, struct bts_error *error);

/* Savepoint beside pages_savepoint; undo cannot fail and needs no memory. */
BTS_MUST_USE enum bts_status buckets_savepoint(struct buckets *buckets, struct bts_error *error);
void buckets_undo(struct buckets *buckets);

/* Writes changed records into the directory tree. */
BTS_MUST_USE enum bts_status buckets_flush(struct buckets *buckets, struct bts_error *error);

#endif
