/* SPDX-License-Identifier: MIT */
/*
 * log_writes: reads what the kernel's dm-log-writes target wrote.
 *
 *   sector 0    u64 magic "\0jsgwshr" as a number, u64 version = 1,
 *               u64 entry count, u32 sector size
 *   then, one after the other, each from a sector boundary on:
 *               u64 sector, u64 sector count, u64 flags, u64 data length
 *               a mark's text follows in that same sector; a write's data,
 *               `sector count` sectors, in those that follow
 *
 * All little-endian; sectors are of the size that the head names.  The target
 * logs a write once a flush that covers it is complete, right before that
 * flush; one with FUA at once; a mark when it is given.
 *
 * Invariants
 *  (1) Entries before a flush, that flush included, were durable when it was
 *      complete; so was what any mark before it tells.
 *  (2) Writes between a flush and the next are those that a cut at the end of
 *      that time may lose or keep, each on its own.
 *
 * Reading only.  Failures end the process, as HARNESS_CHECK does.
 */
#ifndef LOG_WRITES_H
#define LOG_WRITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_WRITES_FLUSH 1u
#define LOG_WRITES_FUA 2u
#define LOG_WRITES_DISCARD 4u
#define LOG_WRITES_MARK 8u
#define LOG_WRITES_METADATA 16u /* the file system's own */
#define LOG_WRITES_MARK_MAX 64u

struct log_entry {
    uint64_t offset;      /* bytes, in the logged device */
    uint64_t size;        /* bytes that were written */
    uint64_t flags;
    uint64_t data_offset; /* bytes, in the log */
    char mark[LOG_WRITES_MARK_MAX];
};

struct log_writes {
    int fd;
    size_t entry_count;
    struct log_entry *entries;
};

void log_writes_open(struct log_writes *log, const char *path);
void log_writes_close(struct log_writes *log);

/* Whether the entry writes bytes (a flush may, too). */
bool log_entry_writes(const struct log_entry *entry);
/* Whether all before it, and it, is durable once it is complete. */
bool log_entry_is_barrier(const struct log_entry *entry);

/* Copies what the entry wrote to the same place of `fd`; only bytes [from, to) of it. */
void log_writes_apply(const struct log_writes *log, const struct log_entry *entry, uint64_t from,
                      uint64_t to, int fd);

#endif
