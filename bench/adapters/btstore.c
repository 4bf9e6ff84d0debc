/* SPDX-License-Identifier: MIT */
/*
 * btstore: ours, through the public interface as any program uses it.
 *
 * Everything lies in the bucket `default`, which is looked up once in each
 * snapshot.  Commits are durable when they return; a load keeps a few
 * transactions on their way (bts_commit_submit).
 *
 * Compiled twice: with BENCH_UNVERIFIED for the library of bench/unverified.
 */
#include "../adapter.h"
#include "../dataset.h"
#include "../harness.h"

#include <btstore.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORE_FILE "bench.bts"
#define LOOKUPS_MAX 64
#define LOAD_IN_FLIGHT 4
#define LARGE_FILL_ENTRIES 2000000
#define LARGE_FILL_OPTION "--log-size=4G" /* fewer checkpoints, which write most pages anew */
#define INFO_REPLAYED "replayed_operations:"
#define WAIT_MS 60000

struct peer {
    struct bts_store *store;
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_batch *batch;
    uint64_t tickets[PEER_IN_FLIGHT_MAX];
    unsigned oldest; /* place of the oldest of `in_flight` tickets, which lie in a ring */
    unsigned in_flight;
    bool is_loading;
    enum bts_durability durability;
};

static void must(enum bts_status status, const struct bts_error *error)
{
    if (status != BTS_OK) {
        bench_fail("btstore: %s: %s", bts_status_name(status), error->text);
    }
}

static const char *btstore_version(void)
{
    return BENCH_BTSTORE_VERSION;
}

static void store_path(const char *folder, char *path, size_t size)
{
    snprintf(path, size, "%s/" STORE_FILE, folder);
}

/* What the daemon says goes to a file beside the store. */
static void log_to(const char *folder)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof(path), "%s/btstored.log", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
        bench_fail("%s: %m", path);
    }
}

/* Waits until the daemon answers, or ends. */
static void wait_until_served(pid_t server, const char *path)
{
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct bts_store *store;
    struct bts_error error;
    enum bts_status status;

    while ((status = bts_store_open(path, &options, &store, &error)) != BTS_OK) {
        if (status != BTS_UNAVAILABLE || waitpid(server, NULL, WNOHANG) != 0) {
            bench_fail("btstored did not start (see btstored.log beside %s): %s", path,
                       error.text);
        }
        usleep(500);
    }
    bts_store_close(store);
}

static pid_t btstore_serve(const char *folder, enum peer_use use)
{
    bool is_large = use == PEER_FILL && bench.dataset.count > LARGE_FILL_ENTRIES;
    char path[4096];
    pid_t server = fork();

    store_path(folder, path, sizeof(path));
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        log_to(folder);
        execl(bench.daemon, "btstored", "--foreground", is_large ? LARGE_FILL_OPTION : path,
              is_large ? path : NULL, (char *)NULL);
        bench_fail("%s: cannot be run", bench.daemon);
    }
    if (server < 0) {
        bench_fail("fork failed");
    }
    wait_until_served(server, path);
    return server;
}

static void btstore_stop(pid_t server, const char *folder)
{
    int status;

    kill(server, SIGTERM);
    while (waitpid(server, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) {
        bench_fail("btstored ended with status %d; see %s/btstored.log", status, folder);
    }
}

static struct peer *btstore_open(const char *folder, enum peer_use use)
{
    struct peer *peer = bench_alloc(sizeof(*peer));
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct bts_error error;
    char path[4096];

    *peer = (struct peer){.durability = use == PEER_RELAXED ? BTS_RELAXED : BTS_DURABLE,
                          .is_loading = use == PEER_LOAD || use == PEER_LOAD_SORTED ||
                                        use == PEER_FILL};
    store_path(folder, path, sizeof(path));
    must(bts_store_open(path, &options, &peer->store, &error), &error);
    must(bts_batch_create(&peer->batch, &error), &error);
    return peer;
}

static void btstore_close(struct peer *peer)
{
    bts_batch_destroy(peer->batch);
    bts_store_close(peer->store);
    free(peer);
}

static void btstore_begin(struct peer *peer)
{
    struct bts_error error;

    must(bts_snapshot_open(peer->store, &peer->snapshot, &error), &error);
    must(bts_bucket_open(&peer->snapshot, BTS_DEFAULT_BUCKET, sizeof(BTS_DEFAULT_BUCKET) - 1,
                         &peer->bucket, &error), &error);
}

static void btstore_end(struct peer *peer)
{
    bts_snapshot_close(&peer->snapshot);
}

static void btstore_snapshots(struct peer *peer, uint64_t count)
{
    struct bts_error error;

    for (uint64_t i = 0; i < count; i++) {
        must(bts_snapshot_open(peer->store, &peer->snapshot, &error), &error);
        bts_snapshot_close(&peer->snapshot);
    }
}

static bool btstore_get(struct peer *peer, struct slice key, struct slice *value)
{
    struct bts_error error;
    struct bts_bytes found;
    enum bts_status status =
        bts_get(&peer->snapshot, &peer->bucket, key.data, key.size, &found, &error);

    if (status == BTS_NOT_FOUND) {
        return false;
    }
    must(status, &error);
    *value = (struct slice){found.data, found.size};
    return true;
}

static void btstore_get_many(struct peer *peer, const struct slice *keys, struct slice *values,
                             size_t count)
{
    struct bts_lookup lookups[LOOKUPS_MAX];
    struct bts_error error;

    if (count > LOOKUPS_MAX) {
        bench_fail("btstore: more than %d look-ups at once", LOOKUPS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        lookups[i].key = keys[i].data;
        lookups[i].key_size = keys[i].size;
    }
    must(bts_get_many(&peer->snapshot, &peer->bucket, lookups, count, &error), &error);
    for (size_t i = 0; i < count; i++) {
        if (lookups[i].status != BTS_OK) {
            bench_fail("btstore: a key is missing");
        }
        values[i] = (struct slice){lookups[i].value.data, lookups[i].value.size};
    }
}

static size_t btstore_scan(struct peer *peer, struct slice from, size_t limit,
                           size_t value_bytes)
{
    struct bts_bytes key, value;
    struct bts_cursor cursor;
    struct bts_error error;
    enum bts_status status;
    size_t count = 0;

    bts_cursor_init(&cursor, &peer->snapshot, &peer->bucket);
    status = from.size > 0 ? bts_cursor_seek(&cursor, from.data, from.size, &key, &value, &error)
                           : bts_cursor_first(&cursor, &key, &value, &error);
    while (status == BTS_OK) {
        if (!value_check((struct slice){key.data, key.size},
                         (struct slice){value.data, value.size}, value_bytes)) {
            bench_fail("btstore: a scan gave a wrong value");
        }
        if (++count == limit) {
            return count;
        }
        status = bts_cursor_next(&cursor, &key, &value, &error);
    }
    if (status != BTS_END) {
        must(status, &error);
    }
    return count;
}

/* Waits for the oldest transaction on its way. */
static void btstore_wait(struct peer *peer)
{
    struct bts_error error;

    must(bts_commit_wait(peer->store, peer->tickets[peer->oldest], WAIT_MS, NULL, &error), &error);
    peer->oldest = (peer->oldest + 1) % PEER_IN_FLIGHT_MAX;
    peer->in_flight--;
}

static void fill_batch(struct peer *peer, const struct pair *pairs, size_t count)
{
    struct bts_error error;

    bts_batch_clear(peer->batch);
    bts_batch_set_durability(peer->batch, peer->durability);
    for (size_t i = 0; i < count; i++) {
        must(bts_batch_put(peer->batch, pairs[i].key.data, pairs[i].key.size, pairs[i].value.data,
                           pairs[i].value.size, &error), &error);
    }
}

static void btstore_submit(struct peer *peer, const struct pair *pairs, size_t count)
{
    struct bts_error error;
    unsigned at = (peer->oldest + peer->in_flight) % PEER_IN_FLIGHT_MAX;

    if (peer->in_flight == PEER_IN_FLIGHT_MAX) {
        bench_fail("btstore: more than %d transactions on their way", PEER_IN_FLIGHT_MAX);
    }
    fill_batch(peer, pairs, count);
    must(bts_commit_submit(peer->store, peer->batch, &peer->tickets[at], &error), &error);
    peer->in_flight++;
}

static void btstore_write(struct peer *peer, const struct pair *pairs, size_t count)
{
    struct bts_error error;

    if (peer->is_loading) {
        if (peer->in_flight == LOAD_IN_FLIGHT) {
            btstore_wait(peer);
        }
        btstore_submit(peer, pairs, count);
        return;
    }
    fill_batch(peer, pairs, count);
    must(bts_commit(peer->store, peer->batch, NULL, &error), &error);
}

static void btstore_erase(struct peer *peer, const struct slice *keys, size_t count)
{
    struct bts_error error;

    bts_batch_clear(peer->batch);
    for (size_t i = 0; i < count; i++) {
        must(bts_batch_delete(peer->batch, keys[i].data, keys[i].size, &error), &error);
    }
    must(bts_commit(peer->store, peer->batch, NULL, &error), &error);
}

static void btstore_drain(struct peer *peer)
{
    while (peer->in_flight > 0) {
        btstore_wait(peer);
    }
}

static void btstore_checkpoint(struct peer *peer)
{
    struct bts_error error;

    must(bts_store_checkpoint(peer->store, NULL, &error), &error);
}

static uint64_t btstore_replayed(struct peer *peer)
{
    struct bts_bytes part = {"INFO", 4};
    struct bts_error error;
    const char *line;
    uint64_t count;
    size_t size;
    char *reply;
    char *text;

    must(bts_store_command(peer->store, &part, 1, &reply, &size, &error), &error);
    text = strndup(reply, size);
    line = text != NULL ? strstr(text, INFO_REPLAYED) : NULL;
    if (line == NULL) {
        bench_fail("btstore: INFO does not tell " INFO_REPLAYED);
    }
    count = strtoull(line + strlen(INFO_REPLAYED), NULL, 10);
    free(text);
    free(reply);
    return count;
}

#ifdef BENCH_UNVERIFIED
const struct adapter adapter_btstore_unverified = {
    .name = "btstore_unverified",
    .stands_for = &adapter_btstore,
#else
const struct adapter adapter_btstore = {
    .name = "btstore",
#endif
    .version = btstore_version,
    .settings = "no settings; relaxed: BTS_RELAXED; loads keep 4 transactions on their way; "
                "fills of more than 2M entries: --log-size=4G",
    .data_file = STORE_FILE,
    .serve = btstore_serve,
    .stop = btstore_stop,
    .open = btstore_open,
    .close = btstore_close,
    .begin = btstore_begin,
    .end = btstore_end,
    .snapshots = btstore_snapshots,
    .get = btstore_get,
    .get_many = btstore_get_many,
    .scan = btstore_scan,
    .write = btstore_write,
    .drain = btstore_drain,
    .erase = btstore_erase,
    .submit = btstore_submit,
    .wait = btstore_wait,
    .checkpoint = btstore_checkpoint,
    .replayed = btstore_replayed,
};
