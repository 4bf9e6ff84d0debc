/* SPDX-License-Identifier: MIT */
/*
 * test_commit_faults: batches that no log can hold, a full disk, and calls
 * that fail: what was acknowledged stays, and a failed sync ends the engine.
 */
#include "engine_fixture.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "read/bucket.h"

static struct engine engine;

/* ---- batches too large for the log -------------------------------------- */

/* Puts keys [from, from + count) in one batch of some 80 bytes each. */
static enum bts_status commit_many(uint32_t from, uint32_t count, const char *condition)
{
    static uint8_t value[20000];
    struct batch batch = {.data = NULL};
    uint32_t version = ++engine.version;
    enum bts_status status;
    struct bts_error error;

    for (uint32_t i = from; i < from + count; i++) {
        struct batch one;
        struct batch_operation put;
        struct batch_reader reader;
        size_t size;
        engine_batch(&one, i, version);
        batch_reader_init(&reader, batch_bytes(&one, &size), one.size);
        ck_assert(batch_next(&reader, &put));
        size = engine_value(i, version, value);
        ck_assert_int_eq(batch_add(&batch, BATCH_PUT, 0, put.first, put.first_size, value, size,
                                   NULL), BTS_OK);
        batch_fini(&one);
    }
    if (condition != NULL)
        engine_add(&batch, BATCH_REQUIRE_PRESENT, 0, condition, NULL);
    status = engine_commit(&engine, &batch, NULL, &error);
    for (uint32_t i = from; status == BTS_OK && i < from + count; i++)
        engine.model[i] = version;
    batch_fini(&batch);
    return status;
}

START_TEST(a_batch_too_large_for_the_log_is_committed_by_a_checkpoint)
{
    struct commit_stat before;

    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 100, 8);
    for (int round = 0; round < 4; round++) {
        before = commit_stat(engine.commit);
        ck_assert_int_eq(commit_many(500 * (uint32_t)round, 1500, NULL), BTS_OK);
        ck_assert_uint_eq(commit_stat(engine.commit).latest, before.latest + 1);
        ck_assert_uint_eq(commit_stat(engine.commit).checkpoint, before.latest + 1);
        if (round % 2 == 0)
            engine_load(&engine, 100, 8);
        engine_check_after_kill(&engine);
        engine_load(&engine, 50, 8);
    }
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_refused_large_batch_leaves_no_trace)
{
    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 100, 8);
    ck_assert_int_eq(commit_many(0, 3000, "no such key"), BTS_CONFLICT);
    engine_check(&engine);
    engine_load(&engine, 100, 8);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

typedef void (*make_batch)(struct batch *batch, unsigned number, unsigned puts);

static void add_put(struct batch *batch, unsigned number, unsigned i, char fill)
{
    char key[20];
    char value[100];
    int size = snprintf(key, sizeof(key), "%06u/%06u", number, i);

    memset(value, fill, sizeof(value));
    ck_assert_int_eq(batch_add(batch, BATCH_PUT, 0, key, (size_t)size, value, sizeof(value), NULL),
                     BTS_OK);
}

/* Ascending puts: their pages are hardly more than the log's frame. */
static void dense_batch(struct batch *batch, unsigned number, unsigned puts)
{
    memset(batch, 0, sizeof(*batch));
    for (unsigned i = 0; i < puts; i++)
        add_put(batch, number, i, (char)('a' + number % 26));
}

/* Commits `count` batches that wait beside each other, numbered from `number`. */
static void commit_batches(unsigned number, unsigned count, make_batch make, unsigned puts)
{
    struct commit_request requests[40];
    struct batch batches[40];

    memset(requests, 0, sizeof(requests));
    for (unsigned i = 0; i < count; i++) {
        make(&batches[i], number + i, puts);
        requests[i].batch = batch_bytes(&batches[i], &requests[i].size);
        requests[i].next = i + 1 < count ? &requests[i + 1] : NULL;
    }
    ck_assert_ptr_eq(engine_run(&engine, requests), requests);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_msg(requests[i].status == BTS_OK, "%s", requests[i].error.text);
        ck_assert_uint_le(requests[i].txnid, commit_stat(engine.commit).durable);
        batch_fini(&batches[i]);
        apply_results_fini(&requests[i].results);
    }
}

static uint64_t default_entries(void)
{
    struct tree_view directory = commit_latest(engine.commit);
    struct bucket_record record;

    ck_assert_int_eq(bucket_find(&directory, "default", 7, &record, NULL), BTS_OK);
    return record.entry_count;
}

/* Keys all over that are there already, each in another leaf. */
static void sparse_batch(struct batch *batch, unsigned number, unsigned puts)
{
    memset(batch, 0, sizeof(*batch));
    for (unsigned i = 0; i < puts; i++)
        add_put(batch, i * 7 % 40, i * 5 % 120, (char)('A' + number % 26));
}

START_TEST(dense_batches_bypass_the_log_together_and_others_do_not)
{
    struct commit_stat before;
    struct commit_stat stat;

    engine_init(&engine);
    engine.options.direct_min = 8000;
    engine.options.direct_percent = 200; /* the upper pages count for as much as the leaves */
    engine.options.inline_only = _i == 0;
    engine_start(&engine);
    commit_batches(0, 1, dense_batch, 120); /* nothing is known yet */
    stat = commit_stat(engine.commit);
    ck_assert_uint_eq(stat.direct, 0);
    commit_batches(1, 39, dense_batch, 120);
    before = stat;
    stat = commit_stat(engine.commit);
    ck_assert_uint_ge(stat.direct, 39 / 8);
    ck_assert_uint_le(stat.latest - before.latest, 39 / 3); /* several at once */
    ck_assert_uint_eq(stat.log_bytes, 0);
    ck_assert_uint_eq(default_entries(), 40 * 120);

    before = stat;
    commit_batches(40, 1, sparse_batch, 80); /* believed to be like those before */
    commit_batches(41, 2, sparse_batch, 80);
    stat = commit_stat(engine.commit);
    ck_assert_uint_eq(stat.direct, before.direct + 1);
    ck_assert_uint_gt(stat.log_bytes, 0);

    before = stat;
    commit_batches(43, 1, dense_batch, 30); /* short ones never do */
    commit_batches(44, 1, dense_batch, 120);
    commit_batches(45, 1, dense_batch, 120);
    ck_assert_uint_eq(commit_stat(engine.commit).direct, before.direct + 1);
    before = commit_stat(engine.commit);
    engine_kill(&engine);
    engine_start(&engine);
    ck_assert_uint_ge(commit_stat(engine.commit).latest, before.latest);
    ck_assert_uint_eq(default_entries(), 40 * 120 + 30 + 2 * 120);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_large_batch_among_others_keeps_the_order)
{
    struct commit_request requests[9];
    struct batch batches[9];
    static uint8_t value[300000];

    engine_init_and_start(&engine, _i != 0);
    memset(requests, 0, sizeof(requests));
    memset(batches, 0, sizeof(batches));
    for (int i = 0; i < 9; i++) {
        size_t size = i % 3 == 2 ? sizeof(value) : 10;
        memset(value, 'a' + i, size);
        ck_assert_int_eq(batch_add(&batches[i], BATCH_PUT, 0, "key", 3, value, size, NULL),
                         BTS_OK);
        requests[i].batch = batch_bytes(&batches[i], &requests[i].size);
        requests[i].next = i < 8 ? &requests[i + 1] : NULL;
    }
    ck_assert_ptr_eq(engine_run(&engine, requests), requests);
    for (int i = 0; i < 9; i++) {
        ck_assert_msg(requests[i].status == BTS_OK, "%s", requests[i].error.text);
        ck_assert_ptr_eq(requests[i].next, i < 8 ? &requests[i + 1] : NULL);
        ck_assert(i == 0 || requests[i].txnid >= requests[i - 1].txnid);
    }
    for (int round = 0; round < 2; round++) {
        struct tree_view directory = commit_latest(engine.commit);
        struct tree_view view;
        struct bucket_record record;
        struct bts_bytes found;
        ck_assert_int_eq(bucket_find(&directory, "default", 7, &record, NULL), BTS_OK);
        view = bucket_view(&directory, &record);
        ck_assert_int_eq(tree_get(&view, "key", 3, &found, NULL), BTS_OK);
        ck_assert_uint_eq(found.size, sizeof(value));
        ck_assert_int_eq(memcmp(found.data, value, sizeof(value)), 0);
        engine_kill(&engine);
        engine_start(&engine);
    }
    for (int i = 0; i < 9; i++)
        batch_fini(&batches[i]);
    engine_fini(&engine);
}
END_TEST

/* ---- a full disk, and failing calls ------------------------------------- */

START_TEST(a_full_disk_refuses_writers_and_harms_nobody)
{
    unsigned refused = 0;
    unsigned accepted = 0;

    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 1000, 16);
    for (int round = 0; round < 3; round++) {
        faulty_files_arm(&engine.faulty, FAULT_GROW, 1, ENOSPC, true);
        for (int i = 0; i < 1500; i++) {
            enum bts_status status =
                engine_change(&engine, (uint32_t)engine_random(&engine, ENGINE_KEYS), true);
            ck_assert(status == BTS_OK || status == BTS_NO_SPACE);
            refused += status != BTS_OK;
            accepted += status == BTS_OK;
        }
        ck_assert_int_eq(commit_failed(engine.commit, NULL), BTS_OK);
        engine_check(&engine);
        faulty_files_disarm(&engine.faulty);
        engine_load(&engine, 100, 16);
        engine_check_after_kill(&engine);
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(accepted, 0);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_large_batch_on_a_full_disk_is_refused)
{
    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 100, 16);
    faulty_files_arm(&engine.faulty, FAULT_GROW, 1, ENOSPC, true);
    ck_assert_int_eq(commit_many(0, 4000, NULL), BTS_NO_SPACE);
    faulty_files_disarm(&engine.faulty);
    engine_check(&engine);
    ck_assert_int_eq(commit_many(0, 4000, NULL), BTS_OK);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

/* After a restart: key `key` is as it was, or as a change whose outcome is unknown made it. */
static void take_outcome(uint32_t key, uint32_t before, uint32_t after)
{
    struct tree_view directory = commit_latest(engine.commit);
    struct tree_view view;
    struct bucket_record record;
    struct bts_bytes found;
    struct batch batch;
    struct batch_reader reader;
    struct batch_operation put;
    size_t size;

    engine_batch(&batch, key, after);
    ck_assert_int_eq(bucket_find(&directory, "default", 7, &record, NULL), BTS_OK);
    view = bucket_view(&directory, &record);
    batch_reader_init(&reader, batch_bytes(&batch, &size), batch.size);
    ck_assert(batch_next(&reader, &put));
    engine.model[key] = before;
    if (tree_get(&view, put.first, put.first_size, &found, NULL) == BTS_OK &&
        found.size == put.second_size && memcmp(found.data, put.second, found.size) == 0)
        engine.model[key] = after;
    batch_fini(&batch);
}

/*
 * The write that finds the disk full may be any: of pages, of the log, of a new
 * segment of it.  Then a checkpoint might shorten the log, and it fails, too.
 */
START_TEST(a_disk_that_fills_up_at_any_write_loses_nothing)
{
    unsigned failed = 0;
    unsigned refused = 0;

    for (int n = 1; n <= 80; n += UNIT_STEP) {
        uint32_t open = UINT32_MAX; /* the key whose change has an unknown outcome */

        engine_init_and_start(&engine, _i != 0);
        faulty_files_arm(&engine.faulty, FAULT_WRITE, n, ENOSPC, true);
        for (uint32_t i = 0; i < 60 && commit_failed(engine.commit, NULL) == BTS_OK; i++) {
            enum bts_status status = engine_change(&engine, i, true);
            if (status == BTS_OK)
                continue;
            refused++;
            ck_assert(status == BTS_NO_SPACE || status == BTS_UNKNOWN);
            open = status == BTS_UNKNOWN ? i : open;
        }
        failed += commit_failed(engine.commit, NULL) != BTS_OK;
        faulty_files_disarm(&engine.faulty);
        engine_kill(&engine);
        engine_start(&engine);
        if (open != UINT32_MAX) /* the last change that was tried */
            take_outcome(open, engine.model[open], engine.version);
        engine_check(&engine);
        engine_fini(&engine);
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(failed, 0);
}
END_TEST

/* The first change that fails: key 1 is then as it was, or as it should be. */
static void fail_and_check(enum fault_kind kind, int errno_value)
{
    uint32_t before = engine.model[1];
    uint32_t after = ++engine.version;
    struct batch batch;
    struct bts_error error;
    enum bts_status status;

    faulty_files_arm(&engine.faulty, kind, 1, errno_value, true);
    engine_batch(&batch, 1, after);
    status = engine_commit(&engine, &batch, NULL, &error);
    ck_assert(status == BTS_UNKNOWN || status == BTS_IO);
    ck_assert_int_ne(commit_failed(engine.commit, &error), BTS_OK);
    ck_assert(!commit_ready(engine.commit));
    faulty_files_disarm(&engine.faulty);
    ck_assert_int_eq(engine_change(&engine, 2, true), BTS_IO); /* never again */
    batch_fini(&batch);
    engine_kill(&engine);
    engine_start(&engine);
    take_outcome(1, before, after);
    engine_check(&engine);
}

START_TEST(a_failed_sync_of_the_log_is_fatal)
{
    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 100, 16);
    fail_and_check(FAULT_SYNC, EIO);
    ck_assert_uint_ne(engine.model[1], 0); /* here the write was there all the same */
    engine_fini(&engine);
}
END_TEST

START_TEST(a_failed_write_of_pages_is_fatal)
{
    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 100, 16);
    fail_and_check(FAULT_WRITE, EIO);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_failed_write_of_a_run_is_fatal)
{
    static uint8_t value[9000];
    struct batch batch = {.data = NULL};

    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 100, 16);
    ck_assert_int_eq(batch_add(&batch, BATCH_PUT, 0, "run", 3, value, sizeof(value), NULL),
                     BTS_OK);
    faulty_files_arm(&engine.faulty, FAULT_WRITE, 1, EIO, false); /* this one, and no other */
    ck_assert_int_eq(engine_commit(&engine, &batch, NULL, NULL), BTS_IO);
    ck_assert_int_eq(commit_failed(engine.commit, NULL), BTS_IO);
    ck_assert_int_eq(engine_change(&engine, 2, true), BTS_IO);
    batch_fini(&batch);
    engine_kill(&engine);
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_failed_checkpoint_is_fatal)
{
    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 100, 16);
    faulty_files_arm(&engine.faulty, FAULT_SYNC, 2, EIO, true);
    commit_checkpoint_request(engine.commit, NULL);
    for (int i = 0; i < 1000 && commit_failed(engine.commit, NULL) == BTS_OK; i++) {
        usleep(1000);
        commit_tick(engine.commit);
    }
    ck_assert_int_eq(commit_failed(engine.commit, NULL), BTS_IO);
    ck_assert_int_eq(engine_change(&engine, 2, true), BTS_IO);
    faulty_files_disarm(&engine.faulty);
    engine_kill(&engine);
    engine_start(&engine);
    engine_check(&engine);
    engine_check_checkpoint(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(every_request_in_a_failing_engine_gets_an_answer)
{
    struct commit_request requests[200];
    struct batch batches[200];
    unsigned answered = 0;
    unsigned ok = 0;

    engine_init_and_start(&engine, _i != 0);
    memset(requests, 0, sizeof(requests));
    faulty_files_arm(&engine.faulty, FAULT_SYNC, 3, EIO, true);
    for (uint32_t i = 0; i < 200; i++) {
        engine_batch(&batches[i], i, i + 1);
        requests[i].batch = batch_bytes(&batches[i], &requests[i].size);
    }
    for (uint32_t i = 0; i < 200; i += 4) {
        for (uint32_t k = i; k < i + 3; k++)
            requests[k].next = &requests[k + 1];
        commit_take(engine.commit, &requests[i]);
    }
    for (int i = 0; i < 1000 && answered < 200; i++) {
        struct commit_request *list = commit_collect(engine.commit);
        for (; list != NULL; list = list->next) {
            ck_assert_ptr_eq(list, &requests[answered]);
            ok += list->status == BTS_OK;
            if (list->status == BTS_OK)
                engine.model[answered] = answered + 1;
            answered++;
        }
        usleep(1000);
    }
    ck_assert_uint_eq(answered, 200);
    ck_assert_uint_gt(ok, 0);
    ck_assert_uint_lt(ok, 200);
    faulty_files_disarm(&engine.faulty);
    for (uint32_t i = 0; i < 200; i++)
        batch_fini(&batches[i]);
    engine_fini(&engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commit_faults");

    ENGINE_CASE(suite, 2, a_batch_too_large_for_the_log_is_committed_by_a_checkpoint,
                dense_batches_bypass_the_log_together_and_others_do_not,
                a_refused_large_batch_leaves_no_trace, a_large_batch_among_others_keeps_the_order,
                a_full_disk_refuses_writers_and_harms_nobody,
                a_large_batch_on_a_full_disk_is_refused,
                a_disk_that_fills_up_at_any_write_loses_nothing,
                a_failed_sync_of_the_log_is_fatal,
                a_failed_write_of_pages_is_fatal, a_failed_write_of_a_run_is_fatal,
                a_failed_checkpoint_is_fatal,
                every_request_in_a_failing_engine_gets_an_answer);
    return engine_run_suite(suite);
}
