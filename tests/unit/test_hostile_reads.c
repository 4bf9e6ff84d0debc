/* SPDX-License-Identifier: MIT */
/*
 * Plain reads of crafted pages, whose checksums are true: pages in a circle,
 * children that are not there, wrong levels, absurd counts, one page that many
 * lead to.  Every get, every lookup of many and every walk ends, with
 * BTS_DAMAGED where it meets the page.
 */
#include "read/cursor.h"
#include "read/multi_get.h"

#include "build_tree.h"
#include "format/inner.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct build build;
static struct build_entries entries;
static struct bucket_record record;
static struct tree_view view;

/* Three levels and more. */
static void plant(void)
{
    struct build_random random = {77};

    build_entries_init(&entries, &random, BUILD_KEYS_PREFIX, 4096, 400, 10);
    build_init(&build, 4096, 4000);
    build.leaf_entries_max = 6;
    build.inner_children_max = 5;
    record = build_tree(&build, 7, entries.entry, entries.count);
    view = build_view(&build, &record);
    ck_assert_uint_ge(record.depth, 4);
}

static void fell(void)
{
    build_fini(&build);
    build_entries_fini(&entries);
}

/* The leftmost page of a level. */
static pgno_t leftmost(unsigned level)
{
    pgno_t pgno = record.root;

    for (unsigned at = record.depth - 1; at > level; at--)
        pgno = inner_children(build_page(&build, pgno))[0];
    return pgno;
}

/* Walks to the end or to damage; never more steps than there are entries. */
static enum bts_status walk(bool forward, size_t *met)
{
    struct bts_bytes key, value;
    struct cursor cursor;
    enum bts_status status = BTS_OK;

    cursor_init(&cursor, &view);
    for (*met = 0; *met <= entries.count; ++*met) {
        status = forward ? cursor_next(&cursor, &key, &value, NULL)
                         : cursor_prev(&cursor, &key, &value, NULL);
        if (status != BTS_OK)
            return status;
    }
    ck_abort_msg("more entries than there are");
    return status;
}

/* Every way to read meets page `pgno`, which lies on the way to the first key. */
static void expect_damage(pgno_t pgno, const char *what)
{
    const struct build_entry *first = &entries.entry[0];
    struct bts_lookup lookup = {.key = first->key, .key_size = first->key_size};
    struct bts_error error = {.text = ""};
    struct bts_bytes key, value = {"x", 1};
    struct cursor cursor;
    size_t met;
    char name[32];

    build_forget(&build);
    snprintf(name, sizeof(name), "page %u: ", pgno);
    ck_assert_msg(tree_get(&view, first->key, first->key_size, &value, &error) == BTS_DAMAGED,
                  "%s: get", what);
    ck_assert_ptr_null(value.data);
    ck_assert_msg(strstr(error.text, name) != NULL, "%s: %s", what, error.text);
    ck_assert_msg(multi_get(&view, &lookup, 1, &error) == BTS_DAMAGED, "%s: many", what);
    ck_assert_int_eq(lookup.status, BTS_DAMAGED);
    ck_assert_ptr_null(lookup.value.data);
    cursor_init(&cursor, &view);
    ck_assert_msg(cursor_first(&cursor, &key, &value, NULL) == BTS_DAMAGED, "%s: first", what);
    ck_assert_msg(cursor_seek(&cursor, first->key, first->key_size, &key, &value, NULL) ==
                      BTS_DAMAGED,
                  "%s: seek", what);
    ck_assert_msg(walk(true, &met) == BTS_DAMAGED, "%s: forward", what);
    ck_assert_msg(walk(false, &met) == BTS_DAMAGED, "%s: backward", what);
}

/* Any number, 0 too, which inner_set_child refuses. */
static void set_first_child(const struct page_header *page, pgno_t child)
{
    memcpy((void *)(uintptr_t)inner_children(page), &child, sizeof(child));
}

/* The leftmost page of `level` leads to `child` first; then it is as it was. */
static void try_child(unsigned level, pgno_t child, const char *what)
{
    pgno_t parent = leftmost(level);
    struct page_header *page = build_page(&build, parent);
    pgno_t saved = inner_children(page)[0];

    set_first_child(page, child);
    build_reseal(&build, parent);
    expect_damage(child != PGNO_NONE ? child : parent, what); /* 0 is seen in the parent itself */
    set_first_child(page, saved);
    build_reseal(&build, parent);
}

START_TEST(pages_in_a_circle_are_damage_and_no_loop)
{
    plant();
    for (unsigned level = 1; level < record.depth; level++)
        for (unsigned above = level; above < record.depth; above++)
            try_child(level, leftmost(above), "a circle");
    fell();
}
END_TEST

START_TEST(children_out_of_range_are_damage)
{
    plant();
    for (unsigned level = 1; level < record.depth; level++) {
        static const pgno_t fixed[] = {0, 1, 2, 3, UINT32_MAX, UINT32_MAX - 1, 1u << 31};
        for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
            try_child(level, fixed[i], "out of range");
        try_child(level, (pgno_t)build.page_count, "at the end of the store");
        try_child(level, build.source.page_limit, "at the end of the map");
    }
    fell();
}
END_TEST

START_TEST(pages_of_a_wrong_level_are_damage)
{
    plant();
    for (unsigned level = 2; level < record.depth; level++)
        for (unsigned below = 0; below + 1 < level; below++)
            try_child(level, leftmost(below), "a level left out");
    fell();
}
END_TEST

START_TEST(absurd_counts_are_damage)
{
    static const uint16_t counts[] = {0x7fff, 0xffff, 4096, 2000};

    plant();
    for (unsigned level = 0; level < record.depth; level++) {
        pgno_t pgno = leftmost(level);
        struct page_header *page = build_page(&build, pgno);
        uint8_t saved[4096];

        memcpy(saved, page, sizeof(saved));
        for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            page->n = counts[i];
            build_reseal(&build, pgno);
            expect_damage(pgno, "entries");
            memcpy(page, saved, sizeof(saved));
            page->upper = (uint16_t)(counts[i] | 1);
            page->n = counts[i];
            build_reseal(&build, pgno);
            expect_damage(pgno, "the cell area");
            memcpy(page, saved, sizeof(saved));
        }
    }
    fell();
}
END_TEST

/* A leaf that two children lead to: a get may not see it, a walk must, after at most one leaf. */
START_TEST(a_shared_leaf_ends_every_walk)
{
    struct page_header *page;
    struct bts_bytes value;
    pgno_t parent;
    size_t met;

    plant();
    parent = leftmost(1);
    page = build_page(&build, parent);
    inner_set_child(page, 1, inner_children(page)[0]);
    build_reseal(&build, parent);
    build_forget(&build);
    ck_assert_int_eq(walk(true, &met), BTS_DAMAGED);
    ck_assert_uint_eq(met, leaf_count(build_page(&build, leftmost(0))));
    ck_assert_int_eq(walk(false, &met), BTS_DAMAGED);
    for (size_t i = 0; i < entries.count; i++) {
        enum bts_status status =
            tree_get(&view, entries.entry[i].key, entries.entry[i].key_size, &value, NULL);
        ck_assert(status == BTS_OK || status == BTS_NOT_FOUND);
    }
    fell();
}
END_TEST

/* Leaves that take turns: neither is its own neighbour. */
START_TEST(leaves_that_come_again_end_every_walk)
{
    struct page_header *page;
    pgno_t parent;
    size_t met;

    plant();
    parent = leftmost(1);
    page = build_page(&build, parent);
    ck_assert_uint_ge(inner_count(page), 3);
    inner_set_child(page, 2, inner_children(page)[0]);
    inner_set_child(page, 3, inner_children(page)[1]);
    build_reseal(&build, parent);
    build_forget(&build);
    ck_assert_int_eq(walk(true, &met), BTS_DAMAGED);
    ck_assert_int_eq(walk(false, &met), BTS_DAMAGED);
    fell();
}
END_TEST

/* 24 levels, each of which leads to the one below over and over: 2^23 ways and more to one leaf. */
START_TEST(a_tree_of_one_page_a_level_ends_every_walk)
{
    plant();
    record = build_chain(&build, TREE_DEPTH_MAX);
    view = build_view(&build, &record);
    for (int forward = 0; forward < 2; forward++) {
        size_t met;
        ck_assert_int_eq(walk(forward != 0, &met), BTS_DAMAGED);
        ck_assert_uint_eq(met, 1);
    }
    fell();
}
END_TEST

int main(void)
{
    return UNIT_RUN("hostile_reads", pages_in_a_circle_are_damage_and_no_loop,
                    children_out_of_range_are_damage, pages_of_a_wrong_level_are_damage,
                    absurd_counts_are_damage, a_shared_leaf_ends_every_walk,
                    leaves_that_come_again_end_every_walk,
                    a_tree_of_one_page_a_level_ends_every_walk);
}
