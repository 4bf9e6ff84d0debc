/* SPDX-License-Identifier: MIT */
/*
 * test_pending_log: what was appended comes back, and nothing else does.
 *
 * Each frame holds one "batch" of a size and a content that follow from its
 * transaction number, so a frame that comes back can be checked by itself.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commit/pending_log.h"

#define SEGMENT 65536u
#define SEGMENTS 6u

static const uint8_t uuid[16] = {1, 2, 3, 4};
static char path[256];
static struct pending_log log_file;
static struct pending_buffer buffer;
static txnid_t durable; /* what the frames say */

static void setup_path(void)
{
    const char *directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

    snprintf(path, sizeof(path), "%s/test_pending_log.%d",
             directory != NULL ? directory : "/tmp", (int)getpid());
    unlink(path);
    pending_log_init(&log_file);
    durable = 0;
}

static void teardown(void)
{
    pending_log_close(&log_file);
    pending_buffer_fini(&buffer);
    unlink(path);
}

static enum bts_status open_as(const uint8_t id[16], struct bts_error *error)
{
    pending_log_close(&log_file);
    return pending_log_open(&log_file, &file_system_real, path, id, SEGMENT,
                            (uint64_t)SEGMENTS * SEGMENT, error);
}

static void reopen(void)
{
    struct bts_error error;

    ck_assert_msg(open_as(uuid, &error) == BTS_OK, "%s", error.text);
}

static void begin(uint64_t epoch, txnid_t first)
{
    struct bts_error error;

    ck_assert_msg(pending_log_begin(&log_file, epoch, first, &error) == BTS_OK, "%s", error.text);
    pending_log_check(&log_file);
}

/* A batch of `size` bytes whose content is told by `txnid`. */
static void fill(uint8_t *bytes, size_t size, txnid_t txnid)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(txnid * 31 + i * 7);
}

static bool is_content(const uint8_t *bytes, size_t size, txnid_t txnid)
{
    size_t i = 0;

    while (i < size && bytes[i] == (uint8_t)(txnid * 31 + i * 7))
        i++;
    return i == size;
}

static void buffer_batch(size_t size, txnid_t txnid)
{
    uint8_t *bytes = malloc(size + 1);

    pending_buffer_clear(&buffer);
    ck_assert_int_eq(pending_buffer_reserve(&buffer, pending_buffer_need(size), NULL), BTS_OK);
    fill(bytes, size, txnid);
    pending_buffer_add(&buffer, bytes, size);
    free(bytes);
}

/* BTS_BUSY: a checkpoint has to come first. */
static enum bts_status append(size_t size, txnid_t txnid, struct pending_place *place)
{
    struct bts_error error;
    enum bts_status status = pending_log_reserve(&log_file, pending_buffer_need(size), &error);

    if (status != BTS_OK)
        return status;
    buffer_batch(size, txnid);
    pending_log_place(&log_file, &buffer, txnid, durable, place);
    ck_assert_msg(pending_log_write(&log_file, &buffer, place, &error) == BTS_OK, "%s",
                  error.text);
    pending_log_check(&log_file);
    return BTS_OK;
}

/* Appends frames `from` .. `to`; the position behind the last. */
static uint64_t append_many(txnid_t from, txnid_t to, size_t size)
{
    struct pending_place place = {.end = pending_log_position(&log_file)};

    for (txnid_t txnid = from; txnid <= to; txnid++) {
        ck_assert_int_eq(append(size, txnid, &place), BTS_OK);
        durable = txnid;
    }
    return place.end;
}

struct seen {
    txnid_t last;
    uint64_t count;
};

static enum bts_status see_frame(void *context, const struct pending_frame *frame,
                                 struct bts_error *error)
{
    struct seen *seen = context;
    struct pending_body_reader reader = {frame->body, frame->body + frame->body_size};
    const uint8_t *batch;
    size_t size;

    (void)error;
    ck_assert_uint_eq(frame->txnid, seen->last + 1);
    ck_assert(pending_body_next(&reader, &batch, &size));
    ck_assert(is_content(batch, size, frame->txnid));
    seen->last = frame->txnid;
    seen->count++;
    return BTS_OK;
}

/* Opens the log anew and replays from the claim; how many frames came. */
static uint64_t replay(const struct pending_claim *claim)
{
    struct pending_found found;
    struct seen seen = {.last = claim->txnid};
    struct bts_error error;

    reopen();
    ck_assert_msg(pending_log_scan(&log_file, claim, &found, &error) == BTS_OK, "%s", error.text);
    ck_assert_msg(pending_log_replay(&log_file, claim, see_frame, &seen, &error) == BTS_OK, "%s",
                  error.text);
    ck_assert_uint_eq(seen.count, found.frame_count);
    ck_assert_uint_eq(seen.last, found.last_txnid);
    return seen.count;
}

static enum bts_status scan(const struct pending_claim *claim, struct bts_error *error)
{
    struct pending_found found;

    reopen();
    return pending_log_scan(&log_file, claim, &found, error);
}

static void overwrite(uint64_t offset, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
    close(fd);
}

static struct pending_claim claim_at(uint64_t epoch, uint64_t position, txnid_t txnid)
{
    return (struct pending_claim){.epoch = epoch, .position = position, .txnid = txnid};
}

START_TEST(frames_come_back_in_order)
{
    uint64_t start;
    struct pending_claim claim;

    setup_path();
    reopen();
    begin(7, 101);
    start = pending_log_position(&log_file);
    append_many(101, 125, 5000);
    claim = claim_at(7, start, 100);
    ck_assert_uint_eq(replay(&claim), 25);
    teardown();
}
END_TEST

START_TEST(replay_begins_at_the_position_of_the_meta)
{
    uint64_t middle;
    struct pending_claim claim;

    setup_path();
    reopen();
    begin(7, 1);
    middle = append_many(1, 11, 5000);
    append_many(12, 20, 5000);
    claim = claim_at(7, middle, 11);
    ck_assert_uint_eq(replay(&claim), 9);
    teardown();
}
END_TEST

START_TEST(a_torn_frame_ends_the_log)
{
    uint64_t start;
    struct pending_place place;
    struct pending_claim claim;
    uint8_t zeros[512] = {0};

    setup_path();
    reopen();
    begin(7, 1);
    start = pending_log_position(&log_file);
    append_many(1, 4, 5000);
    ck_assert_int_eq(append(9000, 5, &place), BTS_OK);
    overwrite(place.file_offset + place.size - 4096, zeros, sizeof(zeros));
    claim = claim_at(7, start, 0);
    ck_assert_uint_eq(replay(&claim), 4);
    teardown();
}
END_TEST

START_TEST(a_torn_frame_in_a_new_segment_ends_the_log)
{
    uint64_t start;
    struct pending_place place;
    struct pending_claim claim;
    uint8_t zeros[4096] = {0};

    setup_path();
    reopen();
    begin(7, 1);
    start = pending_log_position(&log_file);
    append_many(1, 2, 30000 - 4096);
    ck_assert_int_eq(append(20000, 3, &place), BTS_OK);
    ck_assert(place.opens_segment);
    overwrite(place.file_offset + 8192, zeros, sizeof(zeros)); /* in the frame */
    claim = claim_at(7, start, 0);
    ck_assert_uint_eq(replay(&claim), 2);
    overwrite(place.file_offset, zeros, sizeof(zeros)); /* its header too */
    ck_assert_uint_eq(replay(&claim), 2);
    teardown();
}
END_TEST

START_TEST(a_damaged_frame_below_a_durable_one_is_told)
{
    uint64_t start;
    struct pending_claim claim;
    struct bts_error error;

    setup_path();
    reopen();
    begin(7, 1);
    start = pending_log_position(&log_file);
    append_many(1, 10, 5000);
    overwrite(start + 2 * 8192 + 100, "x", 1); /* frame 3 */
    claim = claim_at(7, start, 0);
    ck_assert_int_eq(scan(&claim, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "commit 3"));
    teardown();
}
END_TEST

START_TEST(an_unsynced_frame_before_another_is_no_damage)
{
    uint64_t start;
    struct pending_claim claim;
    struct pending_place place;

    setup_path();
    reopen();
    begin(7, 1);
    start = pending_log_position(&log_file);
    append_many(1, 3, 5000);
    /* 4 and 5 were in flight together: 5 does not say that 4 was durable */
    ck_assert_int_eq(append(5000, 4, &place), BTS_OK);
    overwrite(place.file_offset + 100, "x", 1);
    ck_assert_int_eq(append(5000, 5, &place), BTS_OK);
    claim = claim_at(7, start, 0);
    ck_assert_uint_eq(replay(&claim), 3);
    teardown();
}
END_TEST

START_TEST(a_lost_segment_is_told)
{
    uint64_t start;
    struct pending_claim claim;
    struct bts_error error;
    uint8_t zeros[PENDING_BLOCK] = {0};
    size_t second;

    setup_path();
    reopen();
    begin(7, 1);
    start = pending_log_position(&log_file);
    append_many(1, 8, 5000);
    second = log_file.current;
    ck_assert_uint_eq(log_file.sequence, 1);
    append_many(9, 16, 5000);
    ck_assert_uint_eq(log_file.sequence, 2);
    overwrite((uint64_t)second * SEGMENT, zeros, sizeof(zeros));
    claim = claim_at(7, start, 0);
    ck_assert_int_eq(scan(&claim, &error), BTS_DAMAGED);
    teardown();
}
END_TEST

START_TEST(a_full_log_waits_for_a_checkpoint_and_goes_on)
{
    struct pending_place place;
    uint64_t position = 0;
    txnid_t txnid = 0;
    txnid_t checkpoint;
    struct pending_claim claim;

    setup_path();
    reopen();
    begin(7, 1);
    for (int round = 0; round < 20; round++) {
        enum bts_status status;
        while ((status = append(9000, txnid + 1, &place)) == BTS_OK) {
            durable = ++txnid;
            position = place.end;
        }
        ck_assert_int_eq(status, BTS_BUSY);
        ck_assert_uint_le(log_file.segment_count, SEGMENTS);
        pending_log_release(&log_file, position);
        pending_log_check(&log_file);
        checkpoint = txnid;
        claim = claim_at(7, position, checkpoint);
        ck_assert_uint_eq(append_many(txnid + 1, txnid + 3, 3000), pending_log_position(&log_file));
        txnid += 3;
        position = pending_log_position(&log_file);
    }
    ck_assert_uint_gt(txnid, 300);
    /* What lies behind the end are frames of this very epoch, from before the recycling. */
    ck_assert_uint_eq(replay(&claim), 3);
    teardown();
}
END_TEST

START_TEST(a_position_at_the_end_of_a_segment_keeps_that_segment)
{
    struct pending_place place;
    struct pending_claim claim;

    setup_path();
    reopen();
    begin(7, 1);
    ck_assert_int_eq(append(pending_log_body_max(&log_file) - 4, 1, &place), BTS_OK);
    durable = 1;
    ck_assert_uint_eq(place.end, SEGMENT);
    pending_log_release(&log_file, place.end);
    claim = claim_at(7, place.end, 1);
    ck_assert_uint_eq(replay(&claim), 0);
    teardown();
}
END_TEST

START_TEST(frames_after_a_position_at_the_end_of_a_segment_are_found)
{
    struct pending_place place;
    struct pending_claim claim;

    setup_path();
    reopen();
    begin(7, 1);
    ck_assert_int_eq(append(pending_log_body_max(&log_file) - 4, 1, &place), BTS_OK);
    durable = 1;
    claim = claim_at(7, place.end, 1);
    pending_log_release(&log_file, place.end);
    append_many(2, 5, 4000);
    ck_assert_uint_eq(replay(&claim), 4);
    teardown();
}
END_TEST

START_TEST(a_missing_log_is_refused)
{
    struct pending_claim claim = claim_at(7, PENDING_BLOCK, 41);
    struct bts_error error;

    setup_path();
    ck_assert_int_eq(scan(&claim, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "missing"));
    ck_assert_ptr_nonnull(strstr(error.text, "41"));
    claim.clean = true;
    ck_assert_int_eq(scan(&claim, &error), BTS_OK);
    teardown();
}
END_TEST

START_TEST(a_log_of_another_store_is_refused_and_left_alone)
{
    uint8_t other[16] = {9};
    struct bts_error error;
    uint64_t start;
    struct pending_claim claim;

    setup_path();
    reopen();
    begin(7, 1);
    start = pending_log_position(&log_file);
    append_many(1, 3, 5000);
    ck_assert_int_eq(open_as(other, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "another store"));
    claim = claim_at(7, start, 0);
    ck_assert_uint_eq(replay(&claim), 3);
    teardown();
}
END_TEST

START_TEST(a_log_that_is_newer_than_the_store_is_refused)
{
    struct bts_error error;
    struct pending_claim claim;

    setup_path();
    reopen();
    begin(7, 101);
    append_many(101, 103, 5000);
    claim = claim_at(5, PENDING_BLOCK, 50); /* an older copy, which knows another epoch */
    ck_assert_int_eq(scan(&claim, &error), BTS_DAMAGED);
    claim.clean = true;
    ck_assert_int_eq(scan(&claim, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "older copy"));
    claim.txnid = 103; /* but if it holds all that the log has, the log is no matter */
    ck_assert_int_eq(scan(&claim, &error), BTS_OK);
    teardown();
}
END_TEST

START_TEST(another_file_in_its_place_is_refused)
{
    struct bts_error error;
    char text[5000];

    setup_path();
    memset(text, 'a', sizeof(text));
    reopen();
    overwrite(0, text, 100);
    ck_assert_int_eq(open_as(uuid, &error), BTS_DAMAGED);
    overwrite(0, text, sizeof(text));
    ck_assert_int_eq(open_as(uuid, &error), BTS_DAMAGED);
    teardown();
}
END_TEST

START_TEST(a_new_epoch_leaves_the_old_log_whole_until_its_checkpoint)
{
    struct pending_claim claim;
    uint64_t start;
    uint64_t epoch = 8;

    setup_path();
    reopen();
    begin(7, 1);
    start = pending_log_position(&log_file);
    append_many(1, 20, 5000);
    claim = claim_at(7, start, 0);
    /* Recovery after recovery is cut short before its checkpoint. */
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(replay(&claim), 20);
        begin(epoch++, 21);
    }
    pending_log_release(&log_file, pending_log_position(&log_file));
    start = pending_log_position(&log_file);
    durable = 20;
    append_many(21, 40, 5000);
    claim = claim_at(epoch - 1, start, 20);
    ck_assert_uint_eq(replay(&claim), 20);
    ck_assert_uint_le(log_file.segment_count, 12);
    teardown();
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

    if (append(size, txnid, &place) != BTS_OK)
        return;
    memset(junk, (int)next_random(256), sizeof(junk));
    /* the last sector of the last batch byte, so that the tear is never in the padding */
    overwrite(place.file_offset + (place.opens_segment ? PENDING_BLOCK : 0) +
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

    setup_path();
    reopen();
    begin(epoch, 1);
    end = pending_log_position(&log_file);
    claim = claim_at(epoch, end, 0);
    for (int step = 0; step < 3000; step++) {
        uint64_t choice = next_random(100);
        enum bts_status status = BTS_BUSY;
        if (choice < 90) {
            status = append(1 + next_random(choice < 80 ? 6000 : 50000), txnid + 1, &place);
            if (status == BTS_OK) {
                durable = ++txnid;
                end = place.end;
            }
        }
        if (status == BTS_BUSY && choice < 97) { /* full, or its time has come: a checkpoint */
            pending_log_release(&log_file, end);
            claim = claim_at(epoch, end, txnid);
        } else if (status == BTS_BUSY) {
            tear_tail(txnid + 1);
            ck_assert_uint_eq(replay(&claim), txnid - claim.txnid);
            begin(++epoch, txnid + 1);
            end = pending_log_position(&log_file);
            if (choice < 99) { /* else recovery was cut short, and begins again */
                pending_log_release(&log_file, end);
                claim = claim_at(epoch, end, txnid);
            } else {
                ck_assert_uint_eq(replay(&claim), txnid - claim.txnid);
                begin(++epoch, txnid + 1);
                end = pending_log_position(&log_file);
                pending_log_release(&log_file, end);
                claim = claim_at(epoch, end, txnid);
            }
        }
        pending_log_check(&log_file);
    }
    ck_assert_uint_gt(txnid, 2000);
    teardown();
}
END_TEST

int main(void)
{
    return UNIT_RUN("pending_log", frames_come_back_in_order,
                    replay_begins_at_the_position_of_the_meta, a_torn_frame_ends_the_log,
                    a_torn_frame_in_a_new_segment_ends_the_log,
                    a_damaged_frame_below_a_durable_one_is_told,
                    an_unsynced_frame_before_another_is_no_damage, a_lost_segment_is_told,
                    a_full_log_waits_for_a_checkpoint_and_goes_on,
                    a_position_at_the_end_of_a_segment_keeps_that_segment,
                    frames_after_a_position_at_the_end_of_a_segment_are_found,
                    a_missing_log_is_refused, a_log_of_another_store_is_refused_and_left_alone,
                    a_log_that_is_newer_than_the_store_is_refused,
                    another_file_in_its_place_is_refused,
                    a_new_epoch_leaves_the_old_log_whole_until_its_checkpoint,
                    a_model_agrees_over_checkpoints_cuts_and_epochs);
}
