/* SPDX-License-Identifier: MIT */
/*
 * salvage_log: the whole frames of a pending log, by their commit numbers.
 *
 * Unlike a replay it finds frames even in a segment whose header is damaged:
 * each carries its own epoch and checksum.  What belongs to another store or
 * epoch is left out.  The file is only read.
 */
#ifndef CLIENT_SALVAGE_LOG_H
#define CLIENT_SALVAGE_LOG_H

#include "format/meta.h"
#include "format/pending_frame.h"

struct salvage_frame {
    txnid_t txnid;
    uint64_t offset;  /* in the file */
    uint32_t size;    /* bytes it takes there; 0: not whole, but its header claims it */
};

struct salvage_log {
    int fd;
    uint64_t epoch;
    struct salvage_frame *frame; /* ascending; owned */
    size_t count;
    size_t room;
    txnid_t durable;   /* the newest commit that a whole frame says was durable */
    uint8_t *bytes;    /* the frame last read; owned */
    size_t bytes_room;
};

/*
 * Looks through the log at `path` for frames of the meta's epoch behind its
 * commit; `meta` NULL: of the newest epoch that is there.  A missing file has
 * none.  BTS_IO, BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status salvage_log_open(struct salvage_log *log, const char *path,
                                              const struct meta *meta, txnid_t txnid,
                                              struct bts_error *error);
void salvage_log_close(struct salvage_log *log);

/* The place of the frame of a commit, whole ones first; `count`: there is none. */
size_t salvage_log_find(const struct salvage_log *log, txnid_t txnid);

/* Reads a whole frame again; valid until the next is read.  BTS_DAMAGED, BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status salvage_log_read(struct salvage_log *log, size_t at,
                                              struct pending_frame *frame,
                                              struct bts_error *error);

#endif
