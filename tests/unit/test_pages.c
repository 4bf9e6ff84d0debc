/* SPDX-License-Identifier: MIT */
/*
 * test_pages: what the group at work sees, what a batch leaves when it is
 * undone, and what lies in the file afterwards.
 *
 * Leaf pages carry one entry with a number; the model remembers which number
 * each page should have.
 */
#include "unit.h"

#include "format/leaf.h"
#include "pages/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGES_MAX 1500u

struct known {
    pgno_t pgno;
    uint64_t number;
};

struct store {
    char path[64];
    struct file file;
    struct map *map;
    struct space *space;
    struct pages *pages;
    _Atomic uint64_t page_count;
    struct horizon horizon;
    struct beacon beacon;
    struct known known[PAGES_MAX];
    size_t known_count;
    uint64_t random;
    txnid_t txnid;
};

static struct store store;

static uint64_t next_random(void)
{
    store.random ^= store.random << 13;
    store.random ^= store.random >> 7;
    store.random ^= store.random << 17;
    return store.random;
}

static void open_store(uint64_t span)
{
    const char *directory = getenv("TMPDIR");
    int fd;

    memset(&store, 0, sizeof store);
    store.random = 88172645463325252ull;
    snprintf(store.path, sizeof store.path, "%s/test_pages.XXXXXX",
             directory != NULL ? directory : "/tmp");
    fd = mkstemp(store.path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(file_open(&store.file, &file_system_real, store.path, O_RDWR, 0, NULL),
                     BTS_OK);
    ck_assert_int_eq(file_grow(&store.file, 0, 4 * 4096, NULL), BTS_OK);
    fd = open(store.path, O_RDONLY);
    ck_assert_int_eq(map_open(fd, 4096, span, &store.page_count, &store.map, NULL), BTS_OK);
    ck_assert_int_eq(space_create(4096, &store.space, NULL), BTS_OK);
    ck_assert_int_eq(space_load(store.space, 4, 0, NULL), BTS_OK);
    ck_assert_int_eq(pages_create(&store.file, store.map, store.space, &store.pages, NULL),
                     BTS_OK);
    ck_assert_int_eq(horizon_init(&store.horizon, NULL), BTS_OK);
}

static void close_store(void)
{
    struct map *map = pages_map(store.pages);

    pages_destroy(store.pages);
    space_destroy(store.space);
    map_close(map);
    file_close(&store.file);
    horizon_fini(&store.horizon);
    unlink(store.path);
}

static void begin_group(void)
{
    pages_group_begin(store.pages, ++store.txnid);
}

static void finish_group(void)
{
    ck_assert_int_eq(pages_write(store.pages, NULL), BTS_OK);
    ck_assert_uint_eq(pages_private_bytes(store.pages), 0);
    space_group_end(store.space);
    atomic_store(&store.beacon.latest, store.txnid);
    space_published(store.space, store.txnid);
    ck_assert_int_eq(horizon_scan(&store.horizon, &store.beacon, NULL), BTS_OK);
    space_reclaim(store.space, &store.horizon);
    space_check(store.space);
}

static void set_number(struct page_header *page, uint64_t number)
{
    if (leaf_count(page) > 0)
        ck_assert(leaf_replace(page, 4096, 0, &number, sizeof number));
    else
        ck_assert(leaf_insert(page, 4096, 0, "number", 6, &number, sizeof number));
}

static uint64_t number_of(pgno_t pgno)
{
    struct bts_error error;
    const struct page_header *page =
        page_source_get(pages_source(store.pages), pgno, 0, store.txnid, &error);
    uint64_t number;

    ck_assert_msg(page != NULL, "page %u: %s", pgno, error.text);
    ck_assert_uint_eq(page->pgno, pgno);
    memcpy(&number, leaf_entry_at(page, 0).value, sizeof number);
    return number;
}

static void verify_all(void)
{
    for (size_t i = 0; i < store.known_count; i++)
        ck_assert_uint_eq(number_of(store.known[i].pgno), store.known[i].number);
}

static void make_page(void)
{
    struct page_header *page;
    uint64_t number = next_random();

    ck_assert_int_eq(pages_new(store.pages, PAGE_LEAF, 0, 0, &page, NULL), BTS_OK);
    set_number(page, number);
    store.known[store.known_count++] = (struct known){page->pgno, number};
}

static void change_page(void)
{
    struct known *known = &store.known[next_random() % store.known_count];
    struct page_header *page;

    ck_assert_int_eq(pages_edit(store.pages, known->pgno, 0, &page, NULL), BTS_OK);
    known->pgno = page->pgno;
    known->number = next_random();
    set_number(page, known->number);
}

static void free_page(void)
{
    size_t i = next_random() % store.known_count;
    pgno_t pgno = store.known[i].pgno;
    const struct page_header *page =
        page_source_get(pages_source(store.pages), pgno, 0, store.txnid, NULL);

    ck_assert_int_eq(pages_free(store.pages, pgno, page->txnid, NULL), BTS_OK);
    store.known[i] = store.known[--store.known_count];
}

static void some_changes(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t choice = next_random() % 10;

        if (store.known_count < 50 || (choice < 3 && store.known_count < 400))
            make_page();
        else if (choice < 8)
            change_page();
        else
            free_page();
    }
}

START_TEST(an_undone_batch_leaves_every_page_as_it_was)
{
    static struct known backup[PAGES_MAX];
    size_t backup_count;
    struct space_stat before;
    struct space_stat after;

    open_store(0);
    for (int round = 0; round < UNIT_ROUNDS(60); round++) {
        begin_group();
        for (int batch = 0; batch < 6; batch++) {
            memcpy(backup, store.known, sizeof backup);
            backup_count = store.known_count;
            before = space_stat(store.space);
            pages_savepoint(store.pages);
            some_changes(20);
            verify_all();
            if (next_random() % 2 == 0) {
                pages_keep(store.pages);
                continue;
            }
            pages_undo(store.pages);
            memcpy(store.known, backup, sizeof backup);
            store.known_count = backup_count;
            after = space_stat(store.space);
            ck_assert_uint_eq(before.free, after.free);
            ck_assert_uint_eq(before.unborn, after.unborn);
            ck_assert_uint_eq(before.page_count, after.page_count);
            verify_all();
        }
        finish_group();
        verify_all();
        ck_assert_uint_eq(space_stat(store.space).live, store.known_count);
    }
    close_store();
}
END_TEST

START_TEST(an_aborted_group_never_was)
{
    static struct known backup[PAGES_MAX];
    size_t backup_count;

    open_store(0);
    begin_group();
    some_changes(500);
    finish_group();
    for (int round = 0; round < 50; round++) {
        memcpy(backup, store.known, sizeof backup);
        backup_count = store.known_count;
        begin_group();
        pages_savepoint(store.pages);
        some_changes(100);
        if (round % 2 == 0)
            pages_keep(store.pages);
        if (round % 4 == 0)
            ck_assert_int_eq(pages_write(store.pages, NULL), BTS_OK);
        pages_group_abort(store.pages);
        store.txnid--;
        memcpy(store.known, backup, sizeof backup);
        store.known_count = backup_count;
        space_check(store.space);
        verify_all();
        ck_assert_uint_eq(space_stat(store.space).live, store.known_count);
    }
    close_store();
}
END_TEST

START_TEST(a_group_that_is_written_in_parts_keeps_its_pages_numbers)
{
    pgno_t pgno;
    struct page_header *page;

    open_store(0);
    begin_group();
    make_page();
    pgno = store.known[0].pgno;
    ck_assert_int_eq(pages_write(store.pages, NULL), BTS_OK);
    pages_savepoint(store.pages);
    ck_assert_int_eq(pages_edit(store.pages, pgno, 0, &page, NULL), BTS_OK);
    ck_assert_uint_eq(page->pgno, pgno);
    set_number(page, 4711);
    pages_undo(store.pages);
    verify_all();
    pages_savepoint(store.pages);
    ck_assert_int_eq(pages_edit(store.pages, pgno, 0, &page, NULL), BTS_OK);
    set_number(page, 4711);
    pages_keep(store.pages);
    store.known[0].number = 4711;
    finish_group();
    verify_all();
    ck_assert_uint_eq(space_stat(store.space).live, 1);
    close_store();
}
END_TEST

START_TEST(runs_come_and_go_and_the_map_grows_with_them)
{
    static uint8_t value[300000];
    pgno_t runs[40];

    open_store(1u << 20); /* far less than what is written: the map must grow */
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)(i * 7);
    for (int round = 0; round < 3; round++) {
        begin_group();
        for (int i = 0; i < 40; i++)
            ck_assert_int_eq(pages_new_run(store.pages, 0, value, 1000u + 7000u * (unsigned)i,
                                           &runs[i], NULL),
                             BTS_OK);
        make_page();
        finish_group();
        for (int i = 0; i < 40; i++) {
            const uint8_t *found =
                page_source_run(pages_source(store.pages), runs[i], 1000u + 7000u * (unsigned)i,
                                store.txnid, NULL);
            ck_assert_ptr_nonnull(found);
            ck_assert_int_eq(memcmp(found, value, 1000u + 7000u * (unsigned)i), 0);
        }
        begin_group();
        for (int i = 0; i < 40; i++)
            ck_assert_int_eq(pages_free_run(store.pages, runs[i], 1000u + 7000u * (unsigned)i,
                                            NULL),
                             BTS_OK);
        finish_group();
    }
    verify_all();
    ck_assert_uint_eq(space_stat(store.space).live, store.known_count);
    ck_assert_ptr_ne(pages_map(store.pages), store.map);
    close_store();
}
END_TEST

/* A file system whose writes and growth fail from some moment on. */
static int fail_with;
static struct file_ops failing_ops;

static ssize_t failing_pwritev(void *context, int fd, const struct iovec *parts, int count,
                               off_t offset)
{
    if (fail_with != 0)
        return -fail_with;
    return file_system_real.ops->pwritev(context, fd, parts, count, offset);
}

static int failing_fallocate(void *context, int fd, int mode, off_t offset, off_t size)
{
    if (fail_with != 0)
        return -fail_with;
    return file_system_real.ops->fallocate(context, fd, mode, offset, size);
}

/* Holes that found no room when the file was opened are asked for before a frame is handed over. */
START_TEST(a_hole_without_room_refuses_the_group_before_anything_is_written)
{
    static const struct file_system failing = {&failing_ops, NULL};

    open_store(0);
    ck_assert_int_eq(file_grow(&store.file, 4 * 4096, 64 * 4096, NULL), BTS_OK);
    pages_destroy(store.pages);
    failing_ops = *file_system_real.ops;
    failing_ops.fallocate = failing_fallocate;
    store.file.system = &failing;
    fail_with = ENOSPC;
    ck_assert_int_eq(pages_create(&store.file, store.map, store.space, &store.pages, NULL),
                     BTS_OK);
    begin_group();
    make_page();
    ck_assert_int_eq(pages_reserve(store.pages, NULL), BTS_NO_SPACE);
    pages_group_abort(store.pages);
    store.txnid--;
    store.known_count--;
    fail_with = 0;
    begin_group();
    make_page();
    ck_assert_int_eq(pages_reserve(store.pages, NULL), BTS_OK);
    finish_group();
    verify_all();
    close_store();
}
END_TEST

START_TEST(a_full_disk_refuses_the_group_and_the_next_one_works)
{
    static const struct file_system failing = {&failing_ops, NULL};

    open_store(0);
    failing_ops = *file_system_real.ops;
    failing_ops.pwritev = failing_pwritev;
    failing_ops.fallocate = failing_fallocate;
    store.file.system = &failing;
    begin_group();
    some_changes(50);
    finish_group();
    fail_with = ENOSPC;
    begin_group();
    for (int i = 0; i < 1000; i++)
        make_page();
    ck_assert_int_eq(pages_write(store.pages, NULL), BTS_NO_SPACE);
    pages_group_abort(store.pages);
    store.txnid--;
    store.known_count -= 1000;
    fail_with = 0;
    verify_all();
    begin_group();
    some_changes(50);
    finish_group();
    verify_all();
    close_store();
}
END_TEST

/* Trees of a crafted file may share pages; this stopped the daemon by an assertion once. */
START_TEST(a_page_that_two_lead_to_is_freed_once_and_the_rest_is_told)
{
    struct page_header *page;
    struct space_stat before, after;
    struct bts_error error;
    pgno_t pgno;

    open_store(1 << 20);
    begin_group();
    ck_assert_int_eq(pages_new(store.pages, PAGE_LEAF, 0, 0, &page, NULL), BTS_OK);
    pgno = page->pgno;
    finish_group();
    begin_group();
    before = space_stat(store.space);
    pages_savepoint(store.pages);
    ck_assert_int_eq(pages_free(store.pages, pgno, 1, NULL), BTS_OK);
    ck_assert_int_eq(pages_free(store.pages, pgno, 1, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "two pages lead to it"));
    ck_assert_int_eq(pages_edit(store.pages, pgno, 0, &page, &error), BTS_DAMAGED);
    ck_assert_int_eq(pages_free(store.pages, 2, 1, &error), BTS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error.text, "page 2: is a meta or space map page"));
    ck_assert_int_eq(pages_free(store.pages, 4000000, 1, &error), BTS_DAMAGED);
    pages_undo(store.pages);
    after = space_stat(store.space);
    ck_assert_int_eq(memcmp(&before, &after, sizeof before), 0);
    ck_assert_int_eq(pages_free(store.pages, pgno, 1, NULL), BTS_OK); /* and the work goes on */
    finish_group();
    begin_group();
    ck_assert_int_eq(pages_free(store.pages, pgno, 1, &error), BTS_DAMAGED); /* nobody's now */
    finish_group();
    close_store();
}
END_TEST

int main(void)
{
    return UNIT_RUN("pages", an_undone_batch_leaves_every_page_as_it_was,
                    an_aborted_group_never_was,
                    a_group_that_is_written_in_parts_keeps_its_pages_numbers,
                    runs_come_and_go_and_the_map_grows_with_them,
                    a_hole_without_room_refuses_the_group_before_anything_is_written,
                    a_full_disk_refuses_the_group_and_the_next_one_works,
                    a_page_that_two_lead_to_is_freed_once_and_the_rest_is_told);
}
