/* SPDX-License-Identifier: MIT */
/* crash_run: see crash_run.h. */
#include "crash_run.h"

#include "versions.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "commit/commit_private.h"
#include "read/bucket.h"
#include "read/cursor.h"
#include "read/tree_check.h"

/* ---- one engine --------------------------------------------------------- */

void run_init(struct run *run, const char *directory)
{
    memset(run, 0, sizeof(*run));
    snprintf(run->directory, sizeof(run->directory), "%s", directory);
    run->page_size = 4096;
    run->beacon = aligned_alloc(4096, sizeof(*run->beacon));
    if (run->beacon == NULL || horizon_init(&run->horizon, NULL) != BTS_OK)
        abort();
    run_power_cut(run);
}

void run_kill(struct run *run)
{
    if (run->commit != NULL)
        run->direct_groups += commit_stat(run->commit).direct;
    commit_close(run->commit);
    run->commit = NULL;
}

void run_fini(struct run *run)
{
    run_kill(run);
    horizon_fini(&run->horizon);
    free(run->beacon);
}

void run_power_cut(struct run *run)
{
    memset(run->beacon, 0, sizeof(*run->beacon));
}

enum bts_status run_start(struct run *run, const struct file_system *system,
                          struct bts_error *error)
{
    char path[300];
    struct commit_options options = {.path = path,
                                     .system = system,
                                     .create = true,
                                     .page_size = run->page_size,
                                     .map_span = 16u << 20,
                                     .log_segment_size = 64u << 10,
                                     .replay_private_max = 1, /* each page is written at once */
                                     .log_size_max = 256u << 10,
                                     .direct_min = run->direct ? 1000 : 0,
                                     .direct_percent = run->direct ? 1000000 : 0,
                                     .inline_only = !run->threads};
    enum bts_status status;

    snprintf(path, sizeof(path), "%s/%s", run->directory, disk_names[0]);
    status = commit_open(&options, &run->commit, error);
    if (status == BTS_OK)
        status = commit_recover(run->commit, run->beacon, &run->horizon, false, error);
    if (status != BTS_OK)
        run_kill(run);
    return status;
}

/* ---- commits ------------------------------------------------------------ */

struct submitted {
    struct commit_request request;
    struct batch batch;
    unsigned version;
};

static struct commit_request *submit(unsigned version, bool relaxed)
{
    struct submitted *made = calloc(1, sizeof(*made));

    if (made == NULL)
        abort();
    made->version = version;
    made->request.relaxed = relaxed;
    version_batch(version, &made->batch);
    made->request.batch = batch_bytes(&made->batch, &made->request.size);
    made->request.owner = made;
    return &made->request;
}

/* Takes what is finished; the number of requests, and false in *good if one failed. */
static unsigned collect(struct run *run, struct oracle *oracle, bool *good)
{
    struct commit_request *list = commit_collect(run->commit);
    unsigned count = 0;

    while (list != NULL) {
        struct submitted *made = list->owner;
        list = list->next;
        *good = *good && made->request.status == BTS_OK;
        /* A power cut may take a relaxed one back, unless a durable one follows it. */
        if (*good && !made->request.relaxed)
            atomic_store_explicit(&oracle->acknowledged, made->version, memory_order_release);
        apply_results_fini(&made->request.results);
        batch_fini(&made->batch);
        free(made);
        count++;
    }
    return count;
}

/* Until `count` requests are through. */
static bool finish(struct run *run, struct oracle *oracle, unsigned count)
{
    bool good = true;

    while (count > 0) {
        unsigned done = collect(run, oracle, &good);
        assert(done <= count);
        count -= done;
        if (count > 0 && done == 0) {
            struct pollfd event = {.fd = commit_event_fd(run->commit), .events = POLLIN};
            poll(&event, 1, 10);
            commit_tick(run->commit);
        }
    }
    return good && commit_failed(run->commit, NULL) == BTS_OK;
}

/* In some stories none, in some single ones, in some most. */
static bool is_relaxed(unsigned version)
{
    uint64_t mood = disk_mix(version_seed * 31 + 7) % 4;

    return disk_mix(version_seed * 131 + version) % 4 < mood;
}

bool run_work(struct run *run, struct oracle *oracle, unsigned last, unsigned most,
              unsigned checkpoint_each)
{
    unsigned version = atomic_load_explicit(&oracle->acknowledged, memory_order_relaxed);
    unsigned in_flight = 0;

    while (version < last) {
        unsigned count = 1 + (unsigned)(disk_mix(version_seed * 77 + version) % most);
        struct commit_request *requests = NULL;
        struct commit_request **end = &requests;
        count = count < last - version ? count : last - version;
        for (unsigned i = 1; i <= count; i++, end = &(*end)->next)
            *end = submit(version + i, version + i != last && is_relaxed(version + i));
        atomic_store_explicit(&oracle->begun, version + count, memory_order_release);
        commit_take(run->commit, requests);
        in_flight += count;
        /* With threads the next requests come while these are on their way. */
        if (!run->threads || in_flight > 2 * most || version + count == last) {
            if (!finish(run, oracle, in_flight))
                return false;
            in_flight = 0;
        }
        if ((version + count) / checkpoint_each != version / checkpoint_each)
            commit_checkpoint_request(run->commit, NULL);
        version += count;
    }
    return commit_failed(run->commit, NULL) == BTS_OK;
}

/* ---- reading ------------------------------------------------------------ */

static enum bts_status read_bucket(const struct tree_view *directory,
                                   const struct bts_bytes *name, const void *record_bytes,
                                   size_t record_size, unsigned *version, uint64_t *digest,
                                   struct bts_error *error)
{
    struct bucket_record record;
    struct tree_view view;
    struct cursor cursor;
    struct bts_bytes key;
    struct bts_bytes value;
    enum bts_status status = bucket_record_decode(record_bytes, record_size, &record, error);

    if (status != BTS_OK)
        return status;
    version_digest_bucket(digest, name->data, name->size);
    view = bucket_view(directory, &record);
    cursor_init(&cursor, &view);
    while ((status = cursor_next(&cursor, &key, &value, error)) == BTS_OK) {
        version_digest_entry(digest, key.data, key.size, value.data, value.size);
        if (key.size == 1 && ((const char *)key.data)[0] == 'n')
            *version = version_parse(value.data, value.size);
    }
    return status == BTS_END ? BTS_OK : status;
}

enum bts_status run_read(struct run *run, unsigned *version, uint64_t *digest,
                         struct bts_error *error)
{
    struct tree_view directory = commit_latest(run->commit);
    struct cursor cursor;
    struct bts_bytes name;
    struct bts_bytes record;
    enum bts_status status;

    *version = 0;
    *digest = VERSION_DIGEST_START;
    cursor_init(&cursor, &directory);
    while ((status = cursor_next(&cursor, &name, &record, error)) == BTS_OK) {
        status = read_bucket(&directory, &name, record.data, record.size, version, digest, error);
        if (status != BTS_OK)
            return status;
    }
    return status == BTS_END ? BTS_OK : status;
}

/* ---- checking ----------------------------------------------------------- */

static enum bts_status check_pages(struct run *run, struct bts_error *error)
{
    struct commit *commit = run->commit;
    const struct meta *meta = &commit->checkpoint.meta; /* recovery's: the newest state */
    struct tree_check check;
    enum bts_status status;

    status = tree_check_init(&check, commit_latest(commit).source, meta->txnid, meta->page_count,
                             NULL, NULL, error);
    if (status == BTS_OK)
        status = tree_check_walk(&check, meta->root, meta->depth, meta->bucket_count, error);
    if (status == BTS_OK)
        status = tree_check_maps(&check, error);
    tree_check_fini(&check);
    space_check(commit->space);
    return status;
}

enum run_verdict run_check(struct run *run, const struct oracle *oracle, unsigned *version,
                           struct bts_error *error)
{
    unsigned least = atomic_load_explicit(&oracle->acknowledged, memory_order_acquire);
    unsigned most = atomic_load_explicit(&oracle->begun, memory_order_acquire);
    uint64_t digest;

    if (run_read(run, version, &digest, error) != BTS_OK)
        return RUN_LEAKED;
    if (*version < least || *version > most) {
        err_set(error, BTS_DAMAGED, "version %u, but %u was acknowledged and %u begun", *version,
                least, most);
        return RUN_LOST;
    }
    if (digest != oracle->digests[*version]) {
        err_set(error, BTS_DAMAGED, "version %u has other entries", *version);
        return RUN_HOLES;
    }
    return check_pages(run, error) == BTS_OK ? RUN_SOUND : RUN_LEAKED;
}

enum run_verdict run_check_again(struct run *run, const struct file_system *system,
                                 const struct oracle *oracle, unsigned version,
                                 struct bts_error *error)
{
    unsigned again;
    enum run_verdict verdict;

    run_kill(run);
    run_power_cut(run);
    if (run_start(run, system, error) != BTS_OK)
        return RUN_RESTLESS;
    verdict = run_check(run, oracle, &again, error);
    if (verdict == RUN_SOUND && again != version) {
        err_set(error, BTS_DAMAGED, "version %u, and %u when recovered again", version, again);
        return RUN_RESTLESS;
    }
    return verdict;
}
