/* SPDX-License-Identifier: MIT */
/*
 * fork_guard: what must not survive a fork in the child.
 *
 * A child that kept a descriptor of the database would keep its reader's lock,
 * and the daemon would think a dead reader alive; one that kept the socket
 * would hide its parent's death.  Maps are MADV_DONTFORK; descriptors cannot
 * be, so each object that owns one registers a guard, and the child of a
 * fork() has its guards' `in_child` called before it runs anything else.
 *
 * Invariants
 *  (1) No fork() falls between the moment this library gets a descriptor that
 *      carries a lock and the moment its guard is registered: both happen
 *      under fork_guard_lock, which fork() takes too (pthread_atfork).
 *  (2) The lock is never held across anything that waits for a peer.
 *
 * A child made by clone() or vfork() directly runs no handlers: that it must
 * not use the store is found by the wiped page (fork_mark), which the kernel
 * sees to; its copies of descriptors close with its exec.
 */
#ifndef CLIENT_FORK_GUARD_H
#define CLIENT_FORK_GUARD_H

#include <btstore.h>
#include <stdatomic.h>

struct fork_guard {
    struct fork_guard *next;
    struct fork_guard **link; /* NULL: not registered */
    /* Runs in the child, with one thread, under the lock: async-signal-safe calls only. */
    void (*in_child)(struct fork_guard *guard);
};

/* Installs the fork handlers at first use.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status fork_guard_init(struct bts_error *error);

void fork_guard_lock(void);
void fork_guard_unlock(void);

/* Both under the lock. */
void fork_guard_add(struct fork_guard *guard, void (*in_child)(struct fork_guard *guard));
void fork_guard_remove(struct fork_guard *guard);

/*
 * A word that is not 0 in the process that made it and 0 in every child
 * (MADV_WIPEONFORK).  In one process no two are ever alike.
 */
typedef _Atomic uint64_t fork_mark;

BTS_MUST_USE enum bts_status fork_mark_create(fork_mark **mark, struct bts_error *error);
void fork_mark_destroy(fork_mark *mark);

/* relaxed: only the kernel changes the word, and no other memory follows from it; 0: a child */
static inline uint64_t fork_mark_value(const fork_mark *mark)
{
    return atomic_load_explicit(mark, memory_order_relaxed);
}

static inline bool fork_mark_is_ours(const fork_mark *mark)
{
    return __builtin_expect(fork_mark_value(mark) != 0, 1);
}

#endif
