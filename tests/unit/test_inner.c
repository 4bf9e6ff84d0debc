/* SPDX-License-Identifier: MIT */
/*
 * inner: searches and separators, and what hostile bytes are told.
 */
#include "node_pages.h"
#include "random_keys.h"

/* ---- search -------------------------------------------------------------- */

START_TEST(a_key_equal_to_a_separator_goes_right)
{
    static const struct inner_key separators[] = {
        {(const uint8_t *)"ab", 2},         {(const uint8_t *)"ab\0", 3},
        {(const uint8_t *)"ab\0\0", 4},     {(const uint8_t *)"ab\0\0\0\0", 6},
        {(const uint8_t *)"ab\0\0\0\0a", 7}, {(const uint8_t *)"abc", 3},
    };
    static const pgno_t children[] = {1, 2, 3, 4, 5, 6, 7};
    uint8_t *page = inner_new(4096);

    ck_assert(inner_build(page, 4096, separators, children, 6));
    inner_assert_sound(page, 4096);
    ck_assert_uint_eq(inner_prefix_size(page), 2);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(inner_search(page, separators[i].data, separators[i].size), i + 1);
    }
    ck_assert_uint_eq(inner_search(page, "a", 1), 0);
    ck_assert_uint_eq(inner_search(page, "aa", 2), 0);
    ck_assert_uint_eq(inner_search(page, "aazzz", 5), 0);
    ck_assert_uint_eq(inner_search(page, "ac", 2), 6);
    ck_assert_uint_eq(inner_search(page, "ab\0\0\0", 5), 3);
    ck_assert_uint_eq(inner_search(page, "ab\0\0\0\0\0", 7), 4);
    ck_assert_uint_eq(inner_search(page, "abb", 3), 5);
    free(page);
}
END_TEST

START_TEST(a_page_of_one_child_leads_there)
{
    uint8_t *page = inner_new(4096);
    struct bts_error error;

    ck_assert_int_eq(inner_check(page, 4096, &error), BTS_OK);
    ck_assert_uint_eq(inner_search(page, "anything", 8), 0);
    ck_assert_uint_eq(inner_children(page)[0], 1000);
    free(page);
}
END_TEST

/* ---- guesses ------------------------------------------------------------- */

static uint32_t random_head(struct random *random)
{
    return (uint32_t)random_below(random, UINT64_C(1) << 32);
}

/* How many heads are <= head, counted. */
static unsigned count_up_to(const uint32_t *heads, unsigned n, uint32_t head)
{
    unsigned count = 0;

    while (count < n && heads[count] <= head)
        count++;
    return count;
}

/* Guesses around every head, and says how many missed; none may be wrong. */
static unsigned assert_guesses(const uint32_t *heads, unsigned n)
{
    unsigned misses = 0;

    for (unsigned i = 0; i < n; i++) {
        for (int beside = -1; beside <= 1; beside++) {
            uint32_t head = heads[i] + (uint32_t)beside;
            unsigned up_to = inner_guess(heads, n, head, 0);

            if (up_to == INNER_GUESS_MISS)
                misses++;
            else
                ck_assert_uint_eq(up_to, count_up_to(heads, n, head));
        }
    }
    return misses;
}

START_TEST(a_guess_is_right_or_a_miss_wherever_heads_lie)
{
    struct random random = {47};
    uint32_t heads[400];

    for (unsigned round = 0; round < 400; round++) {
        unsigned n = 1 + (unsigned)random_below(&random, 400);
        unsigned shift = (unsigned)random_below(&random, 28);
        uint32_t head = random_head(&random) >> 8;

        for (unsigned i = 0; i < n; i++) {
            heads[i] = head;
            head += (random_head(&random) >> shift) / n;
            head = head < heads[i] ? heads[i] : head;
        }
        assert_guesses(heads, n);
    }
}
END_TEST

START_TEST(guessing_pays_where_heads_are_even_in_binary_or_in_decimal)
{
    uint32_t heads[300];
    char digits[8];

    for (unsigned i = 0; i < 300; i++)
        heads[i] = 0x01000000u + i * 0x00c0ffeeu / 2;
    ck_assert(inner_guess_pays(heads, 300));
    ck_assert_uint_eq(assert_guesses(heads, 300), 0);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(digits, sizeof(digits), "%04u", 1200 + i * 22);
        heads[i] = bytes_head_u32(digits, 4);
    }
    ck_assert(inner_guess_pays(heads, 300));
    ck_assert_uint_eq(assert_guesses(heads, 300), 0);
}
END_TEST

START_TEST(guessing_does_not_pay_in_clusters_nor_in_small_pages)
{
    uint32_t heads[300];

    for (unsigned i = 0; i < 300; i++)
        heads[i] = (i / 50) * 0x20000000u + i;
    ck_assert(!inner_guess_pays(heads, 300));
    for (unsigned i = 0; i < 300; i++)
        heads[i] = i * 1000;
    ck_assert(inner_guess_pays(heads, 300));
    ck_assert(!inner_guess_pays(heads, 31));
    for (unsigned i = 0; i < 300; i++)
        heads[i] = 7; /* ties are for a search to resolve */
    ck_assert(!inner_guess_pays(heads, 300));
}
END_TEST

START_TEST(a_guess_reads_nothing_outside_of_hostile_heads)
{
    struct random random = {53};

    for (unsigned round = 0; round < 20000; round++) {
        unsigned n = 1 + (unsigned)random_below(&random, 64);
        uint32_t *heads = malloc(n * sizeof(*heads));
        uint32_t digits = random_head(&random) & 0x0f0f0f0fu;

        for (unsigned i = 0; i < n; i++)
            heads[i] = random_head(&random);
        if (round % 2 == 0) {
            heads[0] = 0x30303030u | digits;
            heads[n - 1] = 0x30303030u | (random_head(&random) & 0x0f0f0f0fu);
        }
        for (unsigned i = 0; i < 8; i++) {
            unsigned up_to = inner_guess(heads, n, random_head(&random), 0);
            ck_assert(up_to <= n || up_to == INNER_GUESS_MISS);
        }
        (void)inner_guess_pays(heads, n);
        free(heads);
    }
}
END_TEST

/* ---- separators ---------------------------------------------------------- */

START_TEST(the_shortest_separator_parts_its_neighbours)
{
    struct random random = {31};
    uint8_t key[2][RANDOM_KEY_MAX];
    size_t size[2];

    ck_assert_uint_eq(inner_shortest_separator("ab", 2, "ab\0", 3), 3);
    ck_assert_uint_eq(inner_shortest_separator("apple", 5, "banana", 6), 1);
    for (unsigned round = 0; round < 5000; round++) {
        enum random_keys kind = round % RANDOM_KEYS_KINDS;
        size[0] = random_key(&random, kind, 996, key[0]);
        size[1] = random_key(&random, kind, 996, key[1]);
        int order = bytes_compare(key[0], size[0], key[1], size[1]);
        unsigned left = order < 0 ? 0 : 1;
        if (order == 0) {
            continue;
        }
        size_t shortest = inner_shortest_separator(key[left], size[left], key[1 - left],
                                                   size[1 - left]);
        ck_assert_int_lt(bytes_compare(key[left], size[left], key[1 - left], shortest), 0);
        ck_assert_int_ge(bytes_compare(key[left], size[left], key[1 - left], shortest - 1), 0);
    }
}
END_TEST

/* ---- hostile bytes ------------------------------------------------------- */

/*
 * Prefix "user", a separator of 1 more byte and one with a tail of 7; heads at
 * 36, children at 44, offsets at 56, the tail at the end.
 */
static uint8_t *inner_of_two(void)
{
    static const struct inner_key separators[] = {{(const uint8_t *)"userb", 5},
                                                  {(const uint8_t *)"usercdefghi", 11}};
    static const pgno_t children[] = {11, 12, 13};
    uint8_t *page = inner_new(4096);

    ck_assert(inner_build(page, 4096, separators, children, 2));
    inner_assert_sound(page, 4096);
    ck_assert_uint_eq(page_upper(page), 4096 - 9);
    ck_assert_ptr_eq(inner_offsets(page), page + 56);
    return page;
}

static uint8_t *inner_bent(size_t at, uint16_t value)
{
    uint8_t *page = inner_of_two();

    bytes_store_u16(page + at, value);
    return page;
}

static void inner_assert_refused(uint8_t *page, const char *text)
{
    struct bts_error error = {BTS_OK, ""};

    ck_assert_int_eq(inner_check(page, 4096, &error), BTS_DAMAGED);
    ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
    free(page);
}

START_TEST(bytes_that_lead_outside_are_refused)
{
    inner_assert_refused(inner_bent(24, 500), "500 separators");
    inner_assert_refused(inner_bent(24, 0xffff), "65535 separators");
    inner_assert_refused(inner_bent(26, 997), "prefix of 997 bytes");
    inner_assert_refused(inner_bent(26, 0xffff), "prefix of 65535 bytes");
    inner_assert_refused(inner_bent(28, 0), "tails at 65536");
    inner_assert_refused(inner_bent(28, 4097), "tails at 4097");
    inner_assert_refused(inner_bent(28, 59), "tails at 59");
    inner_assert_refused(inner_bent(30, 10), "10 dead bytes");
    inner_assert_refused(inner_bent(56, 5), "separator 0: tail at 5 ");
    inner_assert_refused(inner_bent(56, 59), "separator 0: tail at 59 ");
    inner_assert_refused(inner_bent(58, 4095), "separator 1: tail at 4095 ");
    inner_assert_refused(inner_bent(58, 0xffff), "separator 1: tail at 65535 ");
    inner_assert_refused(inner_bent(4096 - 9, 8), "separator 1: tail of 8 bytes");
    inner_assert_refused(inner_bent(4096 - 9, 4), "separator 1: tail of 4 bytes");
    inner_assert_refused(inner_bent(4096 - 9, 0xffff), "separator 1: tail of 65535 bytes");
    inner_assert_refused(inner_bent(44, 0), "child 0 is no page");
    inner_assert_refused(inner_bent(52, 0), "child 2 is no page");
}
END_TEST

START_TEST(a_separator_over_the_limit_is_refused)
{
    uint8_t *page = inner_new(4096);
    static uint8_t key[996];

    ck_assert(inner_insert(page, 4096, 0, key, 996, 5));
    key[0] = 1;
    ck_assert(inner_insert(page, 4096, 1, key, 996, 5));
    ck_assert_uint_eq(inner_prefix_size(page), 0);
    bytes_store_u16(page + page_upper(page), 997);
    inner_assert_refused(page, "997 bytes long");
}
END_TEST

static void inner_assert_not_whole(uint8_t *page, bool editable, const char *text)
{
    struct bts_error error = {BTS_OK, ""};

    ck_assert_int_eq(inner_check(page, 4096, &error), BTS_OK);
    ck_assert_int_eq(inner_check_edit(page, 4096, &error) == BTS_OK, editable);
    ck_assert_int_eq(inner_check_deep(page, 4096, &error), BTS_DAMAGED);
    ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
    free(page);
}

START_TEST(the_deep_check_finds_what_search_would_miss)
{
    inner_assert_not_whole(inner_bent(30, 2), false, "counts 2 dead bytes, expected 0");
    inner_assert_not_whole(inner_bent(56, 4096 - 9), false, "separator 0: head 62000000");
    inner_assert_not_whole(inner_bent(36, 'x'), true, "separator 0: head");
    inner_assert_not_whole(inner_bent(2000, 1), true, "unused byte 2000 ");
    inner_assert_not_whole(inner_bent(26, 3), true, "byte 35 after the prefix");
    inner_assert_not_whole(inner_bent(39, 'd'), true, "separator 1 is not above");
}
END_TEST

START_TEST(tails_that_overlap_are_never_changed)
{
    uint8_t *page = inner_of_two();
    struct bts_error error;

    bytes_store_u16(page + 56, 4096 - 9);
    ck_assert_int_eq(inner_check(page, 4096, &error), BTS_OK);
    ck_assert_int_eq(inner_check_edit(page, 4096, &error), BTS_DAMAGED);
    ck_assert_str_eq(error.text, "separator 1: its tail overlaps another");
    free(page);
}
END_TEST

int main(void)
{
    return UNIT_RUN("inner", a_key_equal_to_a_separator_goes_right,
                    a_page_of_one_child_leads_there,
                    a_guess_is_right_or_a_miss_wherever_heads_lie,
                    guessing_pays_where_heads_are_even_in_binary_or_in_decimal,
                    guessing_does_not_pay_in_clusters_nor_in_small_pages,
                    a_guess_reads_nothing_outside_of_hostile_heads,
                    the_shortest_separator_parts_its_neighbours,
                    bytes_that_lead_outside_are_refused, a_separator_over_the_limit_is_refused,
                    the_deep_check_finds_what_search_would_miss,
                    tails_that_overlap_are_never_changed);
}
