/* SPDX-License-Identifier: MIT */
/* scratch: see scratch.h. */
#include "scratch.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every inode has a name of its own, beside those that lead to it in an image. */
static void inode_path(const struct scratch *scratch, int inode, char path[300])
{
    snprintf(path, 300, "%s/inode%d", scratch->directory, inode);
}

static void name_path(const struct scratch *scratch, unsigned name, char path[300])
{
    snprintf(path, 300, "%s/%s", scratch->directory, disk_names[name]);
}

static bool bit_get(const uint8_t *bits, uint32_t i)
{
    return (bits[i / 8] >> (i % 8)) & 1;
}

static void bit_set(uint8_t *bits, uint32_t i)
{
    bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

static void bit_clear(uint8_t *bits, uint32_t i)
{
    bits[i / 8] &= (uint8_t)~(1u << (i % 8));
}

/* ---- the files ---------------------------------------------------------- */

static void file_make(struct scratch *scratch, int inode)
{
    struct scratch_file *file = &scratch->files[inode];
    char path[300];
    struct stat st;

    inode_path(scratch, inode, path);
    file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file->fd < 0 || fstat(file->fd, &st) != 0)
        abort();
    file->inode_number = st.st_ino;
    file->size = 0;
    file->map = mmap(NULL, (size_t)DISK_INODE_PAGES * DISK_PAGE, PROT_READ | PROT_WRITE,
                     MAP_SHARED, file->fd, 0);
    if (file->map == MAP_FAILED)
        abort();
}

static void file_resize(struct scratch_file *file, uint64_t size)
{
    assert(size <= (uint64_t)DISK_INODE_PAGES * DISK_PAGE);
    if (size != file->size && ftruncate(file->fd, (off_t)size) != 0)
        abort();
    file->size = size;
}

/* Writes one page of the file, as far as the file reaches. */
static void file_set_page(struct scratch_file *file, uint32_t page, const uint8_t *bytes)
{
    uint64_t at = (uint64_t)page * DISK_PAGE;

    if (at < file->size)
        memcpy(file->map + at, bytes,
               file->size - at < DISK_PAGE ? file->size - at : DISK_PAGE);
}

static void mark_dirty(struct scratch *scratch, int inode, uint32_t page)
{
    struct scratch_file *file = &scratch->files[inode];

    if (bit_get(file->dirty, page))
        return;
    bit_set(file->dirty, page);
    if (scratch->dirty_count == scratch->dirty_room) {
        scratch->dirty_room = scratch->dirty_room * 2 + 64;
        scratch->dirty = realloc(scratch->dirty, scratch->dirty_room * sizeof(*scratch->dirty));
        if (scratch->dirty == NULL)
            abort();
    }
    scratch->dirty[scratch->dirty_count++] = (struct disk_place){inode, page};
}

void scratch_follow(struct scratch *scratch)
{
    struct disk *disk = scratch->disk;

    for (int inode = 0; inode < (int)DISK_INODES; inode++) {
        struct scratch_file *file = &scratch->files[inode];
        if (disk->inodes[inode].page_count > 0 && file->fd < 0)
            file_make(scratch, inode);
        if (file->fd >= 0)
            file_resize(file, disk->inodes[inode].size);
    }
    for (size_t i = 0; i < disk->changed_count; i++) {
        struct disk_place place = disk->changed[i];
        file_set_page(&scratch->files[place.inode], place.page,
                      disk->inodes[place.inode].bytes + (size_t)place.page * DISK_PAGE);
    }
    disk->changed_count = 0;
}

/* ---- an image ----------------------------------------------------------- */

void scratch_put(struct scratch *scratch, struct image *image)
{
    char from[300];
    char to[300];

    assert(scratch->image == NULL && scratch->disk->changed_count == 0);
    scratch->image = image;
    scratch->read_hash = 0;
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        int inode = image->names[name];
        if (inode < 0)
            continue;
        if (scratch->files[inode].fd < 0)
            file_make(scratch, inode);
        file_resize(&scratch->files[inode], image->sizes[inode]);
        inode_path(scratch, inode, from);
        name_path(scratch, name, to);
        if (link(from, to) != 0)
            abort();
    }
    for (size_t i = 0; i < image->page_count; i++) {
        struct disk_place place = image->pages[i].place;
        const struct disk_inode *of = &scratch->disk->inodes[place.inode];
        if (scratch->files[place.inode].fd < 0)
            continue; /* of a file that no name leads to */
        if (disk_pages(of->size) > place.page && of->hashes[place.page] == image->pages[i].hash &&
            disk_pages(image->sizes[place.inode]) > place.page)
            continue; /* as it is there already */
        mark_dirty(scratch, place.inode, place.page);
        if (disk_pages(of->size) > place.page || image->pages[i].hash != disk_zero_hash())
            file_set_page(&scratch->files[place.inode], place.page, image->pages[i].bytes);
    }
}

void scratch_take_back(struct scratch *scratch)
{
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        char path[300];
        name_path(scratch, name, path);
        unlink(path);
    }
    for (int inode = 0; inode < (int)DISK_INODES; inode++) {
        struct scratch_file *file = &scratch->files[inode];
        if (file->fd < 0)
            continue;
        file_resize(file, scratch->disk->inodes[inode].size);
        memset(file->read, 0, sizeof(file->read));
    }
    for (size_t i = 0; i < scratch->dirty_count; i++) {
        struct disk_place place = scratch->dirty[i];
        struct scratch_file *file = &scratch->files[place.inode];
        const struct disk_inode *of = &scratch->disk->inodes[place.inode];
        if (place.page < of->page_count)
            file_set_page(file, place.page, of->bytes + (size_t)place.page * DISK_PAGE);
        bit_clear(file->dirty, place.page);
        bit_clear(file->ours, place.page);
    }
    scratch->dirty_count = 0;
    scratch->image = NULL;
}

/* ---- what recovery does ------------------------------------------------- */

static void note_read(struct scratch *scratch, int inode, uint32_t page)
{
    struct scratch_file *file = &scratch->files[inode];

    if (page >= DISK_INODE_PAGES || bit_get(file->read, page) || bit_get(file->ours, page))
        return;
    bit_set(file->read, page);
    scratch->read_hash += disk_mix(image_page_hash(scratch->image, inode, page) ^
                                   disk_mix((uint64_t)inode << 32 | page));
}

void scratch_note_read(struct scratch *scratch, unsigned name, uint32_t page)
{
    if (scratch->image->names[name] >= 0)
        note_read(scratch, scratch->image->names[name], page);
}

size_t scratch_pages_read(const struct scratch *scratch, struct disk_place *places, size_t room)
{
    size_t count = 0;

    for (unsigned name = DISK_NAMES; name-- > 0;) {
        int inode = scratch->image->names[name];
        if (inode < 0)
            continue;
        for (uint32_t page = 0; page < disk_pages(scratch->image->sizes[inode]); page++) {
            if (bit_get(scratch->files[inode].read, page) && count < room)
                places[count++] = (struct disk_place){inode, page};
        }
    }
    return count;
}

/* Bytes [from, to) are no longer the image's, by a write or a change of size. */
static void note_write(struct scratch *scratch, int inode, uint64_t from, uint64_t to)
{
    for (uint32_t page = (uint32_t)(from / DISK_PAGE); page < disk_pages(to); page++) {
        mark_dirty(scratch, inode, page);
        bit_set(scratch->files[inode].ours, page);
    }
}

static const struct file_ops *real(void)
{
    return file_system_real.ops;
}

static int scratch_open(void *context, const char *path, int flags, mode_t mode)
{
    struct scratch *scratch = context;
    int fd = real()->open(NULL, path, flags, mode);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fd >= SCRATCH_FDS || fstat(fd, &st) != 0)
        abort();
    scratch->fds[fd] = -1; /* a file that recovery has made: it goes with its name */
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        int inode = scratch->image->names[name];
        if (inode >= 0 && scratch->files[inode].inode_number == st.st_ino)
            scratch->fds[fd] = inode;
    }
    return fd;
}

static int scratch_close(void *context, int fd)
{
    (void)context;
    return real()->close(NULL, fd);
}

/* The head is read in one piece; of that only the metas count, which are looked at. */
static bool is_head(const struct scratch *scratch, int inode, size_t size, off_t offset)
{
    return inode == scratch->image->names[0] && offset == 0 && size > 4 * DISK_PAGE;
}

static ssize_t scratch_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    struct scratch *scratch = context;
    int inode = scratch->fds[fd];
    ssize_t n = real()->pread(NULL, fd, data, size, offset);

    if (n > 0 && inode >= 0) {
        uint64_t end = is_head(scratch, inode, size, offset) ? 2 * DISK_PAGE
                                                             : (uint64_t)offset + (uint64_t)n;
        for (uint32_t page = (uint32_t)(offset / DISK_PAGE); page < disk_pages(end); page++)
            note_read(scratch, inode, page);
    }
    return n;
}

static ssize_t scratch_pwritev(void *context, int fd, const struct iovec *parts, int part_count,
                               off_t offset)
{
    struct scratch *scratch = context;
    int inode = scratch->fds[fd];
    ssize_t n = real()->pwritev(NULL, fd, parts, part_count, offset);

    if (n > 0 && inode >= 0) {
        uint64_t end = (uint64_t)offset + (uint64_t)n;
        note_write(scratch, inode, (uint64_t)offset, end);
        if (end > scratch->files[inode].size)
            scratch->files[inode].size = end;
    }
    return n;
}

static int scratch_fallocate(void *context, int fd, int mode, off_t offset, off_t size)
{
    struct scratch *scratch = context;
    int inode = scratch->fds[fd];
    int result = real()->fallocate(NULL, fd, mode, offset, size);

    if (result == 0 && inode >= 0) {
        uint64_t end = (uint64_t)(offset + size);
        if (mode != 0)
            note_write(scratch, inode, (uint64_t)offset, end);
        else if (end > scratch->files[inode].size)
            scratch->files[inode].size = end;
    }
    return result;
}

static int scratch_truncate(void *context, int fd, off_t size)
{
    struct scratch *scratch = context;
    int inode = scratch->fds[fd];
    int result = real()->truncate(NULL, fd, size);

    if (result == 0 && inode >= 0) {
        if ((uint64_t)size < scratch->files[inode].size)
            note_write(scratch, inode, (uint64_t)size, scratch->files[inode].size);
        scratch->files[inode].size = (uint64_t)size;
    }
    return result;
}

/* Nothing is lost here: the cut that matters has been. */
static int scratch_sync(void *context, int fd)
{
    (void)context, (void)fd;
    return 0;
}

static int scratch_sync_range(void *context, int fd, off_t offset, off_t size, unsigned flags)
{
    (void)context, (void)fd, (void)offset, (void)size, (void)flags;
    return 0;
}

static int scratch_rename(void *context, const char *from, const char *to)
{
    (void)context, (void)from, (void)to;
    abort(); /* nobody does so */
}

static int scratch_unlink(void *context, const char *path)
{
    (void)context;
    return real()->unlink(NULL, path);
}

static int scratch_sync_directory(void *context, const char *path)
{
    (void)context, (void)path;
    return 0;
}

static const struct file_ops scratch_ops = {
    .open = scratch_open,
    .close = scratch_close,
    .pread = scratch_pread,
    .pwritev = scratch_pwritev,
    .fallocate = scratch_fallocate,
    .truncate = scratch_truncate,
    .sync = scratch_sync,
    .sync_range = scratch_sync_range,
    .rename = scratch_rename,
    .unlink = scratch_unlink,
    .sync_directory = scratch_sync_directory,
};

/* ---- life --------------------------------------------------------------- */

void scratch_init(struct scratch *scratch, const char *directory, struct disk *disk)
{
    memset(scratch, 0, sizeof(*scratch));
    scratch->system = (struct file_system){.ops = &scratch_ops, .context = scratch};
    snprintf(scratch->directory, sizeof(scratch->directory), "%s", directory);
    scratch->disk = disk;
    for (unsigned i = 0; i < DISK_INODES; i++)
        scratch->files[i].fd = -1;
    mkdir(directory, 0700);
}

void scratch_fini(struct scratch *scratch)
{
    for (int inode = 0; inode < (int)DISK_INODES; inode++) {
        char path[300];
        struct scratch_file *file = &scratch->files[inode];
        if (file->fd < 0)
            continue;
        munmap(file->map, (size_t)DISK_INODE_PAGES * DISK_PAGE);
        close(file->fd);
        inode_path(scratch, inode, path);
        unlink(path);
    }
    free(scratch->dirty);
    rmdir(scratch->directory);
}
