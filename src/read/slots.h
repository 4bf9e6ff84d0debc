/* SPDX-License-Identifier: MIT */
/*
 * slots: the slot file of this process as a pool for its threads.
 *
 * Taking a slot and announcing a snapshot in it are one step: a compare and
 * swap from SLOT_IDLE to the txnid.  A slot with an open snapshot never looks
 * idle, so nothing else needs to say which slots are taken, and begin plus end
 * costs one locked instruction.
 *
 * A thread begins its search at a place that follows from the address of its
 * stack: it finds the same slot each time, warm in its own cache, and threads
 * seldom meet.  The starting places are the SLOTS_NEAR first slots, which with
 * the file's header fill one page: a process of few threads costs a scan no
 * more than that.
 *
 * Invariants
 *  (1) `used` is above every slot that ever left SLOT_IDLE, and was so before
 *      it did (slot.h, invariant 1).
 *  (2) Only the thread that took a slot stores in its `txn` until it is idle.
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

/*
 * Announces `t` in slot `index` if that is idle.  seq_cst: on success this is
 * the announcement that snapshot_pin makes with its exchange; acquire of it
 * pairs with the release in snapshot_unpin by the thread that had the slot.
 */
static inline bool slots_try(struct slot_file *file, unsigned index, txnid_t t)
{
    struct slot *slot = &file->slots[index];
    txnid_t idle = SLOT_IDLE;

    return atomic_load_explicit(&slot->txn, memory_order_relaxed) == SLOT_IDLE &&
           atomic_compare_exchange_strong_explicit(&slot->txn, &idle, t, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

/* Finds any idle slot, raising `used` if need be, and announces `t`: slots_pin, the slow half. */
struct slot *slots_take(struct slots *slots, unsigned hint, txnid_t t);

/*
 * Takes a slot and pins the newest state in it.  Thread-safe.  NULL: all slots
 * are taken; or nothing was ever published, then root->txnid is 0.
 */
static inline struct slot *slots_pin(struct slots *slots, const struct beacon *beacon,
                                     struct snapshot_root *root)
{
    struct slot_file *file = slots->file;
    unsigned index = slots_hint();
    struct slot *slot = &file->slots[index];
    txnid_t t = atomic_load_explicit(&beacon->latest, memory_order_acquire);

    root->txnid = t;
    if (t == 0)
        return NULL;
    /* relaxed: `used` only grows, and only this process raises it */
    if (index >= atomic_load_explicit(&file->used, memory_order_relaxed) ||
        !slots_try(file, index, t)) {
        slot = slots_take(slots, index, t);
        if (slot == NULL)
            return NULL;
    }
    if (!snapshot_confirm(beacon, t, root))
        *root = snapshot_pin(beacon, slot);
    return slot;
}

/*
 * The same in slot `index` only, and only if nothing is in the way.  NULL: then
 * nothing is announced, and slots_pin will do.
 */
static inline struct slot *slots_pin_at(struct slots *slots, const struct beacon *beacon,
                                        unsigned index, struct snapshot_root *root)
{
    struct slot_file *file = slots->file;
    txnid_t t = atomic_load_explicit(&beacon->latest, memory_order_acquire);

    /* relaxed: as in slots_pin */
    if (t == 0 || index >= atomic_load_explicit(&file->used, memory_order_relaxed) ||
        !slots_try(file, index, t))
        return NULL;
    if (__builtin_expect(snapshot_confirm(beacon, t, root), 1))
        return &file->slots[index];
    snapshot_unpin(&file->slots[index]);
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

/* Whether every slot is idle; for tests, and before slots_unmap. */
bool slots_idle(const struct slots *slots);

#endif
