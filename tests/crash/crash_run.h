/* SPDX-License-Identifier: MIT */
/*
 * crash_run: one life of the engine, the versions that it makes, and what a
 * recovered store is held against.
 *
 * Version n is what the store holds after n commits; the batches follow from
 * their numbers, and key "n" says which version it is.
 */
#ifndef CRASH_RUN_H
#define CRASH_RUN_H

#include "commit/commit.h"
#include "recorder.h"

#define VERSIONS_MAX 400u

struct run {
    char directory[200];
    struct beacon *beacon;
    struct horizon horizon;
    struct commit *commit;
};

/* What a recovered image is held against. */
struct oracle {
    unsigned acknowledged;
    unsigned begun;
    uint64_t digests[VERSIONS_MAX];
};

/* The digest of a store without entries. */
#define RUN_EMPTY_DIGEST 14695981039346656037ull

void run_init(struct run *run, const char *directory);
/* As by SIGKILL. */
void run_kill(struct run *run);
void run_fini(struct run *run);

enum bts_status run_start(struct run *run, const struct file_system *system,
                          struct bts_error *error);
enum bts_status run_commit(struct run *run, unsigned version, struct bts_error *error);

/* The newest state: which version it says it is, and a hash of all that is in it. */
enum bts_status run_read(struct run *run, unsigned *version, uint64_t *digest,
                         struct bts_error *error);

/* Recovers the files in run->directory, after a power cut; BTS_OK: it is as it must be. */
enum bts_status run_check(struct run *run, const struct oracle *oracle, struct bts_error *error);

/* Versions follow from it too. */
extern uint64_t run_seed;

/* Scrambles a number. */
uint64_t run_mix(uint64_t x);

#endif
