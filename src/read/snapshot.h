/* SPDX-License-Identifier: MIT */
/*
 * snapshot: pin one committed state through a slot.
 *
 * begin:   for (;;) { t = load(latest, acquire);
 *                     store(&slot->txn, t); fence;
 *                     if (load(latest, seq_cst) != t) continue;
 *                     e = ring[t % 64]; r = load(e.root, acquire);
 *                     if (load(e.txn, acquire) != t) continue;
 *                     return r; }
 * end:     store(&slot->txn, SLOT_IDLE, release);
 *
 * Why it is safe: the daemon stores `latest` (seq_cst), then a full fence, then
 * loads the slots.  If its scan misses our store, our second load of `latest`
 * comes after its store and we see a newer t and announce again; so a snapshot
 * that begin returned was either seen by the scan, or is at least as new as the
 * `latest` the scan began with.  The ring entry is rewritten only 64 publishes
 * later: the check of e.txn finds that.
 *
 * Whose fence: ours is the locked exchange that stores, and costs more than all
 * the rest of a begin, for it also keeps one get from overlapping with the next.
 * If the beacon says that its daemon makes barriers, and the system let us join
 * (base/barrier.h), the store is a plain one and the fence is the barrier that
 * each scan has made between its load of `latest` and its loads of the slots.
 * It comes somewhere in our instructions: before our second load of `latest`,
 * which then sees what the scan began with; or after it, and so after our store,
 * which the scan then sees.
 *
 * No system call, no lock; wait-free but for publishes that overtake it.
 */
#ifndef READ_SNAPSHOT_H
#define READ_SNAPSHOT_H

#include "format/beacon.h"
#include "format/slot.h"

struct snapshot_root {
    txnid_t txnid;
    pgno_t root;     /* of the bucket directory */
    uint32_t depth;
};

/* Announces `t` in a slot that the caller owns; `joined`: the next scan's barrier fences for us. */
static inline void snapshot_announce(struct slot *slot, txnid_t t, bool joined)
{
    if (joined) {
        /* release: after `used` was raised.  Before the load of `latest`: by the barrier of
           horizon_scan; here it is only the compiler that has to keep the order */
        atomic_store_explicit(&slot->txn, t, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        /* seq_cst exchange: pairs with the fence between publish and the slot loads of a scan */
        atomic_exchange_explicit(&slot->txn, t, memory_order_seq_cst);
    }
}

/* seq_cst: after the announcement, so that a scan saw it or we see what it began with */
static inline bool snapshot_is_latest(const struct beacon *beacon, txnid_t t)
{
    return atomic_load_explicit(&beacon->latest, memory_order_seq_cst) == t;
}

/*
 * Whether the announcement of `t`, just made, holds; and where its tree
 * begins.  False: a publish overtook it; announce again.
 */
static inline bool snapshot_confirm(const struct beacon *beacon, txnid_t t,
                                    struct snapshot_root *root)
{
    const struct beacon_root *entry = &beacon->ring[t % BEACON_RING];

    if (!snapshot_is_latest(beacon, t))
        return false;
    root->txnid = t;
    /* acquire: pairs with the release stores of publish; a changed txn means a reused entry */
    root->root = atomic_load_explicit(&entry->root, memory_order_acquire);
    root->depth = atomic_load_explicit(&entry->depth, memory_order_acquire);
    return t == 0 || atomic_load_explicit(&entry->txn, memory_order_acquire) == t;
}

/*
 * Announces the newest state in `slot`, which the caller owns, and returns it;
 * what the slot announced before is let go.  `latest` 0 (a beacon before its
 * first publish): txnid 0, slot idle.
 */
static inline struct snapshot_root snapshot_pin_as(const struct beacon *beacon,
                                                   struct slot *slot, bool joined)
{
    struct snapshot_root pinned;
    txnid_t t;

    do {
        t = atomic_load_explicit(&beacon->latest, memory_order_acquire);
        snapshot_announce(slot, t, joined);
    } while (!snapshot_confirm(beacon, t, &pinned));
    return pinned;
}

/* The same for one who did not join. */
static inline struct snapshot_root snapshot_pin(const struct beacon *beacon, struct slot *slot)
{
    return snapshot_pin_as(beacon, slot, false);
}

/* release: every read of the snapshot's pages comes before the daemon can see the slot idle. */
static inline void snapshot_unpin(struct slot *slot)
{
    atomic_store_explicit(&slot->txn, SLOT_IDLE, memory_order_release);
}

#endif
