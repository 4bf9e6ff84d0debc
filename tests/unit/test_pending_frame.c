/* SPDX-License-Identifier: MIT */
/* pending_frame: what the log says of itself after a crash. */
#include "format/pending_frame.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "unit.h"

#define EPOCH 7u

static const struct pending_segment test_segment = {
    .segment_size = 1u << 20,
    .uuid = "0123456789abcde",
    .epoch = EPOCH,
    .sequence = 3,
    .first_txnid = 1234,
};
static struct bts_error test_error;

/* A sealed frame in memory of exactly `room` bytes, of which the caller frees all. */
static uint8_t *frame_make(size_t body_size, size_t room)
{
    uint8_t *frame = malloc(room);

    ck_assert_ptr_nonnull(frame);
    ck_assert_uint_ge(room, pending_frame_size(body_size));
    memset(frame, 0xee, room);
    for (size_t i = 0; i < body_size; i++) {
        frame[PENDING_FRAME_HEADER_SIZE + i] = (uint8_t)(i * 7);
    }
    pending_frame_seal(frame, EPOCH, 100, 98, 2, body_size);
    return frame;
}

/* Decodes the first `size` bytes in a block of exactly that size. */
static enum pending_frame_fault decode(const uint8_t *data, size_t size,
                                       struct pending_frame *frame)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, data, size);
    enum pending_frame_fault fault = pending_frame_decode(exact, size, EPOCH, frame);
    free(exact);
    return fault;
}

START_TEST(a_segment_header_comes_back_as_it_was)
{
    struct pending_segment segment;
    uint8_t block[PENDING_BLOCK];

    memset(block, 0xee, sizeof(block));
    pending_segment_encode(&test_segment, block);
    ck_assert_int_eq(pending_segment_decode(block, &segment, &test_error), BTS_OK);
    ck_assert_mem_eq(&segment, &test_segment, sizeof(segment));
    for (size_t i = 60; i < PENDING_BLOCK; i++) {
        ck_assert_uint_eq(block[i], 0);
    }
}
END_TEST

START_TEST(the_segment_header_lies_as_the_format_says)
{
    uint8_t block[PENDING_BLOCK];

    pending_segment_encode(&test_segment, block);
    ck_assert_mem_eq(block, "btspend\n", 8);
    ck_assert_uint_eq(bytes_load_u32(block + 8), 1);
    ck_assert_uint_eq(bytes_load_u32(block + 12), 1u << 20);
    ck_assert_mem_eq(block + 16, test_segment.uuid, 16);
    ck_assert_uint_eq(bytes_load_u64(block + 32), EPOCH);
    ck_assert_uint_eq(bytes_load_u64(block + 40), 3);
    ck_assert_uint_eq(bytes_load_u64(block + 48), 1234);
    ck_assert_uint_eq(bytes_load_u32(block + 56), crc32c(0, block, 56));
}
END_TEST

START_TEST(every_bit_of_a_segment_header_is_guarded)
{
    struct pending_segment segment;
    uint8_t block[PENDING_BLOCK];

    pending_segment_encode(&test_segment, block);
    for (size_t bit = 0; bit < 60 * 8; bit++) {
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(pending_segment_decode(block, &segment, &test_error), BTS_DAMAGED);
        ck_assert_uint_eq(segment.epoch, 0);
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(a_segment_of_a_later_version_is_told_from_a_damaged_one)
{
    struct pending_segment segment;
    uint8_t block[PENDING_BLOCK];

    pending_segment_encode(&test_segment, block);
    bytes_store_u32(block + 8, 2);
    bytes_store_u32(block + 56, crc32c(0, block, 56));
    ck_assert_int_eq(pending_segment_decode(block, &segment, &test_error), BTS_VERSION);
    ck_assert_ptr_nonnull(strstr(test_error.text, "version 2"));
}
END_TEST

START_TEST(impossible_segment_sizes_are_damage)
{
    static const uint32_t sizes[] = {0, 4096, 65535, 65537, 66000, (256u << 20) + 4096, UINT32_MAX};
    struct pending_segment segment;
    uint8_t block[PENDING_BLOCK];

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pending_segment_encode(&test_segment, block);
        bytes_store_u32(block + 12, sizes[i]);
        bytes_store_u32(block + 56, crc32c(0, block, 56));
        ck_assert_int_eq(pending_segment_decode(block, &segment, &test_error), BTS_DAMAGED);
    }
}
END_TEST

START_TEST(a_frame_comes_back_as_it_was)
{
    static const size_t sizes[] = {1, 40, 4055, 4056, 4057, 4096, 8152, 8153, 100000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t room = pending_frame_size(sizes[i]);
        uint8_t *bytes = frame_make(sizes[i], room);
        struct pending_frame frame;
        ck_assert_int_eq(pending_frame_decode(bytes, room, EPOCH, &frame), PENDING_FRAME_OK);
        ck_assert_uint_eq(frame.epoch, EPOCH);
        ck_assert_uint_eq(frame.txnid, 100);
        ck_assert_uint_eq(frame.durable, 98);
        ck_assert_uint_eq(frame.batch_count, 2);
        ck_assert_uint_eq(frame.body_size, sizes[i]);
        ck_assert_ptr_eq(frame.body, bytes + PENDING_FRAME_HEADER_SIZE);
        free(bytes);
    }
}
END_TEST

START_TEST(the_frame_header_lies_as_the_format_says)
{
    uint8_t *bytes = frame_make(10, PENDING_BLOCK);

    ck_assert_uint_eq(bytes_load_u32(bytes), 10);
    ck_assert_uint_eq(bytes_load_u32(bytes + 4), crc32c(0, bytes + 8, 32 + 10));
    ck_assert_uint_eq(bytes_load_u64(bytes + 8), EPOCH);
    ck_assert_uint_eq(bytes_load_u64(bytes + 16), 100);
    ck_assert_uint_eq(bytes_load_u64(bytes + 24), 98);
    ck_assert_uint_eq(bytes_load_u32(bytes + 32), 2);
    ck_assert_uint_eq(bytes_load_u32(bytes + 36), 0);
    free(bytes);
}
END_TEST

START_TEST(padding_is_zero_and_nothing_behind_it_is_touched)
{
    uint8_t *bytes = frame_make(10, 2 * PENDING_BLOCK);

    for (size_t i = PENDING_FRAME_HEADER_SIZE + 10; i < PENDING_BLOCK; i++) {
        ck_assert_uint_eq(bytes[i], 0);
    }
    for (size_t i = PENDING_BLOCK; i < 2 * PENDING_BLOCK; i++) {
        ck_assert_uint_eq(bytes[i], 0xee);
    }
    free(bytes);
}
END_TEST

START_TEST(frame_sizes_are_whole_blocks)
{
    ck_assert_uint_eq(pending_frame_size(1), 4096);
    ck_assert_uint_eq(pending_frame_size(4096 - 40), 4096);
    ck_assert_uint_eq(pending_frame_size(4096 - 39), 8192);
    ck_assert_uint_eq(pending_frame_size(8192 - 40), 8192);
}
END_TEST

START_TEST(zeros_are_no_frame)
{
    uint8_t block[PENDING_BLOCK] = {0};
    struct pending_frame frame;

    ck_assert_int_eq(decode(block, sizeof(block), &frame), PENDING_FRAME_NONE);
    memset(block + 4, 0xee, sizeof(block) - 4); /* length 0 alone says it */
    ck_assert_int_eq(decode(block, sizeof(block), &frame), PENDING_FRAME_NONE);
}
END_TEST

START_TEST(a_frame_that_leaves_its_segment_is_short)
{
    struct pending_frame frame;
    uint8_t *bytes = frame_make(5000, 8192);

    for (size_t size = 0; size < 40 + 5000; size++) {
        ck_assert_int_eq(decode(bytes, size, &frame), PENDING_FRAME_SHORT);
        ck_assert_ptr_null(frame.body);
    }
    ck_assert_int_eq(decode(bytes, 40 + 5000, &frame), PENDING_FRAME_OK);
    free(bytes);
}
END_TEST

START_TEST(a_length_near_the_end_of_its_type_cannot_wrap)
{
    static const uint32_t lengths[] = {4057, 0x7fffffff, 0xffffffd8, 0xfffff000, UINT32_MAX};
    struct pending_frame frame;
    uint8_t *bytes = frame_make(10, PENDING_BLOCK);

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        bytes_store_u32(bytes, lengths[i]);
        ck_assert_int_eq(decode(bytes, PENDING_BLOCK, &frame), PENDING_FRAME_SHORT);
    }
    free(bytes);
}
END_TEST

START_TEST(every_bit_of_a_frame_is_guarded)
{
    struct pending_frame frame;
    uint8_t *bytes = frame_make(100, PENDING_BLOCK);

    for (size_t bit = 32; bit < 140 * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(decode(bytes, PENDING_BLOCK, &frame), PENDING_FRAME_BAD);
        ck_assert_ptr_null(frame.body);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 32; bit++) { /* the length: short or bad */
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(decode(bytes, PENDING_BLOCK, &frame), PENDING_FRAME_OK);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    bytes[200] ^= 1; /* padding is nobody's */
    ck_assert_int_eq(decode(bytes, PENDING_BLOCK, &frame), PENDING_FRAME_OK);
    free(bytes);
}
END_TEST

/* A group torn at any sector: the log ends there, nothing of it is replayed. */
START_TEST(a_torn_frame_is_bad)
{
    struct pending_frame frame;
    uint8_t *whole = frame_make(20000, pending_frame_size(20000));
    uint8_t *torn = malloc(pending_frame_size(20000));

    ck_assert_ptr_nonnull(torn);
    for (size_t written = 512; written < 20000; written += 512) {
        memset(torn, 0, pending_frame_size(20000));
        memcpy(torn, whole, written);
        ck_assert_int_eq(decode(torn, pending_frame_size(20000), &frame), PENDING_FRAME_BAD);
        memcpy(torn, whole, 20480); /* the first sector last */
        memset(torn, 0, written);
        ck_assert_int_eq(decode(torn, pending_frame_size(20000), &frame), PENDING_FRAME_NONE);
    }
    free(torn);
    free(whole);
}
END_TEST

START_TEST(a_whole_frame_of_another_epoch_is_stale)
{
    struct pending_frame frame;
    uint8_t *bytes = frame_make(100, PENDING_BLOCK);

    ck_assert_int_eq(pending_frame_decode(bytes, PENDING_BLOCK, EPOCH + 1, &frame),
                     PENDING_FRAME_STALE);
    ck_assert_ptr_null(frame.body);
    bytes[60] ^= 1; /* damage is said before age */
    ck_assert_int_eq(pending_frame_decode(bytes, PENDING_BLOCK, EPOCH + 1, &frame),
                     PENDING_FRAME_BAD);
    free(bytes);
}
END_TEST

START_TEST(a_reserved_field_that_is_set_is_bad)
{
    struct pending_frame frame;
    uint8_t *bytes = frame_make(100, PENDING_BLOCK);

    bytes_store_u32(bytes + 36, 1);
    bytes_store_u32(bytes + 4, crc32c(0, bytes + 8, 132));
    ck_assert_int_eq(decode(bytes, PENDING_BLOCK, &frame), PENDING_FRAME_BAD);
    free(bytes);
}
END_TEST

START_TEST(a_body_gives_its_batches_in_order)
{
    uint8_t body[4 + 3 + 4 + 0 + 4 + 5] = "\3\0\0\0abc\0\0\0\0\5\0\0\0hello";
    struct pending_body_reader reader = {body, body + sizeof(body)};
    const uint8_t *batch = NULL;
    size_t size = 0;

    ck_assert(pending_body_next(&reader, &batch, &size));
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(batch, "abc", 3);
    ck_assert(pending_body_next(&reader, &batch, &size));
    ck_assert_uint_eq(size, 0);
    ck_assert(pending_body_next(&reader, &batch, &size));
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(batch, "hello", 5);
    ck_assert(!pending_body_next(&reader, &batch, &size));
    ck_assert_ptr_eq(reader.next, reader.end);
    ck_assert_ptr_null(batch);
}
END_TEST

START_TEST(a_body_may_end_in_a_batch_without_bytes)
{
    static const uint8_t body[4] = {0};
    struct pending_body_reader reader = {body, body + sizeof(body)};
    const uint8_t *batch = NULL;
    size_t size = 1;

    ck_assert(pending_body_next(&reader, &batch, &size));
    ck_assert_uint_eq(size, 0);
    ck_assert_ptr_eq(reader.next, reader.end);
}
END_TEST

START_TEST(a_body_whose_sizes_lie_ends_before_its_end)
{
    static const uint32_t lies[] = {4, 5, 0x7fffffff, 0xfffffffc, UINT32_MAX};
    const uint8_t *batch = NULL;
    size_t size = 0;

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t *body = malloc(7);
        ck_assert_ptr_nonnull(body);
        bytes_store_u32(body, lies[i]);
        struct pending_body_reader reader = {body, body + 7};
        ck_assert(!pending_body_next(&reader, &batch, &size));
        ck_assert_ptr_ne(reader.next, reader.end);
        struct pending_body_reader stub = {body, body + 3}; /* no room for a size */
        ck_assert(!pending_body_next(&stub, &batch, &size));
        ck_assert_ptr_ne(stub.next, stub.end);
        free(body);
    }
}
END_TEST

int main(void)
{
    return UNIT_RUN("pending_frame", a_segment_header_comes_back_as_it_was,
                    the_segment_header_lies_as_the_format_says,
                    every_bit_of_a_segment_header_is_guarded,
                    a_segment_of_a_later_version_is_told_from_a_damaged_one,
                    impossible_segment_sizes_are_damage, a_frame_comes_back_as_it_was,
                    the_frame_header_lies_as_the_format_says,
                    padding_is_zero_and_nothing_behind_it_is_touched,
                    frame_sizes_are_whole_blocks, zeros_are_no_frame,
                    a_frame_that_leaves_its_segment_is_short,
                    a_length_near_the_end_of_its_type_cannot_wrap,
                    every_bit_of_a_frame_is_guarded, a_torn_frame_is_bad,
                    a_whole_frame_of_another_epoch_is_stale,
                    a_reserved_field_that_is_set_is_bad, a_body_gives_its_batches_in_order,
                    a_body_may_end_in_a_batch_without_bytes,
                    a_body_whose_sizes_lie_ends_before_its_end);
}
