/* SPDX-License-Identifier: MIT */
/*
 * commit: open, the requests' way through, the end.
 *
 * Whatever happens outside (a request, a finished sync, a tick) ends in
 * commit_settle, which takes what is finished and begins what can begin; so
 * the order of events does not matter, and each can be lost but not its cause.
 */
#include "commit/commit.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "commit/commit_private.h"
#include "commit/publish.h"
#include "commit/recover.h"

#define COMMIT_SEGMENT_SIZE (4u << 20)
#define COMMIT_LOG_SIZE (64u << 20)
/* In the order of keys a leaf is done with when the next one begins: what fits in the caches. */
#define COMMIT_REPLAY_PRIVATE (512u << 10)
#define COMMIT_CHECKPOINT_AGE_MS 30000u
#define COMMIT_DIRECT_MIN (512u << 10)
#define COMMIT_DIRECT_PERCENT 125u
#define COMMIT_FINISH_TRIES 1000u
/* Shorter runs of free pages are not worth a hole: the file falls to pieces. */
#define COMMIT_HOLE_MIN (12u << 10)

_Static_assert(COMMIT_LOG_SIZE_MIN == PENDING_LOG_SEGMENTS_MIN * COMMIT_SEGMENT_SIZE,
               "the least log has the least segments");

/* ---- small things ------------------------------------------------------- */

uint64_t commit_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t commit_now_ms(void)
{
    return (int64_t)(commit_now_us() / 1000) + 1; /* never 0 */
}

void commit_note(const struct commit *commit, const char *format, ...)
{
    char text[BTS_ERROR_TEXT_MAX];
    va_list arguments;

    if (commit->options.note == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    commit->options.note(commit->options.note_context, text);
}

void commit_signal(struct commit *commit)
{
    /* acq_rel: what was finished before is seen by whoever takes the signal back */
    if (!atomic_exchange_explicit(&commit->signalled, true, memory_order_acq_rel))
        (void)eventfd_write(commit->event_fd, 1);
}

static void commit_drain(struct commit *commit)
{
    eventfd_t count;

    if (atomic_exchange_explicit(&commit->signalled, false, memory_order_acq_rel))
        (void)eventfd_read(commit->event_fd, &count);
}

static void commit_notify(void *context)
{
    commit_signal(context);
}

int commit_event_fd(const struct commit *commit)
{
    return commit->event_fd;
}

/* ---- open and close ----------------------------------------------------- */

/* The options with their defaults filled in; segments within what the format allows. */
static enum bts_status commit_set_options(struct commit *commit,
                                          const struct commit_options *given,
                                          struct bts_error *error)
{
    struct commit_options *options = &commit->options;

    *options = *given;
    if (options->system == NULL)
        options->system = &file_system_real;
    if (options->page_size == 0)
        options->page_size = PAGE_SIZE_DEFAULT;
    if (options->log_segment_size == 0)
        options->log_segment_size = COMMIT_SEGMENT_SIZE;
    if (options->log_size_max == 0)
        options->log_size_max = COMMIT_LOG_SIZE;
    if (options->replay_private_max == 0)
        options->replay_private_max = COMMIT_REPLAY_PRIVATE;
    if (options->direct_min == 0)
        options->direct_min = COMMIT_DIRECT_MIN;
    if (options->direct_percent == 0)
        options->direct_percent = COMMIT_DIRECT_PERCENT;
    if (options->checkpoint_age_ms == 0)
        options->checkpoint_age_ms = COMMIT_CHECKPOINT_AGE_MS;
    if (!page_size_valid(options->page_size))
        return err_set(error, BTS_INVALID, "%s: page size %zu: a power of two from %u to %u",
                       options->path, options->page_size, PAGE_SIZE_MIN, PAGE_SIZE_MAX);
    if (options->log_segment_size < PENDING_SEGMENT_SIZE_MIN ||
        options->log_segment_size > PENDING_SEGMENT_SIZE_MAX ||
        options->log_segment_size % PENDING_BLOCK != 0)
        return err_set(error, BTS_INVALID,
                       "%s: log segments of %llu bytes: a multiple of %u from %u to %u",
                       options->path, (unsigned long long)options->log_segment_size,
                       PENDING_BLOCK, PENDING_SEGMENT_SIZE_MIN, PENDING_SEGMENT_SIZE_MAX);
    if (options->log_size_max < PENDING_LOG_SEGMENTS_MIN * options->log_segment_size)
        options->log_size_max = PENDING_LOG_SEGMENTS_MIN * options->log_segment_size;
    return BTS_OK;
}

static enum bts_status commit_open_files(struct commit *commit, struct bts_error *error)
{
    struct store_files_options options = {.path = commit->options.path,
                                          .system = commit->options.system,
                                          .create = commit->options.create,
                                          .page_size = commit->options.page_size};
    struct store_files *files = &commit->files;
    enum bts_status status = store_files_open(files, &options, error);

    if (status != BTS_OK)
        return status;
    commit->options.path = files->path; /* the caller's may go */
    atomic_store_explicit(&commit->map_pages, files->identity.size / files->meta.page_size,
                          memory_order_relaxed);
    return checkpoint_init(&commit->checkpoint, &files->data, &files->meta, files->meta_pgno,
                           error);
}

static enum bts_status commit_open_pages(struct commit *commit, struct bts_error *error)
{
    struct store_files *files = &commit->files;
    struct map *map;
    int fd;
    enum bts_status status = store_files_reader(files, &fd, error);

    if (status == BTS_OK)
        status = map_open(fd, files->meta.page_size, commit->options.map_span, &commit->map_pages,
                          &map, error);
    if (status != BTS_OK)
        return status;
    status = space_create(files->meta.page_size, &commit->space, error);
    if (status == BTS_OK)
        status = pages_create(&files->data, map, commit->space, &commit->pages, error);
    if (status != BTS_OK) {
        map_close(map);
        return status;
    }
    return buckets_create(commit->pages, &commit->buckets, error);
}

static enum bts_status commit_open_event(struct commit *commit, struct bts_error *error)
{
    commit->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (commit->event_fd < 0)
        return err_set_errno(error, BTS_IO, errno, "eventfd");
    return BTS_OK;
}

enum bts_status commit_open(const struct commit_options *options, struct commit **commit,
                            struct bts_error *error)
{
    struct commit *made = calloc(1, sizeof(*made));
    enum bts_status status;

    *commit = NULL;
    if (made == NULL)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", options->path);
    made->event_fd = -1;
    store_files_init(&made->files);
    pending_log_init(&made->log);
    status = commit_set_options(made, options, error);
    if (status == BTS_OK)
        status = commit_open_event(made, error);
    if (status == BTS_OK)
        status = commit_open_files(made, error);
    if (status == BTS_OK)
        status = commit_open_pages(made, error);
    if (status != BTS_OK) {
        commit_close(made);
        return status;
    }
    *commit = made;
    return BTS_OK;
}

void commit_close(struct commit *commit)
{
    struct map *map;

    if (commit == NULL)
        return;
    worker_stop(&commit->log_worker);
    worker_stop(&commit->checkpoint_worker);
    checkpoint_fini(&commit->checkpoint);
    for (size_t i = 0; i < COMMIT_GROUPS_MAX; i++)
        pending_buffer_fini(&commit->groups[i].buffer);
    buckets_destroy(commit->buckets);
    map = commit->pages != NULL ? pages_map(commit->pages) : NULL;
    pages_destroy(commit->pages);
    map_close(map);
    space_destroy(commit->space);
    pending_log_close(&commit->log);
    store_files_close(&commit->files);
    if (commit->event_fd >= 0)
        close(commit->event_fd);
    free(commit);
}

struct commit_identity commit_identity(const struct commit *commit)
{
    const struct store_files *files = &commit->files;
    struct commit_identity identity = {.device = files->identity.device,
                                       .inode = files->identity.inode,
                                       .page_size = files->meta.page_size};
    uint64_t pages = files->identity.size / files->meta.page_size;

    identity.file_pages = pages < UINT32_MAX ? (pgno_t)pages : UINT32_MAX;
    memcpy(identity.uuid, files->meta.uuid, sizeof(identity.uuid));
    return identity;
}

enum bts_status commit_recover(struct commit *commit, struct beacon *beacon,
                               struct horizon *horizon, bool survivors, struct bts_error *error)
{
    enum bts_status status;

    assert(!commit->serving);
    commit->beacon = beacon;
    commit->horizon = horizon;
    commit->survivors = survivors;
    status = recover_run(commit, error);
    if (status == BTS_OK && !commit->options.inline_only)
        status = worker_start(&commit->log_worker, "pending log", commit_notify, commit, error);
    if (status == BTS_OK && !commit->options.inline_only)
        status = worker_start(&commit->checkpoint_worker, "checkpoint", commit_notify, commit,
                              error);
    commit->serving = status == BTS_OK;
    return status;
}

/* ---- requests ----------------------------------------------------------- */

void commit_refuse(struct commit_request *request, enum bts_status status,
                   const struct bts_error *error)
{
    apply_results_fini(&request->results);
    request->status = status;
    request->error = *error;
}

bool commit_ready(const struct commit *commit)
{
    return commit->serving && commit->failed == BTS_OK && commit->waiting.first == NULL &&
           commit->large == NULL && commit->group_count < COMMIT_GROUPS_MAX;
}

void commit_take(struct commit *commit, struct commit_request *requests)
{
    uint64_t now = commit_now_us();

    assert(commit->serving);
    while (requests != NULL) {
        struct commit_request *request = requests;
        requests = request->next;
        request->taken_us = now;
        memset(&request->results, 0, sizeof(request->results));
        err_clear(&request->error);
        if (commit->failed == BTS_OK) {
            commit_list_append(&commit->waiting, request);
        } else {
            commit_refuse(request, commit->failed, &commit->failure);
            commit_list_append(&commit->done, request);
        }
    }
    group_pump(commit);
    schedule_begin_due(commit);
}

void commit_settle(struct commit *commit)
{
    commit_drain(commit);
    schedule_settle(commit);
    group_settle(commit);
    group_pump(commit);
    schedule_begin_due(commit);
}

struct commit_request *commit_collect(struct commit *commit)
{
    struct commit_request *list;

    if (commit->serving)
        commit_settle(commit);
    list = commit->done.first;
    commit->done = (struct commit_list){.first = NULL};
    if (commit->wake_due) {
        commit->wake_due = false;
        publish_wake(commit->beacon);
    }
    return list;
}

/* Once no slot shows anything from before recovery, nobody maps old pages any more. */
static void commit_unhold(struct commit *commit)
{
    if (!commit->survivors || horizon_scan(commit->horizon, commit->beacon, NULL) != BTS_OK)
        return;
    if (horizon_oldest(commit->horizon) >= commit->recovered) {
        space_unhold(commit->space);
        commit->survivors = false;
        commit_note(commit, "the last snapshot from before this start is gone");
    }
}

void commit_tick(struct commit *commit)
{
    if (!commit->serving)
        return;
    commit_unhold(commit);
    commit_settle(commit);
    group_sync(commit);
    if (commit_now_ms() - commit->stages_since_ms >= COMMIT_STAGES_MS) {
        commit->stages_since_ms = commit_now_ms();
        for (unsigned i = 0; i < COMMIT_STAGES; i++)
            histogram_turn(&commit->stages[i]);
    }
}

/* ---- failure ------------------------------------------------------------ */

/* A frame was handed over: it may be there after the next recovery, or not. */
static void commit_leave_unknown(struct commit *commit, struct commit_group *group)
{
    for (struct commit_request *request = group->requests.first; request != NULL;
         request = request->next) {
        commit_refuse(request, BTS_UNKNOWN, &commit->failure);
        err_set(&request->error, BTS_UNKNOWN, "whether it was committed is not known: %.300s",
                commit->failure.text);
    }
}

void commit_fail(struct commit *commit, enum bts_status status, const struct bts_error *error)
{
    struct commit_request *request;

    if (commit->failed != BTS_OK)
        return;
    commit->failed = status;
    commit->failure = *error;
    commit_note(commit, "fatal: %s", error->text);
    atomic_store_explicit(&commit->log_failed, true, memory_order_relaxed);
    if (commit->log_worker.started)
        worker_wait(&commit->log_worker);
    for (unsigned i = 0; i < commit->group_count; i++) {
        struct commit_group *group =
            &commit->groups[(commit->group_first + i) % COMMIT_GROUPS_MAX];
        if (group->has_frame || group == commit->large)
            commit_leave_unknown(commit, group);
        else
            for (request = group->requests.first; request != NULL; request = request->next)
                commit_refuse(request, status, error);
        group_answer(commit, group);
    }
    commit->group_count = 0;
    while ((request = commit_list_take(&commit->waiting)) != NULL) {
        commit_refuse(request, status, error);
        commit_list_append(&commit->done, request);
    }
    commit_signal(commit);
}

enum bts_status commit_failed(const struct commit *commit, struct bts_error *error)
{
    if (commit->failed != BTS_OK && error != NULL)
        *error = commit->failure;
    return commit->failed;
}

/* ---- looking ------------------------------------------------------------ */

struct tree_view commit_latest(const struct commit *commit)
{
    return (struct tree_view){.source = pages_source(commit->pages),
                              .root = commit->published.root.root,
                              .depth = commit->published.root.depth,
                              .txnid = commit->published.txnid};
}

txnid_t commit_checkpoint_txnid(const struct commit *commit)
{
    return commit->checkpoint.meta.txnid;
}

enum bts_status commit_reader_descriptor(const struct commit *commit, int *fd,
                                         struct bts_error *error)
{
    return store_files_reader(&commit->files, fd, error);
}

struct commit_stat commit_stat(const struct commit *commit)
{
    struct commit_stat stat = commit->counts;

    stat.latest = commit->published.txnid;
    stat.durable = commit->durable;
    stat.checkpoint = commit->checkpoint.meta.txnid;
    stat.log_bytes = pending_log_bytes(&commit->log);
    stat.log_size = pending_log_size(&commit->log);
    stat.space = space_stat(commit->space);
    return stat;
}

struct histogram_summary commit_stage_summary(const struct commit *commit,
                                              enum commit_stage stage)
{
    return histogram_summarize(&commit->stages[stage]);
}

int commit_checkpoint_progress(const struct commit *commit)
{
    /* relaxed: a number to show */
    return commit->checkpoint_running
               ? (int)atomic_load_explicit(&commit->checkpoint.progress, memory_order_relaxed)
               : -1;
}

uint64_t commit_log_limit(const struct commit *commit)
{
    return commit->options.log_size_max;
}

void commit_look(struct commit *commit)
{
    if (commit->serving && commit->failed == BTS_OK)
        group_reclaim(commit);
}

uint64_t commit_retained_bytes(const struct commit *commit, txnid_t txnid)
{
    return space_retained_pages(commit->space, txnid) * commit_page_size(commit);
}

/* ---- stop --------------------------------------------------------------- */

static bool commit_is_idle(const struct commit *commit)
{
    return commit->failed != BTS_OK || (commit->group_count == 0 && !commit->checkpoint_running &&
                                        commit->waiting.first == NULL);
}

/* Finishes what was taken, waiting for the threads. */
static enum bts_status commit_finish(struct commit *commit, struct bts_error *error)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    unsigned tries = 0;

    commit_settle(commit);
    while (!commit_is_idle(commit)) {
        if (commit->group_count == 0 && !commit->checkpoint_running) { /* no memory to go on */
            if (tries++ == COMMIT_FINISH_TRIES)
                return err_set(error, BTS_NO_MEMORY, "%s: cannot finish: no checkpoint can begin",
                               commit->files.path);
            nanosleep(&pause, NULL);
        }
        if (commit->log_worker.started)
            worker_wait(&commit->log_worker);
        if (commit->checkpoint_worker.started)
            worker_wait(&commit->checkpoint_worker);
        commit_settle(commit);
    }
    return commit_failed(commit, error);
}

/* Gives the disk behind long runs of free pages back; pages_create asks for it again. */
static enum bts_status commit_punch(const struct commit *commit, struct bts_error *error)
{
    const struct meta *meta = &commit->checkpoint.meta;
    uint64_t page_size = meta->page_size;
    pgno_t least = (pgno_t)(COMMIT_HOLE_MIN / page_size);
    pgno_t count = 0;
    pgno_t first = 0;
    enum bts_status status = BTS_OK;

    do {
        first = space_next_unused(commit->space, first + count, least > 0 ? least : 1, &count);
        if (first + count > meta->page_count)
            count = meta->page_count > first ? meta->page_count - first : 0;
        if (count > 0)
            status = file_punch(&commit->files.data, first * page_size, count * page_size, error);
    } while (status == BTS_OK && count > 0);
    return status;
}

/*
 * Cuts off what lies behind the last page in use, and frees the disk behind
 * what is not used before it.  Both metas are durable, of this very state, and
 * have the lower mark; a cut that a power cut undoes, or an error refuses,
 * leaves the file larger than it need be, and no more.
 */
static void commit_give_back(const struct commit *commit)
{
    const struct meta *meta = &commit->checkpoint.meta;
    struct file_identity identity;
    uint64_t size = (uint64_t)meta->page_count * meta->page_size;
    struct bts_error error;
    enum bts_status status = BTS_OK;

    if (store_files_are_mapped(&commit->files) ||
        file_identify(&commit->files.data, &identity, NULL) != BTS_OK)
        return;
    if (identity.size > size)
        status = file_truncate(&commit->files.data, size, &error);
    if (status == BTS_OK)
        status = commit_punch(commit, &error);
    if (status != BTS_OK)
        commit_note(commit, "free pages stay on the disk: %s", error.text);
}

enum bts_status commit_stop(struct commit *commit, struct bts_error *error)
{
    enum bts_status status;

    assert(commit->serving);
    status = commit_finish(commit, error);
    if (status == BTS_OK)
        status = schedule_run_clean(commit, error);
    commit->serving = false;
    if (status == BTS_OK)
        commit_give_back(commit);
    if (status == BTS_OK)
        status = file_unlink(commit->files.system, commit->files.pending_path, error);
    if (status == BTS_OK)
        status = file_sync_directory(commit->files.system, commit->files.pending_path, error);
    return status;
}
