/* SPDX-License-Identifier: MIT */
/*
 * calls: system calls of the engine beside the storage seam, spared.
 *
 * Linked in front of them (--wrap).  Half a million recoveries ask for the size
 * of the same few files, lock and map them, again and again; a system call
 * costs a microsecond, and a page fault on a new map ten.  For a scratch file
 * (scratch.h) they are answered from memory:
 *   - fstat, stat, fstatfs: its number, its size, a tmpfs
 *   - fcntl: a lock is always had, nobody else holds one, flags are ignored
 *   - mmap: the file's read-only map, which stays when it is given back
 *   - madvise: of no use for it
 * A small private anonymous map is kept, too, and cleared when it is taken
 * again.  Nothing else is touched.
 */
#include "calls.h"

#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define KEPT_MAX 16
#define KEPT_SIZE_MAX (64u << 10)

/* ---- scratch files ------------------------------------------------------ */

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __real_fstatfs(int fd, struct statfs *st);
int __wrap_fstatfs(int fd, struct statfs *st);
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __real_close(int fd);
int __wrap_close(int fd);

static int describe(const struct scratch_file *file, struct stat *st)
{
    memset(st, 0, sizeof(*st));
    st->st_mode = S_IFREG | 0600;
    st->st_ino = (ino_t)scratch_file_number(file);
    st->st_size = (off_t)file->size;
    return 0;
}

int __wrap_fstat(int fd, struct stat *st)
{
    const struct scratch_file *file = scratch_file_of(fd);

    return file == NULL ? __real_fstat(fd, st) : describe(file, st);
}

int __wrap_stat(const char *path, struct stat *st)
{
    const struct scratch_file *file;

    if (!scratch_has_path(path))
        return __real_stat(path, st);
    file = scratch_file_at(path);
    if (file == NULL) {
        errno = ENOENT;
        return -1;
    }
    return describe(file, st);
}

int __wrap_fstatfs(int fd, struct statfs *st)
{
    if (scratch_file_of(fd) == NULL)
        return __real_fstatfs(fd, st);
    memset(st, 0, sizeof(*st));
    st->f_type = TMPFS_MAGIC;
    return 0;
}

int __wrap_fcntl(int fd, int command, ...)
{
    va_list arguments;
    void *argument;

    va_start(arguments, command);
    argument = va_arg(arguments, void *); /* an int is passed in the same way */
    va_end(arguments);
    if (scratch_file_of(fd) == NULL)
        return __real_fcntl(fd, command, argument);
    if (command == F_OFD_GETLK)
        ((struct flock *)argument)->l_type = F_UNLCK;
    return command == F_GETFL ? O_RDWR : 0;
}

int __wrap_close(int fd)
{
    return scratch_file_of(fd) == NULL ? __real_close(fd) : 0;
}

/* ---- maps --------------------------------------------------------------- */

struct kept_map {
    void *address;       /* NULL: free */
    size_t size;
    bool used;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static struct kept_map kept[KEPT_MAX];
static bool keeping;

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
int __real_madvise(void *address, size_t size, int advice);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t size);
int __wrap_madvise(void *address, size_t size, int advice);

void calls_keep_maps(bool keep)
{
    pthread_mutex_lock(&mutex);
    keeping = keep;
    for (unsigned i = 0; !keep && i < KEPT_MAX; i++) {
        if (kept[i].address != NULL && !kept[i].used)
            __real_munmap(kept[i].address, kept[i].size);
        if (!kept[i].used)
            kept[i].address = NULL;
    }
    pthread_mutex_unlock(&mutex);
}

static bool is_kept_kind(int protection, int flags, size_t size)
{
    return protection == (PROT_READ | PROT_WRITE) && (flags & MAP_ANONYMOUS) != 0 &&
           (flags & MAP_PRIVATE) != 0 && size <= KEPT_SIZE_MAX;
}

/* The one of that address that is in use; NULL: not one of ours. */
static struct kept_map *find_used(const void *address)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        if (kept[i].address == address && kept[i].used)
            return &kept[i];
    }
    return NULL;
}

/* One that was given back, or a new one; NULL: all are in use. */
static void *take(size_t size, int flags)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        struct kept_map *map = &kept[i];
        if (map->address != NULL && (map->used || map->size != size))
            continue;
        if (map->address != NULL) {
            memset(map->address, 0, size);
        } else {
            map->address = __real_mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
            map->size = size;
        }
        if (map->address == MAP_FAILED)
            map->address = NULL;
        map->used = map->address != NULL;
        return map->address;
    }
    return NULL;
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    const struct scratch_file *file = scratch_file_of(fd);
    void *made = NULL;

    if (file != NULL)
        return protection == PROT_READ && flags == MAP_SHARED && offset == 0 &&
                       size <= SCRATCH_FILE_SIZE
                   ? (void *)(uintptr_t)file->view
                   : MAP_FAILED;
    if (is_kept_kind(protection, flags, size)) {
        pthread_mutex_lock(&mutex);
        made = keeping ? take(size, flags) : NULL;
        pthread_mutex_unlock(&mutex);
    }
    return made != NULL ? made : __real_mmap(address, size, protection, flags, fd, offset);
}

int __wrap_munmap(void *address, size_t size)
{
    struct kept_map *map;

    if (scratch_is_view(address))
        return 0;
    pthread_mutex_lock(&mutex);
    map = find_used(address);
    if (map != NULL)
        map->used = false;
    pthread_mutex_unlock(&mutex);
    return map != NULL ? 0 : __real_munmap(address, size);
}

int __wrap_madvise(void *address, size_t size, int advice)
{
    bool ours = scratch_is_view(address);

    if (!ours) {
        pthread_mutex_lock(&mutex);
        ours = find_used(address) != NULL;
        pthread_mutex_unlock(&mutex);
    }
    return ours ? 0 : __real_madvise(address, size, advice);
}
