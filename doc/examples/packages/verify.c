/* SPDX-License-Identifier: MIT */
/*
 * verify: what was acknowledged is there, and nothing else.
 *
 * The tables are compared entry by entry, in both directions: each entry is
 * looked up (many at once), and the bucket's count and its scan agree with the
 * table.  Counters are compared with what the counting processes left in the
 * status folder: acknowledged <= counter <= acknowledged + unknown.
 */
#include "packages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKUPS_AT_ONCE 64

static void open_bucket(const struct bts_snapshot *snapshot, const char *name,
                        struct bts_bucket *bucket)
{
    struct bts_error error;

    must(bts_bucket_open(snapshot, name, strlen(name), bucket, &error), &error);
}

static void compare_value(const struct entry *entry, struct bts_bytes value)
{
    if (value.size != entry->value_size || memcmp(value.data, entry->value, value.size) != 0) {
        fail("%.*s has a wrong value", (int)entry->key_size, entry->key);
    }
}

static void look_all_up(const struct table *table, const struct bts_snapshot *snapshot,
                        const struct bts_bucket *bucket)
{
    struct bts_lookup lookups[LOOKUPS_AT_ONCE];
    struct bts_error error;

    for (size_t done = 0; done < table->count;) {
        size_t count = 0;
        while (count < LOOKUPS_AT_ONCE && done + count < table->count) {
            const struct entry *entry = &table->entries[done + count];
            lookups[count++] = (struct bts_lookup){.key = entry->key, .key_size = entry->key_size};
        }
        must(bts_get_many(snapshot, bucket, lookups, count, &error), &error);
        for (size_t i = 0; i < count; i++) {
            const struct entry *entry = &table->entries[done + i];
            if (lookups[i].status != BTS_OK) {
                fail("%s: %.*s is missing", table->bucket, (int)entry->key_size, entry->key);
            }
            compare_value(entry, lookups[i].value);
        }
        done += count;
    }
}

static void scan_all(const struct table *table, const struct bts_snapshot *snapshot,
                     const struct bts_bucket *bucket)
{
    struct bts_bytes key, value;
    struct bts_cursor cursor;
    struct bts_error error;
    enum bts_status status;
    size_t count = 0;

    bts_cursor_init(&cursor, snapshot, bucket);
    for (status = bts_cursor_first(&cursor, &key, &value, &error); status == BTS_OK;
         status = bts_cursor_next(&cursor, &key, &value, &error)) {
        const struct entry *entry = count < table->count ? &table->entries[count] : NULL;
        if (entry == NULL || key.size != entry->key_size ||
            memcmp(key.data, entry->key, key.size) != 0) {
            fail("%s: the scan gave %.*s as entry %zu", table->bucket, (int)key.size,
                 (const char *)key.data, count);
        }
        compare_value(entry, value);
        count++;
    }
    if (status != BTS_END) {
        must(status, &error);
    }
    if (count != table->count || bucket->entry_count != table->count) {
        fail("%s: %zu entries expected, %zu scanned, %" PRIu64 " counted", table->bucket,
             table->count, count, bucket->entry_count);
    }
}

static void verify_table(const struct table *table, const struct bts_snapshot *snapshot)
{
    struct bts_bucket bucket;

    if (table->count == 0) {
        return;
    }
    open_bucket(snapshot, table->bucket, &bucket);
    look_all_up(table, snapshot, &bucket);
    scan_all(table, snapshot, &bucket);
    printf("  %-9s %7zu entries, %4.1f MB: all there, each with its value, and no other\n",
           table->bucket, table->count, (double)table->bytes / 1e6);
}

/* ---- counters ------------------------------------------------------------ */

struct accepted {
    uint64_t low[COUNTER_COUNT];
    uint64_t high[COUNTER_COUNT];
    uint64_t txnid;
};

/* Adds one status line "writer SUM UNKNOWN TXNID (ACKNOWLEDGED UNKNOWN)...". */
static void accepted_add(struct accepted *accepted, const char *line)
{
    uint64_t sum, unknown, txnid;
    int used = 0;

    if (sscanf(line, "writer %" SCNu64 " %" SCNu64 " %" SCNu64 "%n", &sum, &unknown, &txnid,
               &used) < 3) {
        return;
    }
    accepted->txnid = txnid > accepted->txnid ? txnid : accepted->txnid;
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        uint64_t low, more;
        int step = 0;
        if (sscanf(line + used, "%" SCNu64 " %" SCNu64 "%n", &low, &more, &step) < 2) {
            fail("a writer's status has a bad line: %s", line);
        }
        accepted->low[i] += low;
        accepted->high[i] += low + more;
        used += step;
    }
}

static void accepted_read(struct accepted *accepted, const char *folder)
{
    DIR *directory = opendir(folder);
    struct dirent *item;

    if (directory == NULL) {
        fail("%s: %s", folder, strerror(errno));
    }
    while ((item = readdir(directory)) != NULL) {
        char line[1024];
        int fd = openat(dirfd(directory), item->d_name, O_RDONLY | O_CLOEXEC);
        FILE *file = item->d_name[0] == '.' || fd < 0 ? NULL : fdopen(fd, "r");
        if (file != NULL && fgets(line, sizeof(line), file) != NULL) {
            accepted_add(accepted, line);
        }
        if (file != NULL) {
            fclose(file);
        } else if (fd >= 0) {
            close(fd);
        }
    }
    closedir(directory);
}

static void verify_counters(const struct arguments *arguments, const struct bts_snapshot *snapshot)
{
    struct accepted accepted = {.txnid = 0};
    uint64_t sum = 0, low = 0, high = 0;
    struct bts_bucket bucket;

    accepted_read(&accepted, arguments->folder);
    if (bts_snapshot_txnid(snapshot) < accepted.txnid) {
        fail("commit %" PRIu64 " was acknowledged, but the store stands at %" PRIu64,
             accepted.txnid, bts_snapshot_txnid(snapshot));
    }
    open_bucket(snapshot, COUNTERS_BUCKET, &bucket);
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        char name[COUNTER_NAME_MAX];
        struct bts_bytes value;
        struct bts_error error;
        uint64_t number = 0;
        enum bts_status status =
            bts_get(snapshot, &bucket, name, counter_name(i, name), &value, &error);
        if (status != BTS_NOT_FOUND) {
            must(status, &error);
            number = (uint64_t)counter_parse(value);
        }
        if (number < accepted.low[i] || number > accepted.high[i]) {
            fail("%s is %" PRIu64 ", but %" PRIu64 " increments were acknowledged and %" PRIu64
                 " have an unknown outcome",
                 name, number, accepted.low[i], accepted.high[i] - accepted.low[i]);
        }
        sum += number;
        low += accepted.low[i];
        high += accepted.high[i];
    }
    printf("  %-9s %7" PRIu64 " counted: %" PRIu64 " acknowledged, %" PRIu64
           " of unknown outcome\n", COUNTERS_BUCKET, sum, low, high - low);
}

void verify_run(const struct arguments *arguments)
{
    struct bts_snapshot snapshot;
    struct bts_error error;

    must(bts_snapshot_open(arguments->store, &snapshot, &error), &error);
    verify_table(&arguments->data->packages, &snapshot);
    verify_table(&arguments->data->files, &snapshot);
    verify_counters(arguments, &snapshot);
    bts_snapshot_close(&snapshot);
}

/* ---- a few look-ups to show ---------------------------------------------- */

static void show_path(const struct bts_snapshot *snapshot, const struct bts_bucket *files,
                      const char *path)
{
    struct bts_bytes owners;
    struct bts_error error;
    enum bts_status status = bts_get(snapshot, files, path, strlen(path), &owners, &error);
    const char *text = owners.data;
    size_t size = 0;
    unsigned others = 0;

    if (status == BTS_NOT_FOUND) {
        return;
    }
    must(status, &error);
    while (size < owners.size && text[size] != '\n') {
        size++;
    }
    for (size_t i = size; i < owners.size; i++) {
        others += text[i] == '\n';
    }
    printf("  %-24s belongs to %.*s", path, (int)size, text);
    printf(others > 0 ? " and %u more\n" : "\n", others);
}

void show_run(const struct arguments *arguments)
{
    static const char *const paths[] = {"/usr/bin/make", "/usr/bin/dpkg", "/bin/bash",
                                        "/usr/share/doc", "/usr/bin/env"};
    struct bts_snapshot snapshot;
    struct bts_bucket files;
    struct bts_error error;

    must(bts_snapshot_open(arguments->store, &snapshot, &error), &error);
    open_bucket(&snapshot, "files", &files);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        show_path(&snapshot, &files, paths[i]);
    }
    bts_snapshot_close(&snapshot);
}
