/* SPDX-License-Identifier: MIT */
/*
 * guest: the inside of the machine under test: where things lie, how the file
 * system under test is mounted, and what is done to a store after a cut.
 *
 *   /mnt         tmpfs
 *   /mnt/host    the host's folder for this machine, written through
 *   /mnt/store   the file system under test; the store is main.bts there
 *   /mnt/run     the daemon's run directory
 *
 * Everything else is the host's root directory, read-only.
 */
#ifndef GUEST_H
#define GUEST_H

#include "workload.h"

/* What the machine was started for; from the kernel's command line. */
struct guest {
    const char *job;         /* cut, record or replay */
    const char *file_system; /* ext4, xfs or btrfs */
    bool volatile_cache;     /* cut: a loop device stands for a drive's cache */
    uint64_t seed;
    uint64_t count;          /* record: transactions a writer; replay: states */
    unsigned part;           /* replay: takes the states whose number is `part` ... */
    unsigned part_count;     /* ... modulo this */
};

/* Reads the environment and mounts all but the file system under test. */
void guest_init(struct guest *guest);

/* One line to the host, which looks for lines that begin with "@ ". */
void guest_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

void guest_mount_store(const struct guest *guest, const char *device);
void guest_unmount_store(void);

/* Runs body in a child; true: it exited with status 0, which `status` gets. */
bool guest_run(int (*body)(void *argument), void *argument, int *status);

/* Switches the machine off. */
_Noreturn void guest_halt(void);

/* Reads or writes /mnt/host/acknowledged.WRITER; written is on the host when it returns. */
uint64_t guest_acknowledged(unsigned writer);
void guest_acknowledge(unsigned writer, uint64_t sequence);

/*
 * On a mounted file system: starts the daemon, which recovers, and verifies;
 * stops it, and does the same again, where nothing may have changed.
 * `found` gets the numbers that are there.
 */
enum workload_verdict guest_recover(const uint64_t acknowledged[WORKLOAD_WRITERS],
                                    uint64_t found[WORKLOAD_WRITERS]);

/* The store and its daemon, for harness_start and the like. */
struct harness *guest_harness(void);

#endif
