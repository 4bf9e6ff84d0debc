/* SPDX-License-Identifier: MIT */
/*
 * kill_readers: processes that pin snapshots, walk and check them, until each
 * is killed; and how long its slot file then outlives it.
 *
 * A reader outlives any number of daemons: it goes on reading while none
 * runs, and what a snapshot shows before a restart it must show after it.
 *
 * Looking at the folder of the slot files is no event for the daemon, so a
 * file that disappears did so without any help.
 */
#ifndef KILL_READERS_H
#define KILL_READERS_H

#include "../process/harness.h"

#include <stdatomic.h>

#define KILL_READERS 3u

struct kill_reader {
    pid_t pid;
    _Atomic bool attached;   /* it has a slot */
    _Atomic uint64_t walks;
    _Atomic uint64_t spanned; /* snapshots that were whole before and after a daemon's death */
    uint64_t random;
};

/* Shared by driver and readers. */
struct kill_readers {
    struct harness *harness;
    _Atomic uint64_t deaths; /* of daemons, counted by the driver */
    char slots[HARNESS_PATH_MAX];
    struct kill_reader readers[KILL_READERS];
};

/* `socket_path` tells where the slots are. */
void kill_readers_start(struct kill_readers *readers, struct harness *harness,
                        const char *socket_path);
/* Waits until the reader has a slot; fails when it takes long. */
void kill_readers_wait_attached(struct kill_readers *readers, unsigned index);
/*
 * Kills one, whatever it is doing, and waits until no slot file is left of it;
 * returns after how many microseconds.  Fails if it had ended by itself.
 */
uint64_t kill_readers_kill(struct kill_readers *readers, unsigned index);
/* Starts the one that was killed again. */
void kill_readers_restart(struct kill_readers *readers, unsigned index);
uint64_t kill_readers_walks(const struct kill_readers *readers);
uint64_t kill_readers_spanned(const struct kill_readers *readers);

/* SIGKILLs a child and waits until no slot file names it: microseconds. */
uint64_t kill_readers_until_free(const char *slots, pid_t pid);

#endif
