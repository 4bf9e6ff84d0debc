/* SPDX-License-Identifier: MIT */
/* space_map: one bit a page, two copies a group. */
#include "format/space_map.h"

#include <string.h>

#include "base/bytes.h"
#include "unit.h"

static uint8_t test_page[PAGE_SIZE_MAX];
static uint8_t test_bits[PAGE_SIZE_MAX];
static struct bts_error test_error;

static void encode(size_t page_size, uint32_t group, unsigned copy)
{
    memset(test_page, 0xee, sizeof(test_page));
    space_map_encode(test_page, page_size, group, copy, 42, test_bits);
}

static enum bts_status check(size_t page_size, uint32_t group, unsigned copy)
{
    uint8_t *exact = malloc(page_size);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, test_page, page_size);
    memset(&test_error, 0, sizeof(test_error));
    enum bts_status status = space_map_check(exact, page_size, group, copy, &test_error);
    free(exact);
    return status;
}

START_TEST(groups_and_copies_lie_where_the_format_says)
{
    ck_assert_uint_eq(space_map_group_pages(4096), 32512);
    ck_assert_uint_eq(space_map_group_pages(65536), 524032);
    ck_assert_uint_eq(space_map_pgno(0, 0, 4096), 2);
    ck_assert_uint_eq(space_map_pgno(0, 1, 4096), 3);
    ck_assert_uint_eq(space_map_pgno(1, 0, 4096), 32512);
    ck_assert_uint_eq(space_map_pgno(3, 1, 4096), 97537);
    ck_assert_uint_eq(space_map_group_of(32511, 4096), 0);
    ck_assert_uint_eq(space_map_group_of(32512, 4096), 1);
    ck_assert_uint_eq(space_map_group_count(4, 4096), 1);
    ck_assert_uint_eq(space_map_group_count(32512, 4096), 1);
    ck_assert_uint_eq(space_map_group_count(32513, 4096), 2);
    ck_assert_uint_eq(space_map_group_count(UINT32_MAX, 4096), 132105);
}
END_TEST

START_TEST(only_metas_and_maps_are_fixed)
{
    for (size_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2) {
        pgno_t group_pages = space_map_group_pages(size);
        for (pgno_t pgno = 0; pgno < 3 * group_pages; pgno++) {
            bool fixed = pgno < 2;
            for (unsigned copy = 0; copy <= 1; copy++) {
                fixed |= pgno == space_map_pgno(space_map_group_of(pgno, size), copy, size);
            }
            if (space_map_is_fixed(pgno, size) != fixed) {
                ck_abort_msg("page %u of size %zu", pgno, size);
            }
        }
    }
}
END_TEST

START_TEST(bits_come_back_as_they_were)
{
    unsigned seed = 4711;

    for (size_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2) {
        for (size_t i = 0; i < size - PAGE_HEADER_SIZE; i++) {
            test_bits[i] = (uint8_t)rand_r(&seed);
        }
        test_bits[0] |= 0x0f;
        encode(size, 0, 1);
        ck_assert_int_eq(check(size, 0, 1), BTS_OK);
        ck_assert_mem_eq(space_map_bits(test_page), test_bits, size - PAGE_HEADER_SIZE);
        ck_assert_uint_eq(test_page[4], PAGE_MAP);
        ck_assert_uint_eq(bytes_load_u32(test_page + 8), 3);
        ck_assert_uint_eq(bytes_load_u32(test_page + 12), BUCKET_ID_NONE);
        ck_assert_uint_eq(bytes_load_u64(test_page + 16), 42);
    }
}
END_TEST

START_TEST(a_copy_in_the_wrong_place_is_damage)
{
    test_bits[0] = 0x0f;
    encode(4096, 1, 0);
    ck_assert_int_eq(check(4096, 1, 0), BTS_OK);
    ck_assert_int_eq(check(4096, 1, 1), BTS_DAMAGED);
    ck_assert_int_eq(check(4096, 2, 0), BTS_DAMAGED);
    ck_assert_int_eq(check(4096, 0, 0), BTS_DAMAGED);
}
END_TEST

START_TEST(a_map_that_calls_fixed_pages_free_is_damage)
{
    test_bits[0] = 0x0f;
    for (uint32_t group = 0; group <= 1; group++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bool fixed = bit < (group == 0 ? 4 : 2);
            encode(4096, group, 0);
            test_page[PAGE_HEADER_SIZE] &= (uint8_t)~(1u << bit);
            page_seal(test_page, 4096);
            ck_assert_int_eq(check(4096, group, 0), fixed ? BTS_DAMAGED : BTS_OK);
        }
    }
}
END_TEST

START_TEST(another_kind_of_page_is_no_map)
{
    test_bits[0] = 0x0f;
    encode(4096, 0, 0);
    test_page[4] = PAGE_META;
    page_seal(test_page, 4096);
    ck_assert_int_eq(check(4096, 0, 0), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(test_error.text, "no space map"));

    encode(4096, 0, 0);
    bytes_store_u32(test_page + 12, 7);
    page_seal(test_page, 4096);
    ck_assert_int_eq(check(4096, 0, 0), BTS_DAMAGED);
}
END_TEST

START_TEST(every_bit_of_a_map_is_guarded)
{
    test_bits[0] = 0x0f;
    encode(4096, 0, 0);
    for (size_t bit = 0; bit < 4096 * 8; bit += bit < 300 ? 1 : 61) {
        test_page[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(check(4096, 0, 0), BTS_DAMAGED);
        test_page[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(check(4096, 0, 0), BTS_OK);
}
END_TEST

int main(void)
{
    return UNIT_RUN("space_map", groups_and_copies_lie_where_the_format_says,
                    only_metas_and_maps_are_fixed, bits_come_back_as_they_were,
                    a_copy_in_the_wrong_place_is_damage,
                    a_map_that_calls_fixed_pages_free_is_damage,
                    another_kind_of_page_is_no_map, every_bit_of_a_map_is_guarded);
}
