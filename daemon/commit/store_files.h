/* SPDX-License-Identifier: MIT */
/*
 * store_files: open the files of a store as its only daemon.
 *
 * Opens the database, locks it and its pending log (format/locks.h), creates a
 * store in an empty file, and finds the meta page that rules.
 *
 * Invariants
 *  (1) Nothing is written before both locks are held.
 *  (2) A file that has anything in it which is neither a store nor a creation
 *      that was cut short is left as it is.
 *  (3) No descriptor that carries a lock is handed to anybody.
 */
#ifndef COMMIT_STORE_FILES_H
#define COMMIT_STORE_FILES_H

#include "format/meta.h"
#include "pages/file.h"

/* The first bytes of the file: both metas lie in them, whatever the page size. */
#define STORE_HEAD_SIZE (2 * PAGE_SIZE_MAX)

struct store_files {
    const struct file_system *system;
    char *path;
    char *pending_path;       /* PATH.pending */
    struct file data;         /* read and write; carries LOCK_DAEMON */
    struct file pending_lock; /* the pending log, for its LOCK_DAEMON only */
    struct meta meta;         /* the current one */
    pgno_t meta_pgno;         /* which of the two it is */
    struct file_identity identity;
    bool pending_is_locked;
    bool created;             /* just now */
    bool pending_is_empty;    /* there was no log, or nothing in it */
};

struct store_files_options {
    const char *path;
    const struct file_system *system;
    bool create;
    size_t page_size; /* of a new file */
};

/* Zeroes `files` to the closed state. */
void store_files_init(struct store_files *files);
/* See commit_open for what it returns. */
BTS_MUST_USE enum bts_status store_files_open(struct store_files *files,
                                              const struct store_files_options *options,
                                              struct bts_error *error);
void store_files_close(struct store_files *files);

/* A fresh read-only descriptor of the data file. */
BTS_MUST_USE enum bts_status store_files_reader(const struct store_files *files, int *fd,
                                                struct bts_error *error);

/*
 * Whether anybody may map the data file: each who does holds a lock on a byte
 * of LOCK_READERS.  While our own lock stands and nobody is let in that can
 * only change from true to false.
 */
bool store_files_are_mapped(const struct store_files *files);

/* ---- create.c ----------------------------------------------------------- */

/*
 * Whether the file, `size` bytes long, is what a creation that was cut short
 * can have left: no meta page, and nothing but what create_store writes.
 */
BTS_MUST_USE enum bts_status create_is_unfinished(const struct file *data, uint64_t size,
                                                  bool *unfinished, struct bts_error *error);

/*
 * Writes an empty store: bucket `default` in a directory of one leaf, as
 * transaction 1, marked clean.  A power cut at any moment leaves either the
 * whole store or what create_is_unfinished knows.
 */
BTS_MUST_USE enum bts_status create_store(const struct file *data, size_t page_size,
                                          struct bts_error *error);

#endif
