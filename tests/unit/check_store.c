/* SPDX-License-Identifier: MIT */
/*
 * check_store: see check_store.h.
 */
#include "check_store.h"

#include "checks.h"

#include <stdio.h>
#include <string.h>

struct build build;
struct bucket_record directory;
struct bucket_record records[4];
struct build_entries entries[4];
const char *const names[4] = {"accounts", "default", "empty", "users"};

/* What the check reported, line by line. */
char lines[TREE_CHECK_REPORTS_MAX + 2][BTS_ERROR_TEXT_MAX];
size_t line_count;
struct bts_check_result result;
struct bts_error verdict;

void collect(void *argument, const char *text)
{
    ck_assert_ptr_eq(argument, lines);
    ck_assert_uint_lt(line_count, TREE_CHECK_REPORTS_MAX + 1);
    snprintf(lines[line_count++], BTS_ERROR_TEXT_MAX, "%s", text);
}

/* Checks the whole store with the newer of its maps, or with `bits`. */
enum bts_status check_with(const uint8_t *bits)
{
    struct tree_check check;
    enum bts_status status;

    line_count = 0;
    ck_assert_int_eq(tree_check_init(&check, &build.source, build.txnid,
                                     (pgno_t)build.page_count, collect, lines, NULL),
                     BTS_OK);
    ck_assert_int_eq(tree_check_walk(&check, directory.root, directory.depth,
                                     directory.entry_count, NULL),
                     BTS_OK);
    status = bits != NULL ? tree_check_bits(&check, bits, &verdict)
                          : tree_check_maps(&check, &verdict);
    ck_assert_int_eq(status == BTS_DAMAGED, tree_check_failed(&check));
    ck_assert_int_eq(status == BTS_DAMAGED, line_count > 0);
    result = check.result;
    tree_check_fini(&check);
    return status;
}

bool was_reported(const char *text)
{
    for (size_t i = 0; i < line_count; i++)
        if (strstr(lines[i], text) != NULL)
            return true;
    return false;
}

void assert_reported(const char *text)
{
    for (size_t i = 0; i < line_count && !was_reported(text); i++)
        printf("reported: %s\n", lines[i]);
    ck_assert_msg(was_reported(text), "not reported: %s", text);
}

/* The check reports this, naming page `pgno`. */
void assert_found(pgno_t pgno, const char *text)
{
    char line[BTS_ERROR_TEXT_MAX];

    snprintf(line, sizeof(line), "page %u (%s", pgno, text);
    ck_assert_int_eq(check_with(NULL), BTS_DAMAGED);
    assert_reported(line);
}

void plant(size_t page_size, unsigned leaf_max, unsigned children_max)
{
    static const enum build_keys kinds[] = {BUILD_KEYS_DENSE, BUILD_KEYS_URL, BUILD_KEYS_RANDOM,
                                            BUILD_KEYS_PREFIX};
    static const size_t counts[] = {300, 1500, 0, 400};
    struct build_random random = {page_size};

    build_init(&build, page_size, 40000);
    build.leaf_entries_max = leaf_max;
    build.inner_children_max = children_max;
    for (unsigned i = 0; i < 4; i++) {
        build_entries_init(&entries[i], &random, kinds[i], page_size, counts[i], 20000);
        records[i] = build_tree(&build, i == 1 ? 0 : i + 10, entries[i].entry, entries[i].count);
    }
}

void finish(void)
{
    directory = build_directory(&build, names, records, 4);
    build_finish(&build, &directory);
}

void plant_store(void)
{
    plant(4096, 20, 8);
    finish();
}

void fell(void)
{
    for (unsigned i = 0; i < 4; i++)
        build_entries_fini(&entries[i]);
    build_fini(&build);
}
