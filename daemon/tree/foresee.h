/* SPDX-License-Identifier: MIT */
/*
 * foresee: the pages that coming operations will visit, asked for early.
 *
 * An operation on a random key waits for memory at each page on its way to the
 * leaf, and copying that leaf waits again.  Descents that go side by side wait
 * for all at once; the operations themselves, done one after the other behind
 * them, then find everything at hand.
 *
 * Nothing depends on it: a page that is not known to be whole, or that changes
 * before its operation comes, only means that somebody waits after all.
 */
#ifndef TREE_FORESEE_H
#define TREE_FORESEE_H

#include "tree/tree_write.h"

#define FORESEE_MAX 16u

/* The leaves of these keys, FORESEE_MAX at most. */
void foresee_keys(const struct tree *tree, const struct bts_bytes *keys, unsigned count);

#endif
