/* SPDX-License-Identifier: MIT */
/*
 * slots: the slot file of this process as a pool for its threads.
 *
 * The SLOTS_NEAR first slots, which with the file's header fill one page, each
 * belong to a thread: the first that claimed it, at a place that follows from
 * the address of its stack.  It finds the same slot each time, warm in its own
 * cache, and nobody else announces there, so it announces with plain stores.
 * A claim is for ever; but a new thread at the place of a dead one is the same
 * to us, and finds its slot.
 *
 * All others are for whoever comes: a second snapshot of a thread, and threads
 * whose near slot is another's.  Taking one and announcing in it are one step,
 * a compare and swap from SLOT_IDLE to the txnid.
 *
 * A slot with an open snapshot never looks idle, so nothing else needs to say
 * which are taken.
 *
 * Invariants
 *  (1) `used` is above every slot that ever left SLOT_IDLE, and was so before
 *      it did (slot.h, invariant 1).
 *  (2) Only the thread that took a slot stores in its `txn` until it is idle.
 *  (3) In a near slot only the thread that claimed it announces.
 */
#ifndef READ_SLOTS_H
#define READ_SLOTS_H

#include "format/slot.h"
#include "read/snapshot.h"

#include <sys/types.h>

#define SLOTS_NEAR 63u

struct slots {
    struct slot_file *file; /* mapped read-write, MADV_DONTFORK; NULL: not mapped */
    pid_t owner;            /* the process that mapped it */
    bool joined;            /* the daemon's barriers reach us: announcements need no fence */
    _Atomic uintptr_t claims[SLOTS_NEAR]; /* slots_thread of whose it is; 0: nobody's yet */
};

/*
 * Maps the slot file of descriptor `fd`, checks size, magic and version,
 * writes nothing, and closes `fd` in any case: the lock that the daemon took
 * on this description now lives exactly as long as the map.  BTS_IO, BTS_VERSION.
 */
BTS_MUST_USE enum bts_status slots_map(struct slots *slots, int fd, struct bts_error *error);

/* Unmaps: the daemon sees the lock go.  In a fork child it only forgets (the map is not there). */
void slots_unmap(struct slots *slots);

/* Where the calling thread begins its search; reads nothing but its stack pointer. */
static inline unsigned slots_hint(void)
{
    uintptr_t stack = (uintptr_t)__builtin_frame_address(0);

    /* 64 KiB of a stack count as one place; the multiplier spreads neighbouring stacks. */
    return (unsigned)(((uint64_t)((uint32_t)(stack >> 16) * 0x9e3779b1u) * SLOTS_NEAR) >> 32);
}

/* Its address tells living threads apart.  Found without a call: initial-exec. */
extern _Thread_local char slots_thread_mark
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

static inline uintptr_t slots_thread(void)
{
    return (uintptr_t)&slots_thread_mark;
}

/* Whether the thread may announce in near slot `index`: it is its own, and idle. */
static inline bool slots_is_ready(const struct slots *slots, unsigned index)
{
    /* relaxed: we claimed it ourselves, or nothing follows.
       acquire: pairs with the release in snapshot_unpin, by any thread */
    return atomic_load_explicit(&slots->claims[index], memory_order_relaxed) == slots_thread() &&
           atomic_load_explicit(&slots->file->slots[index].txn, memory_order_acquire) == SLOT_IDLE;
}

/*
 * Finds any idle slot, claiming or raising `used` if need be, and announces
 * `t`: slots_pin, the slow half.
 */
struct slot *slots_take(struct slots *slots, unsigned hint, txnid_t t);

/*
 * Takes a slot and pins the newest state in it.  Thread-safe.  NULL: all slots
 * are taken; or nothing was ever published, then root->txnid is 0.
 */
static inline struct slot *slots_pin(struct slots *slots, const struct beacon *beacon,
                                     struct snapshot_root *root)
{
    unsigned index = slots_hint();
    struct slot *slot = &slots->file->slots[index];
    txnid_t t = atomic_load_explicit(&beacon->latest, memory_order_acquire);

    root->txnid = t;
    if (t == 0)
        return NULL;
    if (slots_is_ready(slots, index)) {
        snapshot_announce(slot, t, slots->joined);
    } else {
        slot = slots_take(slots, index, t);
        if (slot == NULL)
            return NULL;
    }
    if (!snapshot_confirm(beacon, t, root))
        *root = snapshot_pin_as(beacon, slot, slots->joined);
    return slot;
}

/*
 * The same in slot `index` only, and only if nothing is in the way.  NULL: then
 * nothing is announced, and slots_pin will do.
 */
static inline struct slot *slots_pin_at(struct slots *slots, const struct beacon *beacon,
                                        unsigned index, struct snapshot_root *root)
{
    struct slot *slot = &slots->file->slots[index];
    txnid_t t = atomic_load_explicit(&beacon->latest, memory_order_acquire);

    if (t == 0 || !slots_is_ready(slots, index))
        return NULL;
    snapshot_announce(slot, t, slots->joined);
    if (__builtin_expect(snapshot_confirm(beacon, t, root), 1))
        return slot;
    snapshot_unpin(slot);
    return NULL;
}

/* Ends the snapshot and gives the slot back.  Thread-safe. */
static inline void slots_unpin(struct slot *slot)
{
    snapshot_unpin(slot);
}

/*
 * Says that a thread of this process is about to wait for the beacon's wake
 * word, until slots_wait_end: call it, look at the wake word and at `latest`
 * again, then wait.  Thread-safe; the count stands in slot 0.
 */
void slots_wait_begin(struct slots *slots);
void slots_wait_end(struct slots *slots);

/* Whether every slot is idle, and was seen to be; false also if that cannot be told. */
bool slots_idle(const struct slots *slots);

#endif
