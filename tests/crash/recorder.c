/* SPDX-License-Identifier: MIT */
/* recorder: see recorder.h. */
#include "recorder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const recorder_names[RECORDER_NAMES] = {"store.bts", "store.bts.pending"};

/* ---- images ------------------------------------------------------------- */

void recorder_image_init(struct recorder_image *image)
{
    memset(image, 0, sizeof(*image));
    for (unsigned i = 0; i < RECORDER_NAMES; i++)
        image->names[i] = -1;
}

void recorder_image_fini(struct recorder_image *image)
{
    for (unsigned i = 0; i < RECORDER_INODES; i++)
        free(image->inodes[i].data);
    recorder_image_init(image);
}

static void image_reserve(struct recorder_image *image, int inode, uint64_t size)
{
    uint64_t room = image->inodes[inode].room;

    if (size <= room)
        return;
    size += size / 2;
    image->inodes[inode].data = realloc(image->inodes[inode].data, size);
    assert(image->inodes[inode].data != NULL);
    memset(image->inodes[inode].data + room, 0, size - room);
    image->inodes[inode].room = size;
}

void recorder_image_copy(struct recorder_image *to, const struct recorder_image *from)
{
    recorder_image_init(to);
    for (unsigned i = 0; i < RECORDER_INODES; i++) {
        if (from->inodes[i].room == 0)
            continue;
        to->inodes[i] = from->inodes[i];
        to->inodes[i].data = malloc(from->inodes[i].room);
        assert(to->inodes[i].data != NULL);
        memcpy(to->inodes[i].data, from->inodes[i].data, from->inodes[i].room);
    }
    memcpy(to->names, from->names, sizeof(to->names));
}

void recorder_image_apply_part(struct recorder_image *image, const struct recorder_op *op,
                               uint64_t from, uint64_t to)
{
    to = to < op->size ? to : op->size;
    if (from >= to)
        return;
    image_reserve(image, op->inode, op->offset + to);
    memcpy(image->inodes[op->inode].data + op->offset + from, op->data + from, to - from);
}

void recorder_image_apply(struct recorder_image *image, const struct recorder_op *op)
{
    uint64_t size;

    switch (op->type) {
    case RECORDER_WRITE:
        recorder_image_apply_part(image, op, 0, op->size);
        break;
    case RECORDER_SIZE:
        size = image->inodes[op->inode].size;
        image_reserve(image, op->inode, op->size);
        if (op->size < size) /* what is cut off does not come back */
            memset(image->inodes[op->inode].data + op->size, 0,
                   image->inodes[op->inode].room - op->size);
        image->inodes[op->inode].size = op->size;
        break;
    case RECORDER_NAME:
        image->names[op->name] = op->inode;
        break;
    }
}

void recorder_image_save(const struct recorder_image *image, const char *directory)
{
    for (unsigned i = 0; i < RECORDER_NAMES; i++) {
        char path[300];
        int inode = image->names[i];
        int fd;
        snprintf(path, sizeof(path), "%s/%s", directory, recorder_names[i]);
        unlink(path);
        if (inode < 0)
            continue;
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, (off_t)image->inodes[inode].size) != 0 ||
            pwrite(fd, image->inodes[inode].data, image->inodes[inode].size, 0) !=
                (ssize_t)image->inodes[inode].size)
            abort();
        close(fd);
    }
}

/* FNV-1a over words: only to tell images apart. */
static uint64_t hash_bytes(uint64_t hash, const uint8_t *bytes, uint64_t size)
{
    uint64_t i = 0;

    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        hash = (hash ^ word) * 1099511628211ull;
        hash ^= hash >> 29;
    }
    for (; i < size; i++)
        hash = (hash ^ bytes[i]) * 1099511628211ull;
    return hash;
}

uint64_t recorder_image_hash(const struct recorder_image *image)
{
    uint64_t hash = 14695981039346656037ull;

    for (unsigned i = 0; i < RECORDER_NAMES; i++) {
        int inode = image->names[i];
        hash = (hash ^ (inode >= 0 ? image->inodes[inode].size + 1 : 0)) * 1099511628211ull;
        if (inode >= 0)
            hash = hash_bytes(hash, image->inodes[inode].data, image->inodes[inode].size);
    }
    return hash;
}

/* ---- what is in doubt --------------------------------------------------- */

static void note(struct recorder *recorder, const struct recorder_op *op)
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
        struct recorder_op *op = &recorder->pending[i];
        bool mine = names ? op->type == RECORDER_NAME
                          : op->type != RECORDER_NAME && op->inode == inode;
        if (!mine || (!kept && op->type != RECORDER_WRITE)) {
            recorder->pending[left++] = *op;
            continue;
        }
        if (kept)
            recorder_image_apply(&recorder->durable, op);
        free(op->data);
    }
    recorder->pending_count = left;
}

/* A sync of an inode, or of names; the callback sees the doubt before it. */
static int sync_any(struct recorder *recorder, int inode, bool names)
{
    bool fails = ++recorder->syncs == recorder->fail_sync;

    if (recorder->at_sync != NULL)
        recorder->at_sync(recorder->context, recorder);
    if (recorder->skip_sync != 0 && recorder->syncs % recorder->skip_sync == 0)
        return 0;
    settle(recorder, inode, names, !fails);
    return fails ? -EIO : 0;
}

static int name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    for (unsigned i = 0; i < RECORDER_NAMES; i++) {
        if (strcmp(name, recorder_names[i]) == 0)
            return (int)i;
    }
    return -1;
}

static void resize(struct recorder *recorder, int inode, uint64_t size)
{
    if (size == recorder->sizes[inode])
        return;
    recorder->sizes[inode] = size;
    note(recorder, &(struct recorder_op){.type = RECORDER_SIZE, .inode = inode, .size = size});
}

/* ---- the table ---------------------------------------------------------- */

static const struct file_ops *real(void)
{
    return file_system_real.ops;
}

static int recorder_open(void *context, const char *path, int flags, mode_t mode)
{
    struct recorder *recorder = context;
    int name = name_of(path);
    int fd = real()->open(NULL, path, flags, mode);

    if (fd < 0 || name < 0)
        return fd;
    assert(fd < (int)RECORDER_FDS);
    if (recorder->names[name] < 0) {
        assert(recorder->inode_count < (int)RECORDER_INODES);
        recorder->names[name] = recorder->inode_count++;
        note(recorder, &(struct recorder_op){.type = RECORDER_NAME,
                                             .inode = recorder->names[name],
                                             .name = (unsigned)name});
    }
    recorder->fds[fd] = recorder->names[name];
    return fd;
}

static int recorder_close(void *context, int fd)
{
    (void)context;
    return real()->close(NULL, fd);
}

static ssize_t recorder_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    (void)context;
    return real()->pread(NULL, fd, data, size, offset);
}

static ssize_t recorder_pwritev(void *context, int fd, const struct iovec *parts, int part_count,
                                off_t offset)
{
    struct recorder *recorder = context;
    struct recorder_op op = {.type = RECORDER_WRITE,
                             .inode = recorder->fds[fd],
                             .offset = (uint64_t)offset};
    ssize_t written = real()->pwritev(NULL, fd, parts, part_count, offset);
    size_t at = 0;

    if (written <= 0)
        return written;
    op.size = (uint64_t)written;
    op.data = malloc(op.size);
    assert(op.data != NULL);
    for (int i = 0; i < part_count && at < op.size; i++) {
        size_t n = parts[i].iov_len < op.size - at ? parts[i].iov_len : op.size - at;
        memcpy(op.data + at, parts[i].iov_base, n);
        at += n;
    }
    if (op.offset + op.size > recorder->sizes[op.inode])
        resize(recorder, op.inode, op.offset + op.size);
    note(recorder, &op);
    return written;
}

static int recorder_fallocate(void *context, int fd, int mode, off_t offset, off_t size)
{
    struct recorder *recorder = context;
    int result = real()->fallocate(NULL, fd, mode, offset, size);

    if (result == 0 && mode == 0 && (uint64_t)(offset + size) > recorder->sizes[recorder->fds[fd]])
        resize(recorder, recorder->fds[fd], (uint64_t)(offset + size));
    return result;
}

static int recorder_truncate(void *context, int fd, off_t size)
{
    struct recorder *recorder = context;
    int result = real()->truncate(NULL, fd, size);

    if (result == 0)
        resize(recorder, recorder->fds[fd], (uint64_t)size);
    return result;
}

static int recorder_sync(void *context, int fd)
{
    struct recorder *recorder = context;

    return sync_any(recorder, recorder->fds[fd], false);
}

static int recorder_sync_range(void *context, int fd, off_t offset, off_t size, unsigned flags)
{
    (void)context;
    (void)fd;
    (void)offset;
    (void)size;
    (void)flags;
    return 0; /* promises nothing */
}

static int recorder_rename(void *context, const char *from, const char *to)
{
    (void)context;
    (void)from;
    (void)to;
    return -ENOSYS;
}

static int recorder_unlink(void *context, const char *path)
{
    struct recorder *recorder = context;
    int name = name_of(path);
    int result = real()->unlink(NULL, path);

    if (result == 0 && name >= 0) {
        recorder->names[name] = -1;
        note(recorder, &(struct recorder_op){.type = RECORDER_NAME,
                                             .inode = -1,
                                             .name = (unsigned)name});
    }
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

static void take_file(struct recorder *recorder, unsigned name)
{
    char path[300];
    struct stat st;
    int fd;
    int inode;

    snprintf(path, sizeof(path), "%s/%s", recorder->directory, recorder_names[name]);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    recorder->names[name] = -1;
    if (fd < 0)
        return;
    inode = recorder->inode_count++;
    if (fstat(fd, &st) != 0)
        abort();
    image_reserve(&recorder->durable, inode, (uint64_t)st.st_size);
    if (read(fd, recorder->durable.inodes[inode].data, (size_t)st.st_size) != st.st_size)
        abort();
    close(fd);
    recorder->durable.inodes[inode].size = recorder->sizes[inode] = (uint64_t)st.st_size;
    recorder->durable.names[name] = recorder->names[name] = inode;
}

void recorder_init(struct recorder *recorder, const char *directory)
{
    memset(recorder, 0, sizeof(*recorder));
    recorder->system = (struct file_system){.ops = &recorder_ops, .context = recorder};
    snprintf(recorder->directory, sizeof(recorder->directory), "%s", directory);
    recorder_image_init(&recorder->durable);
    for (unsigned i = 0; i < RECORDER_NAMES; i++)
        take_file(recorder, i);
}

void recorder_fini(struct recorder *recorder)
{
    for (size_t i = 0; i < recorder->pending_count; i++)
        free(recorder->pending[i].data);
    free(recorder->pending);
    recorder_image_fini(&recorder->durable);
    memset(recorder, 0, sizeof(*recorder));
}
