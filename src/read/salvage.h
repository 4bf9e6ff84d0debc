/* SPDX-License-Identifier: MIT */
/*
 * salvage: read what a damaged file still holds, and tell what it does not.
 *
 *   1  a meta, the newest that is valid; without any, the newest page of the
 *      bucket directory from which a whole directory can be walked
 *   2  the directory: names and roots of the buckets; where it is damaged,
 *      old pages of it for the names, and bucket numbers from page headers
 *   3  every bucket's tree, as far as it verifies (salvage_walk)
 *   4  for what lies behind damaged pages: one scan for leaves that no tree
 *      leads to (salvage_scan)
 *
 * What a leaf without a tree says is believed only
 *  (1) for keys that are lost: never for those that a walk could reach, so
 *      that no deleted key comes back from an old page beside a good tree;
 *  (2) if it was born no later than the state;
 *  (3) if the space map says that its page is in use; where no map can be
 *      believed (or the caller wants old versions): if no newer such leaf
 *      speaks for the key.
 * A leaf of (3) that the map vouches for holds the state itself; entries of
 * the others may be old versions, and each is told by its key.
 *
 * Entries go to a sink bucket by bucket, those of step 4 last.  Memory: two
 * bits a page, the ranges that are lost, and 24 bytes for each page that step
 * 4 finds.
 */
#ifndef READ_SALVAGE_H
#define READ_SALVAGE_H

#include "format/bucket_record.h"
#include "read/salvage_meta.h"
#include "read/salvage_ranges.h"
#include "read/salvage_report.h"
#include "read/salvage_scan.h"

struct salvage_bucket {
    uint32_t id;
    struct bts_bytes name;         /* owned */
    bool has_record;
    struct bucket_record record;
    struct salvage_ranges ranges;  /* what lies behind damage */
    uint64_t written;              /* entries given to the sink */
    uint64_t found_live;           /* of them in pages without a tree that the map vouches for */
    uint64_t found_old;            /* and in others */
    uint64_t values_lost;
    bool is_created;               /* for the sink */
};

/* A name that a page of the directory gave a bucket once. */
struct salvage_label {
    uint32_t id;
    pgno_t pgno;
    struct bts_bytes name; /* owned */
};

/* Where entries go; a status other than BTS_OK ends the salvage. */
struct salvage_sink {
    void *context;
    /* The entries that follow are of this bucket, which may be there already. */
    enum bts_status (*bucket)(void *context, struct salvage_bucket *bucket,
                              struct bts_error *error);
    enum bts_status (*entry)(void *context, struct bts_bytes key, struct bts_bytes value,
                             struct bts_error *error);
};

struct salvage {
    struct salvage_report *report;
    const struct salvage_sink *sink;
    bool takes_old;                /* leaves in free pages, too */

    struct salvage_meta found;
    struct salvage_pages pages;
    struct salvage_map map;
    txnid_t txnid;                 /* of the state; without a meta: of the directory's root */
    struct salvage_tree_root {
        pgno_t root;
        uint32_t depth;
    } directory;

    struct salvage_ranges names;   /* of the directory, lost */
    struct salvage_bucket *bucket; /* owned */
    size_t bucket_count;
    size_t bucket_room;
    struct salvage_place {
        uint32_t id;
        size_t at;
    } *place;                      /* of each bucket, by its number; owned */
    struct salvage_label *label;   /* owned; the newest first */
    size_t label_count;
    size_t label_room;
};

/* Reads metas and space map.  BTS_DAMAGED: no store; BTS_VERSION, BTS_NO_MEMORY, BTS_IO. */
BTS_MUST_USE enum bts_status salvage_init(struct salvage *salvage, int fd, bool takes_old,
                                          struct salvage_report *report, struct bts_error *error);
void salvage_fini(struct salvage *salvage);

/* Gives the sink all there is.  BTS_NO_MEMORY, or what the sink said. */
BTS_MUST_USE enum bts_status salvage_run(struct salvage *salvage,
                                         const struct salvage_sink *sink,
                                         struct bts_error *error);

/* Says what became of each bucket, and what is lost of it. */
void salvage_tell(struct salvage *salvage);

struct salvage_bucket *salvage_find_id(const struct salvage *salvage, uint32_t id);
struct salvage_bucket *salvage_find_name(const struct salvage *salvage, const void *name,
                                         size_t name_size);
/* Adds a bucket; its name is copied.  NULL: no memory. */
struct salvage_bucket *salvage_add_bucket(struct salvage *salvage, uint32_t id,
                                          struct bts_bytes name,
                                          const struct bucket_record *record);

/* A commit of the log dropped it, or gave it another name (false: no memory). */
void salvage_forget_bucket(struct salvage *salvage, struct salvage_bucket *bucket);
bool salvage_rename_bucket(struct salvage_bucket *bucket, struct bts_bytes name);

#endif
