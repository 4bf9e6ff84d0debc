/* SPDX-License-Identifier: MIT */
/*
 * file: the storage seam.  Everything the daemon does to the store's files
 * (the database, the pending log, their directory) goes through one small
 * table of functions.
 *
 * Production fills the table with thin system calls.  Tests put a recorder or
 * a fault injector there: they see every write, size change and sync in
 * order, and can fail each.  A lint refuses these calls anywhere else in the
 * daemon.
 *
 * The functions behind the table do one system call each and return its
 * result, or -errno.  Retrying what may be retried (EINTR, short writes) and
 * wording the error is done once, in file.c, above the table.  A failed sync
 * is never retried.
 */
#ifndef PAGES_FILE_H
#define PAGES_FILE_H

#include <btstore.h>
#include <sys/types.h>
#include <sys/uio.h>

struct file_ops {
    int (*open)(void *context, const char *path, int flags, mode_t mode);
    int (*close)(void *context, int fd);
    ssize_t (*pread)(void *context, int fd, void *data, size_t size, off_t offset);
    ssize_t (*pwritev)(void *context, int fd, const struct iovec *parts, int part_count,
                       off_t offset);
    int (*fallocate)(void *context, int fd, int mode, off_t offset, off_t size);
    int (*truncate)(void *context, int fd, off_t size);
    int (*sync)(void *context, int fd); /* fdatasync */
    int (*sync_range)(void *context, int fd, off_t offset, off_t size, unsigned flags);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *path);
    int (*sync_directory)(void *context, const char *path); /* the directory that holds `path` */
};

/* Where files live: a table and what its functions are given. */
struct file_system {
    const struct file_ops *ops;
    void *context;
};

/* The real one. */
extern const struct file_system file_system_real;

/* One open file of the store. */
struct file {
    const struct file_system *system;
    int fd;        /* -1: closed */
    char *path;    /* owned; for messages */
};

/* Zeroes `file` to the closed state. */
void file_init(struct file *file);
BTS_MUST_USE enum bts_status file_open(struct file *file, const struct file_system *system,
                                       const char *path, int flags, mode_t mode,
                                       struct bts_error *error);
/* Closes; a closed file is left alone. */
void file_close(struct file *file);

/*
 * Asks for writes that go to the device past the cache.  A sync is needed all
 * the same.  Where the system or the device will not have that, or not of what
 * is written, writes go through the cache as before, and nobody need know.
 */
void file_ask_direct(const struct file *file);
/* Back to the cache; false: that is where it was. */
bool file_leave_direct(const struct file *file);

/* Reads exactly `size` bytes; a file that ends early is BTS_DAMAGED. */
BTS_MUST_USE enum bts_status file_read(const struct file *file, void *data, size_t size,
                                       uint64_t offset, struct bts_error *error);
BTS_MUST_USE enum bts_status file_write(const struct file *file, const void *data, size_t size,
                                        uint64_t offset, struct bts_error *error);
/* Writes all parts (which it may change) back to back.  BTS_NO_SPACE, BTS_IO. */
BTS_MUST_USE enum bts_status file_write_parts(const struct file *file, struct iovec *parts,
                                              size_t part_count, uint64_t offset,
                                              struct bts_error *error);
/* Makes the file at least `size` bytes, with room on the disk behind every byte from `from`. */
BTS_MUST_USE enum bts_status file_grow(const struct file *file, uint64_t from, uint64_t size,
                                       struct bts_error *error);
/* Room on the disk behind every byte from `from` up to `to`, which stay as they are.
 * Unsupported is no error; BTS_NO_SPACE, BTS_IO. */
BTS_MUST_USE enum bts_status file_reserve(const struct file *file, uint64_t from, uint64_t to,
                                          struct bts_error *error);
BTS_MUST_USE enum bts_status file_truncate(const struct file *file, uint64_t size,
                                           struct bts_error *error);
/* Frees the disk behind a range, which then reads as zeros; unsupported is no error. */
BTS_MUST_USE enum bts_status file_punch(const struct file *file, uint64_t offset, uint64_t size,
                                        struct bts_error *error);
/* A failure here is fatal for the caller: what was not synced may be gone. */
BTS_MUST_USE enum bts_status file_sync(const struct file *file, struct bts_error *error);
BTS_MUST_USE enum bts_status file_sync_range(const struct file *file, uint64_t offset,
                                             uint64_t size, struct bts_error *error);
/* Begins what a later sync has to wait for, and promises nothing; a failure is as fatal. */
BTS_MUST_USE enum bts_status file_write_back(const struct file *file, uint64_t offset,
                                             uint64_t size, struct bts_error *error);
BTS_MUST_USE enum bts_status file_unlink(const struct file_system *system, const char *path,
                                         struct bts_error *error);
BTS_MUST_USE enum bts_status file_rename(const struct file_system *system, const char *from,
                                         const char *to, struct bts_error *error);
BTS_MUST_USE enum bts_status file_sync_directory(const struct file_system *system,
                                                 const char *path, struct bts_error *error);

/* Size, device and inode of an open file. */
struct file_identity {
    uint64_t size;
    uint64_t device;
    uint64_t inode;
};
BTS_MUST_USE enum bts_status file_identify(const struct file *file, struct file_identity *identity,
                                           struct bts_error *error);

/*
 * Takes an open-file-description lock on one byte, exclusive or shared,
 * without waiting.  BTS_BUSY: somebody else holds it.
 */
BTS_MUST_USE enum bts_status file_lock(const struct file *file, uint64_t byte, bool exclusive,
                                       struct bts_error *error);

#endif
