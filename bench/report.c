/* SPDX-License-Identifier: MIT */
/*
 * report: see report.h.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static FILE *raw;
static bool raw_has_rows;

/* ---- numbers ------------------------------------------------------------- */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Sorts the values and returns their median. */
static double median_of(double *values, unsigned count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double ratio_of(const struct report *report, unsigned figure, unsigned peer)
{
    double ratios[ROUNDS_MAX];

    for (unsigned round = 0; round < report->rounds; round++) {
        double ours = report->values[0][round][figure];
        double theirs = report->values[peer][round][figure];
        ratios[round] = report->workload->figures[figure].lower_is_better ? theirs / ours
                                                                          : ours / theirs;
    }
    return median_of(ratios, report->rounds);
}

/* ---- the file ------------------------------------------------------------ */

static void print_machine(void)
{
    struct utsname name;
    char cpu[256] = "unknown";
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "model name : %255[^\n\"\\]", cpu) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    uname(&name);
    fprintf(raw, "  \"machine\": {\"cpu\": \"%s\", \"cpus\": %ld, \"kernel\": \"%s\"},\n", cpu,
            sysconf(_SC_NPROCESSORS_ONLN), name.release);
}

void report_open(const char *path)
{
    raw = fopen(path, "w");
    if (raw == NULL) {
        bench_fail("%s: %m", path);
    }
    fprintf(raw, "{\n  \"unix_time\": %lld,\n  \"entries\": %zu,\n", (long long)time(NULL),
            bench.entries);
    print_machine();
    fprintf(raw, "  \"stores\": [");
    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        fprintf(raw, "%s\n    {\"name\": \"%s\", \"version\": \"%s\", \"settings\": \"%s\"}",
                i > 0 ? "," : "", bench.adapters[i]->name, bench.adapters[i]->version(),
                bench.adapters[i]->settings);
    }
    fprintf(raw, "\n  ],\n  \"figures\": [");
}

static void raw_row(const struct report *report, unsigned figure, unsigned adapter)
{
    const struct figure *what = &report->workload->figures[figure];

    fprintf(raw, "%s\n    {\"name\": \"%s%s\", \"store\": \"%s\", \"unit\": \"%s\", \"rounds\": [",
            raw_has_rows ? "," : "", report->workload->name, what->name,
            bench.adapters[adapter]->name, what->unit);
    raw_has_rows = true;
    for (unsigned round = 0; round < report->rounds; round++) {
        fprintf(raw, "%s%.6g", round > 0 ? ", " : "", report->values[adapter][round][figure]);
    }
    fprintf(raw, "]");
    if (adapter > 0) {
        fprintf(raw, ", \"ratio\": %.4g", ratio_of(report, figure, adapter));
    }
    fprintf(raw, "}");
}

void report_close(void)
{
    fprintf(raw, "\n  ]\n}\n");
    if (fclose(raw) != 0) {
        bench_fail("the file of raw figures: %m");
    }
}

/* ---- the screen ---------------------------------------------------------- */

static void print_row(const struct report *report, unsigned figure)
{
    const struct figure *what = &report->workload->figures[figure];
    char name[128];

    snprintf(name, sizeof(name), "%s%s", report->workload->name, what->name);
    printf("%-18s %-8s", name, what->unit);
    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        double values[ROUNDS_MAX];
        double median;
        for (unsigned round = 0; round < report->rounds; round++) {
            values[round] = report->values[i][round][figure];
        }
        median = median_of(values, report->rounds);
        printf("   %s %.5g (%.5g .. %.5g)", bench.adapters[i]->name, median, values[0],
               values[report->rounds - 1]);
    }
    printf("\n");
}

static void print_ratio(const struct report *report, unsigned figure)
{
    const struct figure *what = &report->workload->figures[figure];
    double ratio = ratio_of(report, figure, 1);

    printf("ratio %s%s %.2f ", report->workload->name, what->name, ratio);
    if (what->goal > 0) {
        printf("goal >=%.2f %s\n", what->goal, ratio >= what->goal ? "ok" : "short");
    } else {
        printf("no goal\n");
    }
}

void report_title(const struct workload *workload)
{
    printf("# %s\n", workload->title);
    fflush(stdout);
}

void report_print(const struct report *report)
{
    for (unsigned figure = 0; figure < FIGURES_MAX; figure++) {
        if (report->workload->figures[figure].unit == NULL) {
            break;
        }
        print_row(report, figure);
        if (bench.adapters[1] != NULL) {
            print_ratio(report, figure);
        }
        for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
            raw_row(report, figure, i);
        }
    }
    fflush(stdout);
}
