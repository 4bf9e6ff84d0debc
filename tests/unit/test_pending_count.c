/* SPDX-License-Identifier: MIT */
/*
 * Tests of client/pending_count with logs built frame by frame.
 */
#include "client/pending_count.h"

#include "format/batch.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT PENDING_SEGMENT_SIZE_MIN
#define SEGMENTS 4
#define EPOCH 7

/* A log in memory, and the meta that it continues. */
struct log {
    uint8_t bytes[SEGMENTS * SEGMENT];
    size_t size;
    struct meta meta;
};

static struct log *new_log(void)
{
    struct log *log = calloc(1, sizeof(*log));

    log->size = sizeof(log->bytes);
    log->meta = (struct meta){.page_size = 4096,
                              .txnid = 10,
                              .log_epoch = EPOCH,
                              .log_position = PENDING_BLOCK};
    memset(log->meta.uuid, 0xab, sizeof(log->meta.uuid));
    return log;
}

static void add_segment(struct log *log, unsigned place, uint64_t epoch, uint64_t sequence)
{
    struct pending_segment segment = {
        .segment_size = SEGMENT, .epoch = epoch, .sequence = sequence, .first_txnid = 11};

    memcpy(segment.uuid, log->meta.uuid, sizeof(segment.uuid));
    pending_segment_encode(&segment, log->bytes + place * SEGMENT);
}

/* Writes a frame of one small batch at an offset; returns where it ends. */
static size_t add_frame(struct log *log, size_t offset, uint64_t epoch, txnid_t txnid,
                        txnid_t durable)
{
    uint8_t *frame = log->bytes + offset;
    uint8_t *body = frame + PENDING_FRAME_HEADER_SIZE;
    struct batch batch = {.data = NULL};
    size_t size;

    ck_assert_int_eq(batch_add(&batch, BATCH_PUT, 0, "key", 3, "value", 5, NULL), BTS_OK);
    const uint8_t *bytes = batch_bytes(&batch, &size);
    uint32_t size32 = (uint32_t)size;
    memcpy(body, &size32, 4);
    memcpy(body + 4, bytes, size);
    batch_fini(&batch);
    pending_frame_seal(frame, epoch, txnid, durable, 1, size + 4);
    return offset + pending_frame_size(size + 4);
}

/* `count` frames from txnid `first` on, each saying that the one before is durable. */
static size_t add_frames(struct log *log, size_t offset, txnid_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        offset = add_frame(log, offset, EPOCH, first + i, first + i - 1);
    }
    return offset;
}

static void expect(struct log *log, enum bts_status status, uint64_t count)
{
    char path[] = "/tmp/bts-unit-XXXXXX";
    int fd = mkstemp(path);
    struct bts_error error = {.text = ""};
    uint64_t found = 99;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, log->bytes, log->size), (ssize_t)log->size);
    close(fd);
    ck_assert_int_eq(pending_count(path, &log->meta, &found, &error), status);
    ck_assert_uint_eq(found, count);
    found = 99;
    ck_assert_int_eq(pending_count(path, &log->meta, &found, NULL), status);
    ck_assert_uint_eq(found, count);
    unlink(path);
    free(log);
}

START_TEST(a_missing_or_empty_log_is_damage)
{
    struct meta meta = {.page_size = 4096};
    struct log *log = new_log();
    uint64_t count = 99;

    ck_assert_int_eq(pending_count("/nonexistent/log", &meta, &count, NULL), BTS_DAMAGED);
    ck_assert_uint_eq(count, 0);
    log->size = 0;
    expect(log, BTS_DAMAGED, 0);
    expect(new_log(), BTS_DAMAGED, 0); /* zeros */
}
END_TEST

/* As recovery has it: its first segment was durable before the meta that names it. */
START_TEST(a_log_that_does_not_reach_back_to_the_meta_is_damage)
{
    struct log *log = new_log();

    add_segment(log, 0, EPOCH, 0);
    add_frames(log, PENDING_BLOCK, 11, 3);
    log->bytes[40] ^= 1; /* its sequence number */
    expect(log, BTS_DAMAGED, 0);
    log = new_log();
    add_segment(log, 0, EPOCH, 1);
    add_frames(log, PENDING_BLOCK, 11, 3);
    expect(log, BTS_DAMAGED, 0);
    log = new_log();
    add_segment(log, 0, EPOCH, 0); /* full to its end, and no next one yet */
    log->meta.log_position = SEGMENT;
    expect(log, BTS_OK, 0);
}
END_TEST

START_TEST(frames_are_counted_up_to_the_first_that_is_missing)
{
    struct log *log = new_log();

    add_segment(log, 0, EPOCH, 0);
    add_frames(log, PENDING_BLOCK, 11, 5);
    expect(log, BTS_OK, 5);
}
END_TEST

START_TEST(replay_starts_at_the_metas_position)
{
    struct log *log = new_log();
    size_t behind;

    add_segment(log, 0, EPOCH, 0);
    behind = add_frames(log, PENDING_BLOCK, 9, 2); /* 9 and 10 are in the checkpoint */
    add_frames(log, behind, 11, 3);
    log->meta.log_position = behind;
    expect(log, BTS_OK, 3);
}
END_TEST

/* A frame begins at a block: a meta that names another place is damaged or lies. */
START_TEST(a_position_inside_a_block_is_damage)
{
    static const uint64_t inside[] = {1, PENDING_BLOCK - 1, PENDING_BLOCK + 8,
                                      SEGMENT + 3 * PENDING_BLOCK + 512, UINT64_MAX};

    for (unsigned i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        struct log *log = new_log();
        add_segment(log, 0, EPOCH, 0);
        add_segment(log, 1, EPOCH, 1);
        add_frames(log, PENDING_BLOCK, 11, 3);
        log->meta.log_position = inside[i];
        expect(log, BTS_DAMAGED, 0);
    }
}
END_TEST

/* The file shrinks all the time; whatever is found, no load may fail. */
START_TEST(a_log_that_is_cut_short_meanwhile_never_crashes_it)
{
    char path[] = "/tmp/bts-unit-XXXXXX";
    struct log *log = new_log();
    int fd = mkstemp(path);
    uint64_t count;
    pid_t cutter;

    add_segment(log, 0, EPOCH, 0);
    add_segment(log, 1, EPOCH, 1);
    add_frames(log, PENDING_BLOCK, 11, SEGMENT / PENDING_BLOCK - 1);
    ck_assert_int_eq(write(fd, log->bytes, log->size), (ssize_t)log->size);
    cutter = fork();
    if (cutter == 0) {
        for (;;) {
            if (ftruncate(fd, PENDING_BLOCK) != 0 ||
                pwrite(fd, log->bytes, log->size, 0) != (ssize_t)log->size) {
                _exit(1);
            }
        }
    }
    for (unsigned i = 0; i < 1000; i++) {
        enum bts_status status = pending_count(path, &log->meta, &count, NULL);
        ck_assert_msg(status == BTS_OK || status == BTS_DAMAGED, "status %d", (int)status);
    }
    kill(cutter, SIGKILL);
    waitpid(cutter, NULL, 0);
    close(fd);
    unlink(path);
    free(log);
}
END_TEST

START_TEST(the_log_goes_on_in_the_segment_with_the_next_number)
{
    struct log *log = new_log();

    add_segment(log, 3, EPOCH, 4);
    add_frames(log, 3 * SEGMENT + PENDING_BLOCK, 11, 2);
    add_segment(log, 1, EPOCH, 5); /* segments are used in any order */
    add_frames(log, SEGMENT + PENDING_BLOCK, 13, 4);
    add_segment(log, 0, EPOCH - 1, 6); /* an older use */
    add_frame(log, PENDING_BLOCK, EPOCH - 1, 17, 16);
    log->meta.log_position = 4 * SEGMENT + PENDING_BLOCK;
    expect(log, BTS_OK, 6);
}
END_TEST

START_TEST(a_torn_frame_ends_the_log)
{
    struct log *log = new_log();
    size_t last;

    add_segment(log, 0, EPOCH, 0);
    last = add_frames(log, PENDING_BLOCK, 11, 2);
    add_frame(log, last, EPOCH, 13, 12);
    log->bytes[last + 60] ^= 1;
    expect(log, BTS_OK, 2);
}
END_TEST

START_TEST(a_frame_that_was_durable_and_is_not_whole_is_damage)
{
    struct log *log = new_log();
    size_t middle, last;

    add_segment(log, 0, EPOCH, 0);
    middle = add_frames(log, PENDING_BLOCK, 11, 2);
    last = add_frame(log, middle, EPOCH, 13, 12);
    add_frame(log, last, EPOCH, 14, 13); /* 13 was durable when this was written */
    log->bytes[middle + 60] ^= 1;
    expect(log, BTS_DAMAGED, 2);
}
END_TEST

START_TEST(a_batch_that_makes_no_sense_is_damage)
{
    struct log *log = new_log();
    uint8_t *body = log->bytes + PENDING_BLOCK + PENDING_FRAME_HEADER_SIZE;

    add_segment(log, 0, EPOCH, 0);
    add_frame(log, PENDING_BLOCK, EPOCH, 11, 10);
    body[4] ^= 1; /* the batch's magic; the frame is sealed again */
    uint32_t size;
    memcpy(&size, body, 4);
    pending_frame_seal(log->bytes + PENDING_BLOCK, EPOCH, 11, 10, 1, size + 4);
    expect(log, BTS_DAMAGED, 0);
}
END_TEST

START_TEST(random_bytes_never_crash_it)
{
    uint64_t state = 42;

    for (unsigned round = 0; round < 200; round++) {
        struct log *log = new_log();
        uint64_t count;
        char path[] = "/tmp/bts-unit-XXXXXX";
        int fd = mkstemp(path);

        add_segment(log, 0, EPOCH, 0);
        add_segment(log, 1, EPOCH, 1);
        add_frames(log, SEGMENT + PENDING_BLOCK, 14, 2);
        add_frames(log, PENDING_BLOCK, 11, 3);
        for (unsigned i = 0; i < 30; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            /* Mostly in headers, where it hurts. */
            log->bytes[(state >> 8) % (3 * SEGMENT) / PENDING_BLOCK * PENDING_BLOCK +
                       (state >> 40) % 80] = (uint8_t)state;
        }
        log->size = SEGMENT + state % (2 * SEGMENT);
        ck_assert_int_eq(write(fd, log->bytes, log->size), (ssize_t)log->size);
        close(fd);
        enum bts_status status = pending_count(path, &log->meta, &count, NULL);
        ck_assert(status == BTS_OK || status == BTS_DAMAGED);
        unlink(path);
        free(log);
    }
}
END_TEST

int main(void)
{
    return UNIT_RUN("pending_count", a_missing_or_empty_log_is_damage,
                    a_log_that_does_not_reach_back_to_the_meta_is_damage,
                    frames_are_counted_up_to_the_first_that_is_missing,
                    replay_starts_at_the_metas_position, a_position_inside_a_block_is_damage,
                    a_log_that_is_cut_short_meanwhile_never_crashes_it,
                    the_log_goes_on_in_the_segment_with_the_next_number, a_torn_frame_ends_the_log,
                    a_frame_that_was_durable_and_is_not_whole_is_damage,
                    a_batch_that_makes_no_sense_is_damage, random_bytes_never_crash_it);
}
