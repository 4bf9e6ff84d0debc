/* SPDX-License-Identifier: MIT */
/*
 * salvage_image: a store's file in memory, and what it holds page by page.
 *
 * The test's own reading of a sound file, by the format alone: which entry lies
 * in which leaf and run.  It is what a salvage of a damaged copy is held against.
 */
#ifndef SALVAGE_IMAGE_H
#define SALVAGE_IMAGE_H

#include "format/meta.h"

#define IMAGE_PAGE 4096u
#define IMAGE_BUCKETS_MAX 8

struct image_entry {
    unsigned bucket;     /* index in image.name */
    char key[32];
    const uint8_t *value;
    size_t value_size;
    pgno_t leaf;
    pgno_t run;          /* 0: the value lies in the leaf */
    uint64_t run_pages;
};

struct image {
    uint8_t *bytes;
    size_t size;
    txnid_t txnid;       /* of the state below */
    char name[IMAGE_BUCKETS_MAX][32];
    uint32_t id[IMAGE_BUCKETS_MAX];
    pgno_t root[IMAGE_BUCKETS_MAX];
    unsigned bucket_count;
    pgno_t directory;
    struct image_entry *entry;
    size_t entry_count;
    pgno_t inner[64];    /* inner pages, roots first */
    unsigned inner_count;
};

/* Reads a file whole; the caller frees. */
uint8_t *image_read(const char *path, size_t *size);
void image_write(const char *path, const uint8_t *bytes, size_t size);

/* Takes the bytes over and walks the newest checkpoint, or (`newest`) the newest commit. */
void image_load(struct image *image, uint8_t *bytes, size_t size, bool newest);
/* The entry of a key, or NULL; the nth of a bucket. */
const struct image_entry *image_find(const struct image *image, const char *bucket,
                                     const char *key);
const struct image_entry *image_nth(const struct image *image, const char *bucket, size_t nth);

/*
 * Whether a line of loss speaks for a key: "bucket "users": keys from "a" to
 * before "b": ...", "... value of key "a" ...", or of all keys of the bucket.
 */
bool image_line_names(const char *line, const char *bucket, const char *key);

/* Keeps the bytes. */
void image_fini(struct image *image);

#endif
