/* SPDX-License-Identifier: MIT */
/*
 * pages_write: the private pages of a group go to the file; see pages.h.
 */
#include "pages/pages_private.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>

/* The file grows by a part of itself, within these bounds: growth is a journaled change. */
#define GROWTH_MIN_SIZE (256u << 10)
#define GROWTH_MAX_SIZE (16u << 20)
#define GROWTH_PART 32u

/*
 * Bytes that one pwritev takes, and pages.  The system caches in folios as large
 * as what is written at once, and each later write of a page inside of one
 * walks all of it: with 2 MiB at once that made single pages five times dearer.
 */
#define WRITE_SIZE_MAX (64u << 10)
#define WRITE_PARTS_MAX (WRITE_SIZE_MAX / PAGE_SIZE_MIN)

enum bts_status pages_ensure_file(struct pages *pages, pgno_t page_count,
                                  struct bts_error *error)
{
    uint64_t have = atomic_load_explicit(&pages->file_pages, memory_order_relaxed);
    uint64_t step = have * pages->page_size / GROWTH_PART;
    uint64_t wanted;
    enum bts_status status;

    if (page_count <= have)
        return BTS_OK;
    if (step < GROWTH_MIN_SIZE)
        step = GROWTH_MIN_SIZE;
    if (step > GROWTH_MAX_SIZE)
        step = GROWTH_MAX_SIZE;
    wanted = page_count + step / pages->page_size;
    status = file_grow(pages->data, have * pages->page_size, wanted * pages->page_size, error);
    if (status == BTS_NO_SPACE) { /* then only what is needed */
        wanted = page_count;
        status = file_grow(pages->data, have * pages->page_size, wanted * pages->page_size, error);
    }
    if (status == BTS_OK)
        status = map_grow(pages->map, wanted, &pages->map, error);
    if (status != BTS_OK)
        return status;
    atomic_store_explicit(&pages->file_pages, wanted, memory_order_relaxed);
    pages_take_map(pages);
    return BTS_OK;
}

static int compare_pages(const void *a, const void *b)
{
    pgno_t x = ((const struct private_page *)a)->pgno;
    pgno_t y = ((const struct private_page *)b)->pgno;

    return (x > y) - (x < y);
}

/* The private pages in the order of their numbers. */
static enum bts_status sort_private(struct pages *pages, struct bts_error *error)
{
    size_t count = pages->table.count;

    if (count > pages->list_room) {
        struct private_page *grown = realloc(pages->list, 2 * count * sizeof *grown);

        if (grown == NULL)
            return err_set(error, BTS_NO_MEMORY, "pages: out of memory to write %zu pages", count);
        pages->list = grown;
        pages->list_room = 2 * count;
    }
    private_table_list(&pages->table, pages->list);
    qsort(pages->list, count, sizeof *pages->list, compare_pages);
    return BTS_OK;
}

/* How many pages from place `at` of the sorted list on lie together and go in one write. */
static size_t stretch_at(const struct pages *pages, size_t at)
{
    const struct private_page *list = pages->list + at;
    size_t left = pages->table.count - at;
    size_t n = 1;

    while (n < left && (n + 1) * pages->page_size <= WRITE_SIZE_MAX &&
           list[n].pgno == list[0].pgno + n)
        n++;
    return n;
}

/* Room on the disk for each page, where it may lie in a hole. */
static enum bts_status fill_holes(const struct pages *pages, struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    size_t n;

    for (size_t i = 0; status == BTS_OK && i < pages->table.count; i += n) {
        uint64_t from = pages->list[i].pgno * (uint64_t)pages->page_size;

        n = stretch_at(pages, i);
        status = file_reserve(pages->data, from, from + n * pages->page_size, error);
    }
    return status;
}

enum bts_status pages_reserve(struct pages *pages, struct bts_error *error)
{
    enum bts_status status;

    assert(!pages->saving);
    status = pages_ensure_file(pages, space_page_count(pages->space), error);
    if (status == BTS_OK && pages->table.count > 0)
        status = sort_private(pages, error);
    return status == BTS_OK && pages->has_holes ? fill_holes(pages, error) : status;
}

/* Seals and writes `count` pages of the sorted list that lie together. */
static enum bts_status write_stretch(struct pages *pages, const struct private_page *list,
                                     size_t count, struct bts_error *error)
{
    struct iovec parts[WRITE_PARTS_MAX];
    enum bts_status status;

    for (size_t i = 0; i < count; i++) {
        page_seal(list[i].data, pages->page_size);
        parts[i] = (struct iovec){list[i].data, pages->page_size};
    }
    status = file_write_parts(pages->data, parts, count,
                              list[0].pgno * (uint64_t)pages->page_size, error);
    for (size_t i = 0; status == BTS_OK && i < count; i++)
        map_mark_verified(&pages->source, list[i].pgno, pages->txnid);
    return status;
}

enum bts_status pages_write_reserved(struct pages *pages, struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    size_t n;

    if (pages->copies != NULL) /* of pages of this group they would show what they were */
        page_copies_forget(pages->copies);
    for (size_t i = 0; status == BTS_OK && i < pages->table.count; i += n) {
        n = stretch_at(pages, i);
        status = write_stretch(pages, pages->list + i, n, error);
    }
    if (status == BTS_OK)
        pages_drop_private(pages);
    return status;
}

enum bts_status pages_write(struct pages *pages, struct bts_error *error)
{
    enum bts_status status = pages_reserve(pages, error);

    return status == BTS_OK ? pages_write_reserved(pages, error) : status;
}

enum bts_status pages_write_back(struct pages *pages, struct bts_error *error)
{
    uint64_t count = atomic_load_explicit(&pages->file_pages, memory_order_relaxed);

    return file_write_back(pages->data, 0, count * pages->page_size, error);
}
