/* SPDX-License-Identifier: MIT */
/*
 * results: see results.h.
 */
#include "tree/results.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define RESULTS_ROOM_MIN 8u
#define RESULTS_BYTES_MIN 512u

void apply_results_fini(struct apply_results *results)
{
    free(results->entries);
    free(results->bytes);
    memset(results, 0, sizeof(*results));
}

void results_clear(struct apply_results *results)
{
    results->count = 0;
    results->bytes_size = 0;
}

enum bts_status results_add(struct apply_results *results, const struct apply_result *result,
                            struct bts_error *error)
{
    if (results->count == results->room) {
        size_t room = results->room > 0 ? results->room * 2 : RESULTS_ROOM_MIN;
        struct apply_result *grown = realloc(results->entries, room * sizeof(*grown));
        if (grown == NULL) {
            return err_set(error, BTS_NO_MEMORY, "out of memory for %zu results", room);
        }
        results->entries = grown;
        results->room = room;
    }
    results->entries[results->count++] = *result;
    return BTS_OK;
}

enum bts_status results_take_value(struct apply_results *results, const struct bts_bytes *value,
                                   struct apply_result *result, struct bts_error *error)
{
    size_t needed = results->bytes_size + value->size;
    size_t room = results->bytes_room > 0 ? results->bytes_room : RESULTS_BYTES_MIN;

    if (needed > results->bytes_room) {
        uint8_t *grown;
        while (room < needed) {
            room *= 2;
        }
        grown = realloc(results->bytes, room);
        if (grown == NULL) {
            return err_set(error, BTS_NO_MEMORY, "out of memory for %zu bytes of results", room);
        }
        results->bytes = grown;
        results->bytes_room = room;
    }
    if (value->size > 0) {
        memcpy(results->bytes + results->bytes_size, value->data, value->size);
    }
    result->type = APPLY_BYTES;
    result->offset = results->bytes_size;
    result->size = value->size;
    results->bytes_size = needed;
    return BTS_OK;
}
