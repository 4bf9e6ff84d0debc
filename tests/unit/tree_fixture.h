/* SPDX-License-Identifier: MIT */
/*
 * tree_fixture: the tree of bucket `default` in a store of its own, and the
 * model of what it holds; what test_tree_write and test_tree_range share.
 *
 *     start(4096);  put_number(1, 100); ..  commit_and_check(); ..  finish();
 */
#ifndef TREE_FIXTURE_H
#define TREE_FIXTURE_H

#include <stdio.h>

#include "tree_model.h"
#include "unit.h"
#include "writer_fixture.h"

static struct writer writer;
static struct tree_model model;
static struct tree *tree;
static uint64_t seed;

static inline void begin(void)
{
    struct bts_error error;

    writer_begin(&writer);
    ck_assert_msg(buckets_open_id(writer.buckets, BUCKET_DEFAULT_ID, &tree, &error) == BTS_OK,
                  "%s", error.text);
}

static inline void start(size_t page_size)
{
    seed = 42;
    writer_open(&writer, page_size);
    model_init(&model);
    begin();
}

/* Commits, checks everything, and begins the next group. */
static inline void commit_and_check(void)
{
    struct tree_view view;

    writer_commit(&writer);
    writer_check(&writer);
    view = writer_view(&writer);
    begin();
    view.root = tree->record.root;
    view.depth = tree->record.depth;
    model_compare(&model, &view);
}

static inline void finish(void)
{
    commit_and_check();
    writer_commit(&writer);
    model_fini(&model);
    writer_close(&writer);
}

static inline void put_number(uint64_t number, size_t value_size)
{
    char key[32];
    int size = snprintf(key, sizeof(key), "user:%012llu", (unsigned long long)number);

    model_put(&model, tree, key, (size_t)size, number + 1, value_size);
}

static inline void delete_number(uint64_t number)
{
    char key[32];
    int size = snprintf(key, sizeof(key), "user:%012llu", (unsigned long long)number);

    model_delete(&model, tree, key, (size_t)size);
}

/* A key of `size` bytes: all `letter`, with a number at its end. */
static inline size_t long_key(uint8_t *key, size_t size, char letter, unsigned number)
{
    memset(key, letter, size);
    for (size_t i = 0; i < 3; i++) {
        key[size - 1 - i] = (uint8_t)(number >> 8 * i);
    }
    return size;
}

#endif
