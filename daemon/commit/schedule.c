/* SPDX-License-Identifier: MIT */
/*
 * schedule: when a checkpoint begins, what it is of, and what its end frees.
 *
 *   due    the log holds half of what it may, or is full; the oldest commit
 *          outside a checkpoint has its age; somebody asked
 *   begin  K is the newest published state: bitmaps and tickets are taken now
 *   end    the log before K is free, limbo pages too, tickets are answered
 */
#include "commit/commit_private.h"

#include <assert.h>

#include "read/snapshot.h"

struct meta schedule_meta(const struct commit *commit, const struct commit_state *state)
{
    struct meta next = commit->checkpoint.meta;

    next.txnid = state->txnid;
    next.root = state->root.root;
    next.depth = state->root.depth;
    next.bucket_count = state->root.bucket_count;
    next.next_bucket_id = state->root.next_bucket_id;
    next.page_count = state->page_count;
    next.clean = false;
    next.log_epoch = commit->log.epoch;
    next.log_position = state->log_position;
    return next;
}

/* ---- tickets ------------------------------------------------------------ */

/* The state is the newest published one: a slot of ours that announces it keeps it. */
static void schedule_pin(struct commit *commit, struct commit_checkpoint *ticket)
{
    if (!ticket->pin || ticket->slot != NULL)
        return;
    ticket->slot = horizon_own_slot(commit->horizon);
    if (ticket->slot != NULL) {
        struct snapshot_root root = snapshot_pin(commit->beacon, ticket->slot);
        assert(root.txnid == commit->published.txnid);
        (void)root;
    }
}

/* Tickets that waited are of the checkpoint that begins. */
static void schedule_board(struct commit *commit)
{
    struct commit_checkpoint **end = &commit->tickets;

    while (*end != NULL)
        end = &(*end)->next;
    *end = commit->tickets_next;
    commit->tickets_next = NULL;
    for (struct commit_checkpoint *ticket = commit->tickets; ticket != NULL;
         ticket = ticket->next)
        schedule_pin(commit, ticket);
}

/* The checkpoint of the tickets on board is durable. */
static void schedule_answer(struct commit *commit)
{
    const struct meta *meta = &commit->checkpoint.meta;

    while (commit->tickets != NULL) {
        struct commit_checkpoint *ticket = commit->tickets;
        commit->tickets = ticket->next;
        ticket->next = NULL;
        ticket->txnid = meta->txnid;
        ticket->root = meta->root;
        ticket->depth = meta->depth;
        ticket->bucket_count = meta->bucket_count;
        ticket->page_count = meta->page_count;
        ticket->done = true;
        commit_signal(commit);
    }
}

/* Takes a ticket out of a list; false: it is not in it. */
static bool schedule_remove(struct commit_checkpoint **list, struct commit_checkpoint *ticket)
{
    while (*list != NULL && *list != ticket)
        list = &(*list)->next;
    if (*list == NULL)
        return false;
    *list = ticket->next;
    ticket->next = NULL;
    return true;
}

void commit_checkpoint_request(struct commit *commit, struct commit_checkpoint *ticket)
{
    if (ticket == NULL) {
        commit->checkpoint_wanted = true;
    } else {
        ticket->done = false;
        ticket->slot = NULL;
        ticket->next = commit->tickets_next;
        commit->tickets_next = ticket;
    }
    schedule_begin_due(commit);
}

void commit_checkpoint_forget(struct commit *commit, struct commit_checkpoint *ticket)
{
    if (!schedule_remove(&commit->tickets, ticket))
        (void)schedule_remove(&commit->tickets_next, ticket);
    if (ticket->slot != NULL)
        snapshot_unpin(ticket->slot);
    ticket->slot = NULL;
}

/* ---- begin -------------------------------------------------------------- */

static bool schedule_is_old(const struct commit *commit)
{
    return commit->dirty_since_ms != 0 &&
           commit_now_ms() - commit->dirty_since_ms >= commit->options.checkpoint_age_ms;
}

static bool schedule_is_due(const struct commit *commit)
{
    if (commit->failed != BTS_OK || !commit->serving || commit->checkpoint_running)
        return false;
    return commit->checkpoint_wanted || commit->tickets_next != NULL || schedule_is_old(commit) ||
           pending_log_bytes(&commit->log) >= commit->options.log_size_max / 2;
}

static void schedule_job_task(struct worker_task *task)
{
    checkpoint_run((struct checkpoint *)task);
}

void schedule_submit(struct commit *commit)
{
    struct checkpoint *checkpoint = &commit->checkpoint;

    commit->checkpoint_running = true;
    checkpoint->task.run = schedule_job_task;
    checkpoint->paced = commit->checkpoint_worker.started && commit->large == NULL &&
                        commit->tickets == NULL;
    if (commit->checkpoint_worker.started) {
        worker_submit(&commit->checkpoint_worker, &checkpoint->task);
    } else {
        checkpoint_run(checkpoint);
        schedule_settle(commit);
    }
}

void schedule_begin_due(struct commit *commit)
{
    struct meta next;
    struct bts_error error;
    enum bts_status status;

    /* When the log is nearly full commits wait for it: no more rests then. */
    if (commit->checkpoint_running && (commit->checkpoint_wanted || commit->tickets_next != NULL ||
                                       pending_log_bytes(&commit->log) >=
                                           commit->options.log_size_max / 4 * 3))
        atomic_store_explicit(&commit->checkpoint.hurry, true, memory_order_relaxed);
    if (!schedule_is_due(commit))
        return;
    if (commit->published.txnid == commit->checkpoint.meta.txnid) { /* nothing new */
        commit->checkpoint_wanted = false;
        schedule_board(commit);
        schedule_answer(commit);
        return;
    }
    next = schedule_meta(commit, &commit->published);
    status = checkpoint_prepare(&commit->checkpoint, commit->space, &next, &error);
    if (status != BTS_OK) { /* no memory: commits go on, and so does the log; later again */
        commit_note(commit, "checkpoint put off: %s", error.text);
        return;
    }
    schedule_board(commit);
    commit->checkpoint_wanted = false;
    commit->checkpoint_of_space = true;
    commit->dirty_since_ms = 0;
    schedule_submit(commit);
}

/* ---- end ---------------------------------------------------------------- */

static void schedule_finish(struct commit *commit)
{
    struct checkpoint *checkpoint = &commit->checkpoint;

    commit->checkpoint_running = false;
    if (checkpoint->status != BTS_OK) {
        commit_fail(commit, checkpoint->status, &checkpoint->error);
        return;
    }
    checkpoint_adopt(checkpoint);
    if (commit->checkpoint_of_space)
        space_checkpoint_done(commit->space);
    commit->checkpoint_of_space = false;
    commit->counts.checkpoints++;
    if (commit->durable < checkpoint->meta.txnid)
        commit->durable = checkpoint->meta.txnid;
    pending_log_release(&commit->log, checkpoint->meta.log_position);
    large_settle(commit);
    /* relaxed: a number to show; whoever needs the state itself asks for a ticket */
    atomic_store_explicit(&commit->beacon->checkpoint, checkpoint->meta.txnid,
                          memory_order_relaxed);
    schedule_answer(commit);
}

void schedule_settle(struct commit *commit)
{
    if (!commit->checkpoint_running || commit->failed != BTS_OK)
        return;
    if (!commit->checkpoint_worker.started || worker_take(&commit->checkpoint_worker) != NULL)
        schedule_finish(commit);
}

enum bts_status schedule_run_clean(struct commit *commit, struct bts_error *error)
{
    struct checkpoint *checkpoint = &commit->checkpoint;
    struct meta next = schedule_meta(commit, &commit->published);
    enum bts_status status = BTS_OK;

    assert(!commit->checkpoint_running && commit->group_count == 0);
    next.clean = true;
    commit->checkpoint_of_space = next.txnid != checkpoint->meta.txnid;
    if (commit->checkpoint_of_space) {
        status = checkpoint_prepare(checkpoint, commit->space, &next, error);
    } else {
        next.page_count = checkpoint->meta.page_count;
        checkpoint_prepare_metas(checkpoint, &next);
    }
    if (status != BTS_OK)
        return status;
    /* With this the end of the file is of no checkpoint: commit_stop may cut it off. */
    if (!store_files_are_mapped(&commit->files))
        checkpoint->next.page_count = space_mark_least(commit->space);
    schedule_board(commit);
    checkpoint->paced = false;
    checkpoint_run(checkpoint);
    schedule_finish(commit);
    return commit_failed(commit, error);
}
