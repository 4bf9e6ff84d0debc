/* SPDX-License-Identifier: MIT */
/* bucket: by name and by number. */
#include "read/bucket.h"

#include "build_tree.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define BUCKETS 300u

static struct build build;
static struct tree_view directory;
static char names[BUCKETS][32];

/* Buckets "bucket 000" ..; number i * 3, and every tenth is empty. */
static void plant(void)
{
    static const struct build_entry entry = {(const uint8_t *)"k", 1, (const uint8_t *)"v", 1};
    static struct bucket_record records[BUCKETS];
    const char *name[BUCKETS];
    struct bucket_record record;

    build_init(&build, 4096, 1000);
    for (unsigned i = 0; i < BUCKETS; i++) {
        snprintf(names[i], sizeof(names[i]), "bucket %03u", i);
        name[i] = names[i];
        records[i] = build_tree(&build, i * 3, &entry, i % 10 != 0);
    }
    record = build_directory(&build, name, records, BUCKETS);
    ck_assert_uint_eq(record.depth, 2);
    directory = build_view(&build, &record);
}

START_TEST(every_bucket_is_found_by_name_and_shows_its_entries)
{
    struct bucket_record record;
    struct bts_bytes value;

    plant();
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct tree_view view;

        ck_assert_int_eq(bucket_find(&directory, names[i], strlen(names[i]), &record, NULL),
                         BTS_OK);
        ck_assert_uint_eq(record.id, i * 3);
        view = bucket_view(&directory, &record);
        ck_assert_int_eq(tree_get(&view, "k", 1, &value, NULL),
                         i % 10 != 0 ? BTS_OK : BTS_NOT_FOUND);
    }
    build_fini(&build);
}
END_TEST

START_TEST(every_bucket_is_found_by_number)
{
    struct bucket_record record;
    uint8_t name[BUCKET_NAME_MAX];
    size_t size;

    plant();
    for (unsigned i = 0; i < BUCKETS; i++) {
        ck_assert_int_eq(bucket_find_id(&directory, i * 3, &record, name, &size, NULL), BTS_OK);
        ck_assert_uint_eq(record.id, i * 3);
        ck_assert_uint_eq(size, strlen(names[i]));
        ck_assert_mem_eq(name, names[i], size);
        ck_assert_int_eq(bucket_find_id(&directory, i * 3, &record, NULL, NULL, NULL), BTS_OK);
    }
    build_fini(&build);
}
END_TEST

START_TEST(an_unknown_bucket_is_named)
{
    struct bucket_record record;
    struct bts_error error;
    size_t size = 1;

    plant();
    ck_assert_int_eq(bucket_find(&directory, "users", 5, &record, &error), BTS_NO_BUCKET);
    ck_assert_str_eq(error.text, "no bucket \"users\"");
    ck_assert_int_eq(bucket_find(&directory, "", 0, &record, &error), BTS_NO_BUCKET);
    ck_assert_int_eq(bucket_find(&directory, names, sizeof(names), &record, &error),
                     BTS_NO_BUCKET);
    ck_assert_ptr_nonnull(strstr(error.text, "255"));
    ck_assert_int_eq(bucket_find_id(&directory, 1, &record, NULL, &size, &error), BTS_NO_BUCKET);
    ck_assert_str_eq(error.text, "no bucket with number 1");
    ck_assert_uint_eq(size, 0);
    build_fini(&build);
}
END_TEST

START_TEST(a_damaged_record_names_its_bucket)
{
    struct bucket_record record;
    struct bts_error error;
    struct build_entry entry = {(const uint8_t *)"users", 5, (const uint8_t *)"short", 5};

    build_init(&build, 4096, 10);
    record = build_tree(&build, BUCKET_ID_DIRECTORY, &entry, 1);
    directory = build_view(&build, &record);
    ck_assert_int_eq(bucket_find(&directory, "users", 5, &record, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "bucket \"users\""));
    ck_assert_uint_eq(record.root, 0);
    ck_assert_int_eq(bucket_find_id(&directory, 0, &record, NULL, NULL, &error), BTS_DAMAGED);
    build_page(&build, directory.root)->crc ^= 1;
    build_forget(&build);
    ck_assert_int_eq(bucket_find(&directory, "users", 5, &record, &error), BTS_DAMAGED);
    ck_assert_int_eq(bucket_find_id(&directory, 0, &record, NULL, NULL, &error), BTS_DAMAGED);
    build_fini(&build);
}
END_TEST

int main(void)
{
    return UNIT_RUN("bucket", every_bucket_is_found_by_name_and_shows_its_entries,
                    every_bucket_is_found_by_number, an_unknown_bucket_is_named,
                    a_damaged_record_names_its_bucket);
}
