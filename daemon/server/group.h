/* SPDX-License-Identifier: MIT */
/*
 * group: gathers the writes of all sessions into commit groups.
 *
 *   group_new_write -- filled by a command --> group_add -- group_take -->
 *   at the engine -- group_collect --> the session's reply -- recycled
 *
 * All that one turn of the event loop brought, and all that came while the
 * engine was busy, goes to it as one group: one sync for all of them.
 *
 * Invariants
 *  (1) Writes leave in the order in which they came, so the replies of one
 *      session come in the order of its requests.
 *  (2) What a request points to is not touched between group_take and
 *      group_collect.
 */
#ifndef SERVER_GROUP_H
#define SERVER_GROUP_H

#include "format/batch.h"
#include "server/reply.h"

/* Batches of all sessions that wait or are at the engine; beyond it sessions wait. */
#define GROUP_QUEUED_BYTES_MAX (1024ull << 20)
/* Finished writes kept for reuse, and the largest batch memory kept with one. */
#define GROUP_FREE_MAX 1024u
#define GROUP_FREE_BYTES_MAX 4096u

struct session;

/* When a write may be answered. */
enum write_durability {
    WRITE_AS_SESSION = 0,
    WRITE_DURABLE,
    WRITE_RELAXED,
};

/* The writes of one command, or of one MULTI. */
struct write {
    struct commit_request request;
    struct batch batch;
    struct reply_plan plan;
    uint32_t bucket_id; /* that the next operation applies to */
    enum write_durability durability;
    struct session *session;
    struct write *next_free;
};

struct group {
    struct commit_request *first; /* waiting for the engine, in order */
    struct commit_request **last;
    struct commit_request *finished; /* collected, not yet handed out */
    size_t waiting_count;
    size_t at_engine_count;
    uint64_t queued_bytes;        /* of both */
    struct write *free_writes;
    size_t free_count;
};

void group_init(struct group *group);
void group_fini(struct group *group);

/* An empty write; NULL: out of memory.  Give it to group_add or group_recycle. */
struct write *group_new_write(struct group *group);
void group_recycle(struct group *group, struct write *write);

/* Makes the write carry these bytes, a whole batch from a peer, instead of building one. */
BTS_MUST_USE enum bts_status group_set_batch(struct write *write, const void *data, size_t size,
                                             struct bts_error *error);

/* The same with bytes that lie in memory of malloc's, which the write then owns. */
void group_give_batch(struct write *write, char *memory, const void *data, size_t size);

/* Queues a write of `session`.  The engine checks it: what is wrong with it is in its reply. */
void group_add(struct group *group, struct write *write, struct session *session);

static inline bool group_is_full(const struct group *group)
{
    return group->queued_bytes >= GROUP_QUEUED_BYTES_MAX;
}

static inline bool group_is_idle(const struct group *group)
{
    return group->waiting_count == 0 && group->at_engine_count == 0;
}

/* Hands all that waits to the engine if it is ready for it; whether it did. */
bool group_take(struct group *group, struct commit *commit);

/*
 * The next write that the engine has finished, in order; NULL: none.  Call it
 * until it says so; each is the caller's, to be recycled.
 */
struct write *group_collect(struct group *group, struct commit *commit);

#endif
