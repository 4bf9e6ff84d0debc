/* SPDX-License-Identifier: MIT */
/*
 * map: the database file in memory, read-only, and its table of verified pages.
 *
 * A large span of addresses is reserved over the file once (1 TiB by default;
 * halved while the system refuses it), so that growth needs no new map: pages
 * past the end become readable as the file grows.  When even that does not do,
 * map_grow makes a bigger one in front; the old ones stay until map_close, so
 * no pointer ever dies while a thread might use it.  Spans at least double
 * where the system allows it, so all old ones together are no larger than the
 * newest.  A bigger map begins with an empty table: its pages are checked anew.
 *
 * Invariants
 *  (1) The map is MADV_DONTFORK: a fork child has no pages to read unpinned.
 *  (2) Nothing here writes to the file.
 */
#ifndef READ_MAP_H
#define READ_MAP_H

#include "read/page_source.h"

#include <assert.h>
#include <sys/types.h>

#define MAP_SPAN_DEFAULT (1ull << 40)

struct map {
    struct page_source source;    /* page_count points to what map_open was given */
    size_t span;                  /* bytes reserved */
    struct map *older;            /* smaller maps of the same file, still in use perhaps */
    int fd;                       /* kept open: growth maps it again; -1 in older maps */
    pid_t owner;                  /* the process that mapped it */
};

/*
 * Maps the file of descriptor `fd` (which the map owns from then on, also on
 * failure) with a span of `span` bytes (0: MAP_SPAN_DEFAULT), at least the
 * file's present size.  `page_count` must outlive the map.
 * BTS_IO, BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status map_open(int fd, size_t page_size, uint64_t span,
                                      const _Atomic uint64_t *page_count, struct map **map,
                                      struct bts_error *error);

/* Unmaps this map and all older ones; NULL is allowed.  In a fork child it only frees. */
void map_close(struct map *map);

/*
 * A map in front of `map` that spans at least `pages` pages: `map` itself if
 * it does.  The file must reach as far as *page_count says at any time.
 * Callers serialize.  On failure *grown is `map`, which is as before.
 * BTS_LIMIT, BTS_IO, BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status map_grow(struct map *map, uint64_t pages, struct map **grown,
                                      struct bts_error *error);

/*
 * Marks a page that this process has built and written itself as verified.  For
 * the daemon alone: bits of pages below it are not cleared, and so must never
 * be gone by in this map (page_source's invariant 1); with private pages they are not.
 */
static inline void map_mark_verified(const struct page_source *source, pgno_t pgno, txnid_t txnid)
{
    assert(source->private_page != NULL);
    if (pgno < source->page_limit)
        atomic_store_explicit(&source->verified[pgno], page_mark(txnid, false),
                              memory_order_relaxed);
}

#endif
