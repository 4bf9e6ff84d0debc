/* SPDX-License-Identifier: MIT */
/* tree_check: what was reached against the space map, and how findings are told. */
#include "check_store.h"
#include "format/space_map.h"
#include "unit.h"

#include <string.h>

START_TEST(a_store_of_several_map_groups_is_compared_to_its_end)
{
    uint8_t *value = calloc(1, 60 << 20);
    struct build_entry entry[3];

    for (unsigned i = 0; i < 3; i++)
        entry[i] = (struct build_entry){(const uint8_t *)"abc" + i, 1, value, 60 << 20};
    build_init(&build, 4096, 70000);
    records[0] = build_tree(&build, 0, entry, 3);
    directory = build_directory(&build, names + 1, records, 1);
    build_finish(&build, &directory);
    ck_assert_uint_gt(build.page_count, 32512);
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    ck_assert_uint_eq(result.mapped, result.reachable);
    ck_assert_uint_lt(result.reachable, build.page_count);
    build_claim(&build, 5);
    build_finish(&build, &directory);
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    ck_assert_uint_eq(line_count, 1);
    ck_assert_uint_eq(result.leaked, 5);
    build_page(&build, space_map_pgno(1, 0, 4096))->crc ^= 1;
    build_page(&build, space_map_pgno(1, 1, 4096))->crc ^= 1;
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    assert_reported("page 32512 (space map of pages 32512 to 65023): no usable copy: checksum");
    ck_assert_uint_eq(line_count, 1);
    ck_assert_uint_eq(result.damaged, 1);
    ck_assert_uint_eq(build.used[32511 / 8] >> 32511 % 8 & 1, 0);
    ((uint8_t *)build_page(&build, 2))[PAGE_HEADER_SIZE + 32511 / 8] |= 1u << 32511 % 8;
    build_reseal(&build, 2);
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    ck_assert_uint_eq(line_count, 2);
    assert_reported("page 32511: in use by the space map, but nothing leads there");
    build_fini(&build);
    free(value);
}
END_TEST

START_TEST(leaked_and_missing_pages_are_found_in_stretches)
{
    uint8_t *bits = calloc(1, 40000 / 8);

    plant_store();
    for (pgno_t p = 0; p < build.page_count; p++)
        bits[p / 8] |= (uint8_t)(1u << p % 8);
    ck_assert_int_eq(check_with(bits), BTS_OK);
    bits[17] = 0xf3;
    bits[20] = 0x7f;
    ck_assert_int_eq(check_with(bits), BTS_DAMAGED);
    ck_assert_uint_eq(line_count, 2);
    ck_assert_str_eq(lines[0], "pages 138 to 139: in use, but free by the space map");
    ck_assert_str_eq(lines[1], "page 167: in use, but free by the space map");
    ck_assert_uint_eq(result.missing, 3);
    ck_assert_uint_eq(result.mapped, build.page_count - 3);
    bits[17] = bits[20] = 0xff;
    build_claim(&build, 2);
    bits[(build.page_count - 1) / 8] |= (uint8_t)(1u << (build.page_count - 1) % 8);
    bits[(build.page_count - 2) / 8] |= (uint8_t)(1u << (build.page_count - 2) % 8);
    ck_assert_int_eq(check_with(bits), BTS_DAMAGED);
    ck_assert_uint_eq(line_count, 1);
    ck_assert_uint_eq(result.leaked, 2);
    ck_assert_str_eq(strstr(lines[0], ": "), ": in use by the space map, but nothing leads there");
    fell();
    free(bits);
}
END_TEST

/* Rewrites one copy of the map of group 0 with all pages in use up to `page_count`. */
static void write_map(unsigned copy, txnid_t txnid, uint64_t page_count)
{
    uint8_t bits[4096 - PAGE_HEADER_SIZE] = {0};

    for (pgno_t p = 0; p < page_count; p++)
        bits[p / 8] |= (uint8_t)(1u << p % 8);
    space_map_encode(build_page(&build, 2 + copy), 4096, 0, copy, txnid, bits);
}

START_TEST(the_newest_map_at_or_before_the_state_counts)
{
    plant_store();
    write_map(0, 9, build.page_count);
    write_map(1, 11, 10);
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    write_map(1, 10, 10);
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    ck_assert_uint_eq(result.missing, build.page_count - 10);
    write_map(1, 10, build.page_count);
    write_map(0, 3, 10);
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    write_map(0, 10, build.page_count);
    write_map(1, 3, 10);
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    write_map(1, 10, build.page_count);
    build_page(&build, 2)->crc ^= 1;
    assert_found(2, "space map of pages 0 to 32511): checksum"); /* though the other one is whole */
    ck_assert_uint_eq(line_count, 1);
    ck_assert_uint_eq(result.damaged, 1);
    write_map(1, 11, build.page_count);
    assert_found(2, "space map of pages 0 to 32511): no usable copy");
    write_map(0, 10, build.page_count + 1);
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    assert_reported("in use by the space map, but beyond the end of the store");
    fell();
}
END_TEST

START_TEST(a_map_beyond_the_end_of_the_file_is_not_touched)
{
    struct tree_check check;

    plant_store();
    line_count = 0;
    ck_assert_int_eq(tree_check_init(&check, &build.source, 10, 33000, collect, lines, NULL),
                     BTS_OK);
    ck_assert_int_eq(tree_check_walk(&check, directory.root, directory.depth,
                                     directory.entry_count, NULL),
                     BTS_OK);
    ck_assert(!tree_check_failed(&check));
    ck_assert_int_eq(tree_check_maps(&check, NULL), BTS_DAMAGED);
    tree_check_fini(&check);
    ck_assert_uint_eq(line_count, 1);
    assert_reported("page 32512 (space map of pages 32512 to 65023): no usable copy: beyond the");
    fell();
}
END_TEST

START_TEST(beyond_a_thousand_reports_one_line_says_how_many_more)
{
    plant(4096, 1, 0);
    finish();
    for (pgno_t p = 4; p < build.page_count; p++)
        if (build_page(&build, p)->pgno == p && build_page(&build, p)->type == PAGE_LEAF &&
            build_page(&build, p)->bucket == 0)
            build_page(&build, p)->crc ^= 1;
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    ck_assert_uint_eq(line_count, TREE_CHECK_REPORTS_MAX + 1);
    ck_assert_ptr_nonnull(strstr(lines[TREE_CHECK_REPORTS_MAX], " more findings are not shown"));
    ck_assert_uint_eq(result.damaged, records[1].leaf_pages);
    fell();
}
END_TEST

int main(void)
{
    return UNIT_RUN("tree_check_maps", a_store_of_several_map_groups_is_compared_to_its_end,
                    leaked_and_missing_pages_are_found_in_stretches,
                    the_newest_map_at_or_before_the_state_counts,
                    a_map_beyond_the_end_of_the_file_is_not_touched,
                    beyond_a_thousand_reports_one_line_says_how_many_more);
}
