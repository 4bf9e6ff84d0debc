/* SPDX-License-Identifier: MIT */
/* cursor: the order of keys, both ways, within any bounds, from any state. */
#include "read/cursor.h"

#include "base/bytes.h"
#include "build_tree.h"
#include "format/inner.h"
#include "unit.h"

#include <string.h>

static struct build build;
static struct build_entries entries;
static struct bucket_record record;
static struct tree_view view;

static void plant(enum build_keys kind, size_t page_size, size_t count, unsigned leaf_max,
                  unsigned children_max)
{
    struct build_random random = {kind * 77 + count};

    build_entries_init(&entries, &random, kind, page_size, count, 3000);
    build_init(&build, page_size, 20000);
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

static void assert_is(const struct build_entry *entry, const struct bts_bytes *key,
                      const struct bts_bytes *value)
{
    ck_assert_int_eq(bytes_compare(entry->key, entry->key_size, key->data, key->size), 0);
    ck_assert_int_eq(bytes_compare(entry->value, entry->value_size, value->data, value->size), 0);
}

/* ---- a model: an index into the entries ------------------------------------------- */

struct model {
    size_t first; /* entries [first, limit) lie within the bounds */
    size_t limit;
    size_t at;
    enum cursor_state state;
};

static void model_place(struct model *model, size_t at, enum cursor_state end)
{
    bool inside = at >= model->first && at < model->limit;

    model->at = at;
    model->state = inside ? CURSOR_AT_ENTRY : end;
}

static void model_next(struct model *model)
{
    if (model->state == CURSOR_AT_ENTRY)
        model_place(model, model->at + 1, CURSOR_AFTER);
    else if (model->state != CURSOR_AFTER)
        model_place(model, model->first, CURSOR_AFTER);
}

static void model_prev(struct model *model)
{
    if (model->state == CURSOR_AT_ENTRY)
        model_place(model, model->at - 1, CURSOR_BEFORE);
    else if (model->state != CURSOR_BEFORE)
        model_place(model, model->limit - 1, CURSOR_BEFORE);
}

static void model_seek(struct model *model, const void *key, size_t key_size)
{
    bool found;
    size_t at = build_entries_lower(&entries, key, key_size, &found);

    model_place(model, at < model->first ? model->first : at, CURSOR_AFTER);
}

/* Whether the cursor did as the model did. */
static void model_check(const struct model *model, const struct cursor *cursor,
                        enum bts_status status, const struct bts_bytes *key,
                        const struct bts_bytes *value)
{
    ck_assert_int_eq(cursor->state, model->state);
    ck_assert_int_eq(status, model->state == CURSOR_AT_ENTRY ? BTS_OK : BTS_END);
    if (status == BTS_OK) {
        assert_is(&entries.entry[model->at], key, value);
    } else {
        ck_assert_ptr_null(key->data);
        ck_assert_ptr_null(value->data);
    }
}

/* One random move of both. */
static void model_move(struct model *model, struct cursor *cursor, struct build_random *random,
                       enum build_keys kind)
{
    struct bts_bytes key, value;
    uint8_t target[PAGE_SIZE_MAX];
    size_t size;
    enum bts_status status;

    switch (build_random_below(random, 12)) {
    case 0:
        model_place(model, model->first, CURSOR_AFTER);
        status = cursor_first(cursor, &key, &value, NULL);
        break;
    case 1:
        model_place(model, model->limit - 1, CURSOR_BEFORE);
        status = cursor_last(cursor, &key, &value, NULL);
        break;
    case 2:
    case 3:
        size = 0;
        if (build_random_below(random, 30) != 0)
            size = build_key(random, kind, build.page_size, target);
        model_seek(model, target, size);
        status = cursor_seek(cursor, target, size, &key, &value, NULL);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        model_next(model);
        status = cursor_next(cursor, &key, &value, NULL);
        break;
    default:
        model_prev(model);
        status = cursor_prev(cursor, &key, &value, NULL);
    }
    model_check(model, cursor, status, &key, &value);
}

/* Runs of moves in one direction, so that leaves are crossed. */
static void model_walk(struct model *model, struct cursor *cursor, struct build_random *random)
{
    struct bts_bytes key, value;
    bool forward = build_random_below(random, 2) != 0;
    size_t steps = build_random_below(random, 100);

    for (size_t i = 0; i < steps; i++) {
        enum bts_status status;

        if (forward) {
            model_next(model);
            status = cursor_next(cursor, &key, &value, NULL);
        } else {
            model_prev(model);
            status = cursor_prev(cursor, &key, &value, NULL);
        }
        model_check(model, cursor, status, &key, &value);
    }
}

/* ---- bounds for both ----------------------------------------------------------------- */

static size_t lower(struct bts_bytes bound, size_t open)
{
    bool found;

    return bound.data == NULL ? open
                              : build_entries_lower(&entries, bound.data, bound.size, &found);
}

static void bound_range(struct model *model, struct cursor *cursor, struct bts_bytes from,
                        struct bts_bytes to)
{
    cursor_set_range(cursor, from, to);
    model->first = lower(from, 0);
    model->limit = lower(to, entries.count);
    model->state = CURSOR_UNSET;
}

static void bound_prefix(struct model *model, struct cursor *cursor, struct bts_bytes prefix)
{
    cursor_set_prefix(cursor, prefix);
    model->first = lower(prefix, 0);
    model->limit = model->first;
    while (model->limit < entries.count &&
           entries.entry[model->limit].key_size >= prefix.size &&
           memcmp(entries.entry[model->limit].key, prefix.data, prefix.size) == 0)
        model->limit++;
    model->state = CURSOR_UNSET;
}

static void random_bounds(struct model *model, struct cursor *cursor, struct build_random *random,
                          enum build_keys kind, uint8_t *from, uint8_t *to)
{
    struct bts_bytes low = {from, build_key(random, kind, build.page_size, from)};
    struct bts_bytes high = {to, build_key(random, kind, build.page_size, to)};
    unsigned choice = (unsigned)build_random_below(random, 8);

    if (choice == 0)
        high.data = NULL;
    if (choice == 1)
        low.data = NULL;
    if (choice <= 3) {
        bound_range(model, cursor, low, high);
        return;
    }
    low.size = build_random_below(random, 1 + (choice < 6 && low.size > 3 ? 3 : low.size));
    if (choice == 7) {
        size_t at = build_random_below(random, entries.count);

        low.size = 1 + build_random_below(random, entries.entry[at].key_size);
        memcpy(from, entries.entry[at].key, low.size);
    }
    bound_prefix(model, cursor, low);
}

static void check_moves(enum build_keys kind, uint64_t seed)
{
    static uint8_t from[PAGE_SIZE_MAX], to[PAGE_SIZE_MAX];
    struct build_random random = {seed};
    struct bts_bytes open = {NULL, 0};
    struct model model;
    struct cursor cursor;

    cursor_init(&cursor, &view);
    bound_range(&model, &cursor, open, open);
    for (unsigned round = 0; round < UNIT_ROUNDS(150); round++) {
        for (unsigned i = 0; i < 20; i++)
            model_move(&model, &cursor, &random, kind);
        model_walk(&model, &cursor, &random);
        random_bounds(&model, &cursor, &random, kind, from, to);
    }
}

#define FOR_ALL_KINDS(name, page_size, count, leaf_max, children_max)                              \
    START_TEST(name)                                                                               \
    {                                                                                              \
        for (enum build_keys kind = 0; kind < BUILD_KEYS_END; kind++) {                            \
            plant(kind, page_size, count, leaf_max, children_max);                                 \
            check_moves(kind, kind);                                                               \
            fell();                                                                                \
        }                                                                                          \
    }                                                                                              \
    END_TEST

FOR_ALL_KINDS(moves_in_trees_of_usual_shape_are_as_the_model_says, 4096, 3000, 0, 0)
FOR_ALL_KINDS(moves_in_deep_trees_are_as_the_model_says, 4096, 300, 2, 3)
FOR_ALL_KINDS(moves_in_trees_of_leaves_of_one_entry_are_as_the_model_says, 4096, 60, 1, 4)
FOR_ALL_KINDS(moves_in_a_single_leaf_are_as_the_model_says, 4096, 3, 0, 0)
FOR_ALL_KINDS(moves_in_trees_of_large_pages_are_as_the_model_says, 65536, 3000, 0, 0)

START_TEST(a_walk_meets_every_entry_once_both_ways)
{
    struct bts_bytes key, value;
    struct cursor cursor;
    size_t i = 0;

    plant(BUILD_KEYS_URL, 4096, 20000, 0, 0);
    cursor_init(&cursor, &view);
    while (cursor_next(&cursor, &key, &value, NULL) == BTS_OK)
        assert_is(&entries.entry[i++], &key, &value);
    ck_assert_uint_eq(i, entries.count);
    while (cursor_prev(&cursor, &key, &value, NULL) == BTS_OK)
        assert_is(&entries.entry[--i], &key, &value);
    ck_assert_uint_eq(i, 0);
    fell();
}
END_TEST

START_TEST(an_empty_tree_has_no_entry_anywhere)
{
    struct bts_bytes key, value;
    struct cursor cursor;

    build_init(&build, 4096, 10);
    record = build_tree(&build, 7, NULL, 0);
    view = build_view(&build, &record);
    cursor_init(&cursor, &view);
    for (unsigned round = 0; round < 2; round++) {
        ck_assert_int_eq(cursor_first(&cursor, &key, &value, NULL), BTS_END);
        ck_assert_int_eq(cursor_next(&cursor, &key, &value, NULL), BTS_END);
        ck_assert_int_eq(cursor_prev(&cursor, &key, &value, NULL), BTS_END);
        ck_assert_int_eq(cursor_last(&cursor, &key, &value, NULL), BTS_END);
        ck_assert_int_eq(cursor_seek(&cursor, "a", 1, &key, &value, NULL), BTS_END);
        cursor_set_prefix(&cursor, (struct bts_bytes){"a", 1});
    }
    build_fini(&build);
}
END_TEST

START_TEST(a_prefix_of_0xff_bytes_reaches_to_the_end)
{
    static const uint8_t ff[2000] = {0xff, 0xff};
    struct bts_bytes key, value;
    struct cursor cursor;
    const struct build_entry *last;

    plant(BUILD_KEYS_DENSE, 4096, 3000, 3, 3);
    last = &entries.entry[entries.count - 1];
    ck_assert_int_eq(last->key[0], 0xff);
    cursor_init(&cursor, &view);
    cursor_set_prefix(&cursor, (struct bts_bytes){ff, 2});
    ck_assert_int_eq(cursor_last(&cursor, &key, &value, NULL), BTS_OK);
    assert_is(last, &key, &value);
    ck_assert_int_eq(cursor_next(&cursor, &key, &value, NULL), BTS_END);
    cursor_set_prefix(&cursor, (struct bts_bytes){ff, sizeof(ff)});
    ck_assert_int_eq(cursor_last(&cursor, &key, &value, NULL), BTS_END);
    ck_assert_int_eq(cursor_first(&cursor, &key, &value, NULL), BTS_END);
    fell();
}
END_TEST

START_TEST(a_prefix_longer_than_any_key_has_no_entry)
{
    uint8_t *prefix = calloc(1, 100000);
    struct bts_bytes key, value;
    struct cursor cursor;

    plant(BUILD_KEYS_DENSE, 4096, 100, 0, 0);
    cursor_init(&cursor, &view);
    cursor_set_prefix(&cursor, (struct bts_bytes){prefix, 100000});
    ck_assert_int_eq(cursor_last(&cursor, &key, &value, NULL), BTS_END);
    ck_assert_int_eq(cursor_next(&cursor, &key, &value, NULL), BTS_END);
    fell();
    free(prefix);
}
END_TEST

START_TEST(key_and_value_need_not_be_wanted)
{
    struct bts_bytes key, value;
    struct cursor cursor;

    plant(BUILD_KEYS_URL, 4096, 100, 0, 0);
    cursor_init(&cursor, &view);
    ck_assert_int_eq(cursor_next(&cursor, NULL, NULL, NULL), BTS_OK);
    ck_assert_int_eq(cursor_next(&cursor, &key, NULL, NULL), BTS_OK);
    ck_assert_int_eq(cursor_next(&cursor, NULL, &value, NULL), BTS_OK);
    ck_assert_int_eq(cursor_prev(&cursor, &key, &value, NULL), BTS_OK);
    assert_is(&entries.entry[1], &key, &value);
    ck_assert_int_eq(cursor_last(&cursor, NULL, NULL, NULL), BTS_OK);
    ck_assert_int_eq(cursor_next(&cursor, NULL, NULL, NULL), BTS_END);
    fell();
}
END_TEST

START_TEST(a_damaged_leaf_fails_the_cursor_until_it_is_placed_anew)
{
    struct bts_bytes key, value;
    struct bts_error error;
    struct cursor cursor;
    size_t i = 0;

    plant(BUILD_KEYS_PREFIX, 4096, 200, 10, 0);
    for (pgno_t p = 4; p < build.page_count; p++)
        if (build_page(&build, p)->type == PAGE_LEAF &&
            leaf_order(build_page(&build, p), 0, entries.entry[50].key,
                       entries.entry[50].key_size) == 0)
            build_page(&build, p)->crc ^= 1;
    cursor_init(&cursor, &view);
    while (cursor_next(&cursor, &key, &value, &error) == BTS_OK)
        assert_is(&entries.entry[i++], &key, &value);
    ck_assert_uint_eq(i, 50);
    ck_assert_int_eq(error.status, BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "checksum"));
    ck_assert_ptr_null(key.data);
    ck_assert_int_eq(cursor.state, CURSOR_FAILED);
    ck_assert_int_eq(cursor_next(&cursor, &key, &value, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "place it anew"));
    ck_assert_int_eq(cursor_prev(&cursor, &key, &value, &error), BTS_DAMAGED);
    ck_assert_int_eq(cursor_last(&cursor, &key, &value, &error), BTS_OK);
    assert_is(&entries.entry[entries.count - 1], &key, &value);
    for (i = entries.count - 1; cursor_prev(&cursor, &key, &value, &error) == BTS_OK;)
        assert_is(&entries.entry[--i], &key, &value);
    ck_assert_uint_eq(i, 60);
    ck_assert_int_eq(cursor.state, CURSOR_FAILED);
    ck_assert_int_eq(cursor_seek(&cursor, entries.entry[55].key, entries.entry[55].key_size, &key,
                                 &value, &error),
                     BTS_DAMAGED);
    ck_assert_int_eq(cursor_first(&cursor, &key, &value, &error), BTS_OK);
    fell();
}
END_TEST

START_TEST(a_damaged_run_fails_only_who_wants_the_value)
{
    static uint8_t large[5000];
    struct build_entry entry[2] = {{(const uint8_t *)"a", 1, large, sizeof(large)},
                                   {(const uint8_t *)"b", 1, large, 1}};
    struct bts_bytes key, value;
    struct cursor cursor;
    pgno_t run;

    build_init(&build, 4096, 10);
    record = build_tree(&build, 7, entry, 2);
    view = build_view(&build, &record);
    run = leaf_entry_at(build_page(&build, record.root), 0).run_pgno;
    build_page(&build, run)->crc ^= 1;
    cursor_init(&cursor, &view);
    ck_assert_int_eq(cursor_next(&cursor, &key, NULL, NULL), BTS_OK);
    ck_assert_int_eq(cursor_next(&cursor, &key, &value, NULL), BTS_OK);
    ck_assert_int_eq(cursor_prev(&cursor, &key, &value, NULL), BTS_DAMAGED);
    ck_assert_ptr_null(key.data);
    ck_assert_ptr_null(value.data);
    ck_assert_int_eq(cursor.state, CURSOR_FAILED);
    build_fini(&build);
}
END_TEST

START_TEST(a_tree_of_the_greatest_depth_works_and_a_deeper_one_is_damage)
{
    struct bts_bytes key, value;
    struct cursor cursor;

    build_init(&build, 4096, 100);
    record = build_chain(&build, TREE_DEPTH_MAX);
    view = build_view(&build, &record);
    cursor_init(&cursor, &view);
    ck_assert_int_eq(cursor_seek(&cursor, "b", 1, &key, &value, NULL), BTS_OK);
    ck_assert_int_eq(cursor_next(&cursor, &key, &value, NULL), BTS_END);
    record = build_chain(&build, TREE_DEPTH_MAX + 1);
    view = build_view(&build, &record);
    cursor_init(&cursor, &view);
    ck_assert_int_eq(cursor_first(&cursor, &key, &value, NULL), BTS_DAMAGED);
    ck_assert_int_eq(cursor_last(&cursor, &key, &value, NULL), BTS_DAMAGED);
    ck_assert_int_eq(cursor_seek(&cursor, "b", 1, &key, &value, NULL), BTS_DAMAGED);
    build_fini(&build);
}
END_TEST

START_TEST(a_page_younger_than_its_parent_is_damage)
{
    struct bts_bytes key, value;
    struct cursor cursor;
    pgno_t second;

    plant(BUILD_KEYS_PREFIX, 4096, 100, 10, 4);
    view.txnid = 99;
    second = inner_children(build_page(&build, record.root))[1];
    build_page(&build, second)->txnid++;
    build_reseal(&build, second);
    cursor_init(&cursor, &view);
    for (unsigned i = 0; i < 40; i++)
        ck_assert_int_eq(cursor_next(&cursor, &key, &value, NULL), BTS_OK);
    ck_assert_int_eq(cursor_next(&cursor, &key, &value, NULL), BTS_DAMAGED);
    ck_assert_int_eq(cursor_seek(&cursor, entries.entry[45].key, entries.entry[45].key_size, &key,
                                 &value, NULL),
                     BTS_DAMAGED);
    fell();
}
END_TEST

START_TEST(a_leaf_without_entries_is_damage)
{
    struct bts_bytes key, value;
    struct bts_error error;
    struct cursor cursor;
    struct page_header *leaf;

    plant(BUILD_KEYS_PREFIX, 4096, 3, 0, 0);
    leaf = build_page(&build, record.root);
    leaf_remove(leaf, 4096, 0, leaf_count(leaf));
    build_reseal(&build, record.root);
    cursor_init(&cursor, &view);
    ck_assert_int_eq(cursor_next(&cursor, &key, &value, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "without entries"));
    fell();
}
END_TEST

/* Inner pages whose children are all one page: each move is short all the same. */
START_TEST(hostile_pages_with_true_checksums_do_no_harm)
{
    struct build_random random = {6};
    uint8_t saved[4096];

    plant(BUILD_KEYS_URL, 4096, 500, 20, 5);
    for (unsigned round = 0; round < 2000; round++) {
        pgno_t p = 4 + (pgno_t)build_random_below(&random, build.page_count - 4);
        struct page_header *page = build_page(&build, p);
        struct bts_bytes key, value;
        struct cursor cursor;
        bool forward = round % 2 != 0;

        if (page->pgno != p || page->type == PAGE_RUN)
            continue;
        memcpy(saved, page, 4096);
        for (unsigned i = 0; i < 3; i++)
            ((uint8_t *)page)[24 + build_random_below(&random, round % 4 < 2 ? 176 : 4072)] =
                (uint8_t)build_random(&random);
        build_reseal(&build, p);
        build_forget(&build);
        cursor_init(&cursor, &view);
        cursor_set_prefix(&cursor, (struct bts_bytes){"https://", round % 9});
        for (unsigned i = 0; i < 2000; i++)
            if ((forward ? cursor_next(&cursor, &key, &value, NULL)
                         : cursor_prev(&cursor, &key, &value, NULL)) != BTS_OK)
                break;
        memcpy(page, saved, 4096);
    }
    fell();
}
END_TEST

int main(void)
{
    return UNIT_RUN("cursor", moves_in_trees_of_usual_shape_are_as_the_model_says,
                    moves_in_deep_trees_are_as_the_model_says,
                    moves_in_trees_of_leaves_of_one_entry_are_as_the_model_says,
                    moves_in_a_single_leaf_are_as_the_model_says,
                    moves_in_trees_of_large_pages_are_as_the_model_says,
                    a_walk_meets_every_entry_once_both_ways, an_empty_tree_has_no_entry_anywhere,
                    a_prefix_of_0xff_bytes_reaches_to_the_end,
                    a_prefix_longer_than_any_key_has_no_entry, key_and_value_need_not_be_wanted,
                    a_damaged_leaf_fails_the_cursor_until_it_is_placed_anew,
                    a_damaged_run_fails_only_who_wants_the_value, a_leaf_without_entries_is_damage,
                    a_tree_of_the_greatest_depth_works_and_a_deeper_one_is_damage,
                    a_page_younger_than_its_parent_is_damage,
                    hostile_pages_with_true_checksums_do_no_harm);
}
