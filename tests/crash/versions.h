/* SPDX-License-Identifier: MIT */
/*
 * versions: the batches of a crash run, and what the store holds after each.
 *
 * A version's batch follows from its number and version_seed: puts of small
 * values and of such that fill many pages, deletes of keys and ranges, a bucket
 * that is made and dropped, some batches too large for the log; and key "n"
 * says which version it is.  A plain array plays the same batches, and gives
 * the digest that the store's contents must have.
 */
#ifndef CRASH_VERSIONS_H
#define CRASH_VERSIONS_H

#include "format/batch.h"

extern uint64_t version_seed;

#define VERSION_DIGEST_START 14695981039346656037ull

/* The batch that makes version `version` (1 and up) of the one before; free with batch_fini. */
void version_batch(unsigned version, struct batch *batch);

/* Digests of versions 0 to `count` - 1. */
void version_digests(uint64_t *digests, unsigned count);

/* What a digest is made of: buckets in order of their names, each with its entries. */
void version_digest_bucket(uint64_t *digest, const void *name, size_t name_size);
void version_digest_entry(uint64_t *digest, const void *key, size_t key_size, const void *value,
                          size_t value_size);

/* The number in the value of key "n". */
unsigned version_parse(const void *value, size_t value_size);

#endif
