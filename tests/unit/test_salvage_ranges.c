/* SPDX-License-Identifier: MIT */
/*
 * Tests of read/salvage_ranges and read/salvage_cover: which keys lie behind
 * damage, and which newer leaves have spoken for.
 */
#include "base/bytes.h"
#include "read/salvage_cover.h"
#include "read/salvage_ranges.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define KEYS 100u

static struct bts_bytes text(const char *string)
{
    return (struct bts_bytes){string, string != NULL ? strlen(string) : 0};
}

static void add(struct salvage_ranges *ranges, const char *low, const char *high)
{
    ck_assert_int_eq(salvage_ranges_add(ranges, text(low), text(high), 7, "why"), BTS_OK);
}

static bool has(const struct salvage_ranges *ranges, const char *key)
{
    return salvage_ranges_find(ranges, key, strlen(key)) != NULL;
}

START_TEST(a_range_holds_its_low_end_and_not_its_high_one)
{
    struct salvage_ranges ranges = {.range = NULL};

    add(&ranges, "b", "d");
    add(&ranges, "m", "n");
    ck_assert(!has(&ranges, "a") && has(&ranges, "b") && has(&ranges, "cz"));
    ck_assert(!has(&ranges, "d") && !has(&ranges, "l") && has(&ranges, "m"));
    ck_assert(!has(&ranges, "n") && !has(&ranges, "z"));
    salvage_ranges_fini(&ranges);
}
END_TEST

START_TEST(open_ends_reach_as_far_as_keys_do)
{
    struct salvage_ranges ranges = {.range = NULL};

    add(&ranges, NULL, "b");
    add(&ranges, "x", NULL);
    ck_assert(has(&ranges, "a") && !has(&ranges, "b") && has(&ranges, "x"));
    ck_assert(has(&ranges, "\xff\xff"));
    salvage_ranges_fini(&ranges);
}
END_TEST

START_TEST(neighbours_become_one_range)
{
    struct salvage_ranges ranges = {.range = NULL};

    add(&ranges, "a", "b");
    add(&ranges, "b", "c");
    add(&ranges, "c", "d");
    add(&ranges, "e", NULL);
    ck_assert_uint_eq(ranges.count, 2);
    ck_assert_uint_eq(ranges.range[0].more, 2);
    ck_assert(has(&ranges, "cz") && !has(&ranges, "d"));
    salvage_ranges_fini(&ranges);
}
END_TEST

START_TEST(a_lost_value_is_one_key_and_no_neighbour)
{
    struct salvage_ranges ranges = {.range = NULL};

    add(&ranges, "a", "k");
    ck_assert_int_eq(salvage_ranges_add_value(&ranges, text("k"), 9, "why"), BTS_OK);
    ck_assert_uint_eq(ranges.count, 2);
    ck_assert(salvage_ranges_find(&ranges, "k", 1)->is_value);
    ck_assert(!has(&ranges, "k1"));
    ck_assert(salvage_ranges_have_keys(&ranges));
    salvage_ranges_fini(&ranges);
    ck_assert(!salvage_ranges_have_keys(&ranges));
    ck_assert_int_eq(salvage_ranges_add_value(&ranges, text("k"), 9, "why"), BTS_OK);
    ck_assert(!salvage_ranges_have_keys(&ranges));
    salvage_ranges_fini(&ranges);
}
END_TEST

/* Intervals at random against an array of flags. */
START_TEST(what_was_spoken_for_is_as_a_model_has_it)
{
    uint64_t state = 1;
    struct salvage_cover cover = {.interval = NULL};
    bool spoken[KEYS] = {false};

    for (unsigned round = 0; round < 400; round++) {
        unsigned first = (unsigned)((state = state * 6364136223846793005u + 1) >> 33) % KEYS;
        unsigned last = first + (unsigned)(state >> 50) % 9;
        char from[8];
        char to[8];

        if (round % 20 == 0) { /* anew */
            salvage_cover_fini(&cover);
            memset(spoken, 0, sizeof(spoken));
        }
        last = last < KEYS ? last : KEYS - 1;
        snprintf(from, sizeof from, "%03u", first);
        snprintf(to, sizeof to, "%03u", last);
        ck_assert_int_eq(salvage_cover_add(&cover, text(from), text(to)), BTS_OK);
        for (unsigned i = first; i <= last; i++) {
            spoken[i] = true;
        }
        for (unsigned i = 0; i < KEYS; i++) {
            char key[8];
            snprintf(key, sizeof key, "%03u", i);
            ck_assert_int_eq(salvage_cover_has(&cover, key, 3), spoken[i]);
        }
        for (size_t i = 1; i < cover.count; i++) {
            const struct salvage_interval *at = &cover.interval[i];
            ck_assert_int_lt(bytes_compare(at[-1].to.data, at[-1].to.size, at->from.data,
                                           at->from.size), 0);
        }
    }
    salvage_cover_fini(&cover);
}
END_TEST

START_TEST(between_the_ends_of_a_leaf_all_is_spoken_for)
{
    struct salvage_cover cover = {.interval = NULL};

    ck_assert(!salvage_cover_has(&cover, "a", 1));
    ck_assert_int_eq(salvage_cover_add(&cover, text("b"), text("d")), BTS_OK);
    ck_assert(salvage_cover_has(&cover, "b", 1) && salvage_cover_has(&cover, "c", 1));
    ck_assert(salvage_cover_has(&cover, "d", 1) && !salvage_cover_has(&cover, "d1", 2));
    salvage_cover_fini(&cover);
}
END_TEST

int main(void)
{
    return UNIT_RUN("salvage_ranges", a_range_holds_its_low_end_and_not_its_high_one,
                    open_ends_reach_as_far_as_keys_do, neighbours_become_one_range,
                    a_lost_value_is_one_key_and_no_neighbour,
                    what_was_spoken_for_is_as_a_model_has_it,
                    between_the_ends_of_a_leaf_all_is_spoken_for);
}
