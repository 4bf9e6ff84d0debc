/* SPDX-License-Identifier: MIT */
/*
 * scan_table: see scan_table.h.
 */
#include "server/scan_table.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void scan_table_init(struct scan_table *table)
{
    memset(table, 0, sizeof(*table));
}

void scan_table_fini(struct scan_table *table)
{
    for (size_t i = 0; i < SCAN_TABLE_SIZE; i++) {
        free(table->places[i].key);
    }
    scan_table_init(table);
}

enum bts_status scan_table_add(struct scan_table *table, uint32_t bucket_id, const void *key,
                               size_t key_size, uint64_t *id, struct bts_error *error)
{
    struct scan_place *place = &table->places[(table->last_id + 1) % SCAN_TABLE_SIZE];
    uint8_t *copy = malloc(key_size);

    *id = 0;
    if (copy == NULL) {
        return err_set(error, BTS_NO_MEMORY, "SCAN: out of memory");
    }
    memcpy(copy, key, key_size);
    free(place->key);
    *id = ++table->last_id;
    *place = (struct scan_place){*id, bucket_id, copy, key_size};
    return BTS_OK;
}

enum bts_status scan_table_find(const struct scan_table *table, uint64_t id, uint32_t bucket_id,
                                struct bts_bytes *key, struct bts_error *error)
{
    const struct scan_place *place = &table->places[id % SCAN_TABLE_SIZE];

    *key = (struct bts_bytes){NULL, 0};
    if (id == 0 || place->id != id || place->bucket_id != bucket_id) {
        return err_set(error, BTS_NOT_FOUND,
                       "SCAN: cursor %" PRIu64 " is not known here (any more); begin again at 0",
                       id);
    }
    *key = (struct bts_bytes){place->key, place->key_size};
    return BTS_OK;
}
