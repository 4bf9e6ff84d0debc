/* SPDX-License-Identifier: MIT */
/*
 * salvage_report: see salvage_report.h.
 */
#include "read/salvage_report.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two keys of the largest pages, each byte of them four, and words around them. */
#define SALVAGE_TEXT_MAX ((size_t)2 * 4 * 16384 + 4096)

enum bts_status salvage_report_init(struct salvage_report *report, bts_salvage_report *function,
                                    void *argument, struct bts_error *error)
{
    *report = (struct salvage_report){.report = function, .argument = argument};
    report->text = malloc(SALVAGE_TEXT_MAX);
    if (report->text == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a line of text");
    }
    report->text[0] = '\0';
    return BTS_OK;
}

void salvage_report_fini(struct salvage_report *report)
{
    free(report->text);
    report->text = NULL;
}

void salvage_add(struct salvage_report *report, const char *format, ...)
{
    size_t room = SALVAGE_TEXT_MAX - report->size;
    va_list arguments;
    int added;

    va_start(arguments, format);
    added = vsnprintf(report->text + report->size, room, format, arguments);
    va_end(arguments);
    if (added > 0) {
        report->size += (size_t)added < room ? (size_t)added : room - 1;
    }
}

static void salvage_add_byte(struct salvage_report *report, uint8_t byte)
{
    static const char plain[] = "\t\n\r\\\"";
    static const char letters[] = "tnr\\\"";
    const char *found = byte != 0 ? strchr(plain, byte) : NULL;

    if (found != NULL) {
        salvage_add(report, "\\%c", letters[found - plain]);
    } else if (byte < 0x20 || byte == 0x7f) {
        salvage_add(report, "\\x%02x", byte);
    } else {
        salvage_add(report, "%c", byte);
    }
}

void salvage_add_quoted(struct salvage_report *report, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    salvage_add(report, "\"");
    for (size_t i = 0; i < size; i++) {
        salvage_add_byte(report, bytes[i]);
    }
    salvage_add(report, "\"");
}

void salvage_add_range(struct salvage_report *report, const char *what, struct bts_bytes low,
                       struct bts_bytes high)
{
    if (low.data == NULL && high.data == NULL) {
        salvage_add(report, "all %s", what);
        return;
    }
    salvage_add(report, "%s", what);
    if (low.data != NULL) {
        salvage_add(report, " from ");
        salvage_add_quoted(report, low.data, low.size);
    }
    if (high.data != NULL) {
        salvage_add(report, low.data != NULL ? " to before " : " before ");
        salvage_add_quoted(report, high.data, high.size);
    } else {
        salvage_add(report, " on");
    }
}

void salvage_say(struct salvage_report *report, enum bts_salvage_event event)
{
    if (event == BTS_SALVAGE_LOST && report->lost_count++ == 0) {
        snprintf(report->first_lost, sizeof(report->first_lost), "%s", report->text);
    }
    report->damage_count += event == BTS_SALVAGE_DAMAGE;
    if (report->report != NULL) {
        report->report(report->argument, event, report->text);
    }
    report->size = 0;
    report->text[0] = '\0';
}
