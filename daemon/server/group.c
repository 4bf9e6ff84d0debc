/* SPDX-License-Identifier: MIT */
/*
 * group: see group.h.
 */
#include "server/group.h"

#include "base/err.h"
#include "server/session.h"

#include <stdlib.h>
#include <string.h>

void group_init(struct group *group)
{
    memset(group, 0, sizeof(*group));
    group->last = &group->first;
}

static void group_free_write(struct write *write)
{
    apply_results_fini(&write->request.results);
    reply_plan_fini(&write->plan);
    batch_fini(&write->batch);
    free(write);
}

void group_fini(struct group *group)
{
    for (struct commit_request *next = group->first; next != NULL;) {
        struct write *write = next->owner;
        next = next->next;
        group_free_write(write);
    }
    while (group->free_writes != NULL) {
        struct write *write = group->free_writes;
        group->free_writes = write->next_free;
        group_free_write(write);
    }
    group_init(group);
}

struct write *group_new_write(struct group *group)
{
    struct write *write = group->free_writes;

    if (write == NULL) {
        return calloc(1, sizeof(*write));
    }
    group->free_writes = write->next_free;
    group->free_count--;
    return write;
}

void group_recycle(struct group *group, struct write *write)
{
    if (group->free_count >= GROUP_FREE_MAX) {
        group_free_write(write);
        return;
    }
    apply_results_fini(&write->request.results);
    memset(&write->request.results, 0, sizeof(write->request.results));
    write->request.batch = NULL;
    write->request.size = 0;
    write->request.status = BTS_OK;
    write->request.txnid = 0;
    write->request.next = NULL;
    err_clear(&write->request.error);
    reply_plan_clear(&write->plan);
    if (write->batch.room > GROUP_FREE_BYTES_MAX) {
        batch_fini(&write->batch);
        memset(&write->batch, 0, sizeof(write->batch));
    }
    batch_clear(&write->batch);
    write->bucket_id = 0;
    write->durability = WRITE_AS_SESSION;
    write->session = NULL;
    write->next_free = group->free_writes;
    group->free_writes = write;
    group->free_count++;
}

enum bts_status group_set_batch(struct write *write, const void *data, size_t size,
                                struct bts_error *error)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL) {
        return err_set(error, BTS_NO_MEMORY, "out of memory for a batch of %zu bytes", size);
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    batch_fini(&write->batch);
    write->batch = (struct batch){.data = copy, .size = size, .room = size};
    write->request.batch = copy;
    write->request.size = size;
    return BTS_OK;
}

void group_give_batch(struct write *write, char *memory, const void *data, size_t size)
{
    batch_fini(&write->batch);
    write->batch = (struct batch){.data = (uint8_t *)memory, .size = size, .room = SIZE_MAX};
    write->request.batch = data;
    write->request.size = size;
}

void group_add(struct group *group, struct write *write, struct session *session)
{
    struct commit_request *request = &write->request;

    if (request->batch == NULL) {
        request->batch = batch_bytes(&write->batch, &request->size);
    }
    write->session = session;
    request->relaxed = write->durability == WRITE_RELAXED ||
                       (write->durability == WRITE_AS_SESSION && session->is_relaxed);
    request->owner = write;
    request->next = NULL;
    *group->last = request;
    group->last = &request->next;
    group->waiting_count++;
    group->queued_bytes += request->size;
}

bool group_take(struct group *group, struct commit *commit)
{
    struct commit_request *first = group->first;

    if (first == NULL || !commit_ready(commit)) {
        return false;
    }
    group->first = NULL;
    group->last = &group->first;
    group->at_engine_count += group->waiting_count;
    group->waiting_count = 0;
    commit_take(commit, first);
    return true;
}

struct write *group_collect(struct group *group, struct commit *commit)
{
    if (group->finished == NULL) {
        group->finished = commit_collect(commit);
    }
    struct commit_request *request = group->finished;
    if (request == NULL) {
        return NULL;
    }
    group->finished = request->next;
    request->next = NULL;
    group->at_engine_count--;
    group->queued_bytes -= request->size;
    return request->owner;
}
