/* SPDX-License-Identifier: MIT */
/*
 * fault_client: a reader and a writer for fault_sweep_outside, through the
 * public API alone.
 *
 *   fault_client writer STORE ROUND REPORT
 *       puts keys 0 .. KEYS - 1, each with the value that follows from it and the round, and
 *       ends after two failures.  In REPORT, a file of KEYS bytes that is mapped (its own calls
 *       may fail), is what became of each: 0 not issued, 1 issued, 2 acknowledged, 3 failed
 *   fault_client reader STORE
 *       pins a snapshot and obeys its input, a line each:
 *       same     reads the snapshot again: "same", or "WRONG ..."
 *       renew    pins the newest one instead: "renewed"
 *       dump     of the newest state the round of each key, -1: no such key: "dump R R R ..."
 *       check    as `btstore check`: "sound", or "WRONG ..."
 *
 * Neither starts a daemon.  A writer that hears nothing for five seconds is
 * ended by SIGALRM.
 */
#include <btstore.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEYS 14
#define VALUE_MAX 40000u
#define PATIENCE_S 5

static struct bts_error error;

static size_t value_of(int key, int round, char *value)
{
    size_t size = key % 6 == 5 ? 30000 : key % 4 == 3 ? 5000 : 100;
    size_t at = (size_t)snprintf(value, VALUE_MAX, "%d:", round);

    for (; at < size; at++)
        value[at] = (char)('a' + (at * 7 + (size_t)key * 3 + (size_t)round) % 23);
    return size;
}

static struct bts_store *open_store(const char *path)
{
    const struct bts_options options = {
        .flags = BTS_OPEN_NO_START, .timeout_ms = 1500, .map_size_bytes = 64u << 20};
    struct bts_store *store;

    if (bts_store_open(path, &options, &store, &error) == BTS_OK)
        return store;
    printf("not opened: %s\n", error.text);
    exit(1);
}

/* ---- the writer --------------------------------------------------------- */

enum outcome {
    ISSUED = 1,
    ACKED,
    FAILED,
};

static int writer(const char *path, int round, const char *report_path)
{
    static char value[VALUE_MAX];
    struct bts_store *store;
    int report_fd = open(report_path, O_RDWR | O_CLOEXEC);
    volatile uint8_t *report =
        mmap(NULL, KEYS, PROT_READ | PROT_WRITE, MAP_SHARED, report_fd, 0);
    int failed = 0;

    if (report == MAP_FAILED)
        return 1;
    alarm(PATIENCE_S);
    store = open_store(path);
    for (int key = 0; key < KEYS && failed < 2; key++) {
        char name[16];
        size_t name_size = (size_t)snprintf(name, sizeof(name), "key %d", key);
        size_t size = value_of(key, round, value);
        enum bts_status status;

        report[key] = ISSUED;
        status = bts_put(store, "default", 7, name, name_size, value, size, NULL, &error);
        report[key] = status == BTS_OK ? ACKED : FAILED;
        failed += status != BTS_OK;
        if (key == KEYS / 2 && bts_store_checkpoint(store, NULL, &error) != BTS_OK)
            failed++;
    }
    bts_store_close(store);
    return failed > 0;
}

/* ---- the reader --------------------------------------------------------- */

static struct bts_snapshot snapshot;
static uint64_t digest;

static bool read_all(const struct bts_snapshot *state, uint64_t *hash)
{
    struct bts_bucket bucket;
    struct bts_cursor cursor;
    struct bts_bytes parts[2];
    enum bts_status status = bts_bucket_open(state, "default", 7, &bucket, &error);

    *hash = 14695981039346656037ull;
    if (status != BTS_OK)
        return false;
    bts_cursor_init(&cursor, state, &bucket);
    while ((status = bts_cursor_next(&cursor, &parts[0], &parts[1], &error)) == BTS_OK) {
        for (int part = 0; part < 2; part++) {
            for (size_t i = 0; i < parts[part].size; i++)
                *hash = (*hash ^ ((const uint8_t *)parts[part].data)[i]) * 1099511628211ull;
        }
    }
    return status == BTS_END;
}

static void do_same(struct bts_store *store)
{
    uint64_t now;

    (void)store;
    if (!read_all(&snapshot, &now))
        printf("WRONG a pinned snapshot: %s\n", error.text);
    else
        puts(now == digest ? "same" : "WRONG a pinned snapshot reads other bytes");
}

static void do_renew(struct bts_store *store)
{
    bts_snapshot_close(&snapshot);
    if (bts_snapshot_open(store, &snapshot, &error) != BTS_OK || !read_all(&snapshot, &digest))
        printf("WRONG no snapshot: %s\n", error.text);
    else
        puts("renewed");
}

/* The round that a key is of, if its value is that round's; -1: no such key; -2: wrong. */
static int round_of(const struct bts_snapshot *state, const struct bts_bucket *bucket, int key)
{
    static char value[VALUE_MAX];
    char name[16];
    int name_size = snprintf(name, sizeof(name), "key %d", key);
    struct bts_bytes found;
    enum bts_status status = bts_get(state, bucket, name, (size_t)name_size, &found, &error);
    int round;

    if (status == BTS_NOT_FOUND)
        return -1;
    if (status != BTS_OK)
        return -2;
    round = atoi(found.data);
    return found.size == value_of(key, round, value) &&
                   memcmp(found.data, value, found.size) == 0
               ? round
               : -2;
}

static void do_dump(struct bts_store *store)
{
    struct bts_snapshot newest;
    struct bts_bucket bucket;

    if (bts_snapshot_open(store, &newest, &error) != BTS_OK ||
        bts_bucket_open(&newest, "default", 7, &bucket, &error) != BTS_OK) {
        printf("WRONG no snapshot: %s\n", error.text);
        return;
    }
    printf("dump");
    for (int key = 0; key < KEYS; key++)
        printf(" %d", round_of(&newest, &bucket, key));
    putchar('\n');
    bts_snapshot_close(&newest);
}

static void do_check(struct bts_store *store)
{
    struct bts_check_result result;

    if (bts_store_check(store, &result, NULL, NULL, &error) != BTS_OK)
        printf("WRONG check: %s\n", error.text);
    else
        puts("sound");
}

static const struct {
    const char *name;
    void (*run)(struct bts_store *store);
} orders[] = {{"same", do_same}, {"renew", do_renew}, {"dump", do_dump}, {"check", do_check}};

static int reader(const char *path)
{
    struct bts_store *store = open_store(path);
    char line[100];

    do_renew(store);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
            if (strcmp(line, orders[i].name) == 0)
                orders[i].run(store);
        }
        fflush(stdout);
    }
    bts_snapshot_close(&snapshot);
    bts_store_close(store);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "writer") == 0)
        return writer(argv[2], atoi(argv[3]), argv[4]);
    if (argc == 3 && strcmp(argv[1], "reader") == 0)
        return reader(argv[2]);
    fprintf(stderr, "usage: fault_client writer STORE ROUND REPORT | reader STORE\n");
    return 2;
}
