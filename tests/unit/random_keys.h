/* SPDX-License-Identifier: MIT */
/*
 * random_keys: keys as programs make them, the same row on every machine.
 *
 * Each kind stresses something else: numbered keys share prefixes longer than
 * a head, URLs differ late, words over {0, a, b} are prefixes of each other
 * and end in zero bytes, deep keys fill pages with their common prefix.
 */
#ifndef RANDOM_KEYS_H
#define RANDOM_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define RANDOM_KEY_MAX 1024

enum random_keys {
    RANDOM_KEYS_BYTES, /* 1 to 40 bytes of noise */
    RANDOM_KEYS_USERS, /* user:00001234 */
    RANDOM_KEYS_URLS,  /* https://example.com/docs/4711, 20 to 60 bytes */
    RANDOM_KEYS_WORDS, /* 1 to 7 bytes of 0, a, b */
    RANDOM_KEYS_DEEP,  /* one of two prefixes of 200 and 300 bytes, then a word */
    RANDOM_KEYS_HUGE,  /* up to the largest key */
    RANDOM_KEYS_KINDS,
};

struct random {
    uint64_t state; /* not 0 */
};

/* xorshift64*. */
static inline uint64_t random_below(struct random *random, uint64_t below)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (random->state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

static inline void random_bytes(struct random *random, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)random_below(random, 256);
    }
}

static inline size_t random_word(struct random *random, uint8_t *out)
{
    size_t size = 1 + random_below(random, 7);

    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)"\0ab"[random_below(random, 3)];
    }
    return size;
}

static inline size_t random_url(struct random *random, uint8_t *out)
{
    static const char *const hosts[] = {"example.com", "kernel.org", "x.io", "lists.debian.org"};
    static const char *const paths[] = {"docs", "news/article", "img", "user/profile"};
    char text[61];
    int size = snprintf(text, sizeof(text), "https://%s/%s/%u", hosts[random_below(random, 4)],
                        paths[random_below(random, 4)], (unsigned)random_below(random, 1000000));

    memcpy(out, text, (size_t)size);
    return (size_t)size;
}

static inline size_t random_user(struct random *random, uint8_t *out)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "user:%08u", (unsigned)random_below(random, 100000));

    memcpy(out, text, (size_t)size);
    return (size_t)size;
}

/* Writes a key of at most `most` >= 320 bytes; its size. */
static inline size_t random_key(struct random *random, enum random_keys kind, size_t most,
                                uint8_t out[RANDOM_KEY_MAX])
{
    size_t size;

    switch (kind) {
    case RANDOM_KEYS_USERS:
        return random_user(random, out);
    case RANDOM_KEYS_URLS:
        return random_url(random, out);
    case RANDOM_KEYS_WORDS:
        return random_word(random, out);
    case RANDOM_KEYS_DEEP:
        size = random_below(random, 20) == 0 ? 300 : 200;
        memset(out, 'p', size);
        return size + random_word(random, out + size);
    case RANDOM_KEYS_HUGE:
        size = 1 + random_below(random, most < RANDOM_KEY_MAX ? most : RANDOM_KEY_MAX);
        memset(out, 'h', size);
        random_bytes(random, out + random_below(random, size), 1);
        return size;
    default:
        size = 1 + random_below(random, 40);
        random_bytes(random, out, size);
        return size;
    }
}

#endif
