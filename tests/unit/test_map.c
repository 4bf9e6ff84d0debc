/* SPDX-License-Identifier: MIT */
/* map: a span larger than the file, growth without a dead pointer, and fork. */
#include "read/map.h"

#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static _Atomic uint64_t page_count;

/* A file of `pages` sealed leaves without entries. */
static int make_file(pgno_t pages)
{
    int fd = memfd_create("map", 0);
    _Alignas(8) uint8_t page[PAGE];

    ck_assert_int_ge(fd, 0);
    for (pgno_t p = 0; p < pages; p++) {
        page_init(page, PAGE, PAGE_LEAF, 0, p, 7, 5);
        page_seal(page, PAGE);
        ck_assert_int_eq(pwrite(fd, page, PAGE, (off_t)p * PAGE), PAGE);
    }
    page_count = pages;
    return fd;
}

static void append_page(int fd)
{
    _Alignas(8) uint8_t page[PAGE];
    pgno_t p = (pgno_t)page_count;

    page_init(page, PAGE, PAGE_LEAF, 0, p, 7, 6);
    page_seal(page, PAGE);
    ck_assert_int_eq(pwrite(fd, page, PAGE, (off_t)p * PAGE), PAGE);
    page_count = p + 1;
}

static struct map *open_map(int fd, uint64_t span)
{
    struct bts_error error;
    struct map *map;
    enum bts_status status = map_open(fd, PAGE, span, &page_count, &map, &error);

    ck_assert_msg(status == BTS_OK, "%s", error.text);
    return map;
}

static const struct page_header *get(const struct map *map, pgno_t pgno)
{
    return page_source_get(&map->source, pgno, 0, 10, NULL);
}

START_TEST(one_tebibyte_is_reserved_by_default)
{
    struct map *map = open_map(make_file(3), 0);

    ck_assert_uint_le(map->span, MAP_SPAN_DEFAULT);
    ck_assert_uint_ge(map->span, 1ull << 30);
    ck_assert_uint_eq(map->source.page_limit, map->span / PAGE);
    for (pgno_t p = 0; p < 3; p++)
        ck_assert_uint_eq(get(map, p)->pgno, p);
    ck_assert_ptr_null(get(map, 3));
    map_close(map);
}
END_TEST

START_TEST(the_map_is_as_large_as_asked_and_never_smaller_than_the_file)
{
    struct map *map = open_map(make_file(3), 100 << 20);

    ck_assert_uint_eq(map->span, 100 << 20);
    map_close(map);
    map = open_map(make_file(1000), 1);
    ck_assert_uint_ge(map->span, 1000 * PAGE);
    ck_assert_ptr_nonnull(get(map, 999));
    map_close(map);
    map = open_map(make_file(0), UINT64_MAX);
    ck_assert_uint_ge(map->span, 1ull << 30);
    ck_assert_uint_eq(map->source.page_limit, map->span / PAGE);
    map_close(map);
}
END_TEST

START_TEST(pages_appear_as_the_file_grows)
{
    int fd = make_file(2);
    int writer = dup(fd);
    struct map *map = open_map(fd, 0);

    for (pgno_t p = 2; p < 600; p++) {
        ck_assert_ptr_null(get(map, p));
        append_page(writer);
        ck_assert_uint_eq(get(map, p)->pgno, p);
    }
    map_close(map);
    close(writer);
}
END_TEST

START_TEST(the_span_is_halved_while_the_system_refuses_it)
{
    struct rlimit limit = {4ull << 30, 4ull << 30};
    int fd = make_file(10);
    struct bts_error error;
    struct map *map;

    if (getenv("BTS_SANITIZER") != NULL && strcmp(getenv("BTS_SANITIZER"), "1") == 0)
        return; /* its own address space is larger than any limit */
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    map = open_map(fd, 0);
    ck_assert_uint_lt(map->span, 4ull << 30);
    ck_assert_uint_ge(map->span, 1ull << 30);
    ck_assert_ptr_nonnull(get(map, 9));
    map_close(map);
    limit.rlim_cur = 1 << 20;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_int_eq(map_open(make_file(10), PAGE, 0, &page_count, &map, &error), BTS_NO_MEMORY);
    ck_assert_ptr_null(map);
    ck_assert_ptr_nonnull(strstr(error.text, "1048576 bytes"));
}
END_TEST

START_TEST(a_grown_map_leaves_the_old_one_in_use)
{
    int fd = make_file(10);
    int writer = dup(fd);
    struct map *first = open_map(fd, 1 << 20);
    struct map *map = first;
    const struct page_header *old = get(first, 5);

    ck_assert_uint_eq(first->source.page_limit, 256);
    ck_assert_int_eq(map_grow(map, 256, &map, NULL), BTS_OK);
    ck_assert_ptr_eq(map, first);
    while (page_count < 2000) {
        append_page(writer);
        ck_assert_int_eq(map_grow(map, page_count, &map, NULL), BTS_OK);
        ck_assert_uint_eq(get(map, (pgno_t)page_count - 1)->pgno, page_count - 1);
    }
    ck_assert_uint_eq(map->source.page_limit, 2048);
    ck_assert_ptr_ne(get(map, 5), old);
    ck_assert_ptr_eq(get(first, 5), old);
    ck_assert_uint_eq(old->pgno, 5);
    map_close(map);
    close(writer);
}
END_TEST

START_TEST(growth_beyond_all_page_numbers_is_refused_and_harms_nothing)
{
    struct map *map = open_map(make_file(10), 1 << 20);
    struct map *grown = NULL;
    struct bts_error error;

    ck_assert_int_eq(map_grow(map, 1ull << 32, &grown, &error), BTS_LIMIT);
    ck_assert_ptr_eq(grown, map);
    ck_assert_ptr_nonnull(get(map, 9));
    map_close(map);
}
END_TEST

START_TEST(the_descriptor_is_the_maps_also_on_failure)
{
    int ends[2];
    struct bts_error error;
    struct map *map;

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(map_open(ends[0], PAGE, 0, &page_count, &map, &error), BTS_IO);
    ck_assert_ptr_null(map);
    ck_assert_int_eq(fcntl(ends[0], F_GETFD), -1);
    close(ends[1]);
    ends[0] = make_file(1);
    map_close(open_map(ends[0], 0));
    ck_assert_int_eq(fcntl(ends[0], F_GETFD), -1);
    map_close(NULL);
}
END_TEST

/* Whether there is a mapping at `address`. */
static bool is_mapped(const void *address)
{
    unsigned char vector;

    return mincore((void *)(uintptr_t)address, PAGE, &vector) == 0;
}

START_TEST(a_fork_child_has_no_map_and_closing_it_there_harms_nobody)
{
    struct map *map = open_map(make_file(10), 0);
    const void *base = map->source.base;
    int status;
    pid_t child;

    ck_assert_ptr_nonnull(get(map, 9));
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        void *other;

        if (is_mapped(base) || is_mapped((const void *)map->source.verified))
            _exit(1);
        /* Something else has come to lie there: map_close must leave it alone. */
        other = mmap((void *)(uintptr_t)base, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        map_close(map);
        _exit(is_mapped(other) ? 0 : 2);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(get(map, 9));
    map_close(map);
}
END_TEST

int main(void)
{
    return UNIT_RUN("map", one_tebibyte_is_reserved_by_default,
                    the_map_is_as_large_as_asked_and_never_smaller_than_the_file,
                    pages_appear_as_the_file_grows, the_span_is_halved_while_the_system_refuses_it,
                    a_grown_map_leaves_the_old_one_in_use,
                    growth_beyond_all_page_numbers_is_refused_and_harms_nothing,
                    the_descriptor_is_the_maps_also_on_failure,
                    a_fork_child_has_no_map_and_closing_it_there_harms_nobody);
}
