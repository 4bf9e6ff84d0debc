/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pending_log: a whole hostile pending log, against what a meta claims.
 *
 * Input: eight bytes of claim, then records of eight bytes, each a piece of the
 * log: a segment's header, a frame (sealed, at any place and of any length), a
 * batch in a frame, or bytes on top of all that.  See log_pieces.
 *
 * Promises: opening, scanning and replaying end with a status and one line of
 * text; what replay hands out is what the scan counted, in a row without a gap,
 * and lies inside its frame.  After a scan that said yes a new epoch can begin
 * and be read back, and the old one still can be scanned to the same end.
 */
#include "fuzz.h"
#include "fuzz_folder.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "commit/pending_log.h"
#include "format/batch.h"

#include <string.h>

#define LOG_SEGMENT PENDING_SEGMENT_SIZE_MIN
#define LOG_SEGMENTS 5u
#define LOG_SIZE (LOG_SEGMENTS * LOG_SEGMENT)
#define LOG_BLOCKS (LOG_SIZE / PENDING_BLOCK)
#define LOG_PIECES_MAX 64u
#define LOG_EPOCH 7u
#define LOG_TXNID 100u   /* of the meta */

static const uint8_t log_uuid[16] = "fuzz fuzz fuzz!";
static uint8_t log_bytes[LOG_SIZE];
static size_t log_size;
static size_t log_last; /* where the last frame begins */

/* A record of the input. */
struct log_piece {
    unsigned kind;
    unsigned block;
    unsigned a;
    uint32_t b;
};

/* ---- pieces ------------------------------------------------------------------------- */

static void log_segment(const struct log_piece *piece)
{
    struct pending_segment segment = {.segment_size = LOG_SEGMENT,
                                      .epoch = LOG_EPOCH + piece->a / 256 % 3,
                                      .sequence = piece->a % 8,
                                      .first_txnid = LOG_TXNID + piece->b % 64};

    memcpy(segment.uuid, log_uuid, sizeof(segment.uuid));
    pending_segment_encode(&segment, log_bytes + piece->block % LOG_SEGMENTS * LOG_SEGMENT);
}

/* A field of a segment's header, sealed again. */
static void log_segment_field(const struct log_piece *piece)
{
    uint8_t *header = log_bytes + piece->block % LOG_SEGMENTS * LOG_SEGMENT;

    bytes_store_u32(header + piece->a % 14 * 4, piece->b);
    bytes_store_u32(header + 56, crc32c(0, header, 56));
}

/* Where a frame of this piece goes: mostly where a block begins. */
static size_t log_place(const struct log_piece *piece)
{
    size_t shift = piece->kind % 2 == 0 ? 0 : piece->a / 16 % PENDING_BLOCK;
    size_t at = piece->block % LOG_BLOCKS * PENDING_BLOCK + shift;

    return at + PENDING_BLOCK <= LOG_SIZE ? at : LOG_SIZE - PENDING_BLOCK;
}

/* Seals what lies at `at` as a frame; its body of at most what is left of the file. */
static void log_seal(size_t at, uint64_t epoch, txnid_t txnid, txnid_t durable, uint32_t batches,
                     size_t body_size)
{
    uint8_t *frame = log_bytes + at;
    size_t most = LOG_SIZE - at - PENDING_FRAME_HEADER_SIZE;

    log_last = at;
    body_size = body_size < most ? body_size : most;
    bytes_store_u32(frame, (uint32_t)body_size);
    bytes_store_u64(frame + 8, epoch);
    bytes_store_u64(frame + 16, txnid);
    bytes_store_u64(frame + 24, durable);
    bytes_store_u32(frame + 32, batches);
    bytes_store_u32(frame + 36, 0);
    bytes_store_u32(frame + 4, crc32c(0, frame + 8, 32 + body_size));
}

/* A frame with one batch of one put, and any bytes behind it up to its length. */
static void log_frame(const struct log_piece *piece)
{
    static const uint8_t value[64];
    size_t at = log_place(piece);
    txnid_t txnid = LOG_TXNID + 1 + piece->b % 32;
    size_t left = LOG_SEGMENT - at % LOG_SEGMENT - PENDING_FRAME_HEADER_SIZE;
    size_t lengths[] = {0, 1, 4000, 4056, 4057, 8000, 61400, 61399, piece->b >> 10, left, left - 9};
    size_t body_size = lengths[piece->b / 32 % (sizeof(lengths) / sizeof(lengths[0]))];
    struct batch batch = {0};
    size_t size;

    FUZZ_PROMISE(batch_add(&batch, BATCH_PUT, 0, "key", 3, value, sizeof(value), NULL) == BTS_OK);
    const uint8_t *bytes = batch_bytes(&batch, &size);
    bytes_store_u32(log_bytes + at + PENDING_FRAME_HEADER_SIZE, (uint32_t)size);
    memcpy(log_bytes + at + PENDING_FRAME_HEADER_SIZE + 4, bytes, size);
    body_size = body_size == 0 ? 4 + size : body_size;
    log_seal(at, LOG_EPOCH + (piece->a % 16 == 15), txnid, txnid - 1 - piece->a % 4, 1, body_size);
    batch_fini(&batch);
}

/* A field of a frame's header, or of the body behind it, sealed again. */
static void log_frame_field(const struct log_piece *piece)
{
    uint8_t *frame = log_bytes + log_place(piece);
    size_t left = LOG_SIZE - (size_t)(frame - log_bytes);
    size_t length;

    bytes_store_u32(frame + piece->a % 25 * 4, piece->b);
    length = bytes_load_u32(frame);
    if (length <= left - PENDING_FRAME_HEADER_SIZE) {
        bytes_store_u32(frame + 4, crc32c(0, frame + 8, 32 + length));
    }
}

static void log_raw(const struct log_piece *piece)
{
    bytes_store_u32(log_bytes + piece->block % LOG_BLOCKS * PENDING_BLOCK +
                        piece->a % (PENDING_BLOCK - 3), piece->b);
}

static void log_cut(const struct log_piece *piece)
{
    log_size = piece->block % LOG_BLOCKS * PENDING_BLOCK + piece->a % 3;
}

static void (*const log_pieces[])(const struct log_piece *piece) = {
    log_segment, log_segment, log_segment_field, log_segment_field, log_frame, log_frame,
    log_frame,   log_frame,   log_frame_field,   log_frame_field,   log_raw,   log_cut,
};

/* ---- claims --------------------------------------------------------------------------- */

/* To be called behind the pieces. */
static struct pending_claim log_claim(const uint8_t *data)
{
    uint32_t place = bytes_load_u32(data + 4);
    struct pending_claim claim = {.clean = data[0] % 16 == 15,
                                  .epoch = LOG_EPOCH + data[1] % 8 / 7,
                                  .txnid = LOG_TXNID + data[3] % 4};

    claim.position = place % 8 * PENDING_BLOCK + place / 8 % 4 * LOG_SEGMENT;
    if (data[2] % 4 == 1) { /* right at a frame, wherever that is */
        claim.position = log_last % LOG_SEGMENT + data[3] / 4 % 4 * LOG_SEGMENT;
    } else if (data[2] % 4 == 3) { /* anything */
        claim.position = place;
    } else if (data[2] % 16 == 2) {
        claim.position = UINT64_MAX - place;
    }
    return claim;
}

/* ---- reading ---------------------------------------------------------------------------- */

struct log_seen {
    txnid_t last;
    uint64_t count;
    uint64_t batches;
};

static enum bts_status log_each(void *context, const struct pending_frame *frame,
                                struct bts_error *error)
{
    struct log_seen *seen = context;
    struct pending_body_reader reader = {frame->body, frame->body + frame->body_size};
    const uint8_t *batch;
    size_t size;

    FUZZ_PROMISE(frame->txnid == seen->last + 1);
    seen->last = frame->txnid;
    seen->count++;
    seen->batches += frame->batch_count;
    while (pending_body_next(&reader, &batch, &size)) {
        FUZZ_PROMISE(batch >= frame->body && size <= frame->body_size);
        if (batch_check(batch, size, PAGE_SIZE_MIN, error) != BTS_OK) {
            break;
        }
    }
    return BTS_OK;
}

static void log_text(enum bts_status status, const struct bts_error *error)
{
    if (status != BTS_OK) {
        FUZZ_PROMISE(error->text[0] != '\0' && strchr(error->text, '\n') == NULL);
    }
}

/* Opens the log, scans, replays; true: all of it said yes, and the log stays open. */
static bool log_read(struct pending_log *log, const struct pending_claim *claim,
                     struct pending_found *found)
{
    struct log_seen seen = {.last = claim->txnid};
    struct bts_error error;
    enum bts_status status = pending_log_open(log, &file_system_real, folder_pending(), log_uuid,
                                              LOG_SEGMENT, LOG_SIZE, &error);

    log_text(status, &error);
    if (status != BTS_OK) {
        return false;
    }
    status = pending_log_scan(log, claim, found, &error);
    log_text(status, &error);
    if (status == BTS_OK) {
        FUZZ_PROMISE(pending_log_replay(log, claim, log_each, NULL, &seen, &error) == BTS_OK);
        FUZZ_PROMISE(seen.count == found->frame_count && seen.last == found->last_txnid);
        FUZZ_PROMISE(seen.batches == found->batch_count);
        return true;
    }
    pending_log_close(log);
    return false;
}

/* A new epoch with one frame, as a recovery begins it. */
static bool log_begin(struct pending_log *log, uint64_t epoch, txnid_t txnid)
{
    struct pending_buffer buffer = {0};
    struct pending_place place;
    struct bts_error error;
    enum bts_status status = pending_log_begin(log, epoch, txnid, &error);

    log_text(status, &error);
    if (status == BTS_OK) {
        status = pending_log_reserve(log, 100, &error);
        FUZZ_PROMISE(status == BTS_OK);
        FUZZ_PROMISE(pending_buffer_reserve(&buffer, 100, &error) == BTS_OK);
        pending_buffer_add(&buffer, log_uuid, sizeof(log_uuid));
        pending_log_place(log, &buffer, txnid, txnid - 1, &place);
        FUZZ_PROMISE(pending_log_write(log, &buffer, &place, true, &error) == BTS_OK);
        pending_log_check(log);
        pending_buffer_fini(&buffer);
    }
    return status == BTS_OK;
}

static void log_use(const struct pending_claim *claim, bool begins)
{
    struct pending_log log;
    struct pending_found found;
    struct pending_found again;
    struct pending_claim next;

    if (!log_read(&log, claim, &found)) {
        return;
    }
    if (!begins || found.newest_epoch == UINT64_MAX || found.last_txnid > UINT64_MAX / 2) {
        pending_log_close(&log);
        return;
    }
    next = (struct pending_claim){.epoch = found.newest_epoch + 1, .txnid = found.last_txnid + 1};
    bool begun = log_begin(&log, next.epoch, next.txnid + 1);
    next.position = log.start;
    pending_log_close(&log);
    if (begun) {
        if (log_read(&log, &next, &again)) { /* else frames behind a gap tell of an older file */
            FUZZ_PROMISE(again.frame_count >= 1); /* and of the future there may be more */
            pending_log_close(&log);
        }
        if (!claim->clean) { /* a clean one knows nothing of newer frames */
            FUZZ_PROMISE(!log_read(&log, claim, &again) ||
                         (again.frame_count == found.frame_count &&
                          (pending_log_close(&log), true)));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pending_claim claim;

    if (size < 8) {
        return 0;
    }
    memset(log_bytes, 0, sizeof(log_bytes));
    log_size = LOG_SIZE;
    log_last = PENDING_BLOCK;
    for (size_t i = 8; i + 8 <= size && i < 8 * LOG_PIECES_MAX; i += 8) {
        struct log_piece piece = {data[i] % (sizeof(log_pieces) / sizeof(log_pieces[0])),
                                  data[i + 1], bytes_load_u16(data + i + 2),
                                  bytes_load_u32(data + i + 4)};
        log_pieces[piece.kind](&piece);
    }
    claim = log_claim(data);
    folder_write(folder_pending(), log_bytes, log_size);
    log_use(&claim, data[0] / 16 % 4 == 0); /* it takes long */
    return 0;
}

/* ---- seeds ---------------------------------------------------------------------------------- */

static uint8_t *log_write_piece(uint8_t *at, unsigned kind, unsigned block, unsigned a, uint32_t b)
{
    at[0] = (uint8_t)kind;
    at[1] = (uint8_t)block;
    bytes_store_u16(at + 2, (uint16_t)a);
    bytes_store_u32(at + 4, b);
    return at + 8;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    uint8_t *at = out + 8;

    if (index >= 16) {
        return 0;
    }
    memset(out, 0, 8);
    bytes_store_u32(out + 4, 1); /* right behind the header of segment 0 */
    out[3] = 0;
    at = log_write_piece(at, 0, 0, 0, 1);
    for (unsigned i = 0; i <= index % 8; i++) {
        at = log_write_piece(at, 4, 1 + i, 1, i);
    }
    if (index >= 8) { /* and the next segment, which goes on */
        at = log_write_piece(at, 0, 1, 1, 2 + index % 8);
        at = log_write_piece(at, 4, 17, 1, 1 + index % 8);
        at = log_write_piece(at, 4, 18, 1, 2 + index % 8 + 32 * (index % 4));
    }
    return (size_t)(at - out);
}
