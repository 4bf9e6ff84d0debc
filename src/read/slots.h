/* SPDX-License-Identifier: MIT */
/*
 * slots: the slot file of this process as a pool for its threads.
 *
 * Which slots of the file are taken is private to the process (`taken`, one
 * bit each); the file itself only ever shows announcements.
 */
#ifndef READ_SLOTS_H
#define READ_SLOTS_H

#include "format/slot.h"

struct slots {
    struct slot_file *file;                          /* mapped read-write, MADV_DONTFORK */
    _Atomic uint64_t taken[(SLOT_COUNT + 63) / 64];  /* acquire/release: hands a slot from one
                                                        thread to the next */
};

/*
 * Maps the slot file of descriptor `fd`, checks magic and version, writes
 * nothing, and closes `fd` in any case: the lock that the daemon took on this
 * description now lives exactly as long as the map.  BTS_IO, BTS_VERSION.
 */
BTS_MUST_USE enum bts_status slots_map(struct slots *slots, int fd, struct bts_error *error);

/* Unmaps: the daemon sees the lock go.  In a fork child it only forgets (the map is not there). */
void slots_unmap(struct slots *slots);

/* Takes a free slot (raising file->used first), NULL: all are taken.  Thread-safe. */
struct slot *slots_claim(struct slots *slots);

/* Gives it back; it must be idle. */
void slots_release(struct slots *slots, struct slot *slot);

#endif
