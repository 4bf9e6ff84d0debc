/* SPDX-License-Identifier: MIT */
/*
 * kill_writers: processes that write until their daemon is gone, and what they
 * know about what they wrote.
 *
 * Each writer owns its keys.  In memory that outlives it, it notes before a
 * commit what it is about to write, and after the acknowledgement that it
 * holds.  Every value is made from its key and a version, and every
 * transaction also writes, in another bucket, the digest of all keys of the
 * writer: so any process can check any snapshot without knowing its history.
 *
 * Invariants
 *  (1) acknowledged <= found <= on its way, for every key.
 *  (2) A transaction is there wholly or not at all.
 *  (3) In every snapshot the digest of a writer is that of its keys.
 */
#ifndef KILL_WRITERS_H
#define KILL_WRITERS_H

#include "../process/harness.h"

#define KILL_WRITERS 4u
#define KILL_KEYS 300u /* a writer's */
#define KILL_TRANSACTION_MAX 6u

/* 0: the key is absent; else the number that its value is made from. */
typedef uint32_t version_t;

struct kill_writer {
    version_t acknowledged[KILL_KEYS];
    uint32_t pending_count; /* keys of the transaction on its way; 0: none */
    uint32_t pending_key[KILL_TRANSACTION_MAX];
    version_t pending_version[KILL_TRANSACTION_MAX];
    version_t next_version;
    uint64_t commits; /* acknowledged */
    uint64_t settled; /* not acknowledged, but found there */
    uint64_t random;
};

/* Shared by driver and writers. */
struct kill_writers {
    struct harness *harness;
    struct kill_writer writers[KILL_WRITERS];
    pid_t pids[KILL_WRITERS];
};

/* Makes the bucket of the digests in a store that is served. */
void kill_writers_init(struct kill_writers *writers, struct harness *harness);
/* Starts the processes; each ends by itself when the daemon is gone. */
void kill_writers_start(struct kill_writers *writers);
void kill_writers_join(struct kill_writers *writers);
/* Checks the newest state of the store against what is known; none may be writing. */
void kill_writers_verify(struct kill_writers *writers, struct bts_store *store);
uint64_t kill_writers_commits(const struct kill_writers *writers);

/*
 * Walks the keys of one writer in a snapshot, whoever writes meanwhile: every
 * value must be whole and the digest right.  Returns the digest.
 */
uint64_t kill_writers_walk(const struct bts_snapshot *snapshot, unsigned index);

#endif
