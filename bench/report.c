/* SPDX-License-Identifier: MIT */
/*
 * report: see report.h.
 */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define ROWS_MAX 160
#define NAME_MAX_BYTES 96
#define SMALL_ENTRIES 1000000 /* up to here a goal for 1M counts */

struct row {
    char name[NAME_MAX_BYTES];
    double goal;
    bool at_most;
    double value; /* NAN: not taken */
};

static struct row rows[ROWS_MAX];
static unsigned row_count;
static FILE *raw;
static bool raw_has_figures;

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

/* The median of the rounds' quotients: ours by the peer's; peer 0: ours alone. */
static double ratio_of(const struct report *report, unsigned figure, unsigned peer)
{
    double ratios[ROUNDS_MAX];

    for (unsigned round = 0; round < report->rounds; round++) {
        ratios[round] = report->values[0][round][figure];
        if (peer > 0) {
            ratios[round] /= report->values[peer][round][figure];
        }
    }
    return median_of(ratios, report->rounds);
}

/* How many names a list has. */
static unsigned words_in(const char *list)
{
    unsigned count = 0;

    for (const char *at = list; *at != '\0'; at++) {
        count += (at == list || at[-1] == ' ') && *at != ' ';
    }
    return count;
}

/* The worst ratio for us among the peers that a goal names; NAN if one was not measured. */
static double goal_ratio(const struct report *report, const struct goal *goal)
{
    double worst = NAN;
    unsigned found = 0;

    if (report->count == 0 || report->adapters[0] != bench.adapters[0]) {
        return NAN;
    }
    if (*goal->against == '\0') {
        return ratio_of(report, goal->figure, 0);
    }
    for (unsigned i = 1; i < report->count; i++) {
        if (bench_is_listed(goal->against, report->adapters[i]->name)) {
            double ratio = ratio_of(report, goal->figure, i);
            worst = found == 0 || (ratio > worst) == goal->at_most ? ratio : worst;
            found++;
        }
    }
    return found == words_in(goal->against) ? worst : NAN;
}

/* ---- rows ---------------------------------------------------------------- */

static double goal_value(const struct goal *goal)
{
    return goal->value[bench.dataset.keys][bench.dataset.count > SMALL_ENTRIES];
}

static struct row *row_of(const struct goal *goal)
{
    char name[NAME_MAX_BYTES];
    char label[32];
    const char *hole = strstr(goal->row, "%s");

    dataset_label(&bench.dataset, label);
    if (hole != NULL) {
        snprintf(name, sizeof(name), "%.*s%s%s", (int)(hole - goal->row), goal->row, label,
                 hole + 2);
    } else {
        snprintf(name, sizeof(name), "%s", goal->row);
    }
    for (unsigned i = 0; i < row_count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    if (row_count == ROWS_MAX) {
        bench_fail("more than %d rows", ROWS_MAX);
    }
    memcpy(rows[row_count].name, name, sizeof(name));
    rows[row_count].goal = goal_value(goal);
    rows[row_count].at_most = goal->at_most;
    rows[row_count].value = NAN;
    return &rows[row_count++];
}

void report_plan(const struct workload *workload)
{
    for (unsigned i = 0; i < GOALS_MAX && workload->goals[i].row != NULL; i++) {
        if (goal_value(&workload->goals[i]) > 0) {
            row_of(&workload->goals[i]);
        }
    }
}

static bool is_met(const struct row *row)
{
    return row->at_most ? row->value <= row->goal : row->value >= row->goal;
}

static void print_row(const struct row *row)
{
    char value[32] = "-";

    if (!isnan(row->value)) {
        snprintf(value, sizeof(value), row->value < 0.1 ? "%.4f" : "%.2f", row->value);
    }
    printf(row->goal < 0.1 ? "ratio %s %s goal %s%.3f %s\n" : "ratio %s %s goal %s%.2f %s\n",
           row->name, value, row->at_most ? "<=" : ">=", row->goal, is_met(row) ? "ok" : "short");
}

/* ---- the file ------------------------------------------------------------ */

static void raw_machine(void)
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
    fprintf(raw, "{\n  \"unix_time\": %lld,\n  \"round_ms\": %u,\n", (long long)time(NULL),
            bench.round_ms);
    raw_machine();
    fprintf(raw, "  \"stores\": [");
    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        fprintf(raw, "%s\n    {\"name\": \"%s\", \"version\": \"%s\", \"settings\": \"%s\"}",
                i > 0 ? "," : "", bench.adapters[i]->name, bench.adapters[i]->version(),
                bench.adapters[i]->settings);
    }
    fprintf(raw, "\n  ],\n  \"figures\": [");
}

static void raw_figure(const struct report *report, unsigned figure, unsigned adapter)
{
    const struct figure *what = &report->workload->figures[figure];

    fprintf(raw,
            "%s\n    {\"name\": \"%s%s\", \"keys\": \"%s\", \"entries\": %zu, \"store\": \"%s\", "
            "\"unit\": \"%s\", \"rounds\": [",
            raw_has_figures ? "," : "", report->workload->name, what->name,
            key_set_name(bench.dataset.keys), bench.dataset.count,
            report->adapters[adapter]->name, what->unit);
    raw_has_figures = true;
    for (unsigned round = 0; round < report->rounds; round++) {
        fprintf(raw, "%s%.6g", round > 0 ? ", " : "", report->values[adapter][round][figure]);
    }
    fprintf(raw, "]}");
}

static void raw_row(const struct row *row, bool is_first)
{
    char value[32] = "null";

    if (!isnan(row->value)) {
        snprintf(value, sizeof(value), "%.5g", row->value);
    }
    fprintf(raw,
            "%s\n    {\"name\": \"%s\", \"value\": %s, \"goal\": %g, \"sense\": \"%s\", "
            "\"ok\": %s}",
            is_first ? "" : ",", row->name, value, row->goal, row->at_most ? "<=" : ">=",
            is_met(row) ? "true" : "false");
}

/* ---- the screen ---------------------------------------------------------- */

static void print_figure(const struct report *report, unsigned figure)
{
    const struct figure *what = &report->workload->figures[figure];
    char name[NAME_MAX_BYTES];
    char label[32];

    dataset_label(&bench.dataset, label);
    snprintf(name, sizeof(name), "%s%s %s", report->workload->name, what->name, label);
    printf("%-28s %-6s", name, what->unit);
    for (unsigned i = 0; i < report->count; i++) {
        double values[ROUNDS_MAX];
        double median;
        for (unsigned round = 0; round < report->rounds; round++) {
            values[round] = report->values[i][round][figure];
        }
        median = median_of(values, report->rounds);
        printf("  %s %.5g (%.5g .. %.5g)", report->adapters[i]->name, median, values[0],
               values[report->rounds - 1]);
    }
    printf("\n");
}

void report_title(const struct workload *workload)
{
    printf("# %s\n", workload->title);
    fflush(stdout);
}

void report_print(const struct report *report)
{
    const struct workload *workload = report->workload;

    for (unsigned figure = 0; figure < FIGURES_MAX && workload->figures[figure].unit != NULL;
         figure++) {
        print_figure(report, figure);
        for (unsigned i = 0; i < report->count; i++) {
            raw_figure(report, figure, i);
        }
    }
    for (unsigned i = 0; i < GOALS_MAX && workload->goals[i].row != NULL; i++) {
        if (goal_value(&workload->goals[i]) > 0) {
            row_of(&workload->goals[i])->value = goal_ratio(report, &workload->goals[i]);
        }
    }
    fflush(stdout);
}

void report_close(void)
{
    fprintf(raw, "\n  ],\n  \"rows\": [");
    for (unsigned i = 0; i < row_count; i++) {
        print_row(&rows[i]);
        raw_row(&rows[i], i == 0);
    }
    fprintf(raw, "\n  ]\n}\n");
    if (fclose(raw) != 0) {
        bench_fail("the file of raw figures: %m");
    }
}
