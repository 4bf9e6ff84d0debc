/* SPDX-License-Identifier: MIT */
/*
 * fuzz_meta: any bytes as the begin of a database file.
 *
 * Promises: meta_choose reads nothing outside; a meta that it takes, encoded
 * again, is the page that it was read from; else there is one line of text.
 * Each input is tried with right checksums too.
 */
#include "format/meta.h"

#include "base/bytes.h"
#include "fuzz.h"

#include <string.h>

static void fuzz_choose(const uint8_t *file, size_t size)
{
    struct meta meta;
    struct bts_error error;
    pgno_t pgno = 9;
    enum bts_status status = meta_choose(file, size, &meta, &pgno, &error);

    if (status != BTS_OK) {
        FUZZ_PROMISE(status == BTS_DAMAGED || status == BTS_VERSION);
        FUZZ_PROMISE(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
        FUZZ_PROMISE(meta.page_size == 0 && pgno == 0);
        return;
    }
    FUZZ_PROMISE(pgno <= 1 && page_size_valid(meta.page_size));
    FUZZ_PROMISE((pgno + (size_t)1) * meta.page_size <= size);
    FUZZ_PROMISE(meta.root < meta.page_count);
    uint8_t *page = malloc(meta.page_size);
    FUZZ_PROMISE(page != NULL);
    meta_encode(&meta, pgno, page);
    FUZZ_PROMISE(memcmp(page, file + pgno * (size_t)meta.page_size, meta.page_size) == 0);
    free(page);
}

static void fuzz_reseal(uint8_t *file, size_t size, size_t offset)
{
    if (size < PAGE_SIZE_MIN || offset > size - PAGE_SIZE_MIN) {
        return;
    }
    uint32_t page_size = bytes_load_u32(file + offset + 44);
    if (page_size_valid(page_size) && page_size <= size - offset) {
        page_seal(file + offset, page_size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_choose(data, size);
    if (size >= PAGE_SIZE_MIN) {
        uint8_t *copy = malloc(size);
        FUZZ_PROMISE(copy != NULL);
        memcpy(copy, data, size);
        for (size_t offset = PAGE_SIZE_MAX; offset >= PAGE_SIZE_MIN; offset /= 2) {
            fuzz_reseal(copy, size, offset);
        }
        fuzz_reseal(copy, size, 0);
        fuzz_choose(copy, size);
        free(copy);
    }
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    static const uint32_t page_sizes[] = {4096, 4096, 8192, 16384, 65536};
    struct meta meta = {
        .uuid = "0123456789abcde", .txnid = 12, .root = 9, .depth = 2, .bucket_count = 3,
        .page_count = 100, .log_epoch = 4, .log_position = 65536, .next_bucket_id = 5,
        .created_s = 1700000000,
    };

    if (index >= sizeof(page_sizes) / sizeof(page_sizes[0])) {
        return 0;
    }
    meta.page_size = page_sizes[index];
    meta_encode(&meta, 0, out);
    meta.txnid += index;
    meta.clean = index == 1;
    meta_encode(&meta, 1, out + meta.page_size);
    if (index == 2) {
        out[100] ^= 1;
    }
    return 2 * (size_t)meta.page_size;
}
