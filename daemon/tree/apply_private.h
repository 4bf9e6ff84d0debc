/* SPDX-License-Identifier: MIT */
/*
 * apply_private: one operation at a time, for apply.c and gather.c alone.
 */
#ifndef TREE_APPLY_PRIVATE_H
#define TREE_APPLY_PRIVATE_H

#include "tree/apply.h"
#include "tree/tree_write.h"

/* Zero what is not said. */
struct apply {
    struct buckets *buckets;
    enum apply_mode mode;
    struct apply_results *results; /* NULL: nobody asks */
    uint32_t bucket_id;            /* in use */
    struct bts_bytes bucket_name;  /* of it, for messages; data NULL: chosen by number */
    struct tree *tree;             /* of it; NULL: to be opened */
    struct tree_place place;       /* where the last put went, if nothing came since */
};

/* Does one operation; on failure whoever called undoes all since his savepoint. */
BTS_MUST_USE enum bts_status apply_operation(struct apply *apply,
                                             const struct batch_operation *operation,
                                             struct bts_error *error);

#endif
