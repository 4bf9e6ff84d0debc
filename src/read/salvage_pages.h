/* SPDX-License-Identifier: MIT */
/*
 * salvage_pages: the pages of a damaged file, read one by one.
 *
 * Every page is read with pread into memory of the caller and checked there:
 * a file that is cut short, shrinks meanwhile or lies on a bad sector gives a
 * reason, never a SIGBUS.  Nothing is believed because it was read before.
 *
 * It remembers which pages a walk has reached, one bit a page; that bounds
 * what hostile bytes can make a salvage do.
 *
 * Nothing here writes: the descriptor is the caller's, and read-only.
 */
#ifndef READ_SALVAGE_PAGES_H
#define READ_SALVAGE_PAGES_H

#include "format/leaf.h"

struct salvage_pages {
    int fd;                /* not owned */
    size_t page_size;
    uint64_t page_count;   /* pages of the store: none at or above it is looked at */
    uint64_t file_pages;   /* whole pages that the file has */
    uint8_t *reached;      /* a bit per page; owned */
    uint8_t *run;          /* the run last read; owned */
    size_t run_room;
};

/* `page_count`: the meta's high-water mark; 0: what the file has.  BTS_NO_MEMORY, BTS_IO. */
BTS_MUST_USE enum bts_status salvage_pages_init(struct salvage_pages *pages, int fd,
                                                size_t page_size, uint64_t page_count,
                                                struct bts_error *error);
void salvage_pages_fini(struct salvage_pages *pages);

/* Reads page `pgno`, unchecked.  BTS_DAMAGED: `why` says why it cannot be had. */
BTS_MUST_USE enum bts_status salvage_pages_read(const struct salvage_pages *pages, pgno_t pgno,
                                                void *page, struct bts_error *why);

/* The same, and page_check. */
BTS_MUST_USE enum bts_status salvage_pages_get(const struct salvage_pages *pages, pgno_t pgno,
                                               void *page, struct bts_error *why);

/*
 * Reads the run at `pgno` whole and checks it: its length, its bucket, and
 * that it was born at `born_max` or before.  *value is valid until the next
 * run is read.  BTS_DAMAGED: `why`.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status salvage_pages_run(struct salvage_pages *pages, pgno_t pgno,
                                               uint64_t length, uint32_t bucket, txnid_t born_max,
                                               struct bts_bytes *value, struct bts_error *why);

static inline bool salvage_pages_is_reached(const struct salvage_pages *pages, uint64_t pgno)
{
    return (pages->reached[pgno / 8] >> pgno % 8 & 1) != 0;
}

/* Marks [pgno, pgno + count), which lie below page_count; false: some were marked before. */
bool salvage_pages_reach(struct salvage_pages *pages, pgno_t pgno, uint64_t count);

#endif
