/* SPDX-License-Identifier: MIT */
/*
 * fuzz_file: a hostile file (and log), opened alone, checked and read.
 *
 * Promises: whatever lies there, bts_store_open, bts_store_check, bts_stat and
 * every way to read end, with a status and one line of text, and touch nothing
 * outside.  What the check finds whole can be read: both ways in order, key by
 * key and many at once, as many entries as are counted.
 */
#include "fuzz.h"
#include "fuzz_folder.h"
#include "fuzz_store.h"

#include "base/bytes.h"

#include <string.h>

#define FILE_STEPS_MAX 2000u          /* of a cursor: a hostile tree may go on for ever */
#define FILE_TOUCH_MAX (1u << 20)     /* bytes of values looked at */
#define FILE_MANY 32u

static unsigned file_left;            /* of FILE_TOUCH_MAX */
static volatile unsigned file_sum;    /* so that reading is not optimised away */

static void file_touch(const struct bts_bytes *bytes)
{
    const uint8_t *data = bytes->data;
    unsigned sum = 0;

    if (bytes->size > file_left) {
        return;
    }
    file_left -= (unsigned)bytes->size;
    for (size_t i = 0; i < bytes->size; i++) {
        sum += data[i];
    }
    file_sum += sum;
}

static void file_text(enum bts_status status, const struct bts_error *error)
{
    if (status != BTS_OK && status != BTS_END && status != BTS_NOT_FOUND) {
        FUZZ_PROMISE(error->text[0] != '\0' && strchr(error->text, '\n') == NULL);
        FUZZ_PROMISE(error->status == status);
    }
}

/* One pass of one cursor. */
struct file_pass {
    const struct bts_snapshot *snapshot;
    const struct bts_bucket *bucket;
    bool whole;                 /* the check found nothing */
    uint64_t count;
};

static void file_get_again(const struct file_pass *pass, const struct bts_bytes *key,
                           const struct bts_bytes *value)
{
    struct bts_bytes again;
    struct bts_error error;
    enum bts_status status =
        bts_get(pass->snapshot, pass->bucket, key->data, key->size, &again, &error);

    file_text(status, &error);
    if (pass->whole) {
        FUZZ_PROMISE(status == BTS_OK && again.data == value->data && again.size == value->size);
    }
}

typedef enum bts_status file_move(struct bts_cursor *cursor, struct bts_bytes *key,
                                  struct bts_bytes *value, struct bts_error *error);

static void file_walk(struct file_pass *pass, file_move *move, int direction)
{
    struct bts_cursor cursor;
    struct bts_bytes key;
    struct bts_bytes value;
    struct bts_bytes last = {NULL, 0};
    struct bts_error error;
    enum bts_status status = BTS_OK;

    bts_cursor_init(&cursor, pass->snapshot, pass->bucket);
    for (pass->count = 0; pass->count < FILE_STEPS_MAX; pass->count++) {
        status = move(&cursor, &key, &value, &error);
        if (status != BTS_OK) {
            break;
        }
        file_touch(&key);
        file_touch(&value);
        if (pass->whole && last.data != NULL) {
            int order = bytes_compare(key.data, key.size, last.data, last.size);
            FUZZ_PROMISE(direction > 0 ? order > 0 : order < 0);
        }
        if (pass->count < 200) {
            file_get_again(pass, &key, &value);
        }
        last = key;
    }
    file_text(status, &error);
    if (pass->whole) {
        FUZZ_PROMISE(status == BTS_END && pass->count == pass->bucket->entry_count);
    }
}

/* Keys of the oracle's kind and others, many at once, and a range around each. */
static void file_search(const struct file_pass *pass)
{
    static char keys[FILE_MANY][8];
    struct bts_lookup lookups[FILE_MANY];
    struct bts_cursor cursor;
    struct bts_bytes key;
    struct bts_error error;
    enum bts_status status;

    for (unsigned i = 0; i < FILE_MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%c %02u", "akpz"[i % 4], i * 2);
        lookups[i] = (struct bts_lookup){.key = keys[i], .key_size = 1 + i % 4};
    }
    status = bts_get_many(pass->snapshot, pass->bucket, lookups, FILE_MANY, &error);
    file_text(status, &error);
    FUZZ_PROMISE(!pass->whole || status == BTS_OK);
    for (unsigned i = 0; i < FILE_MANY; i++) {
        FUZZ_PROMISE(lookups[i].status != BTS_OK || lookups[i].value.data != NULL);
        file_touch(&lookups[i].value);
    }
    for (unsigned i = 0; i < FILE_MANY; i += 5) {
        bts_cursor_init(&cursor, pass->snapshot, pass->bucket);
        bts_cursor_set_range(&cursor, keys[i], 3, i % 2 == 0 ? NULL : "p", 1);
        status = bts_cursor_last(&cursor, &key, NULL, &error);
        file_text(status, &error);
        status = bts_cursor_seek(&cursor, keys[(i + 7) % FILE_MANY], 3, &key, NULL, &error);
        file_text(status, &error);
        bts_cursor_set_prefix(&cursor, keys[i], 1);
        status = bts_cursor_last(&cursor, &key, NULL, &error);
        file_text(status, &error);
    }
}

static void file_read_bucket(const struct bts_snapshot *snapshot, const struct bts_bytes *name,
                             bool whole)
{
    struct bts_bucket bucket;
    struct bts_error error;
    struct file_pass pass = {snapshot, &bucket, whole, 0};
    enum bts_status status = bts_bucket_open(snapshot, name->data, name->size, &bucket, &error);

    file_text(status, &error);
    FUZZ_PROMISE(!whole || status == BTS_OK);
    if (status == BTS_OK) {
        file_walk(&pass, bts_cursor_next, 1);
        file_walk(&pass, bts_cursor_prev, -1);
        file_search(&pass);
    }
}

static void file_read_all(struct bts_store *store, bool whole)
{
    static const struct bts_bytes none = {"no such bucket", 14};
    struct bts_snapshot snapshot;
    struct bts_cursor cursor;
    struct bts_bytes name;
    struct bts_error error;
    struct bts_stat stat;
    enum bts_status status = bts_store_stat(store, &stat, &error);

    file_text(status, &error);
    FUZZ_PROMISE(!whole || status == BTS_OK);
    status = bts_snapshot_open(store, &snapshot, &error);
    file_text(status, &error);
    if (status != BTS_OK) {
        return;
    }
    file_read_bucket(&snapshot, &none, false);
    bts_cursor_init_buckets(&cursor, &snapshot);
    for (unsigned i = 0; i < 8 && status == BTS_OK; i++) {
        status = bts_cursor_next(&cursor, &name, NULL, &error);
        if (status == BTS_OK) {
            file_read_bucket(&snapshot, &name, whole);
        }
    }
    file_text(status, &error);
    bts_snapshot_close(&snapshot);
}

static void file_report(void *argument, const char *text)
{
    FUZZ_PROMISE(text[0] != '\0' && strchr(text, '\n') == NULL);
    ++*(unsigned *)argument;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct bts_options options = {
        .flags = BTS_OPEN_ALONE | BTS_OPEN_IGNORE_PENDING, .map_size_bytes = 16u << 20};
    struct store_image image;
    struct bts_check_result result;
    struct bts_store *store;
    struct bts_error error;
    unsigned reports = 0;
    enum bts_status status;

    store_image_make(data, size, &image);
    store_image_write(&image);
    store_image_fini(&image);
    file_left = FILE_TOUCH_MAX;
    status = bts_store_open(folder_store(), &options, &store, &error);
    file_text(status, &error);
    if (status != BTS_OK) {
        return 0;
    }
    if (size % 2 == 0) { /* reading first: nothing was verified by the check */
        file_read_all(store, false);
    }
    status = bts_store_check(store, &result, file_report, &reports, &error);
    file_text(status, &error);
    FUZZ_PROMISE(status == BTS_OK || status == BTS_DAMAGED || status == BTS_VERSION);
    FUZZ_PROMISE((status == BTS_OK) == (reports == 0) || status == BTS_VERSION);
    file_read_all(store, status == BTS_OK);
    bts_store_close(store);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    return store_seed(index, out);
}
