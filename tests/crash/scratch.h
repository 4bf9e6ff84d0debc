/* SPDX-License-Identifier: MIT */
/*
 * scratch: a disk's image as real files, to recover from, and to take back.
 *
 * The files of a disk lie in a folder once, as it is; an image is put there by
 * writing the pages in which it differs.  Its file system notes which pages
 * recovery reads and which it writes, so that afterwards only what was touched
 * is put right again.
 *
 *   scratch_follow (the disk moved on), then for each image:
 *   scratch_put, recovery over scratch.system, scratch_take_back
 *
 * One thread.
 */
#ifndef CRASH_SCRATCH_H
#define CRASH_SCRATCH_H

#include "disk.h"
#include "pages/file.h"

#define SCRATCH_FDS 1024

struct scratch_file {
    int fd;                /* -1: not there */
    uint8_t *map;          /* writable, DISK_INODE_PAGES long */
    uint64_t size;         /* as it is now */
    uint64_t inode_number;
    uint8_t dirty[DISK_INODE_PAGES / 8]; /* pages that are not as the disk's */
    uint8_t ours[DISK_INODE_PAGES / 8];  /* of these, written by recovery */
    uint8_t read[DISK_INODE_PAGES / 8];
};

struct scratch {
    struct file_system system; /* give this to recovery */
    char directory[200];
    struct disk *disk;         /* whose changed list scratch_follow empties */
    struct image *image;       /* that is put; NULL: none */
    struct scratch_file files[DISK_INODES];
    struct disk_place *dirty;  /* the set bits of `dirty` */
    size_t dirty_count;
    size_t dirty_room;
    int fds[SCRATCH_FDS];      /* inode, or -1 */
    uint64_t read_hash;        /* of all that was read of the image, up to now */
};

void scratch_init(struct scratch *scratch, const char *directory, struct disk *disk);
void scratch_fini(struct scratch *scratch);

/* Makes the files what the disk is now. */
void scratch_follow(struct scratch *scratch);

/* Puts an image of the disk there; image_hash was called. */
void scratch_put(struct scratch *scratch, struct image *image);
void scratch_take_back(struct scratch *scratch);

/* Recovery read page `page` of the file of this name, whichever way; its own writes do not count. */
void scratch_note_read(struct scratch *scratch, unsigned name, uint32_t page);

/* Pages of the image that were read so far, those of the pending log first: how many, up to `room`. */
size_t scratch_pages_read(const struct scratch *scratch, struct disk_place *places, size_t room);

#endif
