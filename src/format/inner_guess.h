/* SPDX-License-Identifier: MIT */
/*
 * inner_guess: find a head by where it ought to be.
 *
 * Heads of keys that lie evenly need no halving: how far a head lies between
 * the first and the last one says where it stands, give or take a few places.
 * Sixteen heads around the guess are compared at once; if the place is among
 * them the search is over, two cache lines instead of five; if not, it may be
 * among the sixteen beside them, and those beside these.  Where keys lie
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

#include "base/prefetch.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define INNER_GUESS_WIDTH 16u
#define INNER_GUESS_TRIES 3u /* the guess, and windows beside it */
#define INNER_GUESS_MISS UINT32_MAX

#ifdef __SSE2__
/* SSE2 compares signed numbers only: both sides of a comparison go through this. */
static inline __m128i inner_guess_flip(__m128i heads)
{
    return _mm_xor_si128(heads, _mm_set1_epi32((int)0x80000000u));
}

/* Which of the 4 heads at `at` are above what is wanted. */
static inline __m128i inner_guess_above(const uint32_t *at, __m128i want)
{
    __m128i heads = _mm_loadu_si128((const __m128i *)(const void *)at);

    return _mm_cmpgt_epi32(inner_guess_flip(heads), want);
}
#endif

/* How many of the 16 ascending heads at `at` are <= `head`. */
static inline unsigned inner_guess_count(const uint32_t *at, uint32_t head)
{
#ifdef __SSE2__
    __m128i want = inner_guess_flip(_mm_set1_epi32((int)head));
    /* Not as a loop: gcc would keep the four in memory in between. */
    __m128i first = inner_guess_above(at, want);
    __m128i second = inner_guess_above(at + 4, want);
    __m128i third = inner_guess_above(at + 8, want);
    __m128i fourth = inner_guess_above(at + 12, want);
    __m128i above = _mm_packs_epi16(_mm_packs_epi32(first, second),
                                    _mm_packs_epi32(third, fourth));

    return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(above) | 0x10000u);
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

/* The window after this one, or before it; they share a head, for the place may be between. */
static inline unsigned inner_guess_beside(unsigned first, unsigned n, bool after)
{
    unsigned last = n - INNER_GUESS_WIDTH;

    if (after) {
        return first + INNER_GUESS_WIDTH - 1 < last ? first + INNER_GUESS_WIDTH - 1 : last;
    }
    return first > INNER_GUESS_WIDTH - 1 ? first - (INNER_GUESS_WIDTH - 1) : 0;
}

/*
 * How many of n ascending heads are <= `head`; INNER_GUESS_MISS: the guess was
 * wrong, and so were the `tries` - 1 windows beside it on the right side.  Asks
 * for what lies `behind` bytes after the heads it looks at first.
 */
static inline unsigned inner_guess_within(const uint32_t *heads, unsigned n, uint32_t head,
                                          size_t behind, unsigned tries)
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
    prefetch((const char *)(heads + first + INNER_GUESS_WIDTH / 2) + behind);
    for (;;) {
        count = inner_guess_count(heads + first, head);
        if (__builtin_expect(count - 1 < INNER_GUESS_WIDTH - 1, 1)) {
            return first + count;
        }
        if (--tries == 0) {
            return INNER_GUESS_MISS;
        }
        first = inner_guess_beside(first, n, count > 0);
    }
}

static inline unsigned inner_guess(const uint32_t *heads, unsigned n, uint32_t head, size_t behind)
{
    return inner_guess_within(heads, n, head, behind, INNER_GUESS_TRIES);
}

/*
 * Whether guessing pays in this page: of 32 places spread over it, at most 3
 * are missed, and at most 12 not found at once.
 */
bool inner_guess_pays(const uint32_t *heads, unsigned n);

#endif
