/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pending_frame: any bytes as the rest of a log segment.
 *
 * Promises: nothing outside is read; a frame that is OK lies inside and,
 * sealed again, is the same; its batches lie inside it.  So that mutants reach
 * what lies behind the checksum, each input is tried with the right one too.
 */
#include "format/pending_frame.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "fuzz.h"

#include <string.h>

#define FUZZ_EPOCH 7u

static void fuzz_body(const struct pending_frame *frame)
{
    struct pending_body_reader reader = {frame->body, frame->body + frame->body_size};
    const uint8_t *batch = NULL;
    size_t batch_size = 0;
    size_t sum = 0;

    while (pending_body_next(&reader, &batch, &batch_size)) {
        FUZZ_PROMISE(batch >= frame->body && batch_size <= frame->body_size);
        FUZZ_PROMISE(batch + batch_size <= frame->body + frame->body_size);
        sum += 4 + batch_size;
    }
    FUZZ_PROMISE(batch == NULL && batch_size == 0);
    FUZZ_PROMISE(frame->body + sum == reader.next && sum <= frame->body_size);
}

static void fuzz_again(const uint8_t *data, const struct pending_frame *frame)
{
    size_t size = pending_frame_size(frame->body_size);
    uint8_t *again = malloc(size);

    FUZZ_PROMISE(again != NULL && size % PENDING_BLOCK == 0);
    memcpy(again + PENDING_FRAME_HEADER_SIZE, frame->body, frame->body_size);
    pending_frame_seal(again, frame->epoch, frame->txnid, frame->durable, frame->batch_count,
                       frame->body_size);
    FUZZ_PROMISE(memcmp(again, data, PENDING_FRAME_HEADER_SIZE + frame->body_size) == 0);
    free(again);
}

static void fuzz_decode(const uint8_t *data, size_t size)
{
    struct pending_frame frame;
    enum pending_frame_fault fault = pending_frame_decode(data, size, FUZZ_EPOCH, &frame);

    if (fault != PENDING_FRAME_OK) {
        FUZZ_PROMISE(frame.body == NULL && frame.body_size == 0 && frame.txnid == 0);
        return;
    }
    FUZZ_PROMISE(frame.body == data + PENDING_FRAME_HEADER_SIZE);
    FUZZ_PROMISE(frame.body_size > 0 && frame.body_size <= size - PENDING_FRAME_HEADER_SIZE);
    fuzz_body(&frame);
    fuzz_again(data, &frame);
}

static void fuzz_segment(const uint8_t *data)
{
    struct pending_segment segment;
    uint8_t block[PENDING_BLOCK];

    if (pending_segment_decode(data, &segment, NULL) == BTS_OK) {
        pending_segment_encode(&segment, block);
        FUZZ_PROMISE(memcmp(block, data, 60) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_decode(data, size);
    if (size >= PENDING_BLOCK) {
        fuzz_segment(data);
    }
    if (size > PENDING_FRAME_HEADER_SIZE) {
        uint8_t *copy = malloc(size);
        FUZZ_PROMISE(copy != NULL);
        memcpy(copy, data, size);
        size_t length = bytes_load_u32(copy);
        if (length <= size - PENDING_FRAME_HEADER_SIZE) {
            bytes_store_u32(copy + 4, crc32c(0, copy + 8, 32 + length));
        }
        fuzz_decode(copy, size);
        if (size >= PENDING_BLOCK) {
            memcpy(copy, "btspend\n", 8);
            bytes_store_u32(copy + 56, crc32c(0, copy, 56));
            fuzz_segment(copy);
        }
        free(copy);
    }
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    struct pending_segment segment = {
        PENDING_SEGMENT_SIZE_MIN, "0123456789abcde", FUZZ_EPOCH, 3, 9,
    };
    size_t body_size = index == 0 ? 30 : index == 1 ? 5000 : 4096 - PENDING_FRAME_HEADER_SIZE;
    uint8_t *body = out + PENDING_FRAME_HEADER_SIZE;

    if (index > 3) {
        return 0;
    }
    if (index == 3) {
        pending_segment_encode(&segment, out);
        return PENDING_BLOCK;
    }
    memset(body, 'b', body_size);
    bytes_store_u32(body, 10);
    bytes_store_u32(body + 14, (uint32_t)body_size - 18);
    pending_frame_seal(out, FUZZ_EPOCH, 12, 10, 2, body_size);
    return pending_frame_size(body_size);
}
