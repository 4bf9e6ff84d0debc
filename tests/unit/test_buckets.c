/* SPDX-License-Identifier: MIT */
/*
 * buckets: names and numbers of buckets, through batches kept and undone.
 */
#include "tree/buckets.h"

#include "read/bucket.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"
#include "writer_fixture.h"

static struct writer writer;

static void start(void)
{
    writer_open(&writer, 4096);
    writer_begin(&writer);
}

static void commit_and_check(void)
{
    writer_commit(&writer);
    writer_check(&writer);
    writer_begin(&writer);
}

static void finish(void)
{
    writer_commit(&writer);
    writer_check(&writer);
    writer_close(&writer);
}

static enum bts_status add(const char *name)
{
    uint32_t id;

    return buckets_add(writer.buckets, name, strlen(name), &id, NULL);
}

static enum bts_status drop(const char *name)
{
    return buckets_drop(writer.buckets, name, strlen(name), NULL);
}

static enum bts_status rename_to(const char *old_name, const char *new_name)
{
    return buckets_rename(writer.buckets, old_name, strlen(old_name), new_name, strlen(new_name),
                          NULL);
}

/* The bucket's tree, or NULL. */
static struct tree *find(const char *name)
{
    struct tree *tree;
    enum bts_status status = buckets_open(writer.buckets, name, strlen(name), &tree, NULL);

    ck_assert(status == BTS_OK || status == BTS_NO_BUCKET);
    return tree;
}

static void put(const char *name, const char *key, size_t value_size)
{
    static const uint8_t value[100000];
    bool replaced;
    bool written;

    ck_assert_ptr_nonnull(find(name));
    ck_assert_int_eq(tree_put(find(name), TREE_PUT_ALWAYS, key, strlen(key), value, value_size,
                              &replaced, &written, NULL), BTS_OK);
}

static bool has(const char *name, const char *key)
{
    struct tree_view view = tree_view_of(find(name));
    struct bts_bytes value;

    return tree_get(&view, key, strlen(key), &value, NULL) == BTS_OK;
}

static void savepoint(void)
{
    ck_assert_int_eq(buckets_savepoint(writer.buckets, NULL), BTS_OK);
    pages_savepoint(writer.pages);
}

static void keep(void)
{
    pages_keep(writer.pages);
    buckets_check(writer.buckets);
}

static void undo(void)
{
    pages_undo(writer.pages);
    buckets_undo(writer.buckets);
    buckets_check(writer.buckets);
}

START_TEST(a_new_store_has_bucket_default_with_number_0)
{
    start();
    ck_assert_ptr_nonnull(find("default"));
    ck_assert_uint_eq(find("default")->record.id, 0);
    ck_assert_uint_eq(buckets_root(writer.buckets).bucket_count, 1);
    ck_assert_uint_eq(buckets_root(writer.buckets).next_bucket_id, 1);
    finish();
}
END_TEST

START_TEST(bucket_default_is_neither_dropped_nor_renamed)
{
    struct bts_error error;

    start();
    ck_assert_int_eq(buckets_drop(writer.buckets, "default", 7, &error), BTS_INVALID);
    ck_assert_str_eq(error.text, "bucket \"default\" cannot be dropped: it always exists");
    ck_assert_int_eq(buckets_rename(writer.buckets, "default", 7, "x", 1, &error), BTS_INVALID);
    ck_assert_str_eq(error.text, "bucket \"default\" cannot be renamed: it always exists");
    finish();
}
END_TEST

START_TEST(a_bucket_is_found_by_name_and_by_number)
{
    struct tree *tree;

    start();
    ck_assert_int_eq(add("one"), BTS_OK);
    ck_assert_int_eq(add("two"), BTS_OK);
    commit_and_check();
    ck_assert_int_eq(buckets_open_id(writer.buckets, 2, &tree, NULL), BTS_OK);
    ck_assert_ptr_eq(tree, find("two"));
    ck_assert_uint_eq(find("one")->record.id, 1);
    finish();
}
END_TEST

START_TEST(names_that_are_there_and_names_that_are_not_are_told_apart)
{
    struct bts_error error;
    struct tree *tree;
    uint32_t id;

    start();
    ck_assert_int_eq(add("one"), BTS_OK);
    ck_assert_int_eq(buckets_add(writer.buckets, "one", 3, &id, &error), BTS_EXISTS);
    ck_assert_str_eq(error.text, "bucket \"one\" is there already");
    ck_assert_int_eq(buckets_open(writer.buckets, "two", 3, &tree, &error), BTS_NO_BUCKET);
    ck_assert_str_eq(error.text, "no bucket \"two\"; create it first");
    ck_assert_int_eq(buckets_open_id(writer.buckets, 9, &tree, &error), BTS_NO_BUCKET);
    ck_assert_int_eq(drop("two"), BTS_NO_BUCKET);
    ck_assert_int_eq(rename_to("two", "three"), BTS_NO_BUCKET);
    ck_assert_int_eq(add("two"), BTS_OK);
    ck_assert_int_eq(rename_to("two", "one"), BTS_EXISTS);
    writer_abort(&writer);
    writer_begin(&writer);
    finish();
}
END_TEST

START_TEST(names_are_bytes_and_may_have_zeros_and_255_of_them)
{
    char name[256];
    uint32_t id;
    struct tree *tree;

    start();
    memset(name, 'n', sizeof(name));
    ck_assert_int_eq(buckets_add(writer.buckets, "a\0b", 3, &id, NULL), BTS_OK);
    ck_assert_int_eq(buckets_add(writer.buckets, "a\0c", 3, &id, NULL), BTS_OK);
    ck_assert_int_eq(buckets_add(writer.buckets, name, 255, &id, NULL), BTS_OK);
    ck_assert_int_eq(buckets_add(writer.buckets, name, 256, &id, NULL), BTS_LIMIT);
    ck_assert_int_eq(buckets_add(writer.buckets, "", 0, &id, NULL), BTS_INVALID);
    ck_assert_int_eq(buckets_open(writer.buckets, "a\0c", 3, &tree, NULL), BTS_OK);
    ck_assert_uint_eq(tree->record.id, 2);
    ck_assert_int_eq(buckets_open(writer.buckets, "a", 1, &tree, NULL), BTS_NO_BUCKET);
    finish();
}
END_TEST

START_TEST(a_dropped_bucket_gives_all_its_pages_back)
{
    struct space_stat before;
    char key[16];

    start();
    commit_and_check();
    before = space_stat(writer.space);
    ck_assert_int_eq(add("big"), BTS_OK);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        put("big", key, i % 20 == 0 ? 20000 : 100);
    }
    commit_and_check();
    ck_assert_uint_gt(space_stat(writer.space).live, before.live + 500);
    ck_assert_int_eq(drop("big"), BTS_OK);
    ck_assert_ptr_null(find("big"));
    commit_and_check();
    ck_assert_uint_eq(space_stat(writer.space).live, before.live);
    finish();
}
END_TEST

START_TEST(a_number_is_never_used_again)
{
    start();
    ck_assert_int_eq(add("a"), BTS_OK);
    ck_assert_uint_eq(find("a")->record.id, 1);
    ck_assert_int_eq(drop("a"), BTS_OK);
    commit_and_check();
    ck_assert_int_eq(add("a"), BTS_OK);
    ck_assert_uint_eq(find("a")->record.id, 2);
    finish();
}
END_TEST

START_TEST(a_renamed_bucket_keeps_number_and_entries)
{
    start();
    ck_assert_int_eq(add("old"), BTS_OK);
    commit_and_check();
    put("old", "key", 5);
    ck_assert_int_eq(rename_to("old", "new"), BTS_OK);
    ck_assert_ptr_null(find("old"));
    put("new", "key2", 5);
    commit_and_check();
    ck_assert_uint_eq(find("new")->record.id, 1);
    ck_assert_uint_eq(find("new")->record.entry_count, 2);
    finish();
}
END_TEST

START_TEST(two_buckets_can_swap_their_names_in_one_batch)
{
    start();
    ck_assert_int_eq(add("a"), BTS_OK);
    ck_assert_int_eq(add("b"), BTS_OK);
    put("a", "in a", 1);
    put("b", "in b", 1);
    for (int kept = 0; kept < 2; kept++) {
        savepoint();
        ck_assert_int_eq(rename_to("a", "t"), BTS_OK);
        ck_assert_int_eq(rename_to("b", "a"), BTS_OK);
        ck_assert_int_eq(rename_to("t", "b"), BTS_OK);
        ck_assert(has("a", "in b") && has("b", "in a"));
        if (kept) {
            keep();
        } else {
            undo();
            ck_assert(has("a", "in a") && has("b", "in b"));
        }
    }
    commit_and_check();
    ck_assert(has("a", "in b") && has("b", "in a"));
    finish();
}
END_TEST

START_TEST(a_bucket_renamed_many_times_in_one_batch_is_found_by_its_last_name)
{
    char old_name[16] = "first";
    char new_name[16];

    start();
    ck_assert_int_eq(add(old_name), BTS_OK);
    put("first", "key", 1);
    for (int kept = 0; kept < 2; kept++) {
        savepoint();
        snprintf(old_name, sizeof(old_name), "first");
        for (unsigned i = 0; i < 300; i++) {
            snprintf(new_name, sizeof(new_name), "name %u", i);
            ck_assert_int_eq(rename_to(old_name, new_name), BTS_OK);
            ck_assert_ptr_null(find(old_name));
            memcpy(old_name, new_name, sizeof(old_name));
        }
        ck_assert(has("name 299", "key"));
        if (kept) {
            keep();
        } else {
            undo();
            ck_assert(has("first", "key"));
        }
    }
    finish();
}
END_TEST

START_TEST(a_bucket_dropped_and_created_anew_in_one_batch_is_another_one)
{
    start();
    ck_assert_int_eq(add("a"), BTS_OK);
    put("a", "old", 2000);
    commit_and_check();
    savepoint();
    put("a", "older", 1);
    ck_assert_int_eq(drop("a"), BTS_OK);
    ck_assert_int_eq(add("a"), BTS_OK);
    ck_assert(!has("a", "old"));
    put("a", "new", 1);
    undo();
    ck_assert(has("a", "old") && !has("a", "older") && !has("a", "new"));
    ck_assert_uint_eq(find("a")->record.id, 1);
    savepoint();
    ck_assert_int_eq(drop("a"), BTS_OK);
    ck_assert_int_eq(add("a"), BTS_OK);
    put("a", "new", 1);
    keep();
    commit_and_check();
    ck_assert(!has("a", "old") && has("a", "new"));
    ck_assert_uint_eq(find("a")->record.id, 2);
    finish();
}
END_TEST

START_TEST(undo_puts_names_numbers_and_counts_back)
{
    struct buckets_root before;
    struct buckets_root after;

    start();
    ck_assert_int_eq(add("kept"), BTS_OK);
    put("kept", "a", 1);
    before = buckets_root(writer.buckets);
    savepoint();
    ck_assert_int_eq(add("new"), BTS_OK);
    put("new", "b", 1);
    put("kept", "b", 1);
    ck_assert_int_eq(rename_to("kept", "renamed"), BTS_OK);
    put("renamed", "c", 70000);
    ck_assert_int_eq(rename_to("renamed", "renamed again"), BTS_OK);
    put("default", "d", 1);
    undo();
    after = buckets_root(writer.buckets);
    ck_assert_uint_eq(after.root, before.root);
    ck_assert_uint_eq(after.bucket_count, before.bucket_count);
    ck_assert_uint_eq(after.next_bucket_id, before.next_bucket_id);
    ck_assert_uint_eq(find("kept")->record.entry_count, 1);
    ck_assert_uint_eq(find("default")->record.entry_count, 0);
    ck_assert_ptr_null(find("renamed"));
    ck_assert_ptr_null(find("new"));
    finish();
}
END_TEST

START_TEST(more_buckets_than_are_kept_open_can_be_used)
{
    char name[16];

    start();
    for (unsigned i = 0; i < 3 * BUCKETS_OPEN_MAX; i++) {
        snprintf(name, sizeof(name), "b%u", i);
        ck_assert_int_eq(add(name), BTS_OK);
    }
    for (unsigned round = 0; round < 3; round++) { /* one batch, many batches, many groups */
        savepoint();
        for (unsigned i = 0; i < 3 * BUCKETS_OPEN_MAX; i++) {
            if (round > 0 && i % 50 == 0) {
                keep();
                if (round > 1) {
                    commit_and_check();
                }
                savepoint();
            }
            snprintf(name, sizeof(name), "b%u", i);
            put(name, round == 0 ? "x" : round == 1 ? "y" : "z", 1);
        }
        keep();
    }
    commit_and_check();
    ck_assert(has("b0", "x") && has("b0", "y") && has("b767", "z"));
    finish();
}
END_TEST

START_TEST(a_flush_that_changes_nothing_copies_nothing)
{
    start();
    ck_assert_ptr_nonnull(find("default"));
    commit_and_check();
    ck_assert_ptr_nonnull(find("default"));
    ck_assert_int_eq(buckets_flush(writer.buckets, NULL), BTS_OK);
    ck_assert_uint_eq(pages_private_bytes(writer.pages), 0);
    finish();
}
END_TEST

/* ---- random ------------------------------------------------------------------ */

#define NAMES 40u

/* What each of the names stands for: number plus 1, and how many entries; 0: no such bucket. */
struct names {
    uint32_t id[NAMES];
    uint64_t count[NAMES];
};

static const char *name_of(unsigned index)
{
    static char name[2][16];
    static unsigned turn;

    turn ^= 1;
    snprintf(name[turn], sizeof(name[turn]), "bucket %u", index);
    return name[turn];
}

static void change(struct names *names, uint64_t *seed)
{
    unsigned a = (unsigned)(writer_random(seed) % NAMES);
    unsigned b = (unsigned)(writer_random(seed) % NAMES);
    char key[24];

    switch (writer_random(seed) % 6) {
    case 0:
        ck_assert_int_eq(add(name_of(a)), names->id[a] != 0 ? BTS_EXISTS : BTS_OK);
        if (names->id[a] == 0) {
            names->id[a] = find(name_of(a))->record.id + 1;
            names->count[a] = 0;
        }
        break;
    case 1:
        ck_assert_int_eq(drop(name_of(a)), names->id[a] != 0 ? BTS_OK : BTS_NO_BUCKET);
        names->id[a] = 0;
        break;
    case 2:
        if (names->id[a] == 0 || names->id[b] != 0) {
            ck_assert_int_ne(rename_to(name_of(a), name_of(b)), BTS_OK);
            break;
        }
        ck_assert_int_eq(rename_to(name_of(a), name_of(b)), BTS_OK);
        names->id[b] = names->id[a];
        names->count[b] = names->count[a];
        names->id[a] = 0;
        break;
    default:
        if (names->id[a] != 0) {
            snprintf(key, sizeof(key), "%llu", (unsigned long long)writer_random(seed));
            put(name_of(a), key, 200);
            names->count[a]++;
        }
    }
}

static void compare(const struct names *names)
{
    for (unsigned i = 0; i < NAMES; i++) {
        struct tree *tree = find(name_of(i));
        ck_assert_int_eq(tree != NULL, names->id[i] != 0);
        if (tree != NULL) {
            ck_assert_uint_eq(tree->record.id + 1, names->id[i]);
            ck_assert_uint_eq(tree->record.entry_count, names->count[i]);
        }
    }
}

START_TEST(a_random_walk_over_names_keeps_to_its_model)
{
    struct names names = {0};
    struct names committed = {0};
    uint64_t seed = 7;

    start();
    for (unsigned batch = 0; batch < UNIT_ROUNDS(2000); batch++) {
        struct names before = names;
        savepoint();
        for (uint64_t i = writer_random(&seed) % 12; i > 0; i--) {
            change(&names, &seed);
        }
        if (writer_random(&seed) % 3 == 0) {
            undo();
            names = before;
        } else {
            keep();
        }
        compare(&names);
        if (batch % 20 == 0) {
            commit_and_check();
            committed = names;
        } else if (batch % 33 == 0) {
            writer_abort(&writer);
            writer_begin(&writer);
            names = committed;
        }
    }
    finish();
}
END_TEST

int main(void)
{
    return UNIT_RUN("buckets", a_new_store_has_bucket_default_with_number_0,
                    bucket_default_is_neither_dropped_nor_renamed,
                    a_bucket_is_found_by_name_and_by_number,
                    names_that_are_there_and_names_that_are_not_are_told_apart,
                    names_are_bytes_and_may_have_zeros_and_255_of_them,
                    a_dropped_bucket_gives_all_its_pages_back, a_number_is_never_used_again,
                    a_renamed_bucket_keeps_number_and_entries,
                    two_buckets_can_swap_their_names_in_one_batch,
                    a_bucket_renamed_many_times_in_one_batch_is_found_by_its_last_name,
                    a_bucket_dropped_and_created_anew_in_one_batch_is_another_one,
                    undo_puts_names_numbers_and_counts_back,
                    more_buckets_than_are_kept_open_can_be_used,
                    a_flush_that_changes_nothing_copies_nothing,
                    a_random_walk_over_names_keeps_to_its_model);
}
