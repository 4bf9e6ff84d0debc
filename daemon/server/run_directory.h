/* SPDX-License-Identifier: MIT */
/*
 * run_directory: the volatile things of a served store, on tmpfs.
 *
 *   lock      the daemon of this directory holds LOCK_DAEMON of it
 *   beacon    see format/beacon.h
 *   socket    unless the daemon was told another place
 *   slots/    one file per attached reader, see readers.h
 *
 * Where: what the service manager gives (RUNTIME_DIRECTORY); else
 * `btstore-UUID-DEVICE-INODE` below $XDG_RUNTIME_DIR or /dev/shm, mode 0700
 * (0710 for a group), which must belong to this user and be no link.
 *
 * Invariants
 *  (1) The beacon of a file goes on in the same inode whatever daemon serves
 *      it, so attached readers never notice a restart.
 *  (2) A beacon of another file is marked retired before a new one, of a
 *      higher generation, takes its name.
 *  (3) Everything below the directory is reached by its descriptor, never by
 *      a path that somebody could have replaced meanwhile.
 */
#ifndef SERVER_RUN_DIRECTORY_H
#define SERVER_RUN_DIRECTORY_H

#include "commit/commit.h"
#include "format/beacon.h"

struct run_directory {
    char *path;             /* absolute; owned */
    int fd;                 /* the directory */
    int lock_fd;
    int slots_fd;           /* the directory of slots */
    struct beacon *beacon;  /* mapped read-write */
    uint64_t generation;    /* of the beacon */
    gid_t group;            /* who may connect besides the owner; (gid_t)-1: nobody */
    bool given;             /* by the service manager: emptied at the end, but not removed */
};

/* Zeroes to the closed state. */
void run_directory_init(struct run_directory *run);

/*
 * Finds or makes the directory, takes its lock, and opens the beacon for the
 * file `identity`, of which `data_fd` is a descriptor.  `given`: the service
 * manager's directory, or NULL.  `group`: (gid_t)-1: none.
 * BTS_BUSY: another daemon is here.  BTS_IO, BTS_DENIED, BTS_NO_SPACE.
 */
BTS_MUST_USE enum bts_status run_directory_open(struct run_directory *run,
                                                const struct commit_identity *identity,
                                                int data_fd, const char *given, gid_t group,
                                                struct bts_error *error);

void run_directory_set_state(const struct run_directory *run, enum beacon_state state);

/* A fresh read-only descriptor of the beacon. */
BTS_MUST_USE enum bts_status run_directory_beacon_descriptor(const struct run_directory *run,
                                                             int *fd, struct bts_error *error);

/* After a clean stop without readers: removes all that is in it, and the directory. */
void run_directory_remove(struct run_directory *run);

/* Unmaps and closes; removes nothing. */
void run_directory_close(struct run_directory *run);

#endif
