/* SPDX-License-Identifier: MIT */
/*
 * recorder: a file system that remembers everything that was done to it.
 *
 * Sits in the storage seam over another one.  Besides passing on what it is
 * told, it keeps the durable state (what a disk must have after the syncs so
 * far) and the operations since, each of which a power cut may keep, lose or
 * tear.
 *
 * Before each sync takes effect `at_sync` is called: there the set of
 * operations in doubt is largest, and any earlier moment is a subset of it.
 *
 * Any thread may use it; one operation at a time is recorded, and while
 * at_sync looks around nothing moves.
 */
#ifndef CRASH_RECORDER_H
#define CRASH_RECORDER_H

#include "disk.h"
#include "pages/file.h"

#include <pthread.h>

#define RECORDER_FDS 1024

struct recorder {
    struct file_system system;   /* give this away */
    const struct file_system *lower;
    pthread_mutex_t mutex;
    struct disk durable;
    struct disk_op *pending;     /* in doubt, oldest first */
    size_t pending_count;
    size_t pending_room;
    int inode_count;
    int names[DISK_NAMES];       /* as the processes see them */
    uint64_t sizes[DISK_INODES];
    int fds[RECORDER_FDS];       /* inode */
    unsigned long syncs;         /* so far */
    unsigned long fail_sync;     /* this one fails, and what it should have kept is lost; 0: none */
    void (*at_sync)(void *context, struct recorder *recorder);
    void *context;
};

/* Begins over an empty folder, or (`image`) over the files that an image holds. */
void recorder_init(struct recorder *recorder, const struct file_system *lower,
                   const struct image *image);
void recorder_fini(struct recorder *recorder);

#endif
