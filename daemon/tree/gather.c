/* SPDX-License-Identifier: MIT */
/*
 * gather: see gather.h.
 */
#include "tree/gather.h"

#include "base/bytes.h"
#include "base/err.h"
#include "base/prefetch.h"
#include "format/batch.h"
#include "format/key.h"
#include "tree/apply_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_ROOM_MIN 1024u

/* Bytes that the disk is given at once while we go on: the sync at the end waits for less. */
#define GATHER_WRITE_BACK_SIZE (8u << 20)

/* Operations between the one that is done and the one whose bytes are asked for. */
#define GATHER_AHEAD 6u

/* One operation, to be sorted. */
struct gathered {
    uint64_t head;            /* eight bytes of the key, after the common ones */
    const uint8_t *operation; /* its bytes in its batch */
    uint32_t bucket;
};

void gather_fini(struct gather *gather)
{
    free(gather->list);
    gather->list = NULL;
    gather->count = gather->room = 0;
}

/* ---- taking ------------------------------------------------------------------ */

enum gather_kind {
    GATHER_FENCE,  /* looks at more than one key */
    GATHER_BUCKET, /* says which bucket */
    GATHER_KEY,    /* looks at one key */
    GATHER_NOTHING, /* does nothing in a replay */
};

static const enum gather_kind gather_kinds[BATCH_TYPE_END] = {
    [BATCH_USE] = GATHER_BUCKET,
    [BATCH_USE_ID] = GATHER_BUCKET,
    [BATCH_PUT] = GATHER_KEY,
    [BATCH_DELETE] = GATHER_KEY,
    [BATCH_INCREMENT] = GATHER_KEY,
    [BATCH_GET] = GATHER_NOTHING,
    [BATCH_REQUIRE_ABSENT] = GATHER_NOTHING,
    [BATCH_REQUIRE_PRESENT] = GATHER_NOTHING,
    [BATCH_REQUIRE_EQUAL] = GATHER_NOTHING,
};

static bool gather_is_fence(const void *batch, size_t size)
{
    struct batch_reader reader;
    struct batch_operation operation;

    batch_reader_init(&reader, batch, size);
    while (batch_next(&reader, &operation)) {
        if (gather_kinds[operation.type] == GATHER_FENCE) {
            return true;
        }
    }
    return false;
}

static enum bts_status gather_reserve(struct gather *gather, size_t more, struct bts_error *error)
{
    size_t room = gather->room > 0 ? gather->room : GATHER_ROOM_MIN;
    struct gathered *grown;

    while (room - gather->count < more) {
        room *= 2;
    }
    if (room == gather->room) {
        return BTS_OK;
    }
    grown = realloc(gather->list, room * sizeof(*grown));
    if (grown == NULL) {
        return err_set(error, BTS_NO_MEMORY, "out of memory to sort %zu operations", room);
    }
    gather->list = grown;
    gather->room = room;
    return BTS_OK;
}

static const uint8_t *gathered_key(const struct gathered *gathered, size_t *size)
{
    struct batch_operation operation;

    batch_operation_read(gathered->operation, &operation);
    *size = operation.first_size;
    return operation.first;
}

/* Bytes at the beginning of a key that it has in common with the first one gathered. */
static size_t gather_common(const struct gather *gather, const uint8_t *key, size_t key_size)
{
    size_t first_size;
    const uint8_t *first = gathered_key(&gather->list[0], &first_size);
    size_t common = 0;

    while (common < gather->common && common < key_size && key[common] == first[common]) {
        common++;
    }
    return common;
}

static void gather_key(struct gather *gather, uint32_t bucket, const uint8_t *bytes,
                       const struct batch_operation *operation)
{
    gather->list[gather->count++] = (struct gathered){.operation = bytes, .bucket = bucket};
    if (gather->count == 1) {
        gather->common = operation->first_size;
    } else {
        gather->common = gather_common(gather, operation->first, operation->first_size);
    }
}

/* The bucket that an operation chooses, by its number. */
static enum bts_status gather_use(struct gather *gather, const struct batch_operation *operation,
                                  uint32_t *bucket, struct bts_error *error)
{
    struct tree *tree;
    enum bts_status status;

    if (operation->type == BATCH_USE_ID) {
        *bucket = bytes_load_u32(operation->second);
        return BTS_OK;
    }
    status = buckets_open(gather->buckets, operation->first, operation->first_size, &tree, error);
    if (status == BTS_OK) {
        *bucket = tree->record.id;
    }
    return status;
}

static enum bts_status gather_operations(struct gather *gather, const void *batch, size_t size,
                                         struct bts_error *error)
{
    struct batch_reader reader;
    struct batch_operation operation;
    uint32_t bucket = BUCKET_DEFAULT_ID;
    enum bts_status status = gather_reserve(gather, batch_count(batch), error);
    const uint8_t *bytes;

    batch_reader_init(&reader, batch, size);
    for (bytes = reader.next; status == BTS_OK && batch_next(&reader, &operation);
         bytes = reader.next) {
        if (gather_kinds[operation.type] == GATHER_KEY) {
            gather_key(gather, bucket, bytes, &operation);
        } else if (gather_kinds[operation.type] == GATHER_BUCKET) {
            status = gather_use(gather, &operation, &bucket, error);
        }
    }
    return status;
}

enum bts_status gather_batch(struct gather *gather, const void *batch, size_t size,
                             struct bts_error *error)
{
    bool is_fence = gather_is_fence(batch, size);
    enum bts_status status = BTS_OK;

    if (is_fence || batch_count(batch) > GATHER_MAX - gather->count) {
        status = gather_apply(gather, error);
    }
    if (status == BTS_OK && (is_fence || batch_count(batch) > GATHER_MAX)) {
        return apply_batch(gather->buckets, gather->pages, APPLY_REPLAY, batch, size, NULL, error);
    }
    if (status == BTS_OK) {
        status = buckets_savepoint(gather->buckets, error); /* no more are open than need be */
    }
    return status == BTS_OK ? gather_operations(gather, batch, size, error) : status;
}

/* ---- sorting ----------------------------------------------------------------- */

static int gathered_order_keys(const struct gathered *a, const struct gathered *b)
{
    size_t a_size;
    size_t b_size;
    const uint8_t *a_key = gathered_key(a, &a_size);
    const uint8_t *b_key = gathered_key(b, &b_size);

    return key_order(a_key, a_size, b_key, b_size);
}

/* Without a branch unless the heads are alike: which way it goes cannot be guessed. */
static inline bool gathered_is_before(const struct gathered *a, const struct gathered *b)
{
    if (__builtin_expect((a->bucket == b->bucket) & (a->head == b->head), 0)) {
        return gathered_order_keys(a, b) < 0;
    }
    return (a->bucket < b->bucket) | ((a->bucket == b->bucket) & (a->head < b->head));
}

/* Eight bytes of the key from `from` on, as a number that orders as they do. */
static uint64_t gathered_head(const struct gathered *gathered, size_t from)
{
    size_t size;
    const uint8_t *key = gathered_key(gathered, &size);
    uint64_t head = 0;

    size -= from;
    memcpy(&head, key + from, size < sizeof(head) ? size : sizeof(head));
    return __builtin_bswap64(head); /* the store is for little-endian machines */
}

/* Merges two sorted stretches; of equals the first stretch's come first. */
static void gather_merge(const struct gathered *a, size_t a_count, const struct gathered *b,
                         size_t b_count, struct gathered *to)
{
    const struct gathered *a_end = a + a_count;
    const struct gathered *b_end = b + b_count;

    while (a < a_end && b < b_end) {
        bool is_b = gathered_is_before(b, a);

        *to++ = *(is_b ? b : a);
        b += is_b;
        a += !is_b;
    }
    memcpy(to, a, (size_t)(a_end - a) * sizeof(*to));
    to += a_end - a;
    memcpy(to, b, (size_t)(b_end - b) * sizeof(*to));
}

/* Sorts by bucket and key; operations on one key stay in their order. */
static enum bts_status gather_sort(struct gather *gather, struct bts_error *error)
{
    size_t count = gather->count;
    struct gathered *from = gather->list;
    struct gathered *to = malloc(gather->room * sizeof(*to));

    if (to == NULL) {
        return err_set(error, BTS_NO_MEMORY, "out of memory to sort %zu operations", count);
    }
    for (size_t i = 0; i < count; i++) {
        from[i].head = gathered_head(&from[i], gather->common);
    }
    for (size_t width = 1; width < count; width *= 2) {
        struct gathered *sorted = to;

        for (size_t at = 0; at < count; at += 2 * width) {
            size_t a_count = width < count - at ? width : count - at;
            size_t left = count - at - a_count;

            gather_merge(from + at, a_count, from + at + a_count, width < left ? width : left,
                         to + at);
        }
        to = from;
        from = sorted;
    }
    gather->list = from;
    free(to);
    return BTS_OK;
}

/* ---- doing ------------------------------------------------------------------- */

/* Whether the operation does not look at what was there. */
static bool gathered_is_blind(const struct gathered *gathered)
{
    struct batch_operation operation;

    batch_operation_read(gathered->operation, &operation);
    return operation.type == BATCH_DELETE ||
           (operation.type == BATCH_PUT &&
            (operation.flags & (BATCH_IF_ABSENT | BATCH_IF_PRESENT)) == 0);
}

/* Whether the next operation makes this one void. */
static bool gather_is_void(const struct gather *gather, size_t index)
{
    const struct gathered *here = &gather->list[index];
    const struct gathered *next = here + 1;

    return index + 1 < gather->count && here->bucket == next->bucket &&
           here->head == next->head && gathered_order_keys(here, next) == 0 &&
           gathered_is_blind(next);
}

/* Writes the private pages, and lets the disk begin whenever there is enough for it. */
static enum bts_status gather_write(struct gather *gather, struct bts_error *error)
{
    enum bts_status status;

    gather->written += pages_private_bytes(gather->pages);
    status = pages_write(gather->pages, error);
    if (status != BTS_OK || gather->written < GATHER_WRITE_BACK_SIZE) {
        return status;
    }
    gather->written = 0;
    return pages_write_back(gather->pages, error);
}

/* Does one operation, in the bucket that it is for. */
static enum bts_status gather_do(struct gather *gather, struct apply *apply,
                                 const struct gathered *gathered, struct bts_error *error)
{
    struct batch_operation operation;
    enum bts_status status = BTS_OK;

    if (apply->tree == NULL || apply->bucket_id != gathered->bucket) {
        status = buckets_savepoint(gather->buckets, error);
        apply->tree = NULL;
        apply->place = (struct tree_place){.tree = NULL};
        apply->bucket_id = gathered->bucket;
    }
    if (status == BTS_OK) {
        batch_operation_read(gathered->operation, &operation);
        status = apply_operation(apply, &operation, error);
    }
    if (status == BTS_OK && pages_private_bytes(gather->pages) > gather->private_max) {
        status = gather_write(gather, error);
    }
    pages_visit_next(gather->pages);
    return status;
}

enum bts_status gather_apply(struct gather *gather, struct bts_error *error)
{
    struct apply apply = {.buckets = gather->buckets, .mode = APPLY_REPLAY};
    enum bts_status status = gather->count > 1 ? gather_sort(gather, error) : BTS_OK;

    pages_visit_begin(gather->pages);
    for (size_t i = 0; status == BTS_OK && i < gather->count; i++) {
        if (gather->count - i > GATHER_AHEAD) {
            prefetch(gather->list[i + GATHER_AHEAD].operation);
            prefetch(gather->list[i + GATHER_AHEAD].operation + 64);
        }
        if (!gather_is_void(gather, i)) {
            status = gather_do(gather, &apply, &gather->list[i], error);
        }
    }
    pages_visit_end(gather->pages);
    gather->count = 0;
    return status;
}
