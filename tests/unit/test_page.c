/* SPDX-License-Identifier: MIT */
/*
 * page: headers, checksums, and which pages are taken.  What the structure of
 * leaf and inner pages may be is tested with those.
 */
#include "format/page.h"

#include "format/inner.h"
#include "format/leaf.h"

#include <stdio.h>

#include "unit.h"

#define PGNO 4711

/* A sealed leaf of one entry, in a block of its own. */
static uint8_t *page_of_one_entry(size_t page_size)
{
    uint8_t *page = aligned_alloc(64, page_size);

    ck_assert_ptr_nonnull(page);
    page_init(page, page_size, PAGE_LEAF, 0, PGNO, 3, 99);
    ck_assert(leaf_insert(page, page_size, 0, "key", 3, "value", 5));
    page_seal(page, page_size);
    return page;
}

static void page_assert_told(const void *page, size_t size, enum bts_status status,
                             const char *text)
{
    struct bts_error error = {BTS_OK, ""};

    ck_assert_int_eq(page_check(page, size, PGNO, &error), status);
    ck_assert_int_eq(error.status, status);
    ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
    ck_assert_int_eq(page_check(page, size, PGNO, NULL), status);
}

START_TEST(the_header_lies_where_the_format_says)
{
    static const uint8_t expected[32] = {
        0,    0,    0,    0,    3, 2, 0, 0, 0x67, 0x12, 0, 0, 5, 6, 7, 8, /* crc .. bucket */
        0x88, 0x77, 0x66, 0x55, 4, 3, 2, 1, 0,    0,    0, 0, 0, 0x10, 0, 0, /* txnid .. dead */
    };
    uint8_t *page = aligned_alloc(64, 4096);

    ck_assert_ptr_nonnull(page);
    memset(page, 0xff, 4096);
    page_init(page, 4096, PAGE_INNER, 2, PGNO, 0x08070605, 0x0102030455667788);
    ck_assert_mem_eq(page, expected, 32);
    for (size_t i = 32; i < 4096; i++) {
        ck_assert_uint_eq(page[i], 0);
    }
    free(page);
}
END_TEST

START_TEST(a_sealed_page_passes_at_every_size)
{
    for (size_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2) {
        uint8_t *page = page_of_one_entry(size);
        page_assert_told(page, size, BTS_OK, "");
        ck_assert_int_eq(page_check_edit(page, size, NULL), BTS_OK);
        ck_assert_uint_eq(page_upper(page), size - 12);
        free(page);
    }
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
    uint8_t *page = page_of_one_entry(4096);

    for (size_t bit = 0; bit < 4096 * 8; bit++) {
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(page_check(page, 4096, PGNO, NULL), BTS_DAMAGED);
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    page_assert_told(page, 4096, BTS_OK, "");
    free(page);
}
END_TEST

START_TEST(a_wrong_checksum_is_told_with_the_right_one)
{
    uint8_t *page = page_of_one_entry(4096);
    uint32_t right = bytes_load_u32(page);
    char text[64];

    bytes_store_u32(page, 0x13d0be77);
    snprintf(text, sizeof(text), "checksum %08x, expected 13d0be77", right);
    page_assert_told(page, 4096, BTS_DAMAGED, text);
    memset(page, 0, 4096);
    page_assert_told(page, 4096, BTS_DAMAGED, ", expected 00000000");
    free(page);
}
END_TEST

START_TEST(a_misplaced_page_is_told_by_its_number)
{
    uint8_t *page = page_of_one_entry(4096);

    ((struct page_header *)page)->pgno = 4712;
    page_seal(page, 4096);
    page_assert_told(page, 4096, BTS_DAMAGED, "carries the number of page 4712");
    free(page);
}
END_TEST

/* One byte of the header, set to something with a right checksum. */
static void page_assert_bent_told(size_t at, uint8_t value, enum bts_status status,
                                  const char *text)
{
    uint8_t *page = page_of_one_entry(4096);

    page[at] = value;
    page_seal(page, 4096);
    page_assert_told(page, 4096, status, text);
    free(page);
}

START_TEST(headers_of_another_version_or_writer_are_refused)
{
    page_assert_bent_told(4, 0, BTS_VERSION, "page type 0, written by a newer version");
    page_assert_bent_told(4, 6, BTS_VERSION, "page type 6, written by a newer version");
    page_assert_bent_told(6, 1, BTS_VERSION, "page flags 0001, written by a newer version");
    page_assert_bent_told(7, 0x80, BTS_VERSION, "page flags 8000");
    page_assert_bent_told(5, 1, BTS_DAMAGED, "level 1 in a page of type 4");
    page_assert_bent_told(4, PAGE_INNER, BTS_DAMAGED, "level 0 in a page of type 3");
    page_assert_bent_told(4, PAGE_RUN, BTS_DAMAGED, "claims a value");
    page_assert_bent_told(24, 2, BTS_DAMAGED, "entry 1: cell at 0 ");
}
END_TEST

START_TEST(an_inner_page_has_a_level)
{
    static const pgno_t children[] = {5, 6};
    static const struct inner_key separator = {(const uint8_t *)"k", 1};
    _Alignas(8) static uint8_t page[4096];

    page_init(page, 4096, PAGE_INNER, PAGE_LEVEL_MAX, PGNO, 3, 99);
    ck_assert(inner_build(page, 4096, &separator, children, 1));
    page_seal(page, 4096);
    page_assert_told(page, 4096, BTS_OK, "");
    ck_assert_int_eq(page_check_edit(page, 4096, NULL), BTS_OK);
    page[5] = PAGE_LEVEL_MAX + 1;
    page_seal(page, 4096);
    page_assert_told(page, 4096, BTS_DAMAGED, "level 33 ");
}
END_TEST

START_TEST(a_run_is_one_page_however_long)
{
    size_t size = 5 * 4096;
    uint8_t *run = aligned_alloc(64, size);
    struct page_header *header = (struct page_header *)run;

    ck_assert_ptr_nonnull(run);
    page_init(run, size, PAGE_RUN, 0, PGNO, 3, 99);
    header->run_length = size - PAGE_HEADER_SIZE;
    memset(run + PAGE_HEADER_SIZE, 'v', size - PAGE_HEADER_SIZE);
    page_seal(run, size);
    page_assert_told(run, size, BTS_OK, "");
    page_assert_told(run, size - 4096, BTS_DAMAGED, "checksum");
    ck_assert_uint_eq(page_run_pages(header->run_length, 4096), 5);
    ck_assert_uint_eq(page_run_pages(header->run_length + 1, 4096), 6);
    header->run_length = size - PAGE_HEADER_SIZE + 1;
    page_seal(run, size);
    page_assert_told(run, size, BTS_DAMAGED, "run of 20480 bytes claims a value of 20449");
    header->run_length = UINT64_MAX;
    page_seal(run, size);
    page_assert_told(run, size, BTS_DAMAGED, "claims a value of 18446744073709551615");
    free(run);
}
END_TEST

START_TEST(a_run_over_the_limit_is_refused)
{
    size_t size = VALUE_SIZE_MAX + 4096;
    uint8_t *run = aligned_alloc(64, size);

    ck_assert_ptr_nonnull(run);
    page_init(run, size, PAGE_RUN, 0, PGNO, 3, 99);
    ((struct page_header *)run)->run_length = VALUE_SIZE_MAX;
    page_seal(run, size);
    page_assert_told(run, size, BTS_OK, "");
    ((struct page_header *)run)->run_length = VALUE_SIZE_MAX + 1;
    page_seal(run, size);
    page_assert_told(run, size, BTS_DAMAGED, "claims a value of 67108865");
    free(run);
}
END_TEST

START_TEST(a_leaf_where_a_run_should_be_is_refused)
{
    uint8_t *page = aligned_alloc(64, 3 * 4096);

    ck_assert_ptr_nonnull(page);
    page_init(page, 4096, PAGE_LEAF, 0, PGNO, 3, 99);
    memset(page + 4096, 0, 2 * 4096);
    page_seal(page, 3 * 4096);
    page_assert_told(page, 3 * 4096, BTS_DAMAGED, "type 4 where a run of 12288 bytes should be");
    free(page);
}
END_TEST

int main(void)
{
    return UNIT_RUN("page", the_header_lies_where_the_format_says,
                    a_sealed_page_passes_at_every_size, every_flipped_bit_is_noticed,
                    a_wrong_checksum_is_told_with_the_right_one,
                    a_misplaced_page_is_told_by_its_number,
                    headers_of_another_version_or_writer_are_refused, an_inner_page_has_a_level,
                    a_run_is_one_page_however_long, a_run_over_the_limit_is_refused,
                    a_leaf_where_a_run_should_be_is_refused);
}
