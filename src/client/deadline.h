/* SPDX-License-Identifier: MIT */
/*
 * deadline: a moment on the monotonic clock, in milliseconds, by which
 * something must be done.  One deadline serves all the waits of one call.
 */
#ifndef CLIENT_DEADLINE_H
#define CLIENT_DEADLINE_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t deadline_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline uint64_t deadline_after(unsigned timeout_ms)
{
    return deadline_now() + timeout_ms;
}

/* What is left of it, as poll() takes it; 0: it has passed. */
static inline int deadline_left(uint64_t deadline)
{
    uint64_t now = deadline_now();

    if (now >= deadline) {
        return 0;
    }
    return deadline - now < INT_MAX ? (int)(deadline - now) : INT_MAX;
}

/* The same moment as pthread_cond_timedwait takes it (with CLOCK_MONOTONIC). */
static inline struct timespec deadline_timespec(uint64_t deadline)
{
    return (struct timespec){.tv_sec = (time_t)(deadline / 1000),
                             .tv_nsec = (long)(deadline % 1000) * 1000000};
}

#endif
