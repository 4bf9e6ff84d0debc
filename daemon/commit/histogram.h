/* SPDX-License-Identifier: MIT */
/*
 * histogram: how a number was spread over the last ten to twenty seconds.
 *
 * Eight buckets for each power of two, so a quantile is right to one eighth.
 * Two windows: one is filled, the one before it is still told of.
 */
#ifndef COMMIT_HISTOGRAM_H
#define COMMIT_HISTOGRAM_H

#include <btstore.h>

#define HISTOGRAM_BUCKETS 232u /* up to 2^31 */

struct histogram_window {
    uint64_t count;
    uint32_t largest;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* Zero it to start. */
struct histogram {
    struct histogram_window windows[2];
    unsigned current;
};

struct histogram_summary {
    uint64_t count;
    uint32_t p50;
    uint32_t p99;
    uint32_t largest;
};

/* Counts `value`; what is over 2^31 - 1 counts as that. */
void histogram_add(struct histogram *histogram, uint64_t value);
/* Begins a new window and forgets the one before the last. */
void histogram_turn(struct histogram *histogram);
struct histogram_summary histogram_summarize(const struct histogram *histogram);

#endif
