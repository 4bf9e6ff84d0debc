/* SPDX-License-Identifier: MIT */
/* tree_model: see tree_model.h. */
#include "tree_model.h"

#include "base/bytes.h"
#include "read/cursor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stops with what was found. */
#define MODEL_MUST(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "model: line %d: ", __LINE__);                                         \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

void model_init(struct tree_model *model)
{
    memset(model, 0, sizeof(*model));
}

void model_fini(struct tree_model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        free(model->entries[i].key);
    }
    free(model->entries);
    free(model->buffer);
    memset(model, 0, sizeof(*model));
}

const void *model_value(struct tree_model *model, uint64_t seed, size_t size)
{
    size_t needed = (size + 8) & ~(size_t)7;

    if (needed > model->buffer_size) {
        free(model->buffer);
        model->buffer = malloc(needed);
        model->buffer_size = needed;
    }
    for (size_t i = 0; i < needed; i += 8) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bytes_store_u64(model->buffer + i, seed ^ seed >> 29);
    }
    return model->buffer;
}

/* The first entry that is not below the key. */
static size_t model_find(const struct tree_model *model, const void *key, size_t key_size,
                         bool *found)
{
    size_t low = 0;
    size_t high = model->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct model_entry *entry = &model->entries[middle];
        if (bytes_compare(entry->key, entry->key_size, key, key_size) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = low < model->count && bytes_compare(model->entries[low].key,
                                                 model->entries[low].key_size, key,
                                                 key_size) == 0;
    return low;
}

static void model_remove(struct tree_model *model, size_t first, size_t count)
{
    if (count == 0) {
        return;
    }
    for (size_t i = first; i < first + count; i++) {
        free(model->entries[i].key);
    }
    memmove(model->entries + first, model->entries + first + count,
            (model->count - first - count) * sizeof(*model->entries));
    model->count -= count;
}

void model_note_put(struct tree_model *model, const void *key, size_t key_size, uint64_t seed,
                    size_t size, bool *replaced)
{
    size_t at = model_find(model, key, key_size, replaced);

    if (!*replaced) {
        if (model->count == model->room) {
            model->room = model->room * 2 + 1024;
            model->entries = realloc(model->entries, model->room * sizeof(*model->entries));
        }
        memmove(model->entries + at + 1, model->entries + at,
                (model->count - at) * sizeof(*model->entries));
        model->count++;
        model->entries[at].key = malloc(key_size);
        model->entries[at].key_size = key_size;
        memcpy(model->entries[at].key, key, key_size);
    }
    model->entries[at].seed = seed;
    model->entries[at].size = size;
}

void model_put(struct tree_model *model, struct tree *tree, const void *key, size_t key_size,
               uint64_t seed, size_t size)
{
    const void *value = model_value(model, seed, size);
    struct bts_error error;
    bool replaced;
    bool written;
    bool expected;
    enum bts_status status = tree_put(tree, TREE_PUT_ALWAYS, key, key_size, value, size,
                                      &replaced, &written, &error);

    MODEL_MUST(status == BTS_OK, "put: %s", error.text);
    model_note_put(model, key, key_size, seed, size, &expected);
    MODEL_MUST(written && replaced == expected, "put: replaced is %d", replaced);
    MODEL_MUST(tree->record.entry_count == model->count, "put: %llu entries instead of %zu",
               (unsigned long long)tree->record.entry_count, model->count);
}

void model_delete(struct tree_model *model, struct tree *tree, const void *key, size_t key_size)
{
    struct bts_error error;
    bool found;
    bool expected;
    enum bts_status status = tree_delete(tree, key, key_size, &found, &error);
    size_t at = model_find(model, key, key_size, &expected);

    MODEL_MUST(status == BTS_OK, "delete: %s", error.text);
    MODEL_MUST(found == expected, "delete: found is %d", found);
    if (expected) {
        model_remove(model, at, 1);
    }
    MODEL_MUST(tree->record.entry_count == model->count, "delete: %llu entries instead of %zu",
               (unsigned long long)tree->record.entry_count, model->count);
}

void model_delete_range(struct tree_model *model, struct tree *tree, const void *from,
                        size_t from_size, const void *to, size_t to_size)
{
    struct bts_error error;
    uint64_t deleted;
    bool found;
    size_t first = from == NULL ? 0 : model_find(model, from, from_size, &found);
    size_t end = to == NULL ? model->count : model_find(model, to, to_size, &found);
    size_t expected = end > first ? end - first : 0;
    enum bts_status status =
        tree_delete_range(tree, (struct bts_bytes){from, from_size},
                          (struct bts_bytes){to, to_size}, &deleted, &error);

    MODEL_MUST(status == BTS_OK, "delete range: %s", error.text);
    MODEL_MUST(deleted == expected, "delete range: %llu deleted instead of %zu",
               (unsigned long long)deleted, expected);
    model_remove(model, first, expected);
    MODEL_MUST(tree->record.entry_count == model->count, "delete range: %llu entries, not %zu",
               (unsigned long long)tree->record.entry_count, model->count);
}

void model_compare(struct tree_model *model, const struct tree_view *view)
{
    struct cursor cursor;
    struct bts_bytes key;
    struct bts_bytes value;
    struct bts_error error;
    enum bts_status status;
    size_t i = 0;

    cursor_init(&cursor, view);
    while ((status = cursor_next(&cursor, &key, &value, &error)) == BTS_OK) {
        const struct model_entry *entry = &model->entries[i];
        MODEL_MUST(i < model->count, "more than %zu entries", model->count);
        MODEL_MUST(bytes_compare(key.data, key.size, entry->key, entry->key_size) == 0,
                   "entry %zu has another key", i);
        MODEL_MUST(value.size == entry->size, "entry %zu: value of %zu bytes instead of %zu", i,
                   value.size, entry->size);
        MODEL_MUST(memcmp(value.data, model_value(model, entry->seed, entry->size),
                          entry->size) == 0, "entry %zu: another value", i);
        i++;
    }
    MODEL_MUST(status == BTS_END, "entry %zu: %s", i, error.text);
    MODEL_MUST(i == model->count, "%zu entries instead of %zu", i, model->count);
}
