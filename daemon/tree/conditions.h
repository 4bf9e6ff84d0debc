/* SPDX-License-Identifier: MIT */
/*
 * conditions: judge what a batch requires of a key, when its turn comes.
 *
 * Live only: a batch in the log was accepted, and is not judged again.
 */
#ifndef TREE_CONDITIONS_H
#define TREE_CONDITIONS_H

#include "format/batch.h"
#include "tree/tree_write.h"

/*
 * Judges an operation of type BATCH_REQUIRE_*.  BTS_CONFLICT: it does not hold,
 * the text names the key; BTS_DAMAGED.
 */
BTS_MUST_USE enum bts_status conditions_judge(const struct tree *tree,
                                              const struct batch_operation *operation,
                                              struct bts_error *error);

#endif
