/* SPDX-License-Identifier: MIT */
/*
 * tree_check: walk every tree of a state and hold each page against what led
 * to it.
 *
 * One walk per tree; the walk of the directory begins one for each bucket as
 * it comes to its record.  A walk descends by recursion, one call a level, and
 * levels only go down: page_source_check sees to that, so TREE_DEPTH_MAX bounds
 * the stack, and the bits of reached pages bound the time.
 */
#include "read/tree_check.h"

#include "base/bytes.h"
#include "base/err.h"
#include "format/bucket_record.h"
#include "format/inner.h"
#include "format/space_map.h"
#include "read/page_copy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys of a subtree: low <= key < high; data NULL: open. */
struct check_bounds {
    struct bts_bytes low;
    struct bts_bytes high;
};

/* The numbers of the buckets seen, to find one used twice. */
struct check_ids {
    uint32_t *id;
    size_t count;
    size_t room;
};

/* The walk of one tree. */
struct check_walk {
    struct tree_check *check;
    struct bts_bytes name;         /* of the bucket; data NULL: the directory */
    struct bucket_record expected;
    struct bucket_record counted;
    bool is_cut_off;               /* something was not reached: the counts tell nothing */
    uint8_t *pages;                /* a copy for each level; NULL: pages lie in the map */
    uint8_t *separators;           /* two a level, page_key_max bytes each */
    struct check_walk *bucket;     /* directory only: the walk to use for buckets */
    struct check_ids ids;          /* directory only */
    enum bts_status status;        /* BTS_NO_MEMORY ends the walk */
};

/* ---- findings ---------------------------------------------------------------- */

void tree_check_find(struct tree_check *check, const char *format, ...)
{
    char text[BTS_ERROR_TEXT_MAX];
    struct bts_error finding;
    va_list arguments;

    if (++check->finding_count > TREE_CHECK_REPORTS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    err_set(&finding, BTS_DAMAGED, "%s", text);
    if (check->finding_count == 1)
        check->first = finding;
    if (check->report != NULL)
        check->report(check->argument, finding.text);
}

bool tree_check_failed(const struct tree_check *check)
{
    return check->finding_count > 0;
}

/* "leaf of bucket \"users\"". */
static void check_walk_owner(const struct check_walk *walk, const char *kind, char *out,
                             size_t room)
{
    if (walk->name.data == NULL)
        snprintf(out, room, "%s of the bucket directory", kind);
    else
        snprintf(out, room, "%s of bucket \"%.*s\"", kind, (int)walk->name.size,
                 (const char *)walk->name.data);
}

static const char *check_kind(unsigned level)
{
    return level == 0 ? "leaf" : "inner page";
}

/* A finding about one page of the tree. */
__attribute__((format(printf, 4, 5))) static void
check_walk_find(struct check_walk *walk, const char *kind, pgno_t pgno, const char *format, ...)
{
    char owner[BUCKET_NAME_MAX + 32];
    char text[160];
    va_list arguments;

    check_walk_owner(walk, kind, owner, sizeof(owner));
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tree_check_find(walk->check, "page %u (%s): %s", pgno, owner, text);
}

/* A finding that leaves something unread. */
static void check_walk_cut_off(struct check_walk *walk, const char *kind, pgno_t pgno,
                               const struct bts_error *why)
{
    walk->check->result.damaged++;
    walk->check->is_cut_off = true;
    walk->is_cut_off = true;
    check_walk_find(walk, kind, pgno, "%s", why->text);
}

/* ---- reaching ------------------------------------------------------------------ */

/* Marks pages [pgno, pgno + count) as reached; false: not for the first time, or not there. */
static bool check_walk_reach(struct check_walk *walk, const char *kind, pgno_t pgno,
                             uint64_t count)
{
    struct tree_check *check = walk->check;
    struct bts_error why;
    bool again = false;

    if (pgno >= check->page_count || count > check->page_count - pgno) {
        err_set(&why, BTS_DAMAGED, "beyond the end of the store at page %u", check->page_count);
        check_walk_cut_off(walk, kind, pgno, &why);
        return false;
    }
    for (uint64_t p = pgno; p < pgno + count; p++) {
        uint8_t bit = (uint8_t)(1u << p % 8);

        again |= (check->reached[p / 8] & bit) != 0;
        check->reached[p / 8] |= bit;
    }
    if (!again)
        return true;
    walk->is_cut_off = true;
    if (space_map_is_fixed(pgno, page_source_page_size(check->source)))
        check_walk_find(walk, kind, pgno, "is a meta or space map page");
    else
        check_walk_find(walk, kind, pgno, "reached twice");
    return false;
}

/* A private page has no checksum yet; all else must be true of it. */
static enum bts_status check_private(const struct page_header *page, unsigned level,
                                     size_t page_size, struct bts_error *why)
{
    if (page->type != (level == 0 ? PAGE_LEAF : PAGE_INNER) || page->level != level)
        return err_set(why, BTS_DAMAGED, "type %u of level %u, expected level %u", page->type,
                       page->level, level);
    return level == 0 ? leaf_check(page, page_size, why) : inner_check(page, page_size, why);
}

/* The page of the map, or a copy of the file's; NULL: `why`. */
static const struct page_header *check_walk_read(const struct check_walk *walk, pgno_t pgno,
                                                 unsigned level, txnid_t born_max,
                                                 struct bts_error *why)
{
    const struct tree_check *check = walk->check;
    size_t page_size = page_source_page_size(check->source);
    void *page;

    if (walk->pages == NULL)
        return page_source_check(check->source, pgno, level, born_max, why);
    page = walk->pages + level * page_size;
    if (page_copy(check->fd, page_size, pgno, 1, page, why) != BTS_OK ||
        page_source_check_copy(page, page_size, pgno, level, born_max, why) != BTS_OK)
        return NULL;
    return page;
}

/* The page, whole and safe to read; NULL: reported. */
static const struct page_header *check_walk_page(struct check_walk *walk, pgno_t pgno,
                                                 unsigned level, txnid_t born_max)
{
    const struct page_source *source = walk->check->source;
    size_t page_size = page_source_page_size(source);
    const struct page_header *page = NULL;
    struct bts_error why;

    if (!check_walk_reach(walk, check_kind(level), pgno, 1))
        return NULL;
    if (source->private_page != NULL)
        page = source->private_page(source->private_context, pgno);
    if (page == NULL)
        page = check_walk_read(walk, pgno, level, born_max, &why);
    else if (check_private(page, level, page_size, &why) != BTS_OK)
        page = NULL;
    if (page == NULL) {
        check_walk_cut_off(walk, check_kind(level), pgno, &why);
        return NULL;
    }
    if ((level == 0 ? leaf_check_deep(page, page_size, &why)
                    : inner_check_deep(page, page_size, &why)) != BTS_OK) {
        walk->check->result.damaged++;
        check_walk_find(walk, check_kind(level), pgno, "%s", why.text);
    }
    if (page->bucket != walk->expected.id)
        check_walk_find(walk, check_kind(level), pgno, "belongs to bucket %u, expected %u",
                        page->bucket, walk->expected.id);
    return page;
}

/* Room for a run; kept for the next one. */
static bool check_reserve_run(struct tree_check *check, size_t size)
{
    if (size <= check->run_room)
        return true;
    free(check->run);
    check->run = malloc(size);
    check->run_room = check->run != NULL ? size : 0;
    return check->run != NULL;
}

/* The run in the map, or a copy of the file's; NULL: `why`, or walk->status. */
static const struct page_header *check_walk_read_run(struct check_walk *walk, pgno_t pgno,
                                                     uint64_t length, txnid_t born_max,
                                                     struct bts_error *why)
{
    struct tree_check *check = walk->check;
    size_t page_size = page_source_page_size(check->source);
    uint64_t count = page_run_pages(length, page_size);
    void *run;

    if (walk->pages == NULL)
        return page_source_check_run(check->source, pgno, length, born_max, why);
    if (!check_reserve_run(check, (size_t)count * page_size)) {
        walk->status = err_set(why, BTS_NO_MEMORY, "no memory for it");
        return NULL;
    }
    run = check->run;
    if (page_copy(check->fd, page_size, pgno, count, run, why) != BTS_OK ||
        page_source_check_run_copy(run, page_size, pgno, length, born_max, why) != BTS_OK)
        return NULL;
    return run;
}

/* A value in a run. */
static void check_walk_run(struct check_walk *walk, const struct page_header *leaf,
                           const struct leaf_entry *entry)
{
    const struct page_source *source = walk->check->source;
    /* no overflow: leaf_check bounds the size */
    uint64_t count = page_run_pages(entry->value_size, page_source_page_size(source));
    const struct page_header *run = NULL;
    struct bts_error why;

    if (!check_walk_reach(walk, "run", entry->run_pgno, count))
        return;
    if (source->private_page != NULL)
        run = source->private_page(source->private_context, entry->run_pgno);
    if (run == NULL)
        run = check_walk_read_run(walk, entry->run_pgno, entry->value_size, leaf->txnid, &why);
    if (run == NULL) {
        check_walk_cut_off(walk, "run", entry->run_pgno, &why);
        return;
    }
    if (run->bucket != walk->expected.id)
        check_walk_find(walk, "run", entry->run_pgno, "belongs to bucket %u, expected %u",
                        run->bucket, walk->expected.id);
    walk->counted.run_pages += count;
}

/* ---- one bucket ------------------------------------------------------------------ */

static int check_compare_ids(const void *a, const void *b)
{
    const uint32_t *left = a;
    const uint32_t *right = b;

    return (*left > *right) - (*left < *right);
}

static void check_ids_add(struct check_ids *ids, uint32_t id, enum bts_status *status)
{
    if (ids->count == ids->room) {
        size_t room = ids->room * 2 + 64;
        uint32_t *grown = realloc(ids->id, room * sizeof(*grown));

        if (grown == NULL) {
            *status = BTS_NO_MEMORY;
            return;
        }
        ids->id = grown;
        ids->room = room;
    }
    ids->id[ids->count++] = id;
}

/* Each number once, and the default bucket among them. */
static void check_ids_verdict(struct check_walk *directory)
{
    struct check_ids *ids = &directory->ids;

    if (ids->count > 0)
        qsort(ids->id, ids->count, sizeof(*ids->id), check_compare_ids);
    for (size_t i = 1; i < ids->count; i++)
        if (ids->id[i] == ids->id[i - 1])
            tree_check_find(directory->check, "two buckets have number %u", ids->id[i]);
    if (!directory->is_cut_off && (ids->count == 0 || ids->id[0] != BUCKET_DEFAULT_ID))
        tree_check_find(directory->check, "bucket %u, \"%s\", is not there", BUCKET_DEFAULT_ID,
                        BTS_DEFAULT_BUCKET);
}

static void check_walk_tree(struct check_walk *walk);

/* An entry of the directory: walks the bucket that it names. */
static void check_walk_bucket(struct check_walk *directory, const struct page_header *leaf,
                              const struct leaf_entry *entry)
{
    struct check_walk *walk = directory->bucket;
    struct bts_error why;

    if (entry->key_size > BUCKET_NAME_MAX)
        check_walk_find(directory, check_kind(0), leaf->pgno, "a bucket name of %u bytes",
                        entry->key_size);
    if (entry->is_run || bucket_record_decode(entry->value, entry->value_size, &walk->expected,
                                              &why) != BTS_OK) {
        if (entry->is_run)
            err_set(&why, BTS_DAMAGED, "a bucket record in a run");
        check_walk_cut_off(directory, check_kind(0), leaf->pgno, &why);
        return;
    }
    walk->name.data = entry->key;
    walk->name.size = bytes_min(entry->key_size, BUCKET_NAME_MAX);
    check_walk_tree(walk);
    directory->status = walk->status;
    check_ids_add(&directory->ids, walk->expected.id, &directory->status);
}

/* ---- one page ---------------------------------------------------------------------- */

/* The first key of a page must not lie before its bounds; a separator not on them either. */
static void check_walk_low(struct check_walk *walk, const struct page_header *page,
                           const void *key, size_t key_size, const struct bts_bytes *low)
{
    int order = 1;

    if (low->data != NULL)
        order = bytes_compare(key, key_size, low->data, low->size);
    if (order < 0 || (order == 0 && page->level > 0))
        check_walk_find(walk, check_kind(page->level), page->pgno,
                        "its first key lies before the separator that leads here");
}

/* The last key of a page must lie before its bounds. */
static void check_walk_high(struct check_walk *walk, const struct page_header *page,
                            const void *key, size_t key_size, const struct bts_bytes *high)
{
    if (high->data != NULL && bytes_compare(key, key_size, high->data, high->size) >= 0)
        check_walk_find(walk, check_kind(page->level), page->pgno,
                        "its last key lies behind the separator that ends it");
}

static void check_walk_leaf(struct check_walk *walk, const struct page_header *leaf,
                            const struct check_bounds *bounds)
{
    unsigned n = leaf_count(leaf);

    walk->counted.leaf_pages++;
    walk->counted.entry_count += n;
    if (n == 0)
        check_walk_find(walk, check_kind(0), leaf->pgno, "holds no entry");
    for (unsigned i = 0; i < n && walk->status == BTS_OK; i++) {
        struct leaf_entry entry = leaf_entry_at(leaf, i);

        if (i == 0)
            check_walk_low(walk, leaf, entry.key, entry.key_size, &bounds->low);
        if (i == n - 1)
            check_walk_high(walk, leaf, entry.key, entry.key_size, &bounds->high);
        if (walk->bucket != NULL)
            check_walk_bucket(walk, leaf, &entry);
        else if (entry.is_run)
            check_walk_run(walk, leaf, &entry);
    }
}

static void check_walk_down(struct check_walk *walk, pgno_t pgno, unsigned level,
                            txnid_t born_max, const struct check_bounds *bounds);

/*
 * Writes out separator `index` of a page.  Each level has room for two, the
 * bounds of the child at hand: it takes the place of the one before the last.
 */
static struct bts_bytes check_walk_separator(const struct check_walk *walk,
                                             const struct page_header *page, unsigned index)
{
    size_t room = page_key_max(page_source_page_size(walk->check->source));
    uint8_t *out = walk->separators + (2 * (page->level - 1u) + index % 2) * room;

    return (struct bts_bytes){out, inner_separator(page, index, out)};
}

static void check_walk_inner(struct check_walk *walk, const struct page_header *page,
                             const struct check_bounds *bounds)
{
    struct check_bounds below = {bounds->low, bounds->high};
    unsigned n = inner_count(page);

    walk->counted.inner_pages++;
    if (n == 0)
        check_walk_find(walk, check_kind(page->level), page->pgno, "leads to one page only");
    for (unsigned i = 0; i <= n && walk->status == BTS_OK; i++) {
        below.high = i < n ? check_walk_separator(walk, page, i) : bounds->high;
        if (i == 0 && n > 0)
            check_walk_low(walk, page, below.high.data, below.high.size, &bounds->low);
        if (i + 1 == n)
            check_walk_high(walk, page, below.high.data, below.high.size, &bounds->high);
        check_walk_down(walk, inner_children(page)[i], page->level - 1u, page->txnid, &below);
        below.low = below.high;
    }
}

static void check_walk_down(struct check_walk *walk, pgno_t pgno, unsigned level,
                            txnid_t born_max, const struct check_bounds *bounds)
{
    const struct page_header *page = check_walk_page(walk, pgno, level, born_max);

    if (page == NULL)
        return;
    if (level == 0)
        check_walk_leaf(walk, page, bounds);
    else
        check_walk_inner(walk, page, bounds);
}

/* ---- one tree ------------------------------------------------------------------------ */

static void check_walk_count(struct check_walk *walk, const char *what, uint64_t counted,
                             uint64_t expected)
{
    char owner[BUCKET_NAME_MAX + 32];

    if (counted == expected)
        return;
    check_walk_owner(walk, "record", owner, sizeof(owner));
    tree_check_find(walk->check, "%s: %llu %s, expected %llu", owner,
                    (unsigned long long)counted, what, (unsigned long long)expected);
}

static void check_walk_tree(struct check_walk *walk)
{
    const struct bucket_record *expected = &walk->expected;
    const struct tree_view view = {.root = expected->root, .depth = expected->depth};
    const struct check_bounds open = {{NULL, 0}, {NULL, 0}};
    struct bts_error why;

    walk->counted = (struct bucket_record){.id = expected->id};
    walk->is_cut_off = false;
    if (tree_depth_check(&view, NULL) != BTS_OK) {
        err_set(&why, BTS_DAMAGED, "root of a tree of %u levels", view.depth);
        check_walk_cut_off(walk, "root", view.root, &why);
    } else if (view.depth > 0) {
        check_walk_down(walk, view.root, view.depth - 1, walk->check->txnid, &open);
    }
    if (walk->is_cut_off || walk->status != BTS_OK)
        return;
    check_walk_count(walk, "entries", walk->counted.entry_count, expected->entry_count);
    if (walk->name.data == NULL)
        return;
    check_walk_count(walk, "leaves", walk->counted.leaf_pages, expected->leaf_pages);
    check_walk_count(walk, "inner pages", walk->counted.inner_pages, expected->inner_pages);
    check_walk_count(walk, "pages of runs", walk->counted.run_pages, expected->run_pages);
}

/* ---- the whole ------------------------------------------------------------------------ */

static void tree_check_reach_fixed(struct tree_check *check)
{
    size_t page_size = page_source_page_size(check->source);
    uint64_t group_pages = space_map_group_pages(page_size);

    for (uint64_t start = 0; start < check->page_count; start += group_pages)
        for (uint64_t p = start; p < start + 4 && p < check->page_count; p++)
            if (space_map_is_fixed((pgno_t)p, page_size))
                check->reached[p / 8] |= (uint8_t)(1u << p % 8);
}

enum bts_status tree_check_init(struct tree_check *check, const struct page_source *source,
                                txnid_t txnid, pgno_t page_count, bts_check_report *report,
                                void *argument, struct bts_error *error)
{
    memset(check, 0, sizeof(*check));
    check->source = source;
    check->fd = -1;
    check->report = report;
    check->argument = argument;
    check->page_count = page_count;
    check->txnid = txnid;
    check->result.txnid = txnid;
    check->result.page_count = page_count;
    check->reached = calloc((size_t)page_count / 8 + 1, 1);
    if (check->reached == NULL)
        return err_set(error, BTS_NO_MEMORY, "check: no memory for a bit for each of %u pages",
                       page_count);
    tree_check_reach_fixed(check);
    return BTS_OK;
}

void tree_check_fini(struct tree_check *check)
{
    struct bts_error text;

    if (check->finding_count > TREE_CHECK_REPORTS_MAX && check->report != NULL) {
        err_set(&text, BTS_DAMAGED, "%llu more findings are not shown",
                (unsigned long long)(check->finding_count - TREE_CHECK_REPORTS_MAX));
        check->report(check->argument, text.text);
    }
    free(check->reached);
    free(check->run);
    check->reached = NULL;
    check->run = NULL;
}

static uint64_t tree_check_reached_count(const struct tree_check *check)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= check->page_count / 8; i++)
        count += (uint64_t)__builtin_popcount(check->reached[i]);
    return count;
}

/* Memory for what a walk holds of each level; false: not enough. */
static bool check_walk_reserve(struct check_walk *walk)
{
    size_t page_size = page_source_page_size(walk->check->source);
    bool copies = walk->check->fd >= 0;

    walk->separators = malloc(2 * (size_t)(TREE_DEPTH_MAX - 1) * page_key_max(page_size));
    walk->pages = copies ? malloc(TREE_DEPTH_MAX * page_size) : NULL;
    return walk->separators != NULL && (!copies || walk->pages != NULL);
}

static void check_walk_free(struct check_walk *walk)
{
    free(walk->ids.id);
    free(walk->separators);
    free(walk->pages);
}

enum bts_status tree_check_walk(struct tree_check *check, pgno_t root, uint32_t depth,
                                uint64_t bucket_count, struct bts_error *error)
{
    struct check_walk bucket = {.check = check};
    struct check_walk directory = {.check = check,
                                   .bucket = &bucket,
                                   .expected = {.id = BUCKET_ID_DIRECTORY,
                                                .root = root,
                                                .depth = depth,
                                                .entry_count = bucket_count}};
    bool has_memory = check_walk_reserve(&bucket);

    if (check_walk_reserve(&directory) && has_memory) {
        check_walk_tree(&directory);
        check_ids_verdict(&directory);
    } else {
        directory.status = BTS_NO_MEMORY;
    }
    check_walk_free(&directory);
    check_walk_free(&bucket);
    if (directory.status != BTS_OK)
        return err_set(error, directory.status, "check: out of memory");
    check->result.reachable = tree_check_reached_count(check);
    return BTS_OK;
}
