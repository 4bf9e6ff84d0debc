/* SPDX-License-Identifier: MIT */
/*
 * dataset: the entries that every store gets, made before any clock runs.
 *
 * Keys are random bytes.  A value is computed from its key and a version, so
 * that whoever reads one can check it without looking anything up.
 */
#ifndef BENCH_DATASET_H
#define BENCH_DATASET_H

#include "adapter.h"

#include <string.h>

#define KEY_BYTES 16
#define VALUE_BYTES 100

/* A small fast generator (xorshift64*); `state` must not be 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

/* Eight bytes of the value: word 0 begins it, word 1 ends it. */
static inline uint64_t value_word(const void *key, uint64_t version, unsigned word)
{
    uint64_t half;

    memcpy(&half, (const char *)key + 8 * word, sizeof(half));
    return (half ^ 0x9e3779b97f4a7c15ULL) + version * 0xd6e8feb86659fd93ULL;
}

/*
 * Checks the value's size, its first and its last eight bytes: that touches
 * all of its cache lines at little cost.  value_check_whole compares all of it.
 */
static inline bool value_check(struct slice key, struct slice value, uint64_t version)
{
    uint64_t first, last;

    if (key.size != KEY_BYTES || value.size != VALUE_BYTES) {
        return false;
    }
    memcpy(&first, value.data, sizeof(first));
    memcpy(&last, (const char *)value.data + VALUE_BYTES - sizeof(last), sizeof(last));
    return first == value_word(key.data, version, 0) && last == value_word(key.data, version, 1);
}

bool value_check_whole(struct slice key, struct slice value, uint64_t version);
void value_fill(const void *key, uint64_t version, void *value);

struct dataset {
    size_t count;
    uint8_t (*keys)[KEY_BYTES];
    uint8_t (*values)[VALUE_BYTES]; /* of version 0 */
};

/* Random keys in random order.  Lives as long as the process. */
void dataset_create(struct dataset *dataset, size_t count, uint64_t seed);

/* The same entries in ascending order of keys, in memory of their own. */
void dataset_sort(const struct dataset *dataset, struct dataset *sorted);

/* The keys in another order, one after the other in memory, to look up. */
struct probes {
    size_t count;
    size_t next;
    uint8_t (*keys)[KEY_BYTES];
};

struct probes *probes_create(const struct dataset *dataset, uint64_t seed);

/* The next `count` keys (at most all there are); from the start when too few are left. */
const uint8_t (*probes_take(struct probes *probes, size_t count))[KEY_BYTES];

#endif
