/* SPDX-License-Identifier: MIT */
/*
 * salvage_directory: which buckets there are.
 *
 * The directory's tree is walked like any other.  Where it is damaged, all of
 * its pages in the file are looked at.  Those that the space map calls in use
 * hold records of the state.  Of old ones only the names are taken: a
 * bucket's number never means another one, so an old name is a good label,
 * while an old root leads nowhere.
 *
 * Without any meta the root itself is looked for.  Every commit that changes
 * anything makes a new one, so the newest page of the directory, and of those
 * the highest, is the root of the newest state; unless what it leads to never
 * got to the disk: then an older one is tried.
 */
#include "read/salvage_private.h"

#include "base/err.h"

#include <stdlib.h>

#define SALVAGE_ROOTS_MAX 16u /* roots that are tried, the newest first */

/* ---- records -------------------------------------------------------------------------- */

static enum bts_status salvage_directory_decode(const struct leaf_entry *entry,
                                                struct bucket_record *record,
                                                struct bts_error *why)
{
    if (entry->key_size > BUCKET_NAME_MAX) {
        return err_set(why, BTS_DAMAGED, "a bucket name of %u bytes", entry->key_size);
    }
    if (entry->is_run) {
        return err_set(why, BTS_DAMAGED, "a bucket record in a run");
    }
    return bucket_record_decode(entry->value, (size_t)entry->value_size, record, why);
}

static enum bts_status salvage_directory_no_memory(struct bts_error *error)
{
    return err_set(error, BTS_NO_MEMORY, "no memory for the names of the buckets");
}

/* An entry of the directory as of the state. */
static enum bts_status salvage_directory_entry(void *context, const struct page_header *leaf,
                                               const struct leaf_entry *entry,
                                               struct bts_error *error)
{
    struct salvage *salvage = context;
    struct bts_bytes name = {entry->key, entry->key_size};
    struct bucket_record record;
    struct bts_error why;
    enum bts_status status = salvage_directory_decode(entry, &record, &why);

    if (status == BTS_OK && salvage_find_id(salvage, record.id) != NULL) {
        status = err_set(&why, BTS_DAMAGED, "has the number %u of another bucket", record.id);
    }
    if (status != BTS_OK) {
        salvage_add(salvage->report, "bucket ");
        salvage_add_quoted(salvage->report, name.data, name.size);
        salvage_add(salvage->report, ": its record in page %u: %s", leaf->pgno, why.text);
        salvage_say(salvage->report, BTS_SALVAGE_LOST);
        return salvage_ranges_add_value(&salvage->names, name, leaf->pgno, why.text);
    }
    return salvage_add_bucket(salvage, record.id, name, &record) != NULL
               ? BTS_OK
               : salvage_directory_no_memory(error);
}

static void salvage_directory_damage(void *context, pgno_t pgno, int level, struct bts_bytes low,
                                     struct bts_bytes high, const char *why)
{
    struct salvage *salvage = context;

    salvage_add(salvage->report, "page %u (%s of the bucket directory, ", pgno,
                level > 0 ? "inner page" : "leaf");
    salvage_add_range(salvage->report, "names", low, high);
    salvage_add(salvage->report, "): %s", why);
    salvage_say(salvage->report, level < 0 ? BTS_SALVAGE_LOST : BTS_SALVAGE_DAMAGE);
}

static enum bts_status salvage_directory_walk(struct salvage *salvage, struct bts_error *error)
{
    static const struct salvage_walk_calls calls = {salvage_directory_entry,
                                                    salvage_directory_damage};
    const struct salvage_tree tree = {BUCKET_ID_DIRECTORY, salvage->directory.root,
                                      salvage->directory.depth, salvage->txnid};

    return salvage_walk(&salvage->pages, &tree, &salvage->names, &calls, salvage, error);
}

/* ---- the root, without a meta ----------------------------------------------------------- */

/* A walk that only looks whether all is there. */
struct salvage_trial {
    const struct salvage *salvage;
    void *page;
    bool is_whole;
};

static enum bts_status salvage_trial_entry(void *context, const struct page_header *leaf,
                                           const struct leaf_entry *entry,
                                           struct bts_error *error)
{
    struct salvage_trial *trial = context;
    const struct page_header *root = trial->page;
    struct bucket_record record;

    (void)error;
    if (salvage_directory_decode(entry, &record, NULL) != BTS_OK ||
        (record.depth > 0 &&
         (salvage_pages_get(&trial->salvage->pages, record.root, trial->page, NULL) != BTS_OK ||
          root->bucket != record.id || root->level + 1u != record.depth ||
          root->txnid > leaf->txnid))) {
        trial->is_whole = false;
    }
    return BTS_OK;
}

static void salvage_trial_damage(void *context, pgno_t pgno, int level, struct bts_bytes low,
                                 struct bts_bytes high, const char *why)
{
    struct salvage_trial *trial = context;

    (void)pgno, (void)level, (void)low, (void)high, (void)why;
    trial->is_whole = false;
}

/* Whether a whole directory and the roots of its buckets hang from this page. */
static enum bts_status salvage_trial_run(struct salvage *salvage, const struct salvage_page *root,
                                         bool *is_whole, struct bts_error *error)
{
    static const struct salvage_walk_calls calls = {salvage_trial_entry, salvage_trial_damage};
    const struct salvage_tree tree = {BUCKET_ID_DIRECTORY, root->pgno, root->level + 1u,
                                      root->txnid};
    struct salvage_trial trial = {salvage, malloc(salvage->pages.page_size), true};
    struct salvage_ranges ranges = {.range = NULL};
    uint8_t *reached = salvage->pages.reached;
    enum bts_status status = BTS_NO_MEMORY;

    salvage->pages.reached = calloc((size_t)salvage->pages.page_count / 8 + 1, 1);
    if (salvage->pages.reached != NULL && trial.page != NULL) {
        status = salvage_walk(&salvage->pages, &tree, &ranges, &calls, &trial, error);
    }
    free(salvage->pages.reached);
    salvage->pages.reached = reached;
    free(trial.page);
    salvage_ranges_fini(&ranges);
    *is_whole = trial.is_whole;
    return status == BTS_OK ? BTS_OK : salvage_directory_no_memory(error);
}

static bool salvage_directory_wants(const void *context, uint32_t bucket)
{
    (void)context;
    return bucket == BUCKET_ID_DIRECTORY;
}

static bool salvage_directory_wants_all(const void *context, uint32_t bucket)
{
    (void)context;
    (void)bucket;
    return true;
}

/* The newest commit that left a page. */
static enum bts_status salvage_directory_newest(struct salvage *salvage, struct bts_error *error)
{
    const struct salvage_scan_options options = {.born_max = UINT64_MAX,
                                                 .takes_free = true,
                                                 .wants = salvage_directory_wants_all};
    struct salvage_scan scan;
    enum bts_status status =
        salvage_scan_run(&scan, &salvage->pages, &salvage->map, &options, error);

    for (size_t i = 0; i < scan.count; i++) {
        if (scan.page[i].txnid > salvage->txnid) {
            salvage->txnid = scan.page[i].txnid;
        }
    }
    salvage_scan_fini(&scan);
    return status;
}

static enum bts_status salvage_directory_find_root(struct salvage *salvage,
                                                   struct bts_error *error)
{
    const struct salvage_scan_options options = {.born_max = UINT64_MAX,
                                                 .takes_free = true,
                                                 .wants = salvage_directory_wants};
    struct salvage_scan scan;
    enum bts_status status =
        salvage_scan_run(&scan, &salvage->pages, &salvage->map, &options, error);
    size_t chosen = 0;
    bool is_whole = false;

    for (size_t i = 0; i < scan.count && i < SALVAGE_ROOTS_MAX && status == BTS_OK && !is_whole;
         i++) {
        status = salvage_trial_run(salvage, &scan.page[i], &is_whole, error);
        chosen = is_whole ? i : 0;
    }
    if (status == BTS_OK && scan.count > 0) {
        const struct salvage_page *root = &scan.page[chosen];
        salvage->directory.root = root->pgno;
        salvage->directory.depth = root->level + 1u;
        salvage->txnid = root->txnid;
        salvage_add(salvage->report,
                    "no valid meta page: using page %u as the root of the bucket directory, of "
                    "commit %llu%s",
                    root->pgno, (unsigned long long)root->txnid,
                    is_whole ? "" : ", though it does not lead to a whole one");
        salvage_say(salvage->report, BTS_SALVAGE_NOTE);
    }
    salvage_scan_fini(&scan);
    if (status == BTS_OK && salvage->directory.depth == 0) {
        const struct bts_bytes open = {NULL, 0};
        salvage_directory_damage(salvage, 0, 0, open, open, "no page of it can be found");
        status = salvage_ranges_add(&salvage->names, open, open, 0, "no page of it can be found");
        status = status == BTS_OK ? salvage_directory_newest(salvage, error)
                                  : salvage_directory_no_memory(error);
    }
    return status;
}

/* ---- pages that the directory does not lead to ------------------------------------------- */

static enum bts_status salvage_directory_label(struct salvage *salvage, uint32_t id, pgno_t pgno,
                                               struct bts_bytes name, struct bts_error *error)
{
    for (size_t i = 0; i < salvage->label_count; i++) {
        if (salvage->label[i].id == id) {
            return BTS_OK; /* a newer page has named it */
        }
    }
    if (salvage->label_count == salvage->label_room) {
        size_t room = salvage->label_room * 2 + 16;
        struct salvage_label *grown = realloc(salvage->label, room * sizeof(*grown));
        if (grown == NULL) {
            return salvage_directory_no_memory(error);
        }
        salvage->label = grown;
        salvage->label_room = room;
    }
    name = salvage_copy_bytes(name);
    if (name.data == NULL) {
        return salvage_directory_no_memory(error);
    }
    salvage->label[salvage->label_count++] = (struct salvage_label){id, pgno, name};
    return BTS_OK;
}

/* The records of one leaf that lie behind damage: whole ones if it is live, else names. */
static enum bts_status salvage_directory_take(struct salvage *salvage,
                                              const struct salvage_page *found, const void *page,
                                              struct bts_error *error)
{
    enum bts_status status = BTS_OK;

    if (found->is_live) {
        salvage_pages_reach(&salvage->pages, found->pgno, 1);
    }
    for (unsigned i = 0; i < leaf_count(page) && status == BTS_OK; i++) {
        struct leaf_entry entry = leaf_entry_at(page, i);
        struct salvage_range *range =
            salvage_ranges_find(&salvage->names, entry.key, entry.key_size);
        struct bts_bytes name = {entry.key, entry.key_size};
        struct bucket_record record;

        if (range == NULL || salvage_directory_decode(&entry, &record, NULL) != BTS_OK ||
            salvage_find_id(salvage, record.id) != NULL) {
            continue;
        }
        if (!found->is_live || range->is_value) {
            status = salvage_directory_label(salvage, record.id, found->pgno, name, error);
        } else if (salvage_add_bucket(salvage, record.id, name, &record) != NULL) {
            range->found++;
        } else {
            status = salvage_directory_no_memory(error);
        }
    }
    return status;
}

static enum bts_status salvage_directory_scan(struct salvage *salvage, struct bts_error *error)
{
    const struct salvage_scan_options options = {.born_max = salvage->txnid,
                                                 .takes_free = true,
                                                 .wants = salvage_directory_wants};
    void *page = malloc(salvage->pages.page_size);
    struct salvage_scan scan;
    enum bts_status status =
        salvage_scan_run(&scan, &salvage->pages, &salvage->map, &options, error);

    if (status == BTS_OK && page == NULL) {
        status = salvage_directory_no_memory(error);
    }
    for (size_t i = 0; i < scan.count && status == BTS_OK; i++) {
        if (scan.page[i].level == 0 &&
            salvage_pages_get(&salvage->pages, scan.page[i].pgno, page, NULL) == BTS_OK) {
            status = salvage_directory_take(salvage, &scan.page[i], page, error);
        }
    }
    salvage_scan_fini(&scan);
    free(page);
    return status;
}

enum bts_status salvage_directory_read(struct salvage *salvage, struct bts_error *error)
{
    enum bts_status status = BTS_OK;

    if (!salvage->found.is_found) {
        status = salvage_directory_find_root(salvage, error);
    }
    if (status == BTS_OK) {
        status = salvage_directory_walk(salvage, error);
    }
    if (status == BTS_OK && salvage->names.count > 0) {
        status = salvage_directory_scan(salvage, error);
    }
    return status;
}
