/* SPDX-License-Identifier: MIT */
/* serial_mangle: see serial_mangle.h. */
#include "serial_mangle.h"

#include "../process/harness.h"
#include "serial_check.h"

#include <string.h>

/* What was changed, to be put back. */
struct change {
    uint64_t *at;
    uint64_t was;
};

struct mangler {
    struct serial_history *history;
    struct change *changes;
    size_t count, room;
};

static void change(struct mangler *mangler, void *at, uint64_t to)
{
    if (mangler->count == mangler->room) {
        mangler->room = mangler->room > 0 ? 2 * mangler->room : 64;
        mangler->changes = realloc(mangler->changes, mangler->room * sizeof *mangler->changes);
        HARNESS_CHECK(mangler->changes != NULL, "out of memory");
    }
    mangler->changes[mangler->count++] = (struct change){at, *(uint64_t *)at};
    *(uint64_t *)at = to;
}

static void change_version(struct mangler *mangler, struct serial_version *at, uint32_t cell,
                           uint32_t version)
{
    struct serial_version to = {cell, version};
    uint64_t word;

    _Static_assert(sizeof to == sizeof word, "a version is one word");
    memcpy(&word, &to, sizeof word);
    change(mangler, at, word);
}

static void put_back(struct mangler *mangler)
{
    while (mangler->count > 0) {
        mangler->count--;
        *mangler->changes[mangler->count].at = mangler->changes[mangler->count].was;
    }
}

/* ---- looking for places --------------------------------------------------- */

/* The acknowledged commit that made a version, or NULL. */
static struct serial_commit *maker_of(const struct mangler *mangler, uint32_t cell,
                                      uint32_t version)
{
    for (unsigned l = 0; l < mangler->history->log_count; l++) {
        const struct serial_log *log = &mangler->history->logs[l];

        for (size_t i = 0; i < log->commit_count; i++)
            for (size_t w = 0; w < log->commits[i].write_count; w++)
                if (log->commits[i].outcome == SERIAL_COMMITTED &&
                    log->commits[i].writes[w].cell == cell &&
                    log->commits[i].writes[w].version == version)
                    return &log->commits[i];
    }
    return NULL;
}

/* The first acknowledged commit, from the middle of the logs on, that a test accepts. */
static struct serial_commit *find_commit(const struct mangler *mangler,
                                         bool (*accepts)(const struct mangler *mangler,
                                                         const struct serial_commit *commit))
{
    for (unsigned l = 0; l < mangler->history->log_count; l++) {
        const struct serial_log *log = &mangler->history->logs[l];

        for (size_t i = log->commit_count / 2; i < log->commit_count; i++)
            if (accepts(mangler, &log->commits[i]))
                return &log->commits[i];
    }
    return NULL;
}

static struct serial_log *final_log(const struct mangler *mangler)
{
    return &mangler->history->logs[mangler->history->log_count - 1];
}

/* ---- the ways ------------------------------------------------------------- */

/* A read of what an acknowledged commit made, and another one replaced later. */
static struct serial_version *find_read(const struct mangler *mangler, uint64_t *txnid)
{
    for (unsigned l = 0; l < mangler->history->log_count; l++) {
        const struct serial_log *log = &mangler->history->logs[l];

        for (size_t s = log->snapshot_count / 2; s < log->snapshot_count; s++)
            for (size_t r = 0; r < log->snapshots[s].read_count; r++) {
                struct serial_version *read = &log->reads[log->snapshots[s].first_read + r];

                *txnid = log->snapshots[s].txnid;
                if (read->version > mangler->history->base[read->cell] &&
                    maker_of(mangler, read->cell, read->version) != NULL &&
                    maker_of(mangler, read->cell, read->version + 1) != NULL)
                    return read;
            }
    }
    return NULL;
}

static bool stale_read(struct mangler *mangler)
{
    uint64_t txnid;
    struct serial_version *read = find_read(mangler, &txnid);

    if (read == NULL)
        return false;
    change_version(mangler, read, read->cell, read->version - 1);
    return true;
}

static bool future_read(struct mangler *mangler)
{
    uint64_t txnid;
    struct serial_version *read = find_read(mangler, &txnid);

    if (read == NULL)
        return false;
    change_version(mangler, read, read->cell, read->version + 1);
    return true;
}

/* Nobody ever saw what was acknowledged last. */
static bool lost_acknowledgement(struct mangler *mangler)
{
    const struct serial_log *last = final_log(mangler);
    const struct serial_snapshot *final = &last->snapshots[last->snapshot_count - 1];
    struct serial_version lost = {0, 0};

    for (size_t r = 0; r < final->read_count; r++)
        if (maker_of(mangler, last->reads[final->first_read + r].cell,
                     last->reads[final->first_read + r].version) != NULL)
            lost = last->reads[final->first_read + r];
    for (unsigned l = 0; lost.version > 0 && l < mangler->history->log_count; l++) {
        const struct serial_log *log = &mangler->history->logs[l];

        for (size_t r = 0; r < log->read_count; r++)
            if (log->reads[r].cell == lost.cell && log->reads[r].version == lost.version)
                change_version(mangler, &log->reads[r], lost.cell, lost.version - 1);
    }
    return lost.version > 0;
}

static bool follows_another(const struct mangler *mangler, const struct serial_commit *commit)
{
    const struct serial_commit *before;

    if (commit->outcome != SERIAL_COMMITTED || commit->write_count == 0)
        return false;
    before = maker_of(mangler, commit->writes[0].cell, commit->writes[0].version - 1);
    return before != NULL && before->txnid < commit->txnid;
}

static bool reordered_commits(struct mangler *mangler)
{
    struct serial_commit *commit = find_commit(mangler, follows_another);
    struct serial_commit *before;
    uint64_t txnid;

    if (commit == NULL)
        return false;
    before = maker_of(mangler, commit->writes[0].cell, commit->writes[0].version - 1);
    txnid = commit->txnid;
    change(mangler, &commit->txnid, before->txnid);
    change(mangler, &before->txnid, txnid);
    return true;
}

static bool lost_update(struct mangler *mangler)
{
    struct serial_commit *commit = find_commit(mangler, follows_another);

    if (commit == NULL)
        return false;
    change_version(mangler, &commit->writes[0], commit->writes[0].cell,
                   commit->writes[0].version - 1);
    return true;
}

static bool dropped_commit(struct mangler *mangler)
{
    struct serial_commit *commit = find_commit(mangler, follows_another);

    if (commit == NULL)
        return false;
    change(mangler, &commit->outcome, SERIAL_ABSENT);
    return true;
}

/* Puts the other half, as it was, in place of the next read; false where there is no such half. */
static bool tear(struct mangler *mangler, struct serial_version *read)
{
    const struct serial_commit *commit = maker_of(mangler, read->cell, read->version);

    if (commit == NULL || commit->write_count < 2 || commit->writes[0].cell != read->cell)
        return false;
    change_version(mangler, read + 1, commit->writes[1].cell, commit->writes[1].version - 1);
    return true;
}

/* A snapshot that shows one half of a transaction: any that saw the first half will do. */
static bool torn_transaction(struct mangler *mangler)
{
    for (unsigned l = 0; l < mangler->history->log_count; l++) {
        const struct serial_log *log = &mangler->history->logs[l];

        for (size_t s = log->snapshot_count / 2; s < log->snapshot_count; s++)
            for (size_t r = 0; r + 1 < log->snapshots[s].read_count; r++)
                if (tear(mangler, &log->reads[log->snapshots[s].first_read + r]))
                    return true;
    }
    return false;
}

/* The last snapshot of all is of the round's begin. */
static bool old_snapshot(struct mangler *mangler)
{
    const struct serial_log *last = final_log(mangler);

    change(mangler, &last->snapshots[last->snapshot_count - 1].txnid,
           mangler->history->base_txnid);
    return true;
}

/* An answer that came before somebody else's question, and has the larger number. */
static bool old_commit(struct mangler *mangler)
{
    struct serial_commit *commit = find_commit(mangler, follows_another);

    if (commit == NULL)
        return false;
    change(mangler, &commit->txnid, mangler->history->base_txnid);
    return true;
}

/* Two that share a group, each on the condition that the other has not been there. */
static bool write_skew(struct mangler *mangler)
{
    for (unsigned a = 0; a < mangler->history->log_count; a++)
        for (unsigned b = a + 1; b < mangler->history->log_count; b++) {
            const struct serial_log *first = &mangler->history->logs[a];
            const struct serial_log *second = &mangler->history->logs[b];

            for (size_t i = 0, j = 0; i < first->commit_count && j < second->commit_count;) {
                struct serial_commit *one = &first->commits[i], *two = &second->commits[j];

                if (one->outcome != SERIAL_COMMITTED || one->txnid < two->txnid) {
                    i++;
                } else if (two->outcome != SERIAL_COMMITTED || two->txnid < one->txnid) {
                    j++;
                } else if (one->require_count == SERIAL_REQUIRES_MAX ||
                           one->writes[0].cell == two->writes[0].cell) {
                    i++;
                } else if (two->require_count == SERIAL_REQUIRES_MAX) {
                    j++;
                } else {
                    change_version(mangler, &one->requires[one->require_count],
                                   two->writes[0].cell, two->writes[0].version - 1);
                    change_version(mangler, &two->requires[two->require_count],
                                   one->writes[0].cell, one->writes[0].version - 1);
                    change(mangler, &one->require_count, one->require_count + 1);
                    change(mangler, &two->require_count, two->require_count + 1);
                    return true;
                }
            }
        }
    return false;
}

static bool requires_what_changed(const struct mangler *mangler,
                                  const struct serial_commit *commit)
{
    const struct serial_commit *before;

    if (commit->outcome != SERIAL_COMMITTED || commit->require_count == 0)
        return false;
    before = maker_of(mangler, commit->requires[0].cell, commit->requires[0].version);
    return before != NULL && before->txnid < commit->txnid;
}

static bool false_condition(struct mangler *mangler)
{
    struct serial_commit *commit = find_commit(mangler, requires_what_changed);

    if (commit == NULL)
        return false;
    change_version(mangler, &commit->requires[0], commit->requires[0].cell,
                   commit->requires[0].version - 1);
    return true;
}

static bool wrong_total(struct mangler *mangler)
{
    const struct serial_log *log = final_log(mangler);

    change(mangler, &log->snapshots[log->snapshot_count - 1].total,
           log->snapshots[log->snapshot_count - 1].total - 1);
    return true;
}

static bool was_refused(const struct mangler *mangler, const struct serial_commit *commit)
{
    (void)mangler;
    return commit->outcome == SERIAL_REFUSED;
}

static bool wrong_refusal(struct mangler *mangler)
{
    struct serial_commit *commit = find_commit(mangler, was_refused);

    if (commit == NULL)
        return false;
    change_version(mangler, &commit->refuted, commit->writes[0].cell,
                   commit->writes[0].version - 1);
    return true;
}

/* A commit that was refused is there all the same. */
static bool refused_and_done(struct mangler *mangler)
{
    struct serial_commit *commit = find_commit(mangler, was_refused);

    if (commit == NULL)
        return false;
    change(mangler, &commit->outcome, SERIAL_COMMITTED);
    return true;
}

/* ---- all of them ---------------------------------------------------------- */

static const struct {
    const char *name;
    bool (*mangle)(struct mangler *mangler);
    enum serial_verdict verdict; /* SERIAL_FINE: any but that */
} ways[] = {
    {"stale read", stale_read, SERIAL_STALE_READ},
    {"read of the future", future_read, SERIAL_FUTURE_READ},
    {"lost acknowledgement", lost_acknowledgement, SERIAL_STALE_READ},
    {"reordered commits", reordered_commits, SERIAL_FINE},
    {"lost update", lost_update, SERIAL_LOST_UPDATE},
    {"dropped commit", dropped_commit, SERIAL_LOST_COMMIT},
    {"torn transaction", torn_transaction, SERIAL_STALE_READ},
    {"old snapshot", old_snapshot, SERIAL_OLD_SNAPSHOT},
    {"old commit", old_commit, SERIAL_OLD_COMMIT},
    {"write skew", write_skew, SERIAL_CYCLE},
    {"false condition", false_condition, SERIAL_FALSE_CONDITION},
    {"wrong total", wrong_total, SERIAL_WRONG_TOTAL},
    {"wrong refusal", wrong_refusal, SERIAL_WRONG_REFUSAL},
    {"refused and done", refused_and_done, SERIAL_FINE},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

unsigned serial_mangle_all(struct serial_history *history)
{
    struct mangler mangler = {.history = history};
    struct serial_result result = {
        .versions = calloc(history->cell_count, sizeof *result.versions)};

    for (size_t i = 0; i < WAYS; i++) {
        HARNESS_CHECK(ways[i].mangle(&mangler), "no place for: %s", ways[i].name);
        HARNESS_CHECK(!serial_check(history, &result), "not found: %s", ways[i].name);
        HARNESS_CHECK(ways[i].verdict == SERIAL_FINE || result.verdict == ways[i].verdict,
                      "%s: found %s instead: %s", ways[i].name,
                      serial_verdict_name(result.verdict), result.text);
        put_back(&mangler);
    }
    HARNESS_CHECK(serial_check(history, &result), "not put back: %s", result.text);
    free(mangler.changes);
    free(result.versions);
    return WAYS;
}
