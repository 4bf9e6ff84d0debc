/* SPDX-License-Identifier: MIT */
/*
 * disk: what a disk holds for certain, and what it may hold after a power cut.
 *
 * A file is an inode here; a name leads to one.  Everything that is done to
 * the files is an operation:
 *   WRITE   bytes of an inode, seen up to its size
 *   SIZE    an inode's size, by growing, cutting, or writing past the end
 *   NAME    a name leads to this inode, or to none
 *
 * A `disk` is the durable state.  An `image` is a disk with some operations on
 * top; it owns the pages that differ and shares the others, so that a million
 * images of one disk cost what differs between them.
 *
 * Bytes of an inode past its size may have been written already: they are seen
 * once the size follows, and gone once it is cut.
 */
#ifndef CRASH_DISK_H
#define CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_PAGE 4096u
#define DISK_SECTOR 512u
#define DISK_INODES 64u
#define DISK_INODE_PAGES 8192u /* 32 MiB */
#define DISK_NAMES 2u          /* the database, the pending log */

extern const char *const disk_names[DISK_NAMES];
/* Which name a path ends in, or -1. */
int disk_name_of(const char *path);

enum disk_op_type {
    DISK_WRITE,
    DISK_SIZE,
    DISK_NAME,
};

struct disk_op {
    enum disk_op_type type;
    int inode;              /* NAME: -1: none */
    unsigned name;          /* NAME */
    uint64_t offset;        /* WRITE */
    uint64_t size;          /* WRITE: bytes; SIZE: the new size */
    uint8_t *data;          /* WRITE: owned by whoever lists the operation */
    uint64_t *hashes;       /* WRITE: of its whole pages, once asked for; 0: not yet; as `data` */
};

/* One page of one inode. */
struct disk_place {
    int inode;
    uint32_t page;
};

struct disk_inode {
    uint64_t size;
    uint32_t page_count;    /* of `bytes` */
    uint8_t *bytes;
    uint64_t *hashes;       /* of each page */
    uint64_t sum;           /* of its pages' hashes with their places .. */
    bool sum_known;         /* .. or to be made again */
};

struct disk {
    struct disk_inode inodes[DISK_INODES];
    int names[DISK_NAMES];  /* inode, or -1 */
    struct disk_place *changed; /* since somebody emptied the list */
    size_t changed_count;
    size_t changed_room;
};

void disk_init(struct disk *disk);
void disk_fini(struct disk *disk);
void disk_apply(struct disk *disk, const struct disk_op *op);

/* Pages that bytes [0, size) lie on. */
static inline uint32_t disk_pages(uint64_t size)
{
    return (uint32_t)((size + DISK_PAGE - 1) / DISK_PAGE);
}

/* A hash of `size` bytes, a multiple of 8: only to tell contents apart. */
uint64_t disk_hash(const void *bytes, size_t size);
/* The hash of a page of zeros. */
uint64_t disk_zero_hash(void);
/* Scrambles a number. */
uint64_t disk_mix(uint64_t x);

/* ---- images ------------------------------------------------------------- */

#define IMAGE_PAGES_MAX 4096u
#define IMAGE_TABLE (4 * IMAGE_PAGES_MAX)

struct image_page {
    struct disk_place place;
    uint64_t hash;          /* after image_hash */
    const struct disk_op *whole; /* the one write that all of it comes from; NULL: several */
    uint8_t *bytes;
    uint32_t *slot;         /* in the table */
};

struct image {
    struct disk *disk;
    uint64_t sizes[DISK_INODES];
    int names[DISK_NAMES];
    struct image_page *pages; /* that are not as the disk's */
    size_t page_count;
    size_t page_room;       /* pages whose bytes are allocated */
    uint32_t table[IMAGE_TABLE]; /* by place: index in pages + 1 */
};

struct image *image_create(void);
void image_destroy(struct image *image);
/* The disk as it is. */
void image_reset(struct image *image, struct disk *disk);
void image_apply(struct image *image, const struct disk_op *op);
/* Bytes [from, to) of a write. */
void image_apply_part(struct image *image, const struct disk_op *op, uint64_t from, uint64_t to);
/* Of everything that the names lead to. */
uint64_t image_hash(struct image *image);
/* The hash of one page, after image_hash. */
uint64_t image_page_hash(const struct image *image, int inode, uint32_t page);
/* Makes `disk`, an empty one, hold what the image holds. */
void image_settle(const struct image *image, struct disk *disk);

#endif
