/* SPDX-License-Identifier: MIT */
/*
 * tree_model: what a bucket must hold, as a sorted array.
 *
 * Every change is made in a tree and in the array, and what the tree says of
 * it (replaced, found, how many) is held against the array.  Values are not
 * kept: a value follows from its seed and size.
 *
 * Everything here stops the test on failure.
 */
#ifndef TREE_MODEL_H
#define TREE_MODEL_H

#include "tree/tree_write.h"

struct model_entry {
    uint8_t *key; /* owned */
    size_t key_size;
    uint64_t seed;
    size_t size;
};

struct tree_model {
    struct model_entry *entries; /* ascending */
    size_t count;
    size_t room;
    uint8_t *buffer;             /* of values */
    size_t buffer_size;
};

void model_init(struct tree_model *model);
void model_fini(struct tree_model *model);

/* The value of a seed; valid until the next call. */
const void *model_value(struct tree_model *model, uint64_t seed, size_t size);

void model_put(struct tree_model *model, struct tree *tree, const void *key, size_t key_size,
               uint64_t seed, size_t size);
void model_delete(struct tree_model *model, struct tree *tree, const void *key, size_t key_size);
/* NULL: open. */
void model_delete_range(struct tree_model *model, struct tree *tree, const void *from,
                        size_t from_size, const void *to, size_t to_size);

/* Only the array: what another way has done to the tree. */
void model_note_put(struct tree_model *model, const void *key, size_t key_size, uint64_t seed,
                    size_t size, bool *replaced);

/* Walks the tree and holds every entry against the array. */
void model_compare(struct tree_model *model, const struct tree_view *view);

#endif
