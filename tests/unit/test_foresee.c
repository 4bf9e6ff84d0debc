/* SPDX-License-Identifier: MIT */
/*
 * foresee: it only looks.  Whatever the tree is like (empty, one leaf, pages
 * of the group at work, pages that nobody has checked, pages that are damaged),
 * no page becomes private, none is marked as checked, and nothing is believed
 * of a page that is not.
 */
#include "tree/foresee.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"
#include "writer_fixture.h"

#define PAGE 4096u
#define ENTRIES 60000u

static struct writer writer;

static struct tree *open_default(void)
{
    struct tree *tree;

    ck_assert_int_eq(buckets_savepoint(writer.buckets, NULL), BTS_OK);
    ck_assert_int_eq(buckets_open_id(writer.buckets, BUCKET_DEFAULT_ID, &tree, NULL), BTS_OK);
    return tree;
}

static void put(struct tree *tree, unsigned number)
{
    char key[32];
    bool replaced;
    bool written;
    int size = snprintf(key, sizeof(key), "key %08u", number * 2654435761u);

    ck_assert_int_eq(tree_put(tree, TREE_PUT_ALWAYS, key, (size_t)size, key, (size_t)size,
                              &replaced, &written, NULL),
                     BTS_OK);
}

/* Sixteen keys, some there and some not, some before and behind all others. */
static void look(const struct tree *tree)
{
    char texts[FORESEE_MAX][32];
    struct bts_bytes keys[FORESEE_MAX];

    for (unsigned count = 1; count <= FORESEE_MAX; count++) {
        for (unsigned i = 0; i < count; i++) {
            int size = snprintf(texts[i], sizeof(texts[i]), "key %08u", i * count * 2654435761u);
            keys[i] = (struct bts_bytes){texts[i], (size_t)size};
        }
        keys[0] = (struct bts_bytes){count % 2 == 0 ? "a" : "z", 1};
        foresee_keys(tree, keys, count);
    }
}

START_TEST(trees_of_all_sizes_stay_as_they_are)
{
    struct tree *tree;
    size_t private_count;

    writer_open(&writer, PAGE);
    writer_begin(&writer);
    tree = open_default();
    look(tree);
    for (unsigned i = 0; i < ENTRIES; i++) {
        put(tree, i);
        if (i % 3000 == 0) {
            private_count = pages_private_count(writer.pages);
            look(tree);
            ck_assert_uint_eq(pages_private_count(writer.pages), private_count);
        }
    }
    writer_commit(&writer);
    writer_begin(&writer);
    tree = open_default();
    ck_assert_uint_ge(tree->record.depth, 3);
    look(tree);
    ck_assert_uint_eq(pages_private_count(writer.pages), 0);
    put(tree, 7);
    look(tree); /* some of it private, some in the map */
    writer_commit(&writer);
    writer_check(&writer);
    writer_close(&writer);
}
END_TEST

/* The pages above the leaves are what an attacker would like to be followed. */
START_TEST(a_page_that_was_not_checked_is_not_followed)
{
    static uint8_t page[PAGE];
    const struct page_source *source;
    struct tree *tree;
    pgno_t root;

    writer_open(&writer, PAGE);
    writer_begin(&writer);
    tree = open_default();
    for (unsigned i = 0; i < ENTRIES; i++)
        put(tree, i);
    writer_commit(&writer);
    writer_begin(&writer);
    tree = open_default();
    ck_assert_uint_ge(tree->record.depth, 3); /* what it leads to would be looked at, too */
    root = tree->record.root;
    source = pages_source(writer.pages);
    atomic_store_explicit(&source->verified[root], 1, memory_order_relaxed);
    memset(page + PAGE_HEADER_SIZE, 0xff, sizeof(page) - PAGE_HEADER_SIZE);
    memcpy(page, source->base + (size_t)root * PAGE, PAGE_HEADER_SIZE);
    ck_assert_int_eq(file_write(&writer.file, page, PAGE, (uint64_t)root * PAGE, NULL), BTS_OK);
    look(tree);
    ck_assert_uint_eq(atomic_load_explicit(&source->verified[root], memory_order_relaxed), 1);
    writer_abort(&writer);
    writer_close(&writer);
}
END_TEST

int main(void)
{
    return UNIT_RUN("foresee", trees_of_all_sizes_stay_as_they_are,
                    a_page_that_was_not_checked_is_not_followed);
}
