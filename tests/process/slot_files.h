/* SPDX-License-Identifier: MIT */
/*
 * slot_files: how many readers the daemon counts, seen from outside: the files
 * in its run directory.  Looking there is no event for the daemon, so what
 * disappears did so without any help.
 */
#ifndef SLOT_FILES_H
#define SLOT_FILES_H

#include "harness.h"

#include <dirent.h>
#include <libgen.h>
#include <string.h>

#define SLOT_WAIT_US 10000000

static inline unsigned slot_files(const char *socket_path)
{
    char path[HARNESS_PATH_MAX + 16];
    char *copy = strdup(socket_path);
    const struct dirent *entry;
    unsigned count = 0;
    DIR *folder;

    snprintf(path, sizeof(path), "%s/slots", dirname(copy));
    free(copy);
    folder = opendir(path);
    HARNESS_CHECK(folder != NULL, "%s", path);
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

/* Waits until there are so many; returns how long it took, in microseconds. */
static inline uint64_t slot_files_wait(const char *socket_path, unsigned count)
{
    uint64_t start = harness_now_us();

    while (slot_files(socket_path) != count) {
        HARNESS_CHECK(harness_now_us() - start < SLOT_WAIT_US, "%u slot files, expected %u",
                      slot_files(socket_path), count);
        harness_sleep_us(200);
    }
    return harness_now_us() - start;
}

#endif
