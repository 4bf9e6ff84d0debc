/* SPDX-License-Identifier: MIT */
/*
 * salvage_log: see salvage_log.h.
 *
 * A segment is read whole, and its frames are followed; where one is not
 * whole the next is looked for at every block, so that it is known what later
 * commits lie behind the damage.
 */
#include "client/salvage_log.h"

#include "base/bytes.h"
#include "base/err.h"
#include "read/page_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a frame's header has its epoch and txnid; see pending_frame.h. */
#define FRAME_EPOCH 8
#define FRAME_TXNID 16

/* The search through the segments. */
struct log_search {
    struct salvage_log *log;
    const struct meta *meta;  /* NULL: any */
    txnid_t txnid;            /* frames behind this commit are wanted */
    uint64_t file_size;
    size_t segment_size;
    uint8_t *bytes;
};

/* ---- segments ---------------------------------------------------------------------- */

/* Whether the segment whose header is in `bytes` may hold frames of ours. */
static bool log_search_is_ours(const struct log_search *search, const uint8_t *bytes)
{
    struct pending_segment segment;

    if (pending_segment_decode(bytes, &segment, NULL) != BTS_OK) {
        return true; /* damaged: its frames will tell */
    }
    return segment.epoch == search->log->epoch &&
           (search->meta == NULL ||
            memcmp(segment.uuid, search->meta->uuid, sizeof(segment.uuid)) == 0);
}

/* The size of segments, and without a meta the newest epoch: from all headers. */
static void log_search_headers(struct log_search *search)
{
    struct pending_segment segment;
    uint8_t block[PENDING_BLOCK];

    for (uint64_t offset = 0; offset + PENDING_BLOCK <= search->file_size;
         offset += search->segment_size != 0 ? search->segment_size : PENDING_SEGMENT_SIZE_MIN) {
        if (page_copy_bytes(search->log->fd, block, PENDING_BLOCK, offset) < PENDING_BLOCK ||
            pending_segment_decode(block, &segment, NULL) != BTS_OK) {
            continue;
        }
        if (search->segment_size == 0) {
            search->segment_size = segment.segment_size;
            offset -= offset % segment.segment_size;
        }
        if (search->meta == NULL && segment.epoch > search->log->epoch) {
            search->log->epoch = segment.epoch;
        }
    }
    if (search->segment_size == 0) { /* none verifies: as one */
        search->segment_size = search->file_size < PENDING_SEGMENT_SIZE_MAX
                                   ? (size_t)search->file_size
                                   : PENDING_SEGMENT_SIZE_MAX;
    }
}

/* ---- frames ------------------------------------------------------------------------ */

static bool log_search_add(struct log_search *search, txnid_t txnid, uint64_t offset,
                           uint32_t size)
{
    struct salvage_log *log = search->log;

    if (txnid <= search->txnid) {
        return true;
    }
    if (log->count == log->room) {
        size_t room = log->room * 2 + 64;
        struct salvage_frame *grown = realloc(log->frame, room * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        log->frame = grown;
        log->room = room;
    }
    log->frame[log->count++] = (struct salvage_frame){txnid, offset, size};
    return true;
}

/* The frames of the segment in search->bytes, of `size` bytes, at `start` in the file. */
static bool log_search_segment(struct log_search *search, uint64_t start, size_t size)
{
    struct salvage_log *log = search->log;
    size_t offset = PENDING_BLOCK;

    while (offset + PENDING_BLOCK <= size) {
        const uint8_t *at = search->bytes + offset;
        struct pending_frame frame;
        enum pending_frame_fault fault =
            pending_frame_decode(at, size - offset, log->epoch, &frame);
        size_t step = PENDING_BLOCK;

        if (fault == PENDING_FRAME_OK) {
            step = pending_frame_size(frame.body_size);
            log->durable = frame.durable > log->durable ? frame.durable : log->durable;
            if (!log_search_add(search, frame.txnid, start + offset, (uint32_t)step)) {
                return false;
            }
        } else if ((fault == PENDING_FRAME_BAD || fault == PENDING_FRAME_SHORT) &&
                   bytes_load_u64(at + FRAME_EPOCH) == log->epoch &&
                   !log_search_add(search, bytes_load_u64(at + FRAME_TXNID), start + offset, 0)) {
            return false;
        }
        offset += step;
    }
    return true;
}

/* By commit, whole ones first. */
static int log_frame_order(const void *a, const void *b)
{
    const struct salvage_frame *left = a;
    const struct salvage_frame *right = b;

    if (left->txnid != right->txnid) {
        return left->txnid < right->txnid ? -1 : 1;
    }
    if ((left->size == 0) != (right->size == 0)) {
        return left->size != 0 ? -1 : 1;
    }
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static enum bts_status log_search_run(struct log_search *search, struct bts_error *error)
{
    bool has_memory;

    log_search_headers(search);
    search->bytes = malloc(search->segment_size + 1);
    has_memory = search->bytes != NULL;
    for (uint64_t start = 0; has_memory && start < search->file_size;
         start += search->segment_size) {
        size_t size =
            page_copy_bytes(search->log->fd, search->bytes, search->segment_size, start);
        if (size >= PENDING_BLOCK && log_search_is_ours(search, search->bytes)) {
            has_memory = log_search_segment(search, start, size);
        }
    }
    free(search->bytes);
    if (search->log->count > 0) {
        qsort(search->log->frame, search->log->count, sizeof(*search->log->frame),
              log_frame_order);
    }
    return has_memory ? BTS_OK : err_set(error, BTS_NO_MEMORY, "no memory for the pending log");
}

/* ---- the log ------------------------------------------------------------------------ */

enum bts_status salvage_log_open(struct salvage_log *log, const char *path,
                                 const struct meta *meta, txnid_t txnid, struct bts_error *error)
{
    struct log_search search = {.log = log, .meta = meta, .txnid = txnid};
    struct stat stat;

    *log = (struct salvage_log){.epoch = meta != NULL ? meta->log_epoch : 0};
    log->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (log->fd < 0) {
        return errno == ENOENT ? BTS_OK
                               : err_set_errno(error, BTS_IO, errno, "pending log: cannot open it");
    }
    if (fstat(log->fd, &stat) != 0) {
        return err_set_errno(error, BTS_IO, errno, "pending log: fstat");
    }
    search.file_size = (uint64_t)stat.st_size;
    return search.file_size >= PENDING_BLOCK ? log_search_run(&search, error) : BTS_OK;
}

void salvage_log_close(struct salvage_log *log)
{
    if (log->fd >= 0) {
        close(log->fd);
    }
    free(log->frame);
    free(log->bytes);
    *log = (struct salvage_log){.fd = -1};
}

size_t salvage_log_find(const struct salvage_log *log, txnid_t txnid)
{
    size_t low = 0;
    size_t high = log->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (log->frame[middle].txnid < txnid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < log->count && log->frame[low].txnid == txnid ? low : log->count;
}

enum bts_status salvage_log_read(struct salvage_log *log, size_t at, struct pending_frame *frame,
                                 struct bts_error *error)
{
    const struct salvage_frame *found = &log->frame[at];

    if (found->size > log->bytes_room) {
        free(log->bytes);
        log->bytes = malloc(found->size);
        log->bytes_room = log->bytes != NULL ? found->size : 0;
    }
    if (log->bytes == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a frame of %u bytes", found->size);
    }
    if (page_copy_bytes(log->fd, log->bytes, found->size, found->offset) < found->size ||
        pending_frame_decode(log->bytes, found->size, log->epoch, frame) != PENDING_FRAME_OK ||
        frame->txnid != found->txnid) {
        return err_set(error, BTS_DAMAGED, "it has changed meanwhile");
    }
    return BTS_OK;
}
