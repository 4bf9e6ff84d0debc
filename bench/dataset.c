/* SPDX-License-Identifier: MIT */
/*
 * dataset: see dataset.h.
 */
#include "dataset.h"

#include "harness.h"

#include <stdlib.h>

void value_fill(const void *key, uint64_t version, void *value)
{
    uint64_t state = value_word(key, version, 0) | 1;
    uint8_t *byte = value;
    uint64_t word;

    for (size_t at = 0; at < VALUE_BYTES; at += sizeof(word)) {
        size_t left = VALUE_BYTES - at;
        word = random_next(&state);
        memcpy(byte + at, &word, left < sizeof(word) ? left : sizeof(word));
    }
    word = value_word(key, version, 0);
    memcpy(byte, &word, sizeof(word));
    word = value_word(key, version, 1);
    memcpy(byte + VALUE_BYTES - sizeof(word), &word, sizeof(word));
}

bool value_check_whole(struct slice key, struct slice value, uint64_t version)
{
    uint8_t expected[VALUE_BYTES];

    if (key.size != KEY_BYTES || value.size != VALUE_BYTES) {
        return false;
    }
    value_fill(key.data, version, expected);
    return memcmp(value.data, expected, VALUE_BYTES) == 0;
}

void dataset_create(struct dataset *dataset, size_t count, uint64_t seed)
{
    dataset->count = count;
    dataset->keys = bench_alloc(count * sizeof(*dataset->keys));
    dataset->values = bench_alloc(count * sizeof(*dataset->values));
    for (size_t i = 0; i < count; i++) {
        uint64_t halves[2] = {random_next(&seed), random_next(&seed)};
        memcpy(dataset->keys[i], halves, sizeof(halves));
        value_fill(dataset->keys[i], 0, dataset->values[i]);
    }
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, KEY_BYTES);
}

void dataset_sort(const struct dataset *dataset, struct dataset *sorted)
{
    sorted->count = dataset->count;
    sorted->keys = bench_alloc(sorted->count * sizeof(*sorted->keys));
    sorted->values = bench_alloc(sorted->count * sizeof(*sorted->values));
    memcpy(sorted->keys, dataset->keys, sorted->count * sizeof(*sorted->keys));
    qsort(sorted->keys, sorted->count, KEY_BYTES, compare_keys);
    for (size_t i = 0; i < sorted->count; i++) {
        value_fill(sorted->keys[i], 0, sorted->values[i]);
    }
}

struct probes *probes_create(const struct dataset *dataset, uint64_t seed)
{
    struct probes *probes = bench_alloc(sizeof(*probes));

    probes->count = dataset->count;
    probes->keys = bench_alloc(dataset->count * sizeof(*probes->keys));
    /* Fisher and Yates, inside out. */
    for (size_t i = 0; i < dataset->count; i++) {
        size_t other = (size_t)(random_next(&seed) % (i + 1));
        memcpy(probes->keys[i], probes->keys[other], KEY_BYTES);
        memcpy(probes->keys[other], dataset->keys[i], KEY_BYTES);
    }
    return probes;
}

const uint8_t (*probes_take(struct probes *probes, size_t count))[KEY_BYTES]
{
    size_t first = count <= probes->count - probes->next ? probes->next : 0;

    probes->next = first + count;
    return (const uint8_t(*)[KEY_BYTES])(probes->keys + first);
}
