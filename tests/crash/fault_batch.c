/* SPDX-License-Identifier: MIT */
/* fault_batch: see fault_batch.h. */
#include "fault_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read/bucket.h"
#include "read/cursor.h"

#define BATCH_KEYS 50u
#define BATCH_LARGE 24000u /* bytes of the largest value */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185ull;
    x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44dull;
    return x ^ (x >> 33);
}

/* What the test itself needs does not fail. */
static void add(struct batch *batch, enum batch_type type, unsigned flags, const char *first,
                const void *second, size_t size)
{
    struct bts_error error;

    if (batch_add(batch, type, flags, first, first != NULL ? strlen(first) : 0, second, size,
                  &error) != BTS_OK) {
        fprintf(stderr, "the story's own batch: %s\n", error.text);
        abort();
    }
}

static void add_puts(struct batch *batch, unsigned version, unsigned count, size_t size_max)
{
    static uint8_t value[BATCH_LARGE];

    for (unsigned i = 0; i < count; i++) {
        uint64_t drawn = mix(version * 131u + i + 1);
        size_t size = size_max / 2 + drawn % (size_max / 2);
        char key[32];

        memset(value, (int)(drawn >> 20), size);
        snprintf(key, sizeof(key), "key %03u", (unsigned)(drawn >> 40) % BATCH_KEYS);
        if (drawn % 5 == 0)
            add(batch, BATCH_DELETE, 0, key, NULL, 0);
        else
            add(batch, BATCH_PUT, 0, key, value, size);
    }
}

static void add_special(struct batch *batch, unsigned version)
{
    switch (version % 20) {
    case 3:
        add(batch, BATCH_BUCKET_CREATE, 0, "side", NULL, 0);
        add(batch, BATCH_USE, 0, "side", NULL, 0);
        add_puts(batch, version, 12, 900);
        break;
    case 6: /* too large for a frame of the log */
        add_puts(batch, version, 6, BATCH_LARGE);
        break;
    case 9:
        add(batch, BATCH_BUCKET_RENAME, 0, "side", "aside", 5);
        add(batch, BATCH_INCREMENT, 0, "sum", "\2\0\0\0\0\0\0", 8);
        break;
    case 12:
        add(batch, BATCH_DELETE_RANGE, 0, "key 010", "key 020", 7);
        add_puts(batch, version, 3, 300);
        break;
    case 14:
        add(batch, BATCH_BUCKET_DROP, 0, "aside", NULL, 0);
        break;
    case 17:
        add_puts(batch, version, 30, 600);
        break;
    default: /* every fifth with values of many pages */
        add_puts(batch, version, 1 + version % 4, version % 5 == 0 ? 15000 : 250);
        break;
    }
}

void fault_batch_make(unsigned version, struct batch *batch)
{
    char text[16];

    memset(batch, 0, sizeof(*batch));
    add_special(batch, version);
    add(batch, BATCH_USE, 0, BTS_DEFAULT_BUCKET, NULL, 0);
    snprintf(text, sizeof(text), "%u", version);
    add(batch, BATCH_PUT, 0, "n", text, strlen(text));
}

void fault_batch_make_refused(unsigned version, struct batch *batch)
{
    memset(batch, 0, sizeof(*batch));
    add_puts(batch, version + 1000, 4, 6000);
    add(batch, BATCH_BUCKET_CREATE, 0, "never", NULL, 0);
    add(batch, BATCH_REQUIRE_PRESENT, 0, "no such key", NULL, 0);
}

/* ---- digests ------------------------------------------------------------ */

static uint64_t hash_bytes(uint64_t hash, struct bts_bytes bytes)
{
    const uint8_t *at = bytes.data;
    size_t i = 0;

    for (; i + 8 <= bytes.size; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, 8);
        hash = (hash ^ word) * 1099511628211ull;
        hash ^= hash >> 29;
    }
    for (; i < bytes.size; i++)
        hash = (hash ^ at[i]) * 1099511628211ull;
    return (hash ^ bytes.size) * 1099511628211ull;
}

static enum bts_status read_tree(const struct tree_view *view, unsigned *version,
                                 uint64_t *digest, struct bts_error *error)
{
    struct cursor cursor;
    struct bts_bytes key;
    struct bts_bytes value;
    enum bts_status status;

    cursor_init(&cursor, view);
    while ((status = cursor_next(&cursor, &key, &value, error)) == BTS_OK) {
        *digest = hash_bytes(hash_bytes(*digest, key), value);
        for (size_t i = 0; key.size == 1 && i < value.size; i++)
            *version = *version * 10 + (unsigned)(((const char *)value.data)[i] - '0');
    }
    return status == BTS_END ? BTS_OK : status;
}

enum bts_status fault_batch_read(const struct tree_view *directory, unsigned *version,
                                 uint64_t *digest, struct bts_error *error)
{
    struct cursor cursor;
    struct bts_bytes name;
    struct bts_bytes bytes;
    enum bts_status status;

    *version = 0;
    *digest = 14695981039346656037ull;
    cursor_init(&cursor, directory);
    while ((status = cursor_next(&cursor, &name, &bytes, error)) == BTS_OK) {
        struct bucket_record record;
        struct tree_view view;
        status = bucket_record_decode(bytes.data, bytes.size, &record, error);
        if (status != BTS_OK)
            return status;
        *digest = hash_bytes(*digest, name);
        view = bucket_view(directory, &record);
        status = read_tree(&view, version, digest, error);
        if (status != BTS_OK)
            return status;
    }
    return status == BTS_END ? BTS_OK : status;
}
