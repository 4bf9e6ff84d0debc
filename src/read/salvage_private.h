/* SPDX-License-Identifier: MIT */
/*
 * salvage_private: what the files of a salvage share: directory, trees,
 * orphans, and the words for them.
 */
#ifndef READ_SALVAGE_PRIVATE_H
#define READ_SALVAGE_PRIVATE_H

#include "read/salvage.h"
#include "read/salvage_walk.h"

/* salvage_directory.c: finds the buckets, and names for those whose record is lost. */
BTS_MUST_USE enum bts_status salvage_directory_read(struct salvage *salvage,
                                                    struct bts_error *error);

/* salvage_orphans.c: what lies in pages that no tree leads to. */
BTS_MUST_USE enum bts_status salvage_orphans_run(struct salvage *salvage,
                                                 struct bts_error *error);

/* salvage.c: walks a bucket's tree. */
BTS_MUST_USE enum bts_status salvage_walk_bucket(struct salvage *salvage, uint32_t id, pgno_t root,
                                                 uint32_t depth, struct bts_error *error);

/*
 * salvage.c: gives the sink an entry of bucket `at`.  *is_taken: it went there;
 * else its value is lost, which was said.
 */
BTS_MUST_USE enum bts_status salvage_take(struct salvage *salvage, size_t at,
                                          const struct page_header *leaf,
                                          const struct leaf_entry *entry, bool *is_taken,
                                          struct bts_error *why, struct bts_error *error);

/* salvage.c: begins a line: `bucket "users": `. */
void salvage_add_bucket_name(struct salvage *salvage, const struct salvage_bucket *bucket);

#endif
