/* SPDX-License-Identifier: MIT */
/* fuzz_walk: see fuzz_walk.h. */
#include "fuzz_walk.h"

#include "fuzz.h"
#include "read/bucket.h"
#include "read/multi_get.h"

#include <string.h>

#define WALK_NONE ORACLE_KEYS
#define WALK_MANY 40u

static bool walk_is(const struct bts_bytes *bytes, struct bts_bytes expected)
{
    return bytes->size == expected.size &&
           (expected.size == 0 || memcmp(bytes->data, expected.data, expected.size) == 0);
}

static void walk_is_entry(const struct oracle_bucket *bucket, unsigned index,
                          const struct bts_bytes *key, const struct bts_bytes *value)
{
    FUZZ_PROMISE(walk_is(key, oracle_key(index)));
    FUZZ_PROMISE(walk_is(value, oracle_bytes(index, &bucket->values[index])));
}

/* The first key there at or behind `key` and before `to`; WALK_NONE. */
static unsigned walk_forward(const struct oracle_bucket *bucket, unsigned key, unsigned to)
{
    while (key < to && !bucket->values[key].there) {
        key++;
    }
    return key < to ? key : WALK_NONE;
}

/* The last key there before `key`, and no less than `from`; WALK_NONE. */
static unsigned walk_backward(const struct oracle_bucket *bucket, unsigned key, unsigned from)
{
    while (key > from && !bucket->values[key - 1].there) {
        key--;
    }
    return key > from ? key - 1 : WALK_NONE;
}

/* ---- all of it ------------------------------------------------------------- */

static void walk_compare_bucket(const struct tree_view *view, const struct oracle_bucket *bucket)
{
    struct cursor cursor;
    struct bts_bytes key;
    struct bts_bytes value;
    unsigned index = 0;
    enum bts_status status;

    cursor_init(&cursor, view);
    while ((status = cursor_next(&cursor, &key, &value, NULL)) == BTS_OK) {
        index = walk_forward(bucket, index, ORACLE_KEYS);
        FUZZ_PROMISE(index != WALK_NONE);
        walk_is_entry(bucket, index++, &key, &value);
    }
    FUZZ_PROMISE(status == BTS_END);
    FUZZ_PROMISE(walk_forward(bucket, index, ORACLE_KEYS) == WALK_NONE);
    index = ORACLE_KEYS;
    while ((status = cursor_prev(&cursor, &key, NULL, NULL)) == BTS_OK) {
        index = walk_backward(bucket, index, 0);
        FUZZ_PROMISE(index != WALK_NONE);
        FUZZ_PROMISE(walk_is(&key, oracle_key(index)));
    }
    FUZZ_PROMISE(status == BTS_END && walk_backward(bucket, index, 0) == WALK_NONE);
    for (index = 0; index < ORACLE_KEYS; index++) {
        struct bts_bytes name = oracle_key(index);
        status = tree_get(view, name.data, name.size, &value, NULL);
        FUZZ_PROMISE(status == (bucket->values[index].there ? BTS_OK : BTS_NOT_FOUND));
        FUZZ_PROMISE(status != BTS_OK ||
                     walk_is(&value, oracle_bytes(index, &bucket->values[index])));
    }
}

/* False: there is none of that name, and must not be. */
static bool walk_open(const struct tree_view *directory, const struct oracle *oracle,
                      unsigned index, struct tree_view *view)
{
    const struct oracle_bucket *bucket = &oracle->buckets[index];
    struct bts_bytes name = oracle_name(index);
    struct bucket_record record;
    enum bts_status status = bucket_find(directory, name.data, name.size, &record, NULL);

    FUZZ_PROMISE(status == (bucket->there ? BTS_OK : BTS_NO_BUCKET));
    if (status == BTS_OK) {
        FUZZ_PROMISE(record.id == bucket->id);
        FUZZ_PROMISE(record.entry_count == bucket->count);
        *view = bucket_view(directory, &record);
    }
    return status == BTS_OK;
}

void walk_compare(struct tree_view directory, const struct oracle *oracle)
{
    struct tree_view view;

    for (unsigned i = 0; i < ORACLE_NAMES; i++) {
        if (walk_open(&directory, oracle, i, &view)) {
            walk_compare_bucket(&view, &oracle->buckets[i]);
        }
    }
}

/* ---- step by step ------------------------------------------------------------ */

/* The cursor went to `key`, or over the end that `beyond` tells. */
static void walk_arrive(struct walk *walk, const struct oracle *oracle, unsigned expected,
                        enum walk_place beyond, enum bts_status status,
                        const struct bts_bytes *key, const struct bts_bytes *value)
{
    FUZZ_PROMISE(status == (expected == WALK_NONE ? BTS_END : BTS_OK));
    walk->place = expected == WALK_NONE ? beyond : WALK_AT;
    walk->key = expected;
    if (status == BTS_OK) {
        walk_is_entry(&oracle->buckets[walk->bucket], expected, key, value);
    }
}

static void walk_first(struct walk *walk, const struct oracle *oracle)
{
    struct bts_bytes key;
    struct bts_bytes value;
    unsigned expected = walk_forward(&oracle->buckets[walk->bucket], walk->from, walk->to);

    walk_arrive(walk, oracle, expected, WALK_AFTER, cursor_first(&walk->cursor, &key, &value, NULL),
                &key, &value);
}

static void walk_last(struct walk *walk, const struct oracle *oracle)
{
    struct bts_bytes key;
    struct bts_bytes value;
    unsigned expected = walk_backward(&oracle->buckets[walk->bucket], walk->to, walk->from);

    walk_arrive(walk, oracle, expected, WALK_BEFORE, cursor_last(&walk->cursor, &key, &value, NULL),
                &key, &value);
}

static void walk_seek(struct walk *walk, const struct oracle *oracle, unsigned to)
{
    struct bts_bytes target = oracle_key(to);
    struct bts_bytes key;
    struct bts_bytes value;
    unsigned from = to > walk->from ? to : walk->from;
    unsigned expected = walk_forward(&oracle->buckets[walk->bucket], from, walk->to);

    walk_arrive(walk, oracle, expected, WALK_AFTER,
                cursor_seek(&walk->cursor, target.data, target.size, &key, &value, NULL), &key,
                &value);
}

static void walk_next(struct walk *walk, const struct oracle *oracle)
{
    const struct oracle_bucket *bucket = &oracle->buckets[walk->bucket];
    struct bts_bytes key;
    struct bts_bytes value;
    unsigned from = walk->place == WALK_AT ? walk->key + 1 : walk->from;
    unsigned expected =
        walk->place == WALK_AFTER ? WALK_NONE : walk_forward(bucket, from, walk->to);

    walk_arrive(walk, oracle, expected, WALK_AFTER, cursor_next(&walk->cursor, &key, &value, NULL),
                &key, &value);
}

static void walk_prev(struct walk *walk, const struct oracle *oracle)
{
    const struct oracle_bucket *bucket = &oracle->buckets[walk->bucket];
    struct bts_bytes key;
    struct bts_bytes value;
    unsigned from = walk->place == WALK_AT ? walk->key : walk->to;
    unsigned expected =
        walk->place == WALK_BEFORE ? WALK_NONE : walk_backward(bucket, from, walk->from);

    walk_arrive(walk, oracle, expected, WALK_BEFORE, cursor_prev(&walk->cursor, &key, &value, NULL),
                &key, &value);
}

/* Opens the cursor on a bucket; some of them with bounds. */
static void walk_begin(struct walk *walk, const struct tree_view *directory,
                       const struct oracle *oracle, unsigned a, unsigned b)
{
    struct tree_view view;

    walk->bucket = walk_open(directory, oracle, b / 8 % ORACLE_NAMES, &view)
                       ? b / 8 % ORACLE_NAMES
                       : 0;
    FUZZ_PROMISE(walk_open(directory, oracle, walk->bucket, &view));
    cursor_init(&walk->cursor, &view);
    walk->place = WALK_UNSET;
    walk->from = 0;
    walk->to = ORACLE_KEYS;
    if (b >= 128) {
        unsigned to = a + (b - 128);
        walk->from = a;
        walk->to = to < ORACLE_KEYS ? to : ORACLE_KEYS - 1;
        cursor_set_range(&walk->cursor, oracle_key(walk->from), oracle_key(walk->to));
        walk->to = walk->to > walk->from ? walk->to : walk->from; /* nothing lies between */
    }
}

void walk_step(struct walk *walk, struct tree_view directory, const struct oracle *oracle,
               unsigned a, unsigned b)
{
    if (walk->place == WALK_CLOSED || b % 8 == 7) {
        walk_begin(walk, &directory, oracle, a, b);
        return;
    }
    switch (b % 8) {
    case 0:
        walk_seek(walk, oracle, a);
        break;
    case 1:
        walk_first(walk, oracle);
        break;
    case 2:
        walk_last(walk, oracle);
        break;
    case 3:
    case 4:
        for (unsigned i = 0; i <= a % 16; i++) {
            walk_next(walk, oracle);
        }
        break;
    default:
        for (unsigned i = 0; i <= a % 16; i++) {
            walk_prev(walk, oracle);
        }
    }
}

void walk_end(struct walk *walk)
{
    walk->place = WALK_CLOSED;
}

/* ---- many at once -------------------------------------------------------------- */

void walk_get_many(struct tree_view directory, const struct oracle *oracle, unsigned a,
                   unsigned b)
{
    unsigned index = oracle->buckets[b % ORACLE_NAMES].there ? b % ORACLE_NAMES : 0;
    const struct oracle_bucket *bucket = &oracle->buckets[index];
    struct bts_lookup lookups[WALK_MANY];
    unsigned keys[WALK_MANY];
    unsigned count = 1 + b / 4 % WALK_MANY;
    struct tree_view view;

    FUZZ_PROMISE(walk_open(&directory, oracle, index, &view));
    for (unsigned i = 0; i < count; i++) {
        keys[i] = (a + i * (1 + b / 64) * 7) % ORACLE_KEYS;
        lookups[i] = (struct bts_lookup){.key = oracle_key(keys[i]).data,
                                         .key_size = oracle_key(keys[i]).size};
    }
    FUZZ_PROMISE(multi_get(&view, lookups, count, NULL) == BTS_OK);
    for (unsigned i = 0; i < count; i++) {
        const struct oracle_value *value = &bucket->values[keys[i]];
        FUZZ_PROMISE(lookups[i].status == (value->there ? BTS_OK : BTS_NOT_FOUND));
        FUZZ_PROMISE(!value->there ||
                     walk_is(&lookups[i].value, oracle_bytes(keys[i], value)));
    }
}
