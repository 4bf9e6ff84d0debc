/* SPDX-License-Identifier: MIT */
/*
 * test_pending_scan: an end is told from a hole, and a log that does not fit
 * its store is refused.
 */
#include "pending_fixture.h"
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

START_TEST(a_torn_frame_ends_the_log)
{
    uint64_t start;
    struct pending_place place;
    struct pending_claim claim;
    uint8_t zeros[512] = {0};

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, 4, 5000);
    ck_assert_int_eq(pending_append(9000, 5, &place), BTS_OK);
    pending_overwrite(place.file_offset + place.size - 4096, zeros, sizeof(zeros));
    claim = pending_claim_at(7, start, 0);
    ck_assert_uint_eq(pending_replay(&claim), 4);
    pending_teardown();
}
END_TEST

START_TEST(a_torn_frame_in_a_new_segment_ends_the_log)
{
    uint64_t start;
    struct pending_place place;
    struct pending_claim claim;
    uint8_t zeros[4096] = {0};

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, 2, 30000 - 4096);
    ck_assert_int_eq(pending_append(20000, 3, &place), BTS_OK);
    ck_assert(place.opens_segment);
    pending_overwrite(place.file_offset + 8192, zeros, sizeof(zeros)); /* in the frame */
    claim = pending_claim_at(7, start, 0);
    ck_assert_uint_eq(pending_replay(&claim), 2);
    pending_overwrite(place.file_offset, zeros, sizeof(zeros)); /* its header too */
    ck_assert_uint_eq(pending_replay(&claim), 2);
    pending_teardown();
}
END_TEST

/*
 * Frames until the first segment is used again, whose header then is the old
 * one: the frame came, its header did not.  *claim is of frames further back;
 * *before is the place of the frame before it.  The frame's number.
 */
static txnid_t recycle_without_header(struct pending_claim *claim, struct pending_place *before)
{
    static uint8_t header[PENDING_BLOCK];
    struct pending_place place = {.opens_segment = false};
    txnid_t txnid = 0;
    uint64_t end = 0;
    size_t first;
    int fd;

    pending_begin(7, 1);
    first = pending_log_file.current;
    fd = pending_open_raw();
    ck_assert_int_eq(pread(fd, header, sizeof(header), (off_t)(first * SEGMENT)), PENDING_BLOCK);
    close(fd);
    do { /* until the first segment's turn comes again */
        end = pending_append_many(txnid + 1, txnid + 1, 20000);
        txnid++;
        pending_log_release(&pending_log_file, end);
    } while (pending_log_file.current == first || pending_log_file.sequence < 2 ||
             pending_log_file.segments[first].use != PENDING_SEGMENT_FREE);
    *claim = pending_claim_at(7, end, txnid);
    do {
        *before = place;
        ck_assert_int_eq(pending_append(20000, txnid + 1, &place), BTS_OK);
        txnid++;
    } while (!place.opens_segment);
    ck_assert_uint_eq(pending_log_file.current, first);
    ck_assert_uint_gt(txnid - 1, claim->txnid);
    pending_overwrite(first * SEGMENT, header, sizeof(header));
    return txnid;
}

START_TEST(a_recycled_segment_with_its_old_header_ends_the_log)
{
    struct pending_place before;
    struct pending_claim claim;
    txnid_t newest;

    pending_setup();
    pending_reopen();
    newest = recycle_without_header(&claim, &before);
    ck_assert_uint_eq(pending_replay(&claim), newest - 1 - claim.txnid);
    pending_teardown();
}
END_TEST

/* It was not counted once: after the next recovery it looked newer than the store. */
START_TEST(a_frame_behind_a_gap_and_an_old_header_counts_for_the_next_number)
{
    struct pending_found found;
    struct pending_place before;
    struct pending_claim claim;
    struct bts_error error;
    txnid_t newest;

    pending_setup();
    pending_reopen();
    newest = recycle_without_header(&claim, &before);
    pending_overwrite(before.file_offset + 100, "x", 1);
    pending_reopen();
    ck_assert_int_eq(pending_log_scan(&pending_log_file, &claim, &found, &error), BTS_OK);
    ck_assert_uint_eq(found.last_txnid, newest - 2);
    ck_assert_uint_eq(found.newest_txnid, newest);
    pending_begin(8, newest + 2);
    claim = pending_claim_at(8, pending_log_position(&pending_log_file), newest + 1);
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_OK);
    pending_teardown();
}
END_TEST

/* Of frames up to `last` the third is damaged, and those behind it say that it was durable. */
static void assert_damage_is_told(txnid_t last)
{
    uint64_t start;
    struct pending_claim claim;
    struct bts_error error;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, last, 5000);
    pending_overwrite(start + 2 * 8192 + 100, "x", 1); /* frame 3 */
    claim = pending_claim_at(7, start, 0);
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "commit 3"));
    pending_teardown();
}

START_TEST(a_damaged_frame_below_a_durable_one_is_told)
{
    assert_damage_is_told(5); /* in one segment */
}
END_TEST

START_TEST(a_damaged_frame_below_one_of_the_next_segment_is_told)
{
    assert_damage_is_told(10);
}
END_TEST

START_TEST(an_unsynced_frame_before_another_is_no_damage)
{
    uint64_t start;
    struct pending_claim claim;
    struct pending_place place;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, 3, 5000);
    /* 4 and 5 were in flight together: 5 does not say that 4 was pending_durable */
    ck_assert_int_eq(pending_append(5000, 4, &place), BTS_OK);
    pending_overwrite(place.file_offset + 100, "x", 1);
    ck_assert_int_eq(pending_append(5000, 5, &place), BTS_OK);
    claim = pending_claim_at(7, start, 0);
    ck_assert_uint_eq(pending_replay(&claim), 3);
    pending_teardown();
}
END_TEST

START_TEST(a_lost_segment_is_told)
{
    uint64_t start;
    struct pending_claim claim;
    struct bts_error error;
    uint8_t zeros[PENDING_BLOCK] = {0};
    size_t second;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, 8, 5000);
    second = pending_log_file.current;
    ck_assert_uint_eq(pending_log_file.sequence, 1);
    pending_append_many(9, 16, 5000);
    ck_assert_uint_eq(pending_log_file.sequence, 2);
    pending_overwrite((uint64_t)second * SEGMENT, zeros, sizeof(zeros));
    claim = pending_claim_at(7, start, 0);
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_DAMAGED);
    pending_teardown();
}
END_TEST

/* Nothing lies behind it, and its own frames were not looked at: nine commits were lost so once. */
START_TEST(a_last_segment_whose_header_rotted_is_told)
{
    uint64_t start;
    struct pending_claim claim;
    struct bts_error error;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, 10, 5000); /* 8, 9 and 10 in the second segment */
    ck_assert_uint_eq(pending_log_file.sequence, 1);
    pending_overwrite((uint64_t)pending_log_file.current * SEGMENT, "x", 1);
    claim = pending_claim_at(7, start, 0);
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "commit 8"));
    pending_teardown();
}
END_TEST

START_TEST(a_missing_log_is_refused)
{
    struct pending_claim claim = pending_claim_at(7, PENDING_BLOCK, 41);
    struct bts_error error;

    pending_setup();
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "missing"));
    ck_assert_ptr_nonnull(strstr(error.text, "41"));
    claim.clean = true;
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_OK);
    pending_teardown();
}
END_TEST

START_TEST(a_log_of_another_store_is_refused_and_left_alone)
{
    uint8_t other[16] = {9};
    struct bts_error error;
    uint64_t start;
    struct pending_claim claim;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, 3, 5000);
    ck_assert_int_eq(pending_open_as(other, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "another store"));
    claim = pending_claim_at(7, start, 0);
    ck_assert_uint_eq(pending_replay(&claim), 3);
    pending_teardown();
}
END_TEST

START_TEST(a_log_that_is_newer_than_the_store_is_refused)
{
    struct bts_error error;
    struct pending_claim claim;

    pending_setup();
    pending_reopen();
    pending_begin(7, 101);
    pending_append_many(101, 103, 5000);
    claim = pending_claim_at(5, PENDING_BLOCK, 50); /* an older copy, which knows another epoch */
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_DAMAGED);
    claim.clean = true;
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "older copy"));
    claim.txnid = 103; /* but if it holds all that the log has, the log is no matter */
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_OK);
    pending_teardown();
}
END_TEST

/* A frame there, long enough, led the walk over the end of its segment. */
START_TEST(a_position_where_no_frame_can_begin_is_refused)
{
    uint64_t start;
    struct pending_claim claim;
    struct bts_error error;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, 3, 5000);
    claim = pending_claim_at(7, start + 100, 0);
    ck_assert_int_eq(pending_scan(&claim, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "where no frame can begin"));
    pending_teardown();
}
END_TEST

START_TEST(another_file_in_its_place_is_refused)
{
    struct bts_error error;
    char text[5000];

    pending_setup();
    memset(text, 'a', sizeof(text));
    pending_reopen();
    pending_overwrite(0, text, 100);
    ck_assert_int_eq(pending_open_as(pending_uuid, &error), BTS_DAMAGED);
    pending_overwrite(0, text, sizeof(text));
    ck_assert_int_eq(pending_open_as(pending_uuid, &error), BTS_DAMAGED);
    pending_teardown();
}
END_TEST

int main(void)
{
    return UNIT_RUN(
        "pending_scan", a_torn_frame_ends_the_log, a_torn_frame_in_a_new_segment_ends_the_log,
        a_recycled_segment_with_its_old_header_ends_the_log,
        a_frame_behind_a_gap_and_an_old_header_counts_for_the_next_number,
        a_damaged_frame_below_a_durable_one_is_told,
        a_damaged_frame_below_one_of_the_next_segment_is_told,
        an_unsynced_frame_before_another_is_no_damage,
        a_lost_segment_is_told,
        a_last_segment_whose_header_rotted_is_told, a_missing_log_is_refused,
        a_log_of_another_store_is_refused_and_left_alone,
        a_log_that_is_newer_than_the_store_is_refused,
        a_position_where_no_frame_can_begin_is_refused, another_file_in_its_place_is_refused);
}
