/* SPDX-License-Identifier: MIT */
/*
 * open_buckets: see open_buckets.h.
 */
#include "tree/open_buckets.h"

#include "base/crc32c.h"
#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_BUCKETS_ROOM_MIN 16u

/* ---- entries --------------------------------------------------------------- */

static struct bucket_name *open_buckets_make_name(const void *name, size_t name_size)
{
    struct bucket_name *made = malloc(sizeof(*made) + name_size);

    if (made != NULL) {
        made->size = name_size;
        memcpy(made->bytes, name, name_size);
    }
    return made;
}

static void open_buckets_free(struct open_bucket *bucket)
{
    if (bucket->then.name != bucket->name) {
        free(bucket->then.name);
    }
    free(bucket->name);
    free(bucket);
}

void open_buckets_clear(struct open_buckets *open)
{
    for (size_t i = 0; i < open->count; i++) {
        open_buckets_free(open->list[i]);
    }
    open->count = 0;
    open->places_used = 0;
    if (open->place_count > 0) {
        memset(open->by_id, 0, open->place_count * sizeof(*open->by_id));
        memset(open->by_name, 0, open->place_count * sizeof(*open->by_name));
    }
}

void open_buckets_fini(struct open_buckets *open)
{
    open_buckets_clear(open);
    free(open->list);
    free(open->by_id);
    free(open->by_name);
    memset(open, 0, sizeof(*open));
}

/* ---- the tables ------------------------------------------------------------ */

static size_t open_buckets_place_of_name(const struct open_buckets *open, const void *name,
                                         size_t name_size)
{
    return crc32c(0, name, name_size) & (open->place_count - 1);
}

static size_t open_buckets_place_of_id(const struct open_buckets *open, uint32_t id)
{
    return (id * 0x9e3779b1u) >> 7 & (open->place_count - 1);
}

static size_t open_buckets_next_place(const struct open_buckets *open, size_t place)
{
    return (place + 1) & (open->place_count - 1);
}

struct open_bucket *open_buckets_find(const struct open_buckets *open, const void *name,
                                      size_t name_size)
{
    size_t place;

    if (open->place_count == 0) {
        return NULL;
    }
    place = open_buckets_place_of_name(open, name, name_size);
    for (; open->by_name[place] != 0; place = open_buckets_next_place(open, place)) {
        struct open_bucket *bucket = open->list[open->by_name[place] - 1];
        if (!bucket->gone && bucket->name->size == name_size &&
            memcmp(bucket->name->bytes, name, name_size) == 0) {
            return bucket;
        }
    }
    return NULL;
}

struct open_bucket *open_buckets_find_id(const struct open_buckets *open, uint32_t id)
{
    size_t place;

    if (open->place_count == 0) {
        return NULL;
    }
    place = open_buckets_place_of_id(open, id);
    for (; open->by_id[place] != 0; place = open_buckets_next_place(open, place)) {
        struct open_bucket *bucket = open->list[open->by_id[place] - 1];
        if (!bucket->gone && bucket->tree.record.id == id) {
            return bucket;
        }
    }
    return NULL;
}

static void open_buckets_insert_name(struct open_buckets *open, uint32_t number)
{
    const struct bucket_name *name = open->list[number - 1]->name;
    size_t place = open_buckets_place_of_name(open, name->bytes, name->size);

    while (open->by_name[place] != 0) {
        place = open_buckets_next_place(open, place);
    }
    open->by_name[place] = number;
    open->places_used++;
}

static void open_buckets_insert_id(struct open_buckets *open, uint32_t number)
{
    size_t place = open_buckets_place_of_id(open, open->list[number - 1]->tree.record.id);

    while (open->by_id[place] != 0) {
        place = open_buckets_next_place(open, place);
    }
    open->by_id[place] = number;
}

/* Fills both tables from the list; they have room. */
static void open_buckets_rebuild(struct open_buckets *open)
{
    open->places_used = 0;
    memset(open->by_id, 0, open->place_count * sizeof(*open->by_id));
    memset(open->by_name, 0, open->place_count * sizeof(*open->by_name));
    for (size_t i = 0; i < open->count; i++) {
        open_buckets_insert_name(open, (uint32_t)i + 1);
        open_buckets_insert_id(open, (uint32_t)i + 1);
    }
}

/* Makes room for one more entry and one more name. */
static enum bts_status open_buckets_reserve(struct open_buckets *open, struct bts_error *error)
{
    size_t room = open->room > 0 ? open->room * 2 : OPEN_BUCKETS_ROOM_MIN;
    size_t places = room * 2;
    struct open_bucket **list;
    uint32_t *by_id;
    uint32_t *by_name;

    if (open->places_used < open->room) { /* there are never more entries than places used */
        return BTS_OK;
    }
    by_id = malloc(places * sizeof(*by_id));
    by_name = malloc(places * sizeof(*by_name));
    list = realloc(open->list, room * sizeof(*list)); /* larger than it needs to be, at worst */
    open->list = list != NULL ? list : open->list;
    if (by_id == NULL || by_name == NULL || list == NULL) {
        free(by_id);
        free(by_name);
        return err_set(error, BTS_NO_MEMORY, "out of memory for %zu open buckets", room);
    }
    free(open->by_id);
    free(open->by_name);
    open->by_id = by_id;
    open->by_name = by_name;
    open->room = room;
    open->place_count = places;
    open_buckets_rebuild(open);
    return BTS_OK;
}

/* ---- changes --------------------------------------------------------------- */

void open_buckets_touch(struct open_buckets *open, struct open_bucket *bucket)
{
    if (bucket->touched == open->savepoint) {
        return;
    }
    bucket->touched = open->savepoint;
    bucket->then.record = bucket->tree.record;
    bucket->then.name = bucket->name;
}

enum bts_status open_buckets_add(struct open_buckets *open, struct pages *pages,
                                 const struct bucket_record *record, const void *name,
                                 size_t name_size, struct open_bucket **bucket,
                                 struct bts_error *error)
{
    enum bts_status status = open_buckets_reserve(open, error);
    struct open_bucket *made;

    *bucket = NULL;
    if (status != BTS_OK) {
        return status;
    }
    made = calloc(1, sizeof(*made));
    if (made != NULL) {
        made->name = open_buckets_make_name(name, name_size);
    }
    if (made == NULL || made->name == NULL) {
        free(made);
        return err_set(error, BTS_NO_MEMORY, "out of memory to open bucket \"%.*s\"",
                       (int)name_size, (const char *)name);
    }
    made->tree.pages = pages;
    made->tree.record = *record;
    made->stored = *record;
    made->opened = open->savepoint;
    made->touched = open->savepoint;
    made->then.name = made->name;
    open->list[open->count++] = made;
    open_buckets_insert_name(open, (uint32_t)open->count);
    open_buckets_insert_id(open, (uint32_t)open->count);
    *bucket = made;
    return BTS_OK;
}

/* The place of an entry in the list, plus 1. */
static uint32_t open_buckets_number(const struct open_buckets *open,
                                    const struct open_bucket *bucket)
{
    uint32_t number = 1;

    while (open->list[number - 1] != bucket) {
        number++;
    }
    return number;
}

enum bts_status open_buckets_rename(struct open_buckets *open, struct open_bucket *bucket,
                                    const void *name, size_t name_size, struct bts_error *error)
{
    enum bts_status status = open_buckets_reserve(open, error);
    struct bucket_name *made;

    assert(bucket->touched == open->savepoint);
    if (status != BTS_OK) {
        return status;
    }
    made = open_buckets_make_name(name, name_size);
    if (made == NULL) {
        return err_set(error, BTS_NO_MEMORY, "out of memory to rename a bucket");
    }
    if (bucket->name != bucket->then.name) {
        free(bucket->name);
    }
    bucket->name = made;
    open->stale = true;
    open_buckets_insert_name(open, open_buckets_number(open, bucket));
    return BTS_OK;
}

void open_buckets_drop(struct open_buckets *open, struct open_bucket *bucket)
{
    assert(bucket->touched == open->savepoint);
    bucket->gone = true;
    open->stale = true;
}

/* ---- savepoints ------------------------------------------------------------ */

/* Closes what is gone, and empties the places that nothing is found by. */
static void open_buckets_sweep(struct open_buckets *open)
{
    size_t kept = 0;

    for (size_t i = 0; i < open->count; i++) {
        if (open->list[i]->gone) {
            open_buckets_free(open->list[i]);
        } else {
            open->list[kept++] = open->list[i];
        }
    }
    open->count = kept;
    if (open->place_count > 0) {
        open_buckets_rebuild(open);
    }
    open->stale = false;
}

/* Forgets the names that entries had before. */
static void open_buckets_forget_names(struct open_buckets *open)
{
    for (size_t i = 0; i < open->count; i++) {
        struct open_bucket *bucket = open->list[i];
        if (bucket->then.name != bucket->name) {
            free(bucket->then.name);
            bucket->then.name = bucket->name;
        }
    }
}

void open_buckets_savepoint(struct open_buckets *open)
{
    if (open->stale) {
        open_buckets_forget_names(open);
        open_buckets_sweep(open);
    }
    open->savepoint++;
}

static void open_buckets_restore(struct open_bucket *bucket)
{
    bucket->gone = false;
    bucket->tree.record = bucket->then.record;
    if (bucket->name != bucket->then.name) {
        free(bucket->name);
        bucket->name = bucket->then.name;
    }
}

void open_buckets_undo(struct open_buckets *open)
{
    for (size_t i = 0; i < open->count; i++) {
        struct open_bucket *bucket = open->list[i];
        if (bucket->opened == open->savepoint) {
            bucket->gone = true;
        } else if (bucket->touched == open->savepoint) {
            open_buckets_restore(bucket);
        }
    }
    open_buckets_sweep(open);
    open->savepoint++;
}
