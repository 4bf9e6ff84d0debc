/* SPDX-License-Identifier: MIT */
/*
 * salvage_report: the lines that a salvage says.
 *
 * A line is built piece by piece, then said.  Keys and names are written whole,
 * in quotes, with \" \\ \t \n \r and \xNN for what would confuse a line, so
 * that a program can read them back.
 */
#ifndef READ_SALVAGE_REPORT_H
#define READ_SALVAGE_REPORT_H

#include <btstore.h>

struct salvage_report {
    bts_salvage_report *report; /* may be NULL */
    void *argument;
    uint64_t lost_count;        /* lines of BTS_SALVAGE_LOST */
    uint64_t damage_count;      /* lines of BTS_SALVAGE_DAMAGE */
    char first_lost[256];       /* the first of those lines, cut */
    char *text;                 /* owned */
    size_t size;
};

BTS_MUST_USE enum bts_status salvage_report_init(struct salvage_report *report,
                                                 bts_salvage_report *function, void *argument,
                                                 struct bts_error *error);
void salvage_report_fini(struct salvage_report *report);

/* Adds to the line. */
__attribute__((format(printf, 2, 3))) void salvage_add(struct salvage_report *report,
                                                       const char *format, ...);
void salvage_add_quoted(struct salvage_report *report, const void *data, size_t size);
/* "keys from "a" to before "b""; `what` is "keys" or "names"; data NULL: open. */
void salvage_add_range(struct salvage_report *report, const char *what, struct bts_bytes low,
                       struct bts_bytes high);

/* Says the line and begins the next. */
void salvage_say(struct salvage_report *report, enum bts_salvage_event event);

#endif
