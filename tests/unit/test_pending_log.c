/* SPDX-License-Identifier: MIT */
/*
 * test_pending_log: what was appended comes back, over checkpoints, recycled
 * segments and new epochs.
 */
#include "pending_fixture.h"
#include "unit.h"

#include <string.h>

START_TEST(frames_come_back_in_order)
{
    uint64_t start;
    struct pending_claim claim;

    pending_setup();
    pending_reopen();
    pending_begin(7, 101);
    start = pending_log_position(&pending_log_file);
    pending_append_many(101, 125, 5000);
    claim = pending_claim_at(7, start, 100);
    ck_assert_uint_eq(pending_replay(&claim), 25);
    pending_teardown();
}
END_TEST

START_TEST(replay_begins_at_the_position_of_the_meta)
{
    uint64_t middle;
    struct pending_claim claim;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    middle = pending_append_many(1, 11, 5000);
    pending_append_many(12, 20, 5000);
    claim = pending_claim_at(7, middle, 11);
    ck_assert_uint_eq(pending_replay(&claim), 9);
    pending_teardown();
}
END_TEST

START_TEST(a_full_log_waits_for_a_checkpoint_and_goes_on)
{
    struct pending_place place;
    uint64_t position = 0;
    txnid_t txnid = 0;
    txnid_t checkpoint;
    struct pending_claim claim;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    for (int round = 0; round < 20; round++) {
        enum bts_status status;
        while ((status = pending_append(9000, txnid + 1, &place)) == BTS_OK) {
            pending_durable = ++txnid;
            position = place.end;
        }
        ck_assert_int_eq(status, BTS_BUSY);
        ck_assert_uint_le(pending_log_file.segment_count, SEGMENTS);
        pending_log_release(&pending_log_file, position);
        pending_log_check(&pending_log_file);
        checkpoint = txnid;
        claim = pending_claim_at(7, position, checkpoint);
        ck_assert_uint_eq(pending_append_many(txnid + 1, txnid + 3, 3000),
                          pending_log_position(&pending_log_file));
        txnid += 3;
        position = pending_log_position(&pending_log_file);
    }
    ck_assert_uint_gt(txnid, 300);
    /* What lies behind the end are frames of this very epoch, from before the recycling. */
    ck_assert_uint_eq(pending_replay(&claim), 3);
    pending_teardown();
}
END_TEST

START_TEST(a_position_at_the_end_of_a_segment_keeps_that_segment)
{
    struct pending_place place;
    struct pending_claim claim;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    ck_assert_int_eq(pending_append(pending_log_body_max(&pending_log_file) - 4, 1, &place),
                     BTS_OK);
    pending_durable = 1;
    ck_assert_uint_eq(place.end, SEGMENT);
    pending_log_release(&pending_log_file, place.end);
    claim = pending_claim_at(7, place.end, 1);
    ck_assert_uint_eq(pending_replay(&claim), 0);
    pending_teardown();
}
END_TEST

START_TEST(frames_after_a_position_at_the_end_of_a_segment_are_found)
{
    struct pending_place place;
    struct pending_claim claim;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    ck_assert_int_eq(pending_append(pending_log_body_max(&pending_log_file) - 4, 1, &place),
                     BTS_OK);
    pending_durable = 1;
    claim = pending_claim_at(7, place.end, 1);
    pending_log_release(&pending_log_file, place.end);
    pending_append_many(2, 5, 4000);
    ck_assert_uint_eq(pending_replay(&claim), 4);
    pending_teardown();
}
END_TEST

START_TEST(a_new_epoch_leaves_the_old_log_whole_until_its_checkpoint)
{
    struct pending_claim claim;
    uint64_t start;
    uint64_t epoch = 8;

    pending_setup();
    pending_reopen();
    pending_begin(7, 1);
    start = pending_log_position(&pending_log_file);
    pending_append_many(1, 20, 5000);
    claim = pending_claim_at(7, start, 0);
    /* Recovery after recovery is cut short before its checkpoint. */
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(pending_replay(&claim), 20);
        pending_begin(epoch++, 21);
    }
    pending_log_release(&pending_log_file, pending_log_position(&pending_log_file));
    start = pending_log_position(&pending_log_file);
    pending_durable = 20;
    pending_append_many(21, 40, 5000);
    claim = pending_claim_at(epoch - 1, start, 20);
    ck_assert_uint_eq(pending_replay(&claim), 20);
    ck_assert_uint_le(pending_log_file.segment_count, 12);
    pending_teardown();
}
END_TEST

static uint64_t random_state = 0x2545f4914f6cdd1dull;

static uint64_t next_random(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* A cut: everything synced is there, and perhaps a part of one frame more. */
static void tear_tail(txnid_t txnid)
{
    struct pending_place place;
    size_t size = 1 + next_random(40000);
    uint8_t junk[512];

    if (pending_append(size, txnid, &place) != BTS_OK)
        return;
    memset(junk, (int)next_random(256), sizeof(junk));
    /* the last sector of the last batch byte, so that the tear is never in the padding */
    pending_overwrite(place.file_offset + (place.opens_segment ? PENDING_BLOCK : 0) +
                          (PENDING_FRAME_HEADER_SIZE + 4 + size - 1) / 512 * 512,
                      junk, sizeof(junk));
}

START_TEST(a_model_agrees_over_checkpoints_cuts_and_epochs)
{
    struct pending_claim claim;
    struct pending_place place;
    txnid_t txnid = 0;
    uint64_t epoch = 1;
    uint64_t end;

    pending_setup();
    pending_reopen();
    pending_begin(epoch, 1);
    end = pending_log_position(&pending_log_file);
    claim = pending_claim_at(epoch, end, 0);
    for (int step = 0; step < 3000; step++) {
        uint64_t choice = next_random(100);
        enum bts_status status = BTS_BUSY;
        if (choice < 90) {
            status = pending_append(1 + next_random(choice < 80 ? 6000 : 50000), txnid + 1, &place);
            if (status == BTS_OK) {
                pending_durable = ++txnid;
                end = place.end;
            }
        }
        if (status == BTS_BUSY && choice < 97) { /* full, or its time has come: a checkpoint */
            pending_log_release(&pending_log_file, end);
            claim = pending_claim_at(epoch, end, txnid);
        } else if (status == BTS_BUSY) {
            tear_tail(txnid + 1);
            ck_assert_uint_eq(pending_replay(&claim), txnid - claim.txnid);
            pending_begin(++epoch, txnid + 1);
            end = pending_log_position(&pending_log_file);
            if (choice < 99) { /* else recovery was cut short, and begins again */
                pending_log_release(&pending_log_file, end);
                claim = pending_claim_at(epoch, end, txnid);
            } else {
                ck_assert_uint_eq(pending_replay(&claim), txnid - claim.txnid);
                pending_begin(++epoch, txnid + 1);
                end = pending_log_position(&pending_log_file);
                pending_log_release(&pending_log_file, end);
                claim = pending_claim_at(epoch, end, txnid);
            }
        }
        pending_log_check(&pending_log_file);
    }
    ck_assert_uint_gt(txnid, 2000);
    pending_teardown();
}
END_TEST

int main(void)
{
    return UNIT_RUN("pending_log", frames_come_back_in_order,
                    replay_begins_at_the_position_of_the_meta,
                    a_full_log_waits_for_a_checkpoint_and_goes_on,
                    a_position_at_the_end_of_a_segment_keeps_that_segment,
                    frames_after_a_position_at_the_end_of_a_segment_are_found,
                    a_new_epoch_leaves_the_old_log_whole_until_its_checkpoint,
                    a_model_agrees_over_checkpoints_cuts_and_epochs);
}
