/* SPDX-License-Identifier: MIT */
/*
 * strangers: readers of the file whose slots this daemon does not know.
 *
 * Every data descriptor that a daemon hands out carries a shared lock on the
 * byte LOCK_READERS + generation of its run directory, and one who reads
 * without a daemon locks LOCK_READERS itself.  A lock around our own byte
 * therefore means: somebody maps this file, and his slots are not in our run
 * directory, because that was lost or belonged to a copy under another name.
 * Nothing is known of his snapshots, so until he is gone a slot of our own
 * stands in the horizon for him, which shows a snapshot older than all.
 *
 * Nobody becomes a stranger while a daemon serves: only the start looks for
 * them, and after that their end is waited for.
 */
#ifndef SERVER_STRANGERS_H
#define SERVER_STRANGERS_H

#include "format/slot.h"
#include "pages/horizon.h"

struct strangers {
    struct horizon *horizon;
    struct slot_file *stand_in; /* NULL: there are none */
    size_t horizon_id;
    int data_fd;                /* the caller's; carries no lock of ours */
    uint64_t generation;        /* of our own run directory */
};

/* The first generation above `above` on whose byte nobody holds a lock. */
uint64_t strangers_free_generation(int data_fd, uint64_t above);

/* Looks for strangers; if there are any, they stand in `horizon` from now on. */
BTS_MUST_USE enum bts_status strangers_open(struct strangers *strangers, int data_fd,
                                            uint64_t generation, struct horizon *horizon,
                                            struct bts_error *error);

static inline bool strangers_present(const struct strangers *strangers)
{
    return strangers->stand_in != NULL;
}

/* Looks again; true: they were there, and now the last one is gone. */
bool strangers_sweep(struct strangers *strangers);

void strangers_close(struct strangers *strangers);

#endif
