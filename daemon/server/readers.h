/* SPDX-License-Identifier: MIT */
/*
 * readers: the processes that have the file mapped, and how we learn of their
 * end.
 *
 * An attach makes one slot file, slots/NUMBER.PID.UID.TIME, never used again.
 * The description that is handed over carries an exclusive lock, which lives
 * exactly as long as the reader's map of it; a second description, our own,
 * is there to ask whether it still does.
 *
 *   attached -- last map gone --> IN_CLOSE_WRITE in slots/ --> probed --> forgotten
 *
 * Invariants
 *  (1) A slot file is in the horizon from before its descriptor is sent until
 *      a probe has seen its lock gone.
 *  (2) The watch on slots/ was set before the first probe, so no end is missed
 *      between the two.  Where there is no watch, or it overflowed, the sweep
 *      once a second finds the dead.
 *  (3) No descriptor handed out shares its description with one of ours.
 */
#ifndef SERVER_READERS_H
#define SERVER_READERS_H

#include "pages/horizon.h"
#include "server/run_directory.h"

#define READERS_MAX 4096u         /* attached at once */
#define READERS_PER_USER_MAX 2048u /* of one user, the owner excepted */

struct reader {
    uint64_t number;              /* of its slot file */
    pid_t pid;
    uid_t uid;
    uint64_t attached_ms;         /* when: CLOCK_REALTIME */
    int probe_fd;
    const struct slot_file *file; /* mapped read-only */
    size_t horizon_id;
    bool broken_told;             /* the log knows that it cut its file, or shows the future */
};

struct readers {
    const struct run_directory *run;
    struct horizon *horizon;
    struct reader *entries;
    size_t count;
    size_t room;
    uint64_t next_number;
    int watch_fd;                 /* inotify; -1: there is none */
};

/*
 * Watches slots/ and takes over the readers that an earlier daemon left: who
 * still holds his lock is adopted, other slot files are unlinked.
 */
BTS_MUST_USE enum bts_status readers_open(struct readers *readers, const struct run_directory *run,
                                          struct horizon *horizon, struct bts_error *error);

/*
 * Makes a slot file for the process `pid` of `uid`, puts it into the horizon,
 * and returns the descriptor to hand over, which the caller then closes.
 * BTS_LIMIT: too many readers.  BTS_NO_SPACE, BTS_IO, BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status readers_attach(struct readers *readers, pid_t pid, uid_t uid,
                                            int *slot_fd, struct bts_error *error);

/* To be called when watch_fd is readable.  True: somebody may have died whom a sweep in a few
 * milliseconds will find (the event comes shortly before the lock goes). */
bool readers_watch(struct readers *readers);

/* Asks after every reader, and forgets the dead. */
void readers_sweep(struct readers *readers);

/* A reader whose slots no scan can believe, and of which this has not told yet; NULL: none. */
const struct reader *readers_next_broken(struct readers *readers);

/* What the slot file of a reader shows now; read, not mapped: the reader may cut it short. */
struct reader_snapshots {
    uint32_t count;
    txnid_t oldest; /* 0: none */
};
struct reader_snapshots readers_snapshots(const struct reader *reader);

/* Lets go of all maps and descriptors; the slot files stay. */
void readers_close(struct readers *readers);

#endif
