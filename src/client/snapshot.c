/* SPDX-License-Identifier: MIT */
/*
 * snapshot: begin, renew and end, in nanoseconds.
 *
 * Begin is a store in the slot and a handful of loads; and one locked instruction, where the
 * daemon cannot make barriers for its readers (snapshot.h).  Every 1,021st begin of a thread
 * reads the coarse clock, and once a second one of those looks at the socket.
 */
#include "client/snapshot_private.h"

#include "base/err.h"

#include <string.h>

/* A prime: who opens several stores in turns looks at each. */
#define SNAPSHOT_LOOK_EVERY 1021u

#define COLD __attribute__((noinline, cold))
#define NOINLINE __attribute__((noinline))

static const fork_mark snapshot_closed_mark; /* 0 for ever */

enum bts_status snapshot_unusable(const struct snapshot *snapshot, struct bts_error *error)
{
    if (snapshot->mark == &snapshot_closed_mark) {
        return err_set(error, BTS_INVALID, "the snapshot is closed");
    }
    return store_check_fork(snapshot_store(snapshot), error);
}

/* ---- begin ----------------------------------------------------------------------- */

/* Begins of the thread, of any store, until it looks; found without a call: initial-exec. */
static _Thread_local uint32_t snapshot_countdown
    __attribute__((tls_model("initial-exec"))) = SNAPSHOT_LOOK_EVERY;

/*
 * What the thread opened last, if that was in its own slot and without a fence:
 * as long as nothing is published, opening again gives the same.
 */
static _Thread_local struct {
    uint64_t mark; /* the value of the store's fork mark, which no other store has */
    const struct beacon *beacon;
    struct snapshot opened;
} snapshot_last __attribute__((tls_model("initial-exec"))) = {.mark = UINT64_MAX};

static inline struct attachment *snapshot_newest(const struct bts_store *store)
{
    /* seq_cst: after the pin, if there was one; pairs with store_adopt (attachment.h) */
    return atomic_load_explicit(&store->attachment, memory_order_seq_cst);
}

/*
 * Announces what the thread opened last, and whether that holds.  The slot and
 * the beacon are there as long as the store is; the map, as long as the
 * attachment is the newest or a slot is taken.  It was large enough for this
 * state, whose root will not change.
 */
static inline bool snapshot_again(const struct bts_store *store)
{
    struct slot *slot = snapshot_last.opened.slot;

    if (fork_mark_value(store->mark) != snapshot_last.mark ||
        /* acquire: pairs with the release in snapshot_unpin, by any thread */
        atomic_load_explicit(&slot->txn, memory_order_acquire) != SLOT_IDLE)
        return false;
    snapshot_announce(slot, snapshot_last.opened.state.txnid, true);
    if (__builtin_expect(snapshot_is_latest(snapshot_last.beacon,
                                            snapshot_last.opened.state.txnid) &&
                         snapshot_newest(store) == snapshot_last.opened.attachment, 1))
        return true;
    slots_unpin(slot);
    return false;
}

/* relaxed: stored before the `latest` that was acquired */
static inline bool snapshot_outgrew(const struct attachment *attachment, const struct map *map)
{
    return atomic_load_explicit(&attachment->beacon->page_count, memory_order_relaxed) >
           map->source.page_limit;
}

/* acquire: what the map points to; pairs with attachment_grow */
static inline const struct map *snapshot_map(const struct attachment *attachment)
{
    return atomic_load_explicit(&attachment->map, memory_order_acquire);
}

/* Counts a begin; true: it is time to look at the clock. */
static inline bool snapshot_tick(void)
{
    return __builtin_expect(--snapshot_countdown == 0, 0);
}

static COLD enum bts_status snapshot_look(struct bts_store *store)
{
    snapshot_countdown = SNAPSHOT_LOOK_EVERY;
    look_if_due(store);
    return BTS_OK;
}

static COLD enum bts_status snapshot_fail(struct snapshot *snapshot, enum bts_status status)
{
    if (snapshot->slot != NULL) {
        slots_unpin(snapshot->slot);
    }
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->mark = &snapshot_closed_mark;
    return status;
}

static enum bts_status snapshot_not_pinned(const struct bts_store *store, txnid_t txnid,
                                           struct bts_error *error)
{
    if (txnid == 0) {
        return err_set(error, BTS_BUSY, "%s: its daemon has not published a state yet",
                       store->name);
    }
    return err_set(error, BTS_BUSY, "%s: all %u snapshots of this process are open; close some",
                   store->name, SLOT_COUNT);
}

/* Maps more of the file for a snapshot that is pinned already. */
static COLD enum bts_status snapshot_grow(struct snapshot *snapshot, struct bts_error *error)
{
    enum bts_status status = attachment_grow(snapshot->attachment, error);

    if (status != BTS_OK) {
        return snapshot_fail(snapshot, store_failed(snapshot_store(snapshot), status, error));
    }
    snapshot->source = &snapshot_map(snapshot->attachment)->source;
    return BTS_OK;
}

/* Begins whatever is in the way: taken slots, publishes that overtake, a new attachment. */
static COLD enum bts_status snapshot_begin_slowly(struct bts_store *store,
                                                  struct snapshot *snapshot,
                                                  struct bts_error *error)
{
    struct attachment *attachment;

    snapshot->slot = NULL;
    if (!fork_mark_is_ours(store->mark)) {
        return snapshot_fail(snapshot, store_check_fork(store, error));
    }
    for (;;) {
        attachment = snapshot_newest(store);
        snapshot->slot = slots_pin(&attachment->slots, attachment->beacon, &snapshot->state);
        if (attachment == snapshot_newest(store)) {
            break;
        }
        if (snapshot->slot != NULL) {
            slots_unpin(snapshot->slot);
        }
    }
    snapshot->mark = store->mark;
    snapshot->attachment = attachment;
    if (snapshot->slot == NULL) {
        return snapshot_fail(snapshot, snapshot_not_pinned(store, snapshot->state.txnid, error));
    }
    if (snapshot_outgrew(attachment, snapshot_map(attachment))) {
        return snapshot_grow(snapshot, error);
    }
    snapshot->source = &snapshot_map(attachment)->source;
    return snapshot_look(store);
}

/* If that was a begin without a fence, then the next may be short. */
static inline void snapshot_remember(const struct bts_store *store, const struct snapshot *opened)
{
    if (opened->attachment->slots.joined) {
        snapshot_last.mark = fork_mark_value(store->mark);
        snapshot_last.beacon = opened->attachment->beacon;
        snapshot_last.opened = *opened;
    }
}

/*
 * The thread's own slot is idle, nothing is published meanwhile, the map is
 * large enough: then this is all; the rest is left to snapshot_begin_slowly.
 */
static NOINLINE enum bts_status snapshot_begin(struct bts_store *store, struct snapshot *opened,
                                               struct bts_error *error)
{
    struct attachment *attachment = snapshot_newest(store);
    const struct beacon *beacon = attachment->beacon;
    const struct map *map;
    unsigned index = slots_hint();
    struct slot *slot;

    if (!fork_mark_is_ours(store->mark)) {
        return snapshot_begin_slowly(store, opened, error);
    }
    slot = slots_pin_at(&attachment->slots, beacon, index, &opened->state);
    if (__builtin_expect(slot == NULL, 0)) {
        return snapshot_begin_slowly(store, opened, error);
    }
    map = snapshot_map(attachment);
    if (__builtin_expect(attachment != snapshot_newest(store) || snapshot_outgrew(attachment, map),
                         0)) {
        slots_unpin(slot);
        return snapshot_begin_slowly(store, opened, error);
    }
    opened->mark = store->mark;
    opened->slot = slot;
    opened->attachment = attachment;
    opened->source = &map->source;
    snapshot_remember(store, opened);
    return snapshot_tick() ? snapshot_look(store) : BTS_OK;
}

enum bts_status bts_snapshot_open(struct bts_store *store, struct bts_snapshot *snapshot,
                                  struct bts_error *error)
{
    struct snapshot *opened = (struct snapshot *)snapshot;

    if (snapshot_again(store)) {
        *opened = snapshot_last.opened;
        return snapshot_tick() ? snapshot_look(store) : BTS_OK;
    }
    return snapshot_begin(store, opened, error);
}

/* ---- renew and end --------------------------------------------------------------- */

enum bts_status bts_snapshot_renew(struct bts_snapshot *snapshot, struct bts_error *error)
{
    struct snapshot *renewed = (struct snapshot *)snapshot;
    struct attachment *attachment = renewed->attachment;

    if (!fork_mark_is_ours(renewed->mark)) {
        return snapshot_unusable(renewed, error);
    }
    if (snapshot_newest(attachment->store) != attachment) {
        bts_snapshot_close(snapshot);
        return bts_snapshot_open(attachment->store, snapshot, error);
    }
    /* An attachment replaced from here on is kept by our slot, which never looks idle. */
    renewed->state =
        snapshot_pin_as(attachment->beacon, renewed->slot, attachment->slots.joined);
    if (__builtin_expect(snapshot_outgrew(attachment, snapshot_map(attachment)), 0)) {
        return snapshot_grow(renewed, error);
    }
    renewed->source = &snapshot_map(attachment)->source;
    return snapshot_tick() ? snapshot_look(attachment->store) : BTS_OK;
}

void bts_snapshot_close(struct bts_snapshot *snapshot)
{
    struct snapshot *closed = (struct snapshot *)snapshot;

    /* Neither zeroed nor closed, and not in a fork child, where the slot is not there. */
    if (closed->mark != NULL && fork_mark_is_ours(closed->mark)) {
        slots_unpin(closed->slot);
    }
    closed->mark = &snapshot_closed_mark;
}

uint64_t bts_snapshot_txnid(const struct bts_snapshot *snapshot)
{
    return snapshot_of(snapshot)->state.txnid;
}
