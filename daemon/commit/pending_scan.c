/* SPDX-License-Identifier: MIT */
/*
 * pending_scan: read the pending log back, for recovery.
 *
 * A meta claims an epoch and a position.  From there frames are taken as long
 * as each is whole, of this epoch, and numbered one above the one before; the
 * first that is not ends the log.  Behind the end lies whatever was there:
 * zeros, an earlier use of the segment, a frame that was never synced.
 *
 * But if any frame further on says that the missing one was durable when it
 * was written, then the end is a hole: an acknowledged commit is gone, and
 * that is told, never passed over.
 */
#include "commit/pending_log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"

/* The system gives memory in pages of this size, if it is asked and has them. */
#define PENDING_LARGE_PAGE ((size_t)2 << 20)

/* A walk over the frames from a claim's position on. */
struct pending_walk {
    struct pending_log *log;
    uint64_t epoch;
    uint64_t sequence;
    size_t index;   /* of the segment at work */
    size_t offset;
    txnid_t expected;
    uint8_t *bytes; /* of the segment at work: the last of those kept */
    bool loaded;
    uint8_t **kept; /* owned, as the segments' bytes are; the rest is NULL */
    size_t kept_count;
    size_t kept_max;
    pending_log_done *done;
    void *context;
};

/* Reads a segment, from the byte `from` of it on, to where it lies in `bytes`. */
static enum bts_status pending_load_from(const struct pending_log *log, size_t index,
                                         size_t from, uint8_t *bytes, struct bts_error *error)
{
    return file_read(&log->file, bytes + from, log->segment_size - from,
                     (uint64_t)index * log->segment_size + from, error);
}

static enum bts_status pending_load(const struct pending_log *log, size_t index, uint8_t *bytes,
                                    struct bts_error *error)
{
    return pending_load_from(log, index, 0, bytes, error);
}

static enum bts_status pending_new_bytes(const struct pending_log *log, uint8_t **bytes,
                                         struct bts_error *error)
{
    size_t alignment = log->segment_size % PENDING_LARGE_PAGE == 0 ? PENDING_LARGE_PAGE
                                                                   : PENDING_BLOCK;
    void *memory;

    *bytes = NULL;
    if (posix_memalign(&memory, alignment, log->segment_size) != 0)
        return err_set(error, BTS_NO_MEMORY, "%s: no memory for a segment of %u bytes",
                       log->file.path, log->segment_size);
    if (alignment == PENDING_LARGE_PAGE) /* a hint: one fault instead of 512 */
        (void)madvise(memory, log->segment_size, MADV_HUGEPAGE);
    *bytes = memory;
    return BTS_OK;
}

/* The segment `sequence` of `epoch`: its index, or -1. */
static ssize_t pending_find(const struct pending_log *log, uint64_t epoch, uint64_t sequence)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct pending_log_segment *segment = &log->segments[i];
        if (segment->known && segment->epoch == epoch && segment->sequence == sequence)
            return (ssize_t)i;
    }
    return -1;
}

/* The first segment that a claim needs: the one with the byte before its position. */
static uint64_t pending_claim_sequence(const struct pending_log *log,
                                       const struct pending_claim *claim)
{
    return claim->position == 0 ? 0 : (claim->position - 1) / log->segment_size;
}

/* ---- the walk ----------------------------------------------------------- */

static enum bts_status pending_walk_begin(struct pending_walk *walk, struct pending_log *log,
                                          const struct pending_claim *claim,
                                          pending_log_done *done, void *context,
                                          struct bts_error *error)
{
    uint64_t sequence = pending_claim_sequence(log, claim);
    size_t max = done != NULL ? log->kept_size / log->segment_size : 1;

    *walk = (struct pending_walk){.log = log,
                                  .epoch = claim->epoch,
                                  .sequence = sequence,
                                  .offset = claim->position - sequence * log->segment_size,
                                  .expected = claim->txnid + 1,
                                  .kept_max = max > 1 ? max : 1,
                                  .done = done,
                                  .context = context};
    walk->kept = calloc(walk->kept_max, sizeof(*walk->kept));
    return walk->kept != NULL ? BTS_OK
                              : err_set(error, BTS_NO_MEMORY, "%s: out of memory",
                                        log->file.path);
}

static void pending_walk_end(struct pending_walk *walk)
{
    for (size_t i = 0; walk->kept != NULL && i < walk->kept_max; i++)
        free(walk->kept[i]);
    free(walk->kept);
}

static enum bts_status pending_walk_done(struct pending_walk *walk, struct bts_error *error)
{
    walk->kept_count = 0;
    return walk->done != NULL ? walk->done(walk->context, error) : BTS_OK;
}

/* Makes room for the bytes of one more segment. */
static enum bts_status pending_walk_room(struct pending_walk *walk, struct bts_error *error)
{
    enum bts_status status = BTS_OK;

    if (walk->kept_count == walk->kept_max)
        status = pending_walk_done(walk, error);
    if (status == BTS_OK && walk->kept[walk->kept_count] == NULL)
        status = pending_new_bytes(walk->log, &walk->kept[walk->kept_count], error);
    if (status == BTS_OK)
        walk->bytes = walk->kept[walk->kept_count++];
    return status;
}

/* Reads the segment at work if it is there. */
static enum bts_status pending_walk_load(struct pending_walk *walk, struct bts_error *error)
{
    ssize_t index = pending_find(walk->log, walk->epoch, walk->sequence);
    enum bts_status status;

    walk->loaded = false;
    if (index < 0)
        return BTS_OK;
    walk->index = (size_t)index;
    status = pending_walk_room(walk, error);
    if (status == BTS_OK)
        status = pending_load(walk->log, walk->index, walk->bytes, error);
    walk->loaded = status == BTS_OK;
    return status;
}

/* Takes the expected frame if it lies at the walk's place. */
static bool pending_walk_take(struct pending_walk *walk, struct pending_frame *frame)
{
    size_t left = walk->log->segment_size - walk->offset;

    if (!walk->loaded ||
        pending_frame_decode(walk->bytes + walk->offset, left, walk->epoch, frame) !=
            PENDING_FRAME_OK ||
        frame->txnid != walk->expected)
        return false;
    walk->offset += pending_frame_size(frame->body_size);
    walk->log->segments[walk->index].walked = walk->offset;
    walk->expected++;
    return true;
}

/* The next frame, here or at the start of the next segment.  *found false: the log ends. */
static enum bts_status pending_walk_next(struct pending_walk *walk, struct pending_frame *frame,
                                         bool *found, struct bts_error *error)
{
    ssize_t next;
    enum bts_status status;

    *found = pending_walk_take(walk, frame);
    if (*found)
        return BTS_OK;
    next = pending_find(walk->log, walk->epoch, walk->sequence + 1);
    if (next < 0 || walk->log->segments[next].first_txnid != walk->expected)
        return BTS_OK;
    walk->sequence++;
    walk->offset = PENDING_BLOCK;
    status = pending_walk_load(walk, error);
    *found = status == BTS_OK && pending_walk_take(walk, frame);
    return status;
}

/* ---- does it fit? ------------------------------------------------------- */

/* Whether a segment is part of the log that the claim names. */
static bool pending_is_claimed(const struct pending_log *log, const struct pending_claim *claim,
                               size_t index)
{
    const struct pending_log_segment *segment = &log->segments[index];

    return !claim->clean && segment->known && segment->epoch == claim->epoch &&
           segment->sequence >= pending_claim_sequence(log, claim);
}

/*
 * Whether a segment is of another life of the log.  An earlier use in this very
 * epoch is not: when it was to be used again the power may have gone, with the
 * new frame written and the new header not.
 */
static bool pending_is_stranger(const struct pending_log *log, const struct pending_claim *claim,
                                size_t index)
{
    const struct pending_log_segment *segment = &log->segments[index];

    return segment->known && (claim->clean || segment->epoch != claim->epoch);
}

/*
 * A segment beside the claimed log may only hold what the meta's checkpoint
 * has.  Newer frames in it mean that the database file is an older copy.
 */
static enum bts_status pending_check_stranger(const struct pending_log *log, size_t index,
                                              txnid_t newest, uint8_t *bytes,
                                              struct bts_error *error)
{
    struct pending_frame frame;
    size_t offset = PENDING_BLOCK;
    enum bts_status status = pending_load(log, index, bytes, error);

    if (status != BTS_OK)
        return status;
    while (pending_frame_decode(bytes + offset, log->segment_size - offset,
                                log->segments[index].epoch, &frame) == PENDING_FRAME_OK) {
        if (frame.txnid > newest)
            return err_set(error, BTS_DAMAGED,
                           "%s: holds commit %llu, but the database file beside it ends at "
                           "%llu and does not know this log: it is an older copy; put the "
                           "right one back, or move the log away to lose what is in it",
                           log->file.path, (unsigned long long)frame.txnid,
                           (unsigned long long)newest);
        offset += pending_frame_size(frame.body_size);
    }
    return BTS_OK;
}

static enum bts_status pending_check_fit(const struct pending_log *log,
                                         const struct pending_claim *claim, uint8_t *bytes,
                                         struct bts_error *error)
{
    uint64_t first = pending_claim_sequence(log, claim);
    enum bts_status status = BTS_OK;

    /* Else the frames from there on would reach over the end of their segment. */
    if (!claim->clean && claim->position % PENDING_BLOCK != 0)
        return err_set(error, BTS_DAMAGED,
                       "%s: the store's checkpoint %llu goes on at position %llu of the log, where "
                       "no frame can begin: its meta page is damaged; restore the store",
                       log->file.path, (unsigned long long)claim->txnid,
                       (unsigned long long)claim->position);
    for (size_t i = 0; status == BTS_OK && i < log->segment_count; i++) {
        if (pending_is_stranger(log, claim, i))
            status = pending_check_stranger(log, i, claim->txnid, bytes, error);
    }
    if (status != BTS_OK || claim->clean || pending_find(log, claim->epoch, first) >= 0)
        return status;
    if (log->segment_count == 0)
        return err_set(error, BTS_DAMAGED,
                       "%s: the pending log is missing, but the store was not stopped cleanly: "
                       "commits after %llu are in it; put it back beside the store",
                       log->file.path, (unsigned long long)claim->txnid);
    return err_set(error, BTS_DAMAGED,
                   "%s: does not reach back to the store's checkpoint %llu (epoch %llu, segment "
                   "%llu is missing): it is damaged or of another state of the store",
                   log->file.path, (unsigned long long)claim->txnid,
                   (unsigned long long)claim->epoch, (unsigned long long)first);
}

/* ---- is the end a hole? ------------------------------------------------- */

/*
 * Looks in one segment, from `offset` on, for a frame that says `missing` was
 * durable; *newest rises to the others.
 */
static enum bts_status pending_check_segment(const struct pending_log *log, uint64_t epoch,
                                             const uint8_t *bytes, size_t offset,
                                             txnid_t missing, txnid_t *newest,
                                             struct bts_error *error)
{
    struct pending_frame frame;

    while (offset < log->segment_size) {
        enum pending_frame_fault fault =
            pending_frame_decode(bytes + offset, log->segment_size - offset, epoch, &frame);
        if (fault == PENDING_FRAME_OK && frame.txnid > missing && frame.durable >= missing)
            return err_set(error, BTS_DAMAGED,
                           "%s: the frame of commit %llu is damaged or missing, and the frame of "
                           "%llu says that it was durable",
                           log->file.path, (unsigned long long)missing,
                           (unsigned long long)frame.txnid);
        if (fault == PENDING_FRAME_OK && frame.txnid > *newest)
            *newest = frame.txnid;
        offset += fault == PENDING_FRAME_OK ? pending_frame_size(frame.body_size) : PENDING_BLOCK;
    }
    return BTS_OK;
}

static enum bts_status pending_check_end(const struct pending_log *log,
                                         const struct pending_claim *claim,
                                         struct pending_found *found, uint8_t *bytes,
                                         struct bts_error *error)
{
    txnid_t missing = found->last_txnid + 1;
    enum bts_status status = BTS_OK;

    found->newest_txnid = found->last_txnid;

    for (size_t i = 0; status == BTS_OK && i < log->segment_count; i++) {
        /* the frames that the walk took end before the missing one: what lies behind them counts */
        size_t from = log->segments[i].walked > 0 ? log->segments[i].walked : PENDING_BLOCK;
        /*
         * A header that does not verify may be of the very segment that is missed.  One of an
         * earlier use in this epoch may lie before a frame of now: the new header never came.
         */
        if (claim->clean ||
            (log->segments[i].known && log->segments[i].epoch != claim->epoch))
            continue;
        status = pending_load_from(log, i, from, bytes, error);
        if (status == BTS_OK)
            status = pending_check_segment(log, claim->epoch, bytes, from, missing,
                                           &found->newest_txnid, error);
    }
    return status;
}

/* ---- scan and replay ---------------------------------------------------- */

/* What is claimed must outlive recovery: a new epoch takes other segments. */
static void pending_hold_claimed(struct pending_log *log, const struct pending_claim *claim,
                                 struct pending_found *found)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct pending_log_segment *segment = &log->segments[i];
        if (pending_is_claimed(log, claim, i))
            log->segments[i].use = PENDING_SEGMENT_OLD;
        if (segment->known && segment->epoch > found->newest_epoch)
            found->newest_epoch = segment->epoch;
    }
}

static enum bts_status pending_count_frame(void *context, const struct pending_frame *frame,
                                           struct bts_error *error)
{
    struct pending_found *found = context;

    (void)error;
    found->frame_count++;
    found->batch_count += frame->batch_count;
    found->last_txnid = frame->txnid;
    return BTS_OK;
}

enum bts_status pending_log_scan(struct pending_log *log, const struct pending_claim *claim,
                                 struct pending_found *found, struct bts_error *error)
{
    uint8_t *bytes;
    enum bts_status status = pending_new_bytes(log, &bytes, error);

    *found = (struct pending_found){.last_txnid = claim->txnid, .newest_epoch = claim->epoch};
    if (status != BTS_OK)
        return status;
    status = pending_check_fit(log, claim, bytes, error);
    if (status == BTS_OK)
        status = pending_log_replay(log, claim, pending_count_frame, NULL, found, error);
    if (status == BTS_OK)
        status = pending_check_end(log, claim, found, bytes, error);
    if (status == BTS_OK)
        pending_hold_claimed(log, claim, found);
    free(bytes);
    return status;
}

enum bts_status pending_log_replay(struct pending_log *log, const struct pending_claim *claim,
                                   pending_log_each *each, pending_log_done *done, void *context,
                                   struct bts_error *error)
{
    struct pending_walk walk;
    struct pending_frame frame;
    bool found = true;
    enum bts_status status;

    if (claim->clean)
        return BTS_OK;
    status = pending_walk_begin(&walk, log, claim, done, context, error);
    if (status == BTS_OK)
        status = pending_walk_load(&walk, error);
    while (status == BTS_OK && found) {
        status = pending_walk_next(&walk, &frame, &found, error);
        if (status == BTS_OK && found)
            status = each(context, &frame, error);
    }
    if (status == BTS_OK)
        status = pending_walk_done(&walk, error);
    pending_walk_end(&walk);
    return status;
}
