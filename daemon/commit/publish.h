/* SPDX-License-Identifier: MIT */
/*
 * publish: make a committed state visible to every reader.
 *
 *   pages of T are in the file already; e = &ring[T % 64]:
 *   store(e.txn, 0, relaxed); fence(release);
 *   store(e.root, R, release); store(e.depth, D, release);
 *   store(e.txn, T, release); store(latest, T, seq_cst)
 *
 * The high-water mark is stored before `latest`, so that whoever sees T also
 * sees how far its pages reach.  Pairs with snapshot_pin (read/snapshot.h) and
 * horizon_scan (pages/horizon.h).
 */
#ifndef COMMIT_PUBLISH_H
#define COMMIT_PUBLISH_H

#include "format/beacon.h"

/* Advertises state `txnid`, which must be above beacon->latest. */
void publish(struct beacon *beacon, txnid_t txnid, pgno_t root, uint32_t depth,
             pgno_t page_count);

/* Wakes those who wait for a newer state; after the replies, off the hot path. */
void publish_wake(struct beacon *beacon);

#endif
