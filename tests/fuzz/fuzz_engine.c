/* SPDX-License-Identifier: MIT */
/*
 * fuzz_engine: rows of operations on the whole engine, killed and recovered.
 *
 * Promises: what fuzz_sequence compares, after kills, power cuts (nothing of
 * the files is lost: that is crash_enum's), checkpoints and clean stops as
 * well; after each every page, count and map is right.
 */
#include "fuzz.h"
#include "fuzz_folder.h"
#include "fuzz_sequence.h"
#include "fuzz_serve.h"

#include <string.h>

static void engine_must(enum bts_status status, const struct bts_error *error)
{
    if (status != BTS_OK) {
        fprintf(stderr, "engine: %s: %s\n", bts_status_name(status), error->text);
        abort();
    }
}

static void engine_open(void)
{
    struct bts_error error;

    serve_reset();
    folder_write(folder_store(), NULL, 0);
    folder_write(folder_pending(), NULL, 0);
    engine_must(serve_start(true, &error), &error);
}

static void engine_close(void)
{
    serve_kill();
}

static bool engine_group(struct sequence_batch *batches, size_t count, bool taken_back)
{
    struct commit_request requests[SEQUENCE_BATCHES_MAX];

    (void)taken_back;
    memset(requests, 0, sizeof(requests));
    for (size_t i = 0; i < count; i++) {
        requests[i].batch = batch_bytes(&batches[i].batch, &requests[i].size);
        requests[i].next = i + 1 < count ? &requests[i + 1] : NULL;
    }
    serve_requests(requests);
    for (size_t i = 0; i < count; i++) {
        batches[i].status = requests[i].status;
        batches[i].results = requests[i].results;
        FUZZ_PROMISE(i == 0 || requests[i].txnid >= requests[i - 1].txnid);
    }
    return false;
}

static void engine_event(enum sequence_event event)
{
    struct bts_error error;

    if (event == SEQUENCE_CHECKPOINT) {
        engine_must(serve_checkpoint(&error), &error);
        engine_must(serve_check_checkpoint(&error), &error);
        return;
    }
    if (event == SEQUENCE_STOP) {
        engine_must(commit_stop(serve_commit, &error), &error);
    }
    if (event == SEQUENCE_POWER_CUT) {
        serve_reset();
    }
    serve_kill();
    engine_must(serve_start(false, &error), &error);
}

static struct tree_view engine_directory(void)
{
    return commit_latest(serve_commit);
}

static void engine_check_all(void)
{
    struct bts_error error;

    engine_must(serve_check(&error), &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sequence_store store = {
        engine_open, engine_close, engine_group, engine_event, engine_directory, engine_check_all,
    };

    sequence_run(&store, data, size);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    return sequence_seed(index, out);
}
