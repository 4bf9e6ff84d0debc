/* SPDX-License-Identifier: MIT */
/*
 * report: medians with min and max, ratios against goals, and a file of all
 * raw figures.
 *
 *   get_held        k/s    btstore 2810.2 (2700.1 .. 2901.0)    lmdb ...
 *   ratio get_held 2.54 goal >=3.50 short
 *
 * A ratio says how many times better ours is, whatever the unit: above 1 is
 * always good.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "harness.h"

struct report {
    const struct workload *workload;
    unsigned rounds;
    double values[ADAPTERS_MAX][ROUNDS_MAX][FIGURES_MAX];
};

/* Starts the file of raw figures; it is complete after report_close. */
void report_open(const char *path);
/* What is measured next, so that somebody who waits knows. */
void report_title(const struct workload *workload);
void report_print(const struct report *report);
void report_close(void);

#endif
