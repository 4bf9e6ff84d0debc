/* SPDX-License-Identifier: MIT */
/*
 * free_pages: which free pages a claim takes: runs are never shorter than
 * asked and never reach over the end of a group or of the file, and single
 * pages come from stretches worth it.
 */
#include "pages/space.h"

#include "format/space_map.h"
#include "unit.h"

#include <string.h>

#define PAGE 4096u
#define GROUP 32512u /* pages of a group */
#define GROUPS_MAX 3u

static struct space *space;
static uint8_t live[GROUPS_MAX][PAGE - PAGE_HEADER_SIZE];

/* A file of `page_count` pages, all in use; free_up, then start. */
static void fill(void)
{
    memset(live, 0xff, sizeof(live));
}

static void free_up(pgno_t first, pgno_t count)
{
    for (pgno_t p = first; p < first + count; p++)
        live[p / GROUP][p % GROUP / 8] &= (uint8_t)~(1u << p % GROUP % 8);
}

static void start(pgno_t page_count)
{
    ck_assert_uint_eq(space_map_group_pages(PAGE), GROUP);
    for (pgno_t p = page_count; p < GROUPS_MAX * GROUP; p++)
        live[p / GROUP][p % GROUP / 8] &= (uint8_t)~(1u << p % GROUP % 8);
    ck_assert_int_eq(space_create(PAGE, &space, NULL), BTS_OK);
    ck_assert_int_eq(space_load(space, page_count, 10, NULL), BTS_OK);
    for (uint32_t group = 0; group * GROUP < page_count; group++)
        space_load_group(space, group, live[group]);
    space_check(space);
    space_group_begin(space, 11);
}

static void stop(void)
{
    space_group_end(space);
    space_check(space);
    space_destroy(space);
}

static pgno_t claim_run(pgno_t count)
{
    pgno_t first;

    ck_assert_int_eq(space_claim_run(space, count, &first, NULL), BTS_OK);
    return first;
}

static pgno_t claim(void)
{
    pgno_t pgno;

    ck_assert_int_eq(space_claim(space, 0, &pgno, NULL), BTS_OK);
    return pgno;
}

START_TEST(a_run_never_lies_in_a_stretch_shorter_than_asked)
{
    fill();
    free_up(100, 4);
    free_up(105, 4); /* page 104 between them is in use */
    free_up(200, 6);
    free_up(300, 5);
    start(1000);
    ck_assert_uint_eq(claim_run(5), 200); /* the first that is long enough, not the best */
    ck_assert_uint_eq(claim_run(5), 300);
    ck_assert_uint_eq(claim_run(5), 1000); /* none left: above the mark */
    ck_assert_uint_eq(claim_run(4), 100);
    ck_assert_uint_eq(claim_run(4), 105);
    ck_assert_uint_eq(claim_run(1), 205);
    ck_assert_uint_eq(claim_run(1), 1005);
    ck_assert_uint_eq(space_stat(space).free, 0);
    stop();
}
END_TEST

/* The two stretches touch but for the map pages of the second group. */
START_TEST(a_run_ends_with_its_group)
{
    fill();
    free_up(GROUP - 3, 3);
    free_up(GROUP + 2, 3);
    start(GROUP + 1000);
    ck_assert_uint_eq(claim_run(4), GROUP + 1000);
    ck_assert_uint_eq(claim_run(3), GROUP - 3);
    ck_assert_uint_eq(claim_run(3), GROUP + 2);
    ck_assert_uint_eq(space_stat(space).free, 0);
    stop();
}
END_TEST

START_TEST(a_run_ends_with_the_file)
{
    fill();
    free_up(997, 3);
    start(1000);
    ck_assert_uint_eq(claim_run(4), 1000); /* and not 997, over the end */
    ck_assert_uint_eq(space_page_count(space), 1004);
    ck_assert_uint_eq(claim_run(3), 997);
    stop();
}
END_TEST

/* The whole of a group but its map pages, and never more. */
START_TEST(the_longest_run_is_a_group)
{
    fill();
    free_up(GROUP + 2, GROUP - 2);
    start(3 * GROUP);
    ck_assert_uint_eq(claim_run(GROUP - 2), GROUP + 2);
    ck_assert_uint_eq(space_stat(space).free, 0);
    stop();
}
END_TEST

START_TEST(a_search_goes_on_behind_the_last_group_at_the_first)
{
    fill();
    free_up(50, 40);
    free_up(2 * GROUP + 500, 40);
    start(2 * GROUP + 1000);
    for (pgno_t i = 0; i < 40; i++)
        ck_assert_uint_eq(claim(), 50 + i);
    for (pgno_t i = 0; i < 40; i++)
        ck_assert_uint_eq(claim(), 2 * GROUP + 500 + i);
    ck_assert_uint_eq(claim(), 2 * GROUP + 1000);
    stop();
    fill();
    free_up(50, 40);
    free_up(GROUP + 500, 40);
    start(2 * GROUP);
    ck_assert_uint_eq(claim(), 50);
    ck_assert_uint_eq(claim_run(40), GROUP + 500); /* 39 are left in the first */
    ck_assert_uint_eq(claim_run(39), 51);          /* from where pages are claimed, and round */
    stop();
}
END_TEST

/* Runs are taken out of the stretch that single pages come from. */
START_TEST(single_pages_go_around_a_run_in_their_stretch)
{
    fill();
    free_up(40, 60);
    start(120);
    ck_assert_uint_eq(claim(), 40);
    ck_assert_uint_eq(claim(), 41);
    ck_assert_uint_eq(claim_run(20), 42);
    ck_assert_uint_eq(claim(), 62);
    ck_assert_uint_eq(claim_run(20), 63);
    for (pgno_t i = 83; i < 100; i++)
        ck_assert_uint_eq(claim(), i);
    ck_assert_uint_eq(claim(), 120);
    stop();
}
END_TEST

/* Where single pages come from when every stretch has `length` pages. */
static bool uses_holes(pgno_t length, pgno_t stretches, pgno_t page_count)
{
    bool used;

    fill();
    for (pgno_t i = 0; i < stretches; i++)
        free_up(10 + i * (length + 1), length);
    start(page_count);
    used = claim() < page_count;
    stop();
    return used;
}

START_TEST(short_stretches_are_used_only_when_much_is_free)
{
    ck_assert(uses_holes(1, 126, 1000));  /* more than an eighth: any */
    ck_assert(!uses_holes(1, 125, 1000)); /* an eighth: four and more */
    ck_assert(!uses_holes(3, 40, 1000));
    ck_assert(uses_holes(4, 30, 1000));
    ck_assert(!uses_holes(4, 15, 1000)); /* a sixteenth: 16 and more */
    ck_assert(!uses_holes(15, 4, 1000));
    ck_assert(uses_holes(16, 1, 1000));
}
END_TEST

/* Pages below the mark of a hold are free, and not claimed. */
START_TEST(a_hold_in_the_midst_of_a_stretch_leaves_what_is_behind_it)
{
    fill();
    free_up(100, 100);
    free_up(GROUP + 100, 100);
    start(2 * GROUP);
    space_group_abort(space);
    ck_assert_int_eq(space_hold(space, 150, NULL), BTS_OK);
    space_group_begin(space, 11);
    ck_assert_uint_eq(claim_run(50), 150);
    ck_assert_uint_eq(claim_run(50), GROUP + 100);
    ck_assert_uint_eq(claim(), GROUP + 150);
    for (pgno_t i = 151; i < 200; i++)
        ck_assert_uint_eq(claim(), GROUP + i);
    ck_assert_uint_eq(claim(), 2 * GROUP + 2); /* the rest lies below the hold */
    ck_assert_uint_eq(space_stat(space).free, 50);
    stop();
}
END_TEST

int main(void)
{
    return UNIT_RUN("free_pages", a_run_never_lies_in_a_stretch_shorter_than_asked,
                    a_run_ends_with_its_group, a_run_ends_with_the_file, the_longest_run_is_a_group,
                    a_search_goes_on_behind_the_last_group_at_the_first,
                    single_pages_go_around_a_run_in_their_stretch,
                    short_stretches_are_used_only_when_much_is_free,
                    a_hold_in_the_midst_of_a_stretch_leaves_what_is_behind_it);
}
