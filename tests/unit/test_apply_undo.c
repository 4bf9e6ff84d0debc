/* SPDX-License-Identifier: MIT */
/*
 * apply: a batch that is refused, or that runs out of memory at whatever step,
 * leaves no trace.
 *
 * The batch splits and merges, makes and frees runs, drops, renames and creates
 * buckets, in a group that has changed much already.
 */
#include "tree/apply.h"

#include "base/crc32c.h"
#include "read/cursor.h"

#include <stdio.h>
#include <string.h>

#include "failing_malloc.h"
#include "unit.h"
#include "writer_fixture.h"

static struct writer writer;
static struct batch batch;
static struct apply_results results;
static struct bts_error error;

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
    apply_results_fini(&results);
    batch_fini(&batch);
}

static void add_bytes(enum batch_type type, unsigned flags, const void *first, size_t first_size,
                      const void *second, size_t second_size)
{
    ck_assert_int_eq(batch_add(&batch, type, flags, first, first_size, second, second_size, NULL),
                     BTS_OK);
}

static void add(enum batch_type type, unsigned flags, const char *first, const char *second)
{
    add_bytes(type, flags, first, strlen(first), second, strlen(second));
}

static enum bts_status apply(void)
{
    size_t size;
    const void *bytes = batch_bytes(&batch, &size);
    enum bts_status status;

    apply_results_fini(&results);
    ck_assert_int_eq(batch_check(bytes, size, 4096, NULL), BTS_OK);
    status = apply_batch(writer.buckets, writer.pages, APPLY_LIVE, bytes, size, &results, &error);
    buckets_check(writer.buckets);
    batch_clear(&batch);
    return status;
}

static uint32_t fingerprint_of_root(uint32_t sum, const struct buckets_root *root)
{
    uint64_t fields[] = {root->root, root->depth, root->bucket_count, root->next_bucket_id};

    return crc32c(sum, fields, sizeof(fields));
}

/* A number that follows from everything the group at work holds. */
static uint32_t fingerprint_of_all(void)
{
    struct buckets_root root = buckets_root(writer.buckets);
    struct tree_view directory = {.source = pages_source(writer.pages),
                                  .root = root.root,
                                  .depth = root.depth,
                                  .txnid = pages_txnid(writer.pages)};
    struct bts_bytes name;
    struct bts_bytes key;
    struct bts_bytes value;
    struct cursor names;
    struct cursor entries;
    uint32_t sum = fingerprint_of_root(0, &root);

    cursor_init(&names, &directory);
    while (cursor_next(&names, &name, NULL, &error) == BTS_OK) {
        struct tree *tree;
        struct tree_view view;
        ck_assert_int_eq(buckets_open(writer.buckets, name.data, name.size, &tree, &error),
                         BTS_OK);
        sum = crc32c(sum, name.data, name.size);
        sum = crc32c(sum, &tree->record, sizeof(tree->record));
        view = tree_view_of(tree);
        cursor_init(&entries, &view);
        while (cursor_next(&entries, &key, &value, &error) == BTS_OK) {
            sum = crc32c(sum, key.data, key.size);
            sum = crc32c(sum, value.data, value.size);
        }
    }
    return sum;
}

/* Fills two buckets, partly in the group at work. */
static void fill_two_buckets(void)
{
    char key[32];

    add(BATCH_BUCKET_CREATE, 0, "doomed", "");
    add(BATCH_BUCKET_CREATE, 0, "moved", "");
    ck_assert_msg(apply() == BTS_OK, "%s", error.text);
    for (unsigned part = 0; part < 2; part++) {
        for (unsigned i = part; i < 4000; i += 2) {
            static const uint8_t value[30000];
            snprintf(key, sizeof(key), "key %06u", i * 7919u % 4000);
            if (i % 2000 == 0) {
                add(BATCH_USE, 0, "doomed", "");
            }
            if (i % 2000 == 1000) {
                add(BATCH_USE, 0, "default", "");
            }
            add_bytes(BATCH_PUT, 0, key, strlen(key), value, i % 97 == 0 ? sizeof(value) : 90);
        }
        ck_assert_msg(apply() == BTS_OK, "%s", error.text);
        if (part == 0) {
            commit_and_check();
        }
    }
}

/* Splits, merges, makes and frees runs, drops, renames, creates, and touches many pages. */
static void add_everything(void)
{
    static const uint8_t value[50000];
    char key[32];

    for (unsigned i = 0; i < 4000; i++) {
        snprintf(key, sizeof(key), "key %06u+", i);
        add_bytes(BATCH_PUT, i % 5 == 0 ? BATCH_RETURN : 0, key, strlen(key), value,
                  i % 101 == 0 ? sizeof(value) : 120);
    }
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(key, sizeof(key), "key %06u", i);
        if (i % 9 != 0) {
            add(BATCH_DELETE, BATCH_RETURN, key, "");
        }
    }
    add(BATCH_BUCKET_RENAME, 0, "moved", "moved away");
    add(BATCH_BUCKET_DROP, 0, "doomed", "");
    for (unsigned i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "bucket %u", i);
        add(BATCH_BUCKET_CREATE, 0, key, "");
        add(BATCH_USE, 0, key, "");
        add(BATCH_PUT, 0, "k", "v");
    }
    add(BATCH_USE, 0, "default", "");
    add(BATCH_DELETE_RANGE, 0, "key 001000", "key 003000");
    add(BATCH_PUT, 0, "n", "3");
}

/* As it was before: pages, space, directory, counts and contents. */
struct traces {
    uint32_t fingerprint;
    struct space_stat space;
    size_t private_bytes;
};

static struct traces look_for_traces(void)
{
    struct traces traces;

    memset(&traces, 0, sizeof(traces));
    traces.fingerprint = fingerprint_of_all();
    traces.space = space_stat(writer.space);
    traces.private_bytes = pages_private_bytes(writer.pages);
    return traces;
}

START_TEST(a_refused_batch_leaves_no_trace)
{
    struct traces before;
    struct traces after;

    start();
    fill_two_buckets();
    before = look_for_traces();
    add_everything();
    add(BATCH_REQUIRE_PRESENT, 0, "nobody", "");
    ck_assert_int_eq(apply(), BTS_CONFLICT);
    ck_assert_uint_eq(results.count, 0);
    after = look_for_traces();
    ck_assert_mem_eq(&after, &before, sizeof(before));
    finish();
}
END_TEST

START_TEST(memory_that_runs_out_at_any_step_leaves_no_trace)
{
    struct traces before;
    struct batch saved;
    enum bts_status status;
    unsigned long step = 0;

    start();
    fill_two_buckets();
    before = look_for_traces();
    add_everything();
    saved = batch;
    do {
        struct traces after;
        apply_results_fini(&results);
        failing_malloc_set(++step);
        status = apply_batch(writer.buckets, writer.pages, APPLY_LIVE, saved.data, saved.size,
                             &results, step % 2 == 0 ? NULL : &error);
        if (!failing_malloc_failed()) {
            break;
        }
        failing_malloc_set(0);
        ck_assert_int_eq(status, BTS_NO_MEMORY);
        ck_assert_uint_eq(results.count, 0);
        buckets_check(writer.buckets);
        after = look_for_traces();
        ck_assert_mem_eq(&after, &before, sizeof(before));
    } while (step < 10000);
    failing_malloc_set(0);
    ck_assert_msg(status == BTS_OK, "%s", error.text);
    ck_assert_uint_gt(step, 20);
    ck_assert_uint_eq(buckets_root(writer.buckets).bucket_count, 42);
    batch_clear(&batch);
    add(BATCH_REQUIRE_EQUAL, 0, "n", "3");
    ck_assert_msg(apply() == BTS_OK, "%s", error.text);
    finish();
}
END_TEST

/* Buckets with long names, so many that flushing their records needs memory again and again. */
static void put_into_each_of_many_buckets(bool create)
{
    char name[200];

    memset(name, 'n', sizeof(name));
    for (unsigned i = 0; i < 4500; i++) {
        snprintf(name, 16, "bucket %08u", i);
        name[15] = 'n';
        if (create) {
            add_bytes(BATCH_BUCKET_CREATE, 0, name, sizeof(name), NULL, 0);
        } else {
            add_bytes(BATCH_USE, 0, name, sizeof(name), NULL, 0);
            add(BATCH_PUT, 0, "key", "value");
        }
    }
    ck_assert_msg(apply() == BTS_OK, "%s", error.text);
}

START_TEST(memory_that_runs_out_while_flushing_leaves_the_directory_as_it_was)
{
    struct traces before;
    struct traces after;
    enum bts_status status;
    unsigned long step = 0;

    start();
    put_into_each_of_many_buckets(true);
    commit_and_check();
    put_into_each_of_many_buckets(false);
    before = look_for_traces();
    do {
        failing_malloc_set(++step);
        status = buckets_flush(writer.buckets, &error);
        if (!failing_malloc_failed()) {
            break;
        }
        failing_malloc_set(0);
        after = look_for_traces();
        ck_assert_int_eq(status, BTS_NO_MEMORY);
        ck_assert_mem_eq(&after, &before, sizeof(before));
    } while (step < 1000);
    failing_malloc_set(0);
    ck_assert_int_eq(status, BTS_OK);
    ck_assert_uint_gt(step, 2);
    finish();
}
END_TEST

int main(void)
{
    return UNIT_RUN("apply_undo", a_refused_batch_leaves_no_trace,
                    memory_that_runs_out_at_any_step_leaves_no_trace,
                    memory_that_runs_out_while_flushing_leaves_the_directory_as_it_was);
}
