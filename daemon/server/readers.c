/* SPDX-License-Identifier: MIT */
/*
 * readers: see readers.h.
 */
#include "server/readers.h"

#include "base/bytes.h"
#include "base/err.h"
#include "format/locks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READER_NAME_SIZE 96

/* ---- names ----------------------------------------------------------------------- */

static void reader_name(const struct reader *reader, char name[READER_NAME_SIZE])
{
    snprintf(name, READER_NAME_SIZE, "%" PRIu64 ".%d.%u.%" PRIu64, reader->number,
             (int)reader->pid, (unsigned)reader->uid, reader->attached_ms);
}

/* Reads what reader_name wrote; false: this is no name of ours. */
static bool reader_parse_name(const char *name, struct reader *reader)
{
    char same[READER_NAME_SIZE];
    int pid = 0;
    unsigned uid = 0;

    memset(reader, 0, sizeof(*reader));
    reader->probe_fd = -1;
    if (sscanf(name, "%" SCNu64 ".%d.%u.%" SCNu64, &reader->number, &pid, &uid,
               &reader->attached_ms) != 4) {
        return false;
    }
    reader->pid = pid;
    reader->uid = uid;
    reader_name(reader, same);
    return strcmp(same, name) == 0;
}

static uint64_t readers_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- one reader ------------------------------------------------------------------ */

/* Whether its lock is still held.  A probe that fails is taken to say yes: never free too early. */
static bool reader_lives(const struct reader *reader)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)LOCK_SLOT, .l_len = 1};

    return fcntl(reader->probe_fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

/* Opens the description to probe through, and maps the slots. */
static enum bts_status reader_open(const struct readers *readers, struct reader *reader,
                                   struct bts_error *error)
{
    char name[READER_NAME_SIZE];

    reader_name(reader, name);
    reader->probe_fd = openat(readers->run->slots_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (reader->probe_fd < 0) {
        return err_set_errno(error, BTS_IO, errno, "%s/slots/%s: cannot open", readers->run->path,
                             name);
    }
    void *map = mmap(NULL, SLOT_FILE_SIZE, PROT_READ, MAP_SHARED, reader->probe_fd, 0);
    if (map == MAP_FAILED) {
        int reason = errno;
        close(reader->probe_fd);
        reader->probe_fd = -1;
        return err_set_errno(error, BTS_IO, reason, "%s/slots/%s: cannot map", readers->run->path,
                             name);
    }
    reader->file = map;
    return BTS_OK;
}

static void reader_close(struct reader *reader)
{
    if (reader->file != NULL) {
        munmap((void *)(uintptr_t)reader->file, SLOT_FILE_SIZE);
        reader->file = NULL;
    }
    if (reader->probe_fd >= 0) {
        close(reader->probe_fd);
        reader->probe_fd = -1;
    }
}

static void reader_unlink(const struct readers *readers, const struct reader *reader)
{
    char name[READER_NAME_SIZE];

    reader_name(reader, name);
    unlinkat(readers->run->slots_fd, name, 0);
}

struct reader_snapshots readers_snapshots(const struct reader *reader)
{
    struct reader_snapshots snapshots = {0, 0};
    uint8_t slot[sizeof(struct slot)];
    uint32_t used = 0;

    if (pread(reader->probe_fd, &used, sizeof(used), offsetof(struct slot_file, used)) !=
        sizeof(used)) {
        return snapshots;
    }
    used = used < SLOT_COUNT ? used : SLOT_COUNT;
    for (uint32_t i = 0; i < used; i++) {
        off_t at = (off_t)(offsetof(struct slot_file, slots) + i * sizeof(struct slot));
        if (pread(reader->probe_fd, slot, sizeof(slot), at) != sizeof(slot)) {
            break;
        }
        txnid_t txn = bytes_load_u64(slot);
        if (txn != SLOT_IDLE) {
            snapshots.count++;
            snapshots.oldest = snapshots.oldest == 0 || txn < snapshots.oldest ? txn
                                                                               : snapshots.oldest;
        }
    }
    return snapshots;
}

/* ---- all of them ----------------------------------------------------------------- */

static enum bts_status readers_make_room(struct readers *readers, struct bts_error *error)
{
    if (readers->count < readers->room) {
        return BTS_OK;
    }
    size_t room = readers->room > 0 ? 2 * readers->room : 16;
    struct reader *grown = realloc(readers->entries, room * sizeof(*grown));
    if (grown == NULL) {
        return err_set(error, BTS_NO_MEMORY, "readers: out of memory");
    }
    readers->entries = grown;
    readers->room = room;
    return BTS_OK;
}

/* Opens the reader and puts it into table and horizon. */
static enum bts_status readers_add(struct readers *readers, struct reader *reader,
                                   struct bts_error *error)
{
    enum bts_status status = readers_make_room(readers, error);

    if (status == BTS_OK) {
        status = reader_open(readers, reader, error);
    }
    if (status == BTS_OK) {
        status = horizon_add(readers->horizon, reader->file, &reader->horizon_id, error);
    }
    if (status != BTS_OK) {
        reader_close(reader);
        return status;
    }
    readers->entries[readers->count++] = *reader;
    return BTS_OK;
}

static void readers_forget(struct readers *readers, size_t index)
{
    struct reader *reader = &readers->entries[index];

    horizon_remove(readers->horizon, reader->horizon_id);
    reader_close(reader);
    reader_unlink(readers, reader);
    readers->entries[index] = readers->entries[--readers->count];
}

void readers_sweep(struct readers *readers)
{
    for (size_t i = readers->count; i-- > 0;) {
        if (!reader_lives(&readers->entries[i])) {
            readers_forget(readers, i);
        }
    }
}

const struct reader *readers_next_broken(struct readers *readers)
{
    for (size_t i = 0; i < readers->count; i++) {
        struct reader *reader = &readers->entries[i];
        if (readers->horizon->readers[reader->horizon_id].broken && !reader->broken_told) {
            reader->broken_told = true;
            return reader;
        }
    }
    return NULL;
}

/* One file of slots/ at start: a living reader is adopted, a dead one's slot goes. */
static enum bts_status readers_adopt(struct readers *readers, const char *name,
                                     struct bts_error *error)
{
    struct reader reader;

    if (!reader_parse_name(name, &reader)) {
        unlinkat(readers->run->slots_fd, name, 0);
        return BTS_OK;
    }
    if (reader.number >= readers->next_number) {
        readers->next_number = reader.number + 1;
    }
    enum bts_status status = readers_add(readers, &reader, error);
    if (status == BTS_OK && !reader_lives(&readers->entries[readers->count - 1])) {
        readers_forget(readers, readers->count - 1);
    }
    return status;
}

/* The next entry; NULL: the end, and errno is 0, or it cannot be told. */
static const struct dirent *readers_next_entry(DIR *directory)
{
    errno = 0;
    return readdir(directory);
}

static enum bts_status readers_adopt_all(struct readers *readers, struct bts_error *error)
{
    const struct dirent *entry = NULL;
    int fd = openat(readers->run->slots_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    enum bts_status status = BTS_OK;

    if (directory == NULL) {
        int reason = errno;
        if (fd >= 0) {
            close(fd);
        }
        return err_set_errno(error, BTS_IO, reason, "%s/slots: cannot list", readers->run->path);
    }
    while (status == BTS_OK && (entry = readers_next_entry(directory)) != NULL) {
        if (entry->d_name[0] != '.') {
            status = readers_adopt(readers, entry->d_name, error);
        }
    }
    /* A reader that is overlooked would lose the pages that it reads. */
    if (status == BTS_OK && errno != 0) {
        status = err_set_errno(error, BTS_IO, errno, "%s/slots: cannot list", readers->run->path);
    }
    closedir(directory);
    return status;
}

static void readers_set_watch(struct readers *readers)
{
    char path[64];

    readers->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (readers->watch_fd < 0) {
        return;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", readers->run->slots_fd);
    if (inotify_add_watch(readers->watch_fd, path, IN_CLOSE_WRITE) < 0) {
        close(readers->watch_fd);
        readers->watch_fd = -1;
    }
}

enum bts_status readers_open(struct readers *readers, const struct run_directory *run,
                             struct horizon *horizon, struct bts_error *error)
{
    *readers = (struct readers){.run = run, .horizon = horizon, .next_number = 1, .watch_fd = -1};
    readers_set_watch(readers);
    enum bts_status status = readers_adopt_all(readers, error);
    if (status != BTS_OK) {
        readers_close(readers);
    }
    return status;
}

void readers_close(struct readers *readers)
{
    for (size_t i = 0; i < readers->count; i++) {
        horizon_remove(readers->horizon, readers->entries[i].horizon_id);
        reader_close(&readers->entries[i]);
    }
    free(readers->entries);
    readers->entries = NULL;
    readers->count = readers->room = 0;
    if (readers->watch_fd >= 0) {
        close(readers->watch_fd);
        readers->watch_fd = -1;
    }
}

/* ---- attach ---------------------------------------------------------------------- */

static enum bts_status readers_check_limits(const struct readers *readers, uid_t uid,
                                            struct bts_error *error)
{
    size_t same = 0;

    for (size_t i = 0; i < readers->count; i++) {
        same += readers->entries[i].uid == uid;
    }
    if (readers->count >= READERS_MAX) {
        return err_set(error, BTS_LIMIT, "readers: %u are attached, more are not allowed",
                       READERS_MAX);
    }
    if (same >= READERS_PER_USER_MAX && uid != geteuid()) {
        return err_set(error, BTS_LIMIT, "readers: user %u has %u attached, more are not allowed",
                       (unsigned)uid, READERS_PER_USER_MAX);
    }
    return BTS_OK;
}

/* Fills a new slot file: room behind every byte, header, lock. */
static enum bts_status reader_prepare(int fd, struct bts_error *error)
{
    const struct {
        uint64_t magic;
        uint32_t version;
    } header = {SLOT_MAGIC, SLOT_VERSION};
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)LOCK_SLOT, .l_len = 1};
    int refused = posix_fallocate(fd, 0, SLOT_FILE_SIZE);

    if (refused != 0) {
        return err_set_errno(error, refused == ENOSPC ? BTS_NO_SPACE : BTS_IO, refused,
                             "slots: cannot make a slot file");
    }
    if (pwrite(fd, &header, 12, 0) != 12 || fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        return err_set_errno(error, BTS_IO, errno, "slots: cannot make a slot file");
    }
    return BTS_OK;
}

enum bts_status readers_attach(struct readers *readers, pid_t pid, uid_t uid, int *slot_fd,
                               struct bts_error *error)
{
    struct reader reader = {.number = readers->next_number,
                            .pid = pid,
                            .uid = uid,
                            .attached_ms = readers_now_ms(),
                            .probe_fd = -1};
    char name[READER_NAME_SIZE];
    enum bts_status status = readers_check_limits(readers, uid, error);

    *slot_fd = -1;
    if (status != BTS_OK) {
        return status;
    }
    reader_name(&reader, name);
    int fd = openat(readers->run->slots_fd, name,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_set_errno(error, BTS_IO, errno, "%s/slots/%s: cannot make it",
                             readers->run->path, name);
    }
    readers->next_number++;
    status = reader_prepare(fd, error);
    if (status == BTS_OK) {
        status = readers_add(readers, &reader, error);
    }
    if (status != BTS_OK) {
        reader_unlink(readers, &reader);
        close(fd);
        return status;
    }
    *slot_fd = fd;
    return BTS_OK;
}

/* ---- their end ------------------------------------------------------------------- */

/* Forgets the reader whose slot file was closed, if its lock is gone; true: it is not yet. */
static bool readers_closed(struct readers *readers, const char *name)
{
    struct reader closed;

    if (!reader_parse_name(name, &closed)) {
        return false;
    }
    for (size_t i = 0; i < readers->count; i++) {
        if (readers->entries[i].number == closed.number) {
            if (reader_lives(&readers->entries[i])) {
                return true;
            }
            readers_forget(readers, i);
            return false;
        }
    }
    return false;
}

bool readers_watch(struct readers *readers)
{
    _Alignas(struct inotify_event) char events[4096];
    bool again = false;
    ssize_t size;

    while ((size = read(readers->watch_fd, events, sizeof(events))) > 0) {
        const char *next = events;
        while (next < events + size) {
            const struct inotify_event *event = (const void *)next;
            if ((event->mask & IN_Q_OVERFLOW) != 0) {
                again = true;
            } else if (event->len > 0) {
                again = readers_closed(readers, event->name) || again;
            }
            next += sizeof(*event) + event->len;
        }
    }
    return again;
}
