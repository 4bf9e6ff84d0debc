/* SPDX-License-Identifier: MIT */
/*
 * large: a group that is committed by a checkpoint of its own, not by a frame.
 *
 * Either a single batch that no frame can hold; or dense batches: those that
 * write hardly more pages than a frame of theirs would take, as sorted input
 * does.  The log would only double what goes to the disk.  Whether batches are
 * dense is known when they have been applied, so the ones before are believed.
 *
 * It is a barrier.  The groups before it are durable and published first, and
 * no checkpoint is in progress; then it is applied, and the checkpoint of
 * exactly its state makes it durable; then it is published.  No frame is
 * written meanwhile: replay would not find the number before it.  That is why
 * a dense group takes what is waiting beside its first batch, as much as
 * LARGE_DIRECT_GROUP of the least size, and there is none while the log holds
 * more than that: its checkpoint would take long.
 */
#include "commit/commit_private.h"

#include <assert.h>

/* So many batches of the least size are a dense group, at most. */
#define LARGE_DIRECT_GROUP 8u

bool large_is(const struct commit *commit, size_t batch_size)
{
    return pending_buffer_need(batch_size) > pending_log_body_max(&commit->log);
}

/* What a dense group takes beside its first batch, and what the log may hold before it. */
static size_t large_direct_bytes(const struct commit *commit)
{
    return commit->options.direct_min * LARGE_DIRECT_GROUP;
}

bool large_is_dense(const struct commit *commit, const struct commit_request *request)
{
    return commit->dense && !request->relaxed && request->size >= commit->options.direct_min &&
           !commit->checkpoint_running &&
           pending_log_bytes(&commit->log) <= large_direct_bytes(commit);
}

void large_learn(struct commit *commit, const struct commit_group *group)
{
    if (group->batch_bytes >= commit->options.direct_min)
        commit->dense = (uint64_t)pages_private_bytes(commit->pages) * 100 <=
                        (uint64_t)group->batch_bytes * commit->options.direct_percent;
}

/* Its pages are in the file: now the checkpoint. */
static void large_submit(struct commit *commit, struct commit_group *group)
{
    struct meta next = schedule_meta(commit, &group->state);
    struct bts_error error;
    enum bts_status status;

    /* No reader can see it yet, but for the space map it has to be the newest state. */
    space_published(commit->space, group->state.txnid);
    status = checkpoint_prepare(&commit->checkpoint, commit->space, &next, &error);
    if (status != BTS_OK) {
        commit_fail(commit, status, &error);
        return;
    }
    commit->applied = group->state;
    commit->large = group;
    commit->checkpoint_of_space = true;
    schedule_submit(commit);
}

bool large_begin(struct commit *commit)
{
    bool alone = large_is(commit, commit->waiting.first->size);
    uint64_t began = commit_now_us();
    struct commit_group *group;
    bool changed;

    if (commit->group_count > 0 || commit->checkpoint_running)
        return false;
    group = group_begin(commit);
    group_apply(commit, group, commit_list_take(&commit->waiting), false);
    if (!alone)
        group_fill(commit, group, large_direct_bytes(commit), false);
    commit->group_count++;
    changed = group_end(commit, group, false);
    group->apply_us = commit_now_us() - began; /* group_answer tells of it */
    if (changed) {
        commit->counts.direct++;
        large_submit(commit, group);
    } else {
        group->written = true;
        group_settle(commit);
    }
    return true;
}

void large_settle(struct commit *commit)
{
    struct commit_group *group = commit->large;

    if (group == NULL)
        return;
    assert(commit->group_count == 1 && group == &commit->groups[commit->group_first]);
    commit->large = NULL;
    group_publish(commit, group);
    group->written = true; /* and group_settle answers */
    group_settle(commit);
}
