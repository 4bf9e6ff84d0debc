/* SPDX-License-Identifier: MIT */
/*
 * map: reserve, advise, grow and give back the maps of the database file.
 */
#include "read/map.h"

#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The smallest span worth a try: less is refused for other reasons than its size. */
#define MAP_SPAN_MIN (1ull << 20)

/* Marks of the pages of a span, so many that the words behind them are aligned. */
static size_t map_marks(size_t span, unsigned page_shift)
{
    return ((span >> page_shift) + 1) & ~(size_t)1;
}

/* Bytes of the table for a span: marks, then the bits of known pages. */
static size_t map_table_size(size_t span, unsigned page_shift)
{
    return map_marks(span, page_shift) * sizeof(uint32_t) +
           page_source_known_words(span >> page_shift) * sizeof(uint64_t);
}

/* Gives back both mappings, or what map_try has made of them so far. */
static void map_unmap(struct map *map)
{
    struct page_source *source = &map->source;

    if (source->base != NULL)
        munmap((void *)(uintptr_t)source->base, map->span);
    if (source->verified != NULL)
        munmap((void *)(uintptr_t)source->verified, map_table_size(map->span, source->page_shift));
    source->base = NULL;
    source->verified = NULL;
    source->known = NULL;
}

/* Maps file and table with this very span; 0 or an errno. */
static int map_try(struct map *map, size_t span)
{
    struct page_source *source = &map->source;
    size_t table_size = map_table_size(span, source->page_shift);
    void *base = mmap(NULL, span, PROT_READ, MAP_SHARED, map->fd, 0);
    void *table;
    int refused;

    if (base == MAP_FAILED)
        return errno;
    map->span = span;
    source->base = base;
    table = mmap(NULL, table_size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED) {
        refused = errno;
        map_unmap(map);
        return refused;
    }
    source->verified = table;
    source->known = (_Atomic uint64_t *)(source->verified + map_marks(span, source->page_shift));
    source->page_limit = (pgno_t)(span >> source->page_shift);
    if (madvise(base, span, MADV_DONTFORK) != 0 || madvise(table, table_size, MADV_DONTFORK) != 0) {
        refused = errno;
        map_unmap(map);
        return refused;
    }
    /* Refused where the filesystem makes no large folios: the map is only slower then. */
    (void)madvise(base, span, MADV_HUGEPAGE);
    return 0;
}

/* Maps with `span`, or half of it, or half of that .. down to `needed`. */
static enum bts_status map_reserve(struct map *map, uint64_t span, uint64_t needed,
                                   struct bts_error *error)
{
    uint64_t smallest = needed > MAP_SPAN_MIN ? needed : MAP_SPAN_MIN;
    int refused;

    if (span < smallest)
        span = smallest;
    for (;;) {
        refused = map_try(map, span);
        if (refused == 0)
            return BTS_OK;
        if ((refused != ENOMEM && refused != EINVAL && refused != EOVERFLOW) || span == smallest)
            break;
        span = span / 2 > smallest ? span / 2 : smallest;
    }
    return err_set_errno(error, refused == ENOMEM ? BTS_NO_MEMORY : BTS_IO, refused,
                         "map of %llu bytes", (unsigned long long)span);
}

/* `size` as whole pages, no more of them than page numbers reach. */
static uint64_t map_round(uint64_t size, unsigned page_shift)
{
    uint64_t page_size = 1ull << page_shift;
    uint64_t most = (uint64_t)UINT32_MAX << page_shift;

    return size >= most ? most : (size + page_size - 1) & ~(page_size - 1);
}

static struct map *map_create(int fd, unsigned page_shift, const _Atomic uint64_t *page_count)
{
    struct map *map = calloc(1, sizeof(*map));

    if (map == NULL)
        return NULL;
    map->fd = fd;
    map->owner = getpid();
    map->source.page_shift = page_shift;
    map->source.page_count = page_count;
    return map;
}

enum bts_status map_open(int fd, size_t page_size, uint64_t span,
                         const _Atomic uint64_t *page_count, struct map **map,
                         struct bts_error *error)
{
    unsigned page_shift = (unsigned)__builtin_ctzl(page_size);
    struct map *created = map_create(fd, page_shift, page_count);
    enum bts_status status = BTS_OK;
    struct stat stat;

    assert(page_size_valid(page_size));
    *map = NULL;
    if (created == NULL) {
        close(fd);
        return err_set(error, BTS_NO_MEMORY, "map: out of memory");
    }
    if (fstat(fd, &stat) != 0)
        status = err_set_errno(error, BTS_IO, errno, "map: fstat");
    else
        status = map_reserve(created, map_round(span != 0 ? span : MAP_SPAN_DEFAULT, page_shift),
                             map_round((uint64_t)stat.st_size, page_shift), error);
    if (status != BTS_OK) {
        map_close(created);
        return status;
    }
    *map = created;
    return BTS_OK;
}

void map_close(struct map *map)
{
    while (map != NULL) {
        struct map *older = map->older;

        /* In a fork child the maps are not there, and others may lie in their place. */
        if (map->owner == getpid())
            map_unmap(map);
        if (map->fd >= 0)
            close(map->fd);
        free(map);
        map = older;
    }
}

enum bts_status map_grow(struct map *map, uint64_t pages, struct map **grown,
                         struct bts_error *error)
{
    unsigned page_shift = map->source.page_shift;
    uint64_t needed, doubled;
    struct map *created;
    enum bts_status status;

    *grown = map;
    if (pages <= map->source.page_limit)
        return BTS_OK;
    if (pages > UINT32_MAX)
        return err_set(error, BTS_LIMIT, "map: %llu pages, at most %u",
                       (unsigned long long)pages, UINT32_MAX);
    created = map_create(map->fd, page_shift, map->source.page_count);
    if (created == NULL)
        return err_set(error, BTS_NO_MEMORY, "map: out of memory");
    needed = pages << page_shift;
    doubled = map_round(2 * (uint64_t)map->span, page_shift);
    status = map_reserve(created, needed > doubled ? needed : doubled, needed, error);
    if (status != BTS_OK) {
        free(created);
        return status;
    }
    created->older = map;
    map->fd = -1;
    *grown = created;
    return BTS_OK;
}
