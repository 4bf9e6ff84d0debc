/* SPDX-License-Identifier: MIT */
/*
 * kept_maps: maps that are not given back, but kept for the next recovery.
 *
 * Linked in front of mmap and munmap (--wrap).  Half a million recoveries map
 * the same few files again and again; the kernel's work for that, and for the
 * page faults after it, is most of what they cost.  A read-only shared map of
 * the same file shows the same bytes whenever it was made; a private anonymous
 * one is cleared when it is taken again.  Nothing else is touched.
 */
#include "kept_maps.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define KEPT_MAX 16
#define KEPT_ANONYMOUS_MAX (64u << 10)

struct kept_map {
    void *address;       /* NULL: free */
    size_t size;
    dev_t device;        /* of the file; 0 with an anonymous one */
    ino_t inode;
    bool used;
    unsigned long last;  /* when it was given back */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static struct kept_map kept[KEPT_MAX];
static unsigned long turn;
static bool enabled;

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t size);

void kept_maps_enable(bool enable)
{
    pthread_mutex_lock(&mutex);
    enabled = enable;
    for (unsigned i = 0; !enable && i < KEPT_MAX; i++) {
        if (kept[i].address != NULL && !kept[i].used)
            __real_munmap(kept[i].address, kept[i].size);
        if (!kept[i].used)
            kept[i].address = NULL;
    }
    pthread_mutex_unlock(&mutex);
}

static bool is_kind(int protection, int flags, size_t size, int fd, struct stat *file)
{
    memset(file, 0, sizeof(*file));
    if (protection == PROT_READ && flags == MAP_SHARED)
        return fstat(fd, file) == 0;
    return protection == (PROT_READ | PROT_WRITE) && (flags & MAP_ANONYMOUS) != 0 &&
           (flags & MAP_PRIVATE) != 0 && size <= KEPT_ANONYMOUS_MAX;
}

/* A place for one more: a free one, or that of the map that was given back first. */
static struct kept_map *find_place(void)
{
    struct kept_map *oldest = NULL;

    for (unsigned i = 0; i < KEPT_MAX; i++) {
        if (kept[i].address == NULL)
            return &kept[i];
        if (!kept[i].used && (oldest == NULL || kept[i].last < oldest->last))
            oldest = &kept[i];
    }
    if (oldest != NULL)
        __real_munmap(oldest->address, oldest->size);
    return oldest;
}

/* A map of that kind that was given back; NULL: none. */
static void *take(size_t size, const struct stat *file)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        if (kept[i].address == NULL || kept[i].used || kept[i].size != size ||
            kept[i].device != file->st_dev || kept[i].inode != file->st_ino)
            continue;
        if (file->st_ino == 0)
            memset(kept[i].address, 0, size);
        kept[i].used = true;
        return kept[i].address;
    }
    return NULL;
}

static void keep(void *made, size_t size, const struct stat *file)
{
    struct kept_map *place = find_place();

    if (place != NULL)
        *place = (struct kept_map){.address = made,
                                   .size = size,
                                   .device = file->st_dev,
                                   .inode = file->st_ino,
                                   .used = true};
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    struct stat file;
    void *made;

    if (offset != 0 || !is_kind(protection, flags, size, fd, &file))
        return __real_mmap(address, size, protection, flags, fd, offset);
    pthread_mutex_lock(&mutex);
    made = enabled ? take(size, &file) : NULL;
    if (made == NULL) {
        made = __real_mmap(address, size, protection, flags, fd, offset);
        if (enabled && made != MAP_FAILED)
            keep(made, size, &file);
    }
    pthread_mutex_unlock(&mutex);
    return made;
}

int __wrap_munmap(void *address, size_t size)
{
    bool found = false;

    pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < KEPT_MAX && !found; i++) {
        found = kept[i].address == address && kept[i].used;
        if (found) {
            kept[i].used = false;
            kept[i].last = ++turn;
        }
    }
    pthread_mutex_unlock(&mutex);
    return found ? 0 : __real_munmap(address, size);
}
