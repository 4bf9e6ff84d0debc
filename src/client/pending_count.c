/* SPDX-License-Identifier: MIT */
/*
 * pending_count: find the segments of the meta's epoch, walk their frames.
 *
 * The log ends at the first frame that is missing or not whole.  It is damaged
 * if a later whole frame says that one of those was durable, or if it does not
 * reach back to the meta's position: then it is not known what followed.
 */
#include "client/pending_count.h"

#include "base/err.h"
#include "format/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The log, mapped, and where the walk is. */
struct pending_walk {
    const uint8_t *data;
    size_t size;
    const struct meta *meta;
    size_t segment_size;
    uint64_t frame_count;
    txnid_t txnid;   /* of the last whole frame */
};

/* ---- segments -------------------------------------------------------------------- */

/* The segment at `offset`, if one of this store and epoch begins there. */
static bool pending_segment_at(const struct pending_walk *walk, size_t offset,
                               struct pending_segment *segment)
{
    return walk->size - offset >= PENDING_BLOCK &&
           pending_segment_decode(walk->data + offset, segment, NULL) == BTS_OK &&
           memcmp(segment->uuid, walk->meta->uuid, sizeof(segment->uuid)) == 0 &&
           segment->epoch == walk->meta->log_epoch;
}

/* All segments have one size: that of the first header that can be read. */
static bool pending_find_size(struct pending_walk *walk)
{
    struct pending_segment segment;

    for (size_t offset = 0; offset + PENDING_BLOCK <= walk->size;
         offset += PENDING_SEGMENT_SIZE_MIN) {
        if (pending_segment_decode(walk->data + offset, &segment, NULL) == BTS_OK) {
            walk->segment_size = segment.segment_size;
            return segment.segment_size >= PENDING_SEGMENT_SIZE_MIN &&
                   segment.segment_size <= PENDING_SEGMENT_SIZE_MAX;
        }
    }
    return false;
}

static const uint8_t *pending_find_segment(const struct pending_walk *walk, uint64_t sequence)
{
    struct pending_segment segment;

    for (size_t offset = 0; offset < walk->size; offset += walk->segment_size) {
        if (pending_segment_at(walk, offset, &segment) && segment.sequence == sequence) {
            return walk->data + offset;
        }
    }
    return NULL;
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
 * Walks the frames of one segment from `offset`.  *ended: the log ends in it;
 * else the next segment goes on.
 */
static enum bts_status pending_walk_segment(struct pending_walk *walk, const uint8_t *segment,
                                            size_t offset, bool *ended, struct bts_error *error)
{
    size_t limit = walk->segment_size;

    if (limit > walk->size - (size_t)(segment - walk->data)) {
        limit = walk->size - (size_t)(segment - walk->data);
    }
    *ended = false;
    while (offset + PENDING_BLOCK <= limit) {
        struct pending_frame frame;
        enum pending_frame_fault fault = pending_frame_decode(
            segment + offset, limit - offset, walk->meta->log_epoch, &frame);
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
static txnid_t pending_newest_durable(const struct pending_walk *walk)
{
    struct pending_frame frame;
    txnid_t durable = 0;

    for (size_t offset = 0; offset + PENDING_BLOCK <= walk->size; offset += PENDING_BLOCK) {
        size_t left = walk->segment_size - offset % walk->segment_size;
        if (left > walk->size - offset) {
            left = walk->size - offset;
        }
        if (pending_frame_decode(walk->data + offset, left, walk->meta->log_epoch, &frame) ==
                PENDING_FRAME_OK &&
            frame.durable > durable) {
            durable = frame.durable;
        }
    }
    return durable;
}

/* The segment with the byte before the meta's position was durable before the meta was. */
static enum bts_status pending_check_reach(struct pending_walk *walk, struct bts_error *error)
{
    uint64_t position = walk->meta->log_position;

    if (pending_find_size(walk) &&
        pending_find_segment(walk, position > 0 ? (position - 1) / walk->segment_size : 0) !=
            NULL) {
        return BTS_OK;
    }
    return err_set(error, BTS_DAMAGED,
                   "pending log: does not reach back to checkpoint %llu (a segment of epoch %llu "
                   "is missing): it is damaged or of another state of the store",
                   (unsigned long long)walk->meta->txnid,
                   (unsigned long long)walk->meta->log_epoch);
}

static enum bts_status pending_walk_all(struct pending_walk *walk, struct bts_error *error)
{
    uint64_t sequence;
    size_t offset;
    bool ended = false;

    if (pending_check_reach(walk, error) != BTS_OK) {
        return BTS_DAMAGED;
    }
    sequence = walk->meta->log_position / walk->segment_size;
    offset = walk->meta->log_position % walk->segment_size;
    while (!ended) {
        const uint8_t *segment = pending_find_segment(walk, sequence);
        enum bts_status status;
        if (segment == NULL) {
            break;
        }
        offset = offset < PENDING_BLOCK ? PENDING_BLOCK : offset;
        status = pending_walk_segment(walk, segment, offset, &ended, error);
        if (status != BTS_OK) {
            return status;
        }
        sequence++;
        offset = PENDING_BLOCK;
    }
    if (pending_newest_durable(walk) > walk->txnid) {
        return err_set(error, BTS_DAMAGED,
                       "pending log: the frame after txnid %llu is not whole, but was durable",
                       (unsigned long long)walk->txnid);
    }
    return BTS_OK;
}

enum bts_status pending_count(const char *path, const struct meta *meta, uint64_t *frame_count,
                              struct bts_error *error)
{
    struct pending_walk walk = {.meta = meta, .txnid = meta->txnid};
    struct bts_error own; /* pending_check_batches reads the text that it goes around */
    struct stat stat;
    void *data = MAP_FAILED;
    enum bts_status status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *frame_count = 0;
    if (fd < 0 && errno == ENOENT) {
        return err_set(error, BTS_DAMAGED,
                       "pending log: is missing, but the store was not stopped cleanly: commits "
                       "after %llu are in it",
                       (unsigned long long)meta->txnid);
    }
    if (fd < 0 || fstat(fd, &stat) != 0) {
        status = err_set_errno(error, BTS_IO, errno, "pending log: cannot open it");
    } else if (stat.st_size < (off_t)PENDING_BLOCK) {
        status = err_set(error, BTS_DAMAGED, "pending log: %lld bytes are no log",
                         (long long)stat.st_size);
    } else {
        walk.size = (size_t)stat.st_size;
        data = mmap(NULL, walk.size, PROT_READ, MAP_SHARED, fd, 0);
        walk.data = data;
        status = data != MAP_FAILED ? pending_walk_all(&walk, error != NULL ? error : &own)
                                    : err_set_errno(error, BTS_IO, errno, "pending log: mmap");
    }
    if (data != MAP_FAILED) {
        munmap(data, walk.size);
    }
    if (fd >= 0) {
        close(fd);
    }
    *frame_count = walk.frame_count;
    return status;
}
