/* SPDX-License-Identifier: MIT */
/*
 * report: medians with min and max as they are measured, all raw figures in a
 * JSON file, and last one line for each figure that has a goal:
 *
 *   get_held random/1M k/s   btstore 2810.2 (2700.1 .. 2901.0)   lmdb ...
 *   ratio get/random/1M/held 2.54 goal >=3.50 short
 *
 * A ratio is ours divided by the peer's, in the figure's own unit: above 1 is
 * good where more is better (>=), below 1 where less is (<=).  A row that was
 * planned and not taken has "-" for a value and is short.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "harness.h"

struct report {
    const struct workload *workload;
    unsigned rounds;
    unsigned count; /* of adapters */
    const struct adapter *adapters[ADAPTERS_MAX];
    double values[ADAPTERS_MAX][ROUNDS_MAX][FIGURES_MAX];
};

/* Starts the file of raw figures; it is complete after report_close. */
void report_open(const char *path);

/* Plans the rows of a workload for the present data set: they will be printed. */
void report_plan(const struct workload *workload);

/* What is measured next, so that somebody who waits knows. */
void report_title(const struct workload *workload);
void report_print(const struct report *report);

/* Prints the rows and closes the file. */
void report_close(void);

#endif
