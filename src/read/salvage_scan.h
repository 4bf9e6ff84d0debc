/* SPDX-License-Identifier: MIT */
/*
 * salvage_scan: all whole tree pages that no walk has reached.
 *
 * One pass over the file.  What it finds may have been cut off by damage, or
 * be an old version of what the trees hold: the space map says which, where it
 * can be believed.  Pages inside a whole run are values, whatever they look
 * like, and are passed over.
 *
 * Takes 24 bytes of memory for each page found.
 */
#ifndef READ_SALVAGE_SCAN_H
#define READ_SALVAGE_SCAN_H

#include "read/salvage_map.h"

struct salvage_page {
    txnid_t txnid;
    uint32_t bucket;
    pgno_t pgno;
    uint8_t level;
    bool is_live;   /* the space map says that it is in use */
};

struct salvage_scan {
    struct salvage_page *page; /* owned */
    size_t count;
    size_t room;
    uint64_t passed_over;      /* leaves in pages that the map calls free */
};

struct salvage_scan_options {
    txnid_t born_max;         /* pages of later transactions are not of the state */
    bool takes_free;          /* those in pages that the map calls free, too */
    bool (*wants)(const void *context, uint32_t bucket);
    const void *context;
};

/*
 * Scans; pages are sorted by bucket, then those that the map vouches for, then
 * the newest first.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status salvage_scan_run(struct salvage_scan *scan,
                                              struct salvage_pages *pages,
                                              const struct salvage_map *map,
                                              const struct salvage_scan_options *options,
                                              struct bts_error *error);
void salvage_scan_fini(struct salvage_scan *scan);

/* The pages of one bucket: [*first, *first + return). */
size_t salvage_scan_bucket(const struct salvage_scan *scan, uint32_t bucket, size_t *first);

#endif
