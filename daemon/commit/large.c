/* SPDX-License-Identifier: MIT */
/*
 * large: a batch that no frame can hold, committed by a checkpoint of its own.
 *
 * It is a barrier.  The groups before it are durable and published first, and
 * no checkpoint is in progress; then it is applied, and the checkpoint of
 * exactly its state makes it durable; then it is published.  No frame is
 * written meanwhile: replay would not find the number before it.
 */
#include "commit/commit_private.h"

#include <assert.h>

bool large_is(const struct commit *commit, size_t batch_size)
{
    return pending_buffer_need(batch_size) > pending_log_body_max(&commit->log);
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
    struct commit_group *group;

    if (commit->group_count > 0 || commit->checkpoint_running)
        return false;
    group = group_begin(commit);
    group_apply(commit, group, commit_list_take(&commit->waiting), false);
    commit->group_count++;
    if (group_end(commit, group)) {
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
