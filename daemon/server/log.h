/* SPDX-License-Identifier: MIT */
/*
 * log: what the daemon tells its administrator, one line a time.
 *
 * Lines read "btstored: main.bts: what: why; what next".  They go to stderr
 * until log_use_syslog, then to syslog.
 */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdbool.h>

struct log {
    const char *name; /* the store's file name, as given */
    bool to_syslog;
};

void log_init(struct log *log, const char *name);
/* From now on to syslog, facility daemon. */
void log_use_syslog(struct log *log);
void log_fini(struct log *log);

/* Severities are those of <syslog.h>: LOG_ERR, LOG_WARNING, LOG_INFO. */
__attribute__((format(printf, 3, 4)))
void log_line(const struct log *log, int severity, const char *format, ...);

/* The same as a callback for the engine; context is the struct log. */
void log_note(void *context, const char *text);

#endif
