/* SPDX-License-Identifier: MIT */
/* versions: see versions.h. */
#include "versions.h"

#include "disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 40u
#define BUCKETS 3u
#define VALUE_MAX 12000u
#define LARGE_EACH 29u     /* each so many versions a batch too large for the log */
#define TEMPORARY_EACH 17u /* a bucket comes and goes in so many versions */
#define TEMPORARY_MADE 3u
#define TEMPORARY_GONE 12u

uint64_t version_seed = 1;

/* In the order of their names; the last one comes and goes. */
static const char *const buckets[BUCKETS] = {"default", "spare", "temporary"};

struct change {
    enum batch_type type;
    unsigned bucket;
    unsigned key;
    unsigned key_end; /* DELETE_RANGE */
    unsigned size;    /* PUT */
    uint8_t fill;
};

/* ---- what a version changes --------------------------------------------- */

static bool has_temporary(unsigned version)
{
    unsigned turn = version % TEMPORARY_EACH;

    return turn >= TEMPORARY_MADE && turn < TEMPORARY_GONE;
}

static unsigned change_count(unsigned version)
{
    return version % LARGE_EACH == 0 ? 14 : 1 + version % 5;
}

static struct change change_at(unsigned version, unsigned index)
{
    uint64_t drawn = disk_mix(version_seed * 1000003u + version * 131u + index);
    bool large = version % LARGE_EACH == 0;
    struct change change = {.type = BATCH_PUT,
                            .key = (unsigned)(drawn >> 40) % KEYS,
                            .size = (unsigned)(drawn >> 8) % 900,
                            .fill = (uint8_t)(drawn >> 20)};

    if (has_temporary(version))
        change.bucket = (unsigned)(drawn >> 50) % BUCKETS;
    else
        change.bucket = (unsigned)(drawn >> 50) % (BUCKETS - 1);
    if (large || drawn % 13 == 0)
        change.size = (large ? 6000 : 1500) + (unsigned)(drawn >> 8) % 6000;
    if (!large && drawn % 5 == 0)
        change.type = BATCH_DELETE;
    if (!large && drawn % 41 == 1) {
        change.type = BATCH_DELETE_RANGE;
        change.key_end = change.key + 1 + (unsigned)(drawn >> 30) % 10;
    }
    return change;
}

static size_t key_text(unsigned key, char text[16])
{
    return (size_t)snprintf(text, 16, "key %03u", key);
}

/* ---- as a batch --------------------------------------------------------- */

static void add(struct batch *batch, enum batch_type type, const void *first, size_t first_size,
                const void *second, size_t second_size)
{
    if (batch_add(batch, type, 0, first, first_size, second, second_size, NULL) != BTS_OK)
        abort();
}

static void add_change(struct batch *batch, const struct change *change)
{
    uint8_t value[VALUE_MAX];
    char key[16];
    char key_end[16];
    size_t size = key_text(change->key, key);

    add(batch, BATCH_USE, buckets[change->bucket], strlen(buckets[change->bucket]), NULL, 0);
    memset(value, change->fill, change->size);
    if (change->type == BATCH_PUT)
        add(batch, BATCH_PUT, key, size, value, change->size);
    else if (change->type == BATCH_DELETE)
        add(batch, BATCH_DELETE, key, size, NULL, 0);
    else
        add(batch, BATCH_DELETE_RANGE, key, size, key_end, key_text(change->key_end, key_end));
}

void version_batch(unsigned version, struct batch *batch)
{
    char text[16];
    size_t size = (size_t)snprintf(text, sizeof(text), "%u", version);
    const char *temporary = buckets[BUCKETS - 1];

    memset(batch, 0, sizeof(*batch));
    if (version == 1)
        add(batch, BATCH_BUCKET_CREATE, buckets[1], strlen(buckets[1]), NULL, 0);
    if (version % TEMPORARY_EACH == TEMPORARY_MADE)
        add(batch, BATCH_BUCKET_CREATE, temporary, strlen(temporary), NULL, 0);
    if (version % TEMPORARY_EACH == TEMPORARY_GONE)
        add(batch, BATCH_BUCKET_DROP, temporary, strlen(temporary), NULL, 0);
    for (unsigned i = 0; i < change_count(version); i++) {
        struct change change = change_at(version, i);
        add_change(batch, &change);
    }
    add(batch, BATCH_USE, buckets[0], strlen(buckets[0]), NULL, 0);
    add(batch, BATCH_PUT, "n", 1, text, size);
}

/* ---- as an array -------------------------------------------------------- */

struct entry {
    bool there;
    unsigned size;
    uint8_t fill;
};

struct model {
    bool there[BUCKETS];
    struct entry entries[BUCKETS][KEYS + 16];
};

static void play(struct model *model, unsigned version)
{
    model->there[1] = true;
    model->there[BUCKETS - 1] = has_temporary(version);
    if (version % TEMPORARY_EACH == TEMPORARY_GONE)
        memset(model->entries[BUCKETS - 1], 0, sizeof(model->entries[0]));
    for (unsigned i = 0; i < change_count(version); i++) {
        struct change change = change_at(version, i);
        struct entry *bucket = model->entries[change.bucket];
        unsigned end = change.type == BATCH_DELETE_RANGE ? change.key_end : change.key + 1;
        for (unsigned key = change.key; key < end; key++)
            bucket[key] = (struct entry){.there = change.type == BATCH_PUT,
                                         .size = change.size,
                                         .fill = change.fill};
    }
}

void version_digest_bucket(uint64_t *digest, const void *name, size_t name_size)
{
    *digest = disk_mix(*digest ^ disk_hash(name, name_size)) + 1;
}

void version_digest_entry(uint64_t *digest, const void *key, size_t key_size, const void *value,
                          size_t value_size)
{
    *digest = disk_mix(*digest ^ disk_hash(key, key_size) ^ value_size << 1) + 2;
    *digest = disk_mix(*digest ^ disk_hash(value, value_size)) + 3;
}

static uint64_t digest_of(const struct model *model, unsigned version)
{
    uint64_t digest = VERSION_DIGEST_START;
    uint8_t value[VALUE_MAX];
    char key[16];

    for (unsigned b = 0; b < BUCKETS; b++) {
        if (b > 0 && !model->there[b])
            continue;
        version_digest_bucket(&digest, buckets[b], strlen(buckets[b]));
        for (unsigned k = 0; k < KEYS; k++) {
            const struct entry *entry = &model->entries[b][k];
            size_t size = key_text(k, key);
            if (!entry->there)
                continue;
            memset(value, entry->fill, entry->size);
            version_digest_entry(&digest, key, size, value, entry->size);
        }
        if (b == 0 && version > 0) {
            int size = snprintf((char *)value, sizeof(value), "%u", version);
            version_digest_entry(&digest, "n", 1, value, (size_t)size);
        }
    }
    return digest;
}

void version_digests(uint64_t *digests, unsigned count)
{
    static struct model model;

    memset(&model, 0, sizeof(model));
    for (unsigned version = 0; version < count; version++) {
        if (version > 0)
            play(&model, version);
        digests[version] = digest_of(&model, version);
    }
}

unsigned version_parse(const void *value, size_t value_size)
{
    unsigned number = 0;

    for (size_t i = 0; i < value_size; i++)
        number = number * 10 + (unsigned)(((const char *)value)[i] - '0');
    return number;
}
