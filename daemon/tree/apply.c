/* SPDX-License-Identifier: MIT */
/*
 * apply: see apply.h.
 *
 * One small handler per operation type, found in a table.  The tree in use is
 * opened when the first operation needs it, and looked up again after anything
 * that changes the directory.
 */
#include "tree/apply_private.h"

#include "base/bytes.h"
#include "base/err.h"
#include "tree/conditions.h"
#include "tree/foresee.h"
#include "tree/results.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* A decimal int64_t: sign and 19 digits. */
#define APPLY_NUMBER_MAX 20u

typedef enum bts_status apply_handler(struct apply *apply, const struct batch_operation *operation,
                                      struct bts_error *error);

static enum bts_status apply_open(struct apply *apply, struct bts_error *error)
{
    enum bts_status status = BTS_OK;

    if (apply->tree == NULL) {
        status = buckets_open_id(apply->buckets, apply->bucket_id, &apply->tree, error);
    }
    if (status == BTS_NO_BUCKET && apply->bucket_name.data != NULL) {
        return err_set(error, status, "bucket \"%.*s\" was dropped earlier in this batch; choose "
                       "another one to go on", (int)apply->bucket_name.size,
                       (const char *)apply->bucket_name.data);
    }
    return status;
}

static enum bts_status apply_add_number(struct apply *apply,
                                        const struct batch_operation *operation, int64_t number,
                                        struct bts_error *error)
{
    struct apply_result result = {.type = APPLY_NUMBER, .number = number};

    if (apply->results == NULL || (operation->flags & BATCH_RETURN) == 0) {
        return BTS_OK;
    }
    return results_add(apply->results, &result, error);
}

/* ---- which bucket ------------------------------------------------------------ */

static enum bts_status apply_use(struct apply *apply, const struct batch_operation *operation,
                                 struct bts_error *error)
{
    enum bts_status status = buckets_open(apply->buckets, operation->first, operation->first_size,
                                          &apply->tree, error);

    if (status == BTS_OK) {
        apply->bucket_id = apply->tree->record.id;
        apply->bucket_name = (struct bts_bytes){operation->first, operation->first_size};
    }
    return status;
}

static enum bts_status apply_use_id(struct apply *apply, const struct batch_operation *operation,
                                    struct bts_error *error)
{
    apply->bucket_id = bytes_load_u32(operation->second);
    apply->bucket_name = (struct bts_bytes){NULL, 0};
    apply->tree = NULL;
    return apply_open(apply, error);
}

/* ---- keys --------------------------------------------------------------------- */

/* Looks the key up for a result: its value, or that it is absent. */
static enum bts_status apply_read(struct apply *apply, const struct batch_operation *operation,
                                  struct apply_result *result, struct bts_error *error)
{
    struct tree_view view = tree_view_of(apply->tree);
    struct bts_bytes value;
    enum bts_status status =
        tree_get(&view, operation->first, operation->first_size, &value, error);

    result->type = APPLY_ABSENT;
    if (status == BTS_NOT_FOUND) {
        return BTS_OK;
    }
    return status == BTS_OK ? results_take_value(apply->results, &value, result, error) : status;
}

static enum bts_status apply_get(struct apply *apply, const struct batch_operation *operation,
                                 struct bts_error *error)
{
    struct apply_result result = {.type = APPLY_ABSENT};
    enum bts_status status = apply_open(apply, error);

    if (status != BTS_OK || apply->results == NULL) {
        return status;
    }
    status = apply_read(apply, operation, &result, error);
    return status == BTS_OK ? results_add(apply->results, &result, error) : status;
}

static enum tree_put_mode apply_put_mode(unsigned flags)
{
    if ((flags & BATCH_IF_ABSENT) != 0) {
        return TREE_PUT_IF_ABSENT;
    }
    return (flags & BATCH_IF_PRESENT) != 0 ? TREE_PUT_IF_PRESENT : TREE_PUT_ALWAYS;
}

static enum bts_status apply_put(struct apply *apply, const struct batch_operation *operation,
                                 struct bts_error *error)
{
    enum tree_put_mode mode = apply_put_mode(operation->flags);
    bool returns = apply->results != NULL && (operation->flags & BATCH_RETURN) != 0;
    struct apply_result result = {.type = APPLY_SKIPPED};
    enum bts_status status = apply_open(apply, error);
    bool replaced;

    if (status == BTS_OK && returns) {
        status = apply_read(apply, operation, &result, error);
    }
    if (status == BTS_OK) {
        status = tree_put_near(apply->tree, &apply->place, mode, operation->first,
                               operation->first_size, operation->second, operation->second_size,
                               &replaced, &result.written, error);
    }
    if (status != BTS_OK || apply->results == NULL ||
        (!returns && mode == TREE_PUT_ALWAYS)) {
        return status;
    }
    if (!returns && result.written) {
        result.type = APPLY_WRITTEN;
    }
    return results_add(apply->results, &result, error);
}

static enum bts_status apply_delete(struct apply *apply, const struct batch_operation *operation,
                                    struct bts_error *error)
{
    enum bts_status status = apply_open(apply, error);
    bool found;

    if (status == BTS_OK) {
        status = tree_delete(apply->tree, operation->first, operation->first_size, &found, error);
    }
    return status == BTS_OK ? apply_add_number(apply, operation, found, error) : status;
}

static enum bts_status apply_delete_range(struct apply *apply,
                                          const struct batch_operation *operation,
                                          struct bts_error *error)
{
    bool open_from = (operation->flags & BATCH_OPEN_FROM) != 0;
    bool open_to = (operation->flags & BATCH_OPEN_TO) != 0;
    struct bts_bytes from = {open_from ? NULL : operation->first, operation->first_size};
    struct bts_bytes to = {open_to ? NULL : operation->second, operation->second_size};
    enum bts_status status = apply_open(apply, error);
    uint64_t deleted;

    if (status == BTS_OK) {
        status = tree_delete_range(apply->tree, from, to, &deleted, error);
    }
    return status == BTS_OK ? apply_add_number(apply, operation, (int64_t)deleted, error) : status;
}

/* ---- numbers ------------------------------------------------------------------ */

/* Reads an optional '-' and digits; false: that is not it, or it leaves int64_t. */
static bool apply_parse_number(const struct bts_bytes *text, int64_t *number)
{
    const uint8_t *digit = text->data;
    bool negative = text->size > 0 && digit[0] == '-';
    size_t i = negative;

    *number = 0;
    if (text->size == i || text->size > APPLY_NUMBER_MAX) {
        return false;
    }
    for (; i < text->size; i++) {
        if (digit[i] < '0' || digit[i] > '9' || __builtin_mul_overflow(*number, 10, number) ||
            __builtin_sub_overflow(*number, digit[i] - '0', number)) {
            return false; /* counted downwards, where there is room for one more */
        }
    }
    return negative || !__builtin_sub_overflow(0, *number, number);
}

/* The sum that shall be stored. */
static enum bts_status apply_sum(const struct tree *tree, const struct batch_operation *operation,
                                 int64_t *sum, struct bts_error *error)
{
    int64_t delta = (int64_t)bytes_load_u64(operation->second);
    struct tree_view view = tree_view_of(tree);
    struct bts_bytes value;
    int64_t number = 0;
    enum bts_status status =
        tree_get(&view, operation->first, operation->first_size, &value, error);

    *sum = 0;
    if (status == BTS_OK && !apply_parse_number(&value, &number)) {
        return err_set(error, BTS_INVALID, "the value of %zu bytes is not a decimal number of 64 "
                       "bits, so it cannot be incremented", value.size);
    }
    if (status != BTS_OK && status != BTS_NOT_FOUND) {
        return status;
    }
    if (__builtin_add_overflow(number, delta, sum)) {
        return err_set(error, BTS_INVALID, "%" PRId64 " plus %" PRId64 " is over the limits of a "
                       "number of 64 bits", number, delta);
    }
    return BTS_OK;
}

static enum bts_status apply_increment(struct apply *apply, const struct batch_operation *operation,
                                       struct bts_error *error)
{
    char text[APPLY_NUMBER_MAX + 1];
    enum bts_status status = apply_open(apply, error);
    bool replaced;
    bool written;
    int64_t sum;

    if (status == BTS_OK) {
        status = apply_sum(apply->tree, operation, &sum, error);
    }
    if (status == BTS_OK) {
        int size = snprintf(text, sizeof(text), "%" PRId64, sum);
        status = tree_put(apply->tree, TREE_PUT_ALWAYS, operation->first, operation->first_size,
                          text, (size_t)size, &replaced, &written, error);
    }
    return status == BTS_OK ? apply_add_number(apply, operation, sum, error) : status;
}

/* ---- buckets ------------------------------------------------------------------ */

static enum bts_status apply_bucket_create(struct apply *apply,
                                           const struct batch_operation *operation,
                                           struct bts_error *error)
{
    uint32_t id;
    enum bts_status status =
        buckets_add(apply->buckets, operation->first, operation->first_size, &id, error);

    return status == BTS_OK ? apply_add_number(apply, operation, id, error) : status;
}

static enum bts_status apply_bucket_drop(struct apply *apply,
                                         const struct batch_operation *operation,
                                         struct bts_error *error)
{
    apply->tree = NULL; /* it may be this one: the next operation will see */
    return buckets_drop(apply->buckets, operation->first, operation->first_size, error);
}

static enum bts_status apply_bucket_rename(struct apply *apply,
                                           const struct batch_operation *operation,
                                           struct bts_error *error)
{
    return buckets_rename(apply->buckets, operation->first, operation->first_size,
                          operation->second, operation->second_size, error);
}

/* ---- conditions --------------------------------------------------------------- */

static enum bts_status apply_require(struct apply *apply, const struct batch_operation *operation,
                                     struct bts_error *error)
{
    enum bts_status status;

    if (apply->mode == APPLY_REPLAY) {
        return BTS_OK;
    }
    status = apply_open(apply, error);
    return status == BTS_OK ? conditions_judge(apply->tree, operation, error) : status;
}

/* ---- the batch ---------------------------------------------------------------- */

static apply_handler *const apply_handlers[BATCH_TYPE_END] = {
    [BATCH_USE] = apply_use,
    [BATCH_USE_ID] = apply_use_id,
    [BATCH_PUT] = apply_put,
    [BATCH_DELETE] = apply_delete,
    [BATCH_DELETE_RANGE] = apply_delete_range,
    [BATCH_INCREMENT] = apply_increment,
    [BATCH_GET] = apply_get,
    [BATCH_BUCKET_CREATE] = apply_bucket_create,
    [BATCH_BUCKET_DROP] = apply_bucket_drop,
    [BATCH_BUCKET_RENAME] = apply_bucket_rename,
    [BATCH_REQUIRE_ABSENT] = apply_require,
    [BATCH_REQUIRE_PRESENT] = apply_require,
    [BATCH_REQUIRE_EQUAL] = apply_require,
};

enum bts_status apply_operation(struct apply *apply, const struct batch_operation *operation,
                                struct bts_error *error)
{
    if (operation->type != BATCH_PUT) {
        apply->place = (struct tree_place){.tree = NULL};
    }
    return apply_handlers[operation->type](apply, operation, error);
}

/* Asks for the pages of the next operations; how many these are. */
static unsigned apply_foresee(struct apply *apply, struct batch_reader reader)
{
    struct bts_bytes keys[FORESEE_MAX];
    struct batch_operation operation;
    unsigned count = 0;

    while (count < FORESEE_MAX && batch_next(&reader, &operation) &&
           (operation.type == BATCH_PUT || operation.type == BATCH_DELETE)) {
        keys[count++] = (struct bts_bytes){operation.first, operation.first_size};
    }
    if (count > 1 && apply_open(apply, NULL) == BTS_OK) {
        foresee_keys(apply->tree, keys, count);
    }
    return count;
}

/* Walks the operations up to the first that fails. */
static enum bts_status apply_operations(struct apply *apply, const void *batch, size_t size,
                                        struct bts_error *error)
{
    struct batch_operation operation;
    struct batch_reader reader;
    uint32_t number = 1; /* as batch_check counts */
    unsigned foreseen = 0;

    batch_reader_init(&reader, batch, size);
    for (;; number++) {
        enum bts_status status;

        if (foreseen == 0 && apply->mode == APPLY_LIVE) {
            foreseen = apply_foresee(apply, reader);
        }
        if (!batch_next(&reader, &operation)) {
            break;
        }
        foreseen -= foreseen > 0;
        status = apply_operation(apply, &operation, error);

        if (status != BTS_OK) {
            return error == NULL
                       ? status
                       : err_set(error, status, "operation %u: %s", number, error->text);
        }
    }
    return BTS_OK;
}

enum bts_status apply_batch(struct buckets *buckets, struct pages *pages, enum apply_mode mode,
                            const void *batch, size_t size, struct apply_results *results,
                            struct bts_error *error)
{
    struct apply apply = {.buckets = buckets,
                          .mode = mode,
                          .results = results,
                          .bucket_id = BUCKET_DEFAULT_ID};
    enum bts_status status = buckets_savepoint(buckets, error);

    if (status != BTS_OK) {
        return status;
    }
    pages_savepoint(pages);
    status = apply_operations(&apply, batch, size, error);
    if (status == BTS_OK) {
        pages_keep(pages);
        return BTS_OK;
    }
    pages_undo(pages);
    buckets_undo(buckets);
    if (results != NULL) {
        results_clear(results);
    }
    return status;
}
