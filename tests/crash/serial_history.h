/* SPDX-License-Identifier: MIT */
/*
 * serial_history: what processes did and saw, as each noted it itself.
 *
 * The store holds cells.  A cell has a version, which starts at 0 and grows by
 * one with every commit that writes the cell; so each version has exactly one
 * maker, and the versions are the total order of a cell's writes.  A commit
 * that writes or requires cells names their versions, and a read says which
 * version it saw.  The txnids order everything else.
 *
 * The records of one process are in the order of its time.  Plain data in
 * memory that outlives its process; no pointers between records.
 */
#ifndef SERIAL_HISTORY_H
#define SERIAL_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#define SERIAL_WRITES_MAX 3u
#define SERIAL_REQUIRES_MAX 4u

/* One cell in one version: read, written, or required. */
struct serial_version {
    uint32_t cell;
    uint32_t version;
};

struct serial_snapshot {
    uint64_t begin_ns; /* before it was opened */
    uint64_t end_ns;   /* after */
    uint64_t txnid;
    uint64_t total;    /* commits that the store counts in it */
    uint64_t first_read; /* in the log's reads */
    uint64_t read_count;
};

enum serial_outcome {
    SERIAL_ABSENT = 0, /* unknown at first, then found not to be there */
    SERIAL_UNKNOWN,    /* to be settled by its writer */
    SERIAL_COMMITTED,  /* acknowledged with `txnid` */
    SERIAL_THERE,      /* unknown at first, then found in the snapshot `txnid` */
    SERIAL_REFUSED,    /* a condition did not hold */
};

struct serial_commit {
    uint64_t begin_ns; /* before it was sent */
    uint64_t end_ns;   /* after its answer */
    uint64_t txnid;
    uint64_t sequence; /* of its writer; grows */
    uint64_t outcome;  /* enum serial_outcome */
    uint64_t write_count;
    uint64_t require_count;
    struct serial_version writes[SERIAL_WRITES_MAX]; /* the versions that it makes */
    struct serial_version requires[SERIAL_REQUIRES_MAX];
    struct serial_version refuted; /* refused: what a snapshot opened afterwards showed */
};

/* One process. */
struct serial_log {
    struct serial_snapshot *snapshots;
    struct serial_version *reads;
    struct serial_commit *commits;
    size_t snapshot_count, snapshot_room;
    size_t read_count, read_room;
    size_t commit_count, commit_room;
};

#define SERIAL_PROCESSES_MAX 16u

/* All of one round.  At its begin every cell had its base version. */
struct serial_history {
    struct serial_log *logs;
    unsigned log_count;
    unsigned cell_count;
    const uint32_t *base;  /* version of each cell */
    uint64_t base_total;
    uint64_t base_txnid;
};

#endif
