/* SPDX-License-Identifier: MIT */
/*
 * serial_check: is a history strictly serializable?  In linear time, as the
 * store tells its total order: the txnid, and within one commit group the
 * versions of the cells.
 *
 * What is demanded
 *  (1) Each version of a cell has exactly one maker, and none is missing.
 *  (2) Real time: whatever begins after an acknowledgement, or after a
 *      snapshot was open, is at least as new; a commit is newer.
 *  (3) A read at snapshot T saw the last version made at or before T.
 *  (4) A commit's conditions held at its place: across groups by txnid, and
 *      within a group its members can be put in an order that all agree with.
 *  (5) Each snapshot counts exactly the commits at or before it.
 *  (6) A refusal had a reason.
 * A commit of unknown outcome that was found later has a range of txnids; every
 * read narrows it, and it must not become empty.
 *
 * No I/O, no store.
 */
#ifndef SERIAL_CHECK_H
#define SERIAL_CHECK_H

#include "serial_history.h"

#include <stdbool.h>

enum serial_verdict {
    SERIAL_FINE = 0,
    SERIAL_LOST_UPDATE,     /* two commits made the same version */
    SERIAL_LOST_COMMIT,     /* a version without a maker */
    SERIAL_OLD_SNAPSHOT,    /* a snapshot older than what was known before it */
    SERIAL_OLD_COMMIT,      /* a commit not newer than what was known before it */
    SERIAL_STALE_READ,      /* a later version was there already */
    SERIAL_FUTURE_READ,     /* the version was made later, or never */
    SERIAL_BROKEN_ORDER,    /* the versions of a cell are not in the order of the txnids */
    SERIAL_FALSE_CONDITION, /* committed, although a condition did not hold */
    SERIAL_CYCLE,           /* a group whose members have no order */
    SERIAL_WRONG_TOTAL,
    SERIAL_WRONG_REFUSAL,
    SERIAL_VERDICT_COUNT,
};

struct serial_result {
    enum serial_verdict verdict;
    char text[240];       /* what was found first; "" if fine */
    uint64_t reads, commits, refusals, snapshots;
    uint64_t unknown;     /* commits that were found after a kill */
    uint64_t shared;      /* commits in a group with others */
    uint32_t *versions;   /* of each cell at the end; the caller gives room */
    uint64_t total;       /* at the end */
};

const char *serial_verdict_name(enum serial_verdict verdict);
/* True if fine.  Fails the program when memory runs out. */
bool serial_check(const struct serial_history *history, struct serial_result *result);

#endif
