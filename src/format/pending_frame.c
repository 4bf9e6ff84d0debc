/* SPDX-License-Identifier: MIT */
/*
 * pending_frame: encode and read segments and frames of the pending log.
 *
 * A segment may be recycled, so what lies behind the last frame is not zeros
 * but whatever an earlier use left: whole frames of an older epoch, or the
 * middle of a body.  Any bytes are therefore a possible frame; one is believed
 * when length, then checksum, then epoch say yes, in this order.
 *
 * Whether a fault is the end of the log or damage in its middle is for the
 * replay to tell: only it sees what later frames say was durable.
 */
#include "format/pending_frame.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"

static const uint8_t pending_magic[8] = {'b', 't', 's', 'p', 'e', 'n', 'd', '\n'};

/* Where a segment header's fields lie. */
enum {
    SEGMENT_AT_VERSION = 8,
    SEGMENT_AT_SIZE = 12,
    SEGMENT_AT_UUID = 16,
    SEGMENT_AT_EPOCH = 32,
    SEGMENT_AT_SEQUENCE = 40,
    SEGMENT_AT_FIRST_TXNID = 48,
    SEGMENT_AT_CRC = 56,
};

/* Where a frame header's fields lie. */
enum {
    FRAME_AT_LENGTH = 0,
    FRAME_AT_CRC = 4,
    FRAME_AT_EPOCH = 8, /* the checksum begins here */
    FRAME_AT_TXNID = 16,
    FRAME_AT_DURABLE = 24,
    FRAME_AT_BATCHES = 32,
    FRAME_AT_RESERVED = 36,
};
_Static_assert(FRAME_AT_RESERVED + 4 == PENDING_FRAME_HEADER_SIZE, "frame header is 40 bytes");

/* ---- segments -------------------------------------------------------------------- */

static bool pending_segment_size_valid(uint32_t size)
{
    return size >= PENDING_SEGMENT_SIZE_MIN && size <= PENDING_SEGMENT_SIZE_MAX &&
           size % PENDING_BLOCK == 0;
}

void pending_segment_encode(const struct pending_segment *segment, void *block)
{
    uint8_t *bytes = block;

    assert(pending_segment_size_valid(segment->segment_size));
    memset(bytes, 0, PENDING_BLOCK);
    memcpy(bytes, pending_magic, sizeof(pending_magic));
    bytes_store_u32(bytes + SEGMENT_AT_VERSION, PENDING_VERSION);
    bytes_store_u32(bytes + SEGMENT_AT_SIZE, segment->segment_size);
    memcpy(bytes + SEGMENT_AT_UUID, segment->uuid, sizeof(segment->uuid));
    bytes_store_u64(bytes + SEGMENT_AT_EPOCH, segment->epoch);
    bytes_store_u64(bytes + SEGMENT_AT_SEQUENCE, segment->sequence);
    bytes_store_u64(bytes + SEGMENT_AT_FIRST_TXNID, segment->first_txnid);
    bytes_store_u32(bytes + SEGMENT_AT_CRC, crc32c(0, bytes, SEGMENT_AT_CRC));
}

/* Magic, checksum, version: in this order, so that rot is never taken for another version. */
static enum bts_status pending_segment_check(const uint8_t *bytes, struct bts_error *error)
{
    uint32_t expected = crc32c(0, bytes, SEGMENT_AT_CRC);
    uint32_t version = bytes_load_u32(bytes + SEGMENT_AT_VERSION);

    if (memcmp(bytes, pending_magic, sizeof(pending_magic)) != 0) {
        return err_set(error, BTS_DAMAGED, "no segment of a pending log begins here");
    }
    if (bytes_load_u32(bytes + SEGMENT_AT_CRC) != expected) {
        return err_set(error, BTS_DAMAGED, "segment header: checksum %08x, expected %08x",
                       bytes_load_u32(bytes + SEGMENT_AT_CRC), expected);
    }
    if (version != PENDING_VERSION) {
        return err_set(error, BTS_VERSION, "pending log of version %u, this program knows %u",
                       version, PENDING_VERSION);
    }
    if (!pending_segment_size_valid(bytes_load_u32(bytes + SEGMENT_AT_SIZE))) {
        return err_set(error, BTS_DAMAGED, "segment header: impossible segment size of %u bytes",
                       bytes_load_u32(bytes + SEGMENT_AT_SIZE));
    }
    return BTS_OK;
}

enum bts_status pending_segment_decode(const void *block, struct pending_segment *segment,
                                       struct bts_error *error)
{
    const uint8_t *bytes = block;
    enum bts_status status = pending_segment_check(bytes, error);

    memset(segment, 0, sizeof(*segment));
    if (status == BTS_OK) {
        segment->segment_size = bytes_load_u32(bytes + SEGMENT_AT_SIZE);
        memcpy(segment->uuid, bytes + SEGMENT_AT_UUID, sizeof(segment->uuid));
        segment->epoch = bytes_load_u64(bytes + SEGMENT_AT_EPOCH);
        segment->sequence = bytes_load_u64(bytes + SEGMENT_AT_SEQUENCE);
        segment->first_txnid = bytes_load_u64(bytes + SEGMENT_AT_FIRST_TXNID);
    }
    return status;
}

/* ---- frames ---------------------------------------------------------------------- */

static uint32_t pending_frame_crc(const uint8_t *frame, size_t body_size)
{
    return crc32c(0, frame + FRAME_AT_EPOCH,
                  PENDING_FRAME_HEADER_SIZE - FRAME_AT_EPOCH + body_size);
}

void pending_frame_seal(void *frame, uint64_t epoch, txnid_t txnid, txnid_t durable,
                        uint32_t batch_count, size_t body_size)
{
    uint8_t *bytes = frame;
    size_t end = PENDING_FRAME_HEADER_SIZE + body_size;

    assert(body_size > 0 && body_size <= PENDING_SEGMENT_SIZE_MAX);
    bytes_store_u32(bytes + FRAME_AT_LENGTH, (uint32_t)body_size);
    bytes_store_u64(bytes + FRAME_AT_EPOCH, epoch);
    bytes_store_u64(bytes + FRAME_AT_TXNID, txnid);
    bytes_store_u64(bytes + FRAME_AT_DURABLE, durable);
    bytes_store_u32(bytes + FRAME_AT_BATCHES, batch_count);
    bytes_store_u32(bytes + FRAME_AT_RESERVED, 0);
    bytes_store_u32(bytes + FRAME_AT_CRC, pending_frame_crc(bytes, body_size));
    memset(bytes + end, 0, pending_frame_size(body_size) - end);
}

enum pending_frame_fault pending_frame_decode(const void *data, size_t size, uint64_t epoch,
                                              struct pending_frame *frame)
{
    const uint8_t *bytes = data;

    memset(frame, 0, sizeof(*frame));
    if (size < PENDING_FRAME_HEADER_SIZE) {
        return PENDING_FRAME_SHORT;
    }
    size_t body_size = bytes_load_u32(bytes + FRAME_AT_LENGTH);
    if (body_size == 0) {
        return PENDING_FRAME_NONE;
    }
    if (body_size > size - PENDING_FRAME_HEADER_SIZE) {
        return PENDING_FRAME_SHORT;
    }
    if (bytes_load_u32(bytes + FRAME_AT_CRC) != pending_frame_crc(bytes, body_size) ||
        bytes_load_u32(bytes + FRAME_AT_RESERVED) != 0) {
        return PENDING_FRAME_BAD;
    }
    if (bytes_load_u64(bytes + FRAME_AT_EPOCH) != epoch) {
        return PENDING_FRAME_STALE;
    }
    frame->epoch = epoch;
    frame->txnid = bytes_load_u64(bytes + FRAME_AT_TXNID);
    frame->durable = bytes_load_u64(bytes + FRAME_AT_DURABLE);
    frame->batch_count = bytes_load_u32(bytes + FRAME_AT_BATCHES);
    frame->body = bytes + PENDING_FRAME_HEADER_SIZE;
    frame->body_size = body_size;
    return PENDING_FRAME_OK;
}

bool pending_body_next(struct pending_body_reader *reader, const uint8_t **batch,
                       size_t *batch_size)
{
    size_t left = (size_t)(reader->end - reader->next);
    uint32_t size = left >= sizeof(size) ? bytes_load_u32(reader->next) : UINT32_MAX;

    *batch = NULL;
    *batch_size = 0;
    if (left < sizeof(size) || size > left - sizeof(size)) {
        return false;
    }
    *batch = reader->next + sizeof(size);
    *batch_size = size;
    reader->next = *batch + size;
    return true;
}
