/* SPDX-License-Identifier: MIT */
/*
 * file: see file.h.  Above the table: loops over EINTR and short writes, and
 * the words of errors.  Below it: one system call each.
 */
#include "pages/file.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

/* A call that a signal interrupts this often in a row is not going to succeed. */
#define FILE_INTERRUPTS_MAX 1000

/* ---- the real table ------------------------------------------------------------ */

static int result_of(int returned)
{
    return returned < 0 ? -errno : returned;
}

static int real_open(void *context, const char *path, int flags, mode_t mode)
{
    (void)context;
    return result_of(open(path, flags | O_CLOEXEC, mode));
}

static int real_close(void *context, int fd)
{
    (void)context;
    return result_of(close(fd));
}

static ssize_t real_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    ssize_t n = pread(fd, data, size, offset);

    (void)context;
    return n < 0 ? -errno : n;
}

static ssize_t real_pwritev(void *context, int fd, const struct iovec *parts, int part_count,
                            off_t offset)
{
    ssize_t n = pwritev(fd, parts, part_count, offset);

    (void)context;
    return n < 0 ? -errno : n;
}

static int real_fallocate(void *context, int fd, int mode, off_t offset, off_t size)
{
    (void)context;
    return result_of(fallocate(fd, mode, offset, size));
}

static int real_truncate(void *context, int fd, off_t size)
{
    (void)context;
    return result_of(ftruncate(fd, size));
}

static int real_sync(void *context, int fd)
{
    (void)context;
    return result_of(fdatasync(fd));
}

static int real_sync_range(void *context, int fd, off_t offset, off_t size, unsigned flags)
{
    (void)context;
    return result_of(sync_file_range(fd, offset, size, flags));
}

static int real_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return result_of(rename(from, to));
}

static int real_unlink(void *context, const char *path)
{
    (void)context;
    return result_of(unlink(path));
}

/* Opens the directory that holds `path`. */
static int open_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);

    if (size >= sizeof directory)
        return -ENAMETOOLONG;
    if (slash == NULL)
        strcpy(directory, ".");
    else if (size == 0)
        strcpy(directory, "/");
    else {
        memcpy(directory, path, size);
        directory[size] = '\0';
    }
    return result_of(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int real_sync_directory(void *context, const char *path)
{
    int fd = open_directory_of(path);
    int result;

    (void)context;
    if (fd < 0)
        return fd;
    result = result_of(fsync(fd));
    close(fd);
    return result;
}

static const struct file_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwritev = real_pwritev,
    .fallocate = real_fallocate,
    .truncate = real_truncate,
    .sync = real_sync,
    .sync_range = real_sync_range,
    .rename = real_rename,
    .unlink = real_unlink,
    .sync_directory = real_sync_directory,
};

const struct file_system file_system_real = {.ops = &real_ops, .context = NULL};

/* ---- above the table -------------------------------------------------------------- */

static enum bts_status file_error(const char *path, const char *what, int result,
                                  struct bts_error *error)
{
    enum bts_status status = BTS_IO;

    if (result == -ENOSPC || result == -EDQUOT || result == -EFBIG)
        status = BTS_NO_SPACE;
    else if (result == -ENOMEM)
        status = BTS_NO_MEMORY;
    else if (result == -EACCES || result == -EPERM)
        status = BTS_DENIED;
    else if (result == -ENOENT)
        status = BTS_NOT_FOUND;
    return err_set_errno(error, status, -result, "%s: %s", path, what);
}

void file_init(struct file *file)
{
    memset(file, 0, sizeof *file);
    file->fd = -1;
}

enum bts_status file_open(struct file *file, const struct file_system *system, const char *path,
                          int flags, mode_t mode, struct bts_error *error)
{
    int fd;

    file_init(file);
    file->path = strdup(path);
    if (file->path == NULL)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", path);
    fd = system->ops->open(system->context, path, flags, mode);
    if (fd < 0) {
        free(file->path);
        file_init(file);
        return file_error(path, "open", fd, error);
    }
    file->system = system;
    file->fd = fd;
    return BTS_OK;
}

void file_close(struct file *file)
{
    if (file->fd >= 0)
        file->system->ops->close(file->system->context, file->fd);
    free(file->path);
    file_init(file);
}

enum bts_status file_read(const struct file *file, void *data, size_t size, uint64_t offset,
                          struct bts_error *error)
{
    const struct file_system *fs = file->system;
    size_t done = 0;
    int interrupts = 0;

    while (done < size) {
        ssize_t n = fs->ops->pread(fs->context, file->fd, (char *)data + done, size - done,
                                   (off_t)(offset + done));
        if (n == -EINTR && ++interrupts < FILE_INTERRUPTS_MAX)
            continue;
        if (n < 0)
            return file_error(file->path, "read", (int)n, error);
        if (n == 0)
            return err_set(error, BTS_DAMAGED, "%s: the file ends at byte %llu, %zu bytes early",
                           file->path, (unsigned long long)(offset + done), size - done);
        done += (size_t)n;
    }
    return BTS_OK;
}

void file_ask_direct(const struct file *file)
{
    int flags = fcntl(file->fd, F_GETFL);

    if (flags >= 0)
        (void)fcntl(file->fd, F_SETFL, flags | O_DIRECT);
}

bool file_leave_direct(const struct file *file)
{
    int flags = fcntl(file->fd, F_GETFL);

    return flags >= 0 && (flags & O_DIRECT) != 0 &&
           fcntl(file->fd, F_SETFL, flags & ~O_DIRECT) == 0;
}

enum bts_status file_write(const struct file *file, const void *data, size_t size,
                           uint64_t offset, struct bts_error *error)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

    return file_write_parts(file, &part, 1, offset, error);
}

enum bts_status file_write_parts(const struct file *file, struct iovec *parts, size_t part_count,
                                 uint64_t offset, struct bts_error *error)
{
    const struct file_system *fs = file->system;
    int interrupts = 0;

    while (part_count > 0) {
        int count = part_count < IOV_MAX ? (int)part_count : IOV_MAX;
        ssize_t n = fs->ops->pwritev(fs->context, file->fd, parts, count, (off_t)offset);
        size_t left;

        if (n == -EINTR && ++interrupts < FILE_INTERRUPTS_MAX)
            continue;
        /* Not aligned as the device wants it, or the rest of a write that was cut short. */
        if (n == -EINVAL && file_leave_direct(file))
            continue;
        if (n <= 0)
            return file_error(file->path, "write", n == 0 ? -EIO : (int)n, error);
        offset += (size_t)n;
        for (left = (size_t)n; part_count > 0 && left >= parts->iov_len; parts++, part_count--)
            left -= parts->iov_len;
        if (part_count > 0) {
            parts->iov_base = (char *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
    return BTS_OK;
}

/* Where fallocate is not to be had, zeros take its place. */
static enum bts_status grow_by_writing(const struct file *file, uint64_t from, uint64_t size,
                                       struct bts_error *error)
{
    static _Alignas(4096) const char zeros[65536];
    enum bts_status status = BTS_OK;

    while (status == BTS_OK && from < size) {
        size_t n = size - from < sizeof zeros ? (size_t)(size - from) : sizeof zeros;

        status = file_write(file, zeros, n, from, error);
        from += n;
    }
    return status;
}

static int file_allocate(const struct file *file, uint64_t from, uint64_t size)
{
    const struct file_system *fs = file->system;
    int interrupts = 0;
    int result;

    do
        result = fs->ops->fallocate(fs->context, file->fd, 0, (off_t)from, (off_t)(size - from));
    while (result == -EINTR && ++interrupts < FILE_INTERRUPTS_MAX);
    return result;
}

enum bts_status file_grow(const struct file *file, uint64_t from, uint64_t size,
                          struct bts_error *error)
{
    int result;

    if (from >= size)
        return BTS_OK;
    result = file_allocate(file, from, size);
    if (result == -EOPNOTSUPP || result == -ENOSYS)
        return grow_by_writing(file, from, size, error);
    return result < 0 ? file_error(file->path, "grow", result, error) : BTS_OK;
}

enum bts_status file_reserve(const struct file *file, uint64_t from, uint64_t to,
                             struct bts_error *error)
{
    int result = from < to ? file_allocate(file, from, to) : 0;

    if (result == -EOPNOTSUPP || result == -ENOSYS)
        return BTS_OK; /* never by writing: what is there must stay */
    return result < 0 ? file_error(file->path, "reserve", result, error) : BTS_OK;
}

enum bts_status file_truncate(const struct file *file, uint64_t size, struct bts_error *error)
{
    const struct file_system *fs = file->system;
    int result = fs->ops->truncate(fs->context, file->fd, (off_t)size);

    return result < 0 ? file_error(file->path, "truncate", result, error) : BTS_OK;
}

enum bts_status file_punch(const struct file *file, uint64_t offset, uint64_t size,
                           struct bts_error *error)
{
    const struct file_system *fs = file->system;
    int result = fs->ops->fallocate(fs->context, file->fd,
                                    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                                    (off_t)size);

    if (result == -EOPNOTSUPP || result == -ENOSYS)
        return BTS_OK;
    return result < 0 ? file_error(file->path, "punch", result, error) : BTS_OK;
}

enum bts_status file_sync(const struct file *file, struct bts_error *error)
{
    const struct file_system *fs = file->system;
    int result = fs->ops->sync(fs->context, file->fd);

    /* Not even ENOSPC is an ordinary refusal here: what was written may be gone. */
    if (result < 0)
        return err_set_errno(error, BTS_IO, -result, "%s: sync", file->path);
    return BTS_OK;
}

static enum bts_status file_range(const struct file *file, uint64_t offset, uint64_t size,
                                  unsigned flags, struct bts_error *error)
{
    const struct file_system *fs = file->system;
    int result = fs->ops->sync_range(fs->context, file->fd, (off_t)offset, (off_t)size, flags);

    if (result == -ENOSYS || result == -EOPNOTSUPP || result == -ESPIPE)
        return BTS_OK;
    if (result < 0)
        return err_set_errno(error, BTS_IO, -result, "%s: sync of a range", file->path);
    return BTS_OK;
}

enum bts_status file_sync_range(const struct file *file, uint64_t offset, uint64_t size,
                                struct bts_error *error)
{
    return file_range(file, offset, size,
                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                          SYNC_FILE_RANGE_WAIT_AFTER,
                      error);
}

enum bts_status file_write_back(const struct file *file, uint64_t offset, uint64_t size,
                                struct bts_error *error)
{
    return file_range(file, offset, size, SYNC_FILE_RANGE_WRITE, error);
}

enum bts_status file_unlink(const struct file_system *system, const char *path,
                            struct bts_error *error)
{
    int result = system->ops->unlink(system->context, path);

    return result < 0 ? file_error(path, "unlink", result, error) : BTS_OK;
}

enum bts_status file_rename(const struct file_system *system, const char *from, const char *to,
                            struct bts_error *error)
{
    int result = system->ops->rename(system->context, from, to);

    return result < 0 ? file_error(from, "rename", result, error) : BTS_OK;
}

enum bts_status file_sync_directory(const struct file_system *system, const char *path,
                                    struct bts_error *error)
{
    int result = system->ops->sync_directory(system->context, path);

    if (result < 0)
        return err_set_errno(error, BTS_IO, -result, "%s: sync of its directory", path);
    return BTS_OK;
}

enum bts_status file_identify(const struct file *file, struct file_identity *identity,
                              struct bts_error *error)
{
    struct stat st;

    memset(identity, 0, sizeof *identity);
    if (fstat(file->fd, &st) != 0)
        return file_error(file->path, "stat", -errno, error);
    identity->size = (uint64_t)st.st_size;
    identity->device = (uint64_t)st.st_dev;
    identity->inode = (uint64_t)st.st_ino;
    return BTS_OK;
}

enum bts_status file_lock(const struct file *file, uint64_t byte, bool exclusive,
                          struct bts_error *error)
{
    struct flock lock = {
        .l_type = exclusive ? F_WRLCK : F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)byte,
        .l_len = 1,
    };

    if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
        return BTS_OK;
    if (errno == EAGAIN || errno == EACCES)
        return err_set(error, BTS_BUSY, "%s: another process holds its lock", file->path);
    return file_error(file->path, "lock", -errno, error);
}
