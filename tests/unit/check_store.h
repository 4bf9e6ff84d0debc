/* SPDX-License-Identifier: MIT */
/*
 * check_store: a store of four buckets and what tree_check says of it, for the
 * tests of tree_check.
 */
#ifndef CHECK_STORE_H
#define CHECK_STORE_H

#include "build_tree.h"
#include "read/tree_check.h"

extern struct build build;
extern struct bucket_record directory;
extern struct bucket_record records[4]; /* accounts, default, empty, users */
extern struct build_entries entries[4];
extern const char *const names[4];

/* What the last check reported, line by line, and its outcome. */
extern char lines[TREE_CHECK_REPORTS_MAX + 2][BTS_ERROR_TEXT_MAX];
extern size_t line_count;
extern struct bts_check_result result;
extern struct bts_error verdict;

/* Builds the buckets, but no directory; 0: pages as full as can be. */
void plant(size_t page_size, unsigned leaf_max, unsigned children_max);
/* Builds directory, metas and maps over what `records` says by now. */
void finish(void);
/* Both, with pages small enough for a few levels. */
void plant_store(void);
void fell(void);

/* Collects a report; the argument is `lines`. */
void collect(void *argument, const char *text);
/* Checks the whole store with its own maps, or with `bits`. */
enum bts_status check_with(const uint8_t *bits);
bool was_reported(const char *text);
void assert_reported(const char *text);
/* Checks the store: that must report this, naming page `pgno`. */
void assert_found(pgno_t pgno, const char *text);

#endif
