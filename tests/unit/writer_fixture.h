/* SPDX-License-Identifier: MIT */
/*
 * writer_fixture: a store that can be written, without a daemon around it.
 *
 * A real file in $TMPDIR or /dev/shm, its map, space, pages and buckets; groups
 * are begun and committed as the engine would, with the log and the metas left
 * out.  Nobody reads, so freed pages come back as soon as the rules allow;
 * every WRITER_CHECKPOINT_EACH groups a checkpoint begins, and is durable
 * WRITER_CHECKPOINT_TAKES groups later.
 *
 * Everything here stops the test on failure.
 */
#ifndef WRITER_FIXTURE_H
#define WRITER_FIXTURE_H

#include "pages/horizon.h"
#include "read/map.h"
#include "tree/buckets.h"

#define WRITER_CHECKPOINT_EACH 16u
#define WRITER_CHECKPOINT_TAKES 5u

struct writer {
    char path[256];
    struct file file;
    struct map *map;            /* of the writing floor */
    struct map *reader_map;     /* of writer_view, as a process of its own has one */
    struct space *space;
    struct pages *pages;
    struct buckets *buckets;
    struct horizon horizon;
    struct beacon beacon;
    struct buckets_root root;   /* published */
    txnid_t txnid;              /* of the group at work, or the last one */
    unsigned checkpoint_age;    /* groups since the last one began */
    bool checkpoint_runs;
};

/* Makes a store with bucket `default`, committed as transaction 1. */
void writer_open(struct writer *writer, size_t page_size);
void writer_close(struct writer *writer);

void writer_begin(struct writer *writer);
/* Flushes, writes, publishes, reclaims. */
void writer_commit(struct writer *writer);
/* Takes the group back. */
void writer_abort(struct writer *writer);

/*
 * Checks the published state: every page, key and count (tree_check), that
 * exactly its pages are live, and what space and buckets say of themselves.
 */
void writer_check(struct writer *writer);

/* The published directory. */
struct tree_view writer_view(const struct writer *writer);

/* A deterministic random number; *state must not be 0. */
uint64_t writer_random(uint64_t *state);

#endif
