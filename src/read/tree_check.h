/* SPDX-License-Identifier: MIT */
/*
 * tree_check: prove that one state of the store is whole.
 *
 * Walks the directory and every bucket from a root: checksums, structure, key
 * order across pages, separators against subtrees, levels, births, owners,
 * counts against bucket records, each page reached once.  Then compares what
 * was reached with the space map of the same state, page for page.
 *
 * Never fooled by hostile bytes: every page number is checked, depth is
 * capped, and a page reached twice is a finding, not a loop.
 */
#ifndef READ_TREE_CHECK_H
#define READ_TREE_CHECK_H

#include "format/meta.h"
#include "read/tree.h"

struct tree_check {
    const struct page_source *source;
    bts_check_report *report;  /* may be NULL */
    void *argument;
    struct bts_check_result result;
    uint8_t *reached;          /* a bit per page; owned */
    pgno_t page_count;
    txnid_t txnid;
};

/* Prepares to check the state `txnid` of a file of `page_count` pages. */
BTS_MUST_USE enum bts_status tree_check_init(struct tree_check *check,
                                             const struct page_source *source, txnid_t txnid,
                                             pgno_t page_count, bts_check_report *report,
                                             void *argument, struct bts_error *error);
void tree_check_fini(struct tree_check *check);

/* Walks everything below the directory root; findings are reported and counted. */
BTS_MUST_USE enum bts_status tree_check_walk(struct tree_check *check, pgno_t root, uint32_t depth,
                                             uint64_t bucket_count, struct bts_error *error);

/*
 * Compares what was reached with the maps of checkpoint `check->txnid`: per
 * group the newest valid copy at or before it.  No usable copy is damage.
 */
BTS_MUST_USE enum bts_status tree_check_maps(struct tree_check *check, struct bts_error *error);

/*
 * The same comparison with bits that the caller holds (one per page, as in a
 * space map page, groups back to back without headers).
 */
BTS_MUST_USE enum bts_status tree_check_bits(struct tree_check *check, const uint8_t *bits,
                                             struct bts_error *error);

/* Whether anything was found. */
bool tree_check_failed(const struct tree_check *check);

#endif
