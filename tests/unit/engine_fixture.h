/* SPDX-License-Identifier: MIT */
/*
 * engine_fixture: a commit engine on real files, and a model of what is in it.
 *
 * The beacon and the horizon outlive a kill, as the run directory does; a power
 * cut clears the beacon, as a reboot does.  The model is an array of versions:
 * key i holds the value that follows from i and its version, 0: no such key.
 *
 * Everything here stops the test on failure, unless it returns a status.
 */
#ifndef ENGINE_FIXTURE_H
#define ENGINE_FIXTURE_H

#include "checks.h"

#include "commit/commit.h"
#include "faulty_files.h"

#define ENGINE_KEYS 4000u

struct engine {
    char directory[200];
    char path[256];
    char pending_path[300];
    struct commit_options options;
    struct faulty_files faulty;
    struct beacon *beacon;
    struct horizon horizon;
    struct commit *commit;      /* NULL: no daemon */
    uint32_t model[ENGINE_KEYS];
    uint32_t version;           /* of the last change */
    uint64_t random;
    char note[BTS_ERROR_TEXT_MAX];
};

/* The thread sanitizer has nothing to say of one thread. */
#ifdef __SANITIZE_THREAD__
#define ENGINE_THREADS_ONLY true
#else
#define ENGINE_THREADS_ONLY false
#endif

/*
 * Adds tests to the suite, each run `times` times with _i from 0; most run
 * twice: without threads, and with the log's and the checkpoint's.
 */
#define ENGINE_CASE(suite, times, ...)                                                             \
    engine_add_case(suite, times, (const TTest *const[]){__VA_ARGS__},                             \
                    sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(const TTest *))
void engine_add_case(Suite *suite, int times, const TTest *const *tests, size_t test_count);
/* Runs it; main's exit status. */
int engine_run_suite(Suite *suite);

/* A directory for the store; small log segments, no threads; nothing is opened yet. */
void engine_init(struct engine *engine);
/* Kills what runs, and removes everything. */
void engine_fini(struct engine *engine);

/* Opens and recovers. */
enum bts_status engine_try_start(struct engine *engine, bool survivors, struct bts_error *error);
void engine_start(struct engine *engine);
/* All of it: a new store that is served. */
void engine_init_and_start(struct engine *engine, bool threads);
/* As if by SIGKILL. */
void engine_kill(struct engine *engine);
/* SIGKILL, and the volatile run directory is gone. */
void engine_power_cut(struct engine *engine);
void engine_stop(struct engine *engine);

/* A descriptor that tells daemons of a reader which maps the file; close() it. */
int engine_open_reader(const struct engine *engine);

uint64_t engine_random(struct engine *engine, uint64_t below);

/* Value of key `index` in version `version`, up to 20,000 bytes: its size. */
size_t engine_value(uint32_t index, uint32_t version, uint8_t *value);

/* Builds a batch of one put (version > 0) or delete. */
void engine_batch(struct batch *batch, uint32_t index, uint32_t version);

/* Adds an operation on strings. */
void engine_add(struct batch *batch, enum batch_type type, unsigned flags, const char *first,
                const char *second);

/* Takes the requests (a list) and waits until all are collected; the list, in order. */
struct commit_request *engine_run(struct engine *engine, struct commit_request *requests);
/* One batch, waited for. */
enum bts_status engine_commit(struct engine *engine, struct batch *batch, txnid_t *txnid,
                              struct bts_error *error);
/* Puts or deletes key `index`, and the model too when that was committed. */
enum bts_status engine_change(struct engine *engine, uint32_t index, bool put);
/* `count` random changes in groups of up to `group_max` requests; all must be committed. */
void engine_load(struct engine *engine, unsigned count, unsigned group_max);

/*
 * Compares the newest state with the model, checks every page and count of it,
 * and that exactly its pages are live.
 */
void engine_check(struct engine *engine);
/* Asks for a checkpoint, waits, and checks it as it lies in the file, maps and all. */
void engine_check_checkpoint(struct engine *engine);

/* All checks, a kill, a start, and all checks again. */
void engine_check_after_kill(struct engine *engine);

#endif
