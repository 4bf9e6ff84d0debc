/* SPDX-License-Identifier: MIT */
/*
 * tree_write: ranges are deleted whole, and only their ends are copied.
 */
#include "tree/tree_write.h"

#include "tree_fixture.h"

#define SMALL_ENTRIES 70u

/* Deletes what lies between two entries of the model (one past the end: open), and undoes it. */
static void delete_between(unsigned from, unsigned to)
{
    struct bts_bytes low = {from == 0 ? NULL : model.entries[from].key, 980};
    struct bts_bytes high = {to == SMALL_ENTRIES ? NULL : model.entries[to].key, 980};
    struct bucket_record record = tree->record;
    struct tree_view view;
    struct bts_bytes value;
    uint64_t deleted;

    pages_savepoint(writer.pages);
    ck_assert_int_eq(tree_delete_range(tree, low, high, &deleted, NULL), BTS_OK);
    ck_assert_uint_eq(deleted, to - from);
    ck_assert_uint_eq(tree->record.entry_count, SMALL_ENTRIES - (to - from));
    view = tree_view_of(tree);
    for (unsigned i = 0; i < SMALL_ENTRIES; i++) {
        bool found = tree_get(&view, model.entries[i].key, 980, &value, NULL) == BTS_OK;
        ck_assert_int_eq(found, i < from || i >= to);
    }
    pages_undo(writer.pages);
    tree->record = record;
}

START_TEST(every_range_of_a_small_deep_tree_can_be_deleted)
{
    uint8_t key[980];

    start(4096);
    for (unsigned i = 0; i < SMALL_ENTRIES; i++) {
        unsigned number = i * 37 % SMALL_ENTRIES;
        model_put(&model, tree, key, long_key(key, 980, (char)('a' + number % 3), number), i,
                  number % 9 == 0 ? 5000 : 1);
    }
    ck_assert_uint_ge(tree->record.depth, 3);
    commit_and_check();
    for (unsigned from = 0; from < SMALL_ENTRIES; from++) {
        for (unsigned to = from; to <= SMALL_ENTRIES; to++) {
            delete_between(from, to);
        }
    }
    finish();
}
END_TEST

START_TEST(a_range_that_empties_a_leaf_takes_it_away)
{
    start(4096);
    put_number(1, 10);
    put_number(2, 10);
    model_delete_range(&model, tree, "user", 4, "user:2", 6);
    ck_assert_uint_eq(tree->record.root, PGNO_NONE);
    ck_assert_uint_eq(tree->record.leaf_pages, 0);
    finish();
}
END_TEST

START_TEST(a_long_range_copies_only_the_pages_at_its_ends)
{
    size_t bytes;

    start(4096);
    for (unsigned i = 0; i < 30000; i++) {
        put_number(i, 100);
    }
    commit_and_check();
    model_delete_range(&model, tree, "user:0000000010", 15, "user:00000002888", 16);
    bytes = pages_private_bytes(writer.pages);
    ck_assert_msg(bytes <= 12 * 4096, "%zu pages were copied", bytes / 4096);
    ck_assert_uint_lt(tree->record.leaf_pages, 100);
    finish();
}
END_TEST

START_TEST(an_open_range_empties_the_tree_and_its_runs)
{
    start(4096);
    for (unsigned i = 0; i < 3000; i++) {
        put_number(i, i % 10 == 0 ? 9000 : 30);
    }
    commit_and_check();
    model_delete_range(&model, tree, NULL, 0, NULL, 0);
    ck_assert_uint_eq(tree->record.root, PGNO_NONE);
    ck_assert_uint_eq(tree->record.run_pages, 0);
    ck_assert_uint_eq(tree->record.leaf_pages + tree->record.inner_pages, 0);
    finish();
}
END_TEST

START_TEST(a_range_whose_ends_are_swapped_or_equal_deletes_nothing)
{
    start(4096);
    for (unsigned i = 0; i < 100; i++) {
        put_number(i, 30);
    }
    commit_and_check();
    model_delete_range(&model, tree, "user:000000000050", 17, "user:000000000050", 17);
    model_delete_range(&model, tree, "user:000000000060", 17, "user:000000000050", 17);
    model_delete_range(&model, tree, "v", 1, NULL, 0);
    model_delete_range(&model, tree, NULL, 0, "a", 1);
    ck_assert_uint_eq(pages_private_bytes(writer.pages), 0);
    finish();
}
END_TEST

int main(void)
{
    return UNIT_RUN("tree_range", every_range_of_a_small_deep_tree_can_be_deleted,
                    a_range_that_empties_a_leaf_takes_it_away,
                    a_long_range_copies_only_the_pages_at_its_ends,
                    an_open_range_empties_the_tree_and_its_runs,
                    a_range_whose_ends_are_swapped_or_equal_deletes_nothing);
}
