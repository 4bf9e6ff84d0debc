/* SPDX-License-Identifier: MIT */
/*
 * fuzz_recover: the daemon's engine, started on a hostile file and log.
 *
 * Promises: it refuses with one line of text, or works.  Refused, it refuses
 * again: the first try changed nothing that matters.  What it recovers and the
 * check finds whole stays whole: commits of every kind succeed, and check again
 * after them, after a checkpoint, a kill and a clean stop.  What it recovers
 * and the check finds damaged may refuse commits, and does nothing worse.
 */
#include "fuzz.h"
#include "fuzz_oracle.h"
#include "fuzz_serve.h"
#include "fuzz_store.h"

#include <string.h>

static void recover_text(enum bts_status status, const struct bts_error *error)
{
    if (status != BTS_OK) {
        FUZZ_PROMISE(error->text[0] != '\0' && strchr(error->text, '\n') == NULL);
    }
}

/* A promise that holds where the store was found whole. */
static void recover_must(bool whole, enum bts_status status, const struct bts_error *error)
{
    recover_text(status, error);
    if (whole && status != BTS_OK) {
        fprintf(stderr, "a whole store: %s: %s\n", bts_status_name(status), error->text);
        abort();
    }
}

static void recover_request(const struct oracle_operation *operations, size_t count, bool whole)
{
    struct batch batch = {0};
    struct commit_request request = {.next = NULL};

    for (size_t i = 0; i < count; i++) {
        oracle_encode(&batch, &operations[i]);
    }
    request.batch = batch_bytes(&batch, &request.size);
    serve_requests(&request);
    recover_text(request.status, &request.error);
    if (whole && request.status != BTS_NO_BUCKET && request.status != BTS_EXISTS &&
        request.status != BTS_LIMIT) { /* by the numbers in a meta or a record */
        recover_must(true, request.status, &request.error);
    }
    apply_results_fini(&request.results);
    batch_fini(&batch);
}

/* In one batch: pages are taken, and then all is read that may be on them. */
static void recover_commit_together(bool whole)
{
    struct oracle_operation operations[110];
    size_t count = 0;

    for (unsigned key = 1; key < 240; key += 8) {
        operations[count++] = (struct oracle_operation){
            .type = BATCH_PUT, .first = key, .value = {.there = true, .size_index = 6}};
    }
    for (unsigned key = 0; key < 246; key += 3) {
        if (count < sizeof(operations) / sizeof(operations[0])) {
            operations[count++] = (struct oracle_operation){.type = BATCH_GET, .first = key};
        }
    }
    recover_request(operations, count, whole);
    operations[0] = (struct oracle_operation){.type = BATCH_USE, .first = 1};
    recover_request(operations, count, whole);
}

/* Changes that meet most pages: each a batch, so that each may be refused by itself. */
static void recover_commit(bool whole)
{
    static const struct oracle_operation operations[] = {
        {.type = BATCH_GET, .first = 33},
        {.type = BATCH_PUT, .first = 50, .value = {.there = true, .size_index = 7}},
        {.type = BATCH_PUT, .first = 170, .value = {.there = true, .size_index = 12}},
        {.type = BATCH_DELETE, .first = 30},
        {.type = BATCH_DELETE, .first = 240},
        {.type = BATCH_BUCKET_CREATE, .first = 3},
        {.type = BATCH_BUCKET_DROP, .first = 1},
        {.type = BATCH_DELETE_RANGE, .first = 3, .second = 80},
        {.type = BATCH_PUT, .first = 20, .value = {.there = true, .size_index = 8}},
        {.type = BATCH_DELETE_RANGE, .flags = BATCH_OPEN_FROM | BATCH_OPEN_TO},
        {.type = BATCH_PUT, .first = 20, .value = {.there = true, .size_index = 8}},
    };
    struct bts_error error;

    recover_commit_together(whole);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        recover_request(&operations[i], 1, whole);
    }
    if (commit_failed(serve_commit, &error) == BTS_OK) {
        recover_must(whole, serve_check(&error), &error);
    }
}

static void recover_use(void)
{
    struct bts_error error;
    bool whole = serve_check(&error) == BTS_OK;
    enum bts_status status;

    recover_commit(whole);
    status = commit_failed(serve_commit, &error);
    if (status == BTS_OK) {
        status = serve_checkpoint(&error);
    }
    recover_must(whole, status, &error);
    if (whole) {
        recover_must(true, serve_check_checkpoint(&error), &error);
        recover_commit(true);
        serve_kill();
        recover_must(true, serve_start(false, &error), &error);
        recover_must(true, serve_check(&error), &error);
        recover_must(true, commit_stop(serve_commit, &error), &error);
    }
}

static void recover_run(void)
{
    struct bts_error error;
    enum bts_status status = serve_start(false, &error);

    recover_text(status, &error);
    if (status == BTS_OK) {
        recover_use();
    } else {
        enum bts_status again;
        serve_reset();
        again = serve_start(false, &error);
        recover_text(again, &error);
        FUZZ_PROMISE(again == status);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_image image;

    store_image_make(data, size, &image);
    serve_reset();
    store_image_write(&image);
    store_image_fini(&image);
    recover_run();
    serve_kill();
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    return store_seed(index, out);
}
