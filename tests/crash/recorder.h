/* SPDX-License-Identifier: MIT */
/*
 * recorder: a file system that remembers everything that was done to it.
 *
 * Sits in the storage seam over the real one.  Besides doing what it is told,
 * it keeps the durable state (what a disk must have after the syncs so far)
 * and the operations since, each of which a power cut may keep, lose or tear.
 *
 * Before each sync takes effect `at_sync` is called: there the set of
 * operations in doubt is largest, and any earlier moment is a subset of it.
 *
 * A file is an inode here; a name leads to one.  An operation is
 *   WRITE   bytes of an inode, up to its size
 *   SIZE    an inode's size, by growing, cutting, or writing past the end
 *   NAME    a name leads to this inode, or to none
 */
#ifndef CRASH_RECORDER_H
#define CRASH_RECORDER_H

#include "pages/file.h"

#define RECORDER_NAMES 2u    /* the database, the pending log */
#define RECORDER_INODES 64u
#define RECORDER_FDS 1024u

enum recorder_type {
    RECORDER_WRITE,
    RECORDER_SIZE,
    RECORDER_NAME,
};

struct recorder_op {
    enum recorder_type type;
    int inode;              /* NAME: -1: none */
    unsigned name;          /* NAME */
    uint64_t offset;        /* WRITE */
    uint64_t size;          /* WRITE: bytes; SIZE: the new size */
    uint8_t *data;          /* WRITE: owned */
};

/* A state of all files. */
struct recorder_image {
    struct {
        uint8_t *data;
        uint64_t size;      /* of the file */
        uint64_t room;      /* of data; bytes past `size` may have been written already */
    } inodes[RECORDER_INODES];
    int names[RECORDER_NAMES]; /* inode, or -1 */
};

void recorder_image_init(struct recorder_image *image);
void recorder_image_fini(struct recorder_image *image);
void recorder_image_copy(struct recorder_image *to, const struct recorder_image *from);
/* Bytes [from, to) of a write reached the disk. */
void recorder_image_apply_part(struct recorder_image *image, const struct recorder_op *op,
                               uint64_t from, uint64_t to);
void recorder_image_apply(struct recorder_image *image, const struct recorder_op *op);
/* Writes the files to `directory`, or removes them. */
void recorder_image_save(const struct recorder_image *image, const char *directory);
uint64_t recorder_image_hash(const struct recorder_image *image);

struct recorder {
    struct file_system system;   /* give this away */
    char directory[200];
    struct recorder_image durable;
    struct recorder_op *pending; /* in doubt, oldest first */
    size_t pending_count;
    size_t pending_room;
    int inode_count;
    int names[RECORDER_NAMES];   /* as the processes see them */
    uint64_t sizes[RECORDER_INODES];
    int fds[RECORDER_FDS];       /* inode */
    unsigned long syncs;         /* so far */
    unsigned long fail_sync;     /* this one fails, and what it should have kept is lost; 0: none */
    unsigned long skip_sync;     /* every so many-th sync is left out, as by a bug; 0: none */
    void (*at_sync)(void *context, struct recorder *recorder);
    void *context;
};

/* The names, in the directory. */
extern const char *const recorder_names[RECORDER_NAMES];

/* Begins with the files as they lie in `directory`, all of it durable. */
void recorder_init(struct recorder *recorder, const char *directory);
void recorder_fini(struct recorder *recorder);

#endif
