/* SPDX-License-Identifier: MIT */
/* tree: what was put in is found, nothing else is, and damage is never wrong data. */
#include "read/tree.h"

#include "base/crc32c.h"
#include "build_tree.h"
#include "format/inner.h"
#include "unit.h"

#include <string.h>

static struct build build;
static struct build_entries entries;
static struct bucket_record record;
static struct tree_view view;

/* A tree of random entries; leaf_max and children_max make it deep. */
static void plant(enum build_keys kind, size_t page_size, size_t count, size_t value_max,
                  unsigned leaf_max, unsigned children_max)
{
    struct build_random random = {kind * 1000 + page_size + count};

    build_entries_init(&entries, &random, kind, page_size, count, value_max);
    build_init(&build, page_size, 40000);
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

static void assert_found(const struct build_entry *entry)
{
    struct bts_bytes value;
    struct bts_error error;
    enum bts_status status = tree_get(&view, entry->key, entry->key_size, &value, &error);

    ck_assert_msg(status == BTS_OK, "%s", error.text);
    ck_assert_ptr_nonnull(value.data);
    ck_assert_uint_eq(value.size, entry->value_size);
    ck_assert(entry->value_size == 0 || memcmp(value.data, entry->value, value.size) == 0);
}

/* Compares every entry, and as many random keys, with the model. */
static void assert_all_found(enum build_keys kind)
{
    struct build_random random = {kind};
    uint8_t key[PAGE_SIZE_MAX];
    struct bts_bytes value;
    bool found;

    for (size_t i = 0; i < entries.count; i++)
        assert_found(&entries.entry[i]);
    for (size_t i = 0; i < entries.count; i++) {
        size_t size = build_key(&random, kind, build.page_size, key);
        size_t at = build_entries_lower(&entries, key, size, &found);

        if (found)
            assert_found(&entries.entry[at]);
        else
            ck_assert_int_eq(tree_get(&view, key, size, &value, NULL), BTS_NOT_FOUND);
    }
}

static void check_kind(enum build_keys kind)
{
    plant(kind, 4096, 20000, 3000, 0, 0);
    assert_all_found(kind);
    fell();
    plant(kind, 65536, 3000, 100000, 0, 0);
    assert_all_found(kind);
    fell();
    plant(kind, 4096, 600, 100, 2, 3);
    ck_assert_uint_gt(record.depth, 4);
    assert_all_found(kind);
    fell();
}

START_TEST(random_keys_are_found)
{
    check_kind(BUILD_KEYS_RANDOM);
}
END_TEST

START_TEST(dense_keys_with_zero_bytes_are_found)
{
    check_kind(BUILD_KEYS_DENSE);
}
END_TEST

START_TEST(keys_with_a_common_prefix_are_found)
{
    check_kind(BUILD_KEYS_PREFIX);
}
END_TEST

START_TEST(urls_are_found)
{
    check_kind(BUILD_KEYS_URL);
}
END_TEST

START_TEST(long_keys_are_found)
{
    plant(BUILD_KEYS_LONG, 4096, 3000, 3000, 0, 0);
    assert_all_found(BUILD_KEYS_LONG);
    fell();
    plant(BUILD_KEYS_LONG, 65536, 500, 3000, 0, 0);
    assert_all_found(BUILD_KEYS_LONG);
    fell();
}
END_TEST

START_TEST(large_values_are_found_in_their_runs)
{
    static const size_t sizes[] = {0,     1,     1000,  1011,  1012,          1013,   4064,
                                   4065,  8160,  8161,  65535, 65536,         65537,  100000,
                                   1 << 20, (3 << 20) - 32, 0};
    uint8_t *noise = malloc(4 << 20);

    for (size_t i = 0; i < 4 << 20; i++)
        noise[i] = (uint8_t)(i * 31 >> 3);
    for (size_t page_size = 4096; page_size <= 65536; page_size *= 16) {
        struct build_entry entry[16];

        build_init(&build, page_size, 4000);
        for (unsigned i = 0; i < 16; i++)
            entry[i] = (struct build_entry){(const uint8_t *)"abcdefghijklmnop" + i, 1, noise + i,
                                            sizes[i]};
        record = build_tree(&build, 7, entry, 16);
        ck_assert_uint_gt(record.run_pages, 64);
        view = build_view(&build, &record);
        for (unsigned round = 0; round < 2; round++)
            for (unsigned i = 0; i < 16; i++)
                assert_found(&entry[i]);
        build_fini(&build);
    }
    free(noise);
}
END_TEST

START_TEST(an_empty_tree_holds_no_key)
{
    struct bts_bytes value = {"x", 1};

    build_init(&build, 4096, 100);
    record = build_tree(&build, 7, NULL, 0);
    view = build_view(&build, &record);
    ck_assert_int_eq(tree_get(&view, "key", 3, &value, NULL), BTS_NOT_FOUND);
    ck_assert_ptr_null(value.data);
    ck_assert_uint_eq(value.size, 0);
    build_fini(&build);
}
END_TEST

START_TEST(empty_and_endless_keys_are_not_found)
{
    uint8_t *key = calloc(1, 1 << 20);
    struct bts_bytes value;

    plant(BUILD_KEYS_DENSE, 4096, 5000, 10, 0, 0);
    ck_assert_int_eq(tree_get(&view, "", 0, &value, NULL), BTS_NOT_FOUND);
    ck_assert_int_eq(tree_get(&view, NULL, 0, &value, NULL), BTS_NOT_FOUND);
    for (size_t size = 900; size <= 1 << 20; size *= 2)
        ck_assert_int_eq(tree_get(&view, key, size, &value, NULL), BTS_NOT_FOUND);
    fell();
    free(key);
}
END_TEST

START_TEST(a_root_and_depth_that_contradict_each_other_are_damage)
{
    static const struct {
        pgno_t root;
        uint32_t depth;
    } wrong[] = {{0, 1}, {5, 0}, {5, TREE_DEPTH_MAX + 1}, {5, UINT32_MAX}, {0, UINT32_MAX}};
    struct bts_bytes value;
    struct bts_error error;

    plant(BUILD_KEYS_RANDOM, 4096, 10, 10, 0, 0);
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        view.root = wrong[i].root;
        view.depth = wrong[i].depth;
        ck_assert_int_eq(tree_get(&view, "key", 3, &value, &error), BTS_DAMAGED);
        ck_assert_int_eq(error.status, BTS_DAMAGED);
        ck_assert_ptr_null(value.data);
    }
    fell();
}
END_TEST

START_TEST(a_tree_of_the_greatest_depth_works_and_a_deeper_one_is_damage)
{
    struct bts_bytes value;

    build_init(&build, 4096, 100);
    record = build_chain(&build, TREE_DEPTH_MAX);
    view = build_view(&build, &record);
    ck_assert_int_eq(tree_get(&view, "k", 1, &value, NULL), BTS_OK);
    record = build_chain(&build, TREE_DEPTH_MAX + 1);
    view = build_view(&build, &record);
    ck_assert_int_eq(tree_get(&view, "k", 1, &value, NULL), BTS_DAMAGED);
    build_fini(&build);
}
END_TEST

START_TEST(a_page_younger_than_its_parent_is_damage)
{
    static uint8_t large[5000];
    struct build_entry entry = {(const uint8_t *)"a", 1, large, sizeof(large)};
    struct bts_bytes value;
    pgno_t run;

    build_init(&build, 4096, 100);
    record = build_chain(&build, 3);
    view = build_view(&build, &record);
    view.txnid = 99;
    ck_assert_int_eq(tree_get(&view, "k", 1, &value, NULL), BTS_OK);
    for (pgno_t p = record.root - 1; p > record.root - 3; p--) {
        build_page(&build, p)->txnid++;
        build_reseal(&build, p);
        ck_assert_int_eq(tree_get(&view, "k", 1, &value, NULL), BTS_DAMAGED);
        build_page(&build, p)->txnid--;
        build_reseal(&build, p);
    }
    record = build_tree(&build, 7, &entry, 1);
    view = build_view(&build, &record);
    view.txnid = 99;
    ck_assert_int_eq(tree_get(&view, "a", 1, &value, NULL), BTS_OK);
    run = leaf_entry_at(build_page(&build, record.root), 0).run_pgno;
    build_page(&build, run)->txnid++;
    build_reseal(&build, run);
    ck_assert_int_eq(tree_get(&view, "a", 1, &value, NULL), BTS_DAMAGED);
    build_fini(&build);
}
END_TEST

START_TEST(a_tree_that_bites_its_tail_is_damage_and_no_loop)
{
    struct bts_bytes value;
    struct page_header *root;

    plant(BUILD_KEYS_RANDOM, 4096, 600, 10, 2, 3);
    root = build_page(&build, record.root);
    for (unsigned i = 0; i <= inner_count(root); i++)
        inner_set_child(root, i, record.root);
    build_reseal(&build, record.root);
    ck_assert_int_eq(tree_get(&view, "key", 3, &value, NULL), BTS_DAMAGED);
    fell();
}
END_TEST

/* Each page in turn with one byte changed: gets give the truth or BTS_DAMAGED. */
START_TEST(no_damaged_page_gives_wrong_data)
{
    struct build_random random = {5};
    unsigned damaged = 0;

    plant(BUILD_KEYS_URL, 4096, 2000, 6000, 20, 5);
    for (pgno_t p = 4; p < build.page_count; p++) {
        uint8_t *byte = (uint8_t *)build_page(&build, p) + build_random_below(&random, 4096);
        uint8_t flip = (uint8_t)(1u << build_random_below(&random, 8));

        *byte ^= flip;
        build_forget(&build);
        for (size_t i = 0; i < entries.count; i += 7) {
            const struct build_entry *entry = &entries.entry[i];
            struct bts_bytes value;

            if (tree_get(&view, entry->key, entry->key_size, &value, NULL) == BTS_OK) {
                assert_found(entry);
            } else {
                ck_assert_ptr_null(value.data);
                damaged++;
            }
        }
        *byte ^= flip;
    }
    ck_assert_uint_gt(damaged, 100);
    fell();
}
END_TEST

/* As above, but with a true checksum: what a wrong writer or an attacker makes.  No crash. */
START_TEST(hostile_pages_with_true_checksums_do_no_harm)
{
    struct build_random random = {6};
    uint8_t saved[4096];

    plant(BUILD_KEYS_URL, 4096, 500, 6000, 20, 5);
    for (unsigned round = 0; round < UNIT_ROUNDS(3000); round++) {
        pgno_t p = 4 + (pgno_t)build_random_below(&random, build.page_count - 4);
        uint8_t *page = (uint8_t *)build_page(&build, p);
        const struct build_entry *entry =
            &entries.entry[build_random_below(&random, entries.count)];
        struct bts_bytes value;

        if (((struct page_header *)(void *)page)->pgno != p)
            continue; /* the inside of a run */
        memcpy(saved, page, 4096);
        for (unsigned i = 0; i < 3; i++)
            page[4 + build_random_below(&random, round % 2 != 0 ? 200 : 4092)] =
                (uint8_t)build_random(&random);
        if (((struct page_header *)(void *)page)->type != PAGE_RUN)
            page_seal(page, 4096);
        build_forget(&build);
        if (tree_get(&view, entry->key, entry->key_size, &value, NULL) == BTS_OK)
            ck_assert_uint_lt(crc32c(0, value.data, value.size), 1ull << 32);
        memcpy(page, saved, 4096);
    }
    fell();
}
END_TEST

int main(void)
{
    return UNIT_RUN("tree", random_keys_are_found, dense_keys_with_zero_bytes_are_found,
                    keys_with_a_common_prefix_are_found, urls_are_found, long_keys_are_found,
                    large_values_are_found_in_their_runs, an_empty_tree_holds_no_key,
                    empty_and_endless_keys_are_not_found,
                    a_root_and_depth_that_contradict_each_other_are_damage,
                    a_tree_of_the_greatest_depth_works_and_a_deeper_one_is_damage,
                    a_page_younger_than_its_parent_is_damage,
                    a_tree_that_bites_its_tail_is_damage_and_no_loop,
                    no_damaged_page_gives_wrong_data,
                    hostile_pages_with_true_checksums_do_no_harm);
}
