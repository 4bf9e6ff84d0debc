/* SPDX-License-Identifier: MIT */
/*
 * serial_events: what the processes of a history did, in the order of real
 * time.  Each log is in order already, so this merges them.
 *
 * What began at the same instant as something ended comes before it: the two
 * then count as concurrent.
 */
#ifndef SERIAL_EVENTS_H
#define SERIAL_EVENTS_H

#include "serial_history.h"

#include <stdbool.h>

enum serial_event_type { SNAPSHOT_BEGIN, COMMIT_BEGIN, SNAPSHOT_END, COMMIT_END, NOTHING };

struct serial_event {
    enum serial_event_type type;
    unsigned log;
    size_t index; /* of the snapshot or commit in its log */
};

/* Where the reading of one log stands. */
struct serial_position {
    size_t snapshot_begin, snapshot_end, commit_begin, commit_end;
};

/* Zero it but for the history to start. */
struct serial_events {
    const struct serial_history *history;
    struct serial_position at[SERIAL_PROCESSES_MAX];
};

/* False: that was all. */
bool serial_events_next(struct serial_events *events, struct serial_event *event);

#endif
