/* SPDX-License-Identifier: MIT */
/*
 * batch: encode, check and walk the writes of one transaction.
 *
 * What a type of operation may carry is one row of a table, so that builder
 * and checker cannot disagree: both hand each operation to batch_rule_check.
 *
 * The checker trusts no number it reads.  It compares by subtraction, size
 * against what is left, so that nothing can overflow; `count` is never used to
 * walk, only compared with what the walk found.
 *
 * Conditions and increments are not evaluated here, and buckets not looked up:
 * that needs the tree.
 */
#include "format/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

#define BATCH_ROOM_MIN 256u

/* Where the header's fields lie. */
enum {
    BATCH_AT_MAGIC = 0,
    BATCH_AT_FLAGS = 4,
    BATCH_AT_SNAPSHOT = 8,
    BATCH_AT_COUNT = 16,
    BATCH_AT_SIZE = 20,
};

/* ---- what an operation may carry --------------------------------------------- */

enum batch_field {
    BATCH_FIELD_NONE,
    BATCH_FIELD_NAME,  /* of a bucket */
    BATCH_FIELD_KEY,
    BATCH_FIELD_FROM,  /* a key, or nothing when that side is open */
    BATCH_FIELD_TO,
    BATCH_FIELD_VALUE,
    BATCH_FIELD_ID,    /* u32 */
    BATCH_FIELD_DELTA, /* i64 */
};

struct batch_rule {
    unsigned flags;
    enum batch_field first;
    enum batch_field second;
};

static const struct batch_rule batch_rules[BATCH_TYPE_END] = {
    [BATCH_USE] = {0, BATCH_FIELD_NAME, BATCH_FIELD_NONE},
    [BATCH_USE_ID] = {0, BATCH_FIELD_NONE, BATCH_FIELD_ID},
    [BATCH_PUT] = {BATCH_IF_ABSENT | BATCH_IF_PRESENT | BATCH_RETURN, BATCH_FIELD_KEY,
                   BATCH_FIELD_VALUE},
    [BATCH_DELETE] = {BATCH_RETURN, BATCH_FIELD_KEY, BATCH_FIELD_NONE},
    [BATCH_DELETE_RANGE] = {BATCH_OPEN_FROM | BATCH_OPEN_TO, BATCH_FIELD_FROM, BATCH_FIELD_TO},
    [BATCH_INCREMENT] = {BATCH_RETURN, BATCH_FIELD_KEY, BATCH_FIELD_DELTA},
    [BATCH_GET] = {BATCH_RETURN, BATCH_FIELD_KEY, BATCH_FIELD_NONE},
    [BATCH_BUCKET_CREATE] = {BATCH_RETURN, BATCH_FIELD_NAME, BATCH_FIELD_NONE},
    [BATCH_BUCKET_DROP] = {0, BATCH_FIELD_NAME, BATCH_FIELD_NONE},
    [BATCH_BUCKET_RENAME] = {0, BATCH_FIELD_NAME, BATCH_FIELD_NAME},
    [BATCH_REQUIRE_ABSENT] = {0, BATCH_FIELD_KEY, BATCH_FIELD_NONE},
    [BATCH_REQUIRE_PRESENT] = {0, BATCH_FIELD_KEY, BATCH_FIELD_NONE},
    [BATCH_REQUIRE_EQUAL] = {0, BATCH_FIELD_KEY, BATCH_FIELD_VALUE},
};

static enum bts_status batch_limit(uint32_t number, const char *what, size_t size, size_t limit,
                                   struct bts_error *error)
{
    return err_set(error, BTS_LIMIT, "operation %u: %s of %zu bytes is over the limit of %zu",
                   number, what, size, limit);
}

/* A string of 1 to `limit` bytes. */
static enum bts_status batch_string_check(uint32_t number, const char *what, size_t size,
                                          size_t limit, struct bts_error *error)
{
    if (size == 0) {
        return err_set(error, BTS_INVALID, "operation %u: %s is empty", number, what);
    }
    if (size > limit) {
        return batch_limit(number, what, size, limit, error);
    }
    return BTS_OK;
}

static enum bts_status batch_exact_check(uint32_t number, const char *what, size_t size,
                                         size_t expected, struct bts_error *error)
{
    if (size != expected) {
        return err_set(error, BTS_INVALID, "operation %u: %s has %zu bytes instead of %zu", number,
                       what, size, expected);
    }
    return BTS_OK;
}

static enum bts_status batch_bound_check(uint32_t number, const char *what, bool open, size_t size,
                                         size_t key_max, struct bts_error *error)
{
    return open ? batch_exact_check(number, what, size, 0, error)
                : batch_string_check(number, what, size, key_max, error);
}

static enum bts_status batch_field_check(uint32_t number, enum batch_field field, unsigned flags,
                                         size_t size, size_t key_max, struct bts_error *error)
{
    switch (field) {
    case BATCH_FIELD_NAME:
        return batch_string_check(number, "bucket name", size, BTS_BUCKET_NAME_MAX, error);
    case BATCH_FIELD_KEY:
        return batch_string_check(number, "key", size, key_max, error);
    case BATCH_FIELD_FROM:
        return batch_bound_check(number, "lower bound", flags & BATCH_OPEN_FROM, size, key_max,
                                 error);
    case BATCH_FIELD_TO:
        return batch_bound_check(number, "upper bound", flags & BATCH_OPEN_TO, size, key_max,
                                 error);
    case BATCH_FIELD_VALUE:
        return size <= VALUE_SIZE_MAX
                   ? BTS_OK
                   : batch_limit(number, "value", size, VALUE_SIZE_MAX, error);
    case BATCH_FIELD_ID:
        return batch_exact_check(number, "bucket number", size, 4, error);
    case BATCH_FIELD_DELTA:
        return batch_exact_check(number, "increment", size, 8, error);
    case BATCH_FIELD_NONE:
        break;
    }
    return batch_exact_check(number, "unused field", size, 0, error);
}

/* Operation `number` of a batch, counted from 1 for the reader of the text. */
static enum bts_status batch_rule_check(uint32_t number, unsigned type, unsigned flags,
                                        size_t first_size, size_t second_size, size_t key_max,
                                        struct bts_error *error)
{
    if (type == 0 || type >= BATCH_TYPE_END) {
        return err_set(error, BTS_INVALID, "operation %u: unknown type %u", number, type);
    }
    const struct batch_rule *rule = &batch_rules[type];
    if ((flags & ~rule->flags) != 0) {
        return err_set(error, BTS_INVALID, "operation %u: flags 0x%x do not go with type %u",
                       number, flags, type);
    }
    if ((flags & BATCH_IF_ABSENT) != 0 && (flags & BATCH_IF_PRESENT) != 0) {
        return err_set(error, BTS_INVALID, "operation %u: if-absent and if-present exclude each"
                       " other", number);
    }
    enum bts_status status =
        batch_field_check(number, rule->first, flags, first_size, key_max, error);
    if (status == BTS_OK) {
        status = batch_field_check(number, rule->second, flags, second_size, key_max, error);
    }
    return status;
}

/* ---- building ------------------------------------------------------------------ */

/* What a batch without operations looks like, before it has memory. */
static const uint8_t batch_empty[BATCH_HEADER_SIZE] = {
    'b', 't', 'b', '1', [BATCH_AT_SIZE] = BATCH_HEADER_SIZE,
};

void batch_fini(struct batch *batch)
{
    free(batch->data);
    memset(batch, 0, sizeof(*batch));
}

void batch_clear(struct batch *batch)
{
    batch->size = 0;
}

/* Makes room for `more` bytes behind batch->size. */
static enum bts_status batch_reserve(struct batch *batch, size_t more, struct bts_error *error)
{
    size_t room = batch->room > BATCH_ROOM_MIN ? batch->room : BATCH_ROOM_MIN;

    if (more > BATCH_SIZE_MAX - batch->size) {
        return err_set(error, BTS_LIMIT, "batch of %zu bytes is over the limit of %u",
                       batch->size + more, BATCH_SIZE_MAX);
    }
    if (more <= batch->room - batch->size) {
        return BTS_OK;
    }
    while (room - batch->size < more) {
        room *= 2; /* ends at BATCH_SIZE_MAX, a power of two, at the latest */
    }
    uint8_t *data = realloc(batch->data, room);
    if (data == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a batch of %zu bytes", room);
    }
    batch->data = data;
    batch->room = room;
    return BTS_OK;
}

static void batch_begin(struct batch *batch)
{
    memcpy(batch->data, batch_empty, BATCH_HEADER_SIZE);
    batch->size = BATCH_HEADER_SIZE;
}

static void batch_append(struct batch *batch, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(batch->data + batch->size, data, size);
        batch->size += size;
    }
}

enum bts_status batch_add(struct batch *batch, enum batch_type type, unsigned flags,
                          const void *first, size_t first_size, const void *second,
                          size_t second_size, struct bts_error *error)
{
    assert(first != NULL || first_size == 0);
    assert(second != NULL || second_size == 0);

    uint32_t count = batch->size > 0 ? batch_count(batch->data) : 0;
    enum bts_status status = batch_rule_check(count + 1, type, flags, first_size, second_size,
                                              page_key_max(PAGE_SIZE_MAX), error);
    if (status != BTS_OK) {
        return status;
    }
    size_t header_size = batch->size > 0 ? 0 : BATCH_HEADER_SIZE;
    status = batch_reserve(
        batch, header_size + BATCH_OPERATION_HEADER_SIZE + first_size + second_size, error);
    if (status != BTS_OK) {
        return status;
    }
    if (header_size > 0) {
        batch_begin(batch);
    }
    uint8_t header[BATCH_OPERATION_HEADER_SIZE] = {(uint8_t)type, (uint8_t)flags};
    bytes_store_u16(header + 2, (uint16_t)first_size);
    bytes_store_u32(header + 4, (uint32_t)second_size);
    batch_append(batch, header, sizeof(header));
    batch_append(batch, first, first_size);
    batch_append(batch, second, second_size);
    bytes_store_u32(batch->data + BATCH_AT_COUNT, count + 1);
    bytes_store_u32(batch->data + BATCH_AT_SIZE, (uint32_t)batch->size);
    return BTS_OK;
}

const uint8_t *batch_bytes(struct batch *batch, size_t *size)
{
    *size = batch->size > 0 ? batch->size : BATCH_HEADER_SIZE;
    return batch->size > 0 ? batch->data : batch_empty;
}

/* ---- checking -------------------------------------------------------------------- */

static enum bts_status batch_header_check(const uint8_t *data, size_t size,
                                          struct bts_error *error)
{
    if (size < BATCH_HEADER_SIZE) {
        return err_set(error, BTS_INVALID, "batch of %zu bytes is shorter than its header of %u",
                       size, BATCH_HEADER_SIZE);
    }
    if (size > BATCH_SIZE_MAX) {
        return err_set(error, BTS_LIMIT, "batch of %zu bytes is over the limit of %u", size,
                       BATCH_SIZE_MAX);
    }
    if (bytes_load_u32(data + BATCH_AT_MAGIC) != BATCH_MAGIC) {
        return err_set(error, BTS_INVALID, "batch does not begin with \"btb1\"");
    }
    if (bytes_load_u32(data + BATCH_AT_FLAGS) != 0) {
        return err_set(error, BTS_INVALID, "batch has unknown flags 0x%x",
                       bytes_load_u32(data + BATCH_AT_FLAGS));
    }
    if (bytes_load_u32(data + BATCH_AT_SIZE) != size) {
        return err_set(error, BTS_INVALID, "batch says it has %u bytes, but %zu are here",
                       bytes_load_u32(data + BATCH_AT_SIZE), size);
    }
    return BTS_OK;
}

/* Checks the operation at `next`, with `left` bytes to the end; its size. */
static enum bts_status batch_operation_check(const uint8_t *next, size_t left, uint32_t number,
                                             size_t key_max, size_t *size,
                                             struct bts_error *error)
{
    if (left < BATCH_OPERATION_HEADER_SIZE) {
        return err_set(error, BTS_INVALID, "operation %u: the batch ends inside its header",
                       number);
    }
    size_t first_size = bytes_load_u16(next + 2);
    size_t second_size = bytes_load_u32(next + 4);
    enum bts_status status =
        batch_rule_check(number, next[0], next[1], first_size, second_size, key_max, error);
    if (status != BTS_OK) {
        return status;
    }
    left -= BATCH_OPERATION_HEADER_SIZE;
    if (first_size > left || second_size > left - first_size) {
        return err_set(error, BTS_INVALID, "operation %u: the batch ends inside it", number);
    }
    *size = BATCH_OPERATION_HEADER_SIZE + first_size + second_size;
    return BTS_OK;
}

enum bts_status batch_check(const void *data, size_t size, size_t page_size,
                            struct bts_error *error)
{
    const uint8_t *bytes = data;
    size_t key_max = page_key_max(page_size);
    size_t position = BATCH_HEADER_SIZE;
    uint32_t number = 0;

    assert(page_size_valid(page_size));
    enum bts_status status = batch_header_check(bytes, size, error);
    while (status == BTS_OK && position < size) {
        size_t operation_size = 0;
        number++; /* no overflow: an operation has 8 bytes or more, a batch 2^28 at most */
        status = batch_operation_check(bytes + position, size - position, number, key_max,
                                       &operation_size, error);
        position += operation_size;
    }
    if (status == BTS_OK && batch_count(bytes) != number) {
        return err_set(error, BTS_INVALID, "batch says it has %u operations, but %u are here",
                       batch_count(bytes), number);
    }
    return status;
}

/* ---- walking --------------------------------------------------------------------- */

void batch_reader_init(struct batch_reader *reader, const void *data, size_t size)
{
    assert(size >= BATCH_HEADER_SIZE);
    reader->next = (const uint8_t *)data + BATCH_HEADER_SIZE;
    reader->end = (const uint8_t *)data + size;
}

void batch_operation_read(const uint8_t *bytes, struct batch_operation *operation)
{
    operation->type = (enum batch_type)bytes[0];
    operation->flags = bytes[1];
    operation->first_size = bytes_load_u16(bytes + 2);
    operation->second_size = bytes_load_u32(bytes + 4);
    operation->first = bytes + BATCH_OPERATION_HEADER_SIZE;
    operation->second = operation->first + operation->first_size;
}

bool batch_next(struct batch_reader *reader, struct batch_operation *operation)
{
    if (reader->next == reader->end) {
        return false;
    }
    batch_operation_read(reader->next, operation);
    reader->next = operation->second + operation->second_size;
    assert(reader->next <= reader->end);
    return true;
}
