/* SPDX-License-Identifier: MIT */
/*
 * snapshot_private: what the opaque words of the public structs hold.
 *
 * `mark` answers two questions with one load: it points to the store's fork
 * mark while the snapshot is open, and to a word that is never set afterwards.
 */
#ifndef CLIENT_SNAPSHOT_PRIVATE_H
#define CLIENT_SNAPSHOT_PRIVATE_H

#include "client/store.h"
#include "read/cursor.h"

/* may_alias: the caller's memory has the public type. */
struct snapshot {
    const fork_mark *mark;
    const struct page_source *source;
    struct snapshot_root state;
    struct slot *slot;
    struct attachment *attachment;
} __attribute__((may_alias));
_Static_assert(sizeof(struct snapshot) <= sizeof(struct bts_snapshot), "a snapshot fits");
_Static_assert(_Alignof(struct snapshot) <= _Alignof(struct bts_snapshot), "and is aligned");

struct snapshot_cursor {
    struct cursor cursor;
    const fork_mark *mark;
    struct attachment *attachment;
} __attribute__((may_alias));
_Static_assert(sizeof(struct snapshot_cursor) <= sizeof(struct bts_cursor), "a cursor fits");
_Static_assert(_Alignof(struct snapshot_cursor) <= _Alignof(struct bts_cursor), "and is aligned");

static inline const struct snapshot *snapshot_of(const struct bts_snapshot *snapshot)
{
    return (const struct snapshot *)snapshot;
}

static inline struct bts_store *snapshot_store(const struct snapshot *snapshot)
{
    return snapshot->attachment->store;
}

/* BTS_FORKED or BTS_INVALID: why the snapshot cannot be read. */
enum bts_status snapshot_unusable(const struct snapshot *snapshot, struct bts_error *error);

/* The bucket directory of the state. */
static inline struct tree_view snapshot_directory(const struct snapshot *snapshot)
{
    return (struct tree_view){.source = snapshot->source,
                              .root = snapshot->state.root,
                              .depth = snapshot->state.depth,
                              .txnid = snapshot->state.txnid};
}

/* The tree of a bucket. */
static inline struct tree_view snapshot_bucket(const struct snapshot *snapshot,
                                               const struct bts_bucket *bucket)
{
    return (struct tree_view){.source = snapshot->source,
                              .root = bucket->root,
                              .depth = bucket->depth,
                              .txnid = snapshot->state.txnid};
}

#endif
