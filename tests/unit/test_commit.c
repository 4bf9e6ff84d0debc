/* SPDX-License-Identifier: MIT */
/*
 * test_commit: what the engine acknowledges is there, in order, and what it
 * refuses left no trace.
 *
 * Most tests run twice: without threads, and with the log's and the
 * checkpoint's thread.
 */
#include "engine_fixture.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read/bucket.h"
#include "read/snapshot.h"

static struct engine engine;

/* `threads`: the loop test's number. */
static void start(int threads)
{
    engine_init(&engine);
    engine.options.inline_only = threads == 0;
    engine_start(&engine);
}

/* Everything again, from the files. */
static void check_after_kill(void)
{
    engine_check(&engine);
    engine_kill(&engine);
    engine_start(&engine);
    engine_check(&engine);
    engine_check_checkpoint(&engine);
}

/* ---- one after the other ----------------------------------------------------------------- */

START_TEST(a_new_store_has_an_empty_default_bucket)
{
    start(_i);
    engine_check(&engine);
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

START_TEST(what_was_committed_survives_a_kill)
{
    start(_i);
    engine_load(&engine, 500, 1);
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

START_TEST(groups_of_many_survive_a_kill)
{
    start(_i);
    engine_load(&engine, 4000, 64);
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

START_TEST(a_full_log_makes_checkpoints_and_stays_small)
{
    struct stat st;

    start(_i);
    engine_load(&engine, 12000, 16);
    ck_assert_uint_gt(commit_stat(engine.commit).checkpoints, 3);
    ck_assert_int_eq(stat(engine.pending_path, &st), 0);
    ck_assert_uint_le((uint64_t)st.st_size, engine.options.log_size_max);
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

START_TEST(a_stop_leaves_one_file_and_starts_again)
{
    struct stat st;

    start(_i);
    for (int round = 0; round < 3; round++) {
        engine_load(&engine, 300, 8);
        engine_stop(&engine);
        ck_assert_int_ne(stat(engine.pending_path, &st), 0);
        engine_start(&engine);
        engine_check(&engine);
        engine_check_checkpoint(&engine);
    }
    engine_stop(&engine);
    engine_start(&engine);
    engine_stop(&engine); /* nothing happened in between */
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_stop_finishes_what_was_taken)
{
    struct commit_request requests[40];
    struct batch batches[40];
    struct commit_request *list;
    unsigned count = 0;

    start(_i);
    memset(requests, 0, sizeof(requests));
    for (uint32_t i = 0; i < 40; i++) {
        engine.model[i] = i + 1;
        engine_batch(&batches[i], i, i + 1);
        requests[i].batch = batch_bytes(&batches[i], &requests[i].size);
    }
    for (uint32_t i = 0; i < 40; i++)
        commit_take(engine.commit, &requests[i]);
    ck_assert_int_eq(commit_stop(engine.commit, NULL), BTS_OK);
    for (list = commit_collect(engine.commit); list != NULL; list = list->next) {
        ck_assert_int_eq(list->status, BTS_OK);
        count++;
    }
    ck_assert_uint_eq(count, 40);
    engine_kill(&engine);
    engine_start(&engine);
    engine_check(&engine);
    for (uint32_t i = 0; i < 40; i++)
        batch_fini(&batches[i]);
    engine_fini(&engine);
}
END_TEST

/* ---- refusals --------------------------------------------------------------------------------- */

static void add(struct batch *batch, enum batch_type type, unsigned flags, const char *first,
                const char *second)
{
    struct bts_error error;

    ck_assert_msg(batch_add(batch, type, flags, first, strlen(first), second,
                            second != NULL ? strlen(second) : 0, &error) == BTS_OK,
                  "%s", error.text);
}

START_TEST(a_refused_batch_leaves_no_trace)
{
    struct batch batch = {.data = NULL};
    struct commit_stat before;
    struct bts_error error;
    txnid_t txnid;

    start(_i);
    engine_load(&engine, 100, 4);
    before = commit_stat(engine.commit);
    add(&batch, BATCH_PUT, 0, "never", "there");
    add(&batch, BATCH_REQUIRE_ABSENT, 0, "never", NULL);
    ck_assert_int_eq(engine_commit(&engine, &batch, &txnid, &error), BTS_CONFLICT);
    ck_assert_uint_eq(txnid, before.latest);
    ck_assert_uint_eq(commit_stat(engine.commit).latest, before.latest);
    ck_assert_uint_eq(commit_stat(engine.commit).syncs, before.syncs);
    ck_assert_uint_eq(commit_stat(engine.commit).refused, before.refused + 1);
    batch_fini(&batch);
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

START_TEST(bytes_that_are_no_batch_are_refused)
{
    struct commit_request request = {.batch = "garbage garbage garbage garbage", .size = 31};

    start(_i);
    ck_assert_ptr_eq(engine_run(&engine, &request), &request);
    ck_assert_int_eq(request.status, BTS_INVALID);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(requests_of_a_group_see_those_before_them)
{
    struct batch batches[4];
    struct commit_request requests[4];
    int64_t one = 1;

    start(_i);
    memset(batches, 0, sizeof(batches));
    memset(requests, 0, sizeof(requests));
    for (int i = 0; i < 4; i++) {
        if (i == 2) {
            add(&batches[i], BATCH_REQUIRE_EQUAL, 0, "n", "7");
        } else {
            ck_assert_int_eq(batch_add(&batches[i], BATCH_INCREMENT, BATCH_RETURN, "n", 1, &one,
                                       sizeof(one), NULL), BTS_OK);
        }
        requests[i].batch = batch_bytes(&batches[i], &requests[i].size);
        requests[i].next = i < 3 ? &requests[i + 1] : NULL;
    }
    engine_run(&engine, requests);
    ck_assert_int_eq(requests[0].results.entries[0].number, 1);
    ck_assert_int_eq(requests[1].results.entries[0].number, 2);
    ck_assert_int_eq(requests[2].status, BTS_CONFLICT);
    ck_assert_uint_eq(requests[2].txnid, requests[0].txnid); /* it saw the group it is in */
    ck_assert_int_eq(requests[3].results.entries[0].number, 3);
    for (int i = 0; i < 4; i++) {
        batch_fini(&batches[i]);
        apply_results_fini(&requests[i].results);
    }
    engine_fini(&engine);
}
END_TEST

START_TEST(a_batch_that_only_reads_needs_no_frame)
{
    struct batch batch = {.data = NULL};
    struct commit_request request = {.next = NULL};
    struct commit_stat before;

    start(_i);
    add(&batch, BATCH_PUT, 0, "a", "1");
    ck_assert_int_eq(engine_commit(&engine, &batch, NULL, NULL), BTS_OK);
    batch_clear(&batch);
    add(&batch, BATCH_GET, 0, "a", NULL);
    add(&batch, BATCH_REQUIRE_PRESENT, 0, "a", NULL);
    before = commit_stat(engine.commit);
    request.batch = batch_bytes(&batch, &request.size);
    engine_run(&engine, &request);
    ck_assert_int_eq(request.status, BTS_OK);
    ck_assert_uint_eq(request.txnid, before.latest);
    ck_assert_uint_eq(request.results.entries[0].size, 1);
    ck_assert_uint_eq(commit_stat(engine.commit).syncs, before.syncs);
    apply_results_fini(&request.results);
    batch_fini(&batch);
    engine_fini(&engine);
}
END_TEST

/* ---- batches too large for the log ------------------------------------------------------------ */

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
        add(&batch, BATCH_REQUIRE_PRESENT, 0, condition, NULL);
    status = engine_commit(&engine, &batch, NULL, &error);
    for (uint32_t i = from; status == BTS_OK && i < from + count; i++)
        engine.model[i] = version;
    batch_fini(&batch);
    return status;
}

START_TEST(a_batch_too_large_for_the_log_is_committed_by_a_checkpoint)
{
    struct commit_stat before;

    start(_i);
    engine_load(&engine, 100, 8);
    for (int round = 0; round < 4; round++) {
        before = commit_stat(engine.commit);
        ck_assert_int_eq(commit_many(500 * (uint32_t)round, 1500, NULL), BTS_OK);
        ck_assert_uint_eq(commit_stat(engine.commit).latest, before.latest + 1);
        ck_assert_uint_eq(commit_stat(engine.commit).checkpoint, before.latest + 1);
        if (round % 2 == 0)
            engine_load(&engine, 100, 8);
        check_after_kill();
        engine_load(&engine, 50, 8);
    }
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

START_TEST(a_refused_large_batch_leaves_no_trace)
{
    start(_i);
    engine_load(&engine, 100, 8);
    ck_assert_int_eq(commit_many(0, 3000, "no such key"), BTS_CONFLICT);
    engine_check(&engine);
    engine_load(&engine, 100, 8);
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

START_TEST(a_large_batch_among_others_keeps_the_order)
{
    struct commit_request requests[9];
    struct batch batches[9];
    static uint8_t value[300000];

    start(_i);
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

/* ---- a full disk, and failing calls ------------------------------------------------------------- */

START_TEST(a_full_disk_refuses_writers_and_harms_nobody)
{
    unsigned refused = 0;
    unsigned accepted = 0;

    start(_i);
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
        check_after_kill();
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(accepted, 0);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_large_batch_on_a_full_disk_is_refused)
{
    start(_i);
    engine_load(&engine, 100, 16);
    faulty_files_arm(&engine.faulty, FAULT_GROW, 1, ENOSPC, true);
    ck_assert_int_eq(commit_many(0, 4000, NULL), BTS_NO_SPACE);
    faulty_files_disarm(&engine.faulty);
    engine_check(&engine);
    ck_assert_int_eq(commit_many(0, 4000, NULL), BTS_OK);
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

/* The first change that fails: key 1 is then as it was, or as it should be. */
static void fail_and_check(enum fault_kind kind, int errno_value)
{
    uint32_t before = engine.model[1];
    uint32_t after = ++engine.version;
    struct batch batch;
    struct bts_error error;
    struct tree_view directory;
    struct tree_view view;
    struct bucket_record record;
    struct bts_bytes found;
    struct batch_reader reader;
    struct batch_operation put;
    enum bts_status status;
    size_t size;

    faulty_files_arm(&engine.faulty, kind, 1, errno_value, true);
    engine_batch(&batch, 1, after);
    status = engine_commit(&engine, &batch, NULL, &error);
    ck_assert(status == BTS_UNKNOWN || status == BTS_IO);
    ck_assert_int_ne(commit_failed(engine.commit, &error), BTS_OK);
    ck_assert(!commit_ready(engine.commit));
    faulty_files_disarm(&engine.faulty);
    ck_assert_int_eq(engine_change(&engine, 2, true), BTS_IO); /* never again */
    engine_kill(&engine);
    engine_start(&engine);
    directory = commit_latest(engine.commit);
    ck_assert_int_eq(bucket_find(&directory, "default", 7, &record, NULL), BTS_OK);
    view = bucket_view(&directory, &record);
    batch_reader_init(&reader, batch_bytes(&batch, &size), batch.size);
    ck_assert(batch_next(&reader, &put));
    engine.model[1] = before;
    if (tree_get(&view, put.first, put.first_size, &found, NULL) == BTS_OK &&
        found.size == put.second_size && memcmp(found.data, put.second, found.size) == 0)
        engine.model[1] = after;
    batch_fini(&batch);
    engine_check(&engine);
}

START_TEST(a_failed_sync_of_the_log_is_fatal)
{
    start(_i);
    engine_load(&engine, 100, 16);
    fail_and_check(FAULT_SYNC, EIO);
    ck_assert_uint_ne(engine.model[1], 0); /* here the write was there all the same */
    engine_fini(&engine);
}
END_TEST

START_TEST(a_failed_write_of_pages_is_fatal)
{
    start(_i);
    engine_load(&engine, 100, 16);
    fail_and_check(FAULT_WRITE, EIO);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_failed_checkpoint_is_fatal)
{
    start(_i);
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

    start(_i);
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

/* ---- snapshots and checkpoints --------------------------------------------------------------------- */

START_TEST(a_pinned_snapshot_stays_as_it_was)
{
    struct slot *slot;
    struct snapshot_root root;
    uint32_t version;
    static uint8_t value[20000];

    start(_i);
    ck_assert_int_eq(engine_change(&engine, 5, true), BTS_OK);
    version = engine.model[5];
    slot = horizon_own_slot(&engine.horizon);
    root = snapshot_pin(engine.beacon, slot);
    engine_load(&engine, 8000, 32);
    ck_assert_uint_gt(commit_retained_bytes(engine.commit, root.txnid), 0);
    for (int round = 0; round < 2; round++) {
        struct tree_view directory = commit_latest(engine.commit);
        struct tree_view view;
        struct bucket_record record;
        struct bts_bytes found;
        struct batch batch;
        struct batch_reader reader;
        struct batch_operation put;
        size_t size = engine_value(5, version, value);
        directory.root = root.root;
        directory.depth = root.depth;
        directory.txnid = root.txnid;
        ck_assert_int_eq(bucket_find(&directory, "default", 7, &record, NULL), BTS_OK);
        ck_assert_uint_eq(record.entry_count, 1);
        view = bucket_view(&directory, &record);
        engine_batch(&batch, 5, version);
        batch_reader_init(&reader, batch_bytes(&batch, &size), batch.size);
        ck_assert(batch_next(&reader, &put));
        ck_assert_int_eq(tree_get(&view, put.first, put.first_size, &found, NULL), BTS_OK);
        ck_assert_uint_eq(found.size, put.second_size);
        ck_assert_int_eq(memcmp(found.data, put.second, found.size), 0);
        batch_fini(&batch);
        engine_load(&engine, 1000, 32);
    }
    snapshot_unpin(slot);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_checkpoint_of_nothing_new_answers_at_once)
{
    struct commit_checkpoint ticket = {.pin = true};
    uint64_t syncs;

    start(_i);
    engine_load(&engine, 100, 16);
    engine_check_checkpoint(&engine);
    syncs = engine.faulty.faults[FAULT_SYNC].calls;
    commit_checkpoint_request(engine.commit, &ticket);
    ck_assert(ticket.done);
    ck_assert_ptr_nonnull(ticket.slot);
    ck_assert_uint_eq(ticket.txnid, commit_stat(engine.commit).latest);
    ck_assert_uint_eq(engine.faulty.faults[FAULT_SYNC].calls, syncs);
    commit_checkpoint_forget(engine.commit, &ticket);
    ck_assert_ptr_null(ticket.slot);
    engine_fini(&engine);
}
END_TEST

START_TEST(checkpoints_in_the_midst_of_commits_are_whole)
{
    start(_i);
    for (int round = 0; round < 20; round++) {
        engine_load(&engine, 200, 16);
        engine_check_checkpoint(&engine);
    }
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

START_TEST(a_ticket_may_be_taken_back)
{
    struct commit_checkpoint tickets[3] = {{.pin = true}, {.pin = true}, {.pin = false}};

    start(_i);
    engine_load(&engine, 100, 16);
    for (int i = 0; i < 3; i++)
        commit_checkpoint_request(engine.commit, &tickets[i]);
    for (int i = 0; i < 3; i++)
        commit_checkpoint_forget(engine.commit, &tickets[i]);
    engine_load(&engine, 1000, 16);
    engine_check_checkpoint(&engine);
    ck_assert_int_eq(horizon_scan(&engine.horizon, engine.beacon, NULL), BTS_OK);
    ck_assert_uint_eq(engine.horizon.pinned_count, 0);
    engine_fini(&engine);
}
END_TEST

START_TEST(space_comes_back_over_many_overwrites)
{
    uint64_t size;
    struct stat st;

    start(_i);
    for (uint32_t i = 0; i < 200; i++)
        ck_assert_int_eq(engine_change(&engine, i, true), BTS_OK);
    engine_load(&engine, 6000, 16);
    ck_assert_int_eq(stat(engine.path, &st), 0);
    size = (uint64_t)st.st_size;
    engine_load(&engine, 20000, 16);
    ck_assert_int_eq(stat(engine.path, &st), 0);
    ck_assert_uint_lt((uint64_t)st.st_size, size * 3);
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

/* ---- opening -------------------------------------------------------------------------------------------- */

START_TEST(a_second_daemon_is_refused)
{
    struct commit *second;
    struct bts_error error;

    start(0);
    ck_assert_int_eq(commit_open(&engine.options, &second, &error), BTS_BUSY);
    ck_assert_ptr_null(second);
    engine_load(&engine, 10, 1);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_missing_file_is_not_made_unless_asked)
{
    struct stat st;
    struct bts_error error;

    engine_init(&engine);
    engine.options.create = false;
    ck_assert_int_eq(commit_open(&engine.options, &engine.commit, &error), BTS_NOT_FOUND);
    ck_assert_int_ne(stat(engine.path, &st), 0);
    ck_assert_int_ne(stat(engine.pending_path, &st), 0);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_file_that_is_no_store_is_left_as_it_is)
{
    static const char text[] = "dear diary,\n";
    char there[100] = {0};
    struct stat st;
    struct bts_error error;
    int fd;

    engine_init(&engine);
    fd = open(engine.path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(pwrite(fd, text, sizeof(text), 0), (ssize_t)sizeof(text));
    ck_assert_int_eq(commit_open(&engine.options, &engine.commit, &error), BTS_DAMAGED);
    ck_assert_int_eq(pread(fd, there, sizeof(there), 0), (ssize_t)sizeof(text));
    ck_assert_str_eq(there, text);
    ck_assert_int_ne(stat(engine.pending_path, &st), 0); /* nor is anything left beside it */
    close(fd);
    engine_fini(&engine);
}
END_TEST

START_TEST(zeros_with_something_behind_them_are_no_empty_store)
{
    struct bts_error error;
    int fd;

    engine_init(&engine);
    fd = open(engine.path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(pwrite(fd, "data", 4, 9000), 4);
    ck_assert_int_eq(commit_open(&engine.options, &engine.commit, &error), BTS_DAMAGED);
    close(fd);
    engine_fini(&engine);
}
END_TEST

START_TEST(other_page_sizes_work)
{
    static const size_t sizes[] = {4096, 16384, 65536};

    engine_init(&engine);
    engine.options.page_size = sizes[_i];
    engine_start(&engine);
    engine_load(&engine, 3000, 16);
    check_after_kill();
    engine.options.page_size = 4096; /* of new stores only */
    check_after_kill();
    engine_fini(&engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commit");
    TCase *both = tcase_create("with and without threads");
    TCase *once = tcase_create("once");
    TCase *sizes = tcase_create("page sizes");
    SRunner *runner;
    int failed;

    const TTest *const tests[] = {
        a_new_store_has_an_empty_default_bucket,
        what_was_committed_survives_a_kill,
        groups_of_many_survive_a_kill,
        a_full_log_makes_checkpoints_and_stays_small,
        a_stop_leaves_one_file_and_starts_again,
        a_stop_finishes_what_was_taken,
        a_refused_batch_leaves_no_trace,
        bytes_that_are_no_batch_are_refused,
        requests_of_a_group_see_those_before_them,
        a_batch_that_only_reads_needs_no_frame,
        a_batch_too_large_for_the_log_is_committed_by_a_checkpoint,
        a_refused_large_batch_leaves_no_trace,
        a_large_batch_among_others_keeps_the_order,
        a_full_disk_refuses_writers_and_harms_nobody,
        a_large_batch_on_a_full_disk_is_refused,
        a_failed_sync_of_the_log_is_fatal,
        a_failed_write_of_pages_is_fatal,
        a_failed_checkpoint_is_fatal,
        every_request_in_a_failing_engine_gets_an_answer,
        a_pinned_snapshot_stays_as_it_was,
        a_checkpoint_of_nothing_new_answers_at_once,
        checkpoints_in_the_midst_of_commits_are_whole,
        a_ticket_may_be_taken_back,
        space_comes_back_over_many_overwrites,
    };

    tcase_set_timeout(both, UNIT_TIMEOUT_S);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_loop_test(both, tests[i], 0, 2);
    tcase_add_test(once, a_second_daemon_is_refused);
    tcase_add_test(once, a_missing_file_is_not_made_unless_asked);
    tcase_add_test(once, a_file_that_is_no_store_is_left_as_it_is);
    tcase_add_test(once, zeros_with_something_behind_them_are_no_empty_store);
    tcase_add_loop_test(sizes, other_page_sizes_work, 0, 3);
    tcase_set_timeout(sizes, UNIT_TIMEOUT_S);
    suite_add_tcase(suite, both);
    suite_add_tcase(suite, once);
    suite_add_tcase(suite, sizes);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
