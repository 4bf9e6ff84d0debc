/* SPDX-License-Identifier: MIT */
/* meta: which root is the store's, whatever a crash or rot left of the two. */
#include "format/meta.h"

#include <string.h>

#include "base/bytes.h"
#include "unit.h"

#define FILE_SIZE (2 * PAGE_SIZE_MAX)

static uint8_t test_file[FILE_SIZE];
static struct bts_error test_error;

static struct meta meta_sample(uint32_t page_size, txnid_t txnid)
{
    struct meta meta = {
        .page_size = page_size,
        .uuid = "0123456789abcde",
        .txnid = txnid,
        .root = 1000 + (pgno_t)txnid,
        .depth = 2,
        .bucket_count = 3,
        .page_count = 5000,
        .log_epoch = 4,
        .log_position = 65536 * txnid,
        .next_bucket_id = 5,
        .created_s = 1700000000,
    };
    return meta;
}

/* Writes meta `pgno` into test_file. */
static void put(const struct meta *meta, pgno_t pgno)
{
    meta_encode(meta, pgno, test_file + (size_t)pgno * meta->page_size);
}

/* A file of two metas, of these transactions. */
static void put_both(uint32_t page_size, txnid_t txnid0, txnid_t txnid1)
{
    struct meta zero = meta_sample(page_size, txnid0);
    struct meta one = meta_sample(page_size, txnid1);

    memset(test_file, 0, FILE_SIZE);
    put(&zero, 0);
    put(&one, 1);
}

static enum bts_status choose(size_t size, struct meta *meta, pgno_t *pgno)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, test_file, size);
    memset(&test_error, 0, sizeof(test_error));
    enum bts_status status = meta_choose(exact, size, meta, pgno, &test_error);
    free(exact);
    return status;
}

static void expect(size_t size, pgno_t expected_pgno, txnid_t expected_txnid)
{
    struct meta meta;
    pgno_t pgno = 9;
    enum bts_status status = choose(size, &meta, &pgno);

    ck_assert_msg(status == BTS_OK, "%s", test_error.text);
    ck_assert_uint_eq(pgno, expected_pgno);
    ck_assert_uint_eq(meta.txnid, expected_txnid);
}

static void expect_refused(size_t size, enum bts_status expected, const char *text)
{
    struct meta meta;
    pgno_t pgno = 9;

    ck_assert_int_eq(choose(size, &meta, &pgno), expected);
    ck_assert_int_eq(test_error.status, expected);
    ck_assert_msg(strstr(test_error.text, text) != NULL, "%s", test_error.text);
    ck_assert_uint_eq(meta.page_size, 0);
    ck_assert_uint_eq(pgno, 0);
}

/* Changes a number in a meta and makes the checksum right again. */
static void forge_u32(size_t page_offset, size_t at, uint32_t value)
{
    uint8_t *page = test_file + page_offset;

    bytes_store_u32(page + at, value);
    page_seal(page, bytes_load_u32(page + 44));
}

START_TEST(a_meta_comes_back_as_it_was)
{
    for (uint32_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2) {
        for (pgno_t pgno = 0; pgno <= 1; pgno++) {
            struct meta meta = meta_sample(size, 77);
            struct meta back;
            meta.clean = pgno == 1;
            memset(test_file, 0xee, FILE_SIZE);
            meta_encode(&meta, pgno, test_file);
            ck_assert_int_eq(meta_decode(test_file, size, pgno, &back, &test_error), BTS_OK);
            ck_assert_uint_eq(back.page_size, size);
            ck_assert_mem_eq(back.uuid, meta.uuid, 16);
            ck_assert_uint_eq(back.txnid, 77);
            ck_assert_uint_eq(back.root, meta.root);
            ck_assert_uint_eq(back.depth, meta.depth);
            ck_assert_uint_eq(back.bucket_count, meta.bucket_count);
            ck_assert_uint_eq(back.page_count, meta.page_count);
            ck_assert_uint_eq(back.clean, meta.clean);
            ck_assert_uint_eq(back.log_epoch, meta.log_epoch);
            ck_assert_uint_eq(back.log_position, meta.log_position);
            ck_assert_uint_eq(back.next_bucket_id, meta.next_bucket_id);
            ck_assert_uint_eq(back.created_s, meta.created_s);
        }
    }
}
END_TEST

START_TEST(the_bytes_are_as_the_format_says)
{
    struct meta meta = meta_sample(4096, 77);

    meta.clean = true;
    put(&meta, 0);
    ck_assert_uint_eq(test_file[4], PAGE_META);
    ck_assert_uint_eq(bytes_load_u32(test_file + 8), 0);
    ck_assert_uint_eq(bytes_load_u32(test_file + 12), BUCKET_ID_NONE);
    ck_assert_uint_eq(bytes_load_u64(test_file + 16), 77);
    ck_assert_mem_eq(test_file + 32, "btstore\n", 8);
    ck_assert_uint_eq(bytes_load_u32(test_file + 40), 1);
    ck_assert_uint_eq(bytes_load_u32(test_file + 44), 4096);
    ck_assert_mem_eq(test_file + 48, meta.uuid, 16);
    ck_assert_uint_eq(bytes_load_u64(test_file + 64), 77);
    ck_assert_uint_eq(bytes_load_u32(test_file + 72), 1077);
    ck_assert_uint_eq(bytes_load_u32(test_file + 76), 2);
    ck_assert_uint_eq(bytes_load_u64(test_file + 80), 3);
    ck_assert_uint_eq(bytes_load_u32(test_file + 88), 5000);
    ck_assert_uint_eq(bytes_load_u32(test_file + 92), META_CLEAN);
    ck_assert_uint_eq(bytes_load_u64(test_file + 96), 4);
    ck_assert_uint_eq(bytes_load_u64(test_file + 104), 65536 * 77);
    ck_assert_uint_eq(bytes_load_u32(test_file + 112), 5);
    ck_assert_uint_eq(bytes_load_u32(test_file + 116), 0);
    ck_assert_uint_eq(bytes_load_u64(test_file + 120), 1700000000);
    for (size_t i = META_SIZE; i < 4096; i++) {
        ck_assert_uint_eq(test_file[i], 0);
    }
}
END_TEST

START_TEST(the_newer_meta_is_current)
{
    for (uint32_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2) {
        put_both(size, 7, 8);
        expect(FILE_SIZE, 1, 8);
        put_both(size, 9, 8);
        expect(FILE_SIZE, 0, 9);
        put_both(size, 8, 8);
        expect(FILE_SIZE, 0, 8);
    }
    put_both(4096, UINT64_C(1) << 63, 5); /* unsigned, all 64 bits */
    expect(FILE_SIZE, 0, UINT64_C(1) << 63);
    put_both(4096, UINT64_C(0x100000001), 2);
    expect(FILE_SIZE, 0, UINT64_C(0x100000001));
}
END_TEST

START_TEST(of_two_alike_the_clean_one_is_current)
{
    struct meta meta;
    pgno_t pgno = 9;

    put_both(4096, 8, 8);
    meta = meta_sample(4096, 8);
    meta.clean = true;
    put(&meta, 1);
    ck_assert_int_eq(choose(FILE_SIZE, &meta, &pgno), BTS_OK);
    ck_assert_uint_eq(pgno, 1);
    ck_assert(meta.clean);

    put_both(4096, 9, 8);
    meta = meta_sample(4096, 8);
    meta.clean = true; /* an older one does not count, clean or not */
    put(&meta, 1);
    expect(FILE_SIZE, 0, 9);

    meta = meta_sample(4096, 8);
    meta.clean = true; /* both clean: the first one, as ever */
    put(&meta, 0);
    put(&meta, 1);
    expect(FILE_SIZE, 0, 8);
}
END_TEST

/* A user's value may look like a meta, where that of a larger page size would be. */
START_TEST(the_search_for_meta_1_ends_at_the_first)
{
    struct meta forged = meta_sample(8192, 99);

    put_both(4096, 7, 8);
    put(&forged, 1);
    test_file[0] ^= 1;
    expect(FILE_SIZE, 1, 8);
}
END_TEST

/* A power cut tears the page being written at any sector: the other one stands. */
START_TEST(a_torn_meta_leaves_the_other_one)
{
    static uint8_t before[FILE_SIZE];

    for (uint32_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2) {
        for (pgno_t torn = 0; torn <= 1; torn++) {
            struct meta next = meta_sample(size, 9);
            size_t at = torn * (size_t)size;
            put_both(size, 8, 8);
            memcpy(before, test_file, FILE_SIZE);
            put(&next, torn);
            memset(test_file + at + 60, 0, 60);
            expect(FILE_SIZE, 1 - torn, 8);
            memcpy(test_file + at, before + at, 64); /* head old, tail new */
            expect(FILE_SIZE, 1 - torn, 8);
            memset(test_file + at, 0xff, size); /* all of it lost */
            expect(FILE_SIZE, 1 - torn, 8);
        }
    }
}
END_TEST

START_TEST(every_bit_of_a_meta_is_guarded)
{
    put_both(4096, 9, 8);
    for (size_t bit = 0; bit < 4096 * 8; bit += bit < 1100 ? 1 : 97) {
        test_file[bit / 8] ^= (uint8_t)(1u << bit % 8);
        expect(FILE_SIZE, 1, 8);
        test_file[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    expect(FILE_SIZE, 0, 9);
}
END_TEST

START_TEST(both_torn_is_damage_and_says_why_for_each)
{
    put_both(4096, 8, 8);
    test_file[130] ^= 1;
    memset(test_file + 4096, 0, 4096);
    expect_refused(FILE_SIZE, BTS_DAMAGED, "page 0: ");
    ck_assert_ptr_nonnull(strstr(test_error.text, "checksum"));
    ck_assert_ptr_nonnull(strstr(test_error.text, "page 1: not a meta page of a store"));
}
END_TEST

START_TEST(what_is_no_store_is_refused)
{
    memset(test_file, 0, FILE_SIZE);
    expect_refused(FILE_SIZE, BTS_DAMAGED, "no valid meta page");
    memset(test_file, 'x', FILE_SIZE);
    expect_refused(FILE_SIZE, BTS_DAMAGED, "page 0: not a meta page of a store");
}
END_TEST

START_TEST(a_truncated_file_is_refused_unless_a_meta_is_whole)
{
    for (uint32_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2) {
        put_both(size, 8, 9);
        expect_refused(0, BTS_DAMAGED, "the file ends");
        expect_refused(1, BTS_DAMAGED, "the file ends");
        expect_refused(4095, BTS_DAMAGED, "the file ends");
        expect_refused(size - 1, BTS_DAMAGED, "the file ends");
        expect(size, 0, 8);
        expect(2 * (size_t)size - 1, 0, 8);
        expect(2 * (size_t)size, 1, 9);
        test_file[200] ^= 1;
        expect(2 * (size_t)size, 1, 9);
        expect_refused(2 * (size_t)size - 1, BTS_DAMAGED, "no valid meta page");
    }
}
END_TEST

START_TEST(a_meta_in_the_wrong_place_does_not_count)
{
    struct meta meta = meta_sample(4096, 8);

    memset(test_file, 0, FILE_SIZE);
    meta_encode(&meta, 1, test_file); /* meta 1 where 0 belongs */
    expect_refused(FILE_SIZE, BTS_DAMAGED, "no valid meta page");
    meta_encode(&meta, 0, test_file + 4096);
    expect_refused(FILE_SIZE, BTS_DAMAGED, "no valid meta page");

    memset(test_file, 0, FILE_SIZE);
    meta_encode(&meta, 1, test_file + 8192); /* page size 4096 at 8192 */
    expect_refused(FILE_SIZE, BTS_DAMAGED, "no valid meta page");
    meta.page_size = 8192;
    meta_encode(&meta, 1, test_file + 8192);
    expect(FILE_SIZE, 1, 8);
}
END_TEST

START_TEST(two_metas_of_different_stores_are_damage)
{
    struct meta meta = meta_sample(4096, 9);

    put_both(4096, 8, 8);
    meta.uuid[15] ^= 1;
    put(&meta, 1);
    expect_refused(FILE_SIZE, BTS_DAMAGED, "different stores");

    put_both(4096, 8, 8);
    meta = meta_sample(8192, 9);
    meta_encode(&meta, 1, test_file + 4096);
    expect_refused(FILE_SIZE, BTS_DAMAGED, "different stores");
}
END_TEST

START_TEST(a_newer_version_is_not_called_damage)
{
    for (pgno_t newer = 0; newer <= 1; newer++) {
        put_both(4096, 8, 9);
        forge_u32(newer * (size_t)4096, 40, 2);
        expect_refused(FILE_SIZE, BTS_VERSION, "format version 2, this program knows 1");
    }
    put_both(65536, 8, 8);
    memset(test_file, 0, 65536); /* found by search too */
    forge_u32(65536, 40, 3);
    expect_refused(FILE_SIZE, BTS_VERSION, "format version 3");

    put_both(4096, 8, 9);
    bytes_store_u32(test_file + 4096 + 40, 2); /* not sealed: rot, no version */
    expect(FILE_SIZE, 0, 8);
}
END_TEST

/* Numbers that a right checksum does not make possible. */
START_TEST(impossible_numbers_are_damage)
{
    static const struct {
        size_t at;
        uint32_t value;
        const char *text;
    } rows[] = {
        {4, PAGE_MAP, "no meta page"},
        {12, 7, "no meta page"},
        {16, 7, "transaction"},
        {24, 1, "reserved"},
        {28, 1, "reserved"},
        {64, 7, "transaction"},
        {72, 0, "root"},
        {72, 1, "root"},
        {72, 3, "root"},
        {72, 5000, "root"},
        {72, 5001, "root"},
        {72, UINT32_MAX, "root"},
        {76, 0, "root"},
        {80, 0, "root"},
        {88, 3, "page count"},
        {88, 1000, "root"},
        {92, 2, "reserved"},
        {116, 1, "reserved"},
        {128, 1, "reserved"},
        {4092, 1, "reserved"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_both(4096, 8, 8);
        memset(test_file + 4096, 0, 4096);
        forge_u32(0, rows[i].at, rows[i].value);
        expect_refused(FILE_SIZE, BTS_DAMAGED, rows[i].text);
    }
}
END_TEST

START_TEST(impossible_page_sizes_are_damage)
{
    static const uint32_t sizes[] = {0, 1, 512, 2048, 4095, 6000, 131072, UINT32_MAX};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put_both(4096, 8, 8);
        memset(test_file + 4096, 0, 4096);
        bytes_store_u32(test_file + 44, sizes[i]);
        page_seal(test_file, 4096);
        expect_refused(FILE_SIZE, BTS_DAMAGED, "impossible page size");
    }
}
END_TEST

START_TEST(a_root_on_a_map_page_is_damage)
{
    pgno_t group_pages = (4096 - 32) * 8;
    struct meta meta = meta_sample(4096, 8);

    memset(test_file, 0, FILE_SIZE);
    meta.page_count = 2 * group_pages;
    for (pgno_t i = 0; i < 3; i++) {
        meta.root = group_pages + i;
        put(&meta, 0);
        if (i < 2) {
            expect_refused(FILE_SIZE, BTS_DAMAGED, "root");
        } else {
            expect(FILE_SIZE, 0, 8);
        }
    }
}
END_TEST

START_TEST(an_empty_directory_has_no_root)
{
    struct meta meta = meta_sample(4096, 1);

    memset(test_file, 0, FILE_SIZE);
    meta.root = PGNO_NONE;
    meta.depth = 0;
    meta.bucket_count = 0;
    meta.page_count = 4;
    put(&meta, 0);
    expect(FILE_SIZE, 0, 1);
    forge_u32(0, 76, 1); /* nor depth */
    expect_refused(FILE_SIZE, BTS_DAMAGED, "root");
    forge_u32(0, 76, 0);
    forge_u32(0, 80, 1); /* nor buckets */
    expect_refused(FILE_SIZE, BTS_DAMAGED, "root");
}
END_TEST

int main(void)
{
    return UNIT_RUN("meta", a_meta_comes_back_as_it_was, the_bytes_are_as_the_format_says,
                    the_newer_meta_is_current, of_two_alike_the_clean_one_is_current,
                    the_search_for_meta_1_ends_at_the_first,
                    a_torn_meta_leaves_the_other_one, every_bit_of_a_meta_is_guarded,
                    both_torn_is_damage_and_says_why_for_each, what_is_no_store_is_refused,
                    a_truncated_file_is_refused_unless_a_meta_is_whole,
                    a_meta_in_the_wrong_place_does_not_count,
                    two_metas_of_different_stores_are_damage,
                    a_newer_version_is_not_called_damage, impossible_numbers_are_damage,
                    impossible_page_sizes_are_damage, a_root_on_a_map_page_is_damage,
                    an_empty_directory_has_no_root);
}
