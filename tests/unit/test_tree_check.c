/* SPDX-License-Identifier: MIT */
/* tree_check: a whole store has no findings, and no fault of a tree goes unseen. */
#include "read/tree_check.h"

#include "check_store.h"
#include "format/inner.h"
#include "unit.h"

#include <string.h>

/* The leftmost page of that level in a bucket. */
static pgno_t leftmost(const struct bucket_record *record, unsigned level)
{
    pgno_t pgno = record->root;

    for (unsigned at = record->depth - 1; at > level; at--)
        pgno = inner_children(build_page(&build, pgno))[0];
    return pgno;
}

/* The first run of a bucket whose leaves carry one, and the leaf. */
static pgno_t some_run(const struct bucket_record *record, pgno_t *leaf)
{
    for (pgno_t p = 4; p < build.page_count; p++) {
        const struct page_header *page = build_page(&build, p);

        for (unsigned i = 0; page->pgno == p && page->type == PAGE_LEAF &&
                             page->bucket == record->id && i < leaf_count(page);
             i++)
            if (leaf_entry_at(page, i).is_run) {
                *leaf = p;
                return leaf_entry_at(page, i).run_pgno;
            }
    }
    ck_abort_msg("no run");
    return 0;
}

START_TEST(whole_stores_have_no_findings)
{
    static const struct {
        size_t page_size;
        unsigned leaf_max;
        unsigned children_max;
    } shapes[] = {{4096, 0, 0}, {4096, 20, 8}, {4096, 2, 3}, {65536, 0, 0}, {65536, 10, 3}};

    for (unsigned i = 0; i < 5; i++) {
        plant(shapes[i].page_size, shapes[i].leaf_max, shapes[i].children_max);
        finish();
        if (check_with(NULL) != BTS_OK)
            ck_abort_msg("%s", lines[0]);
        ck_assert_uint_eq(result.txnid, build.txnid);
        ck_assert_uint_eq(result.page_count, build.page_count);
        ck_assert_uint_eq(result.reachable, build.page_count);
        ck_assert_uint_eq(result.mapped, build.page_count);
        ck_assert_uint_eq(result.leaked + result.missing + result.damaged, 0);
        fell();
    }
}
END_TEST

/* One bit anywhere in any page that is in use. */
START_TEST(every_flipped_bit_is_found)
{
    struct build_random random = {9};

    plant_store();
    for (pgno_t p = 4; p < build.page_count; p++) {
        uint8_t *byte = (uint8_t *)build_page(&build, p) + build_random_below(&random, 4096);
        uint8_t flip = (uint8_t)(1u << build_random_below(&random, 8));

        *byte ^= flip;
        ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
        ck_assert_uint_ge(result.damaged, 1);
        *byte ^= flip;
        if (p > 200)
            p += 7;
    }
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    fell();
}
END_TEST

START_TEST(a_page_that_was_verified_before_is_checked_anew)
{
    plant_store();
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    build_page(&build, leftmost(&records[3], 0))->crc ^= 1;
    assert_found(leftmost(&records[3], 0), "leaf of bucket \"users\"): checksum");
    ck_assert(!was_reported("expected 400"));
    fell();
}
END_TEST

START_TEST(keys_out_of_order_are_named)
{
    pgno_t pgno;
    uint8_t *cell;

    plant_store();
    pgno = leftmost(&records[3], 0);
    cell = (uint8_t *)(uintptr_t)leaf_cell(build_page(&build, pgno), 7);
    memcpy(cell + LEAF_CELL_HEADER_SIZE, "uses", 4);
    ((uint8_t *)build_page(&build, pgno))[PAGE_HEADER_SIZE + 7] =
        leaf_fingerprint(cell + LEAF_CELL_HEADER_SIZE, leaf_cell_key_size(cell));
    build_reseal(&build, pgno);
    assert_found(pgno, "leaf of bucket \"users\"): entry 8: key is not above the one before");
    fell();
}
END_TEST

START_TEST(a_leaf_outside_its_separators_is_found)
{
    pgno_t inner, left, right;
    struct page_header *page;

    plant_store();
    inner = leftmost(&records[1], 1);
    page = build_page(&build, inner);
    left = inner_children(page)[0];
    right = inner_children(page)[1];
    inner_set_child(page, 0, right);
    inner_set_child(page, 1, left);
    build_reseal(&build, inner);
    assert_found(left, "leaf of bucket \"default\"): its first key lies before");
    assert_found(right, "leaf of bucket \"default\"): its last key lies behind");
    fell();
}
END_TEST

START_TEST(an_inner_page_outside_its_separators_is_found)
{
    pgno_t inner, left, right;
    struct page_header *page;

    plant_store();
    inner = leftmost(&records[1], 2);
    page = build_page(&build, inner);
    left = inner_children(page)[0];
    right = inner_children(page)[1];
    inner_set_child(page, 0, right);
    inner_set_child(page, 1, left);
    build_reseal(&build, inner);
    assert_found(left, "inner page of bucket \"default\"): its first key lies before");
    assert_found(right, "inner page of bucket \"default\"): its last key lies behind");
    fell();
}
END_TEST

START_TEST(a_page_reached_twice_is_a_finding_and_no_loop)
{
    pgno_t inner, left;

    plant_store();
    inner = leftmost(&records[1], 1);
    left = inner_children(build_page(&build, inner))[0];
    inner_set_child(build_page(&build, inner), 1, left);
    build_reseal(&build, inner);
    assert_found(left, "leaf of bucket \"default\"): reached twice");
    ck_assert(!was_reported("record of bucket"));
    ck_assert_uint_gt(result.leaked, 0);
    inner_set_child(build_page(&build, inner), 1, inner);
    build_reseal(&build, inner);
    assert_found(inner, "leaf of bucket \"default\"): reached twice");
    inner_set_child(build_page(&build, inner), 1, 3);
    build_reseal(&build, inner);
    assert_found(3, "leaf of bucket \"default\"): is a meta or space map page");
    inner_set_child(build_page(&build, inner), 1, (pgno_t)build.page_count);
    build_reseal(&build, inner);
    assert_found((pgno_t)build.page_count,
                 "leaf of bucket \"default\"): beyond the end of the store");
    inner_set_child(build_page(&build, inner), 1, UINT32_MAX);
    build_reseal(&build, inner);
    assert_found(UINT32_MAX, "leaf of bucket \"default\"): beyond the end of the store");
    fell();
}
END_TEST

START_TEST(two_buckets_that_share_a_page_are_found)
{
    plant(4096, 20, 8);
    records[0].root = records[3].root;
    records[0].depth = records[3].depth;
    finish();
    assert_found(records[3].root, "inner page of bucket \"users\"): reached twice");
    assert_reported("(inner page of bucket \"accounts\"): belongs to bucket 13, expected 10");
    ck_assert_uint_gt(result.leaked, 0);
    fell();
}
END_TEST

START_TEST(wrong_levels_types_births_and_owners_are_found)
{
    pgno_t inner, leaf;
    struct page_header *page;

    plant_store();
    inner = leftmost(&records[1], 1);
    leaf = leftmost(&records[1], 0);
    page = build_page(&build, leaf);
    page->txnid++;
    build_reseal(&build, leaf);
    assert_found(leaf, "leaf of bucket \"default\"): born in transaction 11, after 10");
    page->txnid--;
    page->bucket = 12;
    build_reseal(&build, leaf);
    assert_found(leaf, "leaf of bucket \"default\"): belongs to bucket 12, expected 0");
    ck_assert_uint_eq(line_count, 1);
    page->bucket = 0;
    build_reseal(&build, leaf);
    inner_set_child(build_page(&build, leftmost(&records[1], 2)), 0, leaf);
    build_reseal(&build, leftmost(&records[1], 2));
    assert_found(leaf, "inner page of bucket \"default\"): type 4 of level 0");
    ck_assert_uint_gt(result.leaked, 0);
    (void)inner;
    fell();
}
END_TEST

START_TEST(empty_leaves_and_lonely_children_are_found)
{
    pgno_t inner, leaf;
    struct page_header *page;
    pgno_t only;

    plant_store();
    leaf = leftmost(&records[3], 0);
    page = build_page(&build, leaf);
    leaf_remove(page, 4096, 0, leaf_count(page));
    build_reseal(&build, leaf);
    assert_found(leaf, "leaf of bucket \"users\"): holds no entry");
    assert_reported("record of bucket \"users\": 380 entries, expected 400");
    inner = leftmost(&records[1], 1);
    page = build_page(&build, inner);
    only = inner_children(page)[0];
    page_init(page, 4096, PAGE_INNER, 1, inner, 0, 10);
    ck_assert(inner_build(page, 4096, NULL, &only, 0));
    build_reseal(&build, inner);
    assert_found(inner, "inner page of bucket \"default\"): leads to one page only");
    fell();
}
END_TEST

START_TEST(runs_are_verified_and_reached)
{
    pgno_t leaf, run;
    struct page_header *page;

    plant_store();
    run = some_run(&records[1], &leaf);
    page = build_page(&build, run);
    ((uint8_t *)page)[900] ^= 1;
    assert_found(run, "run of bucket \"default\"): checksum");
    ((uint8_t *)page)[900] ^= 1;
    page->bucket = 10;
    build_reseal(&build, run);
    assert_found(run, "run of bucket \"default\"): belongs to bucket 10, expected 0");
    page->bucket = 0;
    build_reseal(&build, run);
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    for (unsigned i = 0; i < leaf_count(build_page(&build, leaf)); i++)
        if (leaf_entry_at(build_page(&build, leaf), i).run_pgno == run)
            leaf_remove(build_page(&build, leaf), 4096, i, 1);
    build_reseal(&build, leaf);
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    assert_reported("pages of runs, expected");
    assert_reported("entries, expected");
    ck_assert_uint_eq(result.leaked, page_run_pages(page->run_length, 4096));
    fell();
}
END_TEST

START_TEST(two_values_in_one_run_are_found)
{
    uint8_t value[5000] = {1};
    struct build_entry two[] = {{(const uint8_t *)"a", 1, value, sizeof(value)},
                                {(const uint8_t *)"b", 1, value, sizeof(value)}};
    struct leaf_entry first;

    build_init(&build, 4096, 100);
    records[0] = build_tree(&build, 0, two, 2);
    first = leaf_entry_at(build_page(&build, records[0].root), 0);
    ck_assert(leaf_replace_run(build_page(&build, records[0].root), 4096, 1, first.run_pgno,
                               first.value_size));
    build_reseal(&build, records[0].root);
    directory = build_directory(&build, names + 1, records, 1);
    build_finish(&build, &directory);
    assert_found(first.run_pgno, "run of bucket \"default\"): reached twice");
    build_fini(&build);
}
END_TEST

/* A leaf of bucket 0 with these one-byte keys. */
static pgno_t hand_made_leaf(const char *keys)
{
    pgno_t pgno = build_claim(&build, 1);
    struct page_header *leaf = build_page(&build, pgno);

    page_init(leaf, 4096, PAGE_LEAF, 0, pgno, 0, 10);
    for (unsigned i = 0; keys[i] != '\0'; i++)
        ck_assert(leaf_insert(leaf, 4096, i, keys + i, 1, "v", 1));
    build_reseal(&build, pgno);
    return pgno;
}

/* An inner page of bucket 0 with one separator of one byte. */
static pgno_t hand_made_inner(unsigned level, const char *separator, pgno_t left, pgno_t right)
{
    struct inner_key key = {(const uint8_t *)separator, 1};
    pgno_t children[2] = {left, right};
    pgno_t pgno = build_claim(&build, 1);
    struct page_header *page = build_page(&build, pgno);

    page_init(page, 4096, PAGE_INNER, level, pgno, 0, 10);
    ck_assert(inner_build(page, 4096, &key, children, 1));
    build_reseal(&build, pgno);
    return pgno;
}

/* Makes a store of a tree of four leaves by hand. */
static void hand_made_store(pgno_t root)
{
    records[0] = (struct bucket_record){
        .root = root, .depth = 3, .entry_count = 8, .leaf_pages = 4, .inner_pages = 3};
    directory = build_directory(&build, names + 1, records, 1);
    build_finish(&build, &directory);
}

START_TEST(a_key_may_equal_the_separator_on_its_left_only)
{
    pgno_t left, right, low, high;

    build_init(&build, 4096, 100);
    left = hand_made_inner(1, "c", hand_made_leaf("ab"), hand_made_leaf("cd"));
    right = hand_made_inner(1, "g", hand_made_leaf("ef"), hand_made_leaf("gh"));
    hand_made_store(hand_made_inner(2, "e", left, right));
    ck_assert_int_eq(check_with(NULL), BTS_OK);

    low = hand_made_leaf("ac");
    left = hand_made_inner(1, "c", low, hand_made_leaf("cd"));
    high = hand_made_leaf("de");
    right = hand_made_inner(1, "g", high, hand_made_leaf("gh"));
    hand_made_store(hand_made_inner(2, "e", left, right));
    assert_found(low, "leaf of bucket \"default\"): its last key lies behind");
    assert_found(high, "leaf of bucket \"default\"): its first key lies before");
    build_fini(&build);
}
END_TEST

START_TEST(a_separator_lies_strictly_between_those_above_it)
{
    pgno_t left, right;

    build_init(&build, 4096, 100);
    left = hand_made_inner(1, "e", hand_made_leaf("ab"), hand_made_leaf("ef"));
    right = hand_made_inner(1, "e", hand_made_leaf("cd"), hand_made_leaf("gh"));
    hand_made_store(hand_made_inner(2, "e", left, right));
    assert_found(left, "inner page of bucket \"default\"): its last key lies behind");
    assert_found(right, "inner page of bucket \"default\"): its first key lies before");
    build_fini(&build);
}
END_TEST

START_TEST(a_run_beyond_the_end_is_found)
{
    struct build_entry one = {(const uint8_t *)"a", 1, (const uint8_t *)"v", 1};
    static const uint64_t lengths[] = {5000, 60 << 20, VALUE_SIZE_MAX};

    build_init(&build, 4096, 100);
    records[0] = build_tree(&build, 0, &one, 1);
    records[0].entry_count++;
    records[0].run_pages = 2;
    directory = build_directory(&build, names + 1, records, 1);
    build_finish(&build, &directory);
    for (unsigned i = 0; i < 3; i++) {
        struct page_header *leaf = build_page(&build, records[0].root);
        pgno_t last = (pgno_t)build.page_count - 1;

        ck_assert(leaf_insert_run(leaf, 4096, 1, "b", 1, last, lengths[i]));
        build_reseal(&build, records[0].root);
        assert_found(last, "run of bucket \"default\"): beyond the end of the store");
        leaf_remove(leaf, 4096, 1, 1);
    }
    build_fini(&build);
}
END_TEST

START_TEST(a_store_without_any_bucket_lacks_the_default)
{
    build_init(&build, 4096, 100);
    directory = build_directory(&build, names, records, 0);
    build_finish(&build, &directory);
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    ck_assert_uint_eq(line_count, 1);
    ck_assert_str_eq(lines[0], "bucket 0, \"default\", is not there");
    build_fini(&build);
}
END_TEST

START_TEST(a_directory_that_cannot_be_read_is_one_finding)
{
    plant_store();
    build_page(&build, directory.root)->crc ^= 1;
    assert_found(directory.root, "leaf of the bucket directory): checksum");
    ck_assert_uint_eq(line_count, 2);
    ck_assert_ptr_nonnull(strstr(lines[1], "nothing leads there that could be read"));
    fell();
}
END_TEST

START_TEST(wrong_counts_are_found)
{
    plant(4096, 20, 8);
    records[0].entry_count++;
    records[1].leaf_pages++;
    records[3].inner_pages++;
    records[3].run_pages--;
    finish();
    directory.entry_count = 5;
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    assert_reported("record of bucket \"accounts\": ");
    assert_reported("record of bucket \"default\": ");
    assert_reported(" leaves, expected ");
    assert_reported("record of bucket \"users\": ");
    assert_reported(" inner pages, expected ");
    assert_reported(" pages of runs, expected ");
    assert_reported("record of the bucket directory: 4 entries, expected 5");
    ck_assert_uint_eq(line_count, 5);
    ck_assert_uint_eq(result.damaged, 0);
    ck_assert_msg(strncmp(verdict.text, "5 findings, the first: ", 23) == 0, "%s", verdict.text);
    ck_assert_str_eq(verdict.text + 23, lines[0]);
    ck_assert_str_ne(lines[0], lines[1]);
    fell();
}
END_TEST

START_TEST(bucket_numbers_are_distinct_and_the_default_is_there)
{
    plant(4096, 20, 8);
    records[2].id = 10;
    finish();
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    assert_reported("two buckets have number 10");
    ck_assert_uint_eq(line_count, 1);
    directory = build_directory(&build, names, records, 1);
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    assert_reported("bucket 0, \"default\", is not there");
    fell();
}
END_TEST

START_TEST(a_damaged_record_is_found)
{
    struct page_header *leaf;
    uint8_t *cell;

    plant_store();
    leaf = build_page(&build, directory.root);
    cell = (uint8_t *)(uintptr_t)leaf_cell(leaf, 0);
    memset(cell + LEAF_CELL_HEADER_SIZE + strlen(names[0]) + 12, 0xee, 4);
    build_reseal(&build, directory.root);
    assert_found(directory.root, "leaf of the bucket directory): bucket record 10: reserved bits");
    assert_reported("in use by the space map, but nothing leads there that could be read");
    directory.depth = 77;
    assert_found(directory.root, "root of the bucket directory): root of a tree of 77 levels");
    fell();
}
END_TEST

/* The private copy of one page: whole, but not sealed. */
static _Alignas(8) uint8_t private_copy[4096];

static const void *find_private(const void *context, pgno_t pgno)
{
    return pgno == *(const pgno_t *)context ? private_copy : NULL;
}

START_TEST(private_pages_need_no_checksum_but_all_else)
{
    struct page_header *copy = (struct page_header *)(void *)private_copy;
    pgno_t leaf, run;

    plant_store();
    run = some_run(&records[1], &leaf);
    memcpy(private_copy, build_page(&build, leaf), 4096);
    memset(build_page(&build, leaf), 0xee, 4096);
    build.source.private_page = find_private;
    build.source.private_context = &leaf;
    copy->crc ^= 1;
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    copy->level = 1;
    assert_found(leaf, "leaf of bucket \"default\"): type 4 of level 1, expected level 0");
    copy->level = 0;
    copy->upper = 30;
    assert_found(leaf, "leaf of bucket \"default\"): leaf of");
    build.source.private_context = &run;
    memcpy(private_copy, build_page(&build, run), 4096);
    build_page(&build, run)->crc ^= 1;
    (void)check_with(NULL);
    ck_assert(!was_reported("run of bucket"));
    fell();
}
END_TEST

START_TEST(a_bucket_name_is_no_longer_than_allowed)
{
    static char name[301];
    const char *long_names[] = {names[1], name};

    memset(name, 'x', 300);
    build_init(&build, 4096, 100);
    records[0] = (struct bucket_record){.id = 0};
    records[1] = (struct bucket_record){.id = 9, .root = 99, .depth = 1, .entry_count = 1};
    directory = build_directory(&build, long_names, records, 2);
    build_finish(&build, &directory);
    assert_found(directory.root, "leaf of the bucket directory): a bucket name of 300 bytes");
    assert_reported("xxx\"): beyond the end");
    build_fini(&build);
}
END_TEST

START_TEST(a_bucket_record_in_a_run_is_damage)
{
    struct page_header *leaf;

    build_init(&build, 4096, 100);
    records[0] = (struct bucket_record){.id = 0};
    directory = build_directory(&build, names + 1, records, 1);
    leaf = build_page(&build, directory.root);
    ck_assert(leaf_insert_run(leaf, 4096, 1, "z", 1, 5, BUCKET_RECORD_SIZE));
    build_reseal(&build, directory.root);
    directory.entry_count = 2;
    build_finish(&build, &directory);
    assert_found(directory.root, "leaf of the bucket directory): a bucket record in a run");
    build_fini(&build);
}
END_TEST

/* Random bytes under true checksums: anything may be reported, nothing may happen. */
START_TEST(hostile_pages_with_true_checksums_do_no_harm)
{
    struct build_random random = {12};
    uint8_t saved[4096];
    unsigned found = 0;

    plant_store();
    for (unsigned round = 0; round < 1500; round++) {
        pgno_t p = 4 + (pgno_t)build_random_below(&random, build.page_count - 4);
        struct page_header *page = build_page(&build, p);

        if (round % 5 == 0)
            p = directory.root;
        page = build_page(&build, p);
        if (page->pgno != p || page->type == PAGE_RUN)
            continue;
        memcpy(saved, page, 4096);
        for (unsigned i = 0; i < 4; i++)
            ((uint8_t *)page)[4 + build_random_below(&random, round % 2 != 0 ? 200 : 4092)] =
                (uint8_t)build_random(&random);
        page_seal(page, 4096);
        found += check_with(NULL) == BTS_DAMAGED;
        memcpy(page, saved, 4096);
    }
    ck_assert_uint_gt(found, 300);
    ck_assert_int_eq(check_with(NULL), BTS_OK);
    fell();
}
END_TEST

int main(void)
{
    return UNIT_RUN("tree_check", whole_stores_have_no_findings, every_flipped_bit_is_found,
                    a_page_that_was_verified_before_is_checked_anew, keys_out_of_order_are_named,
                    a_leaf_outside_its_separators_is_found,
                    an_inner_page_outside_its_separators_is_found,
                    a_page_reached_twice_is_a_finding_and_no_loop,
                    two_buckets_that_share_a_page_are_found,
                    wrong_levels_types_births_and_owners_are_found,
                    empty_leaves_and_lonely_children_are_found, runs_are_verified_and_reached,
                    two_values_in_one_run_are_found, a_key_may_equal_the_separator_on_its_left_only,
                    a_separator_lies_strictly_between_those_above_it, a_run_beyond_the_end_is_found,
                    a_store_without_any_bucket_lacks_the_default,
                    a_directory_that_cannot_be_read_is_one_finding, wrong_counts_are_found,
                    bucket_numbers_are_distinct_and_the_default_is_there, a_damaged_record_is_found,
                    private_pages_need_no_checksum_but_all_else,
                    a_bucket_name_is_no_longer_than_allowed, a_bucket_record_in_a_run_is_damage,
                    hostile_pages_with_true_checksums_do_no_harm);
}
