/* SPDX-License-Identifier: MIT */
/*
 * btstore.h: the whole public interface of libbtstore.
 *
 * A store is one database file that many processes of one machine share.
 * Reading needs no system call, no lock and no copy: a snapshot pins one
 * committed state, and what bts_get and the cursors hand out points into a
 * read-only map of the file.  Writing sends batches to the daemon of the
 * store, btstored, and returns when they are durable.
 *
 * Conventions
 *  - Every fallible function returns an enum bts_status and takes, last, a
 *    struct bts_error that it fills on failure with one line of text that
 *    says who, what, where and what next.  NULL is allowed: no text then.
 *    BTS_NOT_FOUND and BTS_END are answers, not failures: no text.
 *  - Out-parameters are zeroed or NULL on failure.
 *  - Keys are 1 to 996 bytes with 4 KiB pages (bts_stat tells the limit),
 *    values 0 to 64 MiB, bucket names 1 to 255 bytes; all are plain bytes.
 *    Keys are ordered as memcmp orders them, a prefix first.
 *  - Sizes are bytes, times are milliseconds.
 *  - Threads: a struct bts_store and a struct bts_snapshot may be used by
 *    many threads at once, except to close them; a cursor and a batch belong
 *    to one thread at a time.
 *  - fork: a child may use nothing that its parent opened except
 *    bts_store_close; every other call says BTS_FORKED.  It opens the store
 *    again.  Nothing a child does can harm the parent's snapshots.
 */
#ifndef BTSTORE_H
#define BTSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BTS_API __attribute__((visibility("default")))
#define BTS_MUST_USE __attribute__((warn_unused_result))
#else
#define BTS_API
#define BTS_MUST_USE
#endif

/* ---- status and error ---------------------------------------------------- */

enum bts_status {
    BTS_OK = 0,
    BTS_NOT_FOUND = 1,         /* no such key */
    BTS_END = 2,               /* a cursor has no entry there */
    BTS_NO_BUCKET = 3,         /* no bucket of that name or number */
    BTS_EXISTS = 4,            /* the bucket to create is there already */
    BTS_CONFLICT = 5,          /* a condition of the batch does not hold: nothing was written */
    BTS_INVALID = 6,           /* an argument or a message makes no sense */
    BTS_LIMIT = 7,             /* over a limit; the text names it */
    BTS_NO_MEMORY = 8,         /* malloc failed: nothing was changed */
    BTS_NO_SPACE = 9,          /* the disk is full: nothing was changed */
    BTS_IO = 10,               /* the system refused a call; the text names it */
    BTS_DAMAGED = 11,          /* bytes in the file do not verify; the text names the page */
    BTS_VERSION = 12,          /* a file or a peer of a version this one does not know */
    BTS_BUSY = 13,             /* another daemon or reader holds what is needed */
    BTS_UNAVAILABLE = 14,      /* no daemon answers: reading goes on, writing does not */
    BTS_DENIED = 15,           /* the daemon's access rules refuse this user */
    BTS_UNKNOWN = 16,          /* the connection broke: the commit happened wholly or not at all */
    BTS_TIMEOUT = 17,          /* the time given has passed */
    BTS_FORKED = 18,           /* the store was opened by another process */
    BTS_SNAPSHOT_REVOKED = 19, /* the daemon took the snapshot back */
    BTS_READ_ONLY = 20,        /* the store was opened without a daemon */
};

#define BTS_ERROR_TEXT_MAX 480

struct bts_error {
    enum bts_status status;
    char text[BTS_ERROR_TEXT_MAX]; /* one line, NUL-terminated, no newline */
};

/* The name of a status, as "BTS_NOT_FOUND"; a static string, never NULL. */
BTS_API const char *bts_status_name(enum bts_status status);

/* ---- store --------------------------------------------------------------- */

/* An open store; opaque, made by bts_store_open. */
struct bts_store;

enum bts_open_flags {
    BTS_OPEN_NO_START = 1u << 0, /* do not start a private daemon: BTS_UNAVAILABLE instead */
    BTS_OPEN_ALONE = 1u << 1,    /* no daemon at all: read the file's newest checkpoint as it lies
                                    (a backup, read-only media); writing says BTS_READ_ONLY */
    BTS_OPEN_MUST_EXIST = 1u << 2, /* a private daemon that is started does not create the file */
    BTS_OPEN_IGNORE_PENDING = 1u << 3, /* with BTS_OPEN_ALONE: show the newest checkpoint although
                                          later commits lie in the pending log, or were in it */
};

struct bts_options {
    unsigned flags;            /* enum bts_open_flags, or 0 */
    unsigned timeout_ms;       /* for connecting and for each reply; 0: 30,000 */
    uint64_t map_size_bytes;   /* address space to reserve; 0: 1 TiB, halved while refused */
    const char *daemon_path;   /* the program a private daemon is started from; NULL: the
                                  btstored that was installed with this library */
};

/*
 * Opens the store at `path`: the database file, or the daemon's socket.
 * If no daemon serves the file and the caller may write to it, a private
 * daemon is started, which ends by itself 10 seconds after its last client.
 * A missing file is created by that daemon.  `options` may be NULL: all zero.
 * One open per process is enough: a second open of the same file works and
 * costs a second map.
 *
 * BTS_UNAVAILABLE: no daemon, and none may be or could be started.
 * BTS_DENIED: the daemon refuses this user.  BTS_VERSION: file or daemon of
 * another version.  BTS_DAMAGED: no valid meta page (BTS_OPEN_ALONE).
 * BTS_BUSY: BTS_OPEN_ALONE, but a daemon serves the file, or it was not closed
 * cleanly, so that later commits lie in its pending log: start btstored.  Or:
 * the daemon serves a file that was renamed or replaced since.  BTS_TIMEOUT: a
 * daemon is there and does not answer.
 */
BTS_API BTS_MUST_USE enum bts_status bts_store_open(const char *path,
                                                    const struct bts_options *options,
                                                    struct bts_store **store,
                                                    struct bts_error *error);

/*
 * Closes the store and frees everything of it: all pointers read from it are
 * void.  Every snapshot must have been closed and no other thread may be
 * inside a call.  NULL is allowed.  In a fork child it frees the child's copy
 * and touches nothing of the parent's.
 */
BTS_API void bts_store_close(struct bts_store *store);

/*
 * Which page of the file lies at `address`, if that is in this store's map:
 * for a SIGBUS handler, where it may be called.  False: not in the map; or
 * another thread is attaching to a new daemon at this moment.
 *
 * Reading goes through a map of the file.  A load from where the file no
 * longer reaches, because somebody cut it short, or where its disk fails,
 * raises SIGBUS, of which a program dies unless it handles it.  The daemon
 * never cuts a file below what its readers may touch, and its readers cannot,
 * so this is for files that others can write: one that is opened alone, say.
 * The library installs no handler.  bts_store_check and bts_store_salvage read
 * no map and report such pages.
 */
BTS_API bool bts_store_page_at(struct bts_store *store, const void *address, uint64_t *page);

/* The socket that serves the store; valid until bts_store_close; "" when alone. */
BTS_API const char *bts_store_socket(const struct bts_store *store);

/* ---- bytes --------------------------------------------------------------- */

/*
 * Bytes inside the map of a store.  They stay as they are until the snapshot
 * they were read from is closed or renewed.  No terminating NUL.
 */
struct bts_bytes {
    const void *data;
    size_t size;
};

/* ---- snapshots ----------------------------------------------------------- */

/*
 * One committed state of the whole store, pinned: later commits do not change
 * what it shows.  The caller gives the memory (no allocation); it must not be
 * moved or copied while open.  A snapshot that stays open keeps its pages from
 * being reused: close or renew it when the work is done.
 */
struct bts_snapshot {
    uint64_t opaque[8];
};

/*
 * Pins the newest committed state.  Costs nanoseconds and makes no system
 * call (once a second one call looks whether the daemon was replaced).
 * BTS_BUSY: all slots of this process are in use (1,023 snapshots at once).
 * BTS_FORKED: see above.
 */
BTS_API BTS_MUST_USE enum bts_status bts_snapshot_open(struct bts_store *store,
                                                       struct bts_snapshot *snapshot,
                                                       struct bts_error *error);

/*
 * Moves an open snapshot to the newest state, a little cheaper than close and
 * open.  What was read from it before is void.  On failure it is closed.
 */
BTS_API BTS_MUST_USE enum bts_status bts_snapshot_renew(struct bts_snapshot *snapshot,
                                                        struct bts_error *error);

/* Lets go of the state.  A snapshot that is closed or zeroed already is left alone. */
BTS_API void bts_snapshot_close(struct bts_snapshot *snapshot);

/* The number of the commit that made this state; it grows with every commit. */
BTS_API uint64_t bts_snapshot_txnid(const struct bts_snapshot *snapshot);

/* ---- buckets, read side -------------------------------------------------- */

#define BTS_BUCKET_NAME_MAX 255
#define BTS_DEFAULT_BUCKET "default" /* bucket number 0; always exists */

/* A bucket as one snapshot shows it; plain data, valid as long as the snapshot. */
struct bts_bucket {
    uint32_t id;          /* the bucket's number; never used again for another one */
    uint32_t root;        /* private */
    uint32_t depth;       /* private */
    uint32_t reserved;
    uint64_t entry_count; /* entries in the bucket */
};

/* Looks a bucket up by name.  BTS_NO_BUCKET: this state has none of that name. */
BTS_API BTS_MUST_USE enum bts_status bts_bucket_open(const struct bts_snapshot *snapshot,
                                                     const void *name, size_t name_size,
                                                     struct bts_bucket *bucket,
                                                     struct bts_error *error);

/* ---- reading ------------------------------------------------------------- */

/*
 * Finds one key.  `value` points into the map (see struct bts_bytes).
 * BTS_NOT_FOUND: no such key; a key over the limit is not found either.
 * BTS_DAMAGED: a page on the way does not verify.
 */
BTS_API BTS_MUST_USE enum bts_status bts_get(const struct bts_snapshot *snapshot,
                                             const struct bts_bucket *bucket, const void *key,
                                             size_t key_size, struct bts_bytes *value,
                                             struct bts_error *error);

/* One key of bts_get_many and what became of it. */
struct bts_lookup {
    const void *key; /* set by the caller */
    size_t key_size;
    struct bts_bytes value; /* set by the call; {NULL, 0} unless status is BTS_OK */
    enum bts_status status; /* BTS_OK, BTS_NOT_FOUND, or the failure of this key */
};

/*
 * Finds many keys at once, several times faster than as many bts_get: the
 * descents run side by side.  Any number, any order, repeats allowed.
 * BTS_OK: each lookup has its status.  Otherwise the first failure; lookups
 * that did not fail are valid all the same.
 */
BTS_API BTS_MUST_USE enum bts_status bts_get_many(const struct bts_snapshot *snapshot,
                                                  const struct bts_bucket *bucket,
                                                  struct bts_lookup *lookups, size_t lookup_count,
                                                  struct bts_error *error);

/* ---- cursors ------------------------------------------------------------- */

/*
 * A place in a bucket's key order.  The caller gives the memory; nothing is
 * allocated, so nothing is to be freed.  Valid as long as its snapshot.
 * After a positioning call returned BTS_OK, `bts_cursor_next` and `_prev`
 * move by one entry.  BTS_END: no entry there (within the bounds, if any);
 * from the end, the opposite move returns the last (or first) entry again.
 */
struct bts_cursor {
    uint64_t opaque[80];
};

/* Starts a cursor over the whole bucket; position it before anything else. */
BTS_API void bts_cursor_init(struct bts_cursor *cursor, const struct bts_snapshot *snapshot,
                             const struct bts_bucket *bucket);

/*
 * Bounds the cursor to from <= key < to; NULL leaves that side open.  The
 * bytes are not copied: they must stay valid as long as the cursor is used.
 * The position is lost.
 */
BTS_API void bts_cursor_set_range(struct bts_cursor *cursor, const void *from, size_t from_size,
                                  const void *to, size_t to_size);

/* Bounds the cursor to the keys that begin with `prefix`; not copied either. */
BTS_API void bts_cursor_set_prefix(struct bts_cursor *cursor, const void *prefix,
                                   size_t prefix_size);

/* Each moves, then fills key and value (either may be NULL).  BTS_OK, BTS_END, BTS_DAMAGED. */
BTS_API BTS_MUST_USE enum bts_status bts_cursor_first(struct bts_cursor *cursor,
                                                      struct bts_bytes *key,
                                                      struct bts_bytes *value,
                                                      struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_cursor_last(struct bts_cursor *cursor,
                                                     struct bts_bytes *key,
                                                     struct bts_bytes *value,
                                                     struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_cursor_next(struct bts_cursor *cursor,
                                                     struct bts_bytes *key,
                                                     struct bts_bytes *value,
                                                     struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_cursor_prev(struct bts_cursor *cursor,
                                                     struct bts_bytes *key,
                                                     struct bts_bytes *value,
                                                     struct bts_error *error);
/* To the first entry whose key is >= `key`. */
BTS_API BTS_MUST_USE enum bts_status bts_cursor_seek(struct bts_cursor *cursor, const void *key,
                                                     size_t key_size, struct bts_bytes *found_key,
                                                     struct bts_bytes *value,
                                                     struct bts_error *error);

/*
 * A cursor over the buckets themselves: keys are the names; give each name to
 * bts_bucket_open.  Values are private.
 */
BTS_API void bts_cursor_init_buckets(struct bts_cursor *cursor,
                                     const struct bts_snapshot *snapshot);

/* ---- writing ------------------------------------------------------------- */

/* The writes of one transaction, across any number of buckets; opaque. */
struct bts_batch;

/* Creates an empty batch; it writes to bucket `default` until told otherwise. */
BTS_API BTS_MUST_USE enum bts_status bts_batch_create(struct bts_batch **batch,
                                                      struct bts_error *error);
/* Frees a batch; NULL is allowed. */
BTS_API void bts_batch_destroy(struct bts_batch *batch);
/* Empties a batch so that it can be filled again; keeps its memory. */
BTS_API void bts_batch_clear(struct bts_batch *batch);

/*
 * The operations below add to the batch, in order, and copy their arguments.
 * They fail only with BTS_LIMIT (a key, value, name or the batch is too
 * large), BTS_INVALID (an empty key) or BTS_NO_MEMORY; the batch is then as
 * before.  What the store knows better (no such bucket, a condition that does
 * not hold) is told by the commit, and the whole batch is then not applied.
 */

/*
 * What a commit of the batch waits for.  BTS_DURABLE, as a new or cleared batch
 * is: the disk; nothing can undo it.  BTS_RELAXED: the daemon has it in its log
 * and everybody can read it, but the disk has it only about 100 ms later: many
 * times faster for single writes.  The death of any process loses nothing; a
 * power cut or a crash of the system may lose the last relaxed commits, in
 * order: none is lost without all that came after it, and nothing durable is.
 * A durable commit makes all commits before it durable, even one of an empty
 * batch: that is how to wait for them.
 */
enum bts_durability {
    BTS_DURABLE = 0,
    BTS_RELAXED = 1,
};
BTS_API void bts_batch_set_durability(struct bts_batch *batch, enum bts_durability durability);

/* The operations that follow apply to this bucket. */
BTS_API BTS_MUST_USE enum bts_status bts_batch_use(struct bts_batch *batch, const void *name,
                                                   size_t name_size, struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_batch_put(struct bts_batch *batch, const void *key,
                                                   size_t key_size, const void *value,
                                                   size_t value_size, struct bts_error *error);
/* Deleting a key that is not there is no error. */
BTS_API BTS_MUST_USE enum bts_status bts_batch_delete(struct bts_batch *batch, const void *key,
                                                      size_t key_size, struct bts_error *error);
/* Deletes from <= key < to; NULL leaves that side open. */
BTS_API BTS_MUST_USE enum bts_status bts_batch_delete_range(struct bts_batch *batch,
                                                            const void *from, size_t from_size,
                                                            const void *to, size_t to_size,
                                                            struct bts_error *error);
/*
 * Adds `delta` to the decimal number that the key holds (absent: 0) and
 * stores the sum as decimal text.  The commit fails with BTS_INVALID if the
 * value is no number or the sum leaves int64_t.
 */
BTS_API BTS_MUST_USE enum bts_status bts_batch_increment(struct bts_batch *batch, const void *key,
                                                         size_t key_size, int64_t delta,
                                                         struct bts_error *error);
/*
 * Conditions: unless all hold when their turn comes, the commit says
 * BTS_CONFLICT and writes nothing.
 */
BTS_API BTS_MUST_USE enum bts_status bts_batch_require_absent(struct bts_batch *batch,
                                                              const void *key, size_t key_size,
                                                              struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_batch_require_present(struct bts_batch *batch,
                                                               const void *key, size_t key_size,
                                                               struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_batch_require_equal(struct bts_batch *batch,
                                                             const void *key, size_t key_size,
                                                             const void *value, size_t value_size,
                                                             struct bts_error *error);
/*
 * Buckets: the commit fails with BTS_EXISTS or BTS_NO_BUCKET; `default` can be
 * neither dropped nor renamed.
 */
BTS_API BTS_MUST_USE enum bts_status bts_batch_bucket_create(struct bts_batch *batch,
                                                             const void *name, size_t name_size,
                                                             struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_batch_bucket_drop(struct bts_batch *batch,
                                                           const void *name, size_t name_size,
                                                           struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_batch_bucket_rename(struct bts_batch *batch,
                                                             const void *old_name,
                                                             size_t old_name_size,
                                                             const void *new_name,
                                                             size_t new_name_size,
                                                             struct bts_error *error);

/*
 * Commits the batch and returns when it is durable (bts_batch_set_durability:
 * or written): `txnid` (may be NULL) is then the number of its commit, and every
 * snapshot opened from now on, by any process, shows it.  The batch stays the
 * caller's and can be committed again.  Several threads may commit at once.
 *
 * BTS_CONFLICT, BTS_NO_BUCKET, BTS_EXISTS, BTS_INVALID, BTS_LIMIT,
 * BTS_NO_SPACE: refused as a whole; nothing was written.  BTS_UNAVAILABLE: no
 * daemon could be reached; nothing was sent.  BTS_UNKNOWN: it was sent and
 * the connection broke: it is applied wholly or not at all; read to find out.
 * The library never sends a batch twice.
 */
BTS_API BTS_MUST_USE enum bts_status bts_commit(struct bts_store *store,
                                                const struct bts_batch *batch, uint64_t *txnid,
                                                struct bts_error *error);

/*
 * Pipelined commits: many on their way from one thread, which share the daemon's
 * syncs; with 64 of them one client writes about as much as 64 clients do.  They
 * are committed in the order of submission.
 *
 * Sends the batch and returns at once with a ticket for bts_commit_wait, which
 * waits for the outcome, at most `timeout_ms` (0: only looks).  Each ticket
 * must be waited for once; tickets may be waited for in any order.  Up to
 * 1,024 tickets at a time (BTS_BUSY).  BTS_TIMEOUT leaves the ticket valid.
 */
BTS_API BTS_MUST_USE enum bts_status bts_commit_submit(struct bts_store *store,
                                                       const struct bts_batch *batch,
                                                       uint64_t *ticket, struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_commit_wait(struct bts_store *store, uint64_t ticket,
                                                     unsigned timeout_ms, uint64_t *txnid,
                                                     struct bts_error *error);

/* One-shot writes: a batch of one operation, committed. */
BTS_API BTS_MUST_USE enum bts_status bts_put(struct bts_store *store, const void *bucket_name,
                                             size_t bucket_name_size, const void *key,
                                             size_t key_size, const void *value, size_t value_size,
                                             uint64_t *txnid, struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_delete(struct bts_store *store, const void *bucket_name,
                                                size_t bucket_name_size, const void *key,
                                                size_t key_size, uint64_t *txnid,
                                                struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_bucket_create(struct bts_store *store, const void *name,
                                                       size_t name_size, uint64_t *txnid,
                                                       struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_bucket_drop(struct bts_store *store, const void *name,
                                                     size_t name_size, uint64_t *txnid,
                                                     struct bts_error *error);
BTS_API BTS_MUST_USE enum bts_status bts_bucket_rename(struct bts_store *store,
                                                       const void *old_name, size_t old_name_size,
                                                       const void *new_name, size_t new_name_size,
                                                       uint64_t *txnid, struct bts_error *error);

/* ---- waiting ------------------------------------------------------------- */

/*
 * Waits until the newest state is `txnid` or later: any process may so wait
 * for a commit that another one made.  No polling, no socket.
 * BTS_TIMEOUT after `timeout_ms`.
 */
BTS_API BTS_MUST_USE enum bts_status bts_wait(struct bts_store *store, uint64_t txnid,
                                              unsigned timeout_ms, struct bts_error *error);

/* ---- looking after a store ----------------------------------------------- */

struct bts_stat {
    uint8_t uuid[16];
    uint32_t page_size_bytes;
    uint32_t key_size_max_bytes;
    uint64_t value_size_max_bytes;
    uint64_t txnid;            /* newest committed state */
    uint64_t checkpoint_txnid; /* newest state in a meta page */
    uint64_t file_size_bytes;
    uint64_t page_count;       /* pages below the high-water mark */
    uint64_t bucket_count;
    uint64_t entry_count;      /* over all buckets */
};

/* Numbers of the newest state, read from the file; works without a daemon. */
BTS_API BTS_MUST_USE enum bts_status bts_store_stat(struct bts_store *store, struct bts_stat *stat,
                                                    struct bts_error *error);

/* One attached reader process. */
struct bts_reader {
    int32_t pid;
    uint32_t uid;
    uint32_t snapshot_count;  /* snapshots it has open */
    uint32_t reserved;
    uint64_t oldest_txnid;    /* the oldest of them; 0: none */
    uint64_t attached_ms;     /* how long it has been attached */
    uint64_t retained_bytes;  /* pages that only its snapshots keep from reuse; an upper bound */
};

/* Asks the daemon who reads.  `readers` is an array that the caller frees with free(). */
BTS_API BTS_MUST_USE enum bts_status bts_store_readers(struct bts_store *store,
                                                       struct bts_reader **readers,
                                                       size_t *reader_count,
                                                       struct bts_error *error);

/* Has the daemon make a checkpoint now; returns when it is durable. `txnid` may be NULL. */
BTS_API BTS_MUST_USE enum bts_status bts_store_checkpoint(struct bts_store *store, uint64_t *txnid,
                                                          struct bts_error *error);

struct bts_check_result {
    uint64_t txnid;          /* the checkpoint that was checked */
    uint64_t page_count;     /* pages below its high-water mark */
    uint64_t reachable;      /* pages that its root, metas and maps reach */
    uint64_t mapped;         /* pages that its space map says are in use */
    uint64_t leaked;         /* in the map, not reachable */
    uint64_t missing;        /* reachable, not in the map */
    uint64_t damaged;        /* pages that do not verify */
    uint64_t pending_frames; /* frames of the pending log that wait for replay (alone only) */
};

/* Called for each finding; `text` is valid during the call. */
typedef void bts_check_report(void *argument, const char *text);

/*
 * Checks every page of the newest checkpoint: checksums, structure, key order,
 * counts, and that the space map names exactly the pages that are reachable.
 * On a served store it first has the daemon make a checkpoint and pins it;
 * on one opened alone it reads file and log as they lie.  Changes nothing.
 * BTS_OK: nothing wrong.  BTS_DAMAGED: `result` and the reports say what.
 */
BTS_API BTS_MUST_USE enum bts_status bts_store_check(struct bts_store *store,
                                                     struct bts_check_result *result,
                                                     bts_check_report *report, void *argument,
                                                     struct bts_error *error);

/* What a line of a salvage is about. */
enum bts_salvage_event {
    BTS_SALVAGE_NOTE = 0,   /* how it went about it */
    BTS_SALVAGE_DAMAGE = 1, /* a page that does not verify; what it led to may be found */
    BTS_SALVAGE_FOUND = 2,  /* entries in a page that no tree leads to */
    BTS_SALVAGE_LOST = 3,   /* something that is not in the new store, or not for certain */
    BTS_SALVAGE_BUCKET = 4, /* a bucket: how many entries were written, of how many */
};

enum bts_salvage_flags {
    BTS_SALVAGE_OLD = 1u << 0, /* for keys that are lost, take old versions from free pages, too;
                                  keys that were deleted may come back */
};

struct bts_salvage_result {
    uint64_t txnid;          /* of the state that was read: its newest checkpoint */
    uint64_t new_txnid;      /* newest commit of the new store; 0: nothing was written */
    uint64_t bucket_count;
    uint64_t entry_count;    /* entries of the checkpoint that were written */
    uint64_t promised_count; /* entries that the buckets' records promise */
    uint64_t found_count;    /* of those written, in pages that no tree leads to */
    uint64_t damaged;        /* lines of BTS_SALVAGE_DAMAGE */
    uint64_t lost;           /* lines of BTS_SALVAGE_LOST */
    uint64_t pending_frames; /* later commits, applied from the pending log */
};

/* Called for each line; `text` has no newline and is valid during the call. */
typedef void bts_salvage_report(void *argument, enum bts_salvage_event event, const char *text);

/*
 * Writes what the damaged file at `path` and its pending log still hold into
 * a new store at `new_path`, and reports what is lost.  No daemon may serve
 * the damaged file; it and its log are only read, never written.  `new_path`
 * must not exist, or be a store without entries; a private daemon writes it,
 * as `options` (may be NULL) say.  `flags`: enum bts_salvage_flags, or 0.
 *
 * BTS_OK: nothing is lost.  BTS_DAMAGED: something is, or (result->new_txnid
 * is 0) the file is no store.  BTS_BUSY: a daemon serves it.  BTS_EXISTS: the
 * new store is not empty.  After any other failure the new store is incomplete.
 */
BTS_API BTS_MUST_USE enum bts_status bts_store_salvage(const char *path, const char *new_path,
                                                       unsigned flags,
                                                       const struct bts_options *options,
                                                       struct bts_salvage_result *result,
                                                       bts_salvage_report *report, void *argument,
                                                       struct bts_error *error);

/*
 * Sends one command of the daemon's protocol as `part_count` byte strings and
 * returns its reply, undecoded RESP, in memory that the caller frees with
 * free().  For tools; see btstored(8) for the commands.
 */
BTS_API BTS_MUST_USE enum bts_status bts_store_command(struct bts_store *store,
                                                       const struct bts_bytes *parts,
                                                       size_t part_count, char **reply,
                                                       size_t *reply_size,
                                                       struct bts_error *error);

#ifdef __cplusplus
}
#endif
#endif
