/* SPDX-License-Identifier: MIT */
/*
 * pending_log: segments, places and writes.  Reading back is pending_scan.c.
 *
 * Frames are written with pwrite and fdatasync: into segments that were
 * written before, a sync then moves no metadata.  The writes pass the cache
 * where they can: it would only have to find out again what is new in it.
 */
#include "commit/pending_log.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

/* A new segment is zeroed in writes of this size: see WRITE_SIZE_MAX in pages/pages.c. */
#define PENDING_ZERO_SIZE (64u << 10)

/* ---- buffers ------------------------------------------------------------ */

void pending_buffer_fini(struct pending_buffer *buffer)
{
    free(buffer->bytes);
    memset(buffer, 0, sizeof(*buffer));
}

enum bts_status pending_buffer_reserve(struct pending_buffer *buffer, size_t body_size,
                                       struct bts_error *error)
{
    size_t need = PENDING_BLOCK + pending_frame_size(body_size);
    size_t room = buffer->room > 0 ? buffer->room : 16 * PENDING_BLOCK;
    void *bytes;

    if (need <= buffer->room)
        return BTS_OK;
    while (room < need)
        room *= 2;
    if (posix_memalign(&bytes, PENDING_BLOCK, room) != 0)
        return err_set(error, BTS_NO_MEMORY, "commit group of %zu bytes: out of memory",
                       body_size);
    if (buffer->body_size > 0)
        memcpy(bytes, buffer->bytes,
               PENDING_BLOCK + PENDING_FRAME_HEADER_SIZE + buffer->body_size);
    free(buffer->bytes);
    buffer->bytes = bytes;
    buffer->room = room;
    return BTS_OK;
}

void pending_buffer_add(struct pending_buffer *buffer, const void *batch, size_t size)
{
    uint8_t *to = buffer->bytes + PENDING_BLOCK + PENDING_FRAME_HEADER_SIZE + buffer->body_size;

    buffer->body_size += pending_buffer_need(size);
    assert(PENDING_BLOCK + pending_frame_size(buffer->body_size) <= buffer->room);
    bytes_store_u32(to, (uint32_t)size);
    memcpy(to + sizeof(uint32_t), batch, size);
    buffer->batch_count++;
}

/* ---- open --------------------------------------------------------------- */

void pending_log_init(struct pending_log *log)
{
    memset(log, 0, sizeof(*log));
    file_init(&log->file);
}

void pending_log_close(struct pending_log *log)
{
    file_close(&log->file);
    free(log->segments);
    pending_log_init(log);
}

static enum bts_status pending_log_resize(struct pending_log *log, size_t segment_count,
                                          struct bts_error *error)
{
    struct pending_log_segment *segments =
        realloc(log->segments, (segment_count + 1) * sizeof(*segments));

    if (segments == NULL)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", log->file.path);
    for (size_t i = log->segment_count; i < segment_count; i++)
        memset(&segments[i], 0, sizeof(segments[i]));
    log->segments = segments;
    log->segment_count = segment_count;
    return BTS_OK;
}

static bool pending_block_is_zero(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, PENDING_BLOCK - 1) == 0;
}

/* The first block tells the segment size of a log that exists. */
static enum bts_status pending_log_read_first(struct pending_log *log, uint64_t file_size,
                                              uint8_t *block, struct bts_error *error)
{
    struct pending_segment segment;
    struct bts_error why;
    enum bts_status status;

    if (file_size < PENDING_BLOCK)
        return file_size == 0 ? BTS_OK
                              : err_set(error, BTS_DAMAGED, "%s: no pending log: %llu bytes",
                                        log->file.path, (unsigned long long)file_size);
    status = file_read(&log->file, block, PENDING_BLOCK, 0, error);
    /* Zeros: its making was cut short, before any frame. */
    if (status != BTS_OK || pending_block_is_zero(block))
        return status;
    status = pending_segment_decode(block, &segment, &why);
    if (status != BTS_OK)
        return err_set(error, status, "%s: %.300s", log->file.path, why.text);
    log->segment_size = segment.segment_size;
    return pending_log_resize(log, (size_t)(file_size / segment.segment_size), error);
}

static enum bts_status pending_log_read_header(struct pending_log *log, size_t index,
                                               uint8_t *block, struct bts_error *error)
{
    struct pending_log_segment *entry = &log->segments[index];
    struct pending_segment segment;
    struct bts_error why;
    uint64_t offset = (uint64_t)index * log->segment_size;
    enum bts_status status = file_read(&log->file, block, PENDING_BLOCK, offset, error);

    if (status != BTS_OK)
        return status;
    status = pending_segment_decode(block, &segment, &why);
    if (status == BTS_VERSION)
        return err_set(error, status, "%s: %.300s", log->file.path, why.text);
    if (status != BTS_OK)
        return BTS_OK; /* never used, or damaged: if it is needed, the scan misses it */
    if (memcmp(segment.uuid, log->uuid, sizeof(log->uuid)) != 0)
        return err_set(error, BTS_DAMAGED,
                       "%s: this is the pending log of another store; it was left as it is: "
                       "move it away, or put the store that it belongs to back",
                       log->file.path);
    if (segment.segment_size != log->segment_size)
        return err_set(error, BTS_DAMAGED, "%s: segments of %u and of %u bytes in one log",
                       log->file.path, segment.segment_size, log->segment_size);
    entry->known = true;
    entry->written = true;
    entry->epoch = segment.epoch;
    entry->sequence = segment.sequence;
    entry->first_txnid = segment.first_txnid;
    return BTS_OK;
}

static enum bts_status pending_log_read_headers(struct pending_log *log, struct bts_error *error)
{
    struct file_identity identity;
    void *block;
    enum bts_status status = file_identify(&log->file, &identity, error);

    if (status != BTS_OK)
        return status;
    if (posix_memalign(&block, PENDING_BLOCK, PENDING_BLOCK) != 0)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", log->file.path);
    status = pending_log_read_first(log, identity.size, block, error);
    for (size_t i = 0; status == BTS_OK && i < log->segment_count; i++)
        status = pending_log_read_header(log, i, block, error);
    free(block);
    return status;
}

enum bts_status pending_log_open(struct pending_log *log, const struct file_system *system,
                                 const char *path, const uint8_t uuid[16], uint32_t segment_size,
                                 uint64_t size_max, struct bts_error *error)
{
    enum bts_status status;

    pending_log_init(log);
    memcpy(log->uuid, uuid, sizeof(log->uuid));
    log->segment_size = segment_size;
    log->kept_size = PENDING_LOG_KEPT_SIZE;
    status = file_open(&log->file, system, path, O_RDWR | O_CREAT, 0600, error);
    if (status == BTS_OK)
        status = pending_log_read_headers(log, error);
    if (status == BTS_OK) {
        log->segment_max = (size_t)(size_max / log->segment_size);
        if (log->segment_max < PENDING_LOG_SEGMENTS_MIN)
            log->segment_max = PENDING_LOG_SEGMENTS_MIN;
    } else {
        pending_log_close(log);
    }
    return status;
}

/* ---- segments ----------------------------------------------------------- */

static size_t pending_log_free_count(const struct pending_log *log)
{
    size_t count = 0;

    for (size_t i = 0; i < log->segment_count; i++)
        count += log->segments[i].use == PENDING_SEGMENT_FREE;
    return count;
}

/* A free segment's index, one that was written before if possible; there is one. */
static size_t pending_log_find_free(const struct pending_log *log)
{
    size_t found = log->segment_count;

    for (size_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i].use != PENDING_SEGMENT_FREE)
            continue;
        if (log->segments[i].written)
            return i;
        if (found == log->segment_count)
            found = i;
    }
    assert(found < log->segment_count);
    return found;
}

static enum bts_status pending_log_write_zeros(const struct pending_log *log, uint64_t from,
                                               uint64_t to, struct bts_error *error)
{
    size_t room = bytes_min((size_t)(to - from), PENDING_ZERO_SIZE);
    enum bts_status status = BTS_OK;
    void *zeros;

    if (from == to)
        return BTS_OK;
    if (posix_memalign(&zeros, PENDING_BLOCK, room) != 0)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", log->file.path);
    memset(zeros, 0, room);
    while (status == BTS_OK && from < to) {
        size_t size = bytes_min((size_t)(to - from), room);
        status = file_write(&log->file, zeros, size, from, error);
        from += size;
    }
    free(zeros);
    return status;
}

/*
 * Adds `count` segments, of which the first `zeroed` are written with zeros;
 * the others, a reserve, only have their place on the disk.  Not synced.
 */
static enum bts_status pending_log_grow(struct pending_log *log, size_t count, size_t zeroed,
                                        struct bts_error *error)
{
    size_t first = log->segment_count;
    uint64_t from = pending_log_size(log);
    uint64_t size = log->segment_size;
    enum bts_status status = file_grow(&log->file, from, from + count * size, error);

    if (status == BTS_OK)
        status = pending_log_write_zeros(log, from, from + zeroed * size, error);
    if (status == BTS_OK)
        status = pending_log_resize(log, first + count, error);
    for (size_t i = first; status == BTS_OK && i < first + zeroed; i++)
        log->segments[i].written = true;
    return status;
}

static void pending_log_use(struct pending_log *log, size_t index, uint64_t sequence,
                            txnid_t first_txnid)
{
    log->segments[index] = (struct pending_log_segment){.use = PENDING_SEGMENT_LIVE,
                                                        .written = true,
                                                        .known = true,
                                                        .epoch = log->epoch,
                                                        .sequence = sequence,
                                                        .first_txnid = first_txnid};
    log->current = index;
    log->sequence = sequence;
    log->offset = PENDING_BLOCK;
}

static void pending_log_encode_header(const struct pending_log *log, size_t index, void *block)
{
    const struct pending_log_segment *entry = &log->segments[index];
    struct pending_segment segment = {.segment_size = log->segment_size,
                                      .epoch = entry->epoch,
                                      .sequence = entry->sequence,
                                      .first_txnid = entry->first_txnid};

    memcpy(segment.uuid, log->uuid, sizeof(segment.uuid));
    pending_segment_encode(&segment, block);
}

static enum bts_status pending_log_write_header(struct pending_log *log, struct bts_error *error)
{
    void *block;
    enum bts_status status;

    if (posix_memalign(&block, PENDING_BLOCK, PENDING_BLOCK) != 0)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", log->file.path);
    pending_log_encode_header(log, log->current, block);
    status = file_write(&log->file, block, PENDING_BLOCK,
                        (uint64_t)log->current * log->segment_size, error);
    free(block);
    return status;
}

/* The current epoch becomes the old one; its segments stay. */
static void pending_log_retire(struct pending_log *log)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i].use == PENDING_SEGMENT_LIVE)
            log->segments[i].use = PENDING_SEGMENT_OLD;
    }
}

enum bts_status pending_log_begin(struct pending_log *log, uint64_t epoch, txnid_t first_txnid,
                                  struct bts_error *error)
{
    size_t free_count = pending_log_free_count(log);
    size_t missing = free_count < PENDING_LOG_SEGMENTS_MIN ? PENDING_LOG_SEGMENTS_MIN - free_count
                                                           : 0;
    enum bts_status status = BTS_OK;

    if (missing > 0)
        status = pending_log_grow(log, missing,
                                  missing > PENDING_LOG_RESERVE ? missing - PENDING_LOG_RESERVE : 0,
                                  error);
    /* The reserve is there for just this: a full disk does not keep a store from recovering. */
    if (status == BTS_NO_SPACE && free_count > 0)
        status = BTS_OK;
    if (status != BTS_OK)
        return status;
    file_ask_direct(&log->file); /* from now on it is only written */
    log->is_direct = true;
    pending_log_retire(log);
    log->epoch = epoch;
    pending_log_use(log, pending_log_find_free(log), 0, first_txnid);
    log->start = pending_log_position(log);
    status = pending_log_write_header(log, error);
    if (status == BTS_OK)
        status = file_sync(&log->file, error);
    if (status == BTS_OK)
        status = file_sync_directory(log->file.system, log->file.path, error);
    return status;
}

/* ---- frames ------------------------------------------------------------- */

uint64_t pending_log_position(const struct pending_log *log)
{
    return log->sequence * log->segment_size + log->offset;
}

static bool pending_log_fits(const struct pending_log *log, size_t body_size)
{
    return pending_frame_size(body_size) <= log->segment_size - log->offset;
}

enum bts_status pending_log_reserve(struct pending_log *log, size_t body_size,
                                    struct bts_error *error)
{
    assert(body_size <= pending_log_body_max(log));
    if (pending_log_fits(log, body_size) || pending_log_free_count(log) > PENDING_LOG_RESERVE)
        return BTS_OK;
    if (log->segment_count >= log->segment_max)
        return err_set(error, BTS_BUSY, "%s: full until the next checkpoint", log->file.path);
    return pending_log_grow(log, 1, 1, error);
}

void pending_log_place(struct pending_log *log, struct pending_buffer *buffer, txnid_t txnid,
                       txnid_t durable, struct pending_place *place)
{
    size_t frame_size = pending_frame_size(buffer->body_size);

    place->opens_segment = !pending_log_fits(log, buffer->body_size);
    if (place->opens_segment) {
        pending_log_use(log, pending_log_find_free(log), log->sequence + 1, txnid);
        pending_log_encode_header(log, log->current, buffer->bytes);
    }
    pending_frame_seal(buffer->bytes + PENDING_BLOCK, log->epoch, txnid, durable,
                       buffer->batch_count, buffer->body_size);
    place->file_offset = (uint64_t)log->current * log->segment_size + log->offset;
    place->size = frame_size;
    if (place->opens_segment) {
        place->file_offset -= PENDING_BLOCK;
        place->size += PENDING_BLOCK;
    }
    log->offset += (uint32_t)frame_size;
    place->end = pending_log_position(log);
}

enum bts_status pending_log_write(struct pending_log *log, const struct pending_buffer *buffer,
                                  const struct pending_place *place, bool sync,
                                  struct bts_error *error)
{
    const uint8_t *from = buffer->bytes + (place->opens_segment ? 0 : PENDING_BLOCK);
    enum bts_status status;

    if (!sync && log->is_direct) {
        (void)file_leave_direct(&log->file);
        log->is_direct = false;
    }
    status = file_write(&log->file, from, place->size, place->file_offset, error);
    return status == BTS_OK && sync ? file_sync(&log->file, error) : status;
}

enum bts_status pending_log_sync(const struct pending_log *log, struct bts_error *error)
{
    return file_sync(&log->file, error);
}

void pending_log_release(struct pending_log *log, uint64_t position)
{
    /* The byte before: a position at the end of a segment keeps that one, not the next. */
    uint64_t keep = (position - 1) / log->segment_size;

    assert(position >= log->start && position <= pending_log_position(log));
    for (size_t i = 0; i < log->segment_count; i++) {
        struct pending_log_segment *segment = &log->segments[i];
        if (segment->use == PENDING_SEGMENT_OLD ||
            (segment->use == PENDING_SEGMENT_LIVE && segment->sequence < keep))
            segment->use = PENDING_SEGMENT_FREE;
    }
    log->start = position;
}

void pending_log_check(const struct pending_log *log)
{
    const struct pending_log_segment *current = &log->segments[log->current];
    uint64_t keep = (log->start - 1) / log->segment_size;
    uint64_t live = 0;

    assert(log->offset >= PENDING_BLOCK && log->offset <= log->segment_size);
    assert(log->offset % PENDING_BLOCK == 0);
    assert(log->start <= pending_log_position(log));
    assert(current->use == PENDING_SEGMENT_LIVE && current->sequence == log->sequence);
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct pending_log_segment *segment = &log->segments[i];
        if (segment->use == PENDING_SEGMENT_LIVE) {
            assert(segment->epoch == log->epoch && segment->sequence <= log->sequence);
            live++;
        }
    }
    /* Every segment from the one that is kept to the current one is there, once. */
    assert(live == log->sequence - keep + 1);
    (void)current, (void)keep, (void)live;
}
