/* SPDX-License-Identifier: MIT */
/*
 * pages: the pages of the group at work.
 *
 * Copy-on-write happens here: a page of an older transaction is never
 * written; pages_edit gives a private copy under a new number, and a page
 * born in this very group is edited in place.  Private pages live in the
 * daemon's own memory until pages_write puts them into the file, in runs as
 * long and contiguous as the numbers allow; the map is read-only for the
 * daemon too, so a stray pointer cannot damage the file.
 *
 * Life of a group
 *   pages_group_begin(T)
 *     per batch: pages_savepoint, edits, pages_keep or pages_undo
 *   pages_write         (in halves: pages_reserve, pages_write_reserved)
 *                       everything private is in the file (not synced); the
 *                       private copies are gone; pages_source shows the map
 *   or pages_group_abort  nothing of it ever was
 *
 * Invariants
 *  (1) After pages_undo pages, space and counts are as at pages_savepoint,
 *      bit for bit; it needs no memory and cannot fail.
 *  (2) A pointer from pages_edit or pages_create is valid until pages_write,
 *      pages_undo past its creation, or pages_free of it.  pages_edit of a
 *      page that is private already returns the same pointer.
 *  (3) Growing the file is fallocated before pages are written, so a full disk is
 *      BTS_NO_SPACE and never a signal.
 *
 * One thread.
 */
#ifndef PAGES_PAGES_H
#define PAGES_PAGES_H

#include "pages/file.h"
#include "pages/space.h"
#include "read/map.h"

struct pages;

/* `data`: the database file; `map` over it; both stay the caller's.  Neither is touched yet. */
BTS_MUST_USE enum bts_status pages_create(const struct file *data, struct map *map,
                                          struct space *space, struct pages **pages,
                                          struct bts_error *error);
void pages_destroy(struct pages *pages);

/* Private pages first, then the map. */
const struct page_source *pages_source(const struct pages *pages);
size_t pages_page_size(const struct pages *pages);
/* The map, perhaps a grown one. */
struct map *pages_map(const struct pages *pages);

void pages_group_begin(struct pages *pages, txnid_t txnid);
txnid_t pages_txnid(const struct pages *pages);

/* A new empty page, its header filled in; its number is in the header. */
BTS_MUST_USE enum bts_status pages_new(struct pages *pages, enum page_type type, unsigned level,
                                       uint32_t bucket, struct page_header **page,
                                       struct bts_error *error);
/*
 * A writable copy of page `pgno` of that level.  Its number (in the header)
 * differs unless it was born in this group; the old one is freed.
 */
BTS_MUST_USE enum bts_status pages_edit(struct pages *pages, pgno_t pgno, unsigned level,
                                        struct page_header **page, struct bts_error *error);
/* Frees a page that was reached; `born` is its header's txnid.  BTS_NO_MEMORY: nothing happened. */
BTS_MUST_USE enum bts_status pages_free(struct pages *pages, pgno_t pgno, txnid_t born,
                                        struct bts_error *error);

/* Puts a value into a run of its own; the bytes are copied or written at once. */
BTS_MUST_USE enum bts_status pages_new_run(struct pages *pages, uint32_t bucket, const void *value,
                                           uint64_t length, pgno_t *first,
                                           struct bts_error *error);
/* Frees the run; reads its header for its birth.  BTS_DAMAGED, BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status pages_free_run(struct pages *pages, pgno_t first, uint64_t length,
                                            struct bts_error *error);

/*
 * From begin to end pages are read from the file one by one, not seen in the
 * map: cheaper for who comes by most of them once.  What pages_source gave
 * since is valid until _next or _end, or pages_write.
 */
void pages_visit_begin(struct pages *pages);
void pages_visit_next(struct pages *pages);
void pages_visit_end(struct pages *pages);

/* One savepoint at a time. */
void pages_savepoint(struct pages *pages);
void pages_keep(struct pages *pages);
void pages_undo(struct pages *pages);

/*
 * Seals and writes all private pages.  On failure nothing of the group is in
 * use: call pages_group_abort.  BTS_NO_SPACE, BTS_IO (a failed write is fatal
 * for the daemon: the caller decides by status).
 */
BTS_MUST_USE enum bts_status pages_write(struct pages *pages, struct bts_error *error);
/*
 * The two halves of pages_write.  pages_reserve has all that can be refused: room
 * in the file, and memory.  pages_write_reserved, with no change in between, then
 * fails only by a write that fails.
 */
BTS_MUST_USE enum bts_status pages_reserve(struct pages *pages, struct bts_error *error);
BTS_MUST_USE enum bts_status pages_write_reserved(struct pages *pages, struct bts_error *error);
/* For who goes on writing: lets the disk begin with what pages_write wrote.  BTS_IO, fatal. */
BTS_MUST_USE enum bts_status pages_write_back(struct pages *pages, struct bts_error *error);
/* Takes everything since pages_group_begin back, space too. */
void pages_group_abort(struct pages *pages);

/* How many pages are private. */
size_t pages_private_count(const struct pages *pages);
/* Bytes of private memory in use; commit uses it to bound a group. */
size_t pages_private_bytes(const struct pages *pages);

#endif
