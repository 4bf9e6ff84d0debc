/* SPDX-License-Identifier: MIT */
/* multi_get: as many gets, whatever their number and order. */
#include "read/multi_get.h"

#include "build_tree.h"
#include "format/inner.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define LOOKUPS_MAX 300u

static struct build build;
static struct build_entries entries;
static struct bucket_record record;
static struct tree_view view;

static void plant(enum build_keys kind, size_t count, unsigned leaf_max, unsigned children_max)
{
    struct build_random random = {kind * 7 + count};

    build_entries_init(&entries, &random, kind, 4096, count, 6000);
    build_init(&build, 4096, 20000);
    build.leaf_entries_max = leaf_max;
    build.inner_children_max = children_max;
    record = build_tree(&build, 7, entries.entry, entries.count);
    view = build_view(&build, &record);
}

static void fell(void)
{
    build_fini(&build);
    build_entries_fini(&entries);
}

/* What multi_get says of each lookup must be what tree_get says. */
static void assert_as_tree_get(const struct bts_lookup *lookups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bts_bytes value;
        enum bts_status status =
            tree_get(&view, lookups[i].key, lookups[i].key_size, &value, NULL);

        ck_assert_int_eq(lookups[i].status, status);
        ck_assert_ptr_eq(lookups[i].value.data, value.data);
        ck_assert_uint_eq(lookups[i].value.size, value.size);
    }
}

/* Fills lookups with present, absent, empty and repeated keys. */
static void random_lookups(struct build_random *random, enum build_keys kind,
                           struct bts_lookup *lookups, uint8_t (*keys)[1000], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned choice = (unsigned)build_random_below(random, 20);
        const struct build_entry *entry =
            &entries.entry[build_random_below(random, entries.count)];

        lookups[i].key = entry->key;
        lookups[i].key_size = entry->key_size;
        lookups[i].value = (struct bts_bytes){"garbage", 7};
        lookups[i].status = BTS_BUSY;
        if (choice == 0) {
            lookups[i].key = NULL;
            lookups[i].key_size = 0;
        } else if (choice < 8) {
            lookups[i].key = keys[i];
            lookups[i].key_size = build_key(random, kind, 4096, keys[i]);
        } else if (choice < 10 && i > 0) {
            lookups[i].key = lookups[i - 1].key;
            lookups[i].key_size = lookups[i - 1].key_size;
        }
    }
}

START_TEST(any_number_of_keys_is_found_as_tree_get_finds_them)
{
    static struct bts_lookup lookups[LOOKUPS_MAX];
    static uint8_t keys[LOOKUPS_MAX][1000];
    struct build_random random = {3};

    for (enum build_keys kind = 0; kind < BUILD_KEYS_END; kind++) {
        plant(kind, 3000, kind % 2 != 0 ? 5 : 0, kind % 2 != 0 ? 4 : 0);
        for (size_t count = 0; count <= LOOKUPS_MAX; count += 1 + count / 20) {
            random_lookups(&random, kind, lookups, keys, count);
            ck_assert_int_eq(multi_get(&view, lookups, count, NULL), BTS_OK);
            assert_as_tree_get(lookups, count);
        }
        fell();
    }
}
END_TEST

START_TEST(an_empty_tree_and_a_single_leaf_will_do)
{
    struct bts_lookup lookups[2] = {{"a", 1, {NULL, 0}, BTS_BUSY}, {"b", 1, {NULL, 0}, BTS_BUSY}};
    struct build_entry one = {(const uint8_t *)"b", 1, (const uint8_t *)"two", 3};

    build_init(&build, 4096, 10);
    record = build_tree(&build, 7, NULL, 0);
    view = build_view(&build, &record);
    ck_assert_int_eq(multi_get(&view, lookups, 2, NULL), BTS_OK);
    assert_as_tree_get(lookups, 2);
    ck_assert_int_eq(multi_get(&view, NULL, 0, NULL), BTS_OK);
    record = build_tree(&build, 7, &one, 1);
    view = build_view(&build, &record);
    ck_assert_int_eq(multi_get(&view, lookups, 2, NULL), BTS_OK);
    assert_as_tree_get(lookups, 2);
    ck_assert_int_eq(lookups[1].status, BTS_OK);
    build_fini(&build);
}
END_TEST

START_TEST(damage_fails_its_keys_and_no_others)
{
    static struct bts_lookup lookups[LOOKUPS_MAX];
    static uint8_t keys[LOOKUPS_MAX][1000];
    struct build_random random = {4};
    unsigned partly = 0;

    plant(BUILD_KEYS_URL, 2000, 20, 5);
    for (pgno_t p = 4; p < build.page_count; p++) {
        struct bts_error error = {BTS_OK, ""};
        unsigned failed = 0;
        enum bts_status status;

        build_page(&build, p)->crc ^= 1;
        build_forget(&build);
        random_lookups(&random, BUILD_KEYS_URL, lookups, keys, LOOKUPS_MAX);
        status = multi_get(&view, lookups, LOOKUPS_MAX, &error);
        assert_as_tree_get(lookups, LOOKUPS_MAX);
        for (unsigned i = 0; i < LOOKUPS_MAX; i++)
            failed += lookups[i].status == BTS_DAMAGED;
        ck_assert_int_eq(status, failed > 0 ? BTS_DAMAGED : BTS_OK);
        ck_assert_int_eq(error.status, status);
        partly += failed > 0 && failed < LOOKUPS_MAX;
        build_page(&build, p)->crc ^= 1;
    }
    ck_assert_uint_gt(partly, 20);
    fell();
}
END_TEST

START_TEST(the_text_is_of_the_first_failure)
{
    struct bts_lookup lookups[2 * MULTI_GET_WIDTH] = {{0}};
    const struct build_entry *first, *last;
    struct bts_error error;
    char name[32];
    pgno_t left, right;

    plant(BUILD_KEYS_PREFIX, 100, 10, 0);
    first = &entries.entry[0];
    last = &entries.entry[entries.count - 1];
    for (unsigned i = 0; i < 2 * MULTI_GET_WIDTH; i++) {
        lookups[i].key = i < MULTI_GET_WIDTH ? last->key : first->key;
        lookups[i].key_size = i < MULTI_GET_WIDTH ? last->key_size : first->key_size;
    }
    left = inner_children(build_page(&build, record.root))[0];
    right = inner_children(
        build_page(&build, record.root))[inner_count(build_page(&build, record.root))];
    build_page(&build, left)->crc ^= 1;
    build_page(&build, right)->crc ^= 1;
    ck_assert_int_eq(multi_get(&view, lookups, 2 * MULTI_GET_WIDTH, &error), BTS_DAMAGED);
    snprintf(name, sizeof(name), "page %u: checksum", right);
    ck_assert_msg(strncmp(error.text, name, strlen(name)) == 0, "%s", error.text);
    fell();
}
END_TEST

START_TEST(a_page_younger_than_its_parent_is_damage)
{
    struct bts_lookup lookups[2] = {{"a", 1, {NULL, 0}, BTS_BUSY}, {"k", 1, {NULL, 0}, BTS_BUSY}};

    build_init(&build, 4096, 100);
    record = build_chain(&build, 3);
    view = build_view(&build, &record);
    view.txnid = 99;
    ck_assert_int_eq(multi_get(&view, lookups, 2, NULL), BTS_OK);
    for (pgno_t p = record.root - 1; p > record.root - 3; p--) {
        build_page(&build, p)->txnid++;
        build_reseal(&build, p);
        ck_assert_int_eq(multi_get(&view, lookups, 2, NULL), BTS_DAMAGED);
        build_page(&build, p)->txnid--;
        build_reseal(&build, p);
    }
    build_fini(&build);
}
END_TEST

START_TEST(a_root_that_cannot_be_fails_all_keys)
{
    struct bts_lookup lookups[2] = {{"a", 1, {NULL, 0}, BTS_BUSY}, {"b", 1, {NULL, 0}, BTS_BUSY}};
    struct bts_error error;

    plant(BUILD_KEYS_URL, 10, 0, 0);
    view.depth = 99;
    ck_assert_int_eq(multi_get(&view, lookups, 2, &error), BTS_DAMAGED);
    ck_assert_int_eq(lookups[0].status, BTS_DAMAGED);
    ck_assert_int_eq(lookups[1].status, BTS_DAMAGED);
    fell();
}
END_TEST

int main(void)
{
    return UNIT_RUN("multi_get", any_number_of_keys_is_found_as_tree_get_finds_them,
                    an_empty_tree_and_a_single_leaf_will_do, damage_fails_its_keys_and_no_others,
                    the_text_is_of_the_first_failure, a_page_younger_than_its_parent_is_damage,
                    a_root_that_cannot_be_fails_all_keys);
}
