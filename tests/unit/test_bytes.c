/* SPDX-License-Identifier: MIT */
/* bytes: numbers at any address, heads, and the order of keys. */
#include "base/bytes.h"

#include <string.h>

#include "unit.h"

#define LITERAL(text) text, sizeof(text) - 1

START_TEST(numbers_lie_in_the_file_lowest_byte_first)
{
    static const uint8_t bytes[] = {0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};

    ck_assert_uint_eq(bytes_load_u16(bytes + 1), 0x0201);
    ck_assert_uint_eq(bytes_load_u32(bytes + 1), 0x04030201);
    ck_assert_uint_eq(bytes_load_u64(bytes + 1), UINT64_C(0x0807060504030201));
}
END_TEST

START_TEST(what_is_stored_is_loaded_again_and_nothing_beside_it_changes)
{
    for (size_t at = 1; at < 9; at++) {
        uint8_t bytes[24];

        memset(bytes, 0xaa, sizeof(bytes));
        bytes_store_u16(bytes + at, 0xbeef);
        ck_assert_uint_eq(bytes_load_u16(bytes + at), 0xbeef);
        ck_assert_uint_eq(bytes[at - 1], 0xaa);
        ck_assert_uint_eq(bytes[at + 2], 0xaa);

        memset(bytes, 0xaa, sizeof(bytes));
        bytes_store_u32(bytes + at, 0xfeedbeef);
        ck_assert_uint_eq(bytes_load_u32(bytes + at), 0xfeedbeef);
        ck_assert_uint_eq(bytes[at - 1], 0xaa);
        ck_assert_uint_eq(bytes[at + 4], 0xaa);

        memset(bytes, 0xaa, sizeof(bytes));
        bytes_store_u64(bytes + at, UINT64_C(0x0123456789abcdef));
        ck_assert_uint_eq(bytes_load_u64(bytes + at), UINT64_C(0x0123456789abcdef));
        ck_assert_uint_eq(bytes[at - 1], 0xaa);
        ck_assert_uint_eq(bytes[at + 8], 0xaa);
    }
}
END_TEST

START_TEST(a_head_is_the_first_four_bytes_highest_first)
{
    ck_assert_uint_eq(bytes_head_u32(LITERAL("\x01\x02\x03\x04\x05")), 0x01020304);
    ck_assert_uint_eq(bytes_head_u32(LITERAL("\xff\xfe\xfd\xfc")), 0xfffefdfc);
}
END_TEST

START_TEST(a_short_head_is_padded_with_zero_bytes)
{
    ck_assert_uint_eq(bytes_head_u32(LITERAL("\x81\x82\x83")), 0x81828300);
    ck_assert_uint_eq(bytes_head_u32(LITERAL("\x81\x82")), 0x81820000);
    ck_assert_uint_eq(bytes_head_u32(LITERAL("\x81")), 0x81000000);
    ck_assert_uint_eq(bytes_head_u32("\x81", 0), 0);
    ck_assert_uint_eq(bytes_head_u32(NULL, 0), 0);
}
END_TEST

START_TEST(the_smaller_and_the_larger)
{
    ck_assert_uint_eq(bytes_min(3, 5), 3);
    ck_assert_uint_eq(bytes_min(SIZE_MAX, 0), 0);
    ck_assert_uint_eq(bytes_max(3, 5), 5);
    ck_assert_uint_eq(bytes_max(SIZE_MAX, 0), SIZE_MAX);
}
END_TEST

/* Every pair of these must compare as their places in the list do. */
START_TEST(keys_are_ordered_as_unsigned_bytes_a_prefix_first)
{
    static const struct {
        const char *data;
        size_t size;
    } keys[] = {{NULL, 0},          {LITERAL("\0")},   {LITERAL("\0\0")}, {LITERAL("\0\x01")},
                {LITERAL("a")},     {LITERAL("a\0")},  {LITERAL("aa")},   {LITERAL("ab")},
                {LITERAL("b")},     {LITERAL("\x7f")}, {LITERAL("\x80")}, {LITERAL("\xff")},
                {LITERAL("\xff\0")}};
    const int key_count = sizeof(keys) / sizeof(keys[0]);

    for (int a = 0; a < key_count; a++) {
        for (int b = 0; b < key_count; b++) {
            int order = bytes_compare(keys[a].data, keys[a].size, keys[b].data, keys[b].size);
            ck_assert_int_eq((order > 0) - (order < 0), (a > b) - (a < b));
        }
    }
}
END_TEST

START_TEST(the_common_prefix_is_counted_to_the_byte)
{
    char a[40];
    char b[40];

    for (size_t same = 0; same < sizeof(a); same++) {
        memset(a, 'x', sizeof(a));
        memset(b, 'x', sizeof(b));
        b[same] = 'y';
        ck_assert_uint_eq(bytes_common_prefix(a, sizeof(a), b, sizeof(b)), same);
        ck_assert_uint_eq(bytes_common_prefix(b, sizeof(b), a, sizeof(a)), same);
        ck_assert_uint_eq(bytes_common_prefix(a, same, b, sizeof(b)), same);
        ck_assert_uint_eq(bytes_common_prefix(a, sizeof(a), b, same), same);
    }
    ck_assert_uint_eq(bytes_common_prefix(a, sizeof(a), a, sizeof(a)), sizeof(a));
    ck_assert_uint_eq(bytes_common_prefix(NULL, 0, a, sizeof(a)), 0);
}
END_TEST

int main(void)
{
    return UNIT_RUN("bytes", numbers_lie_in_the_file_lowest_byte_first,
                    what_is_stored_is_loaded_again_and_nothing_beside_it_changes,
                    a_head_is_the_first_four_bytes_highest_first,
                    a_short_head_is_padded_with_zero_bytes, the_smaller_and_the_larger,
                    keys_are_ordered_as_unsigned_bytes_a_prefix_first,
                    the_common_prefix_is_counted_to_the_byte);
}
