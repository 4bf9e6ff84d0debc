/* SPDX-License-Identifier: MIT */
/*
 * group: one commit group, from its requests to its publication.
 *
 *   group_begin .. group_apply .. group_end    on the caller's thread
 *   group_write_task                           on the log thread, or here when
 *                                              a lone request waits for it
 *   group_write_pages                          on the caller's thread, meanwhile
 *   group_publish, group_answer                on the caller's thread, in order
 *
 * Space in the log is had before a group is applied, and space in the file
 * before its frame is handed over: up to then it can be refused whole, and from
 * then on it cannot fail but by an error that ends the engine.  Its pages are
 * written while the log syncs: they need be in the file before it is published,
 * and until a checkpoint nobody needs them on the disk.
 */
#include "commit/commit_private.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "commit/publish.h"
#include "format/batch.h"

/* A frame that is larger goes to the log's thread: meanwhile the loop takes what comes next. */
#define GROUP_INLINE_SIZE (64u << 10)
/* So does one with more pages, which are written meanwhile. */
#define GROUP_INLINE_PAGES 32u
#define GROUP_SCAN_MS 20
#define GROUP_SCAN_PAGES 512u

/* ---- begin -------------------------------------------------------------- */

/*
 * Scans have the processors interrupted that run readers.  What waits for the
 * next one is what the groups freed meanwhile: little, or there is one.
 */
static bool group_scan_is_due(const struct commit *commit)
{
    return commit->horizon->reader_count == 0 || commit->options.scan_always ||
           commit_now_ms() - commit->scanned_ms >= GROUP_SCAN_MS ||
           space_unjudged(commit->space) >= GROUP_SCAN_PAGES;
}

void group_reclaim(struct commit *commit)
{
    commit->scanned_ms = commit_now_ms();
    /* Without memory for a scan pages stay in limbo for longer: no harm. */
    if (horizon_scan(commit->horizon, commit->beacon, NULL) == BTS_OK)
        space_reclaim(commit->space, commit->horizon);
}

/* The next free place of the ring, empty. */
static struct commit_group *group_clear(struct commit *commit)
{
    unsigned place = (commit->group_first + commit->group_count) % COMMIT_GROUPS_MAX;
    struct commit_group *group = &commit->groups[place];

    assert(commit->group_count < COMMIT_GROUPS_MAX);
    pending_buffer_clear(&group->buffer);
    group->commit = commit;
    group->requests = (struct commit_list){.first = NULL};
    group->request_count = 0;
    group->apply_us = 0;
    group->log_us = 0;
    group->has_frame = false;
    group->relaxed = true;
    group->syncs = false;
    group->written = false;
    group->status = BTS_OK;
    group->state.txnid = commit->applied.txnid + 1;
    group->changed = false;
    group->batch_bytes = 0;
    return group;
}

struct commit_group *group_begin(struct commit *commit)
{
    struct commit_group *group = group_clear(commit);

    if (group_scan_is_due(commit))
        group_reclaim(commit);
    pages_group_begin(commit->pages, group->state.txnid);
    return group;
}

/* ---- apply -------------------------------------------------------------- */

/* Whether the batch can change anything: a frame of mere reads and conditions is not needed. */
static bool group_batch_writes(const struct commit_request *request)
{
    struct batch_reader reader;
    struct batch_operation operation;

    batch_reader_init(&reader, request->batch, request->size);
    while (batch_next(&reader, &operation)) {
        switch (operation.type) {
        case BATCH_USE:
        case BATCH_USE_ID:
        case BATCH_GET:
        case BATCH_REQUIRE_ABSENT:
        case BATCH_REQUIRE_PRESENT:
        case BATCH_REQUIRE_EQUAL:
            continue;
        default:
            return true;
        }
    }
    return false;
}

/* Everything of one request that can be refused; afterwards it is in tree and frame. */
static enum bts_status group_try(struct commit *commit, struct commit_group *group,
                                 struct commit_request *request, bool logged)
{
    struct bts_error *error = &request->error;
    size_t body_size = group->buffer.body_size + pending_buffer_need(request->size);
    enum bts_status status = BTS_OK;
    bool writes;

    status = batch_check(request->batch, request->size, commit_page_size(commit), error);
    if (status == BTS_OK && logged)
        status = pending_buffer_reserve(&group->buffer, body_size, error);
    if (status == BTS_OK)
        status = apply_batch(commit->buckets, commit->pages, APPLY_LIVE, request->batch,
                             request->size, &request->results, error);
    if (status != BTS_OK)
        return status;
    writes = group_batch_writes(request);
    if (writes && logged)
        pending_buffer_add(&group->buffer, request->batch, request->size);
    group->changed = group->changed || writes;
    group->batch_bytes += request->size;
    return BTS_OK;
}

void group_apply(struct commit *commit, struct commit_group *group,
                 struct commit_request *request, bool logged)
{
    enum bts_status status = group_try(commit, group, request, logged);

    commit_list_append(&group->requests, request);
    group->request_count++;
    group->relaxed = group->relaxed && request->relaxed;
    request->status = status;
    /* What it saw: this group, if anything in it came before. */
    request->txnid = group->changed ? group->state.txnid : commit->applied.txnid;
    commit->counts.batches += status == BTS_OK;
    commit->counts.refused += status != BTS_OK;
    if (status == BTS_IO && group->status == BTS_OK) {
        group->status = BTS_IO;
        group->error = request->error;
    }
}

/* ---- end ---------------------------------------------------------------- */

/* Takes back everything the group did; the next one has its number. */
static void group_abort(struct commit *commit)
{
    pages_group_abort(commit->pages);
    buckets_set_root(commit->buckets, &commit->applied.root);
}

/* Nobody of the group was served: what each saw never was. */
static void group_refuse(struct commit *commit, struct commit_group *group,
                         enum bts_status status, const struct bts_error *error)
{
    for (struct commit_request *request = group->requests.first; request != NULL;
         request = request->next) {
        commit->counts.batches -= request->status == BTS_OK;
        commit->counts.refused += request->status == BTS_OK;
        commit_refuse(request, status, error);
        request->txnid = commit->applied.txnid;
    }
}

bool group_end(struct commit *commit, struct commit_group *group, bool logged)
{
    struct bts_error error;
    enum bts_status status = group->status;

    if (status != BTS_OK) {
        error = group->error;
    } else if (!group->changed) {
        group_abort(commit);
        return false;
    } else {
        status = buckets_flush(commit->buckets, &error);
        large_learn(commit, group);
        if (status == BTS_OK)
            status = logged ? pages_reserve(commit->pages, &error)
                            : pages_write(commit->pages, &error);
    }
    if (status != BTS_OK) {
        group_abort(commit);
        group_refuse(commit, group, status, &error);
        group->status = status == BTS_IO ? BTS_IO : BTS_OK;
        group->error = error;
        return false;
    }
    space_group_end(commit->space);
    group->state.root = buckets_root(commit->buckets);
    group->state.page_count = space_page_count(commit->space);
    group->state.log_position = commit->applied.log_position;
    return true;
}

/* ---- log ---------------------------------------------------------------- */

static void group_write_task(struct worker_task *task)
{
    struct commit_group *group = (struct commit_group *)task;
    struct commit *commit = group->commit;
    uint64_t began = commit_now_us();

    /* relaxed: set on this thread, or while none of our tasks runs */
    if (atomic_load_explicit(&commit->log_failed, memory_order_relaxed)) {
        group->status = err_set(&group->error, BTS_IO, "%s: an earlier write failed",
                                commit->files.pending_path);
        return;
    }
    group->status = group->has_frame ? pending_log_write(&commit->log, &group->buffer,
                                                         &group->place, group->syncs,
                                                         &group->error)
                                     : pending_log_sync(&commit->log, &group->error);
    if (group->status != BTS_OK)
        atomic_store_explicit(&commit->log_failed, true, memory_order_relaxed);
    group->log_us = commit_now_us() - began;
}

/*
 * Alone and nothing in flight: the hand-off to a thread would cost more than it
 * gives.  But beside a checkpoint a sync takes long, and the loop has others.
 * A large frame takes long as well, and who sends such has the next one on its
 * way.  What is not synced is only copied into the cache.
 */
static bool group_goes_inline(const struct commit *commit, const struct commit_group *group)
{
    if (!commit->log_worker.started)
        return true;
    return commit->group_count == 1 &&
           (!group->syncs ||
            (group->requests.first == group->requests.last && group->requests.first != NULL &&
             commit->waiting.first == NULL && !commit->checkpoint_running &&
             group->buffer.body_size <= GROUP_INLINE_SIZE &&
             pages_private_count(commit->pages) <= GROUP_INLINE_PAGES));
}

/* The pages of the group, while its frame is under way.  False: that is the end. */
static bool group_write_pages(struct commit *commit, struct commit_group *group)
{
    uint64_t began = commit_now_us();
    struct bts_error error;
    enum bts_status status = pages_write_reserved(commit->pages, &error);

    group->apply_us += commit_now_us() - began;
    if (status != BTS_OK)
        commit_fail(commit, BTS_IO, &error);
    return status == BTS_OK;
}

/* The group's way through the log: its frame if it has one, a sync if it needs one. */
static void group_submit(struct commit *commit, struct commit_group *group)
{
    if (group->syncs) {
        commit->unsynced = false;
        commit->sync_due = false;
    } else if (!commit->unsynced) {
        commit->unsynced = true;
        commit->unsynced_since_ms = commit_now_ms();
    }
    commit->group_count++;
    group->task.run = group_write_task;
    if (group_goes_inline(commit, group)) {
        group_write_task(&group->task);
        group->written = true;
    } else {
        worker_submit(&commit->log_worker, &group->task);
    }
    if (group_write_pages(commit, group))
        group_settle(commit);
}

static void group_log(struct commit *commit, struct commit_group *group)
{
    pending_log_place(&commit->log, &group->buffer, group->state.txnid, commit->durable,
                      &group->place);
    group->state.log_position = group->place.end;
    group->has_frame = true;
    /* The header of a segment is durable before anything relies on it, a checkpoint too. */
    group->syncs = !group->relaxed || commit->sync_due || group->place.opens_segment;
    commit->applied = group->state;
    group_submit(commit, group);
}

/* The group has no frame: its answers wait for the groups before it, and their durability. */
static void group_log_nothing(struct commit *commit, struct commit_group *group)
{
    if (group->status == BTS_OK && !group->relaxed && commit->unsynced) {
        group->state = commit->applied;
        group->syncs = true;
        group_submit(commit, group);
        return;
    }
    commit->group_count++;
    group->written = true;
    group_settle(commit);
}

void group_sync(struct commit *commit)
{
    struct commit_group *group;

    if (!commit->unsynced || commit->failed != BTS_OK || commit->large != NULL ||
        commit_now_ms() - commit->unsynced_since_ms < COMMIT_RELAXED_MS)
        return;
    commit->sync_due = true;
    if (commit->group_count == COMMIT_GROUPS_MAX)
        return;
    group = group_clear(commit);
    group->relaxed = false;
    group_log_nothing(commit, group);
}

/* ---- publish ------------------------------------------------------------ */

void group_publish(struct commit *commit, struct commit_group *group)
{
    const struct commit_state *state = &group->state;

    publish(commit->beacon, state->txnid, state->root.root, state->root.depth, state->page_count);
    commit->published = *state;
    commit->counts.groups++;
    commit->wake_due = true;
    if (commit->dirty_since_ms == 0)
        commit->dirty_since_ms = commit_now_ms();
}

void group_answer(struct commit *commit, struct commit_group *group)
{
    struct commit_request *request;
    uint64_t now = commit_now_us();

    if (group->has_frame || group->syncs)
        histogram_add(&commit->stages[COMMIT_STAGE_LOG], group->log_us);
    if (group->request_count > 0)
        histogram_add(&commit->stages[COMMIT_STAGE_APPLY], group->apply_us);
    while ((request = commit_list_take(&group->requests)) != NULL) {
        histogram_add(&commit->stages[COMMIT_STAGE_TOTAL], now - request->taken_us);
        commit_list_append(&commit->done, request);
    }
}

static void group_take_written(struct commit *commit)
{
    struct worker_task *task;

    if (!commit->log_worker.started)
        return;
    while ((task = worker_take(&commit->log_worker)) != NULL)
        ((struct commit_group *)task)->written = true;
}

void group_settle(struct commit *commit)
{
    group_take_written(commit);
    while (commit->group_count > 0 && commit->failed == BTS_OK) {
        struct commit_group *group = &commit->groups[commit->group_first];
        if (!group->written)
            return;
        if (group->status != BTS_OK) {
            commit_fail(commit, group->status, &group->error);
            return;
        }
        if (group->syncs) {
            commit->counts.syncs++;
            commit->durable = group->state.txnid;
        }
        if (group->has_frame) {
            space_published(commit->space, group->state.txnid);
            group_publish(commit, group);
        }
        group_answer(commit, group);
        commit->group_first = (commit->group_first + 1) % COMMIT_GROUPS_MAX;
        commit->group_count--;
    }
}

/* ---- pump --------------------------------------------------------------- */

/* The body that the waiting requests need, as far as one frame holds them. */
static size_t group_estimate(const struct commit *commit)
{
    size_t most = pending_log_body_max(&commit->log);
    size_t total = 0;

    for (const struct commit_request *request = commit->waiting.first; request != NULL;
         request = request->next) {
        size_t need = pending_buffer_need(request->size);
        if (need > most - total)
            break;
        total += need;
    }
    return total;
}

/* Makes room in the log.  False: a checkpoint has to come first, or it came and failed. */
static bool group_reserve(struct commit *commit, size_t body_max, enum bts_status *status,
                          struct bts_error *error)
{
    *status = pending_log_reserve(&commit->log, body_max, error);
    /* A full disk may be no matter once the log is shorter. */
    if (*status == BTS_BUSY ||
        (*status == BTS_NO_SPACE && commit->published.txnid > commit->checkpoint.meta.txnid)) {
        commit->checkpoint_wanted = true;
        schedule_begin_due(commit);
        if (commit->failed != BTS_OK) /* nobody waits any more */
            return false;
        *status = pending_log_reserve(&commit->log, body_max, error);
        return *status != BTS_BUSY && (*status != BTS_NO_SPACE || !commit->checkpoint_running);
    }
    return true;
}

void group_fill(struct commit *commit, struct commit_group *group, size_t body_max, bool logged)
{
    uint64_t now = commit_now_us();
    size_t taken = 0;

    while (commit->waiting.first != NULL && group->status == BTS_OK &&
           pages_private_bytes(commit->pages) < COMMIT_GROUP_PRIVATE_MAX) {
        size_t need = pending_buffer_need(commit->waiting.first->size);
        if (need > body_max - taken)
            return;
        taken += need;
        histogram_add(&commit->stages[COMMIT_STAGE_WAIT], now - commit->waiting.first->taken_us);
        group_apply(commit, group, commit_list_take(&commit->waiting), logged);
    }
}

/* Forms one group.  False: not now. */
static bool group_form(struct commit *commit)
{
    size_t body_max = group_estimate(commit);
    uint64_t began = commit_now_us();
    struct bts_error error;
    enum bts_status status;
    struct commit_group *group;
    bool changed;

    if (!group_reserve(commit, body_max, &status, &error))
        return false;
    group = group_begin(commit);
    if (status != BTS_OK) { /* no room in the log, and no hope: refused without a look */
        group->status = status;
        group->error = error;
        commit_list_append(&group->requests, commit_list_take(&commit->waiting));
    } else {
        group_fill(commit, group, body_max, true);
    }
    changed = group_end(commit, group, true);
    group->apply_us = commit_now_us() - began;
    histogram_add(&commit->stages[COMMIT_STAGE_GROUP], group->request_count);
    if (changed)
        group_log(commit, group);
    else
        group_log_nothing(commit, group);
    return true;
}

void group_pump(struct commit *commit)
{
    while (commit->failed == BTS_OK && commit->waiting.first != NULL && commit->large == NULL &&
           commit->group_count < COMMIT_GROUPS_MAX) {
        bool large = large_is(commit, commit->waiting.first->size) ||
                     large_is_dense(commit, commit->waiting.first);
        bool begun = large ? large_begin(commit) : group_form(commit);
        if (!begun)
            return;
    }
}
