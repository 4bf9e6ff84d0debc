/* SPDX-License-Identifier: MIT */
/*
 * bucket: look a bucket up by name, or by number.
 */
#include "read/bucket.h"

#include "base/err.h"
#include "read/cursor.h"

#include <string.h>

/* Decodes the record of a bucket, naming the bucket when it is damaged. */
static enum bts_status bucket_decode(const struct bts_bytes *name, const struct bts_bytes *value,
                                     struct bucket_record *record, struct bts_error *error)
{
    struct bts_error why;

    if (bucket_record_decode(value->data, value->size, record, &why) == BTS_OK)
        return BTS_OK;
    memset(record, 0, sizeof(*record));
    return err_set(error, BTS_DAMAGED, "record of bucket \"%.*s\": %s; run btstore check",
                   (int)name->size, (const char *)name->data, why.text);
}

enum bts_status bucket_find(const struct tree_view *directory, const void *name, size_t name_size,
                            struct bucket_record *record, struct bts_error *error)
{
    struct bts_bytes key = {name, name_size};
    struct bts_bytes value;
    enum bts_status status;

    memset(record, 0, sizeof(*record));
    if (name_size > BUCKET_NAME_MAX)
        return err_set(error, BTS_NO_BUCKET, "no bucket has a name of %zu bytes: the limit is %u",
                       name_size, BUCKET_NAME_MAX);
    status = tree_get(directory, name, name_size, &value, error);
    if (status == BTS_NOT_FOUND)
        return err_set(error, BTS_NO_BUCKET, "no bucket \"%.*s\"", (int)name_size,
                       (const char *)name);
    if (status != BTS_OK)
        return status;
    return bucket_decode(&key, &value, record, error);
}

enum bts_status bucket_find_id(const struct tree_view *directory, uint32_t id,
                               struct bucket_record *record, uint8_t *name, size_t *name_size,
                               struct bts_error *error)
{
    struct bts_bytes key, value;
    struct cursor cursor;
    enum bts_status status;

    if (name_size != NULL)
        *name_size = 0;
    memset(record, 0, sizeof(*record));
    cursor_init(&cursor, directory);
    while ((status = cursor_next(&cursor, &key, &value, error)) == BTS_OK) {
        status = bucket_decode(&key, &value, record, error);
        if (status != BTS_OK)
            return status;
        if (record->id == id && key.size <= BUCKET_NAME_MAX) {
            if (name != NULL)
                memcpy(name, key.data, key.size);
            if (name_size != NULL)
                *name_size = key.size;
            return BTS_OK;
        }
    }
    memset(record, 0, sizeof(*record));
    if (status != BTS_END)
        return status;
    return err_set(error, BTS_NO_BUCKET, "no bucket with number %u", id);
}
