/* SPDX-License-Identifier: MIT */
/* fuzz_serve: see fuzz_serve.h. */
#include "fuzz_serve.h"

#include "commit/commit_private.h"
#include "format/space_map.h"
#include "fuzz.h"
#include "fuzz_folder.h"
#include "read/tree_check.h"

#include <string.h>

#define SERVE_TICKS_MAX 1000u /* without threads everything is done after a few */

struct commit *serve_commit;
static struct beacon *serve_beacon;
static struct horizon serve_horizon;

void serve_reset(void)
{
    serve_kill();
    if (serve_beacon == NULL) {
        serve_beacon = aligned_alloc(4096, sizeof(*serve_beacon));
        FUZZ_PROMISE(serve_beacon != NULL);
        FUZZ_PROMISE(horizon_init(&serve_horizon, NULL) == BTS_OK);
    }
    memset(serve_beacon, 0, sizeof(*serve_beacon));
}

enum bts_status serve_start(bool create, struct bts_error *error)
{
    struct commit_options options = {.path = folder_store(),
                                     .create = create,
                                     .map_span = 64u << 20,
                                     .log_segment_size = 64u << 10,
                                     .log_size_max = 256u << 10,
                                     .checkpoint_age_ms = 1u << 30, /* time must not tell */
                                     .inline_only = true};
    enum bts_status status = commit_open(&options, &serve_commit, error);

    if (status == BTS_OK) {
        struct commit_identity identity = commit_identity(serve_commit);
        memcpy(serve_beacon->uuid, identity.uuid, sizeof(identity.uuid));
        status = commit_recover(serve_commit, serve_beacon, &serve_horizon, false, error);
    }
    if (status != BTS_OK) {
        serve_kill();
    }
    return status;
}

void serve_kill(void)
{
    commit_close(serve_commit);
    serve_commit = NULL;
}

void serve_requests(struct commit_request *requests)
{
    struct commit_request *next = requests;

    commit_take(serve_commit, requests);
    for (unsigned i = 0; next != NULL && i < SERVE_TICKS_MAX; i++) {
        struct commit_request *done = commit_collect(serve_commit);
        FUZZ_PROMISE(done == NULL || done == next);
        for (; done != NULL; done = done->next) {
            next = done->next;
        }
        commit_tick(serve_commit);
    }
    FUZZ_PROMISE(next == NULL); /* the engine is not stuck */
}

enum bts_status serve_checkpoint(struct bts_error *error)
{
    struct commit_checkpoint ticket = {.pin = false};

    commit_checkpoint_request(serve_commit, &ticket);
    for (unsigned i = 0; !ticket.done && i < SERVE_TICKS_MAX; i++) {
        commit_tick(serve_commit);
        if (commit_failed(serve_commit, error) != BTS_OK) {
            commit_checkpoint_forget(serve_commit, &ticket);
            return error->status;
        }
    }
    FUZZ_PROMISE(ticket.done);
    return BTS_OK;
}

/* ---- checks -------------------------------------------------------------------- */

static uint8_t *serve_live_bits(pgno_t page_count)
{
    size_t page_size = commit_page_size(serve_commit);
    pgno_t group_pages = space_map_group_pages(page_size);
    uint8_t *bits = calloc(space_map_group_count(page_count, page_size), group_pages / 8);

    FUZZ_PROMISE(bits != NULL);
    for (pgno_t pgno = 0; pgno < page_count; pgno++) {
        if (space_is_live(serve_commit->space, pgno)) {
            bits[pgno / 8] |= (uint8_t)(1u << (pgno % 8));
        }
    }
    return bits;
}

enum bts_status serve_check(struct bts_error *error)
{
    struct tree_view directory = commit_latest(serve_commit);
    pgno_t page_count = (pgno_t)commit_stat(serve_commit).space.page_count;
    uint8_t *bits = serve_live_bits(page_count);
    struct tree_check check;
    enum bts_status status;

    space_check(serve_commit->space);
    pending_log_check(&serve_commit->log);
    status = tree_check_init(&check, directory.source, directory.txnid, page_count, NULL, NULL,
                             error);
    if (status == BTS_OK) {
        status = tree_check_walk(&check, directory.root, directory.depth,
                                 serve_commit->published.root.bucket_count, error);
    }
    if (status == BTS_OK) {
        status = tree_check_bits(&check, bits, error);
    }
    tree_check_fini(&check);
    free(bits);
    return status;
}

enum bts_status serve_check_checkpoint(struct bts_error *error)
{
    const struct meta *meta = &serve_commit->checkpoint.meta;
    struct tree_check check;
    enum bts_status status = tree_check_init(&check, commit_latest(serve_commit).source,
                                             meta->txnid, meta->page_count, NULL, NULL, error);

    if (status == BTS_OK) {
        status = tree_check_walk(&check, meta->root, meta->depth, meta->bucket_count, error);
    }
    if (status == BTS_OK) {
        status = tree_check_maps(&check, error);
    }
    tree_check_fini(&check);
    return status;
}
