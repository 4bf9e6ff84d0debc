/* SPDX-License-Identifier: MIT */
/*
 * scratch: a disk's image as files, to recover from, and to take back.
 *
 * The files of a disk lie in memory once, as it is; an image is put there by
 * writing the pages in which it differs.  Its file system notes which pages
 * recovery reads and which it writes, so that afterwards only what was touched
 * is put right again.
 *
 *   scratch_follow (the disk moved on), then for each image:
 *   scratch_put, recovery over scratch.system, scratch_take_back
 *
 * No file of the system lies behind one of these: their paths and descriptors
 * are such as it never gives, and what is asked beside the seam is answered by
 * calls.c.  Their memory stays from one scratch to the next.
 *
 * One thread.
 */
#ifndef CRASH_SCRATCH_H
#define CRASH_SCRATCH_H

#include "disk.h"
#include "pages/file.h"

#define SCRATCHES 2u           /* at a time */
#define SCRATCH_MADE 4u        /* files that one recovery makes */
#define SCRATCH_FILES (DISK_INODES + SCRATCH_MADE)
#define SCRATCH_FILE_SIZE ((size_t)DISK_INODE_PAGES * DISK_PAGE)
#define SCRATCH_FD 880         /* the first of SCRATCHES * SCRATCH_FILES, below RECORDER_FDS */

/* Bytes at `size` and after it are zero. */
struct scratch_file {
    uint8_t *map;          /* SCRATCH_FILE_SIZE long */
    const uint8_t *view;   /* the same bytes, not to be written; NULL: never used yet */
    uint64_t size;         /* as it is now */
    uint8_t dirty[DISK_INODE_PAGES / 8]; /* pages that are not as the disk's */
    uint8_t ours[DISK_INODE_PAGES / 8];  /* of these, written by recovery */
    uint8_t read[DISK_INODE_PAGES / 8];
};

struct scratch {
    struct file_system system; /* give this to recovery */
    unsigned place;
    struct disk *disk;         /* whose changed list scratch_follow empties */
    struct image *image;       /* that is put; NULL: none */
    struct scratch_file *files; /* SCRATCH_FILES: of the disk's inodes, then those made */
    int names[DISK_NAMES];     /* as recovery sees them: a file, or -1 */
    unsigned made;
    struct disk_place *dirty;  /* the set bits of `dirty` */
    size_t dirty_count;
    size_t dirty_room;
    uint64_t read_hash;        /* of all that was read of the image, up to now */
};

/* Makes the memory that all of them lie in; once, before anything else, and threads. */
void scratch_make_pool(void);

/* Where a store of the scratch at `place` lies. */
const char *scratch_directory(unsigned place);

/* No other one is at this place, below SCRATCHES. */
void scratch_init(struct scratch *scratch, unsigned place, struct disk *disk);
void scratch_fini(struct scratch *scratch);

/* Makes the files what the disk is now. */
void scratch_follow(struct scratch *scratch);

/* Puts an image of the disk there; image_hash was called. */
void scratch_put(struct scratch *scratch, struct image *image);
void scratch_take_back(struct scratch *scratch);

/* Recovery read a page of the file of this name, whichever way; its own writes do not count. */
void scratch_note_read(struct scratch *scratch, unsigned name, uint32_t page);

/* Pages of the image that were read so far, the pending log's first: how many, up to `room`. */
size_t scratch_pages_read(const struct scratch *scratch, struct disk_place *places, size_t room);

/* ---- for calls.c -------------------------------------------------------- */

/* The file that a descriptor or a path leads to; NULL: none of ours. */
const struct scratch_file *scratch_file_of(int fd);
const struct scratch_file *scratch_file_at(const char *path);
/* Whether the path would lead to one. */
bool scratch_has_path(const char *path);
/* Different for each. */
unsigned scratch_file_number(const struct scratch_file *file);
/* Whether it lies in some file's view. */
bool scratch_is_view(const void *address);

#endif
