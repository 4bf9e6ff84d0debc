/* SPDX-License-Identifier: MIT */
/*
 * test_commit_stop: a clean stop finishes what was taken, leaves one file, and
 * cuts off the free end of it when nobody can map that.
 */
#include "engine_fixture.h"
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commit/commit_private.h"

static struct engine engine;

START_TEST(a_stop_leaves_one_file_and_starts_again)
{
    struct stat st;

    engine_init_and_start(&engine, _i != 0);
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

    engine_init_and_start(&engine, _i != 0);
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

/* ---- the end of the file ------------------------------------------------ */

static uint64_t file_size(void)
{
    struct stat st;

    ck_assert_int_eq(stat(engine.path, &st), 0);
    return (uint64_t)st.st_size;
}

/* Fills the store, and then empties it; the file's size when it was full. */
static uint64_t fill_and_empty(void)
{
    struct batch batch = {.data = NULL};
    uint64_t full;

    engine_load(&engine, 4000, 32);
    full = file_size();
    engine_add(&batch, BATCH_DELETE_RANGE, BATCH_OPEN_FROM | BATCH_OPEN_TO, "", "");
    ck_assert_int_eq(engine_commit(&engine, &batch, NULL, NULL), BTS_OK);
    batch_fini(&batch);
    memset(engine.model, 0, sizeof(engine.model));
    return full;
}

/*
 * The last few pages in use lie where the nursery was, with threads wherever
 * there was room at that moment.
 */
static uint64_t cut_size_max(uint64_t full, bool threads)
{
    return threads ? full - 1 : full / 3;
}

START_TEST(a_stop_cuts_off_the_free_end_of_the_file)
{
    uint64_t full;

    engine_init_and_start(&engine, _i != 0);
    full = fill_and_empty();
    engine_stop(&engine);
    ck_assert_uint_gt(full, 1u << 20);
    ck_assert_uint_le(file_size(), cut_size_max(full, _i != 0));
    engine_start(&engine);
    engine_check(&engine);
    engine_check_checkpoint(&engine);
    engine_load(&engine, 4000, 32); /* and it grows again */
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

static uint64_t disk_size(void)
{
    struct stat st;

    ck_assert_int_eq(stat(engine.path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

START_TEST(a_stop_gives_back_the_disk_behind_free_pages)
{
    uint64_t full;

    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 4000, 32);
    full = disk_size();
    /* all but the last keys: what is free lies before what is in use */
    for (uint32_t i = 0; i < ENGINE_KEYS - ENGINE_KEYS / 8; i++) {
        if (engine.model[i] != 0)
            ck_assert_int_eq(engine_change(&engine, i, false), BTS_OK);
    }
    engine_stop(&engine);
    ck_assert_uint_le(disk_size(), full / 2);
    engine_start(&engine);
    ck_assert_uint_ge(disk_size(), file_size()); /* room for whatever is written there */
    engine_check(&engine);
    engine_check_checkpoint(&engine);
    engine_load(&engine, 4000, 32);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_file_in_use_to_its_end_is_cut_to_it)
{
    engine_init_and_start(&engine, _i != 0);
    engine_load(&engine, 3000, 32);
    engine_stop(&engine);
    engine_start(&engine);
    ck_assert_uint_eq(file_size() / 4096, engine.commit->files.meta.page_count);
    engine_check(&engine);
    engine_check_checkpoint(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_file_that_somebody_maps_is_not_cut)
{
    uint64_t full;
    int reader;

    engine_init_and_start(&engine, _i != 0);
    full = fill_and_empty();
    reader = engine_open_reader(&engine);
    engine_stop(&engine);
    ck_assert_uint_ge(file_size(), full);
    engine_start(&engine);
    engine_check(&engine);
    close(reader);
    engine_stop(&engine);
    ck_assert_uint_le(file_size(), cut_size_max(full, _i != 0));
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_cut_that_fails_costs_nothing_but_room)
{
    uint64_t full;

    engine_init_and_start(&engine, _i != 0);
    full = fill_and_empty();
    faulty_files_arm(&engine.faulty, FAULT_CUT, 1, EIO, true);
    engine_stop(&engine);
    faulty_files_disarm(&engine.faulty);
    ck_assert_uint_ge(file_size(), full);
    ck_assert_ptr_nonnull(strstr(engine.note, "free pages stay on the disk"));
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commit_stop");

    ENGINE_CASE(suite, 2, a_stop_leaves_one_file_and_starts_again, a_stop_finishes_what_was_taken,
                a_stop_cuts_off_the_free_end_of_the_file,
                a_stop_gives_back_the_disk_behind_free_pages, a_file_in_use_to_its_end_is_cut_to_it,
                a_file_that_somebody_maps_is_not_cut, a_cut_that_fails_costs_nothing_but_room);
    return engine_run_suite(suite);
}
