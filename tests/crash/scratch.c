/* SPDX-License-Identifier: MIT */
/* scratch: see scratch.h. */
#include "scratch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const directories[SCRATCHES] = {"/scratch/0", "/scratch/1"};

/* One file of memory, mapped twice: every scratch file is a stretch of it. */
static uint8_t *maps;
static const uint8_t *views;
static struct scratch_file pool[SCRATCHES * SCRATCH_FILES];
static struct scratch *scratches[SCRATCHES]; /* in use */

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

static void *map_pool(int fd, int protection)
{
    void *map = mmap(NULL, sizeof(pool) / sizeof(pool[0]) * SCRATCH_FILE_SIZE, protection,
                     MAP_SHARED | MAP_NORESERVE, fd, 0);

    if (map == MAP_FAILED)
        abort();
    return map;
}

void scratch_make_pool(void)
{
    size_t count = sizeof(pool) / sizeof(pool[0]);
    int fd = memfd_create("scratch", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, (off_t)(count * SCRATCH_FILE_SIZE)) != 0)
        abort();
    maps = map_pool(fd, PROT_READ | PROT_WRITE);
    views = map_pool(fd, PROT_READ);
    for (size_t i = 0; i < count; i++) {
        pool[i].map = maps + i * SCRATCH_FILE_SIZE;
        pool[i].view = views + i * SCRATCH_FILE_SIZE;
    }
    close(fd);
}

static void file_resize(struct scratch_file *file, uint64_t size)
{
    assert(size <= SCRATCH_FILE_SIZE);
    if (size < file->size)
        memset(file->map + size, 0, file->size - size);
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

static bool is_named(const struct image *image, int inode)
{
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        if (image->names[name] == inode)
            return true;
    }
    return false;
}

void scratch_put(struct scratch *scratch, struct image *image)
{
    assert(scratch->image == NULL && scratch->disk->changed_count == 0);
    scratch->image = image;
    scratch->read_hash = 0;
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        int inode = image->names[name];
        scratch->names[name] = inode;
        if (inode >= 0)
            file_resize(&scratch->files[inode], image->sizes[inode]);
    }
    for (size_t i = 0; i < image->page_count; i++) {
        struct disk_place place = image->pages[i].place;
        const struct disk_inode *of = &scratch->disk->inodes[place.inode];
        if (!is_named(image, place.inode))
            continue;
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
    for (int inode = 0; inode < (int)DISK_INODES; inode++)
        file_resize(&scratch->files[inode], scratch->disk->inodes[inode].size);
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        if (scratch->image->names[name] >= 0) {
            struct scratch_file *file = &scratch->files[scratch->image->names[name]];
            memset(file->read, 0, sizeof(file->read));
        }
    }
    for (; scratch->made > 0; scratch->made--)
        file_resize(&scratch->files[DISK_INODES + scratch->made - 1], 0);
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

/* The file of a descriptor that scratch_open gave. */
static int file_of_fd(const struct scratch *scratch, int fd)
{
    int file = fd - SCRATCH_FD - (int)(scratch->place * SCRATCH_FILES);

    assert(file >= 0 && file < (int)SCRATCH_FILES);
    return file;
}

static int fd_of_file(const struct scratch *scratch, int file)
{
    return SCRATCH_FD + (int)(scratch->place * SCRATCH_FILES) + file;
}

/* Whether it was there, in the image. */
static bool is_image_file(int file)
{
    return file < (int)DISK_INODES;
}

static int scratch_open(void *context, const char *path, int flags, mode_t mode)
{
    struct scratch *scratch = context;
    int name = disk_name_of(path);

    (void)mode;
    if (name < 0)
        abort();
    if (scratch->names[name] < 0 && (flags & O_CREAT) == 0)
        return -ENOENT;
    if (scratch->names[name] < 0) {
        if (scratch->made == SCRATCH_MADE)
            abort();
        scratch->names[name] = (int)(DISK_INODES + scratch->made++);
    }
    return fd_of_file(scratch, scratch->names[name]);
}

static int scratch_close(void *context, int fd)
{
    (void)context, (void)fd;
    return 0;
}

/* The head is read in one piece; of that only the metas count, which are looked at. */
static bool is_head(const struct scratch *scratch, int inode, size_t size, off_t offset)
{
    return inode == scratch->image->names[0] && offset == 0 && size > 4 * DISK_PAGE;
}

static ssize_t scratch_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    struct scratch *scratch = context;
    int file = file_of_fd(scratch, fd);
    uint64_t end = scratch->files[file].size;
    uint64_t from = (uint64_t)offset;

    if (from >= end)
        return 0;
    if (end - from > size)
        end = from + size;
    memcpy(data, scratch->files[file].map + from, end - from);
    if (is_image_file(file)) {
        uint64_t noted = is_head(scratch, file, size, offset) ? 2 * DISK_PAGE : end;
        for (uint32_t page = (uint32_t)(from / DISK_PAGE); page < disk_pages(noted); page++)
            note_read(scratch, file, page);
    }
    return (ssize_t)(end - from);
}

static ssize_t scratch_pwritev(void *context, int fd, const struct iovec *parts, int part_count,
                               off_t offset)
{
    struct scratch *scratch = context;
    int file = file_of_fd(scratch, fd);
    uint64_t end = (uint64_t)offset;

    for (int i = 0; i < part_count; i++) {
        assert(end + parts[i].iov_len <= SCRATCH_FILE_SIZE);
        memcpy(scratch->files[file].map + end, parts[i].iov_base, parts[i].iov_len);
        end += parts[i].iov_len;
    }
    if (is_image_file(file))
        note_write(scratch, file, (uint64_t)offset, end);
    if (end > scratch->files[file].size)
        scratch->files[file].size = end;
    return (ssize_t)(end - (uint64_t)offset);
}

static int scratch_fallocate(void *context, int fd, int mode, off_t offset, off_t size)
{
    struct scratch *scratch = context;
    int file = file_of_fd(scratch, fd);
    uint64_t end = (uint64_t)(offset + size);

    assert(end <= SCRATCH_FILE_SIZE);
    if (mode != 0) {
        memset(scratch->files[file].map + offset, 0, (size_t)size);
        if (is_image_file(file))
            note_write(scratch, file, (uint64_t)offset, end);
    } else if (end > scratch->files[file].size) {
        scratch->files[file].size = end;
    }
    return 0;
}

static int scratch_truncate(void *context, int fd, off_t size)
{
    struct scratch *scratch = context;
    int file = file_of_fd(scratch, fd);

    if (is_image_file(file) && (uint64_t)size < scratch->files[file].size)
        note_write(scratch, file, (uint64_t)size, scratch->files[file].size);
    file_resize(&scratch->files[file], (uint64_t)size);
    return 0;
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
    struct scratch *scratch = context;
    int name = disk_name_of(path);

    if (name < 0 || scratch->names[name] < 0)
        return -ENOENT;
    scratch->names[name] = -1;
    return 0;
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

void scratch_init(struct scratch *scratch, unsigned place, struct disk *disk)
{
    assert(maps != NULL && place < SCRATCHES && scratches[place] == NULL);
    memset(scratch, 0, sizeof(*scratch));
    scratch->system = (struct file_system){.ops = &scratch_ops, .context = scratch};
    scratch->place = place;
    scratch->files = &pool[place * SCRATCH_FILES];
    scratch->disk = disk;
    scratches[place] = scratch;
}

void scratch_fini(struct scratch *scratch)
{
    assert(scratch->image == NULL && scratch->dirty_count == 0);
    for (int inode = 0; inode < (int)DISK_INODES; inode++)
        file_resize(&scratch->files[inode], 0);
    free(scratch->dirty);
    scratches[scratch->place] = NULL;
}

const char *scratch_directory(unsigned place)
{
    return directories[place];
}

/* ---- for calls.c -------------------------------------------------------- */

const struct scratch_file *scratch_file_of(int fd)
{
    unsigned at = (unsigned)(fd - SCRATCH_FD);

    return at < sizeof(pool) / sizeof(pool[0]) ? &pool[at] : NULL;
}

bool scratch_has_path(const char *path)
{
    return strncmp(path, "/scratch/", 9) == 0;
}

const struct scratch_file *scratch_file_at(const char *path)
{
    const struct scratch *scratch = scratches[path[9] - '0'];
    int name = disk_name_of(path);

    return name < 0 || scratch->names[name] < 0 ? NULL : &scratch->files[scratch->names[name]];
}

unsigned scratch_file_number(const struct scratch_file *file)
{
    return 1 + (unsigned)(file - pool);
}

bool scratch_is_view(const void *address)
{
    size_t at = (size_t)((uintptr_t)address - (uintptr_t)views);

    return views != NULL && at < sizeof(pool) / sizeof(pool[0]) * SCRATCH_FILE_SIZE;
}
