/* SPDX-License-Identifier: MIT */
/*
 * store_files: see store_files.h.
 */
#include "commit/store_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/err.h"
#include "format/locks.h"

/* A log that is removed by its last daemon while we lock it: so often we look again. */
#define STORE_LOCK_TRIES 100

void store_files_init(struct store_files *files)
{
    memset(files, 0, sizeof(*files));
    file_init(&files->data);
    file_init(&files->pending_lock);
}

/* Whether the path still leads to the file that we locked. */
static bool store_is_at_path(const struct file *file)
{
    struct stat there;
    struct stat here;

    return stat(file->path, &there) == 0 && fstat(file->fd, &here) == 0 &&
           there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

/* An empty log was made for its lock only; beside a store it would look like unfinished work. */
static void store_drop_empty_pending(struct store_files *files)
{
    struct file_identity identity;

    if (files->pending_lock.fd >= 0 && files->pending_is_locked &&
        file_identify(&files->pending_lock, &identity, NULL) == BTS_OK && identity.size == 0 &&
        store_is_at_path(&files->pending_lock))
        (void)!file_unlink(files->system, files->pending_path, NULL);
}

void store_files_close(struct store_files *files)
{
    store_drop_empty_pending(files);
    file_close(&files->pending_lock);
    file_close(&files->data);
    free(files->pending_path);
    free(files->path);
    store_files_init(files);
}

/* ---- what it must not lie on -------------------------------------------- */

/* File systems of other machines: locks and maps are not shared there as we need them. */
static const struct {
    unsigned long magic;
    const char *name;
} store_network_systems[] = {
    {NFS_SUPER_MAGIC, "NFS"},   {SMB_SUPER_MAGIC, "SMB"},    {0xff534d42, "CIFS"},
    {0xfe534d42, "SMB 2"},      {V9FS_MAGIC, "9P"},          {AFS_SUPER_MAGIC, "AFS"},
    {AFS_FS_MAGIC, "AFS"},      {CODA_SUPER_MAGIC, "Coda"},  {NCP_SUPER_MAGIC, "NCP"},
    {0x00c36400, "Ceph"},       {0x0bd00bd0, "Lustre"},
};

static enum bts_status store_refuse_network(const struct file *data, struct bts_error *error)
{
    struct statfs system;

    if (fstatfs(data->fd, &system) != 0)
        return err_set_errno(error, BTS_IO, errno, "%s: statfs", data->path);
    for (size_t i = 0; i < sizeof(store_network_systems) / sizeof(store_network_systems[0]); i++) {
        /* the low 32 bits: f_type is signed on some machines */
        if ((uint32_t)system.f_type == (uint32_t)store_network_systems[i].magic)
            return err_set(error, BTS_INVALID,
                           "%s: lies on a network file system (%s): a store is shared by the "
                           "processes of one machine; put it on a local disk",
                           data->path, store_network_systems[i].name);
    }
    return BTS_OK;
}

static enum bts_status store_require_regular(const struct file *file, struct bts_error *error)
{
    struct stat st;

    if (fstat(file->fd, &st) != 0)
        return err_set_errno(error, BTS_IO, errno, "%s: stat", file->path);
    if (!S_ISREG(st.st_mode))
        return err_set(error, BTS_INVALID, "%s: not a regular file", file->path);
    return BTS_OK;
}

/* ---- locks -------------------------------------------------------------- */

/* Whether what keeps us from the lock is a shared lock: any reader could take one there. */
static bool store_lock_is_shared(const struct file *data)
{
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)LOCK_DAEMON,
                         .l_len = 1};

    return fcntl(data->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_RDLCK;
}

static enum bts_status store_lock_data(const struct file *data, struct bts_error *error)
{
    enum bts_status status = file_lock(data, LOCK_DAEMON, true, error);

    if (status == BTS_BUSY && store_lock_is_shared(data))
        return BTS_OK; /* nobody's daemon; the lock on the pending log decides */
    if (status == BTS_BUSY)
        return err_set(error, BTS_BUSY, "%s: another btstored serves it", data->path);
    return status;
}

/* Locks the pending log, made if missing; a stopping daemon may remove it under our hands. */
static enum bts_status store_lock_pending(struct store_files *files, struct bts_error *error)
{
    for (int i = 0; i < STORE_LOCK_TRIES; i++) {
        struct file *file = &files->pending_lock;
        enum bts_status status =
            file_open(file, files->system, files->pending_path, O_RDWR | O_CREAT, 0600, error);
        if (status != BTS_OK)
            return status;
        status = store_require_regular(file, error);
        if (status == BTS_OK)
            status = file_lock(file, LOCK_DAEMON, true, error);
        if (status == BTS_BUSY)
            return err_set(error, BTS_BUSY, "%s: another btstored serves it", files->path);
        files->pending_is_locked = status == BTS_OK && store_is_at_path(file);
        if (status != BTS_OK || files->pending_is_locked)
            return status;
        file_close(file);
    }
    return err_set(error, BTS_BUSY, "%s: comes and goes: another btstored is stopping",
                   files->pending_path);
}

/* ---- open --------------------------------------------------------------- */

static enum bts_status store_open_data(struct store_files *files,
                                       const struct store_files_options *options,
                                       struct bts_error *error)
{
    int flags = O_RDWR | (options->create ? O_CREAT : 0);
    enum bts_status status =
        file_open(&files->data, options->system, options->path, flags, 0600, error);

    if (status == BTS_OK)
        status = store_require_regular(&files->data, error);
    if (status == BTS_OK)
        status = store_refuse_network(&files->data, error);
    if (status == BTS_OK)
        status = store_lock_data(&files->data, error);
    return status;
}

/* Reads the head of the file and finds the current meta. */
static enum bts_status store_choose_meta(struct store_files *files, struct bts_error *error)
{
    size_t size = files->identity.size < STORE_HEAD_SIZE ? (size_t)files->identity.size
                                                         : STORE_HEAD_SIZE;
    uint8_t *head = malloc(size + 1);
    struct bts_error why;
    enum bts_status status;

    if (head == NULL)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", files->path);
    status = file_read(&files->data, head, size, 0, error);
    if (status == BTS_OK) {
        status = meta_choose(head, size, &files->meta, &files->meta_pgno, &why);
        if (status != BTS_OK)
            err_set(error, status, "%s: %.400s", files->path, why.text);
    }
    free(head);
    return status;
}

static enum bts_status store_create_if_empty(struct store_files *files,
                                             const struct store_files_options *options,
                                             struct bts_error *error)
{
    bool unfinished;
    enum bts_status status =
        create_is_unfinished(&files->data, files->identity.size, &unfinished, error);

    if (status != BTS_OK || !unfinished)
        return status;
    if (!options->create)
        return err_set(error, BTS_NOT_FOUND, "%s: is empty, not a store", files->path);
    if (!files->pending_is_empty)
        return err_set(error, BTS_DAMAGED,
                       "%s: is empty, but a pending log with contents lies beside it: move %s "
                       "away to create a new store here",
                       files->path, files->pending_path);
    status = create_store(&files->data, options->page_size, error);
    files->created = status == BTS_OK;
    return status == BTS_OK ? file_identify(&files->data, &files->identity, error) : status;
}

static enum bts_status store_name(struct store_files *files, const char *path,
                                  struct bts_error *error)
{
    files->path = strdup(path);
    if (files->path == NULL || asprintf(&files->pending_path, "%s.pending", path) < 0) {
        files->pending_path = NULL;
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", path);
    }
    return BTS_OK;
}

enum bts_status store_files_open(struct store_files *files,
                                 const struct store_files_options *options,
                                 struct bts_error *error)
{
    struct file_identity pending = {.size = 0};
    enum bts_status status;

    store_files_init(files);
    files->system = options->system;
    status = store_name(files, options->path, error);
    if (status == BTS_OK)
        status = store_open_data(files, options, error);
    if (status == BTS_OK)
        status = store_lock_pending(files, error);
    if (status == BTS_OK)
        status = file_identify(&files->pending_lock, &pending, error);
    files->pending_is_empty = pending.size == 0;
    if (status == BTS_OK)
        status = file_identify(&files->data, &files->identity, error);
    if (status == BTS_OK)
        status = store_create_if_empty(files, options, error);
    if (status == BTS_OK)
        status = store_choose_meta(files, error);
    if (status != BTS_OK)
        store_files_close(files);
    return status;
}

enum bts_status store_files_reader(const struct store_files *files, int *fd,
                                   struct bts_error *error)
{
    struct file_identity identity;
    struct file fresh;
    enum bts_status status =
        file_open(&fresh, files->system, files->path, O_RDONLY, 0, error);

    *fd = -1;
    if (status != BTS_OK)
        return status;
    status = file_identify(&fresh, &identity, error);
    if (status == BTS_OK && (identity.device != files->identity.device ||
                             identity.inode != files->identity.inode))
        status = err_set(error, BTS_UNAVAILABLE,
                         "%s: another file has taken this path since btstored opened it",
                         files->path);
    if (status == BTS_OK) {
        *fd = fresh.fd;
        fresh.fd = -1; /* the caller's now; file_close frees the rest */
    }
    file_close(&fresh);
    return status;
}

bool store_files_are_mapped(const struct store_files *files)
{
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)LOCK_READERS,
                         .l_len = (off_t)LOCK_READERS_MAX};

    return fcntl(files->data.fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}
