/* SPDX-License-Identifier: MIT */
/*
 * read: look paths up and scan folders, without pause, while others write and
 * while the daemon dies and comes back.  Nothing here knows about that: a
 * snapshot needs no daemon.
 *
 * What must hold, and is checked
 *  (1) No call fails.
 *  (2) No snapshot is older than the one before it.
 *  (3) A value is exactly what dpkg says, or not there yet; what was there
 *      once stays there.
 *  (4) A scan's keys are in order, all below its folder.
 *  (5) The shared counters never go back.
 */
#include "packages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKUPS_PER_SNAPSHOT 200
#define SCAN_ENTRIES_MAX 200

struct reading {
    const struct arguments *arguments;
    bool *seen; /* by index in the table of files */
    uint64_t random;
    uint64_t lookups;
    uint64_t found;
    uint64_t scans;
    uint64_t scanned;
    uint64_t txnid;
    int64_t counters[COUNTER_COUNT];
};

typedef enum bts_status cursor_move(struct bts_cursor *, struct bts_bytes *, struct bts_bytes *,
                                    struct bts_error *);

static void reading_tell(const struct reading *reading)
{
    status_write(reading->arguments,
                 "reader %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
                 reading->lookups, reading->found, reading->scans, reading->scanned,
                 reading->txnid);
}

/* False as long as nobody has made the bucket. */
static bool open_bucket(const struct bts_snapshot *snapshot, const char *name,
                        struct bts_bucket *bucket)
{
    struct bts_error error;
    enum bts_status status = bts_bucket_open(snapshot, name, strlen(name), bucket, &error);

    if (status != BTS_NO_BUCKET) {
        must(status, &error);
    }
    return status == BTS_OK;
}

static void look_up(struct reading *reading, const struct bts_snapshot *snapshot,
                    const struct bts_bucket *files)
{
    const struct table *table = &reading->arguments->data->files;
    size_t index = (size_t)(random_next(&reading->random) % table->count);
    const struct entry *entry = &table->entries[index];
    struct bts_bytes value;
    struct bts_error error;
    enum bts_status status = bts_get(snapshot, files, entry->key, entry->key_size, &value, &error);

    reading->lookups++;
    if (status == BTS_NOT_FOUND) {
        if (reading->seen[index]) {
            fail("%.*s was there and is gone", (int)entry->key_size, entry->key);
        }
        return;
    }
    must(status, &error);
    if (value.size != entry->value_size || memcmp(value.data, entry->value, value.size) != 0) {
        fail("%.*s has a wrong value", (int)entry->key_size, entry->key);
    }
    reading->seen[index] = true;
    reading->found++;
}

static void check_scanned(const struct reading *reading, struct bts_bytes key,
                          struct bts_bytes value, struct bts_bytes folder)
{
    const struct entry *entry = table_find(&reading->arguments->data->files, key.data, key.size);

    if (entry == NULL || key.size < folder.size || memcmp(key.data, folder.data, folder.size)) {
        fail("a scan of %.*s gave %.*s", (int)folder.size, (const char *)folder.data,
             (int)key.size, (const char *)key.data);
    }
    if (value.size != entry->value_size || memcmp(value.data, entry->value, value.size) != 0) {
        fail("%.*s has a wrong value in a scan", (int)key.size, (const char *)key.data);
    }
}

/* True if a comes before b. */
static bool is_before(struct bts_bytes a, struct bts_bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

    return order < 0 || (order == 0 && a.size < b.size);
}

/* Scans the folder of a random path, forwards or backwards. */
static void scan_folder(struct reading *reading, const struct bts_snapshot *snapshot,
                        const struct bts_bucket *files)
{
    const struct table *table = &reading->arguments->data->files;
    const struct entry *entry = &table->entries[random_next(&reading->random) % table->count];
    const char *slash = memrchr(entry->key, '/', entry->key_size);
    struct bts_bytes folder = {entry->key, slash == NULL ? 0 : (size_t)(slash + 1 - entry->key)};
    bool backwards = random_next(&reading->random) % 2 == 0;
    cursor_move *start = backwards ? bts_cursor_last : bts_cursor_first;
    cursor_move *move = backwards ? bts_cursor_prev : bts_cursor_next;
    struct bts_bytes key, value, before = {0};
    struct bts_cursor cursor;
    struct bts_error error;
    enum bts_status status;
    unsigned count = 0;

    bts_cursor_init(&cursor, snapshot, files);
    bts_cursor_set_prefix(&cursor, folder.data, folder.size);
    for (status = start(&cursor, &key, &value, &error);
         status == BTS_OK && count < SCAN_ENTRIES_MAX;
         status = move(&cursor, &key, &value, &error)) {
        check_scanned(reading, key, value, folder);
        if (count > 0 && (backwards ? !is_before(key, before) : !is_before(before, key))) {
            fail("a scan is out of order at %.*s", (int)key.size, (const char *)key.data);
        }
        before = key;
        count++;
    }
    if (status != BTS_END) {
        must(status, &error);
    }
    reading->scans++;
    reading->scanned += count;
}

static void look_at_counters(struct reading *reading, const struct bts_snapshot *snapshot)
{
    struct bts_bucket bucket;

    if (!open_bucket(snapshot, COUNTERS_BUCKET, &bucket)) {
        return;
    }
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        char name[COUNTER_NAME_MAX];
        struct bts_bytes value;
        struct bts_error error;
        enum bts_status status =
            bts_get(snapshot, &bucket, name, counter_name(i, name), &value, &error);
        int64_t number;
        if (status == BTS_NOT_FOUND && reading->counters[i] == 0) {
            continue;
        }
        must(status, &error);
        number = counter_parse(value);
        if (number < reading->counters[i]) {
            fail("%s went back from %" PRId64 " to %" PRId64, name, reading->counters[i], number);
        }
        reading->counters[i] = number;
    }
}

static void read_one_snapshot(struct reading *reading)
{
    struct bts_snapshot snapshot;
    struct bts_bucket files;
    struct bts_error error;

    must(bts_snapshot_open(reading->arguments->store, &snapshot, &error), &error);
    if (bts_snapshot_txnid(&snapshot) < reading->txnid) {
        fail("a snapshot shows %" PRIu64 " after one that showed %" PRIu64,
             bts_snapshot_txnid(&snapshot), reading->txnid);
    }
    reading->txnid = bts_snapshot_txnid(&snapshot);
    look_at_counters(reading, &snapshot);
    if (open_bucket(&snapshot, reading->arguments->data->files.bucket, &files)) {
        for (unsigned i = 0; i < LOOKUPS_PER_SNAPSHOT; i++) {
            look_up(reading, &snapshot, &files);
        }
        scan_folder(reading, &snapshot, &files);
    } else {
        sleep_ms(1);
    }
    bts_snapshot_close(&snapshot);
}

void read_run(const struct arguments *arguments)
{
    struct reading reading = {.arguments = arguments, .random = (uint64_t)getpid() + 1};
    uint64_t tell_ms = 0;

    reading.seen = must_alloc(calloc(arguments->data->files.count, sizeof(*reading.seen)));
    while (!is_stopping()) {
        read_one_snapshot(&reading);
        if (now_ms() >= tell_ms) {
            reading_tell(&reading);
            tell_ms = now_ms() + 100;
        }
    }
    reading_tell(&reading);
    free(reading.seen);
}
