/* SPDX-License-Identifier: MIT */
/*
 * tree_check: prove that one state of the store is whole.
 *
 * Walks the directory and every bucket from a root: checksums, structure, key
 * order across pages, separators against subtrees, levels, births, owners,
 * counts against bucket records, each page reached once.  Then compares what
 * was reached with the space map of the same state, page for page.
 *
 *   tree_check_init, tree_check_walk, tree_check_maps or _bits: the verdict,
 *   tree_check_fini
 *
 * A finding is one line for `report`, as
 *   page 4711 (leaf of bucket "users"): key 7 not above key 6
 * The walk goes on whatever it finds; the comparison at the end gives the
 * verdict over both.  Checksums are computed anew, whatever was verified before.
 *
 * Never fooled by hostile bytes: every page number is checked, depth is
 * capped, and a page reached twice is a finding, not a loop.
 *
 * With a descriptor every page is copied before it is looked at, and the
 * source's map is never touched: a file that somebody cuts short meanwhile
 * gives findings, not a SIGBUS.
 */
#ifndef READ_TREE_CHECK_H
#define READ_TREE_CHECK_H

#include "format/meta.h"
#include "read/tree.h"

/* Lines given to `report`; one more then says how many were left out. */
#define TREE_CHECK_REPORTS_MAX 1000u

struct tree_check {
    const struct page_source *source;
    bts_check_report *report;  /* may be NULL */
    void *argument;
    struct bts_check_result result;
    uint64_t finding_count;
    struct bts_error first;    /* the first finding */
    int fd;                    /* pages are read from it; -1: they lie in the source's map */
    bool is_cut_off;           /* a page could not be read: what it leads to was not reached */
    uint8_t *reached;          /* a bit per page, as in a space map; owned */
    uint8_t *run;              /* the run last copied; owned */
    size_t run_room;
    pgno_t page_count;
    txnid_t txnid;
};

/*
 * Prepares to check the state `txnid` of a file of `page_count` pages.  The
 * fixed pages (metas and space maps) count as reached.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status tree_check_init(struct tree_check *check,
                                             const struct page_source *source, txnid_t txnid,
                                             pgno_t page_count, bts_check_report *report,
                                             void *argument, struct bts_error *error);
/* Has it read pages from `fd`, which stays the caller's, and not from the map. */
static inline void tree_check_read_from(struct tree_check *check, int fd)
{
    check->fd = fd;
}

/* Reports how many findings were left out, if any, and frees. */
void tree_check_fini(struct tree_check *check);

/* Walks everything below the directory root.  BTS_OK whatever it finds; BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status tree_check_walk(struct tree_check *check, pgno_t root, uint32_t depth,
                                             uint64_t bucket_count, struct bts_error *error);

/*
 * Compares what was reached with the maps of checkpoint `check->txnid`: per
 * group the newest valid copy at or before it.  No usable copy is a finding,
 * and so is one that does not verify, though the other does.  BTS_OK: nothing
 * was found, by this or by the walk.  BTS_DAMAGED: how many findings, and the
 * first.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status tree_check_maps(struct tree_check *check, struct bts_error *error);

/*
 * The same with bits that the caller holds (one per page, as in a space map
 * page, groups back to back without headers).
 */
BTS_MUST_USE enum bts_status tree_check_bits(struct tree_check *check, const uint8_t *bits,
                                             struct bts_error *error);

/* Whether anything was found so far. */
bool tree_check_failed(const struct tree_check *check);

/* A finding about one copy of a group's space map. */
void tree_check_find_map(struct tree_check *check, uint32_t group, unsigned copy,
                         const char *text);

/* Counts and reports a finding: how those who check more than trees join in. */
__attribute__((format(printf, 2, 3))) void tree_check_find(struct tree_check *check,
                                                           const char *format, ...);

#endif
