/* SPDX-License-Identifier: MIT */
/* page_source: pages are checked once, and nothing beyond the file is touched. */
#include "read/page_source.h"

#include <sys/mman.h>

#include "build_tree.h"
#include "read/map.h"
#include "read/tree.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define PAGE 4096u

static struct build build;

/* Builds one leaf with one entry and says where it is. */
static pgno_t one_leaf(void)
{
    struct build_entry entry = {(const uint8_t *)"key", 3, (const uint8_t *)"value", 5};

    build_init(&build, PAGE, 100);
    return build_tree(&build, 7, &entry, 1).root;
}

/* Builds a value of `size` bytes in a run and says where it is. */
static pgno_t one_run(size_t size)
{
    uint8_t *value = calloc(1, size);
    struct build_entry entry = {(const uint8_t *)"key", 3, value, size};
    struct bucket_record record;

    build_init(&build, PAGE, 100);
    memset(value, 'v', size);
    record = build_tree(&build, 7, &entry, 1);
    free(value);
    return leaf_entry_at(build_page(&build, record.root), 0).run_pgno;
}

/* The txnid in it. */
static uint32_t mark_of(pgno_t pgno)
{
    return atomic_load(&build.source.verified[pgno]) >> 1;
}

/* The page is refused, and the text says `what` and which page. */
static void assert_refused(pgno_t pgno, unsigned level, txnid_t born_max, const char *what)
{
    char name[32];
    struct bts_error error = {BTS_OK, ""};

    snprintf(name, sizeof(name), "page %u: ", pgno);
    ck_assert_ptr_null(page_source_get(&build.source, pgno, level, born_max, &error));
    ck_assert_int_eq(error.status, BTS_DAMAGED);
    ck_assert_msg(strncmp(error.text, name, strlen(name)) == 0, "%s", error.text);
    ck_assert_msg(strstr(error.text, what) != NULL, "%s", error.text);
    ck_assert_ptr_null(page_source_get(&build.source, pgno, level, born_max, NULL));
}

START_TEST(a_page_is_checked_on_its_first_visit_only)
{
    pgno_t pgno = one_leaf();
    struct page_header *page = build_page(&build, pgno);

    ck_assert_uint_eq(mark_of(pgno), 0);
    ck_assert_ptr_eq(page_source_get(&build.source, pgno, 0, 10, NULL), page);
    ck_assert_uint_eq(mark_of(pgno), 10);
    page->crc ^= 1;
    ck_assert_ptr_eq(page_source_get(&build.source, pgno, 0, 10, NULL), page);
    build_forget(&build);
    ck_assert_ptr_null(page_source_get(&build.source, pgno, 0, 10, NULL));
    build_fini(&build);
}
END_TEST

START_TEST(a_page_born_anew_is_checked_again)
{
    pgno_t pgno = one_leaf();
    struct page_header *page = build_page(&build, pgno);

    ck_assert_ptr_nonnull(page_source_get(&build.source, pgno, 0, 10, NULL));
    page->txnid = 11;
    assert_refused(pgno, 0, 11, "checksum");
    build_reseal(&build, pgno);
    ck_assert_ptr_nonnull(page_source_get(&build.source, pgno, 0, 11, NULL));
    ck_assert_uint_eq(mark_of(pgno), 11);
    build_fini(&build);
}
END_TEST

START_TEST(a_page_whose_low_txnid_is_0_is_checked_at_each_visit)
{
    pgno_t pgno = one_leaf();
    struct page_header *page = build_page(&build, pgno);

    page->txnid = 5ull << 31;
    build_reseal(&build, pgno);
    ck_assert_ptr_nonnull(page_source_get(&build.source, pgno, 0, UINT64_MAX, NULL));
    ck_assert_uint_eq(mark_of(pgno), 0);
    page->crc ^= 1;
    assert_refused(pgno, 0, UINT64_MAX, "checksum");
    /* Nor does the hint alone make a mark. */
    atomic_store(&build.source.verified[pgno], page_mark(page->txnid, true));
    assert_refused(pgno, 0, UINT64_MAX, "checksum");
    build_fini(&build);
}
END_TEST

START_TEST(damage_names_the_page_and_both_checksums)
{
    pgno_t pgno = one_leaf();
    struct page_header *page = build_page(&build, pgno);
    uint32_t crc = page->crc;
    char expected[64];

    page->crc = 0x13d0be77;
    snprintf(expected, sizeof(expected), "page %u: checksum %08x, expected 13d0be77; ", pgno, crc);
    assert_refused(pgno, 0, 10, expected);
    assert_refused(pgno, 0, 10, "run btstore check");
    build_fini(&build);
}
END_TEST

START_TEST(every_flipped_bit_of_a_page_is_found)
{
    pgno_t pgno = one_leaf();
    uint8_t *bytes = (uint8_t *)build_page(&build, pgno);

    for (unsigned bit = 0; bit < PAGE * 8; bit += 7) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_ptr_null(page_source_get(&build.source, pgno, 0, UINT64_MAX, NULL));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_ptr_nonnull(page_source_get(&build.source, pgno, 0, 10, NULL));
    build_fini(&build);
}
END_TEST

START_TEST(a_page_of_another_type_or_level_is_damage_even_if_it_was_verified)
{
    pgno_t pgno = one_leaf();

    ck_assert_ptr_nonnull(page_source_get(&build.source, pgno, 0, 10, NULL));
    assert_refused(pgno, 1, 10, "type 4 of level 0, expected type 3 of level 1");
    build_fini(&build);
}
END_TEST

START_TEST(a_page_younger_than_what_led_to_it_is_damage_even_if_it_was_verified)
{
    pgno_t pgno = one_leaf();

    ck_assert_ptr_nonnull(page_source_get(&build.source, pgno, 0, 10, NULL));
    assert_refused(pgno, 0, 9, "born in transaction 10, after 9");
    build_fini(&build);
}
END_TEST

START_TEST(a_misplaced_page_is_damage)
{
    pgno_t pgno = one_leaf();
    pgno_t other = build_claim(&build, 1);

    memcpy(build_page(&build, other), build_page(&build, pgno), PAGE);
    assert_refused(other, 0, 10, "carries the number of page");
    build_fini(&build);
}
END_TEST

START_TEST(pages_beyond_the_store_are_not_touched)
{
    (void)one_leaf();
    assert_refused((pgno_t)build.page_count, 0, 10, "beyond the end of the store");
    assert_refused(99, 0, 10, "beyond the end of the store");
    assert_refused(100, 0, 10, "beyond the end of the store");
    assert_refused(UINT32_MAX, 0, 10, "beyond the end of the store");
    build_fini(&build);
}
END_TEST

START_TEST(pages_beyond_the_map_are_not_touched)
{
    pgno_t pgno = one_leaf();

    build.source.page_limit = pgno;
    assert_refused(pgno, 0, 10, "beyond the end of the map");
    page_source_prefetch(&build.source, pgno);
    page_source_prefetch(&build.source, UINT32_MAX);
    page_source_prefetch_cells(&build.source, pgno);
    page_source_prefetch_cells(&build.source, UINT32_MAX);
    build_fini(&build);
}
END_TEST

START_TEST(a_page_without_a_mark_is_not_touched)
{
    pgno_t pgno = one_leaf();
    struct page_source nowhere = build.source;
    size_t size = (size_t)build.source.page_limit * PAGE;
    uint32_t mark;

    nowhere.base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(nowhere.base, MAP_FAILED); /* whoever looks at a page dies */
    page_source_prefetch_cells(&nowhere, pgno);
    ck_assert_ptr_null(page_source_known(&nowhere, pgno, page_source_kind(0), 10, &mark));
    ck_assert_uint_eq(mark, 0);
    munmap((void *)(uintptr_t)nowhere.base, size);
    build_fini(&build);
}
END_TEST

START_TEST(a_run_is_checked_whole_and_once)
{
    size_t size = 3 * PAGE - 100;
    pgno_t pgno = one_run(size);
    const uint8_t *value;
    uint8_t *last = (uint8_t *)build_page(&build, pgno + 2) + PAGE - 1;

    *last ^= 1;
    ck_assert_ptr_null(page_source_run(&build.source, pgno, size, 10, NULL));
    *last ^= 1;
    value = page_source_run(&build.source, pgno, size, 10, NULL);
    ck_assert_ptr_eq(value, (const uint8_t *)build_page(&build, pgno) + PAGE_HEADER_SIZE);
    ck_assert_int_eq(value[size - 1], 'v');
    ck_assert_uint_eq(mark_of(pgno), 10);
    ck_assert_uint_eq(mark_of(pgno + 1), 0);
    *last ^= 1;
    ck_assert_ptr_eq(page_source_run(&build.source, pgno, size, 10, NULL), value);
    build_fini(&build);
}
END_TEST

START_TEST(a_run_of_another_length_or_birth_is_damage)
{
    struct bts_error error;
    size_t size = 3 * PAGE - 100;
    pgno_t pgno = one_run(size);

    for (unsigned visit = 0; visit < 2; visit++) {
        ck_assert_ptr_null(page_source_run(&build.source, pgno, size - 1, 10, &error));
        ck_assert_ptr_nonnull(strstr(error.text, "expected 12187"));
        ck_assert_ptr_null(page_source_run(&build.source, pgno, size, 9, &error));
        ck_assert_ptr_nonnull(strstr(error.text, "born in transaction 10"));
        ck_assert_ptr_null(page_source_get(&build.source, pgno, 0, 10, &error));
        ck_assert_ptr_nonnull(page_source_run(&build.source, pgno, size, 10, &error));
    }
    build_fini(&build);
}
END_TEST

START_TEST(a_leaf_is_no_run)
{
    struct bts_error error;
    pgno_t pgno = one_leaf();

    ck_assert_ptr_null(page_source_run(&build.source, pgno, 100, 10, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "expected a run"));
    build_fini(&build);
}
END_TEST

START_TEST(a_run_that_reaches_beyond_the_store_is_not_touched)
{
    static const uint64_t lengths[] = {3 * PAGE - 31, 50 * PAGE, VALUE_SIZE_MAX,
                                       VALUE_SIZE_MAX + 1ull, UINT64_MAX - 31, UINT64_MAX};
    pgno_t pgno = one_run(PAGE);

    /* The store ends with the run: one page more is not accessible. */
    ck_assert_uint_eq(build.page_count, pgno + 2);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        ck_assert_ptr_null(page_source_run(&build.source, pgno, lengths[i], 10, NULL));
    ck_assert_ptr_null(page_source_run(&build.source, pgno + 2, 1, 10, NULL));
    ck_assert_ptr_null(page_source_run(&build.source, UINT32_MAX, 2 * PAGE, 10, NULL));
    ck_assert_ptr_nonnull(page_source_run(&build.source, pgno, PAGE, 10, NULL));
    build.source.page_limit = pgno + 1;
    ck_assert_ptr_null(page_source_check_run(&build.source, pgno, PAGE, 10, NULL));
    build_fini(&build);
}
END_TEST

/* A private copy of one page. */
struct private_page {
    pgno_t pgno;
    const void *page;
};

static const void *find_private(const void *context, pgno_t pgno)
{
    const struct private_page *one = context;

    return one->pgno == pgno ? one->page : NULL;
}

START_TEST(private_pages_come_first_if_they_are_what_is_expected)
{
    static struct page_header copy;
    pgno_t pgno = one_leaf();
    struct private_page one = {pgno, &copy};

    build.source.private_page = find_private;
    build.source.private_context = &one;
    ck_assert_ptr_eq(page_source_get(&build.source, pgno, 0, 10, NULL), &copy);
    copy.level = 1; /* a hostile page leads to it: the page in the file is looked at */
    ck_assert_ptr_eq(page_source_get(&build.source, pgno, 0, 10, NULL), build_page(&build, pgno));
    build_forget(&build);
    ck_assert_ptr_null(page_source_run(&build.source, pgno, 5, 10, NULL)); /* a leaf, as well */
    copy.type = PAGE_RUN;
    copy.run_length = 5;
    ck_assert_ptr_eq(page_source_run(&build.source, pgno, 5, 10, NULL),
                     (const uint8_t *)&copy + PAGE_HEADER_SIZE);
    ck_assert_ptr_null(page_source_run(&build.source, pgno, 6, 10, NULL));
    ck_assert_uint_eq(mark_of(pgno), 0);
    one.pgno = 50;
    ck_assert_ptr_eq(page_source_get(&build.source, pgno, 0, 10, NULL), build_page(&build, pgno));
    build_fini(&build);
}
END_TEST

static const void *no_private_page(const void *context, pgno_t pgno)
{
    (void)context;
    (void)pgno;
    return NULL;
}

START_TEST(a_page_marked_by_its_writer_is_taken_as_it_is)
{
    pgno_t pgno = one_leaf();

    build_page(&build, pgno)->crc ^= 1;
    build.source.private_page = no_private_page;
    map_mark_verified(&build.source, pgno, 10);
    map_mark_verified(&build.source, UINT32_MAX, 10);
    ck_assert_ptr_nonnull(page_source_get(&build.source, pgno, 0, 10, NULL));
    build_fini(&build);
}
END_TEST

/* A tree of two leaves below one inner page; the key is in the first. */
static struct tree_view two_leaves(void)
{
    struct build_entry entries[] = {{(const uint8_t *)"a", 1, (const uint8_t *)"value", 5},
                                    {(const uint8_t *)"b", 1, (const uint8_t *)"value", 5}};
    struct bucket_record record;

    build_init(&build, PAGE, 100);
    build.leaf_entries_max = 1;
    record = build_tree(&build, 7, entries, 2);
    ck_assert_uint_eq(record.depth, 2);
    return build_view(&build, &record);
}

static enum bts_status get_a(const struct tree_view *view)
{
    struct bts_bytes value;
    struct bts_error error;

    return tree_get(view, "a", 1, &value, &error);
}

static pgno_t leaf_of_a(const struct tree_view *view)
{
    return inner_children(build_page(&build, view->root))[0];
}

START_TEST(a_page_below_a_known_one_is_known_by_its_bit)
{
    struct tree_view view = two_leaves();
    pgno_t leaf = leaf_of_a(&view);

    ck_assert_int_eq(get_a(&view), BTS_OK); /* checked */
    ck_assert_uint_eq(page_source_known_bits(&build.source, leaf), 0);
    ck_assert_uint_eq(build.source.known[0], 0);
    ck_assert_int_eq(get_a(&view), BTS_OK); /* its mark is good */
    ck_assert_uint_eq(page_source_known_bits(&build.source, leaf), PAGE_KNOWN);
    atomic_store(&build.source.verified[leaf], 0);
    build_page(&build, leaf)->crc ^= 1;
    ck_assert_int_eq(get_a(&view), BTS_OK); /* by the bit alone */
    build_fini(&build);
}
END_TEST

/* Page numbers come back: the same leaf, written again, with a parent written again. */
START_TEST(a_leaf_born_anew_is_checked_whatever_its_bit_says)
{
    struct tree_view view = two_leaves();
    pgno_t leaf = leaf_of_a(&view);

    ck_assert_int_eq(get_a(&view), BTS_OK);
    ck_assert_int_eq(get_a(&view), BTS_OK);
    view.txnid = 11;
    build_page(&build, leaf)->txnid = 11;
    build_reseal(&build, leaf);
    build_page(&build, leaf)->crc ^= 1;
    build_page(&build, view.root)->txnid = 11;
    build_reseal(&build, view.root);
    ck_assert_int_eq(get_a(&view), BTS_DAMAGED);
    ck_assert_int_eq(get_a(&view), BTS_DAMAGED);
    build_page(&build, leaf)->crc ^= 1;
    ck_assert_int_eq(get_a(&view), BTS_OK);
    build_fini(&build);
}
END_TEST

START_TEST(a_known_leaf_is_still_what_is_expected_or_damage)
{
    struct tree_view view = two_leaves();
    struct page_header *page = build_page(&build, leaf_of_a(&view));

    ck_assert_int_eq(get_a(&view), BTS_OK);
    ck_assert_int_eq(get_a(&view), BTS_OK);
    page->txnid = 11; /* younger than what led to it */
    ck_assert_int_eq(get_a(&view), BTS_DAMAGED);
    page->txnid = 10;
    ck_assert_int_eq(get_a(&view), BTS_OK);
    page->level = 1;
    ck_assert_int_eq(get_a(&view), BTS_DAMAGED);
    build_fini(&build);
}
END_TEST

int main(void)
{
    return UNIT_RUN("page_source", a_page_is_checked_on_its_first_visit_only,
                    a_page_born_anew_is_checked_again,
                    a_page_whose_low_txnid_is_0_is_checked_at_each_visit,
                    damage_names_the_page_and_both_checksums, every_flipped_bit_of_a_page_is_found,
                    a_page_of_another_type_or_level_is_damage_even_if_it_was_verified,
                    a_page_younger_than_what_led_to_it_is_damage_even_if_it_was_verified,
                    a_misplaced_page_is_damage, pages_beyond_the_store_are_not_touched,
                    pages_beyond_the_map_are_not_touched, a_page_without_a_mark_is_not_touched,
                    a_run_is_checked_whole_and_once,
                    a_run_of_another_length_or_birth_is_damage, a_leaf_is_no_run,
                    a_run_that_reaches_beyond_the_store_is_not_touched,
                    private_pages_come_first_if_they_are_what_is_expected,
                    a_page_marked_by_its_writer_is_taken_as_it_is,
                    a_page_below_a_known_one_is_known_by_its_bit,
                    a_leaf_born_anew_is_checked_whatever_its_bit_says,
                    a_known_leaf_is_still_what_is_expected_or_damage);
}
