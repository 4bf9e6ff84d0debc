/* SPDX-License-Identifier: MIT */
/*
 * fuzz_batch: any bytes as a batch from a peer.
 *
 * Promises: batch_check reads nothing outside; what it takes can be walked to
 * its end, and building the same operations again gives the same bytes, for
 * there is one encoding of each batch; what fits small pages fits large ones.
 */
#include "format/batch.h"

#include "base/bytes.h"
#include "fuzz.h"

#include <string.h>

static void fuzz_rebuild(const uint8_t *data, size_t size)
{
    struct batch_reader reader;
    struct batch_operation operation;
    struct batch batch = {0};
    uint32_t count = 0;
    size_t rebuilt_size = 0;

    batch_reader_init(&reader, data, size);
    while (batch_next(&reader, &operation)) {
        enum bts_status status =
            batch_add(&batch, operation.type, operation.flags, operation.first,
                      operation.first_size, operation.second, operation.second_size, NULL);
        FUZZ_PROMISE(status == BTS_OK);
        count++;
    }
    const uint8_t *rebuilt = batch_bytes(&batch, &rebuilt_size);
    FUZZ_PROMISE(count == batch_count(data));
    FUZZ_PROMISE(rebuilt_size == size);
    FUZZ_PROMISE(memcmp(rebuilt, data, 8) == 0); /* the snapshot lies between */
    FUZZ_PROMISE(memcmp(rebuilt + 16, data + 16, size - 16) == 0);
    batch_fini(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bts_error error;

    if (size >= BATCH_HEADER_SIZE) { /* else the magic and the size would have to be guessed */
        uint8_t *copy = malloc(size);
        FUZZ_PROMISE(copy != NULL);
        memcpy(copy, data, size);
        bytes_store_u32(copy, BATCH_MAGIC);
        bytes_store_u32(copy + 20, (uint32_t)size);
        if (batch_check(copy, size, PAGE_SIZE_MAX, &error) == BTS_OK) {
            fuzz_rebuild(copy, size);
        }
        free(copy);
    }
    if (batch_check(data, size, PAGE_SIZE_MIN, &error) == BTS_OK) {
        FUZZ_PROMISE(batch_check(data, size, PAGE_SIZE_MAX, &error) == BTS_OK);
        fuzz_rebuild(data, size);
    } else {
        FUZZ_PROMISE(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
    }
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    static const char key[300] = "user:0001";
    struct batch batch = {0};
    enum bts_status status = BTS_OK;
    size_t size = 0;

    if (index > BATCH_TYPE_END) {
        return 0;
    }
    for (unsigned type = 1; type < BATCH_TYPE_END && status == BTS_OK; type++) {
        bool second = type == BATCH_PUT || type == BATCH_DELETE_RANGE ||
                      type == BATCH_BUCKET_RENAME || type == BATCH_REQUIRE_EQUAL;
        size_t second_size = second ? 5 + index * 7 : 0;
        second_size = type == BATCH_USE_ID ? 4 : type == BATCH_INCREMENT ? 8 : second_size;
        if (index == 0 || index == type || type == BATCH_PUT) {
            status = batch_add(&batch, (enum batch_type)type, 0, key,
                               type == BATCH_USE_ID ? 0 : 9, key, second_size, NULL);
        }
    }
    FUZZ_PROMISE(status == BTS_OK);
    const uint8_t *bytes = batch_bytes(&batch, &size);
    memcpy(out, bytes, size);
    batch_fini(&batch);
    return size;
}
