/* SPDX-License-Identifier: MIT */
/* serial_check: see serial_check.h. */
#include "serial_check.h"

#include "serial_events.h"
#include "serial_group.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY UINT32_MAX

/* One commit that took place. */
struct txn {
    const struct serial_commit *commit;
    uint64_t lowest, highest; /* txnid; equal when it was acknowledged */
};

struct check {
    const struct serial_history *history;
    struct serial_result *result;
    struct txn *txns;
    uint32_t txn_count;
    uint32_t *unknown; /* those with a range */
    uint32_t unknown_count;
    uint32_t *makers;     /* of version base + 1 + i of cell c: makers[first[c] + i] */
    uint64_t *first;      /* per cell, and one more */
    uint32_t *order;      /* the acknowledged ones by txnid */
    uint32_t order_count;
};

static const char *const verdict_names[SERIAL_VERDICT_COUNT] = {
    "fine",         "lost update",  "lost commit",     "old snapshot", "old commit",  "stale read",
    "future read",  "broken order", "false condition", "cycle",        "wrong total",
    "wrong refusal"};

const char *serial_verdict_name(enum serial_verdict verdict)
{
    return verdict_names[verdict];
}

/* Notes the first finding; false, for the caller to return. */
__attribute__((format(printf, 3, 4)))
static bool found(struct check *check, enum serial_verdict verdict, const char *format, ...)
{
    va_list arguments;

    check->result->verdict = verdict;
    va_start(arguments, format);
    vsnprintf(check->result->text, sizeof check->result->text, format, arguments);
    va_end(arguments);
    return false;
}

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);

    if (memory == NULL) {
        fprintf(stderr, "serial_check: out of memory\n");
        exit(1);
    }
    return memory;
}

/* ---- (1) the makers of versions ------------------------------------------- */

static bool took_place(const struct serial_commit *commit)
{
    return commit->outcome == SERIAL_COMMITTED || commit->outcome == SERIAL_THERE;
}

/* Counts what each cell was written and makes room for it. */
static bool size_cells(struct check *check)
{
    const struct serial_history *history = check->history;
    uint64_t commits = 0;

    check->first = room(history->cell_count + 2, sizeof *check->first);
    for (unsigned l = 0; l < history->log_count; l++) {
        const struct serial_log *log = &history->logs[l];

        commits += log->commit_count;
        for (size_t i = 0; i < log->commit_count; i++) {
            const struct serial_commit *commit = &log->commits[i];

            if (commit->outcome == SERIAL_UNKNOWN)
                return found(check, SERIAL_LOST_COMMIT, "commit %llu of log %u was never settled",
                             (unsigned long long)commit->sequence, l);
            for (size_t w = 0; took_place(commit) && w < commit->write_count; w++)
                check->first[commit->writes[w].cell + 1]++;
        }
    }
    for (unsigned c = 0; c < history->cell_count; c++)
        check->first[c + 1] += check->first[c];
    check->txns = room(commits, sizeof *check->txns);
    check->unknown = room(commits, sizeof *check->unknown);
    check->order = room(commits, sizeof *check->order);
    check->makers = room(check->first[history->cell_count], sizeof *check->makers);
    memset(check->makers, 0xff, check->first[history->cell_count] * sizeof *check->makers);
    return true;
}

/* Who made a version of this round; NOBODY: it is older, or was not made. */
static uint32_t maker(const struct check *check, uint32_t cell, uint32_t version)
{
    uint32_t base = check->history->base[cell];

    if (version <= base || version - base > check->first[cell + 1] - check->first[cell])
        return NOBODY;
    return check->makers[check->first[cell] + (version - base - 1)];
}

static bool add_txn(struct check *check, const struct serial_commit *commit)
{
    uint32_t number = check->txn_count++;

    check->txns[number] =
        (struct txn){commit, commit->outcome == SERIAL_COMMITTED ? commit->txnid : 0,
                     commit->txnid};
    if (commit->outcome == SERIAL_THERE)
        check->unknown[check->unknown_count++] = number;
    for (size_t w = 0; w < commit->write_count; w++) {
        struct serial_version made = commit->writes[w];
        uint64_t index = (uint64_t)made.version - check->history->base[made.cell] - 1;

        if (made.version <= check->history->base[made.cell] ||
            index >= check->first[made.cell + 1] - check->first[made.cell])
            return found(check, SERIAL_LOST_COMMIT,
                         "cell %u: version %u was made, but not all before it", made.cell,
                         made.version);
        if (check->makers[check->first[made.cell] + index] != NOBODY)
            return found(check, SERIAL_LOST_UPDATE,
                         "cell %u: version %u was made twice, last in commit %llu", made.cell,
                         made.version, (unsigned long long)commit->txnid);
        check->makers[check->first[made.cell] + index] = number;
    }
    return true;
}

static bool collect(struct check *check)
{
    const struct serial_history *history = check->history;

    if (!size_cells(check))
        return false;
    for (unsigned l = 0; l < history->log_count; l++) {
        const struct serial_log *log = &history->logs[l];

        for (size_t i = 0; i < log->commit_count; i++)
            if (took_place(&log->commits[i]) && !add_txn(check, &log->commits[i]))
                return false;
    }
    for (unsigned c = 0; c < history->cell_count; c++)
        check->result->versions[c] =
            history->base[c] + (uint32_t)(check->first[c + 1] - check->first[c]);
    check->result->total = history->base_total + check->txn_count;
    return true;
}

/* ---- (2) real time -------------------------------------------------------- */

/* `known`: the newest txnid that somebody had in hand before. */
static bool take_event(struct check *check, const struct serial_event *event, uint64_t *known,
                       uint64_t *floors)
{
    const struct serial_log *log = &check->history->logs[event->log];
    const struct serial_snapshot *snapshot = &log->snapshots[event->index];
    const struct serial_commit *commit = &log->commits[event->index];
    uint64_t txnid = 0;

    if (event->type == SNAPSHOT_BEGIN) {
        if (snapshot->txnid < *known)
            return found(check, SERIAL_OLD_SNAPSHOT,
                         "snapshot %llu was opened after %llu was known",
                         (unsigned long long)snapshot->txnid, (unsigned long long)*known);
    } else if (event->type == COMMIT_BEGIN) {
        floors[event->index] = *known;
        if (took_place(commit) && commit->txnid <= *known)
            return found(check, SERIAL_OLD_COMMIT, "commit %llu was begun after %llu was known",
                         (unsigned long long)commit->txnid, (unsigned long long)*known);
    } else if (event->type == SNAPSHOT_END) {
        txnid = snapshot->txnid;
    } else {
        txnid = commit->outcome == SERIAL_COMMITTED ? commit->txnid : 0;
    }
    *known = txnid > *known ? txnid : *known;
    return true;
}

/* Ranges of unknown commits begin above what was known when they were sent. */
static void raise_lowest(struct check *check, uint64_t *const *floors)
{
    const struct serial_history *history = check->history;

    for (uint32_t u = 0; u < check->unknown_count; u++) {
        struct txn *txn = &check->txns[check->unknown[u]];

        for (unsigned l = 0; l < history->log_count; l++) {
            const struct serial_log *log = &history->logs[l];

            if (txn->commit >= log->commits && txn->commit < log->commits + log->commit_count)
                txn->lowest = floors[l][txn->commit - log->commits] + 1;
        }
    }
}

static bool check_real_time(struct check *check)
{
    const struct serial_history *history = check->history;
    struct serial_events events = {.history = history};
    struct serial_event event;
    uint64_t *floors[SERIAL_PROCESSES_MAX];
    uint64_t known = history->base_txnid;
    bool fine = true;

    for (unsigned l = 0; l < history->log_count; l++)
        floors[l] = room(history->logs[l].commit_count, sizeof **floors);
    while (fine && serial_events_next(&events, &event))
        fine = take_event(check, &event, &known, floors[event.log]);
    if (fine)
        raise_lowest(check, floors);
    for (unsigned l = 0; l < history->log_count; l++)
        free(floors[l]);
    return fine;
}

/* ---- (3) reads ------------------------------------------------------------ */

static bool check_read(struct check *check, uint64_t txnid, struct serial_version read)
{
    uint32_t made = maker(check, read.cell, read.version);
    uint32_t after = maker(check, read.cell, read.version + 1);

    if (made == NOBODY && read.version != check->history->base[read.cell])
        return found(check,
                     read.version > check->history->base[read.cell] ? SERIAL_FUTURE_READ
                                                                    : SERIAL_STALE_READ,
                     "snapshot %llu: cell %u: nobody made version %u",
                     (unsigned long long)txnid, read.cell, read.version);
    if (made != NOBODY && check->txns[made].lowest > txnid)
        return found(check, SERIAL_FUTURE_READ,
                     "snapshot %llu: cell %u: saw version %u, made in commit %llu",
                     (unsigned long long)txnid, read.cell, read.version,
                     (unsigned long long)check->txns[made].lowest);
    if (after != NOBODY && check->txns[after].highest <= txnid)
        return found(check, SERIAL_STALE_READ,
                     "snapshot %llu: cell %u: saw version %u, but commit %llu made the next",
                     (unsigned long long)txnid, read.cell, read.version,
                     (unsigned long long)check->txns[after].highest);
    if (made != NOBODY && check->txns[made].highest > txnid)
        check->txns[made].highest = txnid;
    if (after != NOBODY && check->txns[after].lowest <= txnid)
        check->txns[after].lowest = txnid + 1;
    return true;
}

static bool check_reads(struct check *check)
{
    const struct serial_history *history = check->history;

    for (unsigned l = 0; l < history->log_count; l++) {
        const struct serial_log *log = &history->logs[l];

        for (size_t s = 0; s < log->snapshot_count; s++) {
            const struct serial_snapshot *snapshot = &log->snapshots[s];

            check->result->snapshots++;
            check->result->reads += snapshot->read_count;
            for (size_t r = 0; r < snapshot->read_count; r++)
                if (!check_read(check, snapshot->txnid, log->reads[snapshot->first_read + r]))
                    return false;
        }
    }
    return true;
}

/* Along a cell txnids never fall; what is unknown is narrowed by its neighbours. */
static bool check_chain(struct check *check, unsigned cell)
{
    uint64_t count = check->first[cell + 1] - check->first[cell];
    const uint32_t *makers = check->makers + check->first[cell];

    for (uint64_t i = 1; i < count; i++) {
        const struct txn *before = &check->txns[makers[i - 1]];
        struct txn *after = &check->txns[makers[i]];

        if (after->highest < before->lowest)
            return found(check, SERIAL_BROKEN_ORDER,
                         "cell %u: commit %llu made version %u, and commit %llu the next", cell,
                         (unsigned long long)before->lowest,
                         check->history->base[cell] + (uint32_t)i,
                         (unsigned long long)after->highest);
        if (after->lowest < before->lowest)
            after->lowest = before->lowest;
    }
    for (uint64_t i = count; i-- > 1;) {
        struct txn *before = &check->txns[makers[i - 1]];
        uint64_t highest = check->txns[makers[i]].highest;

        before->highest = highest < before->highest ? highest : before->highest;
    }
    return true;
}

static bool check_chains(struct check *check)
{
    for (unsigned c = 0; c < check->history->cell_count; c++)
        if (!check_chain(check, c))
            return false;
    for (uint32_t u = 0; u < check->unknown_count; u++) {
        const struct txn *txn = &check->txns[check->unknown[u]];

        if (txn->lowest > txn->highest)
            return found(check, SERIAL_BROKEN_ORDER,
                         "a commit of unknown outcome was seen before %llu and not before %llu",
                         (unsigned long long)txn->highest + 1, (unsigned long long)txn->lowest);
    }
    return true;
}

/* ---- (4) conditions ------------------------------------------------------- */

static bool check_condition(struct check *check, const struct txn *txn,
                            struct serial_version required)
{
    uint32_t made = maker(check, required.cell, required.version);
    uint32_t after = maker(check, required.cell, required.version + 1);

    if ((made == NOBODY && required.version != check->history->base[required.cell]) ||
        (made != NOBODY && check->txns[made].lowest > txn->highest) ||
        (after != NOBODY && check->txns[after].highest < txn->lowest))
        return found(check, SERIAL_FALSE_CONDITION,
                     "commit %llu required version %u of cell %u, which was not there",
                     (unsigned long long)txn->highest, required.version, required.cell);
    return true;
}

static bool check_conditions(struct check *check)
{
    for (uint32_t t = 0; t < check->txn_count; t++) {
        const struct txn *txn = &check->txns[t];

        for (size_t r = 0; r < txn->commit->require_count; r++)
            if (!check_condition(check, txn, txn->commit->requires[r]))
                return false;
    }
    return true;
}

/* The acknowledged ones by txnid: each log has them in order already. */
static void merge_by_txnid(struct check *check)
{
    const struct serial_history *history = check->history;
    uint32_t at[SERIAL_PROCESSES_MAX], end[SERIAL_PROCESSES_MAX];
    uint32_t next = 0;

    /* collect() went through the logs one after the other. */
    for (unsigned l = 0; l < history->log_count; l++) {
        const struct serial_log *log = &history->logs[l];

        at[l] = next;
        while (next < check->txn_count && check->txns[next].commit >= log->commits &&
               check->txns[next].commit < log->commits + log->commit_count)
            next++;
        end[l] = next;
    }
    for (;;) {
        unsigned of = SERIAL_PROCESSES_MAX;

        for (unsigned l = 0; l < history->log_count; l++) {
            while (at[l] < end[l] && check->txns[at[l]].commit->outcome != SERIAL_COMMITTED)
                at[l]++;
            if (at[l] < end[l] && (of == SERIAL_PROCESSES_MAX ||
                                   check->txns[at[l]].lowest < check->txns[at[of]].lowest))
                of = l;
        }
        if (of == SERIAL_PROCESSES_MAX)
            return;
        check->order[check->order_count++] = at[of]++;
    }
}

/* The members as commits, in an order that all agree with. */
static bool group_has_order(const struct check *check, const uint32_t *members, uint32_t count)
{
    const struct serial_commit *commits[SERIAL_GROUP_MAX];

    for (uint32_t i = 0; i < count; i++)
        commits[i] = check->txns[members[i]].commit;
    return serial_group_has_order(commits, count);
}

static bool check_groups(struct check *check)
{
    merge_by_txnid(check);
    for (uint32_t i = 0; i < check->order_count;) {
        uint64_t txnid = check->txns[check->order[i]].lowest;
        uint32_t end = i;

        while (end < check->order_count && check->txns[check->order[end]].lowest == txnid)
            end++;
        if (end - i > SERIAL_GROUP_MAX || !group_has_order(check, &check->order[i], end - i))
            return found(check, SERIAL_CYCLE, "the %u commits of group %llu have no order",
                         end - i, (unsigned long long)txnid);
        check->result->shared += end - i > 1 ? end - i : 0;
        i = end;
    }
    return true;
}

/* ---- (5) totals ----------------------------------------------------------- */

/* Acknowledged commits at or before txnid. */
static uint64_t acknowledged_until(const struct check *check, uint64_t txnid)
{
    uint32_t low = 0, high = check->order_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (check->txns[check->order[middle]].lowest <= txnid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool check_total(struct check *check, const struct serial_snapshot *snapshot)
{
    uint64_t least = check->history->base_total + acknowledged_until(check, snapshot->txnid);
    uint64_t most = least;

    for (uint32_t u = 0; u < check->unknown_count; u++) {
        const struct txn *txn = &check->txns[check->unknown[u]];

        least += txn->highest <= snapshot->txnid;
        most += txn->lowest <= snapshot->txnid;
    }
    if (snapshot->total < least || snapshot->total > most)
        return found(check, SERIAL_WRONG_TOTAL, "snapshot %llu counts %llu commits, not %llu..%llu",
                     (unsigned long long)snapshot->txnid, (unsigned long long)snapshot->total,
                     (unsigned long long)least, (unsigned long long)most);
    return true;
}

static bool check_totals(struct check *check)
{
    const struct serial_history *history = check->history;

    for (unsigned l = 0; l < history->log_count; l++)
        for (size_t s = 0; s < history->logs[l].snapshot_count; s++)
            if (!check_total(check, &history->logs[l].snapshots[s]))
                return false;
    return true;
}

/* ---- (6) refusals --------------------------------------------------------- */

/* What it required of the cell that is said to have refuted it. */
static bool was_refuted(const struct serial_commit *commit)
{
    for (size_t w = 0; w < commit->write_count; w++)
        if (commit->writes[w].cell == commit->refuted.cell &&
            commit->writes[w].version - 1 != commit->refuted.version)
            return true;
    for (size_t r = 0; r < commit->require_count; r++)
        if (commit->requires[r].cell == commit->refuted.cell &&
            commit->requires[r].version != commit->refuted.version)
            return true;
    return false;
}

static bool check_refusals(struct check *check)
{
    const struct serial_history *history = check->history;

    for (unsigned l = 0; l < history->log_count; l++) {
        const struct serial_log *log = &history->logs[l];

        for (size_t i = 0; i < log->commit_count; i++) {
            if (log->commits[i].outcome != SERIAL_REFUSED)
                continue;
            check->result->refusals++;
            if (!was_refuted(&log->commits[i]))
                return found(check, SERIAL_WRONG_REFUSAL,
                             "log %u: commit %llu was refused, but its conditions held", l,
                             (unsigned long long)log->commits[i].sequence);
        }
    }
    return true;
}

bool serial_check(const struct serial_history *history, struct serial_result *result)
{
    struct check check = {.history = history, .result = result};
    uint32_t *versions = result->versions;
    bool fine;

    memset(result, 0, sizeof *result);
    result->versions = versions;
    fine = collect(&check) && check_real_time(&check) && check_reads(&check) &&
           check_chains(&check) && check_conditions(&check) && check_groups(&check) &&
           check_totals(&check) && check_refusals(&check);
    result->commits = check.order_count;
    result->unknown = check.unknown_count;
    free(check.txns);
    free(check.unknown);
    free(check.order);
    free(check.makers);
    free(check.first);
    return fine;
}
