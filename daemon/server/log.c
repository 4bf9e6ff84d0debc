/* SPDX-License-Identifier: MIT */
/*
 * log: see log.h.
 */
#include "server/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#define LOG_LINE_MAX 1024

void log_init(struct log *log, const char *name)
{
    log->name = name;
    log->to_syslog = false;
}

void log_use_syslog(struct log *log)
{
    openlog("btstored", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    log->to_syslog = true;
}

void log_fini(struct log *log)
{
    if (log->to_syslog) {
        closelog();
    }
}

/* A text that names program and store already is not given both again. */
static const char *log_bare(const struct log *log, const char *text)
{
    static const char program[] = "btstored: ";
    size_t name_size = strlen(log->name);

    if (strncmp(text, program, sizeof(program) - 1) == 0) {
        text += sizeof(program) - 1;
    }
    const char *colon = strstr(text, ": ");
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    if (size >= name_size && memcmp(colon - name_size, log->name, name_size) == 0 &&
        (size == name_size || (text[0] == '/' && colon[-(ptrdiff_t)name_size - 1] == '/'))) {
        text = colon + 2;
    }
    return text;
}

void log_line(const struct log *log, int severity, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (log->to_syslog) {
        syslog(severity, "%s: %s", log->name, log_bare(log, text));
    } else {
        fprintf(stderr, "btstored: %s: %s\n", log->name, log_bare(log, text));
    }
}

void log_note(void *context, const char *text)
{
    log_line(context, LOG_INFO, "%s", text);
}
