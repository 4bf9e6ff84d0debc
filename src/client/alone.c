/* SPDX-License-Identifier: MIT */
/*
 * alone: lock first, look for a daemon second, read the metas third.
 *
 * The order matters: a daemon takes its own lock first and looks for ours
 * second, so of the two one always sees the other.
 */
#include "client/alone.h"

#include "base/err.h"
#include "format/locks.h"
#include "format/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALONE_METAS_SIZE (2u * PAGE_SIZE_MAX) /* always holds both metas */

enum bts_status alone_lock(int fd, struct bts_error *error)
{
    struct flock readers = {.l_type = F_RDLCK, .l_start = (off_t)LOCK_READERS, .l_len = 1};
    struct flock daemon = {.l_type = F_RDLCK, .l_start = (off_t)LOCK_DAEMON, .l_len = 1};

    if (fcntl(fd, F_OFD_SETLK, &readers) != 0) {
        return err_set_errno(error, errno == EAGAIN ? BTS_BUSY : BTS_IO, errno, "cannot lock it");
    }
    if (fcntl(fd, F_OFD_GETLK, &daemon) != 0) {
        return err_set_errno(error, BTS_IO, errno, "cannot look for a daemon's lock");
    }
    if (daemon.l_type == F_WRLCK) {
        return err_set(error, BTS_BUSY, "a daemon serves it; open it without BTS_OPEN_ALONE");
    }
    return BTS_OK;
}

/* A meta that is not clean has later commits in its log. */
static enum bts_status alone_check_pending(const char *file_path, const struct meta *meta,
                                           unsigned flags, struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    char *pending = NULL;

    if (meta->clean || (flags & BTS_OPEN_IGNORE_PENDING) != 0) {
        return BTS_OK;
    }
    if (asprintf(&pending, "%s.pending", file_path) < 0) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a path");
    }
    if (access(pending, F_OK) == 0) {
        status = err_set(error, BTS_BUSY,
                         "its pending log %s holds later commits, which the file alone does not "
                         "show; start btstored once to apply them",
                         pending);
    } else {
        status = err_set(error, BTS_BUSY,
                         "it was not closed cleanly and its pending log %s is not here: commits "
                         "after txnid %llu are missing; restore the log, or open it with "
                         "BTS_OPEN_IGNORE_PENDING to read without them",
                         pending, (unsigned long long)meta->txnid);
    }
    free(pending);
    return status;
}

static enum bts_status alone_read_metas(int fd, struct meta *meta, struct bts_error *error)
{
    uint8_t *bytes = malloc(ALONE_METAS_SIZE);
    enum bts_status status;
    pgno_t pgno;
    ssize_t size;

    if (bytes == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for the meta pages");
    }
    size = pread(fd, bytes, ALONE_METAS_SIZE, 0);
    if (size < 0) {
        status = err_set_errno(error, BTS_IO, errno, "cannot read the meta pages");
    } else {
        status = meta_choose(bytes, (size_t)size, meta, &pgno, error);
    }
    free(bytes);
    return status;
}

static enum bts_status alone_check_size(int fd, const struct meta *meta, struct bts_error *error)
{
    struct stat stat;
    uint64_t needed = (uint64_t)meta->page_count * meta->page_size;

    if (fstat(fd, &stat) != 0) {
        return err_set_errno(error, BTS_IO, errno, "fstat");
    }
    if ((uint64_t)stat.st_size < needed) {
        return err_set(error, BTS_DAMAGED,
                       "the file is cut short: %lld bytes, its meta page says %llu; restore it",
                       (long long)stat.st_size, (unsigned long long)needed);
    }
    return BTS_OK;
}

static enum bts_status alone_prepare(const char *file_path, int fd, unsigned flags,
                                     struct meta *meta, struct bts_error *error)
{
    enum bts_status status = alone_lock(fd, error);

    if (status == BTS_OK) {
        status = alone_read_metas(fd, meta, error);
    }
    if (status == BTS_OK) {
        status = alone_check_pending(file_path, meta, flags, error);
    }
    return status == BTS_OK ? alone_check_size(fd, meta, error) : status;
}

enum bts_status alone_open(const char *file_path, unsigned flags, uint64_t span,
                           struct attachment **attachment, struct bts_error *error)
{
    struct meta meta;
    enum bts_status status;
    int fd;

    *attachment = NULL;
    fork_guard_lock();
    fd = open(file_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        status = err_set_errno(error, errno == EACCES ? BTS_DENIED : BTS_IO, errno,
                               "cannot open it");
        fork_guard_unlock();
        return status;
    }
    status = alone_prepare(file_path, fd, flags, &meta, error);
    if (status != BTS_OK) {
        close(fd);
    } else {
        struct attachment_state state = {.page_size = meta.page_size,
                                         .page_count = meta.page_count,
                                         .txnid = meta.txnid,
                                         .root = meta.root,
                                         .depth = meta.depth};
        memcpy(state.uuid, meta.uuid, sizeof(state.uuid));
        status = attachment_create_alone(fd, span, &state, attachment, error);
    }
    fork_guard_unlock();
    return status;
}
