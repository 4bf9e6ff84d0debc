/* SPDX-License-Identifier: MIT */
/*
 * create: write an empty store.
 *
 *   page 0, 1   metas of transaction 1, clean: written last, each synced
 *        2      space map of group 0, pages 0 to 4 in use
 *        3      its other copy: zeros
 *        4      the bucket directory: one leaf with the record of `default`
 *
 * All of it but the uuid follows from the page size.  So a file without metas
 * whose every sector is either zero or what would be written there is a
 * creation that was cut short, and anything else is somebody's data.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/err.h"
#include "commit/store_files.h"
#include "format/bucket_record.h"
#include "format/leaf.h"
#include "format/space_map.h"

#define CREATE_PAGES 5u
#define CREATE_DIRECTORY 4u /* the page of the directory */
#define CREATE_TXNID 1u
#define CREATE_EPOCH 1u
#define CREATE_SECTOR 512u /* a power cut tears writes here */

static void create_directory(void *page, size_t page_size)
{
    const struct bucket_record record = {.id = BUCKET_DEFAULT_ID, .created = CREATE_TXNID};
    uint8_t bytes[BUCKET_RECORD_SIZE];
    bool inserted;

    bucket_record_encode(&record, bytes);
    page_init(page, page_size, PAGE_LEAF, 0, CREATE_DIRECTORY, BUCKET_ID_DIRECTORY, CREATE_TXNID);
    inserted = leaf_insert(page, page_size, 0, BTS_DEFAULT_BUCKET, strlen(BTS_DEFAULT_BUCKET),
                           bytes, sizeof(bytes));
    assert(inserted);
    (void)inserted;
    page_seal(page, page_size);
}

static void create_map(void *page, size_t page_size, uint8_t *bits)
{
    memset(bits, 0, page_size - PAGE_HEADER_SIZE);
    bits[0] = (1u << CREATE_PAGES) - 1;
    space_map_encode(page, page_size, 0, 0, CREATE_TXNID, bits);
}

/* Everything but the metas, CREATE_PAGES pages; the caller frees. */
static uint8_t *create_image(size_t page_size)
{
    uint8_t *image = calloc(CREATE_PAGES + 1, page_size);

    if (image != NULL) {
        create_map(image + 2 * page_size, page_size, image + CREATE_PAGES * page_size);
        create_directory(image + CREATE_DIRECTORY * page_size, page_size);
    }
    return image;
}

static bool create_is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Whether every sector of the file is zero or as in the image. */
static bool create_matches(const uint8_t *file, size_t size, size_t page_size)
{
    uint8_t *image = create_image(page_size);
    bool same = image != NULL && size <= CREATE_PAGES * page_size;

    for (size_t at = 0; same && at < size; at += CREATE_SECTOR) {
        size_t n = bytes_min(size - at, CREATE_SECTOR);
        same = create_is_zero(file + at, n) || memcmp(file + at, image + at, n) == 0;
    }
    free(image);
    return same;
}

enum bts_status create_is_unfinished(const struct file *data, uint64_t size, bool *unfinished,
                                     struct bts_error *error)
{
    uint8_t *bytes;
    enum bts_status status;

    uint8_t first[CREATE_SECTOR];

    *unfinished = size == 0;
    if (size < CREATE_SECTOR || size > CREATE_PAGES * PAGE_SIZE_MAX)
        return BTS_OK;
    status = file_read(data, first, sizeof(first), 0, error);
    if (status != BTS_OK || !create_is_zero(first, sizeof(first)))
        return status; /* a meta page, or a stranger's file: no need to read it all */
    bytes = malloc((size_t)size);
    if (bytes == NULL)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", data->path);
    status = file_read(data, bytes, (size_t)size, 0, error);
    for (size_t page_size = PAGE_SIZE_MIN; status == BTS_OK && page_size <= PAGE_SIZE_MAX;
         page_size *= 2)
        *unfinished = *unfinished || create_matches(bytes, (size_t)size, page_size);
    free(bytes);
    return status;
}

static enum bts_status create_fill_meta(struct meta *meta, size_t page_size, const char *path,
                                        struct bts_error *error)
{
    *meta = (struct meta){.page_size = (uint32_t)page_size,
                          .txnid = CREATE_TXNID,
                          .root = CREATE_DIRECTORY,
                          .depth = 1,
                          .bucket_count = 1,
                          .page_count = CREATE_PAGES,
                          .clean = true,
                          .log_epoch = CREATE_EPOCH,
                          .next_bucket_id = BUCKET_DEFAULT_ID + 1,
                          .created_s = (uint64_t)time(NULL)};
    if (getrandom(meta->uuid, sizeof(meta->uuid), 0) != (ssize_t)sizeof(meta->uuid))
        return err_set_errno(error, BTS_IO, errno, "%s: no random bytes for its uuid", path);
    meta->uuid[6] = (uint8_t)((meta->uuid[6] & 0x0f) | 0x40); /* version 4: random */
    meta->uuid[8] = (uint8_t)((meta->uuid[8] & 0x3f) | 0x80);
    return BTS_OK;
}

/* One meta and its sync; the image's page 0 serves as memory. */
static enum bts_status create_write_meta(const struct file *data, const struct meta *meta,
                                         pgno_t pgno, void *page, struct bts_error *error)
{
    enum bts_status status;

    meta_encode(meta, pgno, page);
    status = file_write(data, page, meta->page_size, (uint64_t)pgno * meta->page_size, error);
    return status == BTS_OK ? file_sync(data, error) : status;
}

enum bts_status create_store(const struct file *data, size_t page_size, struct bts_error *error)
{
    uint8_t *image = create_image(page_size);
    size_t size = CREATE_PAGES * page_size;
    struct meta meta;
    enum bts_status status;

    if (image == NULL)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", data->path);
    status = create_fill_meta(&meta, page_size, data->path, error);
    /* An earlier try may have had larger pages. */
    if (status == BTS_OK)
        status = file_truncate(data, size, error);
    if (status == BTS_OK)
        status = file_grow(data, 0, size, error);
    if (status == BTS_OK)
        status = file_write(data, image, size, 0, error);
    if (status == BTS_OK)
        status = file_sync(data, error);
    if (status == BTS_OK)
        status = file_sync_directory(data->system, data->path, error);
    if (status == BTS_OK)
        status = create_write_meta(data, &meta, 0, image, error);
    if (status == BTS_OK)
        status = create_write_meta(data, &meta, 1, image, error);
    free(image);
    return status;
}
