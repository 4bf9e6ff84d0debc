/* SPDX-License-Identifier: MIT */
/*
 * packages.h: an example of libbtstore on data that every Debian machine has.
 *
 * The store gets three buckets:
 *   packages   name of an installed package -> its record in dpkg's status file
 *   files      path of a file -> the packages that own it, one a line
 *   counters   shared counters, incremented by several processes at once
 *
 *   data.c     what dpkg knows, in memory: what is loaded, and what to compare with
 *   load.c     writing in batches, and what to do when the daemon goes away
 *   read.c     looking up and scanning, while others write and the daemon dies
 *   count.c    increments, and what to do when the outcome of one is unknown
 *   verify.c   that everything acknowledged is there
 *
 * An example may end the process at the first thing that goes wrong; a library
 * would hand struct bts_error upwards instead.
 */
#ifndef PACKAGES_H
#define PACKAGES_H

#include <btstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what dpkg knows ----------------------------------------------------- */

struct entry {
    const char *key;
    size_t key_size;
    const char *value;
    size_t value_size;
};

/* One bucket as it should become: entries in key order, no key twice. */
struct table {
    const char *bucket;
    struct entry *entries;
    size_t count;
    size_t bytes; /* of all keys and values */
};

struct data {
    struct table packages;
    struct table files;
};

/*
 * Reads dpkg's folder, usually /var/lib/dpkg: its status file, which may be
 * missing, and info/NAME.list.  The memory lives as long as the process.
 */
void data_read(const char *dpkg_folder, struct data *data);

/* The entry of that key, or NULL. */
const struct entry *table_find(const struct table *table, const void *key, size_t key_size);

/* ---- the subcommands ----------------------------------------------------- */

struct arguments {
    struct bts_store *store;
    const struct data *data; /* NULL for those that need none */
    const char *name;        /* names this process in its status */
    const char *folder;      /* where the processes leave their status */
};

void load_run(const struct arguments *arguments);
void read_run(const struct arguments *arguments);
void count_run(const struct arguments *arguments);
void verify_run(const struct arguments *arguments);
void show_run(const struct arguments *arguments);

/* Creates a bucket that may be there already. */
void make_bucket(struct bts_store *store, const char *name);

#define COUNTERS_BUCKET "counters"
#define COUNTER_COUNT 8
#define COUNTER_NAME_MAX 16

/* Writes "counter-INDEX" and returns its length. */
size_t counter_name(unsigned index, char name[COUNTER_NAME_MAX]);

/* The number in decimal text, as bts_batch_increment stores it. */
int64_t counter_parse(struct bts_bytes value);

/* ---- what all of them need ----------------------------------------------- */

/* Prints "packages: ..." and ends the process with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* Fails with the error's own words unless `status` is BTS_OK. */
void must(enum bts_status status, const struct bts_error *error);

void *must_alloc(void *memory); /* fails if it is NULL */

/* True once SIGTERM or SIGINT asked this process to finish. */
bool is_stopping(void);

uint64_t now_ms(void);
void sleep_ms(unsigned ms);

/* A small fast generator of random numbers; `state` must not be 0. */
uint64_t random_next(uint64_t *state);

/*
 * Leaves one line of numbers for whoever watches in FOLDER/NAME.  Lines have
 * one length, so that a reader never sees half of one.
 */
__attribute__((format(printf, 2, 3))) void status_write(const struct arguments *arguments,
                                                        const char *format, ...);

#endif
