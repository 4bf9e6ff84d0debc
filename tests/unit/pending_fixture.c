/* SPDX-License-Identifier: MIT */
/* pending_fixture: see pending_fixture.h. */
#include "pending_fixture.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const uint8_t pending_uuid[16] = {1, 2, 3, 4};
struct pending_log pending_log_file;
txnid_t pending_durable;
static char pending_path[256];
static struct pending_buffer buffer;

void pending_setup(void)
{
    const char *directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

    snprintf(pending_path, sizeof(pending_path), "%s/test_pending_log.%d",
             directory != NULL ? directory : "/tmp", (int)getpid());
    unlink(pending_path);
    pending_log_init(&pending_log_file);
    pending_durable = 0;
}

void pending_teardown(void)
{
    pending_log_close(&pending_log_file);
    pending_buffer_fini(&buffer);
    unlink(pending_path);
}

enum bts_status pending_open_as(const uint8_t id[16], struct bts_error *error)
{
    pending_log_close(&pending_log_file);
    return pending_log_open(&pending_log_file, &file_system_real, pending_path, id, SEGMENT,
                            (uint64_t)SEGMENTS * SEGMENT, error);
}

void pending_reopen(void)
{
    struct bts_error error;

    ck_assert_msg(pending_open_as(pending_uuid, &error) == BTS_OK, "%s", error.text);
}

void pending_begin(uint64_t epoch, txnid_t first)
{
    struct bts_error error;

    ck_assert_msg(pending_log_begin(&pending_log_file, epoch, first, &error) == BTS_OK, "%s",
                  error.text);
    pending_log_check(&pending_log_file);
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
enum bts_status pending_append(size_t size, txnid_t txnid, struct pending_place *place)
{
    struct bts_error error;
    enum bts_status status =
        pending_log_reserve(&pending_log_file, pending_buffer_need(size), &error);

    if (status != BTS_OK)
        return status;
    buffer_batch(size, txnid);
    pending_log_place(&pending_log_file, &buffer, txnid, pending_durable, place);
    ck_assert_msg(pending_log_write(&pending_log_file, &buffer, place, true, &error) == BTS_OK,
                  "%s", error.text);
    pending_log_check(&pending_log_file);
    return BTS_OK;
}

/* Appends frames `from` .. `to`; the position behind the last. */
uint64_t pending_append_many(txnid_t from, txnid_t to, size_t size)
{
    struct pending_place place = {.end = pending_log_position(&pending_log_file)};

    for (txnid_t txnid = from; txnid <= to; txnid++) {
        ck_assert_int_eq(pending_append(size, txnid, &place), BTS_OK);
        pending_durable = txnid;
    }
    return place.end;
}

#define SEEN_MAX 4096u

struct seen {
    txnid_t last;
    uint64_t count;
    struct pending_frame frames[SEEN_MAX]; /* whose bytes are there still */
    size_t frame_count;
};

static void assert_content(const struct pending_frame *frame)
{
    struct pending_body_reader reader = {frame->body, frame->body + frame->body_size};
    const uint8_t *batch;
    size_t size;

    ck_assert(pending_body_next(&reader, &batch, &size));
    ck_assert(is_content(batch, size, frame->txnid));
}

static enum bts_status see_frame(void *context, const struct pending_frame *frame,
                                 struct bts_error *error)
{
    struct seen *seen = context;

    (void)error;
    ck_assert_uint_eq(frame->txnid, seen->last + 1);
    assert_content(frame);
    seen->last = frame->txnid;
    seen->count++;
    ck_assert_uint_lt(seen->frame_count, SEEN_MAX);
    seen->frames[seen->frame_count++] = *frame;
    return BTS_OK;
}

/* All that was handed out since the last time is there as it was. */
static enum bts_status see_again(void *context, struct bts_error *error)
{
    struct seen *seen = context;

    (void)error;
    while (seen->frame_count > 0)
        assert_content(&seen->frames[--seen->frame_count]);
    return BTS_OK;
}

/* Opens the log anew and replays from the claim; how many frames came. */
uint64_t pending_replay(const struct pending_claim *claim)
{
    struct pending_found found;
    static struct seen seen;
    struct bts_error error;

    seen.last = claim->txnid;
    seen.count = seen.frame_count = 0;
    pending_reopen();
    pending_log_file.kept_size = KEPT_SEGMENTS * SEGMENT;
    ck_assert_msg(pending_log_scan(&pending_log_file, claim, &found, &error) == BTS_OK, "%s",
                  error.text);
    ck_assert_msg(pending_log_replay(&pending_log_file, claim, see_frame, see_again, &seen,
                                     &error) == BTS_OK, "%s", error.text);
    ck_assert_uint_eq(seen.frame_count, 0);
    ck_assert_uint_eq(seen.count, found.frame_count);
    ck_assert_uint_eq(seen.last, found.last_txnid);
    return seen.count;
}

enum bts_status pending_scan(const struct pending_claim *claim, struct bts_error *error)
{
    struct pending_found found;

    pending_reopen();
    return pending_log_scan(&pending_log_file, claim, &found, error);
}

void pending_overwrite(uint64_t offset, const void *bytes, size_t size)
{
    int fd = open(pending_path, O_RDWR);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
    close(fd);
}

struct pending_claim pending_claim_at(uint64_t epoch, uint64_t position, txnid_t txnid)
{
    return (struct pending_claim){.epoch = epoch, .position = position, .txnid = txnid};
}

int pending_open_raw(void)
{
    return open(pending_path, O_RDONLY);
}
