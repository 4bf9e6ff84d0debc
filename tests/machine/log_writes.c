/* SPDX-License-Identifier: MIT */
/* log_writes: see log_writes.h. */
#include "log_writes.h"

#include "../process/harness.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAGIC 0x6a736677736872u
#define LOG_VERSION 1u
#define ENTRIES_MAX 4000000u
#define COPY_SIZE (1u << 20)

struct disk_head {
    uint64_t magic;
    uint64_t version;
    uint64_t entry_count;
    uint32_t sector_size;
    uint32_t padding;
};

struct disk_entry {
    uint64_t sector;
    uint64_t sector_count;
    uint64_t flags;
    uint64_t data_size;
};

_Static_assert(sizeof(struct disk_head) == 32, "drawn in log_writes.h");
_Static_assert(sizeof(struct disk_entry) == 32, "drawn in log_writes.h");

static void read_at(int fd, void *data, size_t size, uint64_t offset)
{
    ssize_t n = pread(fd, data, size, (off_t)offset);

    HARNESS_CHECK(n == (ssize_t)size, "log at %llu: %s", (unsigned long long)offset,
                  n < 0 ? strerror(errno) : "it ends");
}

/* Decodes the entry at `position` of the log and returns where the next one begins. */
static uint64_t read_entry(int fd, uint32_t sector_size, uint64_t position,
                           struct log_entry *entry)
{
    struct disk_entry disk;
    uint64_t data_size;

    read_at(fd, &disk, sizeof disk, position);
    data_size = le64toh(disk.data_size);
    *entry = (struct log_entry){
        .offset = le64toh(disk.sector) * sector_size,
        .size = le64toh(disk.sector_count) * sector_size,
        .flags = le64toh(disk.flags),
        .data_offset = position + sector_size,
    };
    if (entry->flags & LOG_WRITES_MARK) {
        HARNESS_CHECK(data_size < sizeof entry->mark, "a mark of %llu bytes",
                      (unsigned long long)data_size);
        read_at(fd, entry->mark, (size_t)data_size, position + sizeof disk);
        entry->mark[data_size] = '\0';
        entry->size = 0;
    }
    return entry->data_offset + (log_entry_writes(entry) ? entry->size : 0);
}

void log_writes_open(struct log_writes *log, const char *path)
{
    struct disk_head head;
    uint32_t sector_size;
    uint64_t position;

    log->fd = open(path, O_RDONLY | O_CLOEXEC);
    HARNESS_CHECK(log->fd >= 0, "%s: %s", path, strerror(errno));
    read_at(log->fd, &head, sizeof head, 0);
    HARNESS_CHECK(le64toh(head.magic) == MAGIC && le64toh(head.version) == LOG_VERSION,
                  "%s: not a log of dm-log-writes, version %u", path, LOG_VERSION);
    log->entry_count = (size_t)le64toh(head.entry_count);
    sector_size = le32toh(head.sector_size);
    HARNESS_CHECK(log->entry_count > 0 && log->entry_count <= ENTRIES_MAX && sector_size >= 512 &&
                      sector_size <= 4096,
                  "%s: %zu entries, sectors of %u", path, log->entry_count, sector_size);
    log->entries = calloc(log->entry_count, sizeof *log->entries);
    HARNESS_CHECK(log->entries != NULL, "no memory for %zu entries", log->entry_count);
    position = sector_size;
    for (size_t i = 0; i < log->entry_count; i++)
        position = read_entry(log->fd, sector_size, position, &log->entries[i]);
}

void log_writes_close(struct log_writes *log)
{
    close(log->fd);
    free(log->entries);
}

bool log_entry_writes(const struct log_entry *entry)
{
    return entry->size > 0 && (entry->flags & (LOG_WRITES_MARK | LOG_WRITES_DISCARD)) == 0;
}

bool log_entry_is_barrier(const struct log_entry *entry)
{
    return (entry->flags & (LOG_WRITES_FLUSH | LOG_WRITES_FUA)) != 0;
}

void log_writes_apply(const struct log_writes *log, const struct log_entry *entry, uint64_t from,
                      uint64_t to, int fd)
{
    static uint8_t copy[COPY_SIZE];

    while (from < to) {
        size_t size = to - from < sizeof copy ? (size_t)(to - from) : sizeof copy;

        read_at(log->fd, copy, size, entry->data_offset + from);
        HARNESS_CHECK(pwrite(fd, copy, size, (off_t)(entry->offset + from)) == (ssize_t)size,
                      "at %llu: %s", (unsigned long long)(entry->offset + from), strerror(errno));
        from += size;
    }
}
