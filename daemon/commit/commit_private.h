/* SPDX-License-Identifier: MIT */
/*
 * commit_private: what the files of the commit engine share.
 *
 *   commit.c    open, close, stop; the requests' way through
 *   group.c     one group: apply, log, publish
 *   large.c     batches too large for the log, or that it would only double
 *   schedule.c  checkpoints: when they are due, who asked, what they free
 *   recover.c   from the files to a serving engine
 *
 * The requests' way:
 *   commit_take -> waiting -> groups[] (applied, on its way to the log)
 *               -> done (durable and published) -> commit_collect
 *
 * Invariants
 *  (1) groups[] is a ring in the order of txnids; only its oldest is published.
 *  (2) applied is the state after the newest of groups[]; with none in flight
 *      it is the published state.
 *  (3) Between two calls from outside no group is being applied: pages has no
 *      private pages.
 *  (4) Once `failed` is not BTS_OK nothing is written any more.
 */
#ifndef COMMIT_COMMIT_PRIVATE_H
#define COMMIT_COMMIT_PRIVATE_H

#include "commit/checkpoint.h"
#include "commit/commit.h"
#include "commit/pending_log.h"
#include "commit/store_files.h"
#include "commit/worker.h"

/* Groups between application and publication: one syncs while the next is applied. */
#define COMMIT_GROUPS_MAX 2u

/* Stages are told of for so long, and for as long again. */
#define COMMIT_STAGES_MS 10000

/* Relaxed commits of this age are synced by the next commit_tick. */
#define COMMIT_RELAXED_MS 20

/* Private pages that make a group end early: memory is bounded by it, and by the largest batch. */
#define COMMIT_GROUP_PRIVATE_MAX (16u << 20)

/* One committed state. */
struct commit_state {
    txnid_t txnid;
    struct buckets_root root;
    pgno_t page_count;
    uint64_t log_position; /* behind its frame */
};

/* Requests in order. */
struct commit_list {
    struct commit_request *first;
    struct commit_request *last;
};

/* A group on its way to the log. */
struct commit_group {
    struct worker_task task;
    struct commit *commit;
    struct pending_buffer buffer;
    struct pending_place place;
    struct commit_state state;   /* after it */
    struct commit_list requests;
    uint32_t request_count;
    uint64_t apply_us;           /* its time on the caller's thread */
    uint64_t log_us;             /* its time in the log */
    size_t batch_bytes;          /* of the batches that were not refused */
    bool changed;                /* some batch of it may have written */
    bool has_frame;              /* else it only waits for the groups before it */
    bool relaxed;                /* no request of it wants more */
    bool syncs;                  /* the log is synced behind it */
    bool written;                /* the log thread, or we, are through with it */
    enum bts_status status;
    struct bts_error error;
};

struct commit {
    /* ---- given, or made by commit_open -------------------------------------- */
    struct commit_options options;
    struct store_files files;
    _Atomic uint64_t map_pages;  /* what the map may touch; see read/map.h */
    struct space *space;
    struct pages *pages;
    struct buckets *buckets;
    struct pending_log log;
    int event_fd;
    _Atomic bool signalled;      /* event_fd was written since it was last drained */
    struct worker log_worker;
    struct worker checkpoint_worker;

    /* ---- given to commit_recover -------------------------------------------- */
    struct beacon *beacon;
    struct horizon *horizon;
    bool serving;
    bool survivors;              /* pages below the old mark are held */
    int64_t scanned_ms;          /* when slots were looked at last */
    txnid_t recovered;           /* the txnid that recovery published */

    /* ---- states and groups -------------------------------------------------- */
    struct commit_state applied;
    struct commit_state published;
    struct commit_group groups[COMMIT_GROUPS_MAX];
    unsigned group_first;
    unsigned group_count;
    struct commit_list waiting;
    struct commit_list done;
    txnid_t durable;             /* of the newest state that is */
    bool unsynced;               /* frames were handed over that no sync follows yet */
    int64_t unsynced_since_ms;   /* the first of them was */
    bool sync_due;               /* the next group syncs, whatever its requests want */
    bool wake_due;               /* published since the last publish_wake */
    enum bts_status failed;
    struct bts_error failure;
    _Atomic bool log_failed;     /* relaxed: the log thread writes nothing more */

    /* ---- checkpoints -------------------------------------------------------- */
    struct checkpoint checkpoint;
    bool checkpoint_running;
    bool checkpoint_wanted;      /* the log is full, or somebody asked without a ticket */
    bool checkpoint_of_space;    /* space_checkpoint_done is due when it is through */
    struct commit_group *large;  /* the job in progress commits this group */
    bool dense;                  /* the last long batches were: see large.c */
    struct commit_checkpoint *tickets;       /* of the job in progress */
    struct commit_checkpoint *tickets_next;  /* of the one after it */
    int64_t dirty_since_ms;      /* the first publication not in a begun checkpoint; 0: none */

    struct commit_stat counts;   /* what is counted, not what is asked for */
    struct histogram stages[COMMIT_STAGES];
    int64_t stages_since_ms;     /* their windows began */
};

static inline void commit_list_append(struct commit_list *list, struct commit_request *request)
{
    request->next = NULL;
    if (list->first == NULL)
        list->first = request;
    else
        list->last->next = request;
    list->last = request;
}

/* The first request, taken out; NULL: none. */
static inline struct commit_request *commit_list_take(struct commit_list *list)
{
    struct commit_request *request = list->first;

    if (request != NULL) {
        list->first = request->next;
        request->next = NULL;
    }
    return request;
}

static inline size_t commit_page_size(const struct commit *commit)
{
    return commit->files.meta.page_size;
}

int64_t commit_now_ms(void);
uint64_t commit_now_us(void);

/* One line for the daemon's log. */
__attribute__((format(printf, 2, 3)))
void commit_note(const struct commit *commit, const char *format, ...);

/* Makes commit_event_fd readable; any thread. */
void commit_signal(struct commit *commit);

/* ---- commit.c ----------------------------------------------------------- */

/* Ends the engine's work with this error: everything in it gets its outcome. */
void commit_fail(struct commit *commit, enum bts_status status, const struct bts_error *error);

/* Takes what threads have finished, publishes, begins what can begin. */
void commit_settle(struct commit *commit);

/* Gives a request its refusal. */
void commit_refuse(struct commit_request *request, enum bts_status status,
                   const struct bts_error *error);

/* ---- group.c ------------------------------------------------------------ */

/* Forms and applies groups from `waiting` while that can be done. */
void group_pump(struct commit *commit);

/* Has the log synced if relaxed groups have been there for a while and no sync follows yet. */
void group_sync(struct commit *commit);

/* Publishes groups that are through with the log, in order. */
void group_settle(struct commit *commit);

/* Begins the group after `applied` in the next free place of the ring. */
struct commit_group *group_begin(struct commit *commit);

/* Scans, and frees what no snapshot holds any more. */
void group_reclaim(struct commit *commit);

/* Checks and applies one request; `logged`: its batch goes into the group's frame. */
void group_apply(struct commit *commit, struct commit_group *group,
                 struct commit_request *request, bool logged);

/*
 * Ends the group.  True: it changed something, which is in the file now, or
 * (`logged`) has its room there and is written while its frame is; group->state
 * is filled but for the log's position.  False: nothing is to be made durable:
 * it had no effect, or was refused whole.
 */
bool group_end(struct commit *commit, struct commit_group *group, bool logged);

/* Takes from `waiting` what needs at most `body_max` bytes of a frame, and applies it. */
void group_fill(struct commit *commit, struct commit_group *group, size_t body_max, bool logged);

/* The state of `group` is durable: readers may see it. */
void group_publish(struct commit *commit, struct commit_group *group);

/* All its requests are done. */
void group_answer(struct commit *commit, struct commit_group *group);

/* ---- large.c ------------------------------------------------------------ */

/* Whether a batch of this size fits in no frame. */
bool large_is(const struct commit *commit, size_t batch_size);
/* Whether the log would only double what the request writes, as far as is known. */
bool large_is_dense(const struct commit *commit, const struct commit_request *request);
/* Looks at a group that was applied and whose pages are not written yet. */
void large_learn(struct commit *commit, const struct commit_group *group);
/* Commits what waits first, by a checkpoint, if nothing is in flight.  False: not yet. */
bool large_begin(struct commit *commit);
/* The checkpoint that commits it is durable. */
void large_settle(struct commit *commit);

/* ---- schedule.c --- ----------------------------------------------------- */

/* Begins a checkpoint if one is due. */
void schedule_begin_due(struct commit *commit);
/* Takes a finished job: frees the log behind it, answers tickets. */
void schedule_settle(struct commit *commit);
/* Hands the prepared job to its thread, or does it here. */
void schedule_submit(struct commit *commit);
/* The meta of a state. */
struct meta schedule_meta(const struct commit *commit, const struct commit_state *state);
/* Makes the final checkpoint, marked clean, in this thread. */
BTS_MUST_USE enum bts_status schedule_run_clean(struct commit *commit, struct bts_error *error);

#endif
