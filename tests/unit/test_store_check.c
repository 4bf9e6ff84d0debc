/* SPDX-License-Identifier: MIT */
/*
 * store_check: a store built page by page, written to a file and checked alone,
 * by the public interface.  What is kept twice is looked at twice: the meta or
 * space map that no reader needs today, too.
 */
#include "check_store.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static uint64_t size_bytes;

/* The store as it lies in memory, as a file. */
static void write_file(void)
{
    int fd;

    snprintf(path, sizeof(path), "/tmp/bts-unit-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    size_bytes = build.page_count * build.page_size;
    for (uint64_t done = 0; done < size_bytes;) {
        ssize_t n = write(fd, build.pages + done, size_bytes - done);
        ck_assert_int_gt(n, 0);
        done += (uint64_t)n;
    }
    close(fd);
}

/* Checks the file; the reports and the verdict are in lines and verdict. */
static enum bts_status check_file(uint64_t cut_bytes)
{
    const struct bts_options options = {.flags = BTS_OPEN_ALONE};
    struct bts_store *store;
    enum bts_status status;

    write_file();
    ck_assert_msg(bts_store_open(path, &options, &store, &verdict) == BTS_OK, "%s", verdict.text);
    if (cut_bytes < size_bytes) {
        ck_assert_int_eq(truncate(path, (off_t)cut_bytes), 0);
    }
    line_count = 0;
    status = bts_store_check(store, &result, collect, lines, &verdict);
    bts_store_close(store);
    unlink(path);
    return status;
}

START_TEST(a_whole_store_has_no_findings)
{
    plant_store();
    ck_assert_msg(check_file(UINT64_MAX) == BTS_OK, "%s", verdict.text);
    ck_assert_uint_eq(line_count, 0);
    ck_assert_uint_eq(result.reachable, build.page_count);
    ck_assert_uint_eq(result.mapped, build.page_count);
    fell();
}
END_TEST

/* Readers take the other one: nobody else would notice until that one rots, too. */
START_TEST(a_rotted_meta_is_found_though_the_other_is_whole)
{
    for (pgno_t pgno = 0; pgno < 2; pgno++) {
        char line[40];

        plant_store();
        ((uint8_t *)build_page(&build, pgno))[100] ^= 4;
        snprintf(line, sizeof(line), "page %u (meta): ", pgno);
        ck_assert_int_eq(check_file(UINT64_MAX), BTS_DAMAGED);
        ck_assert_uint_eq(line_count, 1);
        assert_reported(line);
        ck_assert_uint_eq(result.damaged, 1);
        ck_assert_ptr_nonnull(strstr(verdict.text, line));
        fell();
    }
}
END_TEST

/* A meta of the right checksum, copied to the place of the other. */
START_TEST(a_meta_in_the_others_place_is_found)
{
    plant_store();
    memcpy(build_page(&build, 1), build_page(&build, 0), build.page_size);
    ck_assert_int_eq(check_file(UINT64_MAX), BTS_DAMAGED);
    assert_reported("page 1 (meta): ");
    fell();
}
END_TEST

START_TEST(a_rotted_space_map_is_found_though_the_other_is_whole)
{
    for (pgno_t pgno = 2; pgno < 4; pgno++) {
        char line[40];

        plant_store();
        ((uint8_t *)build_page(&build, pgno))[100] ^= 4;
        snprintf(line, sizeof(line), "page %u (space map of pages ", pgno);
        ck_assert_int_eq(check_file(UINT64_MAX), BTS_DAMAGED);
        ck_assert_uint_eq(line_count, 1);
        assert_reported(line);
        fell();
    }
}
END_TEST

/* Cut after it was opened, at each page in turn and within some: told, and never touched. */
START_TEST(a_file_cut_short_is_damage_wherever_it_ends)
{
    plant_store();
    for (uint64_t page = 2; page < build.page_count; page += 1 + page / 4) {
        uint64_t cut_bytes = page * build.page_size + page % 3 * 1000;

        ck_assert_int_eq(check_file(cut_bytes), BTS_DAMAGED);
        ck_assert_msg(strstr(verdict.text, "the file was cut short: ") != NULL, "%s",
                      verdict.text);
        assert_reported("the file ends before or inside it");
    }
    ck_assert_int_eq(check_file(0), BTS_DAMAGED);
    fell();
}
END_TEST

int main(void)
{
    return UNIT_RUN("store_check", a_whole_store_has_no_findings,
                    a_rotted_meta_is_found_though_the_other_is_whole,
                    a_meta_in_the_others_place_is_found,
                    a_rotted_space_map_is_found_though_the_other_is_whole,
                    a_file_cut_short_is_damage_wherever_it_ends);
}
