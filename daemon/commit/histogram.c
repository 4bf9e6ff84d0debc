/* SPDX-License-Identifier: MIT */
/* histogram: see histogram.h. */
#include "commit/histogram.h"

#include <string.h>

#define HISTOGRAM_VALUE_MAX 0x7fffffffu

/* Values below 8 have buckets of their own; then eight for each power of two. */
static unsigned histogram_bucket(uint32_t value)
{
    unsigned octave;

    if (value < 8)
        return value;
    octave = 31 - (unsigned)__builtin_clz(value); /* at least 3 */
    return (octave - 2) * 8 + ((value >> (octave - 3)) & 7);
}

/* The largest value that falls into a bucket. */
static uint32_t histogram_bound(unsigned bucket)
{
    unsigned octave;

    if (bucket < 8)
        return bucket;
    octave = bucket / 8 + 2;
    return (uint32_t)((((uint64_t)(bucket % 8) + 9) << (octave - 3)) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    struct histogram_window *window = &histogram->windows[histogram->current];
    uint32_t bounded = value < HISTOGRAM_VALUE_MAX ? (uint32_t)value : HISTOGRAM_VALUE_MAX;

    window->count++;
    window->buckets[histogram_bucket(bounded)]++;
    if (bounded > window->largest)
        window->largest = bounded;
}

void histogram_turn(struct histogram *histogram)
{
    histogram->current = 1 - histogram->current;
    memset(&histogram->windows[histogram->current], 0, sizeof(histogram->windows[0]));
}

static uint32_t histogram_quantile(const struct histogram *histogram, uint64_t rank,
                                   uint32_t largest)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->windows[0].buckets[i];
        seen += histogram->windows[1].buckets[i];
        if (seen >= rank) {
            uint32_t bound = histogram_bound(i);
            return bound < largest ? bound : largest;
        }
    }
    return largest;
}

struct histogram_summary histogram_summarize(const struct histogram *histogram)
{
    const struct histogram_window *windows = histogram->windows;
    struct histogram_summary summary = {.count = windows[0].count + windows[1].count};

    if (summary.count == 0)
        return summary;
    summary.largest = windows[0].largest > windows[1].largest ? windows[0].largest
                                                              : windows[1].largest;
    summary.p50 = histogram_quantile(histogram, (summary.count + 1) / 2, summary.largest);
    summary.p99 = histogram_quantile(histogram, summary.count - summary.count / 100,
                                     summary.largest);
    return summary;
}
