/* SPDX-License-Identifier: MIT */
/* bucket_record: what the directory says of a bucket. */
#include "format/bucket_record.h"

#include <string.h>

#include "base/bytes.h"
#include "unit.h"

static const struct bucket_record test_record = {
    .id = 7, .root = 4711, .depth = 3, .entry_count = 100000, .leaf_pages = 2000,
    .inner_pages = 20, .run_pages = 5, .created = 42,
};
static struct bts_error test_error;

static enum bts_status decode(const uint8_t *bytes, size_t size, struct bucket_record *record)
{
    uint8_t *exact = malloc(size + 1); /* + 1: values in a leaf have no alignment */

    ck_assert_ptr_nonnull(exact);
    memcpy(exact + 1, bytes, size);
    enum bts_status status = bucket_record_decode(exact + 1, size, record, &test_error);
    free(exact);
    return status;
}

START_TEST(a_record_comes_back_as_it_was)
{
    uint8_t bytes[BUCKET_RECORD_SIZE];
    struct bucket_record record;

    bucket_record_encode(&test_record, bytes);
    ck_assert_int_eq(decode(bytes, sizeof(bytes), &record), BTS_OK);
    ck_assert_mem_eq(&record, &test_record, sizeof(record));
}
END_TEST

START_TEST(the_bytes_are_as_the_format_says)
{
    uint8_t bytes[BUCKET_RECORD_SIZE];

    bucket_record_encode(&test_record, bytes);
    ck_assert_uint_eq(bytes_load_u32(bytes), 7);
    ck_assert_uint_eq(bytes_load_u32(bytes + 4), 4711);
    ck_assert_uint_eq(bytes_load_u32(bytes + 8), 3);
    ck_assert_uint_eq(bytes_load_u32(bytes + 12), 0);
    ck_assert_uint_eq(bytes_load_u64(bytes + 16), 100000);
    ck_assert_uint_eq(bytes_load_u64(bytes + 24), 2000);
    ck_assert_uint_eq(bytes_load_u64(bytes + 32), 20);
    ck_assert_uint_eq(bytes_load_u64(bytes + 40), 5);
    ck_assert_uint_eq(bytes_load_u64(bytes + 48), 42);
    ck_assert_uint_eq(bytes_load_u64(bytes + 56), 0);
}
END_TEST

START_TEST(an_empty_bucket_has_no_root)
{
    struct bucket_record empty = {.id = BUCKET_DEFAULT_ID, .created = 1};
    struct bucket_record record;
    uint8_t bytes[BUCKET_RECORD_SIZE];

    bucket_record_encode(&empty, bytes);
    ck_assert_int_eq(decode(bytes, sizeof(bytes), &record), BTS_OK);
    ck_assert_mem_eq(&record, &empty, sizeof(record));
    for (size_t at = 16; at < 48; at += 8) { /* but it cannot have counts */
        bytes[at] = 1;
        ck_assert_int_eq(decode(bytes, sizeof(bytes), &record), BTS_DAMAGED);
        bytes[at] = 0;
    }
}
END_TEST

START_TEST(a_record_of_another_size_is_damage)
{
    uint8_t bytes[2 * BUCKET_RECORD_SIZE] = {0};
    struct bucket_record record;

    bucket_record_encode(&test_record, bytes);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        ck_assert_int_eq(decode(bytes, size, &record),
                         size == BUCKET_RECORD_SIZE ? BTS_OK : BTS_DAMAGED);
    }
    ck_assert_uint_eq(record.root, 0);
}
END_TEST

START_TEST(contradictions_and_reserved_bits_are_damage)
{
    static const struct {
        size_t at;
        uint32_t value;
    } rows[] = {{0, BUCKET_ID_NONE}, {0, BUCKET_ID_DIRECTORY}, {4, 0}, {8, 0}, {12, 1},
                {12, 1u << 31}, {56, 1}, {60, 1u << 31}};
    uint8_t bytes[BUCKET_RECORD_SIZE];
    struct bucket_record record;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bucket_record_encode(&test_record, bytes);
        bytes_store_u32(bytes + rows[i].at, rows[i].value);
        ck_assert_int_eq(decode(bytes, sizeof(bytes), &record), BTS_DAMAGED);
        ck_assert_uint_eq(record.id, 0);
        ck_assert_uint_gt(strlen(test_error.text), 0);
    }
}
END_TEST

int main(void)
{
    return UNIT_RUN("bucket_record", a_record_comes_back_as_it_was,
                    the_bytes_are_as_the_format_says, an_empty_bucket_has_no_root,
                    a_record_of_another_size_is_damage,
                    contradictions_and_reserved_bits_are_damage);
}
