/* SPDX-License-Identifier: MIT */
/*
 * adapter: what a store must be able to do to be measured beside ours.
 *
 * One table of functions per store, in adapters/NAME.c.  An adapter does what
 * its store's manual recommends for speed at the durability that a use asks
 * for, and says in `settings` what that is.  Whatever fails ends the process
 * with a message (bench_fail): a benchmark that goes on is worth nothing.
 *
 * A function that a store has nothing like is NULL, and the store is left out
 * of the workloads that need it.  A store of `threads` is opened by the
 * threads of one process, each with a peer of its own; any other by processes.
 */
#ifndef BENCH_ADAPTER_H
#define BENCH_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct slice {
    const void *data;
    size_t size;
};

struct pair {
    struct slice key;
    struct slice value;
};

enum peer_use {
    PEER_READ,         /* many reads of a store that nobody changes */
    PEER_READ_SHARED,  /* many reads beside one writer, PEER_COMMIT in another process */
    PEER_FILL,         /* large transactions in random key order; durable after drain() */
    PEER_LOAD,         /* the same, each durable before it counts as done */
    PEER_LOAD_SORTED,  /* the same in ascending key order, into an empty store */
    PEER_COMMIT,       /* small transactions, each durable when write() returns */
    PEER_RELAXED,      /* small transactions, visible when write() returns, durable later */
};

#define PEER_BIT(use) (1u << (use))
#define PEER_IN_FLIGHT_MAX 64 /* transactions that may be submitted before one is waited for */

/* A store opened by one process; each adapter has its own. */
struct peer;

struct adapter {
    const char *name;
    const struct adapter *stands_for; /* whose store, loaded by it, this one opens; or NULL */
    bool threads;
    unsigned lacks; /* PEER_BIT of each use that it has nothing like */
    const char *(*version)(void);
    const char *settings;
    const char *data_file; /* the file in its folder whose size counts; NULL: none does */

    /*
     * Starts the process that serves the store in `folder`, which may be told
     * that it is only filled meanwhile, and ends it cleanly.  NULL for a store
     * that needs none.
     */
    pid_t (*serve)(const char *folder, enum peer_use use);
    void (*stop)(pid_t server, const char *folder);

    struct peer *(*open)(const char *folder, enum peer_use use);
    void (*close)(struct peer *peer);

    /* A snapshot; reads happen inside one. */
    void (*begin)(struct peer *peer);
    void (*end)(struct peer *peer);
    /* `count` times begin and end and nothing else. */
    void (*snapshots)(struct peer *peer, uint64_t count);

    /* The value is valid until the next get or the end of the snapshot. */
    bool (*get)(struct peer *peer, struct slice key, struct slice *value);
    /* All keys must be there.  The values are valid until the next call. */
    void (*get_many)(struct peer *peer, const struct slice *keys, struct slice *values,
                     size_t count);
    /*
     * Visits up to `limit` entries from the first whose key is >= `from`
     * (size 0: from the start), checks each with value_check against
     * `value_bytes`, and returns how many there were.
     */
    size_t (*scan)(struct peer *peer, struct slice from, size_t limit, size_t value_bytes);

    /* One transaction of `count` puts, as durable as the use says. */
    void (*write)(struct peer *peer, const struct pair *pairs, size_t count);
    /* Waits until everything written is durable and as fast to read as it gets. */
    void (*drain)(struct peer *peer);
    /* One durable transaction of `count` deletions. */
    void (*erase)(struct peer *peer, const struct slice *keys, size_t count);
    /* A transaction sent, its outcome left open; and the oldest such waited for. */
    void (*submit)(struct peer *peer, const struct pair *pairs, size_t count);
    void (*wait)(struct peer *peer);
    /* Has the server make a checkpoint, and returns when it is durable. */
    void (*checkpoint)(struct peer *peer);
    /* Operations that the server replayed from its log when it started. */
    uint64_t (*replayed)(struct peer *peer);
};

extern const struct adapter adapter_btstore;
extern const struct adapter adapter_btstore_unverified;
extern const struct adapter adapter_lmdb;
extern const struct adapter adapter_sqlite;
extern const struct adapter adapter_rocksdb;
extern const struct adapter adapter_redis;

#endif
