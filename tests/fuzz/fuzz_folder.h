/* SPDX-License-Identifier: MIT */
/*
 * fuzz_folder: a folder in memory for a target's files, gone when the program ends.
 */
#ifndef FUZZ_FOLDER_H
#define FUZZ_FOLDER_H

#include <stddef.h>
#include <stdint.h>

/* The store's path and its log's; made at the first call. */
const char *folder_store(void);
const char *folder_pending(void);

/* Writes a file anew; size 0 with data NULL: there is none. */
void folder_write(const char *path, const uint8_t *data, size_t size);
/* Reads it whole; the caller frees. */
uint8_t *folder_read(const char *path, size_t *size);

#endif
