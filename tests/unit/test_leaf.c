/* SPDX-License-Identifier: MIT */
/*
 * leaf: fingerprints and searches, and what hostile bytes are told.
 */
#include "node_pages.h"
#include "random_keys.h"

/* ---- search -------------------------------------------------------------- */

/* The fingerprint as leaf.h words it, byte by byte. */
static uint8_t fingerprint_by_the_text(const uint8_t *key, size_t size)
{
    uint64_t h = size;

    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = 0;
        for (size_t j = i; j < i + 8 && j < size; j++) {
            word |= (uint64_t)key[j] << (8 * (j - i));
        }
        h = (h + word) * UINT64_C(0x9e3779b97f4a7c15);
    }
    h ^= h >> 32;
    return (uint8_t)(h * UINT64_C(0xd6e8feb86659fd93) >> 56);
}

START_TEST(fingerprints_are_what_the_format_says)
{
    struct random random = {8};

    ck_assert_uint_eq(leaf_fingerprint("a", 1), 0xc3);
    ck_assert_uint_eq(leaf_fingerprint("user:00001234", 13), 0x94);
    ck_assert_uint_eq(leaf_fingerprint("https://example.com/", 20), 0xa6);
    for (size_t size = 1; size < 100; size++) {
        uint8_t *key = malloc(size);
        ck_assert_ptr_nonnull(key);
        random_bytes(&random, key, size);
        ck_assert_uint_eq(leaf_fingerprint(key, size), fingerprint_by_the_text(key, size));
        free(key);
    }
}
END_TEST

/* 100 neighbours each: pairs that share the byte, 0.387 a key by pure chance. */
START_TEST(fingerprints_of_neighbours_differ)
{
    static const char *const formats[] = {"user:%08u", "%u", "/usr/share/doc/pkg/file%u.gz"};

    for (unsigned kind = 0; kind < 3; kind++) {
        unsigned pairs = 0;
        for (unsigned leaf = 0; leaf < 500; leaf++) {
            unsigned seen[256] = {0};
            for (unsigned i = 0; i < 100; i++) {
                char key[40];
                int size = snprintf(key, sizeof(key), formats[kind], 100000 + leaf * 100 + i);
                pairs += 2 * seen[leaf_fingerprint(key, (size_t)size)]++;
            }
        }
        ck_assert_msg(pairs < 500 * 100 * 0.45, "%s: %u", formats[kind], pairs);
    }
}
END_TEST

START_TEST(sixty_four_fingerprints_are_matched_at_once)
{
    struct random random = {9};
    uint8_t bytes[64];

    for (unsigned round = 0; round < 1000; round++) {
        uint64_t expected = 0;
        for (unsigned i = 0; i < 64; i++) {
            bytes[i] = (uint8_t)random_below(&random, 4);
            expected |= (uint64_t)(bytes[i] == 3) << i;
        }
        ck_assert_uint_eq(leaf_match_64(bytes, 3), expected);
    }
}
END_TEST

START_TEST(a_prefix_comes_first_and_zero_bytes_count)
{
    static const struct {
        const char *data;
        size_t size;
    } keys[] = {{"\0", 1}, {"\0\0", 2}, {"ab", 2}, {"ab\0", 3}, {"ab\0\0", 4}, {"abc", 3}};
    uint8_t *page = leaf_new(4096);

    for (unsigned i = 6; i-- > 0;) {
        bool found;
        unsigned index = leaf_lower_bound(page, keys[i].data, keys[i].size, &found);
        ck_assert(!found && index == 0);
        ck_assert(leaf_insert(page, 4096, index, keys[i].data, keys[i].size, NULL, 0));
    }
    leaf_assert_sound(page, 4096);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_int_eq(leaf_find(page, keys[i].data, keys[i].size), (int)i);
    }
    ck_assert_int_eq(leaf_find(page, "a", 1), -1);
    ck_assert_int_eq(leaf_find(page, "ab\0\0\0", 5), -1);
    free(page);
}
END_TEST

/* ---- hostile bytes ------------------------------------------------------- */

/* A leaf of three entries, b = value, c = "", d = a run, whose bytes a test then bends. */
static uint8_t *leaf_of_three(void)
{
    uint8_t *page = leaf_new(4096);

    ck_assert(leaf_insert(page, 4096, 0, "b", 1, "value", 5));
    ck_assert(leaf_insert(page, 4096, 1, "c", 1, NULL, 0));
    ck_assert(leaf_insert_run(page, 4096, 2, "d", 1, 500, 70000));
    leaf_assert_sound(page, 4096);
    return page;
}

#define OFFSETS_OF_THREE 36 /* after 3 fingerprints and a zero */

/* Where its cells lie. */
static uint16_t leaf_offset_of_three(unsigned index)
{
    uint8_t *page = leaf_of_three();
    uint16_t offset = leaf_offsets(page)[index];

    free(page);
    return offset;
}

static void leaf_assert_refused(uint8_t *page, enum bts_status status, const char *text)
{
    struct bts_error error = {BTS_OK, ""};

    ck_assert_int_eq(leaf_check(page, 4096, &error), status);
    ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
    free(page);
}

/* A 16-bit field at a place in the page, set to something no writer writes. */
static uint8_t *leaf_bent(size_t at, uint16_t value)
{
    uint8_t *page = leaf_of_three();

    bytes_store_u16(page + at, value);
    return page;
}

START_TEST(headers_that_lead_outside_are_refused)
{
    leaf_assert_refused(leaf_bent(24, 1400), BTS_DAMAGED, "1400 entries");
    leaf_assert_refused(leaf_bent(24, 0xffff), BTS_DAMAGED, "65535 entries");
    leaf_assert_refused(leaf_bent(26, 1), BTS_VERSION, "prefix 1");
    leaf_assert_refused(leaf_bent(28, 0), BTS_DAMAGED, "cells at 65536");
    leaf_assert_refused(leaf_bent(28, 4097), BTS_DAMAGED, "cells at 4097");
    leaf_assert_refused(leaf_bent(28, 40), BTS_DAMAGED, "cells at 40");
    leaf_assert_refused(leaf_bent(30, 4000), BTS_DAMAGED, "4000 dead bytes");
}
END_TEST

START_TEST(cells_that_lead_outside_are_refused)
{
    uint16_t first = leaf_offset_of_three(0);
    uint16_t last = leaf_offset_of_three(2);

    leaf_assert_refused(leaf_bent(OFFSETS_OF_THREE, 0), BTS_DAMAGED, "entry 0: cell at 0 ");
    leaf_assert_refused(leaf_bent(OFFSETS_OF_THREE + 2, 36), BTS_DAMAGED, "entry 1: cell at 36 ");
    leaf_assert_refused(leaf_bent(OFFSETS_OF_THREE, 4093), BTS_DAMAGED, "cell at 4093 ");
    leaf_assert_refused(leaf_bent(OFFSETS_OF_THREE, 0xffff), BTS_DAMAGED, "cell at 65535 ");
    leaf_assert_refused(leaf_bent(first, 0), BTS_DAMAGED, "key of 0 bytes");
    leaf_assert_refused(leaf_bent(first, 997), BTS_DAMAGED, "key of 997 bytes");
    leaf_assert_refused(leaf_bent(first, 0x8001), BTS_VERSION, "newer version");
    leaf_assert_refused(leaf_bent(first, 0x4001), BTS_VERSION, "newer version");
    leaf_assert_refused(leaf_bent(first + 2, 6), BTS_DAMAGED, "does not fit");
    leaf_assert_refused(leaf_bent(first + 2, 0xfffe), BTS_DAMAGED, "does not fit");
    leaf_assert_refused(leaf_bent(first + 2, 0xffff), BTS_DAMAGED, "does not fit");
    leaf_assert_refused(leaf_bent(last + 5, 0), BTS_DAMAGED, "pointer to a run");
    leaf_assert_refused(leaf_bent(last + 15, 1), BTS_DAMAGED, "pointer to a run");
}
END_TEST

START_TEST(a_cell_over_the_limit_is_refused)
{
    uint8_t *page = leaf_new(4096);
    static const uint8_t value[800];

    ck_assert(leaf_insert(page, 4096, 0, "a", 1, value, 800));
    ck_assert(leaf_insert(page, 4096, 1, "b", 1, value, 800));
    bytes_store_u16(page + page_upper(page) + 2, 1012 - 5);
    ck_assert_int_eq(leaf_check(page, 4096, NULL), BTS_OK);
    bytes_store_u16(page + page_upper(page) + 2, 1012 - 4);
    leaf_assert_refused(page, BTS_DAMAGED, "cell of 1013 bytes");
}
END_TEST

static void leaf_assert_not_editable(uint8_t *page, const char *text)
{
    struct bts_error error = {BTS_OK, ""};

    ck_assert_int_eq(leaf_check(page, 4096, &error), BTS_OK);
    ck_assert_int_eq(leaf_check_edit(page, 4096, &error), BTS_DAMAGED);
    ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
    free(page);
}

START_TEST(cells_that_overlap_are_read_but_never_changed)
{
    uint16_t first = leaf_offset_of_three(0);

    leaf_assert_not_editable(leaf_bent(OFFSETS_OF_THREE + 2, first), "entry 1: its cell overlaps");
    leaf_assert_not_editable(leaf_bent(30, 3), "counts 3 dead bytes, expected 0");
}
END_TEST

static void leaf_assert_not_whole(uint8_t *page, const char *text)
{
    struct bts_error error = {BTS_OK, ""};

    ck_assert_int_eq(leaf_check_edit(page, 4096, &error), BTS_OK);
    ck_assert_int_eq(leaf_check_deep(page, 4096, &error), BTS_DAMAGED);
    ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
    free(page);
}

START_TEST(the_deep_check_finds_what_search_would_miss)
{
    uint8_t *page = leaf_of_three();
    uint16_t key = (uint16_t)(leaf_offsets(page)[1] + 4);

    page[key] = 'a';
    page[33] = leaf_fingerprint("a", 1);
    leaf_assert_not_whole(page, "entry 1: key is not above");
    page = leaf_of_three();
    page[33] ^= 1;
    leaf_assert_not_whole(page, "entry 1: fingerprint");
    page = leaf_of_three();
    page[35] = 1;
    leaf_assert_not_whole(page, "unused byte 35 ");
    page = leaf_of_three();
    page[2000] = 1;
    leaf_assert_not_whole(page, "unused byte 2000 ");
}
END_TEST

int main(void)
{
    return UNIT_RUN("leaf", fingerprints_are_what_the_format_says,
                    fingerprints_of_neighbours_differ,
                    sixty_four_fingerprints_are_matched_at_once,
                    a_prefix_comes_first_and_zero_bytes_count,
                    headers_that_lead_outside_are_refused, cells_that_lead_outside_are_refused,
                    a_cell_over_the_limit_is_refused,
                    cells_that_overlap_are_read_but_never_changed,
                    the_deep_check_finds_what_search_would_miss);
}
