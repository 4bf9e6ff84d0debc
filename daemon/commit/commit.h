/* SPDX-License-Identifier: MIT */
/*
 * commit: the engine of the writer: batches in, durable and visible states out.
 *
 *   opened -- commit_recover --> serving -- commit_stop --> stopped
 *
 * A commit group is what commit_take is given: its batches are checked and
 * applied one after the other (a refused one leaves no trace), its frame goes
 * to the pending log, one sync makes it durable, its root is published, and
 * its requests come back from commit_collect.  While one group syncs (on the
 * log thread), the next may be applied.  With a single request and no sync in
 * flight the sync is done inline.
 *
 * A group of relaxed requests only is written to the log and published without
 * a sync: it outlives the daemon, but not a power cut.  The next group that has
 * another request syncs it too, a commit_tick does otherwise.  What is durable
 * is always all up to some commit.  A request that is not relaxed is finished
 * only when everything it saw is durable, also if it wrote nothing: an empty
 * batch is a barrier.
 *
 * Fatal errors: a failed sync, or a failed write of log, pages or meta, makes
 * the engine refuse everything from then on (commit_failed); requests whose
 * outcome is open are given BTS_UNKNOWN, and the daemon exits and recovers.
 *
 * One thread calls all of this (the event loop's).  The engine has threads of
 * its own for log syncs and checkpoints.
 */
#ifndef COMMIT_COMMIT_H
#define COMMIT_COMMIT_H

#include "commit/histogram.h"
#include "format/beacon.h"
#include "pages/file.h"
#include "pages/horizon.h"
#include "read/tree.h"
#include "tree/apply.h"

struct commit;

#define COMMIT_LOG_SIZE_MIN (16u << 20) /* of segments of 4 MiB; less is raised to it */

struct commit_options {
    const char *path;                  /* the database file */
    const struct file_system *system;  /* NULL: file_system_real */
    bool create;                       /* a missing file is created */
    size_t page_size;                  /* of a new file; 0: 4096 */
    uint64_t map_span;                 /* 0: default */
    uint64_t log_segment_size;         /* bytes; 0: 4 MiB */
    uint64_t log_size_max;             /* bytes; a checkpoint begins at half of it; 0: 64 MiB */
    size_t direct_min;                 /* of a batch that may bypass the log; 0: 512 KiB */
    unsigned direct_percent;           /* pages to batch that are worth it at most; 0: 125 */
    size_t replay_private_max;         /* pages that replay keeps in memory; 0: 512 KiB */
    unsigned checkpoint_age_ms;        /* no commit waits longer for a checkpoint; 0: 30 s */
    bool inline_only;                  /* no threads at all: for tests and tools */
    bool scan_always;                  /* each group looks at snapshots: for tests, as it is
                                          the clock that says when else */
    void (*note)(void *context, const char *text); /* one line for the log; NULL: dropped */
    void *note_context;
};

/*
 * Opens or creates the files and takes the locks that make this the store's
 * only daemon.  BTS_BUSY: another one serves it.  BTS_NOT_FOUND: no file, and
 * create is false.  BTS_INVALID: not a regular file, a network file system,
 * or impossible options.  BTS_DAMAGED, BTS_VERSION, BTS_DENIED, BTS_IO,
 * BTS_NO_SPACE.  `options->system` and the note must outlive the engine.
 */
BTS_MUST_USE enum bts_status commit_open(const struct commit_options *options,
                                         struct commit **commit, struct bts_error *error);

struct commit_identity {
    uint8_t uuid[16];
    uint64_t device;
    uint64_t inode;
    size_t page_size;
    pgno_t file_pages;   /* the file's size in pages when it was opened */
};
struct commit_identity commit_identity(const struct commit *commit);

/*
 * Recovers: replays the pending log, makes a checkpoint, publishes it in
 * `beacon` and is then serving.  `horizon` holds the slot files of readers that
 * survived an earlier daemon; `survivors`: there are some, and pages below the
 * old high-water mark are left alone until they are gone.  Both must outlive
 * the engine.  Replay counts are noted through options.note.
 *
 * BTS_DAMAGED: the log is missing, does not fit, or has a hole; a map or a page
 * does not verify.  After any failure no reader has seen a change and the log
 * is as it was: commit_close, and perhaps try it all again (BTS_NO_SPACE).
 */
BTS_MUST_USE enum bts_status commit_recover(struct commit *commit, struct beacon *beacon,
                                            struct horizon *horizon, bool survivors,
                                            struct bts_error *error);

/* One batch and its outcome.  The caller owns it and what it points to until it is collected. */
struct commit_request {
    const void *batch;
    size_t size;
    bool relaxed;                 /* finished once it is in the log file: a sync follows later */
    enum bts_status status;
    txnid_t txnid;                /* BTS_OK: its commit; a refusal: the state it was judged in */
    struct apply_results results; /* freed by the caller */
    struct bts_error error;
    uint64_t taken_us;            /* the engine's: when */
    void *owner;                  /* the caller's */
    struct commit_request *next;  /* list in, list out */
};

/* Whether commit_take would begin a group now (else collect first). */
bool commit_ready(const struct commit *commit);

/*
 * Begins a group with these requests (a list by `next`), in order; what is too
 * much for one group waits inside for the next.  A lone request may be finished
 * when this returns: commit_collect is to be called, nothing else tells.
 */
void commit_take(struct commit *commit, struct commit_request *requests);

/*
 * Finished requests, in order, as a list; NULL: none.  Their states are
 * published, and durable (relaxed ones: in the log file).
 */
struct commit_request *commit_collect(struct commit *commit);

/* Readable when a thread has something for commit_tick, or a ticket is done (an eventfd). */
int commit_event_fd(const struct commit *commit);

/*
 * To be called when commit_event_fd is readable, and once in 100 ms: takes the
 * results of threads, begins checkpoints that are due, reclaims, has relaxed
 * commits synced.  Then call commit_collect.
 */
void commit_tick(struct commit *commit);

/* BTS_OK, or the fatal error that ended the engine's work. */
BTS_MUST_USE enum bts_status commit_failed(const struct commit *commit, struct bts_error *error);

/* The newest published state: its directory, read through the daemon's own map. */
struct tree_view commit_latest(const struct commit *commit);

/*
 * A checkpoint that somebody asked for.  The caller owns the ticket and keeps
 * it until `done` (looked at when commit_event_fd is readable) or until
 * commit_checkpoint_forget.
 */
struct commit_checkpoint {
    bool pin;             /* asked: keep its state pinned */
    bool done;            /* durable: the fields below are filled */
    txnid_t txnid;
    pgno_t root;
    uint32_t depth;
    uint64_t bucket_count;
    pgno_t page_count;
    struct slot *slot;    /* pin: of ours, until commit_checkpoint_forget; NULL: all were taken */
    struct commit_checkpoint *next; /* the engine's */
};

/* Asks for a checkpoint, now or right after the one in progress; `ticket` may be NULL. */
void commit_checkpoint_request(struct commit *commit, struct commit_checkpoint *ticket);
/* Takes the ticket back and lets go of its pin. */
void commit_checkpoint_forget(struct commit *commit, struct commit_checkpoint *ticket);
/* The last durable checkpoint. */
txnid_t commit_checkpoint_txnid(const struct commit *commit);

/* A fresh read-only descriptor of the data file for a reader (no lock of ours on it). */
BTS_MUST_USE enum bts_status commit_reader_descriptor(const struct commit *commit, int *fd,
                                                      struct bts_error *error);

struct commit_stat {
    txnid_t latest;
    txnid_t durable;             /* everything up to it is; below latest: relaxed commits follow */
    txnid_t checkpoint;
    uint64_t groups;
    uint64_t batches;
    uint64_t refused;
    uint64_t syncs;
    uint64_t log_bytes;          /* in frames not yet covered by a checkpoint */
    uint64_t log_size;
    uint64_t checkpoints;
    uint64_t direct;             /* groups that a checkpoint committed, without the log */
    uint64_t replayed_frames;    /* by the recovery at start */
    uint64_t replayed_operations;
    struct space_stat space;
};
struct commit_stat commit_stat(const struct commit *commit);
/* Where the time of commits goes, in microseconds, over the last ten to twenty seconds. */
enum commit_stage {
    COMMIT_STAGE_WAIT,   /* a request, from commit_take to its turn in a group */
    COMMIT_STAGE_APPLY,  /* a group: checked, applied, its pages written */
    COMMIT_STAGE_LOG,    /* a group: its frame written, and synced */
    COMMIT_STAGE_TOTAL,  /* a request, from commit_take to its answer */
    COMMIT_STAGE_GROUP,  /* no time: requests in a group */
    COMMIT_STAGES
};
struct histogram_summary commit_stage_summary(const struct commit *commit,
                                              enum commit_stage stage);
/* What the checkpoint in progress has written back, in parts of 1000; -1: there is none. */
int commit_checkpoint_progress(const struct commit *commit);
/* The most bytes the log may have; a checkpoint begins at half of it. */
uint64_t commit_log_limit(const struct commit *commit);

/* Looks at all snapshots now, and not some time after the next commit. */
void commit_look(struct commit *commit);

/* Bytes that a snapshot at `txnid` keeps from reuse, at most, as of the last look. */
uint64_t commit_retained_bytes(const struct commit *commit, txnid_t txnid);

/*
 * Clean stop: finishes what was taken, makes a checkpoint marked clean, cuts
 * the file behind its last page in use if nobody maps it, and removes the
 * pending log.  On failure the log stays and the next start replays.
 */
BTS_MUST_USE enum bts_status commit_stop(struct commit *commit, struct bts_error *error);

/* Frees everything; without commit_stop it is as if the process had been killed. */
void commit_close(struct commit *commit);

#endif
