/* SPDX-License-Identifier: MIT */
/*
 * pending_frame: segments and frames of the pending log, NAME.pending.
 *
 * The file is a row of segments of equal size, each written with zeros once
 * and then recycled in any order.  A segment's place in the log is its
 * sequence number, not its place in the file.
 *
 * Segment header, at the segment's start, PENDING_BLOCK bytes, zero-padded:
 *   0 u8  magic[8]   "btspend\n"
 *   8 u32 version    1
 *  12 u32 segment size
 *  16 u8  uuid[16]   of the store
 *  32 u64 epoch
 *  40 u64 sequence   0, 1, 2 .. within the epoch
 *  48 u64 first txnid  of the first frame in this segment
 *  56 u32 crc32c     of bytes [0, 56)
 *
 * Frame, at a PENDING_BLOCK boundary after the header:
 *   0 u32 length     bytes of the body; 0: no frame here
 *   4 u32 crc32c     of bytes [8, 40) and the body
 *   8 u64 epoch
 *  16 u64 txnid      of the group
 *  24 u64 durable    newest txnid that was durable when this was written
 *  32 u32 batches    in the body
 *  36 u32 reserved, 0
 *  40 body           per batch: u32 size, the batch; then zeros to the next PENDING_BLOCK
 *
 * A log position is sequence * segment size + offset in the segment.  A frame
 * lies in one segment; if it does not fit, the next segment begins.
 *
 * Invariants
 *  (1) One frame, one txnid, one checksum per group: no half group is ever replayed.
 *  (2) Replay takes only frames of the meta's epoch whose txnid is the previous + 1.
 *  (3) A bad frame at or below a later frame's `durable` is damage, never the end.
 *  (4) An acknowledged block is never rewritten before its segment is recycled.
 *
 * No I/O and no allocation.
 */
#ifndef FORMAT_PENDING_FRAME_H
#define FORMAT_PENDING_FRAME_H

#include "format/page.h"

#define PENDING_BLOCK 4096u
#define PENDING_VERSION 1u
#define PENDING_FRAME_HEADER_SIZE 40u
#define PENDING_SEGMENT_SIZE_MIN (64u << 10)
#define PENDING_SEGMENT_SIZE_MAX (256u << 20)

struct pending_segment {
    uint32_t segment_size;
    uint8_t uuid[16];
    uint64_t epoch;
    uint64_t sequence;
    txnid_t first_txnid;
};

/* Fills PENDING_BLOCK bytes. */
void pending_segment_encode(const struct pending_segment *segment, void *block);
/* BTS_DAMAGED (no segment header here, or it does not verify) or BTS_VERSION. */
BTS_MUST_USE enum bts_status pending_segment_decode(const void *block,
                                                    struct pending_segment *segment,
                                                    struct bts_error *error);

struct pending_frame {
    uint64_t epoch;
    txnid_t txnid;
    txnid_t durable;
    uint32_t batch_count;
    const uint8_t *body;
    size_t body_size;
};

/* Bytes a frame with this body takes in the log, padding included. */
static inline size_t pending_frame_size(size_t body_size)
{
    return (PENDING_FRAME_HEADER_SIZE + body_size + PENDING_BLOCK - 1) &
           ~(size_t)(PENDING_BLOCK - 1);
}

/*
 * Fills the header in front of a body that already lies at
 * `frame + PENDING_FRAME_HEADER_SIZE`, and zeroes the padding behind it up to
 * pending_frame_size(body_size).
 */
void pending_frame_seal(void *frame, uint64_t epoch, txnid_t txnid, txnid_t durable,
                        uint32_t batch_count, size_t body_size);

/* Why pending_frame_decode said no. */
enum pending_frame_fault {
    PENDING_FRAME_OK = 0,
    PENDING_FRAME_NONE,   /* length 0: nothing was written here */
    PENDING_FRAME_SHORT,  /* does not fit into what is left of the segment */
    PENDING_FRAME_BAD,    /* checksum, or a reserved field is not 0 */
    PENDING_FRAME_STALE,  /* whole, but of another epoch */
};

/*
 * Reads the frame at `data`; `size`: bytes left in the segment, and never is a
 * byte outside them read.  Bodies are not looked into.  `frame` is zeroed unless OK.
 */
enum pending_frame_fault pending_frame_decode(const void *data, size_t size, uint64_t epoch,
                                              struct pending_frame *frame);

/*
 * Walks the batches of a body: false at the end or when a size leaves the
 * body; only at the end next == end.  The batches themselves are not checked.
 */
struct pending_body_reader {
    const uint8_t *next;
    const uint8_t *end;
};
bool pending_body_next(struct pending_body_reader *reader, const uint8_t **batch,
                       size_t *batch_size);

#endif
