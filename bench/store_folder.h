/* SPDX-License-Identifier: MIT */
/*
 * store_folder: where the stores of a benchmark lie.
 *
 * Each store has a folder of its own, FOLDER/bench-stores/ADAPTER/NAME.
 */
#ifndef BENCH_STORE_FOLDER_H
#define BENCH_STORE_FOLDER_H

#include "adapter.h"

#define STORE_FOLDER_MAX 4000

/* The store that a stage loads and its workloads read or change. */
#define LOADED_STORE "loaded"

void store_folder_name(const struct adapter *adapter, const char *name,
                       char folder[STORE_FOLDER_MAX]);

/* Makes the folder anew: empty. */
void store_folder_make(const char *folder);

/* Removes all stores. */
void store_folder_remove_all(void);

/* Bytes that a file takes on the disk. */
double store_folder_disk_bytes(const char *folder, const char *file);

/* Syncs the files of a store that are open to somebody or not. */
void store_folder_sync(const char *folder);

/* Has the kernel drop the pages of a store's files that nobody maps. */
void store_folder_forget(const char *folder);

/*
 * Bytes written so far to the device that the folder lies on, by whomever;
 * below 0 if the kernel does not count them for that file system.
 */
double store_folder_device_bytes(const char *folder);

/* True if syncing means nothing there: tmpfs. */
bool store_folder_is_memory(void);

#endif
