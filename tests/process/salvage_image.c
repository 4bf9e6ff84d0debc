/* SPDX-License-Identifier: MIT */
/* salvage_image: see salvage_image.h. */
#include "salvage_image.h"

#include "format/bucket_record.h"
#include "format/inner.h"
#include "format/leaf.h"
#include "harness.h"

#include <string.h>

uint8_t *image_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;

    *size = (size_t)harness_file_size(path);
    bytes = malloc(*size + 1);
    HARNESS_CHECK(file != NULL && bytes != NULL, "%s", path);
    HARNESS_CHECK(fread(bytes, 1, *size, file) == *size, "%s", path);
    fclose(file);
    return bytes;
}

void image_write(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    HARNESS_CHECK(file != NULL, "%s", path);
    HARNESS_CHECK(fwrite(bytes, 1, size, file) == size && fclose(file) == 0, "%s", path);
}

static const struct page_header *image_page(const struct image *image, pgno_t pgno)
{
    HARNESS_CHECK(((uint64_t)pgno + 1) * IMAGE_PAGE <= image->size, "page %u", pgno);
    return (const void *)(image->bytes + (size_t)pgno * IMAGE_PAGE);
}

static void image_add(struct image *image, unsigned bucket, pgno_t leaf,
                      const struct leaf_entry *from)
{
    struct image_entry *entry;

    image->entry = realloc(image->entry, (image->entry_count + 1) * sizeof(*image->entry));
    HARNESS_CHECK(image->entry != NULL && from->key_size < sizeof(entry->key), "memory");
    entry = &image->entry[image->entry_count++];
    *entry = (struct image_entry){.bucket = bucket, .leaf = leaf,
                                  .value = from->value, .value_size = from->value_size};
    memcpy(entry->key, from->key, from->key_size);
    if (from->is_run) {
        entry->run = from->run_pgno;
        entry->run_pages = page_run_pages(from->value_size, IMAGE_PAGE);
        entry->value = (const uint8_t *)image_page(image, from->run_pgno) + PAGE_HEADER_SIZE;
    }
}

static void image_walk(struct image *image, unsigned bucket, pgno_t pgno, unsigned level)
{
    const struct page_header *page = image_page(image, pgno);

    HARNESS_CHECK(page_check(page, IMAGE_PAGE, pgno, NULL) == BTS_OK && page->level == level,
                  "page %u of the sound file", pgno);
    if (level > 0) {
        if (image->inner_count < 64) {
            image->inner[image->inner_count++] = pgno;
        }
        for (unsigned i = 0; i <= inner_count(page); i++) {
            image_walk(image, bucket, inner_children(page)[i], level - 1);
        }
        return;
    }
    for (unsigned i = 0; i < leaf_count(page); i++) {
        struct leaf_entry entry = leaf_entry_at(page, i);
        image_add(image, bucket, pgno, &entry);
    }
}

/* The newest page of the directory: its root as of the newest commit. */
static pgno_t image_newest_directory(const struct image *image)
{
    txnid_t newest = 0;
    pgno_t found = 0;

    for (pgno_t pgno = 4; ((size_t)pgno + 1) * IMAGE_PAGE <= image->size; pgno++) {
        const struct page_header *page = image_page(image, pgno);
        if (page->bucket == BUCKET_ID_DIRECTORY && page->txnid > newest &&
            page_check(page, IMAGE_PAGE, pgno, NULL) == BTS_OK) {
            newest = page->txnid;
            found = pgno;
        }
    }
    return found;
}

void image_load(struct image *image, uint8_t *bytes, size_t size, bool newest)
{
    struct bts_error error;
    struct meta meta;
    const struct page_header *directory;
    pgno_t pgno;

    *image = (struct image){.bytes = bytes, .size = size};
    HARNESS_OK(meta_choose(bytes, size, &meta, &pgno, &error), &error);
    HARNESS_CHECK(meta.depth == 1, "a directory of one leaf is assumed");
    image->directory = newest ? image_newest_directory(image) : meta.root;
    directory = image_page(image, image->directory);
    image->txnid = newest ? directory->txnid : meta.txnid;
    for (unsigned i = 0; i < leaf_count(directory); i++) {
        struct leaf_entry entry = leaf_entry_at(directory, i);
        struct bucket_record record;
        HARNESS_OK(bucket_record_decode(entry.value, (size_t)entry.value_size, &record, &error),
                   &error);
        HARNESS_CHECK(i < IMAGE_BUCKETS_MAX, "too many buckets");
        memcpy(image->name[i], entry.key, entry.key_size);
        image->id[i] = record.id;
        image->root[i] = record.root;
        image->bucket_count++;
        if (record.depth > 0) {
            image_walk(image, i, record.root, record.depth - 1);
        }
    }
}

const struct image_entry *image_find(const struct image *image, const char *bucket,
                                     const char *key)
{
    for (size_t i = 0; i < image->entry_count; i++) {
        if (strcmp(image->entry[i].key, key) == 0 &&
            strcmp(image->name[image->entry[i].bucket], bucket) == 0) {
            return &image->entry[i];
        }
    }
    return NULL;
}

const struct image_entry *image_nth(const struct image *image, const char *bucket, size_t nth)
{
    for (size_t i = 0; i < image->entry_count; i++) {
        if (strcmp(image->name[image->entry[i].bucket], bucket) == 0 && nth-- == 0) {
            return &image->entry[i];
        }
    }
    harness_fail(__FILE__, __LINE__, "entry", "%s", bucket);
}

/* What stands in quotes behind `before` at the start of *text, which moves on. */
static bool image_quoted(const char **text, const char *before, char *out, size_t room)
{
    size_t size = strlen(before);
    const char *end;

    if (strncmp(*text, before, size) != 0 || (*text)[size] != '"' ||
        (end = strchr(*text + size + 1, '"')) == NULL || (size_t)(end - *text) > room) {
        return false;
    }
    snprintf(out, room, "%.*s", (int)(end - *text - (long)size - 1), *text + size + 1);
    *text = end + 1;
    return true;
}

bool image_line_names(const char *line, const char *bucket, const char *key)
{
    char text[128];
    bool has_low;

    if (!image_quoted(&line, "bucket ", text, sizeof text) || strcmp(text, bucket) != 0) {
        return false;
    }
    if (image_quoted(&line, ": value of key ", text, sizeof text)) {
        return strcmp(text, key) == 0;
    }
    if (strncmp(line, ": all keys: ", 12) == 0) {
        return true;
    }
    has_low = image_quoted(&line, ": keys from ", text, sizeof text);
    if (has_low && strcmp(key, text) < 0) {
        return false;
    }
    if (image_quoted(&line, has_low ? " to before " : ": keys before ", text, sizeof text)) {
        return strcmp(key, text) < 0;
    }
    return has_low && strncmp(line, " on: ", 5) == 0;
}

void image_fini(struct image *image)
{
    free(image->entry);
    image->entry = NULL;
}
