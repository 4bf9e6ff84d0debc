/* SPDX-License-Identifier: MIT */
/* fuzz_store: see fuzz_store.h; the edits are in fuzz_store_edit.c. */
#include "fuzz_store.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/meta.h"
#include "format/pending_frame.h"
#include "fuzz.h"
#include "fuzz_folder.h"
#include "fuzz_oracle.h"
#include "fuzz_serve.h"
#include "fuzz_store_edit.h"

#include <string.h>

static struct store_image store_images[STORE_KINDS];

/* ---- making good ones --------------------------------------------------------- */

static void store_commit(const struct oracle_operation *operations, size_t count)
{
    struct batch batch = {0};
    struct commit_request request = {.next = NULL};

    for (size_t i = 0; i < count; i++) {
        oracle_encode(&batch, &operations[i]);
    }
    request.batch = batch_bytes(&batch, &request.size);
    serve_requests(&request);
    FUZZ_PROMISE(request.status == BTS_OK);
    apply_results_fini(&request.results);
    batch_fini(&batch);
}

static void store_put(unsigned name, unsigned from, unsigned to, unsigned size_index)
{
    struct oracle_operation operations[40] = {{.type = BATCH_USE, .first = name}};
    size_t count = 1;

    for (unsigned key = from; key < to; key += 3) {
        operations[count++] = (struct oracle_operation){
            .type = BATCH_PUT,
            .first = key,
            .value = {.there = true, .seed = (uint8_t)key, .size_index = (uint8_t)size_index}};
    }
    store_commit(operations, count);
}

/* Three levels, two buckets, runs of one page and more. */
static void store_fill(void)
{
    const struct oracle_operation create[] = {{.type = BATCH_BUCKET_CREATE, .first = 1},
                                              {.type = BATCH_BUCKET_CREATE, .first = 2}};

    store_commit(create, 2);
    store_put(0, 0, 90, 3);
    store_put(1, 100, 190, 5);
    store_put(1, 196, 200, 12);
    store_put(0, 240, 242, 10);
}

/* What goes to the log alone. */
static void store_change(void)
{
    const struct oracle_operation drop[] = {
        {.type = BATCH_BUCKET_DROP, .first = 2},
        {.type = BATCH_DELETE_RANGE, .first = 20, .second = 40},
        {.type = BATCH_INCREMENT, .first = 150, .delta = 4}};

    store_put(0, 91, 130, 4);
    store_commit(drop, 3);
    store_put(1, 10, 30, 8);
    store_put(1, 196, 199, 11);
}

/* A uuid and a time of birth that are the same each time. */
static void store_make_alike(struct store_image *image)
{
    static const uint8_t uuid[16] = "fuzz fuzz fuzz!";

    for (pgno_t pgno = 0; pgno < 2; pgno++) {
        uint8_t *page = image->file + pgno * STORE_PAGE_SIZE;
        memcpy(page + 48, uuid, 16);
        bytes_store_u64(page + 120, 1700000000);
        page_seal(page, STORE_PAGE_SIZE);
    }
    for (size_t at = 0; at + PENDING_BLOCK <= image->log_size; at += PENDING_SEGMENT_SIZE_MIN) {
        uint8_t *header = image->log + at;
        if (memcmp(header, "btspend\n", 8) == 0) {
            uint64_t epoch = bytes_load_u64(header + 32);
            memcpy(header + 16, uuid, 16);
            bytes_store_u32(header + 56, crc32c(0, header, 56));
            image->epoch = epoch > image->epoch ? epoch : image->epoch;
        }
    }
}

/* 0: stopped cleanly; 1: killed with frames in the log; 2: the same, twice; 3: new and empty. */
static void store_make(unsigned kind, struct store_image *image)
{
    struct bts_error error;
    struct meta meta;
    pgno_t pgno;

    serve_reset();
    folder_write(folder_store(), NULL, 0);
    folder_write(folder_pending(), NULL, 0);
    FUZZ_PROMISE(serve_start(true, &error) == BTS_OK);
    if (kind < 3) {
        store_fill();
    }
    if (kind == 1 || kind == 2) {
        FUZZ_PROMISE(serve_checkpoint(&error) == BTS_OK);
        store_change();
    }
    if (kind == 2) {
        serve_kill();
        FUZZ_PROMISE(serve_start(false, &error) == BTS_OK);
        store_put(0, 30, 60, 4);
        store_put(1, 30, 60, 2);
    }
    if (kind == 0 || kind == 3) {
        FUZZ_PROMISE(commit_stop(serve_commit, &error) == BTS_OK);
    }
    serve_kill();
    memset(image, 0, sizeof(*image));
    image->file = folder_read(folder_store(), &image->file_size);
    image->log = folder_read(folder_pending(), &image->log_size);
    store_make_alike(image);
    FUZZ_PROMISE(meta_choose(image->file, image->file_size, &meta, &pgno, &error) == BTS_OK);
    image->file_size = (size_t)meta.page_count * STORE_PAGE_SIZE; /* no pages for later */
}

static uint8_t *store_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = data == NULL ? NULL : malloc(size + 1);

    FUZZ_PROMISE(copy != NULL || data == NULL);
    if (copy != NULL) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* ---- what the input says ------------------------------------------------------- */

void store_image_make(const uint8_t *data, size_t size, struct store_image *image)
{
    unsigned kind = size > 0 ? data[0] % STORE_KINDS : 0;
    const struct store_image *good = &store_images[kind];

    if (good->file == NULL) {
        store_make(kind, &store_images[kind]);
    }
    *image = *good;
    image->file = store_copy(good->file, good->file_size);
    image->log = store_copy(good->log, good->log_size);
    if (size > 1) {
        store_edit(image, good, data + 1, size - 1);
    }
}

void store_image_fini(struct store_image *image)
{
    free(image->file);
    free(image->log);
    memset(image, 0, sizeof(*image));
}

void store_image_write(const struct store_image *image)
{
    folder_write(folder_store(), image->file, image->file_size);
    folder_write(folder_pending(), image->log, image->log_size);
}

size_t store_seed(unsigned index, uint8_t *out)
{
    uint32_t random = index * 2654435761u + 99;
    size_t size = 1 + STORE_EDIT_SIZE * (index / STORE_KINDS % 4);

    if (index >= STORE_KINDS * 14) {
        return 0;
    }
    out[0] = (uint8_t)index;
    for (size_t i = 1; i < size; i++) {
        random = random * 1664525 + 1013904223;
        out[i] = (uint8_t)(random >> 24);
    }
    for (size_t i = 1; i < size; i += STORE_EDIT_SIZE) {
        out[i] = (uint8_t)(index + i);
        out[i + 1] %= 50;
    }
    return size;
}
