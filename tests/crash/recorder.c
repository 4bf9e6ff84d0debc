/* SPDX-License-Identifier: MIT */
/* recorder: see recorder.h. */
#include "recorder.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is in doubt --------------------------------------------------- */

static void note(struct recorder *recorder, const struct disk_op *op)
{
    if (recorder->pending_count == recorder->pending_room) {
        recorder->pending_room = recorder->pending_room * 2 + 64;
        recorder->pending =
            realloc(recorder->pending, recorder->pending_room * sizeof(*recorder->pending));
        assert(recorder->pending != NULL);
    }
    recorder->pending[recorder->pending_count++] = *op;
}

/*
 * Operations of the inode (or on names) become durable.  Or, when the sync
 * fails, its writes are lost for good; sizes and names stay in doubt: after a
 * failed write of its journal a file system goes read-only.
 */
static void settle(struct recorder *recorder, int inode, bool names, bool kept)
{
    size_t left = 0;

    for (size_t i = 0; i < recorder->pending_count; i++) {
        struct disk_op *op = &recorder->pending[i];
        bool mine = names ? op->type == DISK_NAME
                          : op->type != DISK_NAME && op->inode == inode;
        if (!mine || (!kept && op->type != DISK_WRITE)) {
            recorder->pending[left++] = *op;
            continue;
        }
        if (kept)
            disk_apply(&recorder->durable, op);
        free(op->data);
        free(op->hashes);
    }
    recorder->pending_count = left;
}

/* A sync of an inode, or of names; the callback sees the doubt before it. */
static int sync_any(struct recorder *recorder, int inode, bool names)
{
    bool fails;

    pthread_mutex_lock(&recorder->mutex);
    fails = ++recorder->syncs == recorder->fail_sync;
    if (recorder->at_sync != NULL)
        recorder->at_sync(recorder->context, recorder);
    settle(recorder, inode, names, !fails);
    pthread_mutex_unlock(&recorder->mutex);
    return fails ? -EIO : 0;
}

static void resize(struct recorder *recorder, int inode, uint64_t size)
{
    if (size == recorder->sizes[inode])
        return;
    recorder->sizes[inode] = size;
    note(recorder, &(struct disk_op){.type = DISK_SIZE, .inode = inode, .size = size});
}

/* ---- the table ---------------------------------------------------------- */

static int recorder_open(void *context, const char *path, int flags, mode_t mode)
{
    struct recorder *recorder = context;
    int name = disk_name_of(path);
    int fd;

    pthread_mutex_lock(&recorder->mutex);
    fd = recorder->lower->ops->open(recorder->lower->context, path, flags, mode);
    if (fd >= 0 && name >= 0) {
        assert(fd < RECORDER_FDS);
        if (recorder->names[name] < 0) {
            assert(recorder->inode_count < (int)DISK_INODES);
            recorder->names[name] = recorder->inode_count++;
            note(recorder, &(struct disk_op){.type = DISK_NAME,
                                             .inode = recorder->names[name],
                                             .name = (unsigned)name});
        }
        recorder->fds[fd] = recorder->names[name];
    }
    pthread_mutex_unlock(&recorder->mutex);
    return fd;
}

static int recorder_close(void *context, int fd)
{
    struct recorder *recorder = context;

    return recorder->lower->ops->close(recorder->lower->context, fd);
}

static ssize_t recorder_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    struct recorder *recorder = context;

    return recorder->lower->ops->pread(recorder->lower->context, fd, data, size, offset);
}

/* What was written, in one piece. */
static struct disk_op written_op(int inode, const struct iovec *parts, int part_count,
                                 uint64_t offset, uint64_t size)
{
    struct disk_op op = {.type = DISK_WRITE, .inode = inode, .offset = offset, .size = size};
    size_t at = 0;

    op.data = calloc(1, size);
    op.hashes = calloc(disk_pages(size) + 1, sizeof(*op.hashes));
    assert(op.data != NULL && op.hashes != NULL);
    for (int i = 0; i < part_count && at < size; i++) {
        size_t n = parts[i].iov_len < size - at ? parts[i].iov_len : size - at;
        memcpy(op.data + at, parts[i].iov_base, n);
        at += n;
    }
    return op;
}

static void note_written(struct recorder *recorder, const struct disk_op *op)
{
    if (op->offset + op->size > recorder->sizes[op->inode])
        resize(recorder, op->inode, op->offset + op->size);
    note(recorder, op);
}

static ssize_t recorder_pwritev(void *context, int fd, const struct iovec *parts, int part_count,
                                off_t offset)
{
    struct recorder *recorder = context;
    ssize_t written;

    pthread_mutex_lock(&recorder->mutex);
    written = recorder->lower->ops->pwritev(recorder->lower->context, fd, parts, part_count,
                                            offset);
    if (written > 0) {
        struct disk_op op = written_op(recorder->fds[fd], parts, part_count, (uint64_t)offset,
                                       (uint64_t)written);
        note_written(recorder, &op);
    }
    pthread_mutex_unlock(&recorder->mutex);
    return written;
}

static int recorder_fallocate(void *context, int fd, int mode, off_t offset, off_t size)
{
    struct recorder *recorder = context;
    int inode = recorder->fds[fd];
    int result;

    pthread_mutex_lock(&recorder->mutex);
    result = recorder->lower->ops->fallocate(recorder->lower->context, fd, mode, offset, size);
    if (result == 0 && mode != 0) { /* a hole reads as zeros */
        struct disk_op op = written_op(inode, NULL, 0, (uint64_t)offset, (uint64_t)size);
        note(recorder, &op);
    } else if (result == 0 && (uint64_t)(offset + size) > recorder->sizes[inode]) {
        resize(recorder, inode, (uint64_t)(offset + size));
    }
    pthread_mutex_unlock(&recorder->mutex);
    return result;
}

static int recorder_truncate(void *context, int fd, off_t size)
{
    struct recorder *recorder = context;
    int result;

    pthread_mutex_lock(&recorder->mutex);
    result = recorder->lower->ops->truncate(recorder->lower->context, fd, size);
    if (result == 0)
        resize(recorder, recorder->fds[fd], (uint64_t)size);
    pthread_mutex_unlock(&recorder->mutex);
    return result;
}

static int recorder_sync(void *context, int fd)
{
    struct recorder *recorder = context;

    return sync_any(recorder, recorder->fds[fd], false);
}

static int recorder_sync_range(void *context, int fd, off_t offset, off_t size, unsigned flags)
{
    (void)context, (void)fd, (void)offset, (void)size, (void)flags;
    return 0; /* promises nothing */
}

static int recorder_rename(void *context, const char *from, const char *to)
{
    (void)context, (void)from, (void)to;
    abort(); /* nobody does so */
}

static int recorder_unlink(void *context, const char *path)
{
    struct recorder *recorder = context;
    int name = disk_name_of(path);
    int result;

    pthread_mutex_lock(&recorder->mutex);
    result = recorder->lower->ops->unlink(recorder->lower->context, path);
    if (result == 0 && name >= 0) {
        recorder->names[name] = -1;
        note(recorder,
             &(struct disk_op){.type = DISK_NAME, .inode = -1, .name = (unsigned)name});
    }
    pthread_mutex_unlock(&recorder->mutex);
    return result;
}

static int recorder_sync_directory(void *context, const char *path)
{
    (void)path;
    return sync_any(context, -1, true);
}

static const struct file_ops recorder_ops = {
    .open = recorder_open,
    .close = recorder_close,
    .pread = recorder_pread,
    .pwritev = recorder_pwritev,
    .fallocate = recorder_fallocate,
    .truncate = recorder_truncate,
    .sync = recorder_sync,
    .sync_range = recorder_sync_range,
    .rename = recorder_rename,
    .unlink = recorder_unlink,
    .sync_directory = recorder_sync_directory,
};

/* ---- life --------------------------------------------------------------- */

void recorder_init(struct recorder *recorder, const struct file_system *lower,
                   const struct image *image)
{
    memset(recorder, 0, sizeof(*recorder));
    recorder->system = (struct file_system){.ops = &recorder_ops, .context = recorder};
    recorder->lower = lower;
    pthread_mutex_init(&recorder->mutex, NULL);
    disk_init(&recorder->durable);
    if (image != NULL)
        image_settle(image, &recorder->durable);
    for (unsigned i = 0; i < DISK_NAMES; i++) {
        int inode = recorder->durable.names[i];
        recorder->names[i] = inode;
        if (inode >= 0)
            recorder->sizes[inode] = recorder->durable.inodes[inode].size;
        if (inode >= recorder->inode_count)
            recorder->inode_count = inode + 1;
    }
}

void recorder_fini(struct recorder *recorder)
{
    for (size_t i = 0; i < recorder->pending_count; i++) {
        free(recorder->pending[i].data);
        free(recorder->pending[i].hashes);
    }
    free(recorder->pending);
    disk_fini(&recorder->durable);
    pthread_mutex_destroy(&recorder->mutex);
    memset(recorder, 0, sizeof(*recorder));
}
