/* SPDX-License-Identifier: MIT */
/*
 * slot: the file in which one reader process announces its snapshots.
 *
 * One file per attach, in the run directory (tmpfs), SLOT_FILE_SIZE bytes,
 * written by that reader only, read by the daemon.  An ABI: version and
 * reserved space.
 *
 *   0 u64 magic         "btsslot\n"
 *   8 u32 version       1
 *  12 u32 used          slots [0, used) may hold a snapshot; only grows
 *  16 u64 reserved[6]
 *  64 slot[1023], one cache line each:
 *       0 u64 txn       SLOT_IDLE, or the txnid of a pinned snapshot
 *       8 u32 wait      not 0: a thread of this process waits for the wake word
 *      12 reserved
 *
 * Invariants
 *  (1) A reader raises `used` (seq_cst) before it first announces in a slot, so
 *      the scan, which loads `used` after its fence, misses neither or it is
 *      the announcer whose recheck fails.
 *  (2) To the daemon every value is only a bound on reclamation.
 */
#ifndef FORMAT_SLOT_H
#define FORMAT_SLOT_H

#include "format/page.h"

#include <stdatomic.h>

#define SLOT_MAGIC 0x0a746f6c73737462ull /* "btsslot\n" */
#define SLOT_VERSION 1u
#define SLOT_IDLE 0ull
#define SLOT_COUNT 1023u
#define SLOT_FILE_SIZE 65536u

struct slot {
    _Atomic txnid_t txn;    /* announce: seq_cst exchange, pairs with the fence of horizon_scan,
                               or release store, pairs with its barrier;
                               idle: release store, pairs with its acquire load */
    _Atomic uint32_t wait;  /* set, full fence, recheck the wake word, wait; pairs with publish */
    uint32_t reserved[13];
};
_Static_assert(sizeof(struct slot) == 64, "a slot is one cache line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "shared atomics");

struct slot_file {
    uint64_t magic;
    uint32_t version;
    _Atomic uint32_t used;
    uint64_t reserved[6];
    struct slot slots[SLOT_COUNT];
};
_Static_assert(sizeof(struct slot_file) == SLOT_FILE_SIZE, "slot file is 64 KiB");
_Static_assert(offsetof(struct slot_file, slots) == 64, "slots at 64");

#endif
