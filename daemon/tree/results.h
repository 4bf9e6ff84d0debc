/* SPDX-License-Identifier: MIT */
/*
 * results: build struct apply_results (see apply.h), which the caller frees.
 */
#ifndef TREE_RESULTS_H
#define TREE_RESULTS_H

#include "tree/apply.h"

/* Forgets all results, keeping the memory. */
void results_clear(struct apply_results *results);

/* Adds a result.  BTS_NO_MEMORY: it was not added. */
BTS_MUST_USE enum bts_status results_add(struct apply_results *results,
                                         const struct apply_result *result,
                                         struct bts_error *error);

/* Copies a value, and makes the result name it: type, offset, size.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status results_take_value(struct apply_results *results,
                                                const struct bts_bytes *value,
                                                struct apply_result *result,
                                                struct bts_error *error);

#endif
