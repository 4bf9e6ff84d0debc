/* SPDX-License-Identifier: MIT */
/*
 * beacon: the shared page in which the daemon advertises roots.
 *
 * One file of BEACON_SIZE bytes in the run directory (tmpfs), written by the
 * daemon, mapped read-only by every reader.  A restarted daemon goes on in the
 * same file, so attached readers never notice.  An ABI: version and reserved
 * space.
 *
 *    0 u64 magic "btsbeac\n"    8 u32 version      12 u32 state
 *   16 u8 uuid[16]             32 u64 device       40 u64 inode     of the database file
 *   48 u64 generation          of the run directory
 *   56 u32 daemon pid          60 u32 page size
 *   64 u64 latest              txnid of the newest published state (line of its own)
 *  128 u32 wake                counts publishes, for futex (line of its own)
 *  192 u64 page count          high-water mark; stored before `latest`
 *  200 u64 checkpoint          txnid of the last durable checkpoint
 *  208 u64 sessions            daemon starts served by this beacon
 *  216 u32 barriers            1: each scan of slots has a barrier made; from the beacon's birth on
 *  256 char daemon version[64]
 * 1024 ring[64]: u64 txn, u32 root, u32 depth (of the bucket directory), u64 reserved[2]
 * 3072 reserved
 *
 * The protocol (who stores and loads what in which order, and why) stands in
 * read/snapshot.h and commit/publish.h.
 */
#ifndef FORMAT_BEACON_H
#define FORMAT_BEACON_H

#include "format/page.h"

#include <stdatomic.h>

#define BEACON_MAGIC 0x0a63616562737462ull /* "btsbeac\n" */
#define BEACON_VERSION 2u /* 1: without `barriers`; a daemon that goes on here must know it */
#define BEACON_SIZE 4096u
#define BEACON_RING 64u

enum beacon_state {
    BEACON_STARTING = 1, /* recovery runs */
    BEACON_SERVING = 2,
    BEACON_STOPPED = 3,  /* clean stop; a later daemon may go on here */
    BEACON_RETIRED = 4,  /* another file took this one's path: attach anew */
};

struct beacon_root {
    _Atomic txnid_t txn;
    _Atomic pgno_t root;
    _Atomic uint32_t depth;
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct beacon_root) == 32, "ring entry is 32 bytes");

struct beacon {
    uint64_t magic;
    uint32_t version;
    _Atomic uint32_t state;
    uint8_t uuid[16];
    uint64_t device;
    uint64_t inode;
    uint64_t generation;
    _Atomic uint32_t daemon_pid;
    uint32_t page_size;
    _Alignas(64) _Atomic txnid_t latest;
    _Alignas(64) _Atomic uint32_t wake;
    _Alignas(64) _Atomic uint64_t page_count;
    _Atomic txnid_t checkpoint;
    _Atomic uint64_t sessions;
    uint32_t barriers;
    uint32_t reserved0;
    _Alignas(64) char daemon_version[64];
    uint8_t reserved1[704];
    struct beacon_root ring[BEACON_RING];
    uint8_t reserved2[1024];
};
_Static_assert(sizeof(struct beacon) == BEACON_SIZE, "beacon is one page");
_Static_assert(offsetof(struct beacon, latest) == 64, "latest at 64");
_Static_assert(offsetof(struct beacon, wake) == 128, "wake at 128");
_Static_assert(offsetof(struct beacon, page_count) == 192, "page count at 192");
_Static_assert(offsetof(struct beacon, barriers) == 216, "barriers at 216");
_Static_assert(offsetof(struct beacon, daemon_version) == 256, "version text at 256");
_Static_assert(offsetof(struct beacon, ring) == 1024, "ring at 1024");

#endif
