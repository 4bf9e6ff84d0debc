/* SPDX-License-Identifier: MIT */
/* disk: see disk.h. */
#include "disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *const disk_names[DISK_NAMES] = {"store.bts", "store.bts.pending"};

int disk_name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    for (unsigned i = 0; i < DISK_NAMES; i++) {
        if (strcmp(name, disk_names[i]) == 0)
            return (int)i;
    }
    return -1;
}

/* ---- hashes ------------------------------------------------------------- */

uint64_t disk_mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185ull;
    x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44dull;
    return x ^ (x >> 33);
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Two lanes, so that the multiplications overlap. */
uint64_t disk_hash(const void *bytes, size_t size)
{
    uint64_t lanes[2] = {0x9e3779b97f4a7c15ull, 0x7fb5d329728ea185ull};
    const uint8_t *at = bytes;
    size_t i = 0;

    for (; i + 32 <= size; i += 32) {
        uint64_t words[4];
        memcpy(words, at + i, sizeof(words));
        lanes[0] = multiply(words[0] ^ lanes[0], words[1] ^ 0x81dadef4bc2dd44dull);
        lanes[1] = multiply(words[2] ^ lanes[1], words[3] ^ 0xe7037ed1a0b428dbull);
    }
    for (; i < size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, at + i, size - i < 8 ? size - i : 8);
        lanes[0] = disk_mix(lanes[0] ^ word);
    }
    return disk_mix(lanes[0] ^ disk_mix(lanes[1]));
}

uint64_t disk_zero_hash(void)
{
    static const uint8_t zeros[DISK_PAGE];
    static uint64_t hash;

    if (hash == 0)
        hash = disk_hash(zeros, sizeof(zeros));
    return hash;
}

/* ---- the disk ----------------------------------------------------------- */

void disk_init(struct disk *disk)
{
    memset(disk, 0, sizeof(*disk));
    for (unsigned i = 0; i < DISK_NAMES; i++)
        disk->names[i] = -1;
}

void disk_fini(struct disk *disk)
{
    for (unsigned i = 0; i < DISK_INODES; i++) {
        free(disk->inodes[i].bytes);
        free(disk->inodes[i].hashes);
    }
    free(disk->changed);
    disk_init(disk);
}

static void disk_reserve(struct disk_inode *inode, uint32_t pages)
{
    uint32_t room = pages + pages / 2 + 16;

    if (pages <= inode->page_count)
        return;
    assert(pages <= DISK_INODE_PAGES);
    room = room < DISK_INODE_PAGES ? room : DISK_INODE_PAGES;
    inode->bytes = realloc(inode->bytes, (size_t)room * DISK_PAGE);
    inode->hashes = realloc(inode->hashes, room * sizeof(*inode->hashes));
    if (inode->bytes == NULL || inode->hashes == NULL)
        abort();
    memset(inode->bytes + (size_t)inode->page_count * DISK_PAGE, 0,
           (size_t)(room - inode->page_count) * DISK_PAGE);
    for (uint32_t i = inode->page_count; i < room; i++)
        inode->hashes[i] = disk_zero_hash();
    inode->page_count = room;
}

static void disk_note(struct disk *disk, int inode, uint32_t page)
{
    struct disk_inode *of = &disk->inodes[inode];

    of->sum_known = false;
    of->hashes[page] = disk_hash(of->bytes + (size_t)page * DISK_PAGE, DISK_PAGE);
    if (disk->changed_count == disk->changed_room) {
        disk->changed_room = disk->changed_room * 2 + 64;
        disk->changed = realloc(disk->changed, disk->changed_room * sizeof(*disk->changed));
        if (disk->changed == NULL)
            abort();
    }
    disk->changed[disk->changed_count++] = (struct disk_place){inode, page};
}

static void disk_resize(struct disk *disk, int inode, uint64_t size)
{
    struct disk_inode *of = &disk->inodes[inode];
    uint64_t before = of->size;

    disk_reserve(of, disk_pages(size));
    of->size = size;
    of->sum_known = false;
    if (size < before)
        memset(of->bytes + size, 0, (size_t)of->page_count * DISK_PAGE - size);
    for (uint32_t page = (uint32_t)((size < before ? size : before) / DISK_PAGE);
         page < disk_pages(size < before ? before : size); page++)
        disk_note(disk, inode, page);
}

void disk_apply(struct disk *disk, const struct disk_op *op)
{
    switch (op->type) {
    case DISK_WRITE:
        disk_reserve(&disk->inodes[op->inode], disk_pages(op->offset + op->size));
        memcpy(disk->inodes[op->inode].bytes + op->offset, op->data, op->size);
        for (uint32_t page = (uint32_t)(op->offset / DISK_PAGE);
             page < disk_pages(op->offset + op->size); page++)
            disk_note(disk, op->inode, page);
        break;
    case DISK_SIZE:
        disk_resize(disk, op->inode, op->size);
        break;
    case DISK_NAME:
        disk->names[op->name] = op->inode;
        break;
    }
}

/* ---- images ------------------------------------------------------------- */

struct image *image_create(void)
{
    struct image *image = calloc(1, sizeof(*image));

    if (image == NULL || (image->pages = calloc(IMAGE_PAGES_MAX, sizeof(*image->pages))) == NULL)
        abort();
    return image;
}

void image_destroy(struct image *image)
{
    for (size_t i = 0; i < image->page_room; i++)
        free(image->pages[i].bytes);
    free(image->pages);
    free(image);
}

/* Where the table has the place, or would have it. */
static uint32_t *image_slot(const struct image *image, int inode, uint32_t page)
{
    uint32_t at = (uint32_t)disk_mix((uint64_t)inode << 32 | page) % IMAGE_TABLE;

    for (;; at = (at + 1) % IMAGE_TABLE) {
        const uint32_t *slot = &image->table[at];
        if (*slot == 0 || (image->pages[*slot - 1].place.inode == inode &&
                           image->pages[*slot - 1].place.page == page))
            return (uint32_t *)(uintptr_t)slot;
    }
}

void image_reset(struct image *image, struct disk *disk)
{
    for (size_t i = 0; i < image->page_count; i++)
        *image->pages[i].slot = 0;
    image->page_count = 0;
    image->disk = disk;
    memcpy(image->names, disk->names, sizeof(image->names));
    for (unsigned i = 0; i < DISK_INODES; i++)
        image->sizes[i] = disk->inodes[i].size;
}

/* The image's own copy of a page, which is about to change. */
static struct image_page *image_own(struct image *image, int inode, uint32_t page)
{
    const struct disk_inode *of = &image->disk->inodes[inode];
    uint32_t *slot = image_slot(image, inode, page);
    struct image_page *own;

    if (*slot != 0) {
        image->pages[*slot - 1].whole = NULL;
        return &image->pages[*slot - 1];
    }
    assert(image->page_count < IMAGE_PAGES_MAX);
    own = &image->pages[image->page_count++];
    *slot = (uint32_t)image->page_count;
    own->slot = slot;
    own->place = (struct disk_place){inode, page};
    own->whole = NULL;
    if (image->page_count > image->page_room) {
        own->bytes = malloc(DISK_PAGE);
        if (own->bytes == NULL)
            abort();
        image->page_room = image->page_count;
    }
    if (page < of->page_count)
        memcpy(own->bytes, of->bytes + (size_t)page * DISK_PAGE, DISK_PAGE);
    else
        memset(own->bytes, 0, DISK_PAGE);
    return own;
}

void image_apply_part(struct image *image, const struct disk_op *op, uint64_t from, uint64_t to)
{
    to = to < op->size ? to : op->size;
    while (from < to) {
        uint64_t offset = op->offset + from;
        uint64_t in_page = offset % DISK_PAGE;
        uint64_t size = DISK_PAGE - in_page < to - from ? DISK_PAGE - in_page : to - from;
        struct image_page *own = image_own(image, op->inode, (uint32_t)(offset / DISK_PAGE));
        memcpy(own->bytes + in_page, op->data + from, size);
        own->whole = size == DISK_PAGE ? op : NULL;
        from += size;
    }
}

static void image_resize(struct image *image, int inode, uint64_t size)
{
    uint64_t before = image->sizes[inode];
    uint64_t least = size < before ? size : before;
    uint32_t end = disk_pages(size < before ? before : size);

    image->sizes[inode] = size;
    for (uint32_t page = (uint32_t)(least / DISK_PAGE); page < end; page++) {
        uint8_t *bytes = image_own(image, inode, page)->bytes;
        uint64_t kept = page == least / DISK_PAGE ? least % DISK_PAGE : 0;
        if (size < before) /* what is cut off does not come back */
            memset(bytes + kept, 0, DISK_PAGE - kept);
    }
}

void image_apply(struct image *image, const struct disk_op *op)
{
    switch (op->type) {
    case DISK_WRITE:
        image_apply_part(image, op, 0, op->size);
        break;
    case DISK_SIZE:
        image_resize(image, op->inode, op->size);
        break;
    case DISK_NAME:
        image->names[op->name] = op->inode;
        break;
    }
}

static uint64_t place_hash(uint32_t page, uint64_t hash)
{
    return disk_mix(hash + page * 0x9e3779b97f4a7c15ull);
}

uint64_t image_page_hash(const struct image *image, int inode, uint32_t page)
{
    const struct disk_inode *of = &image->disk->inodes[inode];
    uint32_t slot = *image_slot(image, inode, page);

    if (slot != 0)
        return image->pages[slot - 1].hash;
    return page < of->page_count ? of->hashes[page] : disk_zero_hash();
}

/* Images are made of the same few writes again and again: each page of them is hashed once. */
static uint64_t image_hash_page(const struct image_page *page)
{
    const struct disk_op *op = page->whole;
    uint64_t *known;

    if (op == NULL)
        return disk_hash(page->bytes, DISK_PAGE);
    known = &op->hashes[page->place.page - op->offset / DISK_PAGE];
    if (*known == 0)
        *known = disk_hash(page->bytes, DISK_PAGE);
    return *known;
}

/* Of all pages of an inode of the disk. */
static uint64_t disk_sum(struct disk_inode *of)
{
    if (!of->sum_known) {
        of->sum = 0;
        for (uint32_t page = 0; page < disk_pages(of->size); page++)
            of->sum += place_hash(page, of->hashes[page]);
        of->sum_known = true;
    }
    return of->sum;
}

uint64_t image_hash(struct image *image)
{
    uint64_t sums[DISK_INODES] = {0};
    uint64_t hash = 0;

    for (unsigned name = 0; name < DISK_NAMES; name++) {
        int inode = image->names[name];
        if (inode >= 0)
            sums[inode] = disk_sum(&image->disk->inodes[inode]);
    }
    /* Whatever a change of size cuts off or brings is among the image's own. */
    for (size_t i = 0; i < image->page_count; i++) {
        struct image_page *own = &image->pages[i];
        const struct disk_inode *of = &image->disk->inodes[own->place.inode];
        own->hash = image_hash_page(own);
        if (own->place.page < disk_pages(of->size))
            sums[own->place.inode] -= place_hash(own->place.page, of->hashes[own->place.page]);
        if (own->place.page < disk_pages(image->sizes[own->place.inode]))
            sums[own->place.inode] += place_hash(own->place.page, own->hash);
    }
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        int inode = image->names[name];
        hash = disk_mix(hash ^ disk_mix(inode >= 0 ? sums[inode] + image->sizes[inode] + 1 : 0));
    }
    return hash;
}

void image_settle(const struct image *image, struct disk *disk)
{
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        int inode = image->names[name];
        disk->names[name] = inode;
        if (inode < 0)
            continue;
        disk_resize(disk, inode, image->sizes[inode]);
        for (uint32_t page = 0; page < disk_pages(image->sizes[inode]); page++) {
            const struct disk_inode *of = &image->disk->inodes[inode];
            uint32_t slot = *image_slot(image, inode, page);
            if (slot != 0)
                memcpy(disk->inodes[inode].bytes + (size_t)page * DISK_PAGE,
                       image->pages[slot - 1].bytes, DISK_PAGE);
            else if (page < of->page_count)
                memcpy(disk->inodes[inode].bytes + (size_t)page * DISK_PAGE,
                       of->bytes + (size_t)page * DISK_PAGE, DISK_PAGE);
            disk_note(disk, inode, page);
        }
    }
}
