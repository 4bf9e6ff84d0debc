/* SPDX-License-Identifier: MIT */
/* crash_run: see crash_run.h. */
#include "crash_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "commit/commit_private.h"
#include "format/space_map.h"
#include "read/bucket.h"
#include "read/cursor.h"
#include "read/tree_check.h"

#define KEYS 60u

uint64_t run_seed = 1;

/* ---- one engine --------------------------------------------------------- */

void run_init(struct run *run, const char *directory)
{
    memset(run, 0, sizeof(*run));
    snprintf(run->directory, sizeof(run->directory), "%s", directory);
    run->beacon = aligned_alloc(4096, sizeof(*run->beacon));
    if (run->beacon == NULL || horizon_init(&run->horizon, NULL) != BTS_OK)
        abort();
    memset(run->beacon, 0, sizeof(*run->beacon));
}

void run_kill(struct run *run)
{
    commit_close(run->commit);
    run->commit = NULL;
}

void run_fini(struct run *run)
{
    run_kill(run);
    horizon_fini(&run->horizon);
    free(run->beacon);
}

enum bts_status run_start(struct run *run, const struct file_system *system,
                          struct bts_error *error)
{
    char path[300];
    struct commit_options options = {.path = path,
                                     .system = system,
                                     .create = true,
                                     .map_span = 64u << 20,
                                     .log_segment_size = 64u << 10,
                                     .log_size_max = 256u << 10,
                                     .inline_only = true};
    enum bts_status status;

    snprintf(path, sizeof(path), "%s/%s", run->directory, recorder_names[0]);
    status = commit_open(&options, &run->commit, error);
    if (status == BTS_OK)
        status = commit_recover(run->commit, run->beacon, &run->horizon, false, error);
    if (status != BTS_OK)
        run_kill(run);
    return status;
}

/* ---- versions ----------------------------------------------------------- */

uint64_t run_mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185ull;
    x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44dull;
    return x ^ (x >> 33);
}

/* The batch that makes version `version`; key "n" always says which one it is. */
static void run_batch(unsigned version, struct batch *batch)
{
    static uint8_t value[12000];
    unsigned changes = version % 23 == 0 ? 25 : 1 + version % 4;
    char key[32];
    size_t size;

    memset(batch, 0, sizeof(*batch));
    for (unsigned i = 0; i < changes; i++) {
        uint64_t drawn = run_mix(run_seed * 1000003u + version * 131u + i);
        bool large = version % 23 == 0 || drawn % 11 == 0;
        size = large ? 3000 + drawn % 9000 : drawn % 300;
        memset(value, (int)(drawn >> 20), size);
        snprintf(key, sizeof(key), "key %03u", (unsigned)(drawn >> 40) % KEYS);
        if (batch_add(batch, drawn % 5 == 0 ? BATCH_DELETE : BATCH_PUT, 0, key, strlen(key),
                      drawn % 5 == 0 ? NULL : value, drawn % 5 == 0 ? 0 : size, NULL) != BTS_OK)
            abort();
    }
    size = (size_t)snprintf(key, sizeof(key), "%u", version);
    if (batch_add(batch, BATCH_PUT, 0, "n", 1, key, size, NULL) != BTS_OK)
        abort();
}

enum bts_status run_commit(struct run *run, unsigned version, struct bts_error *error)
{
    struct batch batch;
    struct commit_request request = {.next = NULL};

    run_batch(version, &batch);
    request.batch = batch_bytes(&batch, &request.size);
    commit_take(run->commit, &request);
    if (commit_collect(run->commit) != &request)
        abort();
    apply_results_fini(&request.results);
    batch_fini(&batch);
    *error = request.error;
    return request.status;
}

enum bts_status run_read(struct run *run, unsigned *version, uint64_t *digest,
                         struct bts_error *error)
{
    struct tree_view directory = commit_latest(run->commit);
    struct bucket_record record;
    struct tree_view view;
    struct cursor cursor;
    struct bts_bytes key;
    struct bts_bytes value;
    enum bts_status status = bucket_find(&directory, "default", 7, &record, error);

    *version = 0;
    *digest = RUN_EMPTY_DIGEST;
    if (status != BTS_OK)
        return status;
    view = bucket_view(&directory, &record);
    cursor_init(&cursor, &view);
    while ((status = cursor_next(&cursor, &key, &value, error)) == BTS_OK) {
        for (size_t i = 0; i < key.size; i++)
            *digest = (*digest ^ ((const uint8_t *)key.data)[i]) * 1099511628211ull;
        for (size_t i = 0; i < value.size; i++)
            *digest = (*digest ^ ((const uint8_t *)value.data)[i]) * 1099511628211ull;
        for (size_t i = 0; key.size == 1 && i < value.size; i++)
            *version = *version * 10 + (unsigned)(((const char *)value.data)[i] - '0');
    }
    return status == BTS_END ? BTS_OK : status;
}

/* ---- one image ---------------------------------------------------------- */

static enum bts_status run_check_pages(struct run *run, struct bts_error *error)
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

enum bts_status run_check(struct run *run, const struct oracle *oracle, struct bts_error *error)
{
    unsigned version;
    uint64_t digest;
    enum bts_status status;

    memset(run->beacon, 0, sizeof(*run->beacon)); /* the run directory went with the power */
    status = run_start(run, &file_system_real, error);
    if (status != BTS_OK)
        return status;
    status = run_read(run, &version, &digest, error);
    if (status == BTS_OK && (version < oracle->acknowledged || version > oracle->begun))
        status = err_set(error, BTS_DAMAGED, "version %u, but %u was acknowledged and %u begun",
                         version, oracle->acknowledged, oracle->begun);
    if (status == BTS_OK && digest != oracle->digests[version])
        status = err_set(error, BTS_DAMAGED, "version %u has other entries", version);
    if (status == BTS_OK)
        status = run_check_pages(run, error);
    return status;
}
