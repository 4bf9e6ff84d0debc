/* SPDX-License-Identifier: MIT */
/*
 * build_tree: trees bottom-up, level by level.
 */
#include "build_tree.h"

#include "base/bytes.h"
#include "format/inner.h"
#include "format/leaf.h"
#include "format/space_map.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- pages -------------------------------------------------------------------- */

/* Moves the high-water mark up; only what lies below it is accessible. */
static void build_grow(struct build *build, pgno_t page_count)
{
    size_t old = (size_t)build->page_count * build->page_size;
    size_t new = (size_t)page_count * build->page_size;
    int refused;

    assert(page_count <= build->page_room);
    refused = mprotect(build->pages + old, new - old, PROT_READ | PROT_WRITE);
    assert(refused == 0);
    (void)refused;
    build->page_count = page_count;
}

void build_init(struct build *build, size_t page_size, pgno_t page_room)
{
    memset(build, 0, sizeof(*build));
    build->page_size = page_size;
    build->page_room = page_room;
    build->txnid = 10;
    build->pages = mmap(NULL, (size_t)page_room * page_size, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(build->pages != MAP_FAILED);
    build->used = calloc(page_room / 8 + 1, 1);
    assert(build->used != NULL);
    build_grow(build, 4);
    build->source.base = build->pages;
    build->source.verified = calloc(page_room, sizeof(uint32_t));
    build->source.known = calloc(page_source_known_words(page_room), sizeof(uint64_t));
    build->source.page_count = &build->page_count;
    build->source.page_limit = page_room;
    build->source.page_shift = (unsigned)__builtin_ctzl(page_size);
    assert(build->source.verified != NULL && build->source.known != NULL);
}

void build_fini(struct build *build)
{
    munmap(build->pages, (size_t)build->page_room * build->page_size);
    free((void *)(uintptr_t)build->source.verified);
    free((void *)(uintptr_t)build->source.known);
    free(build->used);
}

struct page_header *build_page(const struct build *build, pgno_t pgno)
{
    assert(pgno < build->page_count);
    return (struct page_header *)(void *)(build->pages + (size_t)pgno * build->page_size);
}

void build_reseal(const struct build *build, pgno_t pgno)
{
    struct page_header *page = build_page(build, pgno);
    uint64_t pages =
        page->type == PAGE_RUN ? page_run_pages(page->run_length, build->page_size) : 1;

    page_seal(page, (size_t)pages * build->page_size);
}

void build_forget(const struct build *build)
{
    for (pgno_t p = 0; p < build->page_room; p++)
        atomic_store_explicit(&build->source.verified[p], 0, memory_order_relaxed);
}

pgno_t build_claim(struct build *build, pgno_t count)
{
    pgno_t first = (pgno_t)build->page_count;

    /* A run must not lie across the map pages of a group. */
    for (pgno_t p = first; p < first + count; p++)
        if (space_map_is_fixed(p, build->page_size))
            first = p + 1;
    build_grow(build, first + count);
    for (pgno_t p = first; p < first + count; p++)
        build->used[p / 8] |= (uint8_t)(1u << p % 8);
    return first;
}

/* ---- one level ------------------------------------------------------------------ */

/* The pages of a level, left to right; separators[i] lies between pages i and i + 1. */
struct build_level {
    pgno_t *pages;
    struct inner_key *separators;
    size_t count;
};

static void build_level_init(struct build_level *level, size_t room)
{
    level->pages = malloc((room + 1) * sizeof(*level->pages));
    level->separators = malloc((room + 1) * sizeof(*level->separators));
    level->count = 0;
    assert(level->pages != NULL && level->separators != NULL);
}

static void build_level_fini(struct build_level *level)
{
    free(level->pages);
    free(level->separators);
}

static pgno_t build_run(struct build *build, uint32_t bucket, const struct build_entry *entry)
{
    pgno_t pages = (pgno_t)page_run_pages(entry->value_size, build->page_size);
    pgno_t first = build_claim(build, pages);
    struct page_header *run = build_page(build, first);

    page_init(run, pages * build->page_size, PAGE_RUN, 0, first, bucket, build->txnid);
    run->run_length = entry->value_size;
    memcpy(run + 1, entry->value, entry->value_size);
    page_seal(run, pages * build->page_size);
    return first;
}

/* Appends an entry; false: the leaf is full. */
static bool build_leaf_add(struct build *build, struct page_header *leaf,
                           const struct build_entry *entry, struct bucket_record *record)
{
    unsigned n = leaf_count(leaf);
    pgno_t run;

    if (n > 0 && n == build->leaf_entries_max)
        return false;
    if (leaf_value_fits(build->page_size, entry->key_size, entry->value_size))
        return leaf_insert(leaf, build->page_size, n, entry->key, entry->key_size, entry->value,
                           entry->value_size);
    if (!leaf_insert_run(leaf, build->page_size, n, entry->key, entry->key_size, 4,
                         entry->value_size))
        return false;
    run = build_run(build, leaf->bucket, entry);
    record->run_pages += page_run_pages(entry->value_size, build->page_size);
    if (!leaf_replace_run(leaf, build->page_size, n, run, entry->value_size))
        assert(!"a pointer to a run fits in the place of another");
    return true;
}

/* Packs the entries into leaves. */
static void build_leaves(struct build *build, const struct build_entry *entries, size_t count,
                         struct build_level *level, struct bucket_record *record)
{
    size_t done = 0;

    while (done < count) {
        pgno_t pgno = build_claim(build, 1);
        struct page_header *leaf = build_page(build, pgno);

        if (done > 0)
            level->separators[level->count - 1] = (struct inner_key){
                entries[done].key,
                inner_shortest_separator(entries[done - 1].key, entries[done - 1].key_size,
                                         entries[done].key, entries[done].key_size)};
        page_init(leaf, build->page_size, PAGE_LEAF, 0, pgno, record->id, build->txnid);
        while (done < count && build_leaf_add(build, leaf, &entries[done], record))
            done++;
        assert(leaf_count(leaf) > 0);
        page_seal(leaf, build->page_size);
        level->pages[level->count++] = pgno;
        record->leaf_pages++;
    }
}

/* How many of the pages [first, count) go under the next inner page; never leaves one alone. */
static size_t build_inner_take(const struct build *build, const struct build_level *level,
                               size_t first)
{
    size_t left = level->count - first;
    size_t most = build->inner_children_max != 0 ? build->inner_children_max : left;
    size_t take = 1;

    while (take < left && take < most &&
           inner_built_size(level->separators + first, (unsigned)take) <= build->page_size)
        take++;
    return take == left || left - take > 1 ? take : take - 1;
}

/* Puts inner pages above a level. */
static void build_inners(struct build *build, const struct build_level *below, unsigned height,
                         struct build_level *level, struct bucket_record *record)
{
    size_t done = 0;

    while (done < below->count) {
        size_t take = build_inner_take(build, below, done);
        pgno_t pgno = build_claim(build, 1);
        struct page_header *page = build_page(build, pgno);

        if (done > 0)
            level->separators[level->count - 1] = below->separators[done - 1];
        page_init(page, build->page_size, PAGE_INNER, height, pgno, record->id, build->txnid);
        if (!inner_build(page, build->page_size, below->separators + done, below->pages + done,
                         (unsigned)take - 1))
            assert(!"inner_built_size said that they fit");
        page_seal(page, build->page_size);
        level->pages[level->count++] = pgno;
        record->inner_pages++;
        done += take;
    }
}

struct bucket_record build_tree(struct build *build, uint32_t id,
                                const struct build_entry *entries, size_t count)
{
    struct bucket_record record = {.id = id, .entry_count = count, .created = 1};
    struct build_level level, above;

    if (count == 0)
        return record;
    build_level_init(&level, count);
    build_leaves(build, entries, count, &level, &record);
    for (record.depth = 1; level.count > 1; record.depth++) {
        build_level_init(&above, level.count);
        build_inners(build, &level, record.depth, &above, &record);
        build_level_fini(&level);
        level = above;
    }
    record.root = level.pages[0];
    build_level_fini(&level);
    return record;
}

struct bucket_record build_chain(struct build *build, uint32_t depth)
{
    static const struct build_entry entry = {(const uint8_t *)"k", 1, (const uint8_t *)"v", 1};
    static const struct inner_key separator = {(const uint8_t *)"a", 1};
    struct bucket_record record = build_tree(build, 7, &entry, 1);

    for (record.depth = 1; record.depth < depth; record.depth++) {
        pgno_t children[2] = {record.root, record.root};
        pgno_t pgno = build_claim(build, 1);
        struct page_header *page = build_page(build, pgno);

        page_init(page, build->page_size, PAGE_INNER, record.depth, pgno, 7, build->txnid);
        if (!inner_build(page, build->page_size, &separator, children, 1))
            assert(!"one separator fits");
        page_seal(page, build->page_size);
        record.root = pgno;
    }
    return record;
}

struct tree_view build_view(const struct build *build, const struct bucket_record *record)
{
    return (struct tree_view){.source = &build->source,
                              .root = record->root,
                              .depth = record->depth,
                              .txnid = build->txnid};
}

/* ---- a whole store ----------------------------------------------------------------- */

struct bucket_record build_directory(struct build *build, const char *const *names,
                                     const struct bucket_record *records, size_t count)
{
    struct build_entry *entries = calloc(count + 1, sizeof(*entries));
    uint8_t(*values)[BUCKET_RECORD_SIZE] = calloc(count + 1, BUCKET_RECORD_SIZE);
    struct bucket_record directory;

    assert(entries != NULL && values != NULL);
    for (size_t i = 0; i < count; i++) {
        bucket_record_encode(&records[i], values[i]);
        entries[i] = (struct build_entry){(const uint8_t *)names[i], strlen(names[i]), values[i],
                                          BUCKET_RECORD_SIZE};
    }
    directory = build_tree(build, BUCKET_ID_DIRECTORY, entries, count);
    free(values);
    free(entries);
    return directory;
}

static void build_maps(struct build *build)
{
    pgno_t group_pages = space_map_group_pages(build->page_size);
    uint8_t *bits = malloc(group_pages / 8);

    assert(bits != NULL);
    for (uint32_t g = 0; g < space_map_group_count((pgno_t)build->page_count, build->page_size);
         g++) {
        memset(bits, 0, group_pages / 8);
        for (pgno_t p = 0; p < group_pages && g * group_pages + p < build->page_count; p++)
            if (space_map_is_fixed(g * group_pages + p, build->page_size) ||
                (build->used[(g * group_pages + p) / 8] >> p % 8 & 1) != 0)
                bits[p / 8] |= (uint8_t)(1u << p % 8);
        for (unsigned copy = 0; copy < 2; copy++)
            space_map_encode(build_page(build, space_map_pgno(g, copy, build->page_size)),
                             build->page_size, g, copy, build->txnid - copy, bits);
    }
    free(bits);
}

void build_finish(struct build *build, const struct bucket_record *directory)
{
    struct meta meta = {.page_size = (uint32_t)build->page_size,
                        .uuid = {1, 2, 3},
                        .txnid = build->txnid,
                        .root = directory->root,
                        .depth = directory->depth,
                        .bucket_count = directory->entry_count,
                        .page_count = (pgno_t)build->page_count,
                        .clean = true,
                        .next_bucket_id = 1000};

    build_maps(build);
    for (pgno_t p = 0; p < 2; p++)
        meta_encode(&meta, p, build_page(build, p));
}

/* ---- keys -------------------------------------------------------------------- */

uint64_t build_random(struct build_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t build_key_url(struct build_random *random, char *out)
{
    static const char *const hosts[] = {"www.example.org", "example.com", "a.b.example.net",
                                        "news.example.org"};
    static const char *const paths[] = {"article", "img/large", "index", "user/profile/view"};

    return (size_t)sprintf(out, "http%s://%s/%s/%u%s",
                           build_random_below(random, 4) != 0 ? "s" : "",
                           hosts[build_random_below(random, 4)],
                           paths[build_random_below(random, 4)],
                           (unsigned)build_random_below(random, 100000),
                           build_random_below(random, 3) == 0 ? "?q=1" : "");
}

size_t build_key(struct build_random *random, enum build_keys kind, size_t page_size, uint8_t *out)
{
    static const uint8_t alphabet[] = {0x00, 'm', 0xff};
    size_t most = page_key_max(page_size);
    size_t size = 1 + build_random_below(random, kind == BUILD_KEYS_RANDOM ? 40 : 6);

    switch (kind) {
    case BUILD_KEYS_PREFIX:
        return (size_t)sprintf((char *)out, "user:account:%08u",
                               (unsigned)build_random_below(random, 1000000));
    case BUILD_KEYS_URL:
        return build_key_url(random, (char *)out);
    case BUILD_KEYS_LONG:
        size = 1 + build_random_below(random, most);
        memset(out, 'x', size);
        for (unsigned i = 0; i < 4; i++)
            out[build_random_below(random, size)] = (uint8_t)('v' + build_random_below(random, 5));
        return size;
    default:
        for (size_t i = 0; i < size; i++)
            out[i] = kind == BUILD_KEYS_DENSE ? alphabet[build_random_below(random, 3)]
                                              : (uint8_t)build_random(random);
        return size;
    }
}

static int build_entry_compare(const void *a, const void *b)
{
    const struct build_entry *left = a;
    const struct build_entry *right = b;

    return bytes_compare(left->key, left->key_size, right->key, right->key_size);
}

/* Sorts the entries and drops all but one of each key. */
static void build_entries_sort(struct build_entries *entries)
{
    size_t kept = 0;

    qsort(entries->entry, entries->count, sizeof(*entries->entry), build_entry_compare);
    for (size_t i = 0; i < entries->count; i++)
        if (kept == 0 || build_entry_compare(&entries->entry[kept - 1], &entries->entry[i]) != 0)
            entries->entry[kept++] = entries->entry[i];
    entries->count = kept;
}

void build_entries_init(struct build_entries *entries, struct build_random *random,
                        enum build_keys kind, size_t page_size, size_t count, size_t value_max)
{
    size_t key_room = kind == BUILD_KEYS_LONG ? page_key_max(page_size) : 96;
    uint8_t *next;

    entries->count = count;
    entries->entry = calloc(count + 1, sizeof(*entries->entry));
    entries->bytes = malloc(value_max + count * (key_room + 8) + 1);
    assert(entries->entry != NULL && entries->bytes != NULL);
    /* All values are pieces of one stretch of noise. */
    for (size_t i = 0; i < value_max; i++)
        entries->bytes[i] = (uint8_t)build_random(random);
    next = entries->bytes + value_max;
    for (size_t i = 0; i < count; i++) {
        size_t size = build_key(random, kind, page_size, next);
        size_t value_size = build_random_below(random, 1 + (value_max < 24 ? value_max : 24));

        if (build_random_below(random, 50) == 0)
            value_size = build_random_below(random, value_max + 1);
        entries->entry[i] = (struct build_entry){
            next, size, entries->bytes + build_random_below(random, value_max - value_size + 1),
            value_size};
        next += size;
    }
    build_entries_sort(entries);
}

void build_entries_fini(struct build_entries *entries)
{
    free(entries->entry);
    free(entries->bytes);
}

size_t build_entries_lower(const struct build_entries *entries, const void *key, size_t key_size,
                           bool *found)
{
    size_t low = 0;
    size_t high = entries->count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct build_entry *entry = &entries->entry[middle];
        int order = bytes_compare(entry->key, entry->key_size, key, key_size);

        *found |= order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
