/* SPDX-License-Identifier: MIT */
/*
 * tree_write: a tree stays a good tree, whatever is put and deleted.
 *
 * The tests of one key at a time; ranges are in test_tree_range, and the long
 * random walks in smo_stress.
 */
#include "tree/tree_write.h"

#include <string.h>

#include "format/inner.h"
#include "tree_fixture.h"

/* Which part of the leaves keys and values of this size take. */
static double fill(size_t entry_size)
{
    size_t page_size = pages_page_size(writer.pages);

    return (double)(tree->record.entry_count * leaf_entry_size(0, entry_size)) /
           (double)(tree->record.leaf_pages * (page_size - PAGE_HEADER_SIZE));
}

/* ---- the ends -------------------------------------------------------------- */

START_TEST(an_empty_tree_has_nothing_to_delete)
{
    start(4096);
    model_delete(&model, tree, "key", 3);
    model_delete_range(&model, tree, NULL, 0, NULL, 0);
    model_delete_range(&model, tree, "a", 1, "b", 1);
    ck_assert_uint_eq(pages_private_bytes(writer.pages), 0);
    finish();
}
END_TEST

START_TEST(the_first_entry_makes_a_leaf_and_the_last_one_takes_it_away)
{
    start(4096);
    put_number(1, 10);
    ck_assert_uint_eq(tree->record.depth, 1);
    ck_assert_uint_eq(tree->record.leaf_pages, 1);
    commit_and_check();
    delete_number(1);
    ck_assert_uint_eq(tree->record.depth, 0);
    ck_assert_uint_eq(tree->record.root, PGNO_NONE);
    ck_assert_uint_eq(tree->record.leaf_pages, 0);
    finish();
}
END_TEST

/* Keys of three levels, deleted from one end: pages empty one by one, and roots are dropped. */
START_TEST(a_tree_deleted_from_one_end_leaves_no_page_behind)
{
    start(4096);
    for (int backwards = 0; backwards < 2; backwards++) {
        for (unsigned i = 0; i < 2000; i++) {
            put_number(i, 900);
        }
        ck_assert_uint_ge(tree->record.depth, 3);
        commit_and_check();
        for (unsigned i = 0; i < 2000; i++) {
            delete_number(backwards ? 1999 - i : i);
            if (i % 500 == 0) {
                commit_and_check();
            }
        }
        ck_assert_uint_eq(tree->record.root, PGNO_NONE);
        ck_assert_uint_eq(tree->record.leaf_pages + tree->record.inner_pages, 0);
    }
    finish();
}
END_TEST

/* ---- fill ------------------------------------------------------------------ */

START_TEST(ascending_input_leaves_full_leaves)
{
    start(4096);
    for (unsigned i = 0; i < UNIT_ROUNDS(20000); i++) {
        put_number(i, 100);
    }
    ck_assert_msg(fill(117) > 0.95, "leaves are %.2f full", fill(117));
    finish();
}
END_TEST

START_TEST(descending_input_leaves_full_leaves)
{
    start(4096);
    for (unsigned i = UNIT_ROUNDS(20000); i > 0; i--) {
        put_number(i, 100);
    }
    ck_assert_msg(fill(117) > 0.95, "leaves are %.2f full", fill(117));
    finish();
}
END_TEST

START_TEST(random_input_leaves_pages_four_fifths_full)
{
    start(4096);
    for (unsigned i = 0; i < UNIT_ROUNDS(20000); i++) {
        put_number(writer_random(&seed) % 1000000000, 100);
    }
    ck_assert_msg(fill(117) > 0.80, "leaves are %.2f full", fill(117));
    finish();
}
END_TEST

START_TEST(deleting_most_entries_at_random_gives_most_pages_back)
{
    uint64_t leaves;

    start(4096);
    for (unsigned i = 0; i < UNIT_ROUNDS(20000); i++) {
        put_number(i, 100);
    }
    leaves = tree->record.leaf_pages;
    for (unsigned i = 0; i < UNIT_ROUNDS(20000); i++) {
        if (i * 7919u % 20 != 0) {
            delete_number(i);
        }
    }
    ck_assert_uint_eq(tree->record.entry_count, UNIT_ROUNDS(20000) / 20);
    ck_assert_uint_lt(tree->record.leaf_pages, leaves / 4);
    finish();
}
END_TEST

/* ---- copy-on-write ----------------------------------------------------------- */

START_TEST(a_put_that_the_mode_forbids_copies_nothing)
{
    bool replaced;
    bool written;

    start(4096);
    put_number(1, 10);
    commit_and_check();
    ck_assert_int_eq(tree_put(tree, TREE_PUT_IF_ABSENT, "user:000000000001", 17, "x", 1,
                              &replaced, &written, NULL), BTS_OK);
    ck_assert(!written && !replaced);
    ck_assert_int_eq(tree_put(tree, TREE_PUT_IF_PRESENT, "user:000000000002", 17, "x", 1,
                              &replaced, &written, NULL), BTS_OK);
    ck_assert(!written && !replaced);
    delete_number(3);
    ck_assert_uint_eq(pages_private_bytes(writer.pages), 0);
    finish();
}
END_TEST

START_TEST(a_page_that_is_private_already_is_edited_where_it_is)
{
    size_t bytes;

    start(4096);
    for (unsigned i = 0; i < 5000; i++) {
        put_number(2 * i, 20);
    }
    commit_and_check();
    put_number(5000, 21);
    bytes = pages_private_bytes(writer.pages);
    ck_assert_uint_eq(bytes, tree->record.depth * 4096);
    put_number(5000, 19);
    put_number(5002, 20);
    delete_number(5000);
    ck_assert_uint_eq(pages_private_bytes(writer.pages), bytes);
    finish();
}
END_TEST

START_TEST(ascending_input_copies_no_leaf_that_is_full)
{
    start(4096);
    for (unsigned i = 0; i < 1000; i++) {
        put_number(i, i * 7919u % 800);
        ck_assert_uint_le(pages_private_bytes(writer.pages), tree->record.depth * 4096);
        writer_commit(&writer);
        begin();
    }
    finish();
}
END_TEST

START_TEST(the_state_before_a_group_is_untouched_by_it)
{
    struct tree_view before;

    start(4096);
    for (unsigned i = 0; i < 3000; i++) {
        put_number(i, 50);
    }
    commit_and_check();
    before = writer_view(&writer);
    before.root = tree->record.root;
    before.depth = tree->record.depth;
    for (unsigned i = 0; i < 3000; i++) {
        bool found;
        char key[32];
        int size = snprintf(key, sizeof(key), "user:%012u", i);
        ck_assert_int_eq(tree_delete(tree, key, (size_t)size, &found, NULL), BTS_OK);
    }
    model_compare(&model, &before);
    writer_abort(&writer);
    begin();
    finish();
}
END_TEST

/* Deletes a range of 400 numbers, and puts 500 with values of many sizes. */
static void spoil(void)
{
    static const uint8_t value[5000];
    struct bts_bytes from = {"user:000000001", 14};
    struct bts_bytes to = {"user:0000000019", 15};
    uint64_t deleted;
    bool replaced;
    bool written;
    char key[32];

    ck_assert_int_eq(tree_delete_range(tree, from, to, &deleted, NULL), BTS_OK);
    ck_assert_uint_gt(deleted, 300);
    for (unsigned i = 0; i < 500; i++) {
        int size = snprintf(key, sizeof(key), "user:%012u", 3 * i);
        ck_assert_int_eq(tree_put(tree, TREE_PUT_ALWAYS, key, (size_t)size, value, i % 50 * 100,
                                  &replaced, &written, NULL), BTS_OK);
    }
}

START_TEST(undo_takes_back_splits_merges_runs_and_counts)
{
    struct bucket_record record;
    struct space_stat space;
    struct space_stat after;

    start(4096);
    for (unsigned i = 0; i < 2000; i++) {
        put_number(2 * i, i % 100 == 0 ? 10000 : 100);
    }
    commit_and_check();
    put_number(1001, 100);
    record = tree->record;
    space = space_stat(writer.space);
    pages_savepoint(writer.pages);
    spoil();
    pages_undo(writer.pages);
    tree->record = record;
    after = space_stat(writer.space);
    ck_assert_mem_eq(&after, &space, sizeof(space));
    finish();
}
END_TEST

/* ---- values ------------------------------------------------------------------ */

START_TEST(a_value_moves_to_a_run_and_back_as_its_size_changes)
{
    static const size_t sizes[] = {0,    994,   995,   5000, 100000, 100, 4064, 4065,
                                   8160, 8161, 995, 3, 1u << 20, 0};

    start(4096);
    for (unsigned i = 0; i < 50; i++) {
        put_number(i, 90);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        put_number(25, sizes[i]);
        ck_assert_uint_eq(tree->record.run_pages,
                          sizes[i] + 17 + 4 > page_cell_max(4096) ? page_run_pages(sizes[i], 4096)
                                                                  : 0);
        commit_and_check();
    }
    finish();
}
END_TEST

START_TEST(the_largest_value_is_stored_whole)
{
    start(4096);
    put_number(1, VALUE_SIZE_MAX);
    commit_and_check();
    delete_number(1);
    ck_assert_uint_eq(tree->record.run_pages, 0);
    finish();
}
END_TEST

START_TEST(values_that_grow_where_they_are_split_their_leaf)
{
    start(4096);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 300; i++) {
            put_number(i, round * 100);
        }
        commit_and_check();
    }
    for (unsigned i = 0; i < 300; i++) {
        put_number(i, 0);
    }
    ck_assert_msg(tree->record.leaf_pages < 12, "%llu leaves",
                  (unsigned long long)tree->record.leaf_pages);
    finish();
}
END_TEST

/*
 * Five entries that fill a leaf to the last byte, were it not for the byte that
 * an odd number of them costs.
 */
START_TEST(leaves_that_do_not_fit_in_one_by_a_byte_are_not_merged)
{
    start(4096);
    for (unsigned i = 1; i <= 4; i++) {
        put_number(i, 776);
    }
    put_number(5, 840);
    put_number(6, 300);
    ck_assert_uint_eq(tree->record.leaf_pages, 2);
    delete_number(6);
    ck_assert_uint_eq(tree->record.leaf_pages, 2);
    finish();
}
END_TEST

/* ---- long keys ---------------------------------------------------------------- */

/*
 * Inner pages drop the prefix that all their separators share; one that does
 * not share it, at either end, makes the page many times as large at a stroke.
 */
START_TEST(a_separator_that_ends_a_long_shared_prefix_splits_an_inner_page)
{
    static const char letters[] = {'m', 'a', 'z', 'b', 'y'};
    uint8_t key[PAGE_SIZE_MAX];

    for (size_t page_size = 4096; page_size <= 65536; page_size *= 16) {
        size_t key_max = page_key_max(page_size);
        start(page_size);
        for (size_t l = 0; l < sizeof(letters); l++) {
            for (unsigned i = 0; i < 250; i++) {
                unsigned number = i * 7919u % 250;
                model_put(&model, tree, key, long_key(key, key_max, letters[l], number), i, 3);
            }
            commit_and_check();
        }
        ck_assert_uint_ge(tree->record.depth, 3);
        for (unsigned i = 0; i < 250; i++) { /* the middle goes, its ends stay */
            model_delete(&model, tree, key, long_key(key, key_max, 'm', i));
        }
        commit_and_check();
        model_delete_range(&model, tree, "b", 1, "z", 1);
        finish();
    }
}
END_TEST

/*
 * The leaf and its sibling were copied to become three, then the page above had
 * no room for that; it must be those copies that are split after all.
 */
START_TEST(a_page_above_that_is_full_lets_its_leaves_be_split_once)
{
    uint8_t key[PAGE_SIZE_MAX];

    start(4096);
    for (unsigned i = 0; i < 1500; i++) {
        size_t size = 6 + writer_random(&seed) % 2 * (writer_random(&seed) % 900);
        model_put(&model, tree, key, long_key(key, size, 'k', i * 7919u % 1500), i, 0);
        writer_commit(&writer);
        begin();
        if (i % 300 == 0) {
            commit_and_check();
        }
    }
    finish();
}
END_TEST

/* ---- random -------------------------------------------------------------------- */

START_TEST(a_random_walk_keeps_to_its_model)
{
    static const size_t page_sizes[] = {4096, 8192, 65536};

    for (size_t p = 0; p < 3; p++) {
        start(page_sizes[p]);
        for (unsigned i = 0; i < 6000; i++) {
            uint64_t grow = i / 1000 % 2 == 0 ? 7 : 3; /* of ten */
            uint64_t number = writer_random(&seed) % 700;
            if (writer_random(&seed) % 10 < grow) {
                put_number(number, writer_random(&seed) % (page_sizes[p] / 3));
            } else {
                delete_number(number);
            }
            if (i % 500 == 499) {
                commit_and_check();
            }
        }
        finish();
    }
}
END_TEST

/* As a file may have it where a new page took the number of one that the map called free. */
START_TEST(a_page_is_not_merged_with_itself)
{
    struct page_header *root;
    struct bts_error error = {BTS_OK, ""};
    enum bts_status status = BTS_OK;
    bool found;

    start(4096);
    for (unsigned i = 0; i < 60; i++) {
        put_number(i, 400);
    }
    ck_assert_uint_eq(tree->record.depth, 2);
    ck_assert_int_eq(pages_edit(writer.pages, tree->record.root, 1, &root, NULL), BTS_OK);
    inner_set_child(root, 1, inner_children(root)[0]);
    for (unsigned i = 0; i < 60 && status == BTS_OK; i++) {
        char key[32];
        int size = snprintf(key, sizeof(key), "user:%012u", i);
        status = tree_delete(tree, key, (size_t)size, &found, &error);
    }
    ck_assert_int_eq(status, BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "two neighbours in page"));
    writer_abort(&writer);
    model_fini(&model);
    writer_close(&writer);
}
END_TEST

/* A record in the file may say anything: here it counts seven too many. */
static void empty_a_bucket_that_counts_wrong(uint64_t *count, bool by_range)
{
    struct bts_error error;
    uint64_t deleted;
    bool found;
    enum bts_status status;

    *count += 7;
    if (by_range) {
        status = tree_delete_range(tree, (struct bts_bytes){NULL, 0}, (struct bts_bytes){NULL, 0},
                                   &deleted, &error);
    } else {
        status = tree_delete(tree, "user:000000000001", 17, &found, &error);
    }
    ck_assert_int_eq(status, BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "bucket 0: its record counts"));
}

START_TEST(emptying_a_bucket_whose_record_counts_wrong_is_damage)
{
    for (int i = 0; i < 8; i++) {
        start(4096);
        put_number(1, 10);
        uint64_t *const counts[] = {&tree->record.entry_count, &tree->record.leaf_pages,
                                    &tree->record.inner_pages, &tree->record.run_pages};
        empty_a_bucket_that_counts_wrong(counts[i / 2], i % 2 == 0);
        writer_abort(&writer);
        model_fini(&model);
        writer_close(&writer);
    }
}
END_TEST

int main(void)
{
    return UNIT_RUN("tree_write", an_empty_tree_has_nothing_to_delete,
                    the_first_entry_makes_a_leaf_and_the_last_one_takes_it_away,
                    a_tree_deleted_from_one_end_leaves_no_page_behind,
                    ascending_input_leaves_full_leaves, descending_input_leaves_full_leaves,
                    random_input_leaves_pages_four_fifths_full,
                    deleting_most_entries_at_random_gives_most_pages_back,
                    a_put_that_the_mode_forbids_copies_nothing,
                    a_page_that_is_private_already_is_edited_where_it_is,
                    ascending_input_copies_no_leaf_that_is_full,
                    the_state_before_a_group_is_untouched_by_it,
                    undo_takes_back_splits_merges_runs_and_counts,
                    a_value_moves_to_a_run_and_back_as_its_size_changes,
                    the_largest_value_is_stored_whole,
                    values_that_grow_where_they_are_split_their_leaf,
                    leaves_that_do_not_fit_in_one_by_a_byte_are_not_merged,
                    a_separator_that_ends_a_long_shared_prefix_splits_an_inner_page,
                    a_page_above_that_is_full_lets_its_leaves_be_split_once,
                    a_page_is_not_merged_with_itself,
                    emptying_a_bucket_whose_record_counts_wrong_is_damage,
                    a_random_walk_keeps_to_its_model);
}
