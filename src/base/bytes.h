/* SPDX-License-Identifier: MIT */
/*
 * bytes: numbers and orders in plain bytes.
 *
 * The formats of this house are little-endian and their fields need not be
 * aligned; these helpers compile to single instructions.  Structs are laid
 * over mapped pages without conversion, so the host must be little-endian too.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "pages are mapped, not converted: the host must be little-endian");

/* ---- little-endian numbers at any address -------------------------------- */

static inline uint16_t bytes_load_u16(const void *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t bytes_load_u32(const void *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint64_t bytes_load_u64(const void *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static inline void bytes_store_u16(void *to, uint16_t value)
{
    memcpy(to, &value, sizeof(value));
}

static inline void bytes_store_u32(void *to, uint32_t value)
{
    memcpy(to, &value, sizeof(value));
}

static inline void bytes_store_u64(void *to, uint64_t value)
{
    memcpy(to, &value, sizeof(value));
}

/* ---- orders -------------------------------------------------------------- */

/*
 * The first four bytes as a big-endian number, as if zero bytes followed the
 * end: two byte strings that differ in their heads compare as their heads do.
 */
static inline uint32_t bytes_head_u32(const void *data, size_t size)
{
    const uint8_t *byte = data;
    uint32_t head = 0;

    if (size >= 4) {
        return __builtin_bswap32(bytes_load_u32(data));
    }
    for (size_t i = 0; i < size; i++) {
        head |= (uint32_t)byte[i] << (24 - 8 * i);
    }
    return head;
}

static inline size_t bytes_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t bytes_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/*
 * The order of keys: as memcmp has it, a prefix before what it is a prefix of.
 * Negative, zero or positive.  NULL is allowed where the size is zero.
 */
static inline int bytes_compare(const void *a, size_t a_size, const void *b, size_t b_size)
{
    size_t common = bytes_min(a_size, b_size);
    int order = common > 0 ? memcmp(a, b, common) : 0;

    if (order != 0) {
        return order;
    }
    return (a_size > b_size) - (a_size < b_size);
}

/* How many leading bytes the two have in common. */
static inline size_t bytes_common_prefix(const void *a, size_t a_size, const void *b, size_t b_size)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    size_t limit = bytes_min(a_size, b_size);
    size_t same = 0;

    while (limit - same >= 8) {
        uint64_t difference = bytes_load_u64(left + same) ^ bytes_load_u64(right + same);
        if (difference != 0) {
            return same + (size_t)__builtin_ctzll(difference) / 8;
        }
        same += 8;
    }
    while (same < limit && left[same] == right[same]) {
        same++;
    }
    return same;
}

#endif
