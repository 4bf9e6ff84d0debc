/* SPDX-License-Identifier: MIT */
/*
 * pending_log: the file NAME.pending: commit groups that no checkpoint holds yet.
 *
 * The file is a row of segments (format/pending_frame.h).  They are written
 * with zeros when they are added, filled in the order of their sequence
 * numbers, and used again once a checkpoint covers all that is in them.
 *
 *   FREE --- next frame does not fit, or a new epoch ---> LIVE
 *   LIVE --- pending_log_release, behind the checkpoint ---> FREE
 *   LIVE --- pending_log_begin, a new epoch ---> OLD --- release ---> FREE
 *
 * Invariants
 *  (1) A segment becomes free only when a checkpoint whose both metas are
 *      durable needs nothing of it.  The segment that holds the byte before
 *      that checkpoint's log position stays, so that the log can prove that it
 *      belongs to the meta.
 *  (2) An acknowledged block is never rewritten before its segment is free.
 *  (3) PENDING_LOG_RESERVE segments are never filled by commits: a recovery
 *      finds room for its new epoch even on a full disk.
 *  (4) All frames are written through one descriptor in one mode.
 *
 * Threads: pending_log_write may run in another thread than the rest; the
 * owner makes sure that it runs once at a time and in the order of places.
 */
#ifndef COMMIT_PENDING_LOG_H
#define COMMIT_PENDING_LOG_H

#include "format/pending_frame.h"
#include "pages/file.h"

#define PENDING_LOG_RESERVE 2u
#define PENDING_LOG_KEPT_SIZE (64u << 20)
/* Two to fill in turn, so that a log that cannot grow still goes on; and the reserve. */
#define PENDING_LOG_SEGMENTS_MIN (2 + PENDING_LOG_RESERVE)

enum pending_segment_use {
    PENDING_SEGMENT_FREE,
    PENDING_SEGMENT_LIVE, /* of this epoch */
    PENDING_SEGMENT_OLD,  /* of the epoch before, until the new one has its checkpoint */
};

/* One segment of the file; its index is its place. */
struct pending_log_segment {
    enum pending_segment_use use;
    bool written;                  /* a sync of writes to it moves no metadata: use it first */
    bool known;                    /* a header could be read: the fields below */
    uint64_t epoch;
    uint64_t sequence;
    txnid_t first_txnid;
    size_t walked;                 /* scan and replay took all frames before this byte; 0: none */
};

struct pending_log {
    struct file file;
    uint8_t uuid[16];
    uint32_t segment_size;
    size_t kept_size;              /* bytes of segments that a replay holds in memory; tests less */
    size_t segment_count;
    size_t segment_max;            /* the file has no more than so many */
    struct pending_log_segment *segments;
    uint64_t epoch;                /* 0: none begun */
    size_t current;                /* index of the segment that is filled now */
    uint64_t sequence;             /* its number */
    uint32_t offset;               /* where its next frame goes */
    bool is_direct;                /* writes pass the cache, as far as we know; the writer's */
    uint64_t start;                /* position up to which pending_log_release was called */
};

/* ---- a frame under construction ----------------------------------------- */

/*
 * The batches of a group as they are accepted.  `bytes` is aligned to
 * PENDING_BLOCK: one block of room for a segment header, then the frame.
 */
struct pending_buffer {
    uint8_t *bytes;
    size_t room;
    size_t body_size;
    uint32_t batch_count;
};

/* Zero a buffer to start; fini frees. */
void pending_buffer_fini(struct pending_buffer *buffer);
static inline void pending_buffer_clear(struct pending_buffer *buffer)
{
    buffer->body_size = 0;
    buffer->batch_count = 0;
}
/* Bytes that a batch takes in a body. */
static inline size_t pending_buffer_need(size_t batch_size)
{
    return sizeof(uint32_t) + batch_size;
}
/* Makes room for a body of `body_size` bytes, so that adding that much cannot fail. */
BTS_MUST_USE enum bts_status pending_buffer_reserve(struct pending_buffer *buffer,
                                                    size_t body_size, struct bts_error *error);
/* Appends a batch; room was reserved. */
void pending_buffer_add(struct pending_buffer *buffer, const void *batch, size_t size);

/* Where a frame goes in the file and in the log. */
struct pending_place {
    uint64_t file_offset; /* of what is written: the frame, or the segment header before it */
    size_t size;
    bool opens_segment;   /* the write begins with a segment header */
    uint64_t end;         /* the log position behind the frame */
};

/* ---- the log ------------------------------------------------------------ */

/* Zeroes `log` to the closed state. */
void pending_log_init(struct pending_log *log);

/*
 * Opens the log at `path` for the store `uuid` and reads its segment headers;
 * the file may be missing or empty.  `segment_size` counts for a new log only.
 * BTS_DAMAGED: the file is no pending log, or another store's: it is left as
 * it is.  BTS_VERSION, BTS_IO, BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status pending_log_open(struct pending_log *log,
                                              const struct file_system *system, const char *path,
                                              const uint8_t uuid[16], uint32_t segment_size,
                                              uint64_t size_max, struct bts_error *error);
void pending_log_close(struct pending_log *log);

/*
 * Begins epoch `epoch`, whose first frame will be `first_txnid`: its first
 * segment is durable when this returns, and so is the directory entry.
 * Segments of the epoch before are left as they are until pending_log_release.
 */
BTS_MUST_USE enum bts_status pending_log_begin(struct pending_log *log, uint64_t epoch,
                                               txnid_t first_txnid, struct bts_error *error);

/* The position where the next frame goes, or where replay would find it. */
uint64_t pending_log_position(const struct pending_log *log);

/* The largest body that fits in one frame. */
static inline size_t pending_log_body_max(const struct pending_log *log)
{
    return log->segment_size - PENDING_BLOCK - PENDING_FRAME_HEADER_SIZE;
}

/*
 * Makes sure that a frame with this body can be placed, adding a segment if
 * need be.  BTS_BUSY: the log is full, a checkpoint must release some of it.
 * BTS_NO_SPACE: it could grow, but the disk is full.
 */
BTS_MUST_USE enum bts_status pending_log_reserve(struct pending_log *log, size_t body_size,
                                                 struct bts_error *error);

/* Seals the frame of group `txnid` and gives it its place; pending_log_reserve said yes. */
void pending_log_place(struct pending_log *log, struct pending_buffer *buffer, txnid_t txnid,
                       txnid_t durable, struct pending_place *place);

/*
 * Writes a placed frame, and syncs it and all before it if `sync`.  From the
 * first that is not synced on the log is written through the cache: such a write
 * need not wait for the device.  A failure is fatal: the frame may be there or
 * not.
 */
BTS_MUST_USE enum bts_status pending_log_write(struct pending_log *log,
                                               const struct pending_buffer *buffer,
                                               const struct pending_place *place, bool sync,
                                               struct bts_error *error);
/* Makes durable what was written without.  A failure is fatal. */
BTS_MUST_USE enum bts_status pending_log_sync(const struct pending_log *log,
                                              struct bts_error *error);

/* A checkpoint that continues at `position` of this epoch is durable in both metas. */
void pending_log_release(struct pending_log *log, uint64_t position);

/* Bytes between the last release and the end: what replay would read. */
static inline uint64_t pending_log_bytes(const struct pending_log *log)
{
    return pending_log_position(log) - log->start;
}
static inline uint64_t pending_log_size(const struct pending_log *log)
{
    return (uint64_t)log->segment_count * log->segment_size;
}

/* Asserts the invariants; for tests. */
void pending_log_check(const struct pending_log *log);

/* ---- reading it back ---------------------------------------------------- */

/* What a meta says about the log that continues it. */
struct pending_claim {
    bool clean;        /* no log is needed */
    uint64_t epoch;
    uint64_t position;
    txnid_t txnid;     /* of the meta */
};

struct pending_found {
    uint64_t frame_count;
    uint64_t batch_count;
    txnid_t last_txnid;    /* claim.txnid when there are no frames */
    txnid_t newest_txnid;  /* of any frame of the epoch: relaxed ones may lie behind a gap */
    uint64_t newest_epoch; /* of any segment, the claim's included */
};

/*
 * Whether the log fits the meta, and what it holds beyond it.  BTS_DAMAGED: it
 * is missing, of another state of the store, or has a hole; the text says
 * what.  Nothing is changed.
 */
BTS_MUST_USE enum bts_status pending_log_scan(struct pending_log *log,
                                              const struct pending_claim *claim,
                                              struct pending_found *found,
                                              struct bts_error *error);

typedef enum bts_status pending_log_each(void *context, const struct pending_frame *frame,
                                         struct bts_error *error);
/* To be told that the frames handed out so far go away. */
typedef enum bts_status pending_log_done(void *context, struct bts_error *error);
/*
 * Hands out the frames that pending_log_scan counted, in order; a failing
 * `each` or `done` ends it.  The bytes of the frames stay until `done` was
 * called: whenever kept_size of segments was read, and at the end.
 * With `done` NULL they are valid in `each` only.
 */
BTS_MUST_USE enum bts_status pending_log_replay(struct pending_log *log,
                                                const struct pending_claim *claim,
                                                pending_log_each *each, pending_log_done *done,
                                                void *context, struct bts_error *error);

#endif
