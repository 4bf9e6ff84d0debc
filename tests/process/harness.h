/* SPDX-License-Identifier: MIT */
/*
 * harness: what every test with real processes needs: a scratch store, its
 * daemon, children that end with the test, and checks that tell what failed.
 *
 * Only the public API and the built btstored are used here.  Every failed
 * check prints one line and exits with status 1; children do the same and
 * harness_join passes it on.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <btstore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define HARNESS_PATH_MAX 512

struct harness {
    char folder[HARNESS_PATH_MAX];        /* scratch, removed with TMPDIR by tests/run */
    char store[HARNESS_PATH_MAX + 16];    /* folder/main.bts */
    char daemon_path[HARNESS_PATH_MAX];   /* the built btstored */
    pid_t daemon;                         /* 0: none runs */
};

/* Fails the test with a message unless the condition holds. */
#define HARNESS_CHECK(condition, ...)                                                              \
    do {                                                                                           \
        if (!(condition))                                                                          \
            harness_fail(__FILE__, __LINE__, #condition, __VA_ARGS__);                             \
    } while (0)

/* The same for a call of the library: tells the status and the error's text. */
#define HARNESS_OK(call, error)                                                                    \
    do {                                                                                           \
        enum bts_status harness_status = (call);                                                   \
        if (harness_status != BTS_OK)                                                              \
            harness_fail(__FILE__, __LINE__, #call, "%s: %s", bts_status_name(harness_status),     \
                         (error)->text);                                                           \
    } while (0)

_Noreturn void harness_fail(const char *file, int line, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Ends the test as skipped (status 77) with the reason. */
_Noreturn void harness_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes a scratch folder below TMPDIR and finds the daemon (BTS_BUILDDIR, else this folder). */
void harness_init(struct harness *harness);

/* Starts `btstored STORE --foreground` with up to 6 more arguments (NULL ends) and waits for it. */
void harness_start(struct harness *harness, ...) __attribute__((sentinel));
/* The same, but 0 or the exit status of a daemon that does not serve, and what it said. */
int harness_try_start(struct harness *harness, char *said, size_t said_size, ...)
    __attribute__((sentinel));
/* SIGKILL, and waits until it is gone. */
void harness_kill(struct harness *harness);
/* SIGTERM; it must exit with status 0. */
void harness_stop(struct harness *harness);

/* Opens the store (no daemon is started). */
struct bts_store *harness_open(const struct harness *harness);

/* Runs body(argument) in a child that dies with this process; its exit status is body's result. */
pid_t harness_spawn(int (*body)(void *argument), void *argument);
/* Waits for a child: fails unless it exited with status 0. */
void harness_join(pid_t pid, const char *who);
/* SIGKILLs a child and reaps it. */
void harness_kill_child(pid_t pid);

/* Memory that children share. */
void *harness_shared(size_t size);

uint64_t harness_now_us(void);
void harness_sleep_us(uint64_t us);

/* xorshift; the seed is the caller's. */
uint64_t harness_random(uint64_t *state);

/* A count for this run: `full`, or `reduced` under a sanitizer. */
unsigned harness_count(unsigned full, unsigned reduced);

/* bts_store_check on an open store: fails on any finding; the result for more checks. */
struct bts_check_result harness_check_store(struct bts_store *store);

uint64_t harness_file_size(const char *path);
bool harness_exists(const char *path);

#endif
