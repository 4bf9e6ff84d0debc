/* SPDX-License-Identifier: MIT */
/*
 * salvage_orphans: what lies in leaves that no tree leads to.
 *
 * salvage.h says what is believed of them.  A bucket whose record is lost has
 * all its pages here.  If the space map vouches for them, their entries are
 * all there is to know.  If not, a root is looked for among them as for the
 * directory's (every change of a bucket makes it a new root), and its tree is
 * walked; unless a page of a higher level is there: then the newest page is
 * perhaps no root, and the leaves must do.
 */
#include "read/salvage_private.h"

#include "base/err.h"
#include "read/salvage_cover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct salvage_orphans {
    struct salvage *salvage;
    const struct salvage_scan *scan;
    size_t at;                  /* the bucket at work */
    bool uses_cover;            /* some of its leaves may be old */
    struct salvage_cover cover;
    void *page;
};

/* ---- one leaf --------------------------------------------------------------------------- */

/* Entries of one leaf that were taken. */
struct salvage_taken {
    uint64_t count;
    struct leaf_entry first;
    struct leaf_entry last;
};

static void salvage_orphans_say_live(struct salvage_orphans *orphans,
                                     const struct salvage_page *found,
                                     const struct salvage_taken *taken)
{
    struct salvage_report *report = orphans->salvage->report;

    salvage_add_bucket_name(orphans->salvage, &orphans->salvage->bucket[orphans->at]);
    salvage_add(report, "%" PRIu64 " entries from ", taken->count);
    salvage_add_quoted(report, taken->first.key, taken->first.key_size);
    salvage_add(report, " to ");
    salvage_add_quoted(report, taken->last.key, taken->last.key_size);
    salvage_add(report, ": page %u, which no tree leads to, but the space map says is in use",
                found->pgno);
    salvage_say(report, BTS_SALVAGE_FOUND);
}

static void salvage_orphans_say_old(struct salvage_orphans *orphans,
                                    const struct salvage_page *found,
                                    const struct leaf_entry *entry)
{
    struct salvage_report *report = orphans->salvage->report;

    salvage_add_bucket_name(orphans->salvage, &orphans->salvage->bucket[orphans->at]);
    salvage_add(report, "key ");
    salvage_add_quoted(report, entry->key, entry->key_size);
    salvage_add(report, ": page %u of commit %llu, which no tree leads to: may be old or deleted",
                found->pgno, (unsigned long long)found->txnid);
    salvage_say(report, BTS_SALVAGE_FOUND);
}

static enum bts_status salvage_orphans_entry(struct salvage_orphans *orphans,
                                             const struct salvage_page *found,
                                             const struct leaf_entry *entry,
                                             struct salvage_taken *taken,
                                             struct bts_error *error)
{
    struct salvage_bucket *bucket = &orphans->salvage->bucket[orphans->at];
    struct salvage_range *range =
        salvage_ranges_find(&bucket->ranges, entry->key, entry->key_size);
    struct bts_error why;
    enum bts_status status;
    bool is_taken;

    if (range == NULL || range->is_value ||
        (orphans->uses_cover &&
         salvage_cover_has(&orphans->cover, entry->key, entry->key_size))) {
        return BTS_OK;
    }
    status = salvage_take(orphans->salvage, orphans->at, orphans->page, entry, &is_taken, &why,
                          error);
    if (status != BTS_OK || !is_taken) {
        return status;
    }
    range->found++;
    taken->first = taken->count == 0 ? *entry : taken->first;
    taken->last = *entry;
    taken->count++;
    if (!found->is_live) {
        salvage_orphans_say_old(orphans, found, entry);
    }
    return BTS_OK;
}

/* What the leaf holds of what is lost; then it has spoken for all between its ends. */
static enum bts_status salvage_orphans_leaf(struct salvage_orphans *orphans,
                                            const struct salvage_page *found,
                                            struct bts_error *error)
{
    struct salvage *salvage = orphans->salvage;
    struct salvage_bucket *bucket = &salvage->bucket[orphans->at];
    struct salvage_taken taken = {.count = 0};
    unsigned n;
    enum bts_status status = BTS_OK;

    if (salvage_pages_is_reached(&salvage->pages, found->pgno) ||
        salvage_pages_get(&salvage->pages, found->pgno, orphans->page, NULL) != BTS_OK ||
        leaf_check_deep(orphans->page, salvage->pages.page_size, NULL) != BTS_OK) {
        return BTS_OK;
    }
    n = leaf_count(orphans->page);
    for (unsigned i = 0; i < n && status == BTS_OK; i++) {
        struct leaf_entry entry = leaf_entry_at(orphans->page, i);
        status = salvage_orphans_entry(orphans, found, &entry, &taken, error);
    }
    if (taken.count > 0 && found->is_live) {
        salvage_orphans_say_live(orphans, found, &taken);
    }
    *(found->is_live ? &bucket->found_live : &bucket->found_old) += taken.count;
    if (status == BTS_OK && orphans->uses_cover && n > 0) {
        struct leaf_entry first = leaf_entry_at(orphans->page, 0);
        struct leaf_entry last = leaf_entry_at(orphans->page, n - 1);
        status = salvage_cover_add(&orphans->cover, (struct bts_bytes){first.key, first.key_size},
                                   (struct bts_bytes){last.key, last.key_size});
        status = status == BTS_OK ? BTS_OK
                                  : err_set(error, status, "no memory for the keys of old pages");
    }
    return status;
}

/* ---- one bucket ------------------------------------------------------------------------- */

static enum bts_status salvage_orphans_leaves(struct salvage_orphans *orphans,
                                              struct bts_error *error)
{
    struct salvage *salvage = orphans->salvage;
    struct salvage_bucket *bucket = &salvage->bucket[orphans->at];
    size_t first;
    size_t count = salvage_scan_bucket(orphans->scan, bucket->id, &first);
    const struct salvage_page *found;
    enum bts_status status;

    if (count == 0 || !salvage_ranges_have_keys(&bucket->ranges)) {
        return BTS_OK;
    }
    found = orphans->scan->page + first;
    status = salvage->sink->bucket(salvage->sink->context, bucket, error);
    orphans->uses_cover = !found[count - 1].is_live; /* those are the last */
    for (size_t i = 0; i < count && status == BTS_OK; i++) {
        if (found[i].level == 0) {
            status = salvage_orphans_leaf(orphans, &found[i], error);
        }
    }
    salvage_cover_fini(&orphans->cover);
    return status;
}

/* ---- buckets whose record is lost --------------------------------------------------------- */

/* The name for a bucket without one: what an old page called it, or its number. */
static enum bts_status salvage_orphans_name(struct salvage *salvage, uint32_t id,
                                            struct bts_error *error)
{
    const struct salvage_label *label = NULL;
    char text[64] = BTS_DEFAULT_BUCKET;
    struct bts_bytes name = {text, sizeof(BTS_DEFAULT_BUCKET) - 1};

    for (size_t i = 0; i < salvage->label_count && label == NULL; i++) {
        label = salvage->label[i].id == id ? &salvage->label[i] : NULL;
    }
    if (label != NULL && salvage_find_name(salvage, label->name.data, label->name.size) == NULL) {
        name = label->name;
    } else if (id != BUCKET_DEFAULT_ID) {
        label = NULL;
        name.size = (size_t)snprintf(text, sizeof(text), "lost-%u", id);
        for (unsigned i = 2; salvage_find_name(salvage, text, name.size) != NULL; i++) {
            name.size = (size_t)snprintf(text, sizeof(text), "lost-%u-%u", id, i);
        }
    }
    if (salvage_add_bucket(salvage, id, name, NULL) == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for the names of the buckets");
    }
    salvage_add(salvage->report, "bucket %u: its name and record are lost; called ", id);
    salvage_add_quoted(salvage->report, name.data, name.size);
    if (label != NULL) {
        salvage_add(salvage->report, " as in page %u, an old page of the bucket directory",
                    label->pgno);
    }
    salvage_say(salvage->report, BTS_SALVAGE_LOST);
    return BTS_OK;
}

/* The page that is the root if any is; NULL: the leaves must do. */
static const struct salvage_page *salvage_orphans_root(const struct salvage_page *found,
                                                       size_t count)
{
    const struct salvage_page *root = &found[0];
    bool all_live = true;

    for (size_t i = 0; i < count; i++) {
        all_live = all_live && found[i].is_live;
        if (found[i].txnid > root->txnid ||
            (found[i].txnid == root->txnid && found[i].level > root->level)) {
            root = &found[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (all_live || found[i].level > root->level) {
            return NULL;
        }
    }
    return root;
}

static enum bts_status salvage_orphans_lost_bucket(struct salvage *salvage,
                                                   const struct salvage_page *found, size_t count,
                                                   struct bts_error *error)
{
    const struct salvage_page *root = salvage_orphans_root(found, count);
    const struct bts_bytes open = {NULL, 0};
    enum bts_status status = salvage_orphans_name(salvage, found->bucket, error);

    if (status == BTS_OK && root != NULL) {
        return salvage_walk_bucket(salvage, root->bucket, root->pgno, root->level + 1u, error);
    }
    if (status == BTS_OK &&
        salvage_ranges_add(&salvage_find_id(salvage, found->bucket)->ranges, open, open,
                           salvage->directory.root,
                           "its record was in the bucket directory") != BTS_OK) {
        status = err_set(error, BTS_NO_MEMORY, "no memory to remember what is lost");
    }
    return status;
}

static enum bts_status salvage_orphans_lost_buckets(struct salvage *salvage,
                                                    const struct salvage_scan *scan,
                                                    struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    size_t count;

    for (size_t i = 0; i < scan->count && status == BTS_OK; i += count) {
        size_t first;
        count = salvage_scan_bucket(scan, scan->page[i].bucket, &first);
        if (salvage_find_id(salvage, scan->page[i].bucket) == NULL) {
            status = salvage_orphans_lost_bucket(salvage, scan->page + i, count, error);
        }
    }
    return status;
}

/* ---- all ---------------------------------------------------------------------------------- */

/* Whether pages of a bucket are of interest: something of it is lost. */
static bool salvage_orphans_wants(const void *context, uint32_t id)
{
    const struct salvage *salvage = context;
    const struct salvage_bucket *bucket = salvage_find_id(salvage, id);

    if (bucket != NULL) {
        return salvage_ranges_have_keys(&bucket->ranges);
    }
    return salvage->names.count > 0 && id < BUCKET_ID_NONE;
}

static bool salvage_orphans_are_needed(const struct salvage *salvage)
{
    bool needed = salvage->names.count > 0;

    for (size_t i = 0; i < salvage->bucket_count; i++) {
        needed = needed || salvage_ranges_have_keys(&salvage->bucket[i].ranges);
    }
    return needed;
}

static void salvage_orphans_say_map(struct salvage *salvage, const struct salvage_scan *scan)
{
    if (scan->passed_over > 0) {
        salvage_add(salvage->report,
                    "%" PRIu64 " old leaves in pages that the space map calls free were passed "
                    "over",
                    scan->passed_over);
        salvage_say(salvage->report, BTS_SALVAGE_NOTE);
    }
    if (salvage->map.unusable_count > 0) {
        salvage_add(salvage->report,
                    "%u of %u pages of the space map cannot be believed: what is found without "
                    "a tree may be old",
                    salvage->map.unusable_count, salvage->map.group_count);
        salvage_say(salvage->report, BTS_SALVAGE_NOTE);
    }
}

enum bts_status salvage_orphans_run(struct salvage *salvage, struct bts_error *error)
{
    const struct salvage_scan_options options = {.born_max = salvage->txnid,
                                                 .takes_free = salvage->takes_old,
                                                 .wants = salvage_orphans_wants,
                                                 .context = salvage};
    struct salvage_scan scan;
    struct salvage_orphans orphans = {.salvage = salvage, .scan = &scan};
    enum bts_status status;

    if (!salvage_orphans_are_needed(salvage)) {
        return BTS_OK;
    }
    status = salvage_scan_run(&scan, &salvage->pages, &salvage->map, &options, error);
    orphans.page = malloc(salvage->pages.page_size);
    if (status == BTS_OK && orphans.page == NULL) {
        status = err_set(error, BTS_NO_MEMORY, "no memory for a page");
    }
    if (status == BTS_OK) {
        salvage_orphans_say_map(salvage, &scan);
        status = salvage_orphans_lost_buckets(salvage, &scan, error);
    }
    for (orphans.at = 0; orphans.at < salvage->bucket_count && status == BTS_OK; orphans.at++) {
        status = salvage_orphans_leaves(&orphans, error);
    }
    free(orphans.page);
    salvage_scan_fini(&scan);
    return status;
}
