/* SPDX-License-Identifier: MIT */
/*
 * publish: see publish.h for the protocol and why its order is right.
 */
#include "commit/publish.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void publish(struct beacon *beacon, txnid_t txnid, pgno_t root, uint32_t depth,
             pgno_t page_count)
{
    struct beacon_root *entry = &beacon->ring[txnid % BEACON_RING];

    assert(txnid > atomic_load_explicit(&beacon->latest, memory_order_relaxed));
    atomic_store_explicit(&beacon->page_count, page_count, memory_order_relaxed);
    /* Whoever sees the new root beside the old txn finds that changed when it looks again. */
    atomic_store_explicit(&entry->txn, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    /* release: pairs with the acquire loads of snapshot_confirm */
    atomic_store_explicit(&entry->root, root, memory_order_release);
    atomic_store_explicit(&entry->depth, depth, memory_order_release);
    atomic_store_explicit(&entry->txn, txnid, memory_order_release);
    /* seq_cst: before the fence of the next horizon_scan; pairs with snapshot_confirm */
    atomic_store_explicit(&beacon->latest, txnid, memory_order_seq_cst);
}

void publish_wake(struct beacon *beacon)
{
    /* seq_cst: after the store of `latest`, before the kernel compares the word for a waiter */
    atomic_fetch_add_explicit(&beacon->wake, 1, memory_order_seq_cst);
    syscall(SYS_futex, &beacon->wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
