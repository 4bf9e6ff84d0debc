/* SPDX-License-Identifier: MIT */
/* faulty_files: see faulty_files.h. */
#include "faulty_files.h"

#include <string.h>

/* 0, or the errno to fail with.  Threads may call this at once. */
static int fault_of(void *context, enum fault_kind kind)
{
    struct fault *fault = &((struct faulty_files *)context)->faults[kind];
    long countdown;

    __atomic_fetch_add(&fault->calls, 1, __ATOMIC_SEQ_CST);
    countdown = __atomic_load_n(&fault->countdown, __ATOMIC_SEQ_CST);
    if (countdown == 0)
        return 0;
    if (__atomic_sub_fetch(&fault->countdown, 1, __ATOMIC_SEQ_CST) > 0)
        return 0;
    __atomic_store_n(&fault->countdown, fault->stays ? 1 : 0, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&fault->failures, 1, __ATOMIC_SEQ_CST);
    return fault->errno_value;
}

static const struct file_ops *real(void)
{
    return file_system_real.ops;
}

static int faulty_open(void *context, const char *path, int flags, mode_t mode)
{
    int fault = fault_of(context, FAULT_OPEN);

    return fault != 0 ? -fault : real()->open(NULL, path, flags, mode);
}

static int faulty_close(void *context, int fd)
{
    (void)context;
    return real()->close(NULL, fd);
}

static ssize_t faulty_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    (void)context;
    return real()->pread(NULL, fd, data, size, offset);
}

static ssize_t faulty_pwritev(void *context, int fd, const struct iovec *parts, int part_count,
                              off_t offset)
{
    int fault = fault_of(context, FAULT_WRITE);

    return fault != 0 ? -fault : real()->pwritev(NULL, fd, parts, part_count, offset);
}

static int faulty_fallocate(void *context, int fd, int mode, off_t offset, off_t size)
{
    int fault = fault_of(context, FAULT_GROW);

    return fault != 0 ? -fault : real()->fallocate(NULL, fd, mode, offset, size);
}

static int faulty_truncate(void *context, int fd, off_t size)
{
    int fault = fault_of(context, FAULT_CUT);

    return fault != 0 ? -fault : real()->truncate(NULL, fd, size);
}

static int faulty_sync(void *context, int fd)
{
    int fault = fault_of(context, FAULT_SYNC);

    return fault != 0 ? -fault : real()->sync(NULL, fd);
}

static int faulty_sync_range(void *context, int fd, off_t offset, off_t size, unsigned flags)
{
    (void)context;
    return real()->sync_range(NULL, fd, offset, size, flags);
}

static int faulty_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return real()->rename(NULL, from, to);
}

static int faulty_unlink(void *context, const char *path)
{
    (void)context;
    return real()->unlink(NULL, path);
}

static int faulty_sync_directory(void *context, const char *path)
{
    int fault = fault_of(context, FAULT_SYNC);

    return fault != 0 ? -fault : real()->sync_directory(NULL, path);
}

static const struct file_ops faulty_ops = {
    .open = faulty_open,
    .close = faulty_close,
    .pread = faulty_pread,
    .pwritev = faulty_pwritev,
    .fallocate = faulty_fallocate,
    .truncate = faulty_truncate,
    .sync = faulty_sync,
    .sync_range = faulty_sync_range,
    .rename = faulty_rename,
    .unlink = faulty_unlink,
    .sync_directory = faulty_sync_directory,
};

void faulty_files_init(struct faulty_files *faulty)
{
    memset(faulty, 0, sizeof(*faulty));
    faulty->system = (struct file_system){.ops = &faulty_ops, .context = faulty};
}

void faulty_files_arm(struct faulty_files *faulty, enum fault_kind kind, long countdown,
                      int errno_value, bool stays)
{
    struct fault *fault = &faulty->faults[kind];

    fault->errno_value = errno_value;
    fault->stays = stays;
    __atomic_store_n(&fault->countdown, countdown, __ATOMIC_SEQ_CST);
}

void faulty_files_disarm(struct faulty_files *faulty)
{
    for (size_t i = 0; i < FAULT_KINDS; i++)
        __atomic_store_n(&faulty->faults[i].countdown, 0, __ATOMIC_SEQ_CST);
}
