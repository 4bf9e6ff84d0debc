/* SPDX-License-Identifier: MIT */
/*
 * test_recover: whatever a kill or a power cut leaves, the next start comes to
 * the state that was acknowledged, or says why it cannot.
 */
#include "engine_fixture.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commit/commit_private.h"
#include "format/space_map.h"
#include "read/cursor.h"
#include "read/bucket.h"
#include "read/snapshot.h"

static struct engine engine;

static void overwrite(const char *path, uint64_t offset, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
    close(fd);
}

static uint64_t size_of(const char *path)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

/* The next start fails with this status and these words. */
static void start_fails(enum bts_status status, const char *words)
{
    struct bts_error error;
    enum bts_status got = engine_try_start(&engine, false, &error);

    ck_assert_msg(got == status, "%s: %s", bts_status_name(got), got != BTS_OK ? error.text : "");
    ck_assert_msg(strstr(error.text, words) != NULL, "%s", error.text);
}

/* ---- kills ------------------------------------------------------------------ */

START_TEST(kills_at_random_moments_lose_nothing)
{
    engine_init_and_start(&engine, _i != 0);
    for (int round = 0; round < UNIT_ROUNDS(40); round++) {
        engine_load(&engine, 1 + (unsigned)engine_random(&engine, 600),
                    1 + (unsigned)engine_random(&engine, 40));
        if (engine_random(&engine, 3) == 0)
            commit_checkpoint_request(engine.commit, NULL); /* perhaps it is cut short */
        if (engine_random(&engine, 3) == 0)
            engine_power_cut(&engine);
        else
            engine_kill(&engine);
        engine_start(&engine);
        if (engine_random(&engine, 4) == 0)
            engine_check_checkpoint(&engine);
        engine_check(&engine);
    }
    engine_fini(&engine);
}
END_TEST

/* Puts junk where the next frame would go, from `skip` bytes on. */
static void tear_next_frame(size_t skip, size_t size)
{
    static uint8_t junk[4096];
    const struct pending_log *log = &engine.commit->log;

    memset(junk, 0xa5, sizeof(junk));
    if (log->offset < log->segment_size)
        overwrite(engine.pending_path,
                  (uint64_t)log->current * log->segment_size + log->offset + skip, junk, size);
}

START_TEST(a_frame_that_was_torn_was_never_acknowledged)
{
    engine_init_and_start(&engine, false);
    for (int round = 0; round < 10; round++) {
        tear_next_frame(0, 4096);
        engine_check_after_kill(&engine);
        engine_load(&engine, 20 + (unsigned)round, 3);
        tear_next_frame(512, 512);
        engine_check_after_kill(&engine);
    }
    engine_fini(&engine);
}
END_TEST

START_TEST(every_start_has_a_number_above_all_before)
{
    txnid_t before = 0;

    engine_init_and_start(&engine, false);
    for (int round = 0; round < 10; round++) {
        txnid_t latest = commit_stat(engine.commit).latest;
        ck_assert_uint_gt(latest, before);
        engine_load(&engine, (unsigned)round * 7, 3);
        before = commit_stat(engine.commit).latest;
        if (round % 2 == 0)
            engine_kill(&engine);
        else
            engine_stop(&engine);
        engine_start(&engine);
    }
    engine_fini(&engine);
}
END_TEST

/* ---- failures on the way ------------------------------------------------------ */

/* Fails the `n`th call of this kind during a start; false: there were not so many. */
static bool start_with_fault(enum fault_kind kind, long n, int errno_value)
{
    struct bts_error error;
    enum bts_status status;

    faulty_files_arm(&engine.faulty, kind, n, errno_value, true);
    status = engine_try_start(&engine, false, &error);
    faulty_files_disarm(&engine.faulty);
    return status != BTS_OK;
}

static const enum fault_kind kinds[] = {FAULT_WRITE, FAULT_SYNC, FAULT_GROW};

START_TEST(a_recovery_that_is_cut_short_anywhere_is_begun_again)
{
    unsigned failures = 0;

    engine_init_and_start(&engine, false);
    for (int round = 0; round < 3; round++) {
        engine_load(&engine, 700, 16);
        engine_power_cut(&engine);
        for (long n = 1; start_with_fault(kinds[_i], n, EIO); n++) {
            ck_assert_ptr_null(engine.commit);
            failures++;
        }
        engine_check(&engine);
        engine_check_checkpoint(&engine);
        engine_load(&engine, 100, 16);
        engine_check_after_kill(&engine);
    }
    ck_assert(failures > 5 || kinds[_i] == FAULT_GROW);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_recovery_on_a_full_disk_leaves_everything_and_works_later)
{
    struct bts_error error;
    txnid_t latest;

    engine_init_and_start(&engine, false);
    engine_load(&engine, 1500, 16);
    latest = commit_stat(engine.commit).latest;
    engine_kill(&engine);
    faulty_files_arm(&engine.faulty, FAULT_GROW, 1, ENOSPC, true);
    ck_assert_int_eq(truncate(engine.path, (off_t)size_of(engine.path)), 0);
    for (int i = 0; i < 3; i++) {
        enum bts_status status = engine_try_start(&engine, true, &error);
        if (status == BTS_OK) { /* there was room enough within the file */
            engine_check(&engine);
            engine_kill(&engine);
            latest = atomic_load(&engine.beacon->latest);
        } else {
            ck_assert_int_eq(status, BTS_NO_SPACE);
            ck_assert_uint_eq(atomic_load(&engine.beacon->latest), latest);
        }
    }
    faulty_files_disarm(&engine.faulty);
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_creation_that_is_cut_short_anywhere_is_begun_again)
{
    unsigned failures = 0;

    engine_init(&engine);
    for (long n = 1;; n++) {
        bool failed = start_with_fault(kinds[_i], n, ENOSPC);
        failures += failed;
        if (!failed)
            break;
        if (n % 2 == 0) { /* from the beginning, or from where the last one failed */
            unlink(engine.path);
            unlink(engine.pending_path);
        }
    }
    ck_assert_uint_gt(failures, 1);
    engine_check(&engine);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(sectors_of_a_creation_in_any_mixture_are_an_empty_store)
{
    static uint8_t image[5 * 4096];
    static uint8_t torn[5 * 4096];
    struct bts_error error;
    int fd;

    engine_init_and_start(&engine, false);
    engine_stop(&engine); /* not the created image any more: make one */
    unlink(engine.path);
    ck_assert_int_eq(commit_open(&engine.options, &engine.commit, &error), BTS_OK);
    engine_kill(&engine);
    fd = open(engine.path, O_RDWR);
    ck_assert_int_eq(pread(fd, image, sizeof(image), 0), (ssize_t)sizeof(image));
    for (int round = 0; round < 60; round++) {
        size_t size = 4096 * (1 + engine_random(&engine, 5));
        memset(torn, 0, sizeof(torn));
        for (size_t at = 8192; at < sizeof(torn); at += 512) {
            if (engine_random(&engine, 2) == 0)
                memcpy(torn + at, image + at, 512);
        }
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        ck_assert_int_eq(pwrite(fd, torn, size, 0), (ssize_t)size);
        memset(engine.beacon, 0, sizeof(*engine.beacon));
        engine_start(&engine);
        engine_check(&engine);
        engine_kill(&engine);
        unlink(engine.pending_path);
    }
    close(fd);
    engine_fini(&engine);
}
END_TEST

/* A checkpoint fails at its `n`th write or sync; false: it did not fail. */
static bool checkpoint_with_fault(enum fault_kind kind, long n)
{
    faulty_files_arm(&engine.faulty, kind, n, EIO, true);
    commit_checkpoint_request(engine.commit, NULL);
    faulty_files_disarm(&engine.faulty);
    return commit_failed(engine.commit, NULL) != BTS_OK;
}

START_TEST(a_checkpoint_that_is_cut_short_anywhere_leaves_the_one_before)
{
    unsigned failures = 0;

    engine_init_and_start(&engine, false);
    for (long n = 1; n < 12; n++) {
        engine_load(&engine, 300, 16);
        failures += checkpoint_with_fault(kinds[_i % 2], n);
        engine_power_cut(&engine);
        engine_start(&engine);
        engine_check(&engine);
        engine_check_checkpoint(&engine);
        engine_load(&engine, 300, 16);
    }
    ck_assert_uint_ge(failures, 3);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

/* What a checkpoint left that wrote its maps and not its metas: a newer copy, of a lie. */
static void plant_orphan(txnid_t txnid)
{
    static uint8_t page[4096];
    static uint8_t bits[4096];
    unsigned copy = engine.commit->checkpoint.copies[0] == 0 ? 1 : 0;

    memset(bits, 0, sizeof(bits));
    bits[0] = 0xff;
    space_map_encode(page, sizeof(page), 0, copy, txnid, bits);
    overwrite(engine.path, space_map_pgno(0, copy, 4096) * 4096ull, page, sizeof(page));
}

START_TEST(an_orphaned_map_is_not_believed_later)
{
    engine_init_and_start(&engine, false);
    for (int round = 0; round < 5; round++) {
        txnid_t txnid;
        engine_load(&engine, 200, 16);
        engine_check_checkpoint(&engine);
        txnid = commit_stat(engine.commit).latest + 3;
        plant_orphan(txnid);
        engine_power_cut(&engine);
        engine_start(&engine); /* nothing to replay; its checkpoint has to overwrite the orphan */
        ck_assert_uint_gt(commit_stat(engine.commit).latest, txnid);
        engine_check_checkpoint(&engine);
        engine_power_cut(&engine);
        engine_start(&engine);
        engine_check(&engine);
        engine_check_checkpoint(&engine);
    }
    engine_fini(&engine);
}
END_TEST

/* ---- files that do not go together ---------------------------------------------- */

START_TEST(a_missing_log_is_refused_and_nothing_is_made)
{
    char aside[320];

    engine_init_and_start(&engine, false);
    engine_load(&engine, 300, 16);
    engine_power_cut(&engine);
    snprintf(aside, sizeof(aside), "%s.aside", engine.pending_path);
    ck_assert_int_eq(rename(engine.pending_path, aside), 0);
    start_fails(BTS_DAMAGED, "missing");
    ck_assert_int_ne(access(engine.pending_path, F_OK), 0);
    start_fails(BTS_DAMAGED, "missing");
    ck_assert_int_eq(rename(aside, engine.pending_path), 0);
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

/* Copies a file. */
static void copy(const char *from, const char *to)
{
    static uint8_t bytes[1 << 16];
    int in = open(from, O_RDONLY);
    int out = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ssize_t n;

    ck_assert(in >= 0 && out >= 0);
    while ((n = read(in, bytes, sizeof(bytes))) > 0)
        ck_assert_int_eq(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
}

START_TEST(an_older_copy_beside_a_newer_log_is_refused)
{
    char older[320];
    char newer[320];

    engine_init_and_start(&engine, false);
    snprintf(older, sizeof(older), "%s.older", engine.path);
    snprintf(newer, sizeof(newer), "%s.newer", engine.path);
    engine_load(&engine, 100, 16);
    engine_stop(&engine);
    copy(engine.path, older);
    engine_start(&engine);
    engine_load(&engine, 100, 16);
    engine_power_cut(&engine);
    ck_assert_int_eq(rename(engine.path, newer), 0);
    ck_assert_int_eq(rename(older, engine.path), 0);
    start_fails(BTS_DAMAGED, "older copy");
    ck_assert_int_eq(rename(newer, engine.path), 0);
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_file_that_ends_before_what_was_published_is_refused)
{
    engine_init_and_start(&engine, false);
    engine_load(&engine, 100, 16);
    engine_kill(&engine);
    atomic_store(&engine.beacon->latest, atomic_load(&engine.beacon->latest) + 1);
    start_fails(BTS_DAMAGED, "published");
    atomic_store(&engine.beacon->latest, atomic_load(&engine.beacon->latest) - 1);
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_damaged_frame_that_was_durable_is_told)
{
    uint64_t offset;

    engine_init_and_start(&engine, false);
    offset = (uint64_t)engine.commit->log.current * engine.commit->log.segment_size +
             engine.commit->log.offset;
    engine_load(&engine, 5, 1);
    engine_power_cut(&engine);
    overwrite(engine.pending_path, offset + 50, "damage", 6);
    start_fails(BTS_DAMAGED, "was durable");
    start_fails(BTS_DAMAGED, "was durable");
    engine_fini(&engine);
}
END_TEST

START_TEST(a_file_that_was_cut_short_is_refused)
{
    engine_init_and_start(&engine, false);
    engine_load(&engine, 500, 16);
    engine_stop(&engine);
    ck_assert_int_eq(truncate(engine.path, 40000), 0);
    start_fails(BTS_DAMAGED, "cut short");
    engine_fini(&engine);
}
END_TEST

START_TEST(one_damaged_meta_is_mended_and_two_are_told)
{
    engine_init_and_start(&engine, false);
    for (uint64_t page = 0; page < 2; page++) {
        engine_load(&engine, 100, 16);
        engine_power_cut(&engine);
        overwrite(engine.path, page * 4096 + 70, "damage", 6);
        engine_start(&engine);
        engine_check(&engine);
    }
    engine_power_cut(&engine);
    overwrite(engine.path, 70, "damage", 6);
    overwrite(engine.path, 4096 + 70, "damage", 6);
    start_fails(BTS_DAMAGED, "meta");
    engine_fini(&engine);
}
END_TEST

START_TEST(one_rotted_map_is_not_missed_and_is_mended)
{
    engine_init_and_start(&engine, false);
    for (uint64_t page = 2; page < 10; page++) {
        engine_load(&engine, 300, 16);
        engine_check_checkpoint(&engine);
        engine_power_cut(&engine);
        overwrite(engine.path, (2 + page % 2) * 4096 + 100, "rot", 3);
        engine_start(&engine);
        engine_check(&engine);
        if (page % 4 < 2) { /* the start alone has mended it */
            engine_power_cut(&engine);
            overwrite(engine.path, (3 - page % 2) * 4096 + 100, "rot", 3);
            engine_start(&engine);
            engine_check(&engine);
        }
    }
    engine_fini(&engine);
}
END_TEST

START_TEST(no_usable_map_is_told_with_its_pages)
{
    engine_init_and_start(&engine, false);
    engine_load(&engine, 100, 16);
    engine_power_cut(&engine);
    overwrite(engine.path, 2 * 4096 + 70, "damage", 6);
    overwrite(engine.path, 3 * 4096 + 70, "damage", 6);
    start_fails(BTS_DAMAGED, "pages 2 and 3");
    engine_fini(&engine);
}
END_TEST

/* ---- readers that outlive a daemon ------------------------------------------------- */

/* A checksum over all keys and values of a state. */
static uint64_t digest(const struct snapshot_root *root)
{
    struct tree_view directory = commit_latest(engine.commit);
    struct bucket_record record;
    struct cursor cursor;
    struct tree_view view;
    struct bts_bytes key;
    struct bts_bytes value;
    uint64_t hash = 14695981039346656037ull;

    directory.root = root->root;
    directory.depth = root->depth;
    directory.txnid = root->txnid;
    ck_assert_int_eq(bucket_find(&directory, "default", 7, &record, NULL), BTS_OK);
    view = bucket_view(&directory, &record);
    cursor_init(&cursor, &view);
    while (cursor_next(&cursor, &key, &value, NULL) == BTS_OK) {
        for (size_t i = 0; i < key.size; i++)
            hash = (hash ^ ((const uint8_t *)key.data)[i]) * 1099511628211ull;
        for (size_t i = 0; i < value.size; i++)
            hash = (hash ^ ((const uint8_t *)value.data)[i]) * 1099511628211ull;
    }
    ck_assert_int_eq(cursor.state, CURSOR_AFTER);
    return hash;
}

START_TEST(snapshots_stay_whole_over_kills_and_starts)
{
    struct slot *slot;
    struct snapshot_root root;
    struct bts_error error;
    uint64_t before;
    int reader;

    engine_init_and_start(&engine, _i != 0);
    reader = engine_open_reader(&engine); /* or the stop would cut the file */
    for (int round = 0; round < 5; round++) {
        engine_load(&engine, 400, 16); /* in the log only, and partly in reused pages */
        slot = horizon_own_slot(&engine.horizon);
        root = snapshot_pin(engine.beacon, slot);
        before = digest(&root);
        for (int i = 0; i < 3; i++) {
            engine_load(&engine, 200, 16);
            if (round == 3)
                engine_stop(&engine);
            else
                engine_kill(&engine);
            ck_assert_msg(engine_try_start(&engine, true, &error) == BTS_OK, "%s", error.text);
            ck_assert_uint_eq(digest(&root), before);
            engine_load(&engine, 1500, 16);
            commit_tick(engine.commit);
            ck_assert_uint_eq(digest(&root), before);
            ck_assert(engine.commit->survivors);
        }
        snapshot_unpin(slot);
        commit_tick(engine.commit);
        ck_assert(!engine.commit->survivors);
        engine_check(&engine);
    }
    close(reader);
    engine_fini(&engine);
}
END_TEST

START_TEST(the_file_stops_growing_when_the_last_survivor_is_gone)
{
    struct slot *slot;
    struct bts_error error;
    uint64_t size;

    engine_init_and_start(&engine, false);
    engine_load(&engine, 4000, 16);
    slot = horizon_own_slot(&engine.horizon);
    snapshot_pin(engine.beacon, slot);
    engine_kill(&engine);
    ck_assert_msg(engine_try_start(&engine, true, &error) == BTS_OK, "%s", error.text);
    engine_load(&engine, 2000, 16);
    snapshot_unpin(slot);
    commit_tick(engine.commit);
    size = size_of(engine.path);
    engine_load(&engine, 4000, 16);
    ck_assert_uint_lt(size_of(engine.path), size + size / 2);
    engine_check_after_kill(&engine);
    engine_fini(&engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recover");

    ENGINE_CASE(suite, 2, kills_at_random_moments_lose_nothing,
                a_checkpoint_that_is_cut_short_anywhere_leaves_the_one_before,
                snapshots_stay_whole_over_kills_and_starts);
    ENGINE_CASE(suite, 3, a_recovery_that_is_cut_short_anywhere_is_begun_again,
                a_creation_that_is_cut_short_anywhere_is_begun_again);
    ENGINE_CASE(suite, 1, a_frame_that_was_torn_was_never_acknowledged,
                every_start_has_a_number_above_all_before,
                a_recovery_on_a_full_disk_leaves_everything_and_works_later,
                sectors_of_a_creation_in_any_mixture_are_an_empty_store,
                an_orphaned_map_is_not_believed_later,
                a_missing_log_is_refused_and_nothing_is_made,
                an_older_copy_beside_a_newer_log_is_refused,
                a_file_that_ends_before_what_was_published_is_refused,
                a_damaged_frame_that_was_durable_is_told, a_file_that_was_cut_short_is_refused,
                one_damaged_meta_is_mended_and_two_are_told,
                one_rotted_map_is_not_missed_and_is_mended, no_usable_map_is_told_with_its_pages,
                the_file_stops_growing_when_the_last_survivor_is_gone);
    return engine_run_suite(suite);
}
