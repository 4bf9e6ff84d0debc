/* SPDX-License-Identifier: MIT */
/*
 * horizon: which snapshots are pinned.
 *
 * Holds the slot files of all attached readers, mapped read-only, and the
 * daemon's own slots.  A scan loads `latest`, issues a full fence, has a
 * barrier made on behalf of the readers that joined (base/barrier.h), if the
 * beacon promises one, and then loads every slot: the result is good for
 * judging pages freed by transactions up to that `latest` (see space.h), and
 * for nothing freed later.  The barrier interrupts processors that run readers:
 * scans should be rare.
 *
 * Invariants
 *  (1) Any value in a slot is only a bound: a txnid above `latest` is treated
 *      as a broken reader (counted, held at no page), never trusted.
 *  (2) A slot file that its reader truncated does not kill the daemon: the
 *      scan catches the SIGBUS and marks the reader broken.
 *
 * One thread: the one that applies.
 */
#ifndef PAGES_HORIZON_H
#define PAGES_HORIZON_H

#include "format/beacon.h"
#include "format/slot.h"

struct horizon_reader {
    const struct slot_file *file; /* mapped read-only, SLOT_FILE_SIZE; NULL: place is free */
    bool broken;                  /* truncated its file, or shows the future */
    uint32_t snapshot_count;      /* as of the last scan */
    txnid_t oldest;               /* as of the last scan; 0: none */
};

struct horizon {
    struct horizon_reader *readers;
    size_t reader_count;   /* places, free ones included */
    txnid_t latest;        /* loaded before the fence of the last scan */
    txnid_t *pinned;       /* ascending, distinct, of the last scan */
    size_t pinned_count;
    size_t pinned_room;
    struct slot_file *own; /* the daemon's own slots: SCAN, check, validation */
};

BTS_MUST_USE enum bts_status horizon_init(struct horizon *horizon, struct bts_error *error);
void horizon_fini(struct horizon *horizon);

/*
 * Adds a reader's mapped slot file; `id` names it until horizon_remove.  The
 * map stays the caller's.
 */
BTS_MUST_USE enum bts_status horizon_add(struct horizon *horizon, const struct slot_file *file,
                                         size_t *id, struct bts_error *error);
void horizon_remove(struct horizon *horizon, size_t id);

/* A slot of the daemon's own for snapshot_pin; NULL: all taken.  Give back with snapshot_unpin. */
struct slot *horizon_own_slot(struct horizon *horizon);

/*
 * Loads beacon->latest, fences, loads all slots, and fills latest and pinned.
 * BTS_NO_MEMORY, BTS_IO (no barrier): the last result must not be used.
 */
BTS_MUST_USE enum bts_status horizon_scan(struct horizon *horizon, const struct beacon *beacon,
                                          struct bts_error *error);

/* The oldest pinned txnid of the last scan, or its latest. */
static inline txnid_t horizon_oldest(const struct horizon *horizon)
{
    return horizon->pinned_count > 0 ? horizon->pinned[0] : horizon->latest;
}

/* The oldest snapshot t of the last scan with born <= t < freed, or 0. */
txnid_t horizon_pinned_in(const struct horizon *horizon, txnid_t born, txnid_t freed);

/* Whether the last scan saw such a snapshot. */
static inline bool horizon_pins(const struct horizon *horizon, txnid_t born, txnid_t freed)
{
    return horizon_pinned_in(horizon, born, freed) != 0;
}

#endif
