/* SPDX-License-Identifier: MIT */
/* batch: the writes of one transaction as bytes, from a friend and from a stranger. */
#include "format/batch.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "unit.h"

#define KEY_MAX_4096 996u
#define KEY_MAX_65536 16356u

static uint8_t test_bytes[70u << 20]; /* zeros, enough for every value */
static struct bts_error test_error;

static void add(struct batch *batch, enum batch_type type, unsigned flags, const char *first,
                const char *second)
{
    enum bts_status status = batch_add(batch, type, flags, first, strlen(first), second,
                                       strlen(second), &test_error);
    ck_assert_msg(status == BTS_OK, "%s", test_error.text);
}

/* One operation of `type` with sizes alone, the bytes being zeros. */
static enum bts_status add_sizes(struct batch *batch, enum batch_type type, unsigned flags,
                                 size_t first_size, size_t second_size)
{
    return batch_add(batch, type, flags, test_bytes, first_size, test_bytes, second_size,
                     &test_error);
}

static enum bts_status check(struct batch *batch, size_t page_size)
{
    size_t size = 0;
    const uint8_t *bytes = batch_bytes(batch, &size);

    return batch_check(bytes, size, page_size, &test_error);
}

/* Checks bytes that were tampered with, in a block of exactly their size. */
static enum bts_status check_bytes(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, size);
    memset(&test_error, 0, sizeof(test_error));
    enum bts_status status = batch_check(exact, size, 4096, &test_error);
    free(exact);
    return status;
}

START_TEST(an_empty_batch_is_a_header)
{
    struct batch batch = {0};
    size_t size = 0;
    const uint8_t *bytes = batch_bytes(&batch, &size);

    ck_assert_uint_eq(size, BATCH_HEADER_SIZE);
    ck_assert_uint_eq(batch_count(bytes), 0);
    ck_assert_int_eq(check(&batch, 4096), BTS_OK);

    struct batch_reader reader;
    struct batch_operation operation;
    batch_reader_init(&reader, bytes, size);
    ck_assert(!batch_next(&reader, &operation));
}
END_TEST

START_TEST(the_bytes_are_as_the_format_says)
{
    static const uint8_t expected[] = {
        'b', 't', 'b', '1', 0, 0, 0, 0,                     /* magic, flags */
        0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 46, 0, 0, 0,    /* snapshot, count, size */
        1, 0, 1, 0, 0, 0, 0, 0, 'u',                        /* use "u" */
        3, 1, 2, 0, 3, 0, 0, 0, 'k', 'y', 'v', 'a', 'l',    /* put, if absent */
    };
    struct batch batch = {0};
    size_t size = 0;

    add(&batch, BATCH_USE, 0, "u", "");
    add(&batch, BATCH_PUT, BATCH_IF_ABSENT, "ky", "val");
    const uint8_t *bytes = batch_bytes(&batch, &size);

    ck_assert_uint_eq(size, sizeof(expected));
    ck_assert_mem_eq(bytes, expected, sizeof(expected));
    batch_fini(&batch);
}
END_TEST

START_TEST(every_type_comes_back_as_it_was_added)
{
    static const struct {
        enum batch_type type;
        unsigned flags;
        const char *first;
        const char *second;
    } rows[] = {
        {BATCH_USE, 0, "users", ""},
        {BATCH_USE_ID, 0, "", "\1\2\3\4"},
        {BATCH_PUT, 0, "key", "value"},
        {BATCH_PUT, BATCH_IF_ABSENT | BATCH_RETURN, "key", ""},
        {BATCH_PUT, BATCH_IF_PRESENT, "key", "value"},
        {BATCH_DELETE, BATCH_RETURN, "key", ""},
        {BATCH_DELETE_RANGE, 0, "a", "b"},
        {BATCH_DELETE_RANGE, BATCH_OPEN_FROM, "", "b"},
        {BATCH_DELETE_RANGE, BATCH_OPEN_TO, "a", ""},
        {BATCH_DELETE_RANGE, BATCH_OPEN_FROM | BATCH_OPEN_TO, "", ""},
        {BATCH_INCREMENT, BATCH_RETURN, "hits", "\1\2\3\4\5\6\7\10"},
        {BATCH_GET, 0, "key", ""},
        {BATCH_GET, BATCH_RETURN, "key", ""},
        {BATCH_BUCKET_CREATE, 0, "users", ""},
        {BATCH_BUCKET_CREATE, BATCH_RETURN, "guests", ""},
        {BATCH_BUCKET_DROP, 0, "users", ""},
        {BATCH_BUCKET_RENAME, 0, "users", "people"},
        {BATCH_REQUIRE_ABSENT, 0, "key", ""},
        {BATCH_REQUIRE_PRESENT, 0, "key", ""},
        {BATCH_REQUIRE_EQUAL, 0, "key", ""},
        {BATCH_REQUIRE_EQUAL, 0, "key", "value"},
    };
    size_t row_count = sizeof(rows) / sizeof(rows[0]);
    struct batch batch = {0};
    struct batch_reader reader;
    struct batch_operation operation;
    size_t size = 0;

    for (size_t i = 0; i < row_count; i++) {
        add(&batch, rows[i].type, rows[i].flags, rows[i].first, rows[i].second);
        ck_assert_int_eq(check(&batch, 4096), BTS_OK);
    }
    const uint8_t *bytes = batch_bytes(&batch, &size);
    ck_assert_uint_eq(batch_count(bytes), row_count);
    batch_reader_init(&reader, bytes, size);
    for (size_t i = 0; i < row_count; i++) {
        ck_assert(batch_next(&reader, &operation));
        ck_assert_int_eq(operation.type, rows[i].type);
        ck_assert_uint_eq(operation.flags, rows[i].flags);
        ck_assert_uint_eq(operation.first_size, strlen(rows[i].first));
        ck_assert_uint_eq(operation.second_size, strlen(rows[i].second));
        ck_assert_mem_eq(operation.first, rows[i].first, operation.first_size);
        ck_assert_mem_eq(operation.second, rows[i].second, operation.second_size);
    }
    ck_assert(!batch_next(&reader, &operation));
    batch_fini(&batch);
}
END_TEST

/* Sizes just in and just out of bounds, per field; {0, 0} ends. */
START_TEST(sizes_over_a_limit_are_refused_and_leave_the_batch_as_it_was)
{
    static const struct {
        enum batch_type type;
        unsigned flags;
        size_t first;
        size_t second;
        enum bts_status status;
    } rows[] = {
        {BATCH_PUT, 0, 1, 0, BTS_OK},
        {BATCH_PUT, 0, 0, 0, BTS_INVALID},
        {BATCH_PUT, 0, KEY_MAX_65536, 1, BTS_OK},
        {BATCH_PUT, 0, KEY_MAX_65536 + 1, 1, BTS_LIMIT},
        {BATCH_PUT, 0, 1, VALUE_SIZE_MAX, BTS_OK},
        {BATCH_PUT, 0, 1, VALUE_SIZE_MAX + 1, BTS_LIMIT},
        {BATCH_REQUIRE_EQUAL, 0, 1, VALUE_SIZE_MAX + 1, BTS_LIMIT},
        {BATCH_REQUIRE_EQUAL, 0, 0, 0, BTS_INVALID},
        {BATCH_DELETE, 0, 0, 0, BTS_INVALID},
        {BATCH_DELETE, 0, 1, 1, BTS_INVALID},
        {BATCH_DELETE, 0, KEY_MAX_65536 + 1, 0, BTS_LIMIT},
        {BATCH_GET, 0, 0, 0, BTS_INVALID},
        {BATCH_GET, 0, 3, 2, BTS_INVALID},
        {BATCH_USE, 0, 0, 0, BTS_INVALID},
        {BATCH_USE, 0, 255, 0, BTS_OK},
        {BATCH_USE, 0, 256, 0, BTS_LIMIT},
        {BATCH_USE, 0, 5, 1, BTS_INVALID},
        {BATCH_USE_ID, 0, 0, 4, BTS_OK},
        {BATCH_USE_ID, 0, 0, 3, BTS_INVALID},
        {BATCH_USE_ID, 0, 0, 5, BTS_INVALID},
        {BATCH_USE_ID, 0, 1, 4, BTS_INVALID},
        {BATCH_INCREMENT, 0, 1, 8, BTS_OK},
        {BATCH_INCREMENT, 0, 1, 7, BTS_INVALID},
        {BATCH_INCREMENT, 0, 1, 9, BTS_INVALID},
        {BATCH_INCREMENT, 0, 0, 8, BTS_INVALID},
        {BATCH_BUCKET_CREATE, 0, 256, 0, BTS_LIMIT},
        {BATCH_BUCKET_DROP, 0, 0, 0, BTS_INVALID},
        {BATCH_BUCKET_RENAME, 0, 255, 255, BTS_OK},
        {BATCH_BUCKET_RENAME, 0, 255, 256, BTS_LIMIT},
        {BATCH_BUCKET_RENAME, 0, 255, 0, BTS_INVALID},
        {BATCH_REQUIRE_ABSENT, 0, 0, 0, BTS_INVALID},
        {BATCH_REQUIRE_PRESENT, 0, KEY_MAX_65536 + 1, 0, BTS_LIMIT},
        {BATCH_DELETE_RANGE, 0, 1, 1, BTS_OK},
        {BATCH_DELETE_RANGE, 0, 0, 1, BTS_INVALID},
        {BATCH_DELETE_RANGE, 0, 1, 0, BTS_INVALID},
        {BATCH_DELETE_RANGE, 0, 1, KEY_MAX_65536 + 1, BTS_LIMIT},
        {BATCH_DELETE_RANGE, BATCH_OPEN_FROM, 1, 1, BTS_INVALID},
        {BATCH_DELETE_RANGE, BATCH_OPEN_TO, 1, 1, BTS_INVALID},
        {BATCH_PUT, 0, SIZE_MAX, 1, BTS_LIMIT},
        {BATCH_PUT, 0, 1, SIZE_MAX, BTS_LIMIT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct batch batch = {0};
        add(&batch, BATCH_PUT, 0, "before", "it");
        size_t size = batch.size;
        enum bts_status status =
            add_sizes(&batch, rows[i].type, rows[i].flags, rows[i].first, rows[i].second);
        ck_assert_msg(status == rows[i].status, "row %zu: %d: %s", i, status, test_error.text);
        ck_assert_uint_eq(batch_count(batch.data), status == BTS_OK ? 2 : 1);
        ck_assert(status == BTS_OK || batch.size == size);
        ck_assert_int_eq(check(&batch, 65536), BTS_OK);
        batch_fini(&batch);
    }
}
END_TEST

START_TEST(flags_must_go_with_the_type)
{
    static const unsigned allowed[BATCH_TYPE_END] = {
        [BATCH_PUT] = BATCH_IF_ABSENT | BATCH_IF_PRESENT | BATCH_RETURN,
        [BATCH_DELETE] = BATCH_RETURN,
        [BATCH_DELETE_RANGE] = BATCH_OPEN_FROM | BATCH_OPEN_TO,
        [BATCH_INCREMENT] = BATCH_RETURN,
        [BATCH_GET] = BATCH_RETURN,
        [BATCH_BUCKET_CREATE] = BATCH_RETURN,
    };

    for (unsigned type = 1; type < BATCH_TYPE_END; type++) {
        for (unsigned flag = 1; flag < 256; flag *= 2) {
            struct batch batch = {0};
            bool range = type == BATCH_DELETE_RANGE;
            bool rename = type == BATCH_BUCKET_RENAME;
            size_t second = type == BATCH_USE_ID      ? 4
                            : type == BATCH_INCREMENT ? 8
                                                      : (range && flag != BATCH_OPEN_TO) || rename;
            size_t first = type != BATCH_USE_ID && !(range && flag == BATCH_OPEN_FROM);
            enum bts_status status =
                add_sizes(&batch, (enum batch_type)type, flag, first, second);
            ck_assert_int_eq(status, (allowed[type] & flag) != 0 ? BTS_OK : BTS_INVALID);
            batch_fini(&batch);
        }
    }
}
END_TEST

START_TEST(a_put_cannot_want_both_absent_and_present)
{
    struct batch batch = {0};

    ck_assert_int_eq(add_sizes(&batch, BATCH_PUT, BATCH_IF_ABSENT | BATCH_IF_PRESENT, 1, 1),
                     BTS_INVALID);
    batch_fini(&batch);
}
END_TEST

START_TEST(errors_name_the_operation_and_the_limit)
{
    struct batch batch = {0};

    for (int i = 0; i < 6; i++) {
        add(&batch, BATCH_PUT, 0, "k", "v");
    }
    ck_assert_int_eq(add_sizes(&batch, BATCH_PUT, 0, 1200, 0), BTS_OK);
    ck_assert_int_eq(check(&batch, 4096), BTS_LIMIT);
    ck_assert_str_eq(test_error.text, "operation 7: key of 1200 bytes is over the limit of 996");
    ck_assert_int_eq(check(&batch, 8192), BTS_OK);

    ck_assert_int_eq(add_sizes(&batch, BATCH_USE, 0, 0, 0), BTS_INVALID);
    ck_assert_str_eq(test_error.text, "operation 8: bucket name is empty");
    ck_assert_int_eq(add_sizes(&batch, BATCH_INCREMENT, 0, 1, 3), BTS_INVALID);
    ck_assert_str_eq(test_error.text, "operation 8: increment has 3 bytes instead of 8");
    batch_fini(&batch);
}
END_TEST

START_TEST(keys_up_to_the_limit_of_the_page_size_pass)
{
    for (size_t page_size = 4096; page_size <= 65536; page_size *= 2) {
        for (size_t over = 0; over <= 1 && page_size < 65536; over++) {
            struct batch batch = {0};
            ck_assert_int_eq(
                add_sizes(&batch, BATCH_PUT, 0, page_key_max(page_size) + over, 0), BTS_OK);
            ck_assert_int_eq(check(&batch, page_size), over ? BTS_LIMIT : BTS_OK);
            batch_fini(&batch);
        }
    }
    ck_assert_uint_eq(page_key_max(4096), KEY_MAX_4096);
    ck_assert_uint_eq(page_key_max(65536), KEY_MAX_65536);
}
END_TEST

START_TEST(a_batch_over_its_limit_is_refused_and_stays_usable)
{
    struct batch batch = {0};
    int added = 0;

    while (add_sizes(&batch, BATCH_PUT, 0, 1, VALUE_SIZE_MAX) == BTS_OK) {
        added++;
    }
    ck_assert_int_eq(added, 3); /* four values of 64 MiB and their headers are over 256 MiB */
    ck_assert_int_eq(test_error.status, BTS_LIMIT);
    ck_assert_ptr_nonnull(strstr(test_error.text, "is over the limit of 268435456"));
    ck_assert_int_eq(check(&batch, 4096), BTS_OK);

    size_t left = BATCH_SIZE_MAX - batch.size - BATCH_OPERATION_HEADER_SIZE - 1;
    ck_assert_int_eq(add_sizes(&batch, BATCH_PUT, 0, 1, left + 1), BTS_LIMIT);
    ck_assert_int_eq(add_sizes(&batch, BATCH_PUT, 0, 1, left), BTS_OK);
    ck_assert_uint_eq(batch.size, BATCH_SIZE_MAX);
    ck_assert_uint_eq(batch.room, BATCH_SIZE_MAX);
    ck_assert_int_eq(check(&batch, 4096), BTS_OK);
    ck_assert_int_eq(add_sizes(&batch, BATCH_DELETE, 0, 1, 0), BTS_LIMIT);
    batch_fini(&batch);
}
END_TEST

START_TEST(clear_keeps_the_memory)
{
    struct batch batch = {0};
    size_t size = 0;

    add(&batch, BATCH_PUT, 0, "k", "v");
    uint8_t *data = batch.data;
    batch_clear(&batch);
    ck_assert_uint_eq(batch_count(batch_bytes(&batch, &size)), 0);
    ck_assert_uint_eq(size, BATCH_HEADER_SIZE);
    add(&batch, BATCH_DELETE, 0, "k", "");
    ck_assert_ptr_eq(batch.data, data);
    ck_assert_uint_eq(batch_count(batch.data), 1);
    ck_assert_int_eq(check(&batch, 4096), BTS_OK);
    batch_fini(&batch);
    ck_assert_ptr_null(batch.data);
    batch_fini(&batch);
}
END_TEST

/* A batch of several operations to do harm to. */
static size_t sample(uint8_t *out)
{
    struct batch batch = {0};
    size_t size = 0;

    add(&batch, BATCH_USE, 0, "users", "");
    add(&batch, BATCH_PUT, BATCH_RETURN, "key", "value");
    add(&batch, BATCH_DELETE_RANGE, BATCH_OPEN_TO, "a", "");
    add(&batch, BATCH_INCREMENT, 0, "hits", "12345678");
    const uint8_t *bytes = batch_bytes(&batch, &size);
    memcpy(out, bytes, size);
    batch_fini(&batch);
    return size;
}

START_TEST(a_batch_cut_anywhere_is_refused)
{
    uint8_t bytes[256];
    size_t size = sample(bytes);

    ck_assert_int_eq(check_bytes(bytes, size), BTS_OK);
    for (size_t cut = 0; cut < size; cut++) {
        ck_assert_int_eq(check_bytes(bytes, cut), BTS_INVALID);
        bytes_store_u32(bytes + 20, (uint32_t)cut); /* a liar corrects the size */
        ck_assert_int_eq(check_bytes(bytes, cut), BTS_INVALID);
        ck_assert_uint_gt(strlen(test_error.text), 0);
        bytes_store_u32(bytes + 20, (uint32_t)size);
    }
}
END_TEST

START_TEST(a_wrong_header_is_refused)
{
    uint8_t bytes[256];
    size_t size = sample(bytes);

    for (size_t at = 0; at < BATCH_HEADER_SIZE; at++) {
        bool snapshot = at >= 8 && at < 16; /* any number is one */
        bytes[at] ^= 0x40;
        ck_assert_int_eq(check_bytes(bytes, size), snapshot ? BTS_OK : BTS_INVALID);
        bytes[at] ^= 0x40;
    }
    bytes[size] = 0; /* one byte behind the last operation */
    bytes_store_u32(bytes + 20, (uint32_t)size + 1);
    ck_assert_int_eq(check_bytes(bytes, size + 1), BTS_INVALID);
}
END_TEST

START_TEST(counts_and_sizes_of_liars_are_not_believed)
{
    static const uint32_t lies[] = {0, 1, 3, 5, 0x7fffffff, 0x80000000, 0xfffffff8, UINT32_MAX};
    uint8_t bytes[256];
    size_t size = sample(bytes);

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        bytes_store_u32(bytes + 16, lies[i]);
        ck_assert_int_eq(check_bytes(bytes, size), BTS_INVALID);
    }
    bytes_store_u32(bytes + 16, 4);
    ck_assert_int_eq(check_bytes(bytes, size), BTS_OK);
    size_t put = BATCH_HEADER_SIZE + BATCH_OPERATION_HEADER_SIZE + 5;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        bytes_store_u32(bytes + put + 4, lies[i]);
        ck_assert((check_bytes(bytes, size) == BTS_OK) == (lies[i] == 5));
        bytes_store_u32(bytes + put + 4, 5);
        bytes_store_u16(bytes + put + 2, (uint16_t)lies[i]);
        ck_assert((check_bytes(bytes, size) == BTS_OK) == (lies[i] == 3));
        bytes_store_u16(bytes + put + 2, 3);
    }
}
END_TEST

START_TEST(unknown_types_are_refused)
{
    uint8_t bytes[256];
    size_t size = sample(bytes);

    for (unsigned type = 0; type < 256; type++) {
        bytes[BATCH_HEADER_SIZE] = (uint8_t)type;
        enum bts_status status = check_bytes(bytes, size);
        ck_assert(type >= 1 && type < BATCH_TYPE_END ? true : status == BTS_INVALID);
    }
    ck_assert_ptr_nonnull(strstr(test_error.text, "operation 1: unknown type 255"));
}
END_TEST

/* Random batches against a list kept beside them. */
START_TEST(random_batches_walk_back_to_what_was_added)
{
    struct {
        unsigned type;
        size_t first;
        size_t second;
        uint8_t fill;
    } model[64];
    struct batch batch = {0};
    unsigned seed = 4711;

    for (int round = 0; round < UNIT_ROUNDS(300); round++) {
        size_t count = (size_t)rand_r(&seed) % 64;
        batch_clear(&batch);
        for (size_t i = 0; i < count; i++) {
            model[i].type = rand_r(&seed) % 2 ? BATCH_PUT : BATCH_REQUIRE_EQUAL;
            model[i].first = 1 + (size_t)rand_r(&seed) % 900;
            model[i].second = (size_t)rand_r(&seed) % (i % 8 == 0 ? 20000 : 50);
            model[i].fill = (uint8_t)rand_r(&seed);
            memset(test_bytes, model[i].fill, 20000);
            ck_assert_int_eq(add_sizes(&batch, (enum batch_type)model[i].type, 0, model[i].first,
                                       model[i].second), BTS_OK);
        }
        size_t size = 0;
        const uint8_t *bytes = batch_bytes(&batch, &size);
        ck_assert_int_eq(batch_check(bytes, size, 4096, &test_error), BTS_OK);
        struct batch_reader reader;
        struct batch_operation operation;
        batch_reader_init(&reader, bytes, size);
        for (size_t i = 0; i < count; i++) {
            ck_assert(batch_next(&reader, &operation));
            ck_assert_uint_eq(operation.type, model[i].type);
            ck_assert_uint_eq(operation.first_size, model[i].first);
            ck_assert_uint_eq(operation.second_size, model[i].second);
            memset(test_bytes, model[i].fill, 20000);
            ck_assert_mem_eq(operation.first, test_bytes, operation.first_size);
            ck_assert_mem_eq(operation.second, test_bytes, operation.second_size);
        }
        ck_assert(!batch_next(&reader, &operation));
    }
    batch_fini(&batch);
}
END_TEST

int main(void)
{
    return UNIT_RUN("batch", an_empty_batch_is_a_header, the_bytes_are_as_the_format_says,
                    every_type_comes_back_as_it_was_added,
                    sizes_over_a_limit_are_refused_and_leave_the_batch_as_it_was,
                    flags_must_go_with_the_type, a_put_cannot_want_both_absent_and_present,
                    errors_name_the_operation_and_the_limit,
                    keys_up_to_the_limit_of_the_page_size_pass,
                    a_batch_over_its_limit_is_refused_and_stays_usable, clear_keeps_the_memory,
                    a_batch_cut_anywhere_is_refused, a_wrong_header_is_refused,
                    counts_and_sizes_of_liars_are_not_believed, unknown_types_are_refused,
                    random_batches_walk_back_to_what_was_added);
}
