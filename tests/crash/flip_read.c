/* SPDX-License-Identifier: MIT */
/*
 * flip_read: read a store through the public API and hold it against its model.
 *
 * A value that differs, a key too many or too few, an error other than damage,
 * or damage that names another page than the flipped one, is wrong.
 */
#include "flip_store.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "client/snapshot_private.h"

#define READ_SPAN (1u << 20) /* or the file's size: less to map for each flip */

enum bts_status flip_open(const char *path, struct bts_store **open, struct bts_error *error)
{
    struct bts_options options = {.flags = BTS_OPEN_ALONE | BTS_OPEN_IGNORE_PENDING,
                                  .map_size_bytes = READ_SPAN};

    return bts_store_open(path, &options, open, error);
}

void flip_forget(struct bts_store *open)
{
    struct bts_snapshot snapshot;
    const struct page_source *source;

    if (bts_snapshot_open(open, &snapshot, NULL) != BTS_OK)
        return; /* and the reading fails, too */
    source = snapshot_of(&snapshot)->source;
    for (pgno_t p = 0; p < *source->page_count && p < source->page_limit; p++)
        atomic_store_explicit(&source->verified[p], 0, memory_order_relaxed);
    bts_snapshot_close(&snapshot);
}

enum bts_status flip_version(struct bts_store *open, unsigned *version)
{
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_bytes value;
    enum bts_status status = bts_snapshot_open(open, &snapshot, NULL);

    *version = 0;
    if (status != BTS_OK)
        return status;
    status = bts_bucket_open(&snapshot, BTS_DEFAULT_BUCKET, strlen(BTS_DEFAULT_BUCKET), &bucket,
                             NULL);
    if (status == BTS_OK)
        status = bts_get(&snapshot, &bucket, "n", 1, &value, NULL);
    for (size_t i = 0; status == BTS_OK && i < value.size; i++)
        *version = *version * 10 + (unsigned)(((const char *)value.data)[i] - '0');
    bts_snapshot_close(&snapshot);
    return status == BTS_NOT_FOUND ? BTS_OK : status;
}

/* One reading under way. */
struct flip_reader {
    const struct bts_snapshot *snapshot;
    const struct flip_bucket *model;
    pgno_t pgno;
    struct bts_bucket bucket;
    struct flip_reading *reading;
};

__attribute__((format(printf, 2, 3))) static void
flip_wrong(struct flip_reading *reading, const char *format, ...)
{
    va_list arguments;

    if (reading->wrong)
        return;
    reading->wrong = true;
    va_start(arguments, format);
    vsnprintf(reading->text, sizeof(reading->text), format, arguments);
    va_end(arguments);
}

/* A call that failed: it must have met the flipped page, and say so. */
static void flip_judge(struct flip_reader *reader, enum bts_status status,
                       const struct bts_error *error)
{
    struct flip_reading *reading = reader->reading;
    char page[32];

    snprintf(page, sizeof(page), "page %u: ", reader->pgno);
    if (status != BTS_DAMAGED)
        flip_wrong(reading, "%s: %s", bts_status_name(status), error->text);
    else if (reader->pgno == PGNO_NONE || strstr(error->text, page) == NULL ||
             strstr(error->text, page)[strlen(page)] == '\0')
        flip_wrong(reading, "names no page with a reason, or another: %.400s", error->text);
    reading->damage = true;
}

static bool flip_same(const struct bts_bytes *a, const struct bts_bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void flip_scan(struct flip_reader *reader)
{
    struct bts_bytes key, value;
    struct bts_cursor cursor;
    struct bts_error error;
    enum bts_status status;
    size_t i = 0;

    bts_cursor_init(&cursor, reader->snapshot, &reader->bucket);
    while ((status = bts_cursor_next(&cursor, &key, &value, &error)) == BTS_OK) {
        const struct flip_entry *entry = &reader->model->entries[i];
        if (i == reader->model->count || !flip_same(&key, &entry->key) ||
            !flip_same(&value, &entry->value)) {
            flip_wrong(reader->reading, "bucket %.40s: entry %zu of the cursor is another",
                       reader->model->name, i);
            return;
        }
        i++;
    }
    if (status != BTS_END)
        flip_judge(reader, status, &error);
    else if (i != reader->model->count)
        flip_wrong(reader->reading, "bucket %.40s: the cursor ends after %zu of %zu entries",
                   reader->model->name, i, reader->model->count);
}

static void flip_get(struct flip_reader *reader, const struct flip_entry *entry)
{
    struct bts_bytes value;
    struct bts_error error;
    enum bts_status status = bts_get(reader->snapshot, &reader->bucket, entry->key.data,
                                     entry->key.size, &value, &error);

    if (status == BTS_NOT_FOUND)
        flip_wrong(reader->reading, "bucket %.40s: a get finds nothing", reader->model->name);
    else if (status != BTS_OK)
        flip_judge(reader, status, &error);
    else if (!flip_same(&value, &entry->value))
        flip_wrong(reader->reading, "bucket %.40s: a get finds another value",
                   reader->model->name);
}

/* Up to 64 keys at once from `first` on. */
static void flip_get_many(struct flip_reader *reader, size_t first, size_t count)
{
    struct bts_lookup lookups[64];
    struct bts_error error = {.text = ""};
    enum bts_status status;

    count = count < 64 ? count : 64;
    for (size_t i = 0; i < count; i++) {
        const struct bts_bytes *key = &reader->model->entries[first + i].key;
        lookups[i] = (struct bts_lookup){.key = key->data, .key_size = key->size};
    }
    status = bts_get_many(reader->snapshot, &reader->bucket, lookups, count, &error);
    if (status != BTS_OK)
        flip_judge(reader, status, &error);
    for (size_t i = 0; i < count; i++) {
        if (lookups[i].status == BTS_OK
                ? !flip_same(&lookups[i].value, &reader->model->entries[first + i].value)
                : lookups[i].status != BTS_DAMAGED || status == BTS_OK)
            flip_wrong(reader->reading, "bucket %.40s: of many gets one finds another value",
                       reader->model->name);
    }
}

static void flip_read_bucket(struct flip_reader *reader, size_t gets, uint64_t seed)
{
    const struct flip_bucket *model = reader->model;
    struct bts_error error;
    enum bts_status status = bts_bucket_open(reader->snapshot, model->name, strlen(model->name),
                                             &reader->bucket, &error);

    if (status != BTS_OK) {
        flip_judge(reader, status, &error);
        return;
    }
    flip_scan(reader);
    if (model->count == 0)
        return;
    if (gets == SIZE_MAX) {
        for (size_t i = 0; i < model->count; i++)
            flip_get(reader, &model->entries[i]);
        for (size_t i = 0; i < model->count; i += 64)
            flip_get_many(reader, i, model->count - i);
        return;
    }
    for (size_t i = 0; i < gets; i++)
        flip_get(reader, &model->entries[flip_mix(seed + i) % model->count]);
    flip_get_many(reader, seed % model->count, bytes_min(model->count - seed % model->count, 4));
}

/* All names that the directory holds. */
static void flip_scan_directory(struct flip_reader *reader, size_t expected)
{
    struct bts_cursor cursor;
    struct bts_error error;
    struct bts_bytes name;
    enum bts_status status;
    size_t count = 0;

    bts_cursor_init_buckets(&cursor, reader->snapshot);
    while ((status = bts_cursor_next(&cursor, &name, NULL, &error)) == BTS_OK)
        count++;
    if (status != BTS_END)
        flip_judge(reader, status, &error);
    else if (count != expected)
        flip_wrong(reader->reading, "%zu buckets, expected %zu", count, expected);
}

void flip_read(const struct flip_store *store, struct bts_store *open, unsigned version,
               pgno_t pgno, size_t gets, struct flip_reading *reading)
{
    static uint64_t seed;
    struct bts_snapshot snapshot;
    struct bts_error error;
    struct flip_reader reader = {.snapshot = &snapshot, .pgno = pgno, .reading = reading};

    memset(reading, 0, sizeof(*reading));
    if (bts_snapshot_open(open, &snapshot, &error) != BTS_OK) {
        flip_wrong(reading, "snapshot: %.400s", error.text);
        return;
    }
    flip_scan_directory(&reader, store->bucket_count);
    for (size_t b = 0; b < store->bucket_count && !reading->wrong; b++) {
        reader.model = b == 0 ? &store->versions[version] : &store->buckets[b];
        flip_read_bucket(&reader, gets, seed++);
    }
    bts_snapshot_close(&snapshot);
}
