/* SPDX-License-Identifier: MIT */
/*
 * salvage: see salvage.h.
 *
 * Buckets are named by their place in the array, which grows.
 */
#include "read/salvage_private.h"

#include "base/err.h"
#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- buckets ------------------------------------------------------------------------ */

/* The first place whose bucket's number is `id` or more. */
static size_t salvage_place_lower(const struct salvage *salvage, uint32_t id)
{
    size_t low = 0;
    size_t high = salvage->bucket_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (salvage->place[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct salvage_bucket *salvage_find_id(const struct salvage *salvage, uint32_t id)
{
    size_t low = salvage_place_lower(salvage, id);

    return low < salvage->bucket_count && salvage->place[low].id == id
               ? &salvage->bucket[salvage->place[low].at]
               : NULL;
}

struct salvage_bucket *salvage_find_name(const struct salvage *salvage, const void *name,
                                         size_t name_size)
{
    for (size_t i = 0; i < salvage->bucket_count; i++) {
        const struct bts_bytes *other = &salvage->bucket[i].name;
        if (bytes_compare(other->data, other->size, name, name_size) == 0) {
            return &salvage->bucket[i];
        }
    }
    return NULL;
}

static bool salvage_reserve_bucket(struct salvage *salvage)
{
    size_t room = salvage->bucket_room * 2 + 16;
    struct salvage_bucket *bucket;
    struct salvage_place *place;

    if (salvage->bucket_count < salvage->bucket_room) {
        return true;
    }
    bucket = realloc(salvage->bucket, room * sizeof(*bucket));
    salvage->bucket = bucket != NULL ? bucket : salvage->bucket;
    place = realloc(salvage->place, room * sizeof(*place));
    salvage->place = place != NULL ? place : salvage->place;
    if (bucket == NULL || place == NULL) {
        return false;
    }
    salvage->bucket_room = room;
    return true;
}

struct salvage_bucket *salvage_add_bucket(struct salvage *salvage, uint32_t id,
                                          struct bts_bytes name,
                                          const struct bucket_record *record)
{
    size_t at = salvage_place_lower(salvage, id);
    struct bts_bytes copy = salvage_copy_bytes(name);
    struct salvage_bucket *bucket;

    if (copy.data == NULL || !salvage_reserve_bucket(salvage)) {
        free((void *)(uintptr_t)copy.data);
        return NULL;
    }
    memmove(&salvage->place[at + 1], &salvage->place[at],
            (salvage->bucket_count - at) * sizeof(*salvage->place));
    salvage->place[at] = (struct salvage_place){id, salvage->bucket_count};
    bucket = &salvage->bucket[salvage->bucket_count++];
    *bucket = (struct salvage_bucket){.id = id, .name = copy, .has_record = record != NULL};
    if (record != NULL) {
        bucket->record = *record;
    }
    return bucket;
}

/* It stays in the array, by no name and no number. */
void salvage_forget_bucket(struct salvage *salvage, struct salvage_bucket *bucket)
{
    size_t at = salvage_place_lower(salvage, bucket->id);

    for (size_t i = at; i < salvage->bucket_count && salvage->place[i].id == bucket->id; i++) {
        if (&salvage->bucket[salvage->place[i].at] == bucket) {
            size_t last = salvage->bucket_count - 1;
            struct salvage_place place = {UINT32_MAX, salvage->place[i].at};
            memmove(&salvage->place[i], &salvage->place[i + 1], (last - i) * sizeof(place));
            salvage->place[last] = place;
            break;
        }
    }
    bucket->id = UINT32_MAX;
    bucket->name.size = 0;
    salvage_ranges_fini(&bucket->ranges);
}

bool salvage_rename_bucket(struct salvage_bucket *bucket, struct bts_bytes name)
{
    struct bts_bytes copy = salvage_copy_bytes(name);

    if (copy.data == NULL) {
        return false;
    }
    free((void *)(uintptr_t)bucket->name.data);
    bucket->name = copy;
    return true;
}

void salvage_add_bucket_name(struct salvage *salvage, const struct salvage_bucket *bucket)
{
    salvage_add(salvage->report, "bucket ");
    salvage_add_quoted(salvage->report, bucket->name.data, bucket->name.size);
    salvage_add(salvage->report, ": ");
}

/* ---- begin and end ------------------------------------------------------------------- */

static void salvage_say_metas(struct salvage *salvage)
{
    for (unsigned i = 0; i < 2; i++) {
        if (salvage->found.fault[i].status != BTS_OK) {
            salvage_add(salvage->report, "page %u (meta): %s", i, salvage->found.fault[i].text);
            salvage_say(salvage->report, BTS_SALVAGE_DAMAGE);
        }
    }
}

enum bts_status salvage_init(struct salvage *salvage, int fd, bool takes_old,
                             struct salvage_report *report, struct bts_error *error)
{
    const struct meta *meta = &salvage->found.meta;
    enum bts_status status;

    *salvage = (struct salvage){.report = report, .takes_old = takes_old, .pages = {.fd = -1}};
    status = salvage_meta_find(fd, &salvage->found, error);
    if (status != BTS_OK) {
        return status;
    }
    salvage_say_metas(salvage);
    salvage->txnid = salvage->found.is_found ? meta->txnid : 0;
    salvage->directory.root = meta->root;
    salvage->directory.depth = meta->depth;
    status = salvage_pages_init(&salvage->pages, fd, meta->page_size, meta->page_count, error);
    if (status == BTS_OK) {
        status = salvage_map_init(&salvage->map, &salvage->pages, salvage->txnid,
                                  salvage->found.is_alike, error);
    }
    return status;
}

void salvage_fini(struct salvage *salvage)
{
    for (size_t i = 0; i < salvage->bucket_count; i++) {
        free((void *)(uintptr_t)salvage->bucket[i].name.data);
        salvage_ranges_fini(&salvage->bucket[i].ranges);
    }
    for (size_t i = 0; i < salvage->label_count; i++) {
        free((void *)(uintptr_t)salvage->label[i].name.data);
    }
    free(salvage->bucket);
    free(salvage->place);
    free(salvage->label);
    salvage_ranges_fini(&salvage->names);
    salvage_map_fini(&salvage->map);
    salvage_pages_fini(&salvage->pages);
}

/* ---- entries -------------------------------------------------------------------------- */

/* Reads a value that lies in a run, which no other key may share. */
static enum bts_status salvage_read_run(struct salvage *salvage, uint32_t bucket,
                                        const struct page_header *leaf,
                                        const struct leaf_entry *entry, struct bts_bytes *value,
                                        struct bts_error *why)
{
    uint64_t count = page_run_pages(entry->value_size, salvage->pages.page_size);
    enum bts_status status = salvage_pages_run(&salvage->pages, entry->run_pgno,
                                               entry->value_size, bucket, leaf->txnid, value, why);

    if (status == BTS_OK && !salvage_pages_reach(&salvage->pages, entry->run_pgno, count)) {
        status = err_set(why, BTS_DAMAGED, "reached twice");
    }
    return status;
}

static void salvage_say_value(struct salvage *salvage, const struct salvage_bucket *bucket,
                              const struct leaf_entry *entry, const char *why)
{
    salvage_add_bucket_name(salvage, bucket);
    salvage_add(salvage->report, "value of key ");
    salvage_add_quoted(salvage->report, entry->key, entry->key_size);
    salvage_add(salvage->report, " (%" PRIu64 " bytes): page %u: %s", entry->value_size,
                entry->run_pgno, why);
    salvage_say(salvage->report, BTS_SALVAGE_LOST);
}

enum bts_status salvage_take(struct salvage *salvage, size_t at, const struct page_header *leaf,
                             const struct leaf_entry *entry, bool *is_taken,
                             struct bts_error *why, struct bts_error *error)
{
    struct salvage_bucket *bucket = &salvage->bucket[at];
    struct bts_bytes value = {entry->value, (size_t)entry->value_size};
    enum bts_status status = BTS_OK;

    *is_taken = false;
    if (entry->is_run) {
        status = salvage_read_run(salvage, bucket->id, leaf, entry, &value, why);
    }
    if (status == BTS_NO_MEMORY) {
        return err_set(error, status, "%s", why->text);
    }
    if (status != BTS_OK) {
        bucket->values_lost++;
        salvage_say_value(salvage, bucket, entry, why->text);
        return BTS_OK;
    }
    *is_taken = true;
    bucket->written++;
    return salvage->sink->entry(salvage->sink->context,
                                (struct bts_bytes){entry->key, entry->key_size}, value, error);
}

/* ---- trees ---------------------------------------------------------------------------- */

/* The walk of one bucket. */
struct salvage_bucket_walk {
    struct salvage *salvage;
    size_t at;
};

static enum bts_status salvage_walk_entry(void *context, const struct page_header *leaf,
                                          const struct leaf_entry *entry, struct bts_error *error)
{
    struct salvage_bucket_walk *walk = context;
    struct bts_error why;
    bool is_taken;
    enum bts_status status =
        salvage_take(walk->salvage, walk->at, leaf, entry, &is_taken, &why, error);

    if (status == BTS_OK && !is_taken) {
        status = salvage_ranges_add_value(&walk->salvage->bucket[walk->at].ranges,
                                          (struct bts_bytes){entry->key, entry->key_size},
                                          entry->run_pgno, why.text);
    }
    return status;
}

static void salvage_walk_damage(void *context, pgno_t pgno, int level, struct bts_bytes low,
                                struct bts_bytes high, const char *why)
{
    struct salvage_bucket_walk *walk = context;
    struct salvage *salvage = walk->salvage;
    const struct salvage_bucket *bucket = &salvage->bucket[walk->at];

    if (level < 0) {
        salvage_add_bucket_name(salvage, bucket);
        salvage_add(salvage->report, "page %u: %s", pgno, why);
        salvage_say(salvage->report, BTS_SALVAGE_LOST);
        return;
    }
    salvage_add(salvage->report, "page %u (%s of bucket ", pgno,
                level == 0 ? "leaf" : "inner page");
    salvage_add_quoted(salvage->report, bucket->name.data, bucket->name.size);
    salvage_add(salvage->report, ", ");
    salvage_add_range(salvage->report, "keys", low, high);
    salvage_add(salvage->report, "): %s", why);
    salvage_say(salvage->report, BTS_SALVAGE_DAMAGE);
}

enum bts_status salvage_walk_bucket(struct salvage *salvage, uint32_t id, pgno_t root,
                                    uint32_t depth, struct bts_error *error)
{
    static const struct salvage_walk_calls calls = {salvage_walk_entry, salvage_walk_damage};
    struct salvage_bucket *bucket = salvage_find_id(salvage, id);
    struct salvage_bucket_walk walk = {salvage, (size_t)(bucket - salvage->bucket)};
    const struct salvage_tree tree = {id, root, depth, salvage->txnid};
    enum bts_status status =
        salvage->sink->bucket(salvage->sink->context, bucket, error);

    return status == BTS_OK
               ? salvage_walk(&salvage->pages, &tree, &bucket->ranges, &calls, &walk, error)
               : status;
}

enum bts_status salvage_run(struct salvage *salvage, const struct salvage_sink *sink,
                            struct bts_error *error)
{
    enum bts_status status;

    salvage->sink = sink;
    status = salvage_directory_read(salvage, error);
    for (size_t i = 0; i < salvage->bucket_count && status == BTS_OK; i++) {
        const struct salvage_bucket *bucket = &salvage->bucket[i];
        status = salvage_walk_bucket(salvage, bucket->id, bucket->record.root,
                                     bucket->record.depth, error);
    }
    return status == BTS_OK ? salvage_orphans_run(salvage, error) : status;
}

/* ---- the verdict ----------------------------------------------------------------------- */

/* Whether all that its record promised is there, and is that of the state. */
static bool salvage_bucket_is_whole(const struct salvage_bucket *bucket)
{
    return bucket->has_record && bucket->written == bucket->record.entry_count &&
           bucket->found_old == 0 && bucket->values_lost == 0;
}

/* One range: lost, or found elsewhere. */
static void salvage_tell_range(struct salvage *salvage, const struct salvage_range *range,
                               const char *what, bool is_whole)
{
    salvage_add_range(salvage->report, what, range->low, range->high);
    salvage_add(salvage->report, ": page %u: %s", range->pgno,
                range->why != NULL ? range->why : "damaged");
    if (range->more > 0) {
        salvage_add(salvage->report, "; and %u more pages", range->more);
    }
    if (range->found > 0) {
        salvage_add(salvage->report, "; %" PRIu64 " found in pages that no tree leads to",
                    range->found);
    }
    if (is_whole) {
        salvage_add(salvage->report, "; that is all of them");
    }
    salvage_say(salvage->report, is_whole ? BTS_SALVAGE_NOTE : BTS_SALVAGE_LOST);
}

static void salvage_tell_bucket(struct salvage *salvage, const struct salvage_bucket *bucket)
{
    bool is_whole = salvage_bucket_is_whole(bucket);

    for (size_t i = 0; i < bucket->ranges.count; i++) {
        if (!bucket->ranges.range[i].is_value) {
            salvage_add_bucket_name(salvage, bucket);
            salvage_tell_range(salvage, &bucket->ranges.range[i], "keys", is_whole);
        }
    }
    if (bucket->has_record && !salvage_ranges_have_keys(&bucket->ranges) &&
        bucket->written + bucket->values_lost != bucket->record.entry_count) {
        salvage_add_bucket_name(salvage, bucket);
        salvage_add(salvage->report, "its record counts %" PRIu64 " entries, its tree has %" PRIu64,
                    bucket->record.entry_count, bucket->written + bucket->values_lost);
        salvage_say(salvage->report, BTS_SALVAGE_LOST);
    }
    salvage_add_bucket_name(salvage, bucket);
    salvage_add(salvage->report, "%" PRIu64 " entries", bucket->written);
    if (bucket->has_record) {
        salvage_add(salvage->report, " of %" PRIu64, bucket->record.entry_count);
    }
    if (bucket->found_live + bucket->found_old > 0) {
        salvage_add(salvage->report, ", %" PRIu64 " of them in pages that no tree leads to",
                    bucket->found_live + bucket->found_old);
    }
    if (bucket->found_old > 0) {
        salvage_add(salvage->report, " (%" PRIu64 " may be old versions)", bucket->found_old);
    }
    salvage_say(salvage->report, BTS_SALVAGE_BUCKET);
}

/* Buckets that once were, of which nothing is left: dropped since, or lost whole. */
static void salvage_tell_labels(struct salvage *salvage)
{
    for (size_t i = 0; i < salvage->label_count; i++) {
        const struct salvage_label *label = &salvage->label[i];
        if (salvage_find_id(salvage, label->id) == NULL) {
            salvage_add(salvage->report, "bucket ");
            salvage_add_quoted(salvage->report, label->name.data, label->name.size);
            salvage_add(salvage->report,
                        ": all keys: no page of it can be found; it is named by page %u, an old "
                        "page of the bucket directory: empty, dropped since, or lost",
                        label->pgno);
            salvage_say(salvage->report, BTS_SALVAGE_LOST);
        }
    }
}

void salvage_tell(struct salvage *salvage)
{
    uint64_t known = 0;

    for (size_t i = 0; i < salvage->bucket_count; i++) {
        known += salvage->bucket[i].has_record;
    }
    for (size_t i = 0; i < salvage->names.count; i++) {
        if (!salvage->names.range[i].is_value) {
            salvage_add(salvage->report, "bucket directory: ");
            salvage_tell_range(
                salvage, &salvage->names.range[i], "names",
                salvage->found.is_found && known == salvage->found.meta.bucket_count);
        }
    }
    for (size_t i = 0; i < salvage->bucket_count; i++) {
        salvage_tell_bucket(salvage, &salvage->bucket[i]);
    }
    salvage_tell_labels(salvage);
}
