/* SPDX-License-Identifier: MIT */
/* serial_events: see serial_events.h. */
#include "serial_events.h"

/* The next event of a log.  What began at the same instant comes before what ended. */
static enum serial_event_type next_of_log(const struct serial_log *log,
                                          const struct serial_position *at, uint64_t *ns)
{
    enum serial_event_type next = NOTHING;

    *ns = UINT64_MAX;
    if (at->snapshot_begin < log->snapshot_count) {
        *ns = log->snapshots[at->snapshot_begin].begin_ns;
        next = SNAPSHOT_BEGIN;
    }
    if (at->commit_begin < log->commit_count && log->commits[at->commit_begin].begin_ns < *ns) {
        *ns = log->commits[at->commit_begin].begin_ns;
        next = COMMIT_BEGIN;
    }
    if (at->snapshot_end < at->snapshot_begin && log->snapshots[at->snapshot_end].end_ns < *ns) {
        *ns = log->snapshots[at->snapshot_end].end_ns;
        next = SNAPSHOT_END;
    }
    if (at->commit_end < at->commit_begin && log->commits[at->commit_end].end_ns < *ns) {
        *ns = log->commits[at->commit_end].end_ns;
        next = COMMIT_END;
    }
    return next;
}

static size_t take(struct serial_position *at, enum serial_event_type type)
{
    switch (type) {
    case SNAPSHOT_BEGIN:
        return at->snapshot_begin++;
    case COMMIT_BEGIN:
        return at->commit_begin++;
    case SNAPSHOT_END:
        return at->snapshot_end++;
    default:
        return at->commit_end++;
    }
}

bool serial_events_next(struct serial_events *events, struct serial_event *event)
{
    uint64_t earliest = UINT64_MAX;

    event->type = NOTHING;
    for (unsigned l = 0; l < events->history->log_count; l++) {
        uint64_t ns;
        enum serial_event_type type =
            next_of_log(&events->history->logs[l], &events->at[l], &ns);

        if (type != NOTHING && (ns < earliest || (ns == earliest && type < event->type))) {
            earliest = ns;
            event->type = type;
            event->log = l;
        }
    }
    if (event->type == NOTHING)
        return false;
    event->index = take(&events->at[event->log], event->type);
    return true;
}
