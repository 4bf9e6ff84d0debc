/* SPDX-License-Identifier: MIT */
/*
 * Tests of client/salvage_log with a log built frame by frame.
 */
#include "client/salvage_log.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT PENDING_SEGMENT_SIZE_MIN
#define SEGMENTS 3u
#define EPOCH 7u

static uint8_t bytes[SEGMENTS * SEGMENT];
static const struct meta meta = {.page_size = 4096, .txnid = 10, .log_epoch = EPOCH,
                                 .uuid = {0xab}};

static void add_segment(unsigned place, uint64_t epoch, uint8_t uuid)
{
    struct pending_segment segment = {.segment_size = SEGMENT, .epoch = epoch, .uuid = {uuid}};

    pending_segment_encode(&segment, bytes + place * SEGMENT);
}

/* A frame in block `block` of a segment. */
static uint8_t *add_frame(unsigned place, unsigned block, uint64_t epoch, txnid_t txnid,
                          txnid_t durable)
{
    uint8_t *frame = bytes + place * SEGMENT + block * PENDING_BLOCK;

    memset(frame + PENDING_FRAME_HEADER_SIZE, 'x', 100);
    pending_frame_seal(frame, epoch, txnid, durable, 1, 100);
    return frame;
}

static void open_log(struct salvage_log *log, const struct meta *of)
{
    char path[] = "/tmp/salvage_log.XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    close(fd);
    ck_assert_int_eq(salvage_log_open(log, path, of, 10, NULL), BTS_OK);
    unlink(path);
}

static void plant(void)
{
    memset(bytes, 0, sizeof(bytes));
    add_segment(0, EPOCH, 0xab);
    add_segment(1, EPOCH, 0xab);
    add_segment(2, EPOCH - 1, 0xab);
    add_frame(0, 1, EPOCH, 10, 9);
    add_frame(0, 2, EPOCH, 11, 10);
    add_frame(1, 1, EPOCH, 12, 11);
    add_frame(1, 2, EPOCH, 13, 12);
    add_frame(2, 1, EPOCH - 1, 14, 13);
}

START_TEST(frames_behind_the_commit_are_found_and_those_of_other_epochs_are_not)
{
    struct salvage_log log;
    struct pending_frame frame;

    plant();
    open_log(&log, &meta);
    ck_assert_uint_eq(log.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        size_t at = salvage_log_find(&log, 11 + i);
        ck_assert_uint_eq(at, i);
        ck_assert_int_eq(salvage_log_read(&log, at, &frame, NULL), BTS_OK);
        ck_assert_uint_eq(frame.txnid, 11 + i);
    }
    ck_assert_uint_eq(log.durable, 12);
    ck_assert_uint_eq(salvage_log_find(&log, 14), log.count);
    salvage_log_close(&log);
}
END_TEST

START_TEST(a_frame_with_a_flipped_bit_is_known_by_its_header_alone)
{
    struct salvage_log log;
    size_t at;

    plant();
    bytes[2 * PENDING_BLOCK + 60] ^= 4;
    open_log(&log, &meta);
    at = salvage_log_find(&log, 11);
    ck_assert_uint_lt(at, log.count);
    ck_assert_uint_eq(log.frame[at].size, 0);
    ck_assert_uint_ne(log.frame[salvage_log_find(&log, 12)].size, 0);
    salvage_log_close(&log);
}
END_TEST

START_TEST(a_damaged_segment_header_hides_no_frame)
{
    struct salvage_log log;

    plant();
    bytes[SEGMENT + 20] ^= 1;
    open_log(&log, &meta);
    ck_assert_uint_eq(log.count, 3);
    salvage_log_close(&log);
}
END_TEST

START_TEST(a_segment_of_another_store_is_left_out)
{
    struct salvage_log log;

    plant();
    add_segment(1, EPOCH, 0xcd);
    open_log(&log, &meta);
    ck_assert_uint_eq(log.count, 1);
    salvage_log_close(&log);
}
END_TEST

START_TEST(without_a_meta_the_newest_epoch_is_taken)
{
    struct salvage_log log;

    plant();
    open_log(&log, NULL);
    ck_assert_uint_eq(log.epoch, EPOCH);
    ck_assert_uint_eq(log.count, 3);
    salvage_log_close(&log);
}
END_TEST

START_TEST(no_bytes_make_it_read_outside)
{
    uint64_t state = 1;

    for (unsigned round = 0; round < 50; round++) {
        struct salvage_log log;
        plant();
        for (unsigned i = 0; i < 200; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bytes[(state >> 20) % (sizeof(bytes) / 64) * 64 + i % 48] = (uint8_t)(state >> 56);
        }
        open_log(&log, &meta);
        for (size_t i = 0; i < log.count; i++) {
            struct pending_frame frame;
            ck_assert_uint_gt(log.frame[i].txnid, 10);
            ck_assert(log.frame[i].size == 0 ||
                      salvage_log_read(&log, i, &frame, NULL) == BTS_OK);
        }
        salvage_log_close(&log);
    }
}
END_TEST

START_TEST(a_log_that_is_not_there_has_no_frames)
{
    struct salvage_log log;

    ck_assert_int_eq(salvage_log_open(&log, "/nowhere/a.pending", &meta, 10, NULL), BTS_OK);
    ck_assert_int_lt(log.fd, 0);
    ck_assert_uint_eq(log.count, 0);
    salvage_log_close(&log);
}
END_TEST

int main(void)
{
    return UNIT_RUN("salvage_log",
                    frames_behind_the_commit_are_found_and_those_of_other_epochs_are_not,
                    a_frame_with_a_flipped_bit_is_known_by_its_header_alone,
                    a_damaged_segment_header_hides_no_frame,
                    a_segment_of_another_store_is_left_out,
                    without_a_meta_the_newest_epoch_is_taken, no_bytes_make_it_read_outside,
                    a_log_that_is_not_there_has_no_frames);
}
