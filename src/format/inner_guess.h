/* SPDX-License-Identifier: MIT */
/*
 * inner_guess: find a head by where it ought to be.
 *
 * Heads of keys that lie evenly need no halving: how far a head lies between
 * the first and the last one says where it stands, give or take a few places.
 * Sixteen heads around the guess are compared at once; if the place is among
 * them the search is over, two cache lines instead of five.  Where keys lie
 * in clusters the guess is wrong and costs a quarter of the search it was to
 * save; so each page is tried once, when it is verified, and its mark says
 * whether guessing pays (page_source.h).
 *
 * Keys that end in decimal digits are even only when digits are counted in
 * tens: heads of four ASCII digits are turned into the number they write.
 *
 * Invariants
 *  (1) A guess is never believed: the sixteen heads say whether the place is
 *      among them.
 *  (2) Whatever the heads are, nothing outside heads[0, n) is read.
 */
#ifndef FORMAT_INNER_GUESS_H
#define FORMAT_INNER_GUESS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define INNER_GUESS_WIDTH 16u
#define INNER_GUESS_MISS UINT32_MAX

/* How many of the 16 ascending heads at `at` are <= `head`. */
static inline unsigned inner_guess_count(const uint32_t *at, uint32_t head)
{
#ifdef __SSE2__
    /* SSE2 compares signed numbers only: flip the sign of both. */
    const __m128i flip = _mm_set1_epi32((int)0x80000000u);
    const __m128i *lines = (const __m128i *)(const void *)at;
    __m128i want = _mm_xor_si128(_mm_set1_epi32((int)head), flip);
    __m128i above[4];

    for (unsigned i = 0; i < 4; i++) {
        above[i] = _mm_cmpgt_epi32(_mm_xor_si128(_mm_loadu_si128(lines + i), flip), want);
    }
    above[0] = _mm_packs_epi16(_mm_packs_epi32(above[0], above[1]),
                               _mm_packs_epi32(above[2], above[3]));
    return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(above[0]) | 0x10000u);
#else
    unsigned count = 0;

    for (unsigned i = 0; i < INNER_GUESS_WIDTH; i++) {
        count += at[i] <= head;
    }
    return count;
#endif
}

static inline bool inner_guess_is_digits(uint32_t head)
{
    return (head & 0xf0f0f0f0u) == 0x30303030u;
}

/* The number that four ASCII digits write; of anything else, something. */
static inline uint32_t inner_guess_number(uint32_t head)
{
    uint32_t pairs = (head >> 8 & 0x000f000fu) * 10 + (head & 0x000f000fu);

    return (pairs >> 16) * 100 + (pairs & 0xffffu);
}

/* The first of the 16 heads among which the place of `head` ought to be; low <= head < high. */
static inline unsigned inner_guess_window(uint32_t low, uint32_t high, unsigned n, uint32_t head)
{
    unsigned last = n - INNER_GUESS_WIDTH;
    uint64_t place;

    if (inner_guess_is_digits(low) && inner_guess_is_digits(high)) {
        low = inner_guess_number(low);
        high = inner_guess_number(high);
        head = inner_guess_number(head);
        high += high == low; /* bytes 0x3a to 0x3f count as well, so it need not be above */
    }
    place = (uint64_t)(uint32_t)(head - low) * n / (uint32_t)(high - low);
    place = place > INNER_GUESS_WIDTH / 2 ? place - INNER_GUESS_WIDTH / 2 : 0;
    return place < last ? (unsigned)place : last;
}

/*
 * How many of n ascending heads are <= `head`; INNER_GUESS_MISS: the guess was
 * wrong.  Asks for what lies `behind` bytes after the heads it looks at.
 */
static inline unsigned inner_guess(const uint32_t *heads, unsigned n, uint32_t head, size_t behind)
{
    unsigned first, count;

    if (n < INNER_GUESS_WIDTH) {
        return INNER_GUESS_MISS;
    }
    if (head < heads[0]) {
        return 0;
    }
    if (head >= heads[n - 1]) {
        return n;
    }
    first = inner_guess_window(heads[0], heads[n - 1], n, head);
    __builtin_prefetch((const char *)(heads + first + INNER_GUESS_WIDTH / 2) + behind);
    count = inner_guess_count(heads + first, head);
    return count - 1 < INNER_GUESS_WIDTH - 1 ? first + count : INNER_GUESS_MISS;
}

/* Whether guessing pays in this page: at 32 places spread over it, at most 3 misses. */
bool inner_guess_pays(const uint32_t *heads, unsigned n);

#endif
