/* SPDX-License-Identifier: MIT */
/*
 * pending_count: find the segments of the meta's epoch, walk their frames.
 *
 * The log ends at the first frame that is missing or not whole.  It is damaged
 * if a later whole frame says that one of those was durable, or if it does not
 * reach back to the meta's position: then it is not known what followed.
 *
 * A segment is read whole into memory: the log may be cut short meanwhile.
 */
#include "client/pending_count.h"

#include "base/err.h"
#include "format/batch.h"
#include "read/page_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The log, one segment of it, and where the walk is. */
struct pending_walk {
    int fd;
    uint64_t size;         /* of the file, when it was opened */
    const struct meta *meta;
    size_t segment_size;
    uint8_t *segment;      /* room for one */
    size_t segment_read;   /* bytes of it that were there */
    uint64_t frame_count;
    txnid_t txnid;   /* of the last whole frame */
};

/* ---- segments -------------------------------------------------------------------- */

/* The header at `offset`; false: none. */
static bool pending_read_header(const struct pending_walk *walk, uint64_t offset,
                                struct pending_segment *segment)
{
    uint8_t block[PENDING_BLOCK];

    return page_copy_bytes(walk->fd, block, sizeof(block), offset) == sizeof(block) &&
           pending_segment_decode(block, segment, NULL) == BTS_OK;
}

/* Whether the segment at `offset` is of this store and epoch. */
static bool pending_segment_at(const struct pending_walk *walk, uint64_t offset,
                               struct pending_segment *segment)
{
    return pending_read_header(walk, offset, segment) &&
           memcmp(segment->uuid, walk->meta->uuid, sizeof(segment->uuid)) == 0 &&
           segment->epoch == walk->meta->log_epoch;
}

/* All segments have one size: that of the first header that can be read. */
static bool pending_find_size(struct pending_walk *walk)
{
    struct pending_segment segment;

    for (uint64_t offset = 0; offset + PENDING_BLOCK <= walk->size;
         offset += PENDING_SEGMENT_SIZE_MIN) {
        if (pending_read_header(walk, offset, &segment)) {
            walk->segment_size = segment.segment_size;
            return segment.segment_size >= PENDING_SEGMENT_SIZE_MIN &&
                   segment.segment_size <= PENDING_SEGMENT_SIZE_MAX;
        }
    }
    return false;
}

/* Room for a segment, no larger than the file. */
static enum bts_status pending_reserve(struct pending_walk *walk, struct bts_error *error)
{
    size_t room = walk->segment_size < walk->size ? walk->segment_size : (size_t)walk->size;

    walk->segment = malloc(room);
    return walk->segment != NULL ? BTS_OK
                                 : err_set(error, BTS_NO_MEMORY,
                                           "pending log: no memory for a segment of %zu bytes",
                                           room);
}

/* Reads the segment at `offset`, as far as it is there. */
static void pending_read_segment(struct pending_walk *walk, uint64_t offset)
{
    uint64_t left = walk->size - offset;

    walk->segment_read =
        page_copy_bytes(walk->fd, walk->segment,
                        left < walk->segment_size ? (size_t)left : walk->segment_size, offset);
}

/* Where the segment with this number lies; false: nowhere. */
static bool pending_find_segment(const struct pending_walk *walk, uint64_t sequence,
                                 uint64_t *offset)
{
    struct pending_segment segment;

    for (*offset = 0; *offset < walk->size; *offset += walk->segment_size) {
        if (pending_segment_at(walk, *offset, &segment) && segment.sequence == sequence) {
            return true;
        }
    }
    return false;
}

/* ---- frames ---------------------------------------------------------------------- */

static enum bts_status pending_check_batches(const struct pending_walk *walk,
                                             const struct pending_frame *frame,
                                             struct bts_error *error)
{
    struct pending_body_reader reader = {frame->body, frame->body + frame->body_size};
    const uint8_t *batch;
    size_t batch_size;
    uint32_t count = 0;

    while (pending_body_next(&reader, &batch, &batch_size)) {
        enum bts_status status = batch_check(batch, batch_size, walk->meta->page_size, error);
        if (status != BTS_OK) {
            return err_set(error, BTS_DAMAGED, "pending log: frame of txnid %llu: %s",
                           (unsigned long long)frame->txnid, error->text);
        }
        count++;
    }
    if (count != frame->batch_count) {
        return err_set(error, BTS_DAMAGED, "pending log: frame of txnid %llu: %u batches, not %u",
                       (unsigned long long)frame->txnid, count, frame->batch_count);
    }
    return BTS_OK;
}

/*
 * Walks the frames of the segment in memory from `offset`.  *ended: the log
 * ends in it; else the next segment goes on.
 */
static enum bts_status pending_walk_segment(struct pending_walk *walk, size_t offset, bool *ended,
                                            struct bts_error *error)
{
    size_t limit = walk->segment_read;

    *ended = false;
    while (offset + PENDING_BLOCK <= limit) {
        struct pending_frame frame;
        enum pending_frame_fault fault = pending_frame_decode(
            walk->segment + offset, limit - offset, walk->meta->log_epoch, &frame);
        if (fault == PENDING_FRAME_NONE) {
            return BTS_OK; /* the rest of the segment was skipped, or nothing follows */
        }
        if (fault != PENDING_FRAME_OK || frame.txnid > walk->txnid + 1) {
            *ended = true;
            return BTS_OK;
        }
        if (frame.txnid == walk->txnid + 1) {
            enum bts_status status = pending_check_batches(walk, &frame, error);
            if (status != BTS_OK) {
                return status;
            }
            walk->txnid = frame.txnid;
            walk->frame_count++;
        }
        offset += pending_frame_size(frame.body_size);
    }
    return BTS_OK;
}

/* The newest txnid that any whole frame of the epoch says was durable. */
static txnid_t pending_newest_durable(struct pending_walk *walk)
{
    struct pending_frame frame;
    txnid_t durable = 0;

    for (uint64_t start = 0; start < walk->size; start += walk->segment_size) {
        pending_read_segment(walk, start);
        for (size_t offset = 0; offset + PENDING_BLOCK <= walk->segment_read;
             offset += PENDING_BLOCK) {
            if (pending_frame_decode(walk->segment + offset, walk->segment_read - offset,
                                     walk->meta->log_epoch, &frame) == PENDING_FRAME_OK &&
                frame.durable > durable) {
                durable = frame.durable;
            }
        }
    }
    return durable;
}

/* The segment with the byte before the meta's position was durable before the meta was. */
static enum bts_status pending_check_reach(struct pending_walk *walk, struct bts_error *error)
{
    uint64_t position = walk->meta->log_position;
    uint64_t offset;

    if (position % PENDING_BLOCK != 0) {
        return err_set(error, BTS_DAMAGED,
                       "pending log: checkpoint %llu goes on at position %llu of it, where no "
                       "frame can begin",
                       (unsigned long long)walk->meta->txnid, (unsigned long long)position);
    }
    if (pending_find_size(walk) &&
        pending_find_segment(walk, position > 0 ? (position - 1) / walk->segment_size : 0,
                             &offset)) {
        return BTS_OK;
    }
    return err_set(error, BTS_DAMAGED,
                   "pending log: does not reach back to checkpoint %llu (a segment of epoch %llu "
                   "is missing): it is damaged or of another state of the store",
                   (unsigned long long)walk->meta->txnid,
                   (unsigned long long)walk->meta->log_epoch);
}

/* The frames from the meta's position to the end of the log. */
static enum bts_status pending_walk_frames(struct pending_walk *walk, struct bts_error *error)
{
    uint64_t sequence = walk->meta->log_position / walk->segment_size;
    size_t offset = walk->meta->log_position % walk->segment_size;
    enum bts_status status = BTS_OK;
    uint64_t start;
    bool ended = false;

    while (status == BTS_OK && !ended && pending_find_segment(walk, sequence, &start)) {
        pending_read_segment(walk, start);
        offset = offset < PENDING_BLOCK ? PENDING_BLOCK : offset;
        status = pending_walk_segment(walk, offset, &ended, error);
        sequence++;
        offset = PENDING_BLOCK;
    }
    return status;
}

static enum bts_status pending_walk_all(struct pending_walk *walk, struct bts_error *error)
{
    enum bts_status status = pending_check_reach(walk, error);
    struct stat stat;

    if (status == BTS_OK) {
        status = pending_reserve(walk, error);
    }
    if (status == BTS_OK) {
        status = pending_walk_frames(walk, error);
    }
    if (status == BTS_OK && pending_newest_durable(walk) > walk->txnid) {
        status = err_set(error, BTS_DAMAGED,
                         "pending log: the frame after txnid %llu is not whole, but was durable",
                         (unsigned long long)walk->txnid);
    }
    if (status == BTS_OK && (fstat(walk->fd, &stat) != 0 || (uint64_t)stat.st_size < walk->size)) {
        status = err_set(error, BTS_DAMAGED, "pending log: was cut short while it was read");
    }
    return status;
}

enum bts_status pending_count(const char *path, const struct meta *meta, uint64_t *frame_count,
                              struct bts_error *error)
{
    struct pending_walk walk = {.meta = meta, .txnid = meta->txnid};
    struct bts_error own; /* pending_check_batches reads the text that it goes around */
    struct stat stat;
    enum bts_status status;

    *frame_count = 0;
    error = error != NULL ? error : &own;
    walk.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (walk.fd < 0 && errno == ENOENT) {
        return err_set(error, BTS_DAMAGED,
                       "pending log: is missing, but the store was not stopped cleanly: commits "
                       "after %llu are in it",
                       (unsigned long long)meta->txnid);
    }
    if (walk.fd < 0 || fstat(walk.fd, &stat) != 0) {
        status = err_set_errno(error, BTS_IO, errno, "pending log: cannot open it");
    } else if (stat.st_size < (off_t)PENDING_BLOCK) {
        status = err_set(error, BTS_DAMAGED, "pending log: %lld bytes are no log",
                         (long long)stat.st_size);
    } else {
        walk.size = (uint64_t)stat.st_size;
        status = pending_walk_all(&walk, error);
    }
    free(walk.segment);
    if (walk.fd >= 0) {
        close(walk.fd);
    }
    *frame_count = walk.frame_count;
    return status;
}
