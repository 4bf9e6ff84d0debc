/* SPDX-License-Identifier: MIT */
/*
 * gather: the operations of many batches, done in the order of their keys.
 *
 * For replay, where a batch is an accepted fact, its results go nowhere, and
 * nobody sees the tree between two batches.  Then operations on different keys
 * may change places, if each looks at its own key only: puts with or without a
 * mode, deletes, increments.  Those on one key stay in their order, and those
 * that a later one overwrites whatever it finds are left out.
 *
 * A batch that has anything else (a range, a bucket made or dropped or named
 * otherwise) is a fence: what was gathered is done first, then the batch as it
 * stands.  So the name of a bucket means the same when an operation is
 * gathered and when it is done.
 *
 * There is no savepoint around what was gathered: on any failure the whole
 * group must be aborted.
 */
#ifndef TREE_GATHER_H
#define TREE_GATHER_H

#include "tree/buckets.h"

/* Operations that are gathered at most, of 48 bytes each while they are sorted. */
#define GATHER_MAX (1u << 20)

struct gathered;

/* Zero to start, but for the first three. */
struct gather {
    struct buckets *buckets;
    struct pages *pages;
    size_t private_max;    /* bytes of private pages that are kept in memory */
    struct gathered *list; /* owned */
    size_t count;
    size_t room;
    size_t common;         /* bytes in which all their keys begin alike */
    size_t written;        /* bytes that went to the file since the disk was let begin */
};
void gather_fini(struct gather *gather);

/*
 * Takes a batch that passed batch_check.  Its bytes must stay where they are
 * until gather_apply, or until gather->count is 0.  Fails as apply_batch and
 * gather_apply do.
 */
BTS_MUST_USE enum bts_status gather_batch(struct gather *gather, const void *batch, size_t size,
                                          struct bts_error *error);

/* Does what was gathered; private pages go to the file whenever they are too many. */
BTS_MUST_USE enum bts_status gather_apply(struct gather *gather, struct bts_error *error);

#endif
