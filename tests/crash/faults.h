/* SPDX-License-Identifier: MIT */
/*
 * faults: let any one call of the storage seam, or of malloc, fail.
 *
 * A plan names a function, the n-th call of it, an error, and whether every
 * call of it fails from then on.  Calls count only between faults_enter and
 * faults_leave, so what a test does for itself is neither counted nor failed.
 *
 * While no plan is armed each call's site is learnt: the chain of return
 * addresses up to the frame that called faults_enter.  Two calls by the same
 * chain are of one site; faults_site tells the site of each call.
 *
 * Below lies a recorder (recorder.h): a failed write, growth or open does
 * nothing at all, a failed sync loses what it should have kept, a short write
 * writes half, and a failed close closes.
 *
 * A program that links this has $(faults_ldflags) in its LDFLAGS.  One at a
 * time in a process: malloc has no context.
 */
#ifndef CRASH_FAULTS_H
#define CRASH_FAULTS_H

#include "pages/file.h"

enum fault_function {
    FAULTS_OPEN,
    FAULTS_CLOSE,
    FAULTS_PREAD,
    FAULTS_PWRITEV,
    FAULTS_FALLOCATE,
    FAULTS_TRUNCATE,
    FAULTS_SYNC,
    FAULTS_SYNC_RANGE,
    FAULTS_UNLINK,
    FAULTS_SYNC_DIRECTORY,
    FAULTS_MALLOC, /* and calloc, realloc, aligned_alloc, posix_memalign, strdup, asprintf */
    FAULTS_FUNCTIONS,
};

/* In place of an errno. */
#define FAULTS_SHORT 100000     /* pread, pwritev: half of it, at least a byte */
#define FAULTS_FULL_DISK 100001 /* fallocate, and from then on every write and open, too: ENOSPC */

struct fault_plan {
    enum fault_function function;
    unsigned long call; /* the how many-th, from 1; 0: none */
    int error;
    bool stays;         /* that one and all after it */
};

/* The files of a store, in its directory. */
#define FAULTS_STORE "store.bts"
#define FAULTS_PENDING "store.bts.pending"

/* The file system to give away, over an empty directory.  `threads`: the engine has some. */
const struct file_system *faults_init(bool threads);
void faults_fini(void);

/* Writes into `directory` what a power cut leaves now: all that was not synced is gone. */
void faults_power_cut(const char *directory);

/* Counts from 1 again, and fails as planned; NULL: learns the sites instead. */
void faults_arm(const struct fault_plan *plan);
/* Nothing fails any more, and nothing is learnt. */
void faults_disarm(void);

/* Calls between these two count, and those of the engine's threads at any time.  Not nested. */
void faults_enter(void);
void faults_leave(void);

/* Whether the plan came true, so far. */
bool faults_fired(void);
/* Whether a sync failed, or a write by EIO: nothing may be acknowledged by that engine any more. */
bool faults_lost(void);

/* For fault_malloc.c: whether the allocation at hand fails. */
bool faults_malloc_fails(void);
/* Allocations that were not freed yet, the test's own included. */
long faults_live(void);

/* As learnt: calls of a function, the site (from 0) of its n-th (from 1), and how many sites. */
unsigned long faults_calls(enum fault_function function);
unsigned faults_site(enum fault_function function, unsigned long call);
unsigned faults_sites(enum fault_function function);

/* Whether the call that failed was of the site that was learnt for it. */
bool faults_same_site(void);
/* Forgets what was learnt. */
void faults_forget(void);

const char *faults_function_name(enum fault_function function);
/* "pwritev 17: ENOSPC, from then on"; valid until the next call. */
const char *faults_describe(const struct fault_plan *plan);
const char *faults_error_name(int error);

#endif
