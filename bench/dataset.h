/* SPDX-License-Identifier: MIT */
/*
 * dataset: the entries that every store gets, and the keys that are looked up.
 *
 * An entry is computed from its index, so that 10M of them need no memory:
 *
 *   random   16 random bytes                              values of 100 bytes
 *   prefix   user:00001234                                values of 100 bytes
 *   url      forum4.io/about/news/0b3k2, 10 to 60 bytes   values of 8 bytes
 *
 * Indexes ascend in random key order.  An index at or above the count gives a
 * key that is in no store and lies among those that are.  A value is computed
 * from its key and a version: whoever reads one can check it without looking
 * anything up.
 *
 * Probes are keys made before a clock runs, one after the other in memory.
 */
#ifndef BENCH_DATASET_H
#define BENCH_DATASET_H

#include "adapter.h"

#include <string.h>

#define KEY_BYTES_MAX 64
#define VALUE_BYTES_MAX 100

enum key_set { KEYS_RANDOM, KEYS_PREFIX, KEYS_URL, KEY_SETS };

struct dataset {
    enum key_set keys;
    size_t count;
    size_t value_bytes;
};

/* Scans and gets check whole values while this is set, else both ends: see value_check. */
extern bool dataset_check_whole;

const char *key_set_name(enum key_set keys);
void dataset_init(struct dataset *dataset, enum key_set keys, size_t count);

/* The key of an index, written to `key`, which has room for KEY_BYTES_MAX. */
struct slice dataset_key(const struct dataset *dataset, size_t index, void *key);

/* "random/1M" */
void dataset_label(const struct dataset *dataset, char label[32]);

/* A small fast generator (xorshift64*); `state` must not be 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

/* ---- values -------------------------------------------------------------- */

/* The eight bytes that begin a value, and, `turned`, those that end it. */
static inline uint64_t value_word(struct slice key, uint64_t version, uint64_t turned)
{
    const char *bytes = key.data;
    uint64_t first, last;

    memcpy(&first, bytes, sizeof(first)); /* no key is shorter */
    memcpy(&last, bytes + key.size - sizeof(last), sizeof(last));
    return (first ^ 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL + last * 0xc4ceb9fe1a85ec53ULL +
           (version + 1) * 0xd6e8feb86659fd93ULL + turned;
}

void value_fill(struct slice key, uint64_t version, void *value, size_t size);
bool value_check_whole(struct slice key, struct slice value, uint64_t version);

/*
 * Checks a value's size, its first and its last eight bytes: that touches all
 * of its cache lines at little cost.
 */
static inline bool value_check(struct slice key, struct slice value, size_t size)
{
    uint64_t first, last;

    if (value.size != size || key.size < sizeof(first)) {
        return false;
    }
    if (__builtin_expect(dataset_check_whole, 0)) {
        return value_check_whole(key, value, 0);
    }
    memcpy(&first, value.data, sizeof(first));
    memcpy(&last, (const char *)value.data + size - sizeof(last), sizeof(last));
    return first == value_word(key, 0, 0) && (size == 8 || last == value_word(key, 0, 1));
}

/* ---- probes -------------------------------------------------------------- */

enum probe_kind {
    PROBE_UNIFORM, /* all there, each as likely */
    PROBE_MISSES,  /* one in ten is not there */
    PROBE_ZIPF,    /* all there, the k-th with likelihood 1/k */
};

#define PROBE_ABSENT 0x80 /* bit of a probe's size: the key is in no store */

struct probes {
    enum probe_kind kind;
    size_t count;
    size_t next;
    uint64_t state;
    size_t stride;
    uint8_t *sizes;
    uint8_t *keys; /* count * stride */
};

struct probes *probes_create(const struct dataset *dataset, enum probe_kind kind, size_t count,
                             uint64_t seed);

/* Other keys, for the next round. */
void probes_renew(struct probes *probes, const struct dataset *dataset);

/* The next key, and from the start after the last one. */
static inline struct slice probes_next(struct probes *probes, bool *is_there)
{
    size_t at = probes->next;

    probes->next = at + 1 < probes->count ? at + 1 : 0;
    *is_there = (probes->sizes[at] & PROBE_ABSENT) == 0;
    return (struct slice){probes->keys + at * probes->stride, probes->sizes[at] & ~PROBE_ABSENT};
}

#endif
