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
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/barrier.h"
#include "read/bucket.h"
#include "read/snapshot.h"

static struct engine engine;

/* ---- one after the other ------------------------------------------------ */

START_TEST(a_new_store_has_an_empty_default_bucket)
{
    engine_init_and_start(&engine, _i != 0);
    engine_check(&engine);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(what_was_committed_survives_a_kill)
{
    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 500, 1);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(groups_of_many_survive_a_kill)
{
    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 4000, 64);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_full_log_makes_checkpoints_and_stays_small)
{
    struct stat st;

    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 12000, 16);
    ck_assert_uint_gt(commit_stat(engine.commit).checkpoints, 3);
    ck_assert_int_eq(stat(engine.pending_path, &st), 0);
    ck_assert_uint_le((uint64_t)st.st_size, engine.options.log_size_max);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

/* ---- refusals ----------------------------------------------------------- */

START_TEST(a_refused_batch_leaves_no_trace)
{
    struct batch batch = {.data = NULL};
    struct commit_stat before;
    struct bts_error error;
    txnid_t txnid;

    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 100, 4);
    before = commit_stat(engine.commit);
    engine_add(&batch, BATCH_PUT, 0, "never", "there");
    engine_add(&batch, BATCH_REQUIRE_ABSENT, 0, "never", NULL);
    ck_assert_int_eq(engine_commit(&engine, &batch, &txnid, &error), BTS_CONFLICT);
    ck_assert_uint_eq(txnid, before.latest);
    ck_assert_uint_eq(commit_stat(engine.commit).latest, before.latest);
    ck_assert_uint_eq(commit_stat(engine.commit).syncs, before.syncs);
    ck_assert_uint_eq(commit_stat(engine.commit).refused, before.refused + 1);
    batch_fini(&batch);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(bytes_that_are_no_batch_are_refused)
{
    struct commit_request request = {.batch = "garbage garbage garbage garbage", .size = 31};

    engine_init_and_start(&engine, _i != 0);
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

    engine_init_and_start(&engine, _i != 0);
    memset(batches, 0, sizeof(batches));
    memset(requests, 0, sizeof(requests));
    for (int i = 0; i < 4; i++) {
        if (i == 2) {
            engine_add(&batches[i], BATCH_REQUIRE_EQUAL, 0, "n", "7");
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

    engine_init_and_start(&engine, _i != 0);
    engine_add(&batch, BATCH_PUT, 0, "a", "1");
    ck_assert_int_eq(engine_commit(&engine, &batch, NULL, NULL), BTS_OK);
    batch_clear(&batch);
    engine_add(&batch, BATCH_GET, 0, "a", NULL);
    engine_add(&batch, BATCH_REQUIRE_PRESENT, 0, "a", NULL);
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

/* ---- snapshots and checkpoints ------------------------------------------ */

/* ---- relaxed ------------------------------------------------------------ */

static struct commit_request commit_relaxed(struct batch *batch, uint32_t index)
{
    struct commit_request request = {.relaxed = true};

    engine.model[index] = ++engine.version;
    engine_batch(batch, index, engine.version);
    request.batch = batch_bytes(batch, &request.size);
    ck_assert_ptr_eq(engine_run(&engine, &request), &request);
    ck_assert_int_eq(request.status, BTS_OK);
    batch_fini(batch);
    return request;
}

START_TEST(a_relaxed_commit_is_there_before_it_is_durable)
{
    struct batch batch = {.data = NULL};
    struct commit_request request;
    struct commit_stat before;
    struct commit_stat after;
    txnid_t txnid;

    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 3, 1);
    before = commit_stat(engine.commit);
    ck_assert_uint_eq(before.durable, before.latest);
    request = commit_relaxed(&batch, 1);
    request = commit_relaxed(&batch, 2);
    after = commit_stat(engine.commit);
    ck_assert_uint_eq(after.latest, request.txnid);
    ck_assert_uint_eq(after.durable, before.durable);
    ck_assert_uint_eq(after.syncs, before.syncs);
    engine_check(&engine);
    /* nothing at all, but not relaxed: a barrier */
    batch = (struct batch){.data = NULL};
    ck_assert_int_eq(engine_commit(&engine, &batch, &txnid, NULL), BTS_OK);
    ck_assert_uint_eq(txnid, request.txnid);
    after = commit_stat(engine.commit);
    ck_assert_uint_eq(after.durable, request.txnid);
    ck_assert_uint_eq(after.syncs, before.syncs + 1);
    batch_fini(&batch);
    /* the daemon's death takes none back */
    (void)commit_relaxed(&batch, 3);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_relaxed_commit_is_synced_after_a_while)
{
    struct batch batch = {.data = NULL};
    struct commit_request request;

    engine_init_and_start(&engine, _i != 0);
    request = commit_relaxed(&batch, 1);
    for (unsigned tries = 0; commit_stat(engine.commit).durable < request.txnid; tries++) {
        ck_assert_uint_lt(tries, 10000);
        usleep(1000);
        commit_tick(engine.commit);
        ck_assert_ptr_null(commit_collect(engine.commit));
    }
    engine_fini(&engine);
}
END_TEST

START_TEST(a_durable_commit_makes_the_relaxed_ones_before_it_durable)
{
    struct batch batch = {.data = NULL};

    engine_init_and_start(&engine, _i != 0);
    for (uint32_t i = 0; i < 200; i++)
        (void)commit_relaxed(&batch, i);
    ck_assert_int_eq(engine_change(&engine, 7, true), BTS_OK);
    ck_assert_uint_eq(commit_stat(engine.commit).durable, commit_stat(engine.commit).latest);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_pinned_snapshot_stays_as_it_was)
{
    struct slot *slot;
    struct snapshot_root root;
    uint32_t version;
    static uint8_t value[20000];

    engine_init_and_start(&engine, _i != 0);
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

/* Instead of the system's. */
static unsigned barriers;

bool barrier_all(void)
{
    barriers++;
    return true;
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Each interrupts readers: one in 20 ms, or for 512 pieces of space; a commit frees few. */
START_TEST(beside_readers_scans_are_few_and_pages_come_back)
{
    static struct slot_file file;
    const unsigned changes = 2000;
    uint64_t began_us;
    uint64_t pages;
    size_t id = 0;

    engine_init_and_start(&engine, _i != 0);
    engine.beacon->barriers = 1;
    ck_assert_int_eq(horizon_add(&engine.horizon, &file, &id, NULL), BTS_OK);
    engine_load(&engine, changes, 1);
    began_us = now_us();
    pages = atomic_load(&engine.beacon->page_count);
    barriers = 0;
    engine_load(&engine, changes, 1);
    ck_assert_uint_ge(barriers, 2);
    ck_assert_uint_le(barriers, 2 + (now_us() - began_us) / 20000 + changes * 8 / 512);
    ck_assert_uint_le(atomic_load(&engine.beacon->page_count), pages + changes);
    engine_check(&engine);
    horizon_remove(&engine.horizon, id);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_checkpoint_of_nothing_new_answers_at_once)
{
    struct commit_checkpoint ticket = {.pin = true};
    uint64_t syncs;

    engine_init_and_start(&engine, _i != 0);
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
    engine_init_and_start(&engine, _i != 0);
    for (int round = 0; round < 20; round++) {
        engine_load(&engine, 200, 16);
        engine_check_checkpoint(&engine);
    }
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_ticket_may_be_taken_back)
{
    struct commit_checkpoint tickets[3] = {{.pin = true}, {.pin = true}, {.pin = false}};

    engine_init_and_start(&engine, _i != 0);
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

    engine_init_and_start(&engine, _i != 0);
    for (uint32_t i = 0; i < 200; i++)
        ck_assert_int_eq(engine_change(&engine, i, true), BTS_OK);
    engine_load(&engine, 6000, 16);
    ck_assert_int_eq(stat(engine.path, &st), 0);
    size = (uint64_t)st.st_size;
    engine_load(&engine, 20000, 16);
    ck_assert_int_eq(stat(engine.path, &st), 0);
    ck_assert_uint_lt((uint64_t)st.st_size, size * 3);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

/* ---- opening ------------------------------------------------------------ */

START_TEST(a_second_daemon_is_refused)
{
    struct commit *second;
    struct bts_error error;

    engine_init_and_start(&engine, false);
    ck_assert_int_eq(commit_open(&engine.options, &second, &error), BTS_BUSY);
    ck_assert_ptr_null(second);
    engine_load(&engine, 10, 1);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(an_old_commit_makes_a_checkpoint)
{
    txnid_t latest;

    engine_init(&engine);
    engine.options.inline_only = _i == 0;
    engine.options.checkpoint_age_ms = 30;
    engine_start(&engine);
    engine_load(&engine, 10, 1);
    latest = commit_stat(engine.commit).latest;
    for (int i = 0; i < 1000 && commit_checkpoint_txnid(engine.commit) < latest; i++) {
        usleep(10000);
        commit_tick(engine.commit);
    }
    ck_assert_uint_eq(commit_checkpoint_txnid(engine.commit), latest);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

/* One of several that want to serve the same store: each counts once, and stops. */
static void *serve_in_turn(void *argument)
{
    struct engine *mine = argument;
    struct batch batch = {.data = NULL};
    int64_t one = 1;
    uintptr_t turns = 0;

    if (batch_add(&batch, BATCH_INCREMENT, 0, "n", 1, &one, sizeof(one), NULL) != BTS_OK)
        return NULL;
    while (turns < 20) {
        struct commit_request request = {.next = NULL};
        memset(mine->beacon, 0, sizeof(*mine->beacon));
        if (engine_try_start(mine, false, NULL) != BTS_OK)
            continue;
        request.batch = batch_bytes(&batch, &request.size);
        commit_take(mine->commit, &request);
        if (commit_collect(mine->commit) != &request || request.status != BTS_OK ||
            commit_stop(mine->commit, NULL) != BTS_OK)
            break;
        commit_close(mine->commit);
        mine->commit = NULL;
        turns++;
    }
    batch_fini(&batch);
    return (void *)turns;
}

START_TEST(racing_starters_and_stoppers_take_turns)
{
    static struct engine engines[3];
    pthread_t threads[3];
    struct tree_view directory;
    struct tree_view view;
    struct bucket_record record;
    struct bts_bytes found;

    for (int i = 0; i < 3; i++) {
        engine_init(&engines[i]);
        engines[i].options.path = engines[0].path;
        engines[i].options.note = NULL;
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, serve_in_turn, &engines[i]), 0);
    for (int i = 0; i < 3; i++) {
        void *turns;
        ck_assert_int_eq(pthread_join(threads[i], &turns), 0);
        ck_assert_uint_eq((uintptr_t)turns, 20);
    }
    memset(engines[0].beacon, 0, sizeof(*engines[0].beacon));
    engine_start(&engines[0]);
    directory = commit_latest(engines[0].commit);
    ck_assert_int_eq(bucket_find(&directory, "default", 7, &record, NULL), BTS_OK);
    view = bucket_view(&directory, &record);
    ck_assert_int_eq(tree_get(&view, "n", 1, &found, NULL), BTS_OK);
    ck_assert_uint_eq(found.size, 2);
    ck_assert_int_eq(memcmp(found.data, "60", 2), 0);
    for (int i = 0; i < 3; i++)
        engine_fini(&engines[2 - i]);
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
    engine_check_after_kill(&engine);
    engine.options.page_size = 4096; /* of new stores only */
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commit");

    ENGINE_CASE(suite, 2, a_new_store_has_an_empty_default_bucket,
                what_was_committed_survives_a_kill, groups_of_many_survive_a_kill,
                a_full_log_makes_checkpoints_and_stays_small,
                a_refused_batch_leaves_no_trace, bytes_that_are_no_batch_are_refused,
                requests_of_a_group_see_those_before_them,
                a_batch_that_only_reads_needs_no_frame, a_pinned_snapshot_stays_as_it_was,
                beside_readers_scans_are_few_and_pages_come_back,
                a_relaxed_commit_is_there_before_it_is_durable,
                a_relaxed_commit_is_synced_after_a_while,
                a_durable_commit_makes_the_relaxed_ones_before_it_durable,
                a_checkpoint_of_nothing_new_answers_at_once,
                checkpoints_in_the_midst_of_commits_are_whole, a_ticket_may_be_taken_back,
                space_comes_back_over_many_overwrites, an_old_commit_makes_a_checkpoint);
    ENGINE_CASE(suite, 1, a_second_daemon_is_refused, racing_starters_and_stoppers_take_turns,
                a_missing_file_is_not_made_unless_asked,
                a_file_that_is_no_store_is_left_as_it_is,
                zeros_with_something_behind_them_are_no_empty_store);
    ENGINE_CASE(suite, 3, other_page_sizes_work);
    return engine_run_suite(suite);
}
