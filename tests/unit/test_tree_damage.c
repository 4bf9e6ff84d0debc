/* SPDX-License-Identifier: MIT */
/*
 * apply over damage: a page that is not what it should be refuses the batch that
 * needs it, by its number, and the store is as it was.
 *
 * First each page of a store is damaged in turn, and batches of every kind are
 * tried; each ends in a condition that does not hold, so that one which does
 * not meet the page changes nothing either.  Then pages with a right checksum
 * that lie: keys in no order, one child, a number twice.
 */
#include "tree/apply.h"

#include "base/crc32c.h"
#include "format/inner.h"
#include "format/leaf.h"
#include "format/space_map.h"
#include "read/cursor.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"
#include "writer_fixture.h"

#ifndef BTS_SANITIZER
#define BTS_SANITIZER 0
#endif

#define PAGE 4096u
#define LETTERS 26u
#define PER_LETTER 7u
#define KEYS (LETTERS * PER_LETTER)
#define KEY_SIZE 900u

static struct writer writer;
static struct batch batch;
static struct bts_error error;

/* Key `i`: of one letter, but for its last two bytes, so that separators are long. */
static size_t key_of(unsigned i, uint8_t *key)
{
    memset(key, (int)('a' + i / PER_LETTER), KEY_SIZE);
    key[KEY_SIZE - 2] = (uint8_t)('0' + i % PER_LETTER);
    return KEY_SIZE;
}

/* Every tenth value is a run of two pages. */
static size_t value_size_of(unsigned i)
{
    return i % 10 == 3 ? 5000 : 30;
}

static void add_key(enum batch_type type, unsigned flags, unsigned i, const void *second,
                    size_t second_size)
{
    uint8_t key[KEY_SIZE];

    ck_assert_int_eq(batch_add(&batch, type, flags, key, key_of(i, key), second, second_size,
                               NULL), BTS_OK);
}

static void add(enum batch_type type, unsigned flags, const char *first, const char *second)
{
    ck_assert_int_eq(batch_add(&batch, type, flags, first, strlen(first), second,
                               strlen(second), NULL), BTS_OK);
}

static void add_number(unsigned i, uint64_t number)
{
    add_key(BATCH_INCREMENT, 0, i, &number, sizeof(number));
}

static enum bts_status apply(struct apply_results *results)
{
    size_t size;
    const void *bytes = batch_bytes(&batch, &size);
    enum bts_status status;

    ck_assert_int_eq(batch_check(bytes, size, PAGE, NULL), BTS_OK);
    memset(&error, 0, sizeof(error));
    status = apply_batch(writer.buckets, writer.pages, APPLY_LIVE, bytes, size, results, &error);
    buckets_check(writer.buckets);
    batch_clear(&batch);
    return status;
}

/* Two buckets, alike, committed; a group begins. */
static void start(void)
{
    static const uint8_t value[5000];

    writer_open(&writer, PAGE);
    writer_begin(&writer);
    add(BATCH_BUCKET_CREATE, 0, "other", "");
    for (unsigned b = 0; b < 2; b++) {
        add(BATCH_USE, 0, b == 0 ? "default" : "other", "");
        for (unsigned i = 0; i < KEYS; i++) {
            unsigned at = i * 101u % KEYS;
            add_key(BATCH_PUT, 0, at, value, value_size_of(at));
        }
    }
    ck_assert_msg(apply(NULL) == BTS_OK, "%s", error.text);
    writer_commit(&writer);
    writer_check(&writer);
    writer_begin(&writer);
}

static void finish(void)
{
    writer_commit(&writer);
    writer_check(&writer);
    writer_close(&writer);
    batch_fini(&batch);
}

/* ---- pages in the file ------------------------------------------------------------- */

static const uint8_t *page_at(pgno_t pgno)
{
    return writer.map->source.base + (size_t)pgno * PAGE;
}

/* Writes a page and lets it be checked again. */
static void write_page(pgno_t pgno, const void *bytes)
{
    ck_assert_int_eq(file_write(&writer.file, bytes, PAGE, (uint64_t)pgno * PAGE, &error), BTS_OK);
    atomic_store(&writer.map->source.verified[pgno], 0);
}

/* Of a run every page leads to the check of the first. */
static void forget_all(void)
{
    for (pgno_t p = 0; p < space_page_count(writer.space); p++) {
        atomic_store(&writer.map->source.verified[p], 0);
    }
}

static uint32_t sum_of_bucket(uint32_t sum, const char *name)
{
    struct bts_bytes key;
    struct bts_bytes value;
    struct cursor cursor;
    struct tree_view view;
    struct tree *tree;
    enum bts_status status;

    ck_assert_msg(buckets_open(writer.buckets, name, strlen(name), &tree, &error) == BTS_OK, "%s",
                  error.text);
    sum = crc32c(sum, &tree->record, sizeof(tree->record));
    view = tree_view_of(tree);
    cursor_init(&cursor, &view);
    while ((status = cursor_next(&cursor, &key, &value, &error)) == BTS_OK) {
        sum = crc32c(sum, key.data, key.size);
        sum = crc32c(sum, value.data, value.size);
    }
    ck_assert_int_eq(status, BTS_END);
    return sum;
}

/* What may not change: records, entries, pages. */
struct traces {
    uint32_t sum;
    struct space_stat space;
    size_t private_bytes;
};

static struct traces look_for_traces(void)
{
    struct traces traces;

    memset(&traces, 0, sizeof(traces));
    traces.sum = sum_of_bucket(sum_of_bucket(0, "default"), "other");
    traces.space = space_stat(writer.space);
    traces.private_bytes = pages_private_bytes(writer.pages);
    return traces;
}

/* ---- batches of every kind --------------------------------------------------------- */

/* Fills leaves, so that they share with siblings and split, from the middle outwards. */
static void add_puts(unsigned i)
{
    static const uint8_t value[900];
    uint8_t key[KEY_SIZE];

    for (unsigned n = 0; n < 6; n++) {
        key_of(i, key);
        key[KEY_SIZE - 1] = (uint8_t)(n * 37 % 6);
        ck_assert_int_eq(batch_add(&batch, BATCH_PUT, 0, key, KEY_SIZE, value, 40, NULL), BTS_OK);
    }
}

static void add_overwrites(unsigned i)
{
    static const uint8_t value[5000];

    add_key(BATCH_PUT, 0, i, value, i % 2 == 0 ? 80 : 5000);
    add_key(BATCH_PUT, BATCH_RETURN, (i + 1) % KEYS, value, 1);
}

/* Enough to leave pages sparse, and empty. */
static void add_deletes(unsigned i)
{
    for (unsigned n = 0; n < 9; n++) {
        add_key(BATCH_DELETE, 0, (i + n) % KEYS, NULL, 0);
    }
}

static void add_range(unsigned i)
{
    uint8_t from[KEY_SIZE];
    uint8_t to[KEY_SIZE];
    unsigned end = i + 1 + i * 7919u % 60;

    key_of(i, from);
    key_of(end < KEYS ? end : KEYS - 1, to);
    ck_assert_int_eq(batch_add(&batch, BATCH_DELETE_RANGE,
                               i % 5 == 0 ? BATCH_OPEN_FROM : end >= KEYS ? BATCH_OPEN_TO : 0,
                               i % 5 == 0 ? NULL : from, i % 5 == 0 ? 0 : KEY_SIZE,
                               i % 5 != 0 && end >= KEYS ? NULL : to,
                               i % 5 != 0 && end >= KEYS ? 0 : KEY_SIZE, NULL), BTS_OK);
}

static void add_reads(unsigned i)
{
    add_key(BATCH_GET, 0, i, NULL, 0);
}

static void add_condition(unsigned i)
{
    add_key(BATCH_REQUIRE_PRESENT, 0, i, NULL, 0);
}

/* The one whose bucket goes; the other one must not be met. */
static void add_drop(unsigned i)
{
    add(i % 2 == 0 ? BATCH_BUCKET_DROP : BATCH_BUCKET_RENAME, 0, "other", i % 2 == 0 ? "" : "new");
    add(BATCH_BUCKET_CREATE, 0, "third", "");
}

static void add_increment(unsigned i)
{
    uint8_t key[KEY_SIZE + 1];
    uint64_t one = 1;

    key[key_of(i, key)] = 'n';
    ck_assert_int_eq(batch_add(&batch, BATCH_INCREMENT, 0, key, sizeof(key), &one, sizeof(one),
                               NULL), BTS_OK);
}

static const struct kind {
    const char *name;
    void (*add)(unsigned i);
} kinds[] = {
    {"put", add_puts},      {"overwrite", add_overwrites},   {"delete", add_deletes},
    {"range", add_range},   {"get", add_reads},              {"condition", add_condition},
    {"drop", add_drop},     {"increment", add_increment},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Tries a batch that changes nothing unless it goes wrong; true: it met the damage. */
static bool meets_damage(const struct kind *kind, unsigned i, pgno_t pgno)
{
    struct apply_results results = {.count = 0};
    char named[32];
    enum bts_status status;

    kind->add(i);
    add(BATCH_REQUIRE_PRESENT, 0, "nobody", "");
    status = apply(&results);
    apply_results_fini(&results);
    if (status == BTS_CONFLICT) {
        return false;
    }
    snprintf(named, sizeof(named), "page %u: ", pgno);
    ck_assert_msg(status == BTS_DAMAGED && strstr(error.text, named) != NULL,
                  "%s %u, page %u damaged: %s: %s", kind->name, i, pgno, bts_status_name(status),
                  error.text);
    return true;
}

/* The page that holds the checksum which covers page `pgno`. */
static pgno_t first_of(pgno_t pgno, const uint8_t *firsts)
{
    while (firsts[pgno] == 0) {
        pgno--;
    }
    return pgno;
}

/* Which pages are the first of a run, or pages by themselves. */
static void find_firsts(uint8_t *firsts, pgno_t page_count)
{
    for (pgno_t p = 0; p < page_count; p++) {
        const struct page_header *page = (const struct page_header *)page_at(p);
        firsts[p] = space_map_is_fixed(p, PAGE) || (page->pgno == p && page->type >= PAGE_INNER &&
                                                    page->type <= PAGE_RUN &&
                                                    page->txnid <= writer.txnid &&
                                                    page->flags == 0 && page->txnid > 0);
    }
}

START_TEST(a_damaged_page_refuses_whatever_needs_it_and_nothing_else_happens)
{
    pgno_t page_count;
    unsigned met[KINDS] = {0};
    struct traces before;
    uint8_t firsts[2000];

    start();
    page_count = space_page_count(writer.space);
    ck_assert_uint_lt(page_count, sizeof(firsts));
    find_firsts(firsts, page_count);
    before = look_for_traces();
    for (pgno_t p = 4; p < page_count; p += BTS_SANITIZER ? 5 : 1) {
        uint8_t whole[PAGE];
        uint8_t broken[PAGE];
        struct traces after;

        if (!space_is_live(writer.space, p)) {
            continue;
        }
        memcpy(whole, page_at(p), PAGE);
        memcpy(broken, whole, PAGE);
        broken[PAGE / 2] ^= 1u << (p % 8);
        write_page(p, broken);
        for (unsigned n = 0; n < 6 * KINDS; n++) {
            forget_all();
            met[n % KINDS] += meets_damage(&kinds[n % KINDS], (p * 31 + n * 29) % KEYS,
                                           first_of(p, firsts));
        }
        write_page(p, whole);
        forget_all();
        after = look_for_traces();
        ck_assert_mem_eq(&after, &before, sizeof(before));
    }
    for (size_t k = 0; k < KINDS; k++) {
        printf("# %s: refused %u times\n", kinds[k].name, met[k]);
        ck_assert_msg(met[k] > 0, "%s was never refused", kinds[k].name);
    }
    finish();
}
END_TEST

/* ---- pages that lie ------------------------------------------------------------------ */

/* The leaf of bucket `default` that key `i` is in, and the page above it. */
static pgno_t leaf_of(unsigned i, pgno_t *above)
{
    uint8_t key[KEY_SIZE];
    struct tree *tree;
    pgno_t pgno;

    ck_assert_int_eq(buckets_open_id(writer.buckets, 0, &tree, &error), BTS_OK);
    pgno = tree->record.root;
    *above = PGNO_NONE;
    key_of(i, key);
    for (unsigned level = tree->record.depth; level > 1; level--) {
        *above = pgno;
        pgno = inner_children(page_at(pgno))[inner_search(page_at(pgno), key, KEY_SIZE)];
    }
    return pgno;
}

static void assert_refused(const char *text, pgno_t pgno)
{
    char named[32];

    ck_assert_int_eq(apply(NULL), BTS_DAMAGED);
    snprintf(named, sizeof(named), "page %u: ", pgno);
    ck_assert_msg(strstr(error.text, text) != NULL && strstr(error.text, named) != NULL,
                  "not of page %u: %s", pgno, error.text);
}

/* Lets the second and third key of a leaf change places: fingerprints and offsets both. */
static void disorder_leaf(uint8_t *page)
{
    unsigned n = leaf_count(page);
    uint8_t *fingerprints = page + PAGE_HEADER_SIZE;
    uint16_t *offsets = (uint16_t *)(void *)(fingerprints + n + n % 2);
    uint8_t fingerprint = fingerprints[1];
    uint16_t offset = offsets[1];

    fingerprints[1] = fingerprints[2];
    offsets[1] = offsets[2];
    fingerprints[2] = fingerprint;
    offsets[2] = offset;
    page_seal(page, PAGE);
}

START_TEST(a_leaf_with_keys_in_no_order_is_not_split)
{
    _Alignas(8) uint8_t page[PAGE];
    uint8_t whole[PAGE];
    struct traces before;
    struct traces after;
    unsigned refused = 0;

    start();
    before = look_for_traces();
    for (unsigned i = 0; i < KEYS; i++) {
        pgno_t above;
        pgno_t pgno = leaf_of(i, &above);
        enum bts_status status;

        memcpy(whole, page_at(pgno), PAGE);
        memcpy(page, whole, PAGE);
        if (leaf_count(page) < 3) {
            continue;
        }
        disorder_leaf(page);
        write_page(pgno, page);
        add_puts(i);
        add(BATCH_REQUIRE_PRESENT, 0, "nobody", "");
        status = apply(NULL);
        ck_assert_msg(status == BTS_CONFLICT ||
                          (status == BTS_DAMAGED &&
                           strstr(error.text, "bucket 0: the keys of a leaf are in no order")),
                      "%s", error.text);
        refused += status == BTS_DAMAGED;
        add_range(i); /* whatever it takes with it */
        add(BATCH_REQUIRE_PRESENT, 0, "nobody", "");
        ck_assert_int_eq(apply(NULL), BTS_CONFLICT);
        write_page(pgno, whole);
        after = look_for_traces();
        ck_assert_mem_eq(&after, &before, sizeof(before));
    }
    printf("# leaves in no order: %u of %u puts refused\n", refused, KEYS);
    ck_assert_uint_gt(refused, 0);
    finish();
}
END_TEST

START_TEST(an_inner_page_with_one_child_is_damage)
{
    _Alignas(8) uint8_t page[PAGE];
    uint8_t whole[PAGE];
    pgno_t above;

    start();
    leaf_of(50, &above);
    memcpy(whole, page_at(above), PAGE);
    memcpy(page, whole, PAGE);
    while (inner_count(page) > 0) {
        inner_remove_child(page, PAGE, 0);
    }
    page_seal(page, PAGE);
    write_page(above, page);
    add_deletes(50);
    assert_refused("has one child only", above);
    write_page(above, whole);
    finish();
}
END_TEST

/* The leaf of the directory, to be changed. */
static pgno_t directory_leaf(uint8_t *page)
{
    pgno_t pgno = writer.root.root;

    ck_assert_uint_eq(writer.root.depth, 1);
    memcpy(page, page_at(pgno), PAGE);
    return pgno;
}

static struct bucket_record record_in(const uint8_t *page, unsigned index, uint8_t **bytes)
{
    struct leaf_entry entry = leaf_entry_at(page, index);
    struct bucket_record record;

    *bytes = (uint8_t *)(uintptr_t)entry.value;
    ck_assert_int_eq(bucket_record_decode(entry.value, (size_t)entry.value_size, &record, &error),
                     BTS_OK);
    return record;
}

/* Closes all buckets, as a new daemon finds them. */
static void close_buckets(void)
{
    buckets_set_root(writer.buckets, &writer.root);
}

START_TEST(two_buckets_with_one_number_are_damage)
{
    _Alignas(8) uint8_t page[PAGE];
    uint8_t whole[PAGE];
    struct bucket_record record;
    uint8_t *bytes;
    pgno_t pgno;

    start();
    pgno = directory_leaf(page);
    memcpy(whole, page, PAGE);
    record = record_in(page, 1, &bytes);
    ck_assert_uint_eq(record.id, 1);
    record.id = 0;
    bucket_record_encode(&record, bytes);
    page_seal(page, PAGE);
    write_page(pgno, page);
    close_buckets();
    add(BATCH_USE, 0, "default", "");
    add(BATCH_USE, 0, "other", "");
    ck_assert_int_eq(apply(NULL), BTS_DAMAGED);
    ck_assert_msg(strstr(error.text, "bucket \"other\": another one has its number 0 too") != NULL,
                  "%s", error.text);
    write_page(pgno, whole);
    close_buckets();
    finish();
}
END_TEST

START_TEST(a_bucket_deeper_than_any_tree_is_damage)
{
    static const uint8_t value[10];
    _Alignas(8) uint8_t page[PAGE];
    uint8_t whole[PAGE];
    struct bucket_record record;
    uint8_t *bytes;
    pgno_t pgno;

    start();
    pgno = directory_leaf(page);
    memcpy(whole, page, PAGE);
    record = record_in(page, 1, &bytes);
    record.depth = TREE_DEPTH_MAX + 1;
    bucket_record_encode(&record, bytes);
    page_seal(page, PAGE);
    write_page(pgno, page);
    for (unsigned n = 0; n < 3; n++) {
        close_buckets();
        add(BATCH_USE, 0, "other", "");
        if (n == 0) {
            add_key(BATCH_PUT, 0, 0, value, sizeof(value));
        } else if (n == 1) {
            add_number(0, 1);
        } else {
            add(BATCH_BUCKET_DROP, 0, "other", "");
        }
        ck_assert_int_eq(apply(NULL), BTS_DAMAGED);
    }
    write_page(pgno, whole);
    close_buckets();
    finish();
}
END_TEST

START_TEST(bucket_numbers_that_are_used_up_are_told)
{
    struct buckets_root root;

    start();
    root = writer.root;
    root.next_bucket_id = BUCKET_ID_NONE;
    buckets_set_root(writer.buckets, &root);
    add(BATCH_BUCKET_CREATE, 0, "one too many", "");
    ck_assert_int_eq(apply(NULL), BTS_LIMIT);
    ck_assert_msg(strstr(error.text, "bucket numbers are used up") != NULL, "%s", error.text);
    close_buckets();
    finish();
}
END_TEST

int main(void)
{
    return UNIT_RUN("tree_damage",
                    a_damaged_page_refuses_whatever_needs_it_and_nothing_else_happens,
                    a_leaf_with_keys_in_no_order_is_not_split,
                    an_inner_page_with_one_child_is_damage, two_buckets_with_one_number_are_damage,
                    a_bucket_deeper_than_any_tree_is_damage,
                    bucket_numbers_that_are_used_up_are_told);
}
