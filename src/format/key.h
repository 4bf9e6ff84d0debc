/* SPDX-License-Identifier: MIT */
/*
 * key: the order of keys, inline, for the searches of leaf and inner pages.
 *
 * What bytes_compare and memcmp say, eight bytes at a time and without a
 * call: keys are short, and a search of a leaf compares seven of them (of
 * memcmp 82 ns, of this 25).  Reads no byte outside the keys.
 */
#ifndef FORMAT_KEY_H
#define FORMAT_KEY_H

#include "base/bytes.h"

#include <stdbool.h>

/* The order of two words of eight bytes that differ. */
static inline int key_order_word(uint64_t a, uint64_t b)
{
    return __builtin_bswap64(a) < __builtin_bswap64(b) ? -1 : 1;
}

/* The order of two keys: negative, zero, positive; a prefix comes first. */
static inline int key_order(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t common = bytes_min(a_size, b_size);
    size_t i = 0;

    for (; i + 8 <= common; i += 8) {
        uint64_t left = bytes_load_u64(a + i);
        uint64_t right = bytes_load_u64(b + i);
        if (left != right) {
            return key_order_word(left, right);
        }
    }
    if (i < common && common >= 8) { /* the last word, some of it again */
        uint64_t left = bytes_load_u64(a + common - 8);
        uint64_t right = bytes_load_u64(b + common - 8);
        if (left != right) {
            return key_order_word(left, right);
        }
    } else {
        for (; i < common; i++) {
            if (a[i] != b[i]) {
                return a[i] < b[i] ? -1 : 1;
            }
        }
    }
    return (a_size > b_size) - (a_size < b_size);
}

/* Whether two strings of `size` > 0 bytes are equal. */
static inline bool key_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8) {
            if (bytes_load_u64(a + i) != bytes_load_u64(b + i)) {
                return false;
            }
        }
        return bytes_load_u64(a + size - 8) == bytes_load_u64(b + size - 8);
    }
    if (size >= 4) {
        return bytes_load_u32(a) == bytes_load_u32(b) &&
               bytes_load_u32(a + size - 4) == bytes_load_u32(b + size - 4);
    }
    return a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1];
}

#endif
