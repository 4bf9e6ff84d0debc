/* SPDX-License-Identifier: MIT */
/*
 * block: block devices inside the guest, by the kernel's own calls: modules,
 * device-mapper, loop.
 *
 * A program would do (dmsetup, losetup), but starting one takes User-Mode
 * Linux longer than everything else about a state.
 *
 * Failures end the process with a message, as HARNESS_CHECK does.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_SECTOR 512u
#define BLOCK_PATH_MAX 64u

/* Loads a module of the running kernel, such as "drivers/md/dm-mod". */
void block_load_module(const char *name, const char *parameters);

uint64_t block_sectors(const char *path);

/* Makes a device-mapper device of one target; `path` gets its node. */
void block_map(const char *name, uint64_t sectors, const char *target, const char *parameters,
               char path[BLOCK_PATH_MAX]);
/* Removes it; waits a little for the last user to go. */
void block_unmap(const char *name);
/* A message to its target; it is in effect when this returns. */
void block_message(const char *name, const char *text);

/* A loop device over `backing`, through the page cache; `path` gets its node. */
void block_loop(const char *backing, char path[BLOCK_PATH_MAX]);

#endif
