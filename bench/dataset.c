/* SPDX-License-Identifier: MIT */
/*
 * dataset: see dataset.h.
 */
#include "dataset.h"

#include "harness.h"

#include <math.h>
#include <stdio.h>

#define FEISTEL_ROUNDS 4
#define SEGMENTS_MAX 6

bool dataset_check_whole;

static const char *const names[KEY_SETS] = {"random", "prefix", "url"};

static const char *const words[32] = {
    "about", "api",   "blog",  "books", "cart",  "docs",  "events", "faq",
    "forum", "games", "help",  "home",  "images", "index", "item",   "jobs",
    "login", "maps",  "music", "news",  "page",  "photo", "posts",  "search",
    "shop",  "sport", "store", "tags",  "topics", "user",  "video",  "wiki",
};

const char *key_set_name(enum key_set keys)
{
    return names[keys];
}

void dataset_init(struct dataset *dataset, enum key_set keys, size_t count)
{
    *dataset = (struct dataset){keys, count, keys == KEYS_URL ? 8 : VALUE_BYTES_MAX};
}

void dataset_label(const struct dataset *dataset, char label[32])
{
    size_t count = dataset->count;

    if (count % 1000000 == 0) {
        snprintf(label, 32, "%s/%zuM", names[dataset->keys], count / 1000000);
    } else if (count % 1000 == 0) {
        snprintf(label, 32, "%s/%zuk", names[dataset->keys], count / 1000);
    } else {
        snprintf(label, 32, "%s/%zu", names[dataset->keys], count);
    }
}

/* ---- keys ---------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/*
 * A random permutation of the numbers below `count`: a Feistel network over
 * the next even number of bits, walked until it comes back below the count.
 */
static size_t permute(size_t index, size_t count)
{
    unsigned half = 1;
    uint64_t mask;

    while (((uint64_t)1 << (2 * half)) < count) {
        half++;
    }
    mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = index >> half;
        uint64_t right = index & mask;
        for (unsigned round = 0; round < FEISTEL_ROUNDS; round++) {
            uint64_t next = left ^ (mix(right + round * 0x10001) & mask);
            left = right;
            right = next;
        }
        index = (size_t)((left << half) | right);
    } while (index >= count);
    return index;
}

static size_t random_key(size_t index, uint8_t *key)
{
    uint64_t halves[2] = {mix(2 * index), mix(2 * index + 1)};

    memcpy(key, halves, sizeof(halves));
    return sizeof(halves);
}

/* At most eight digits, most significant first. */
static size_t digits(size_t number, unsigned base, unsigned count, uint8_t *text)
{
    for (unsigned i = count; i > 0; i--) {
        text[i - 1] = (uint8_t)"0123456789abcdefghijklmnopqrstuvwxyz"[number % base];
        number /= base;
    }
    return count;
}

static size_t prefix_key(size_t number, uint8_t *key)
{
    memcpy(key, "user:", 5);
    return 5 + digits(number, 10, number < 100000000 ? 8 : 10, key + 5);
}

static size_t put_word(const char *word, uint8_t *key)
{
    size_t size = strlen(word);

    memcpy(key, word, size);
    return size;
}

static size_t url_key(size_t number, uint8_t *key)
{
    uint64_t random = mix(number);
    unsigned segments = (unsigned)(random >> 45) % (SEGMENTS_MAX + 1);
    size_t size = put_word(words[random % 32], key);

    size += digits((random >> 5) % 16, 16, 1, key + size);
    size += put_word(".io/", key + size);
    for (unsigned i = 0; i < segments; i++) {
        size += put_word(words[(random >> (10 + 5 * i)) % 32], key + size);
        key[size++] = '/';
    }
    return size + digits(number, 36, 6, key + size);
}

struct slice dataset_key(const struct dataset *dataset, size_t index, void *key)
{
    bool is_there = index < dataset->count;
    uint8_t *bytes = key;
    size_t size, number;

    if (dataset->keys == KEYS_RANDOM) {
        return (struct slice){key, random_key(index, bytes)};
    }
    number = permute(is_there ? index : index % dataset->count, dataset->count);
    size = dataset->keys == KEYS_PREFIX ? prefix_key(number, bytes) : url_key(number, bytes);
    if (!is_there) {
        bytes[size++] = '-';
    }
    return (struct slice){key, size};
}

/* ---- values -------------------------------------------------------------- */

void value_fill(struct slice key, uint64_t version, void *value, size_t size)
{
    uint64_t state = value_word(key, version, 0) | 1;
    uint8_t *byte = value;
    uint64_t word;

    for (size_t at = 0; at < size; at += sizeof(word)) {
        size_t left = size - at;
        word = random_next(&state);
        memcpy(byte + at, &word, left < sizeof(word) ? left : sizeof(word));
    }
    word = value_word(key, version, 1);
    memcpy(byte + size - sizeof(word), &word, sizeof(word));
    word = value_word(key, version, 0);
    memcpy(byte, &word, sizeof(word));
}

bool value_check_whole(struct slice key, struct slice value, uint64_t version)
{
    uint8_t expected[VALUE_BYTES_MAX];

    if (value.size != bench.dataset.value_bytes) {
        return false;
    }
    value_fill(key, version, expected, value.size);
    return memcmp(value.data, expected, value.size) == 0;
}

/* ---- probes -------------------------------------------------------------- */

static size_t probe_index(struct probes *probes, size_t count)
{
    uint64_t random = random_next(&probes->state);

    switch (probes->kind) {
    case PROBE_MISSES:
        return (size_t)((random >> 8) % count) + (random % 10 == 0 ? count : 0);
    case PROBE_ZIPF:
        return (size_t)exp((double)(random >> 11) * 0x1p-53 * log((double)count));
    default:
        return (size_t)(random % count);
    }
}

void probes_renew(struct probes *probes, const struct dataset *dataset)
{
    for (size_t i = 0; i < probes->count; i++) {
        uint8_t key[KEY_BYTES_MAX];
        size_t index = probe_index(probes, dataset->count);
        struct slice made = dataset_key(dataset, index, key);
        memcpy(probes->keys + i * probes->stride, key, made.size);
        probes->sizes[i] = (uint8_t)(made.size | (index < dataset->count ? 0 : PROBE_ABSENT));
    }
    probes->next = 0;
}

struct probes *probes_create(const struct dataset *dataset, enum probe_kind kind, size_t count,
                             uint64_t seed)
{
    struct probes *probes = bench_alloc(sizeof(*probes));

    *probes = (struct probes){.kind = kind, .count = count, .state = mix(seed) | 1,
                              .stride = dataset->keys == KEYS_URL ? KEY_BYTES_MAX : 16};
    probes->sizes = bench_alloc(count);
    probes->keys = bench_alloc(count * probes->stride);
    probes_renew(probes, dataset);
    return probes;
}
