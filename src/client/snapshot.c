/* SPDX-License-Identifier: MIT */
/*
 * snapshot: begin, renew and end, in nanoseconds.
 *
 * Begin is one locked instruction in the slot and a handful of loads.  Every
 * 1,024th begin of a thread (counted by its slot) reads the coarse clock, and
 * once a second one of those looks at the socket.
 */
#include "client/snapshot_private.h"

#include "base/err.h"

#include <string.h>

#define SNAPSHOT_LOOK_EVERY 1024u
_Static_assert((STORE_TICKS & (STORE_TICKS - 1)) == 0, "ticks are found by a mask");

static const fork_mark snapshot_closed_mark; /* 0 for ever */

enum bts_status snapshot_unusable(const struct snapshot *snapshot, struct bts_error *error)
{
    if (snapshot->mark == &snapshot_closed_mark) {
        return err_set(error, BTS_INVALID, "the snapshot is closed");
    }
    return store_check_fork(snapshot->store, error);
}

/* ---- begin ----------------------------------------------------------------------- */

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

/* Counts the begins of a slot; the due ones look around. */
static inline void snapshot_tick(struct bts_store *store, const struct snapshot *snapshot)
{
    size_t index = (size_t)(snapshot->slot - snapshot->attachment->slots.file->slots);
    _Atomic uint32_t *begins = &store->ticks[index & (STORE_TICKS - 1)].begins;
    /* relaxed, and no locked instruction: the slot is ours, so this line mostly is too */
    uint32_t count = atomic_load_explicit(begins, memory_order_relaxed) + 1;

    atomic_store_explicit(begins, count, memory_order_relaxed);
    if (__builtin_expect(count % SNAPSHOT_LOOK_EVERY == 0, 0)) {
        look_if_due(store);
    }
}

/* Fills what follows from the pinned root; maps more of the file if it has outgrown the map. */
static inline enum bts_status snapshot_fill(struct snapshot *snapshot,
                                            const struct snapshot_root *root,
                                            struct bts_error *error)
{
    struct attachment *attachment = snapshot->attachment;
    /* acquire: what the map points to; pairs with attachment_grow */
    const struct map *map = atomic_load_explicit(&attachment->map, memory_order_acquire);
    /* relaxed: stored before the `latest` that was acquired */
    uint64_t pages =
        atomic_load_explicit(&attachment->beacon->page_count, memory_order_relaxed);

    if (__builtin_expect(pages > map->source.page_limit, 0)) {
        enum bts_status status = attachment_grow(attachment, error);
        if (status != BTS_OK) {
            return store_failed(snapshot->store, status, error);
        }
        map = atomic_load_explicit(&attachment->map, memory_order_acquire);
    }
    snapshot->source = &map->source;
    snapshot->txnid = root->txnid;
    snapshot->root = root->root;
    snapshot->depth = root->depth;
    return BTS_OK;
}

static inline struct attachment *snapshot_newest(const struct bts_store *store)
{
    /* seq_cst: after the pin, if there was one; pairs with store_adopt (attachment.h) */
    return atomic_load_explicit(&store->attachment, memory_order_seq_cst);
}

/* Pins the newest state of the newest attachment in a slot of its own. */
static inline enum bts_status snapshot_begin(struct bts_store *store, struct snapshot *snapshot,
                                             struct bts_error *error)
{
    struct snapshot_root root = {.txnid = 0};
    struct attachment *attachment = snapshot_newest(store);

    for (;;) {
        struct attachment *newest;

        snapshot->slot = slots_pin(&attachment->slots, attachment->beacon, &root);
        newest = snapshot_newest(store);
        if (__builtin_expect(newest == attachment, 1)) {
            break;
        }
        if (snapshot->slot != NULL) {
            slots_unpin(snapshot->slot);
        }
        attachment = newest;
    }
    snapshot->attachment = attachment;
    snapshot->store = store;
    if (__builtin_expect(snapshot->slot == NULL, 0)) {
        return snapshot_not_pinned(store, root.txnid, error);
    }
    snapshot->mark = store->mark;
    return snapshot_fill(snapshot, &root, error);
}

static enum bts_status snapshot_fail(struct snapshot *snapshot, enum bts_status status)
{
    if (snapshot->slot != NULL) {
        slots_unpin(snapshot->slot);
    }
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->mark = &snapshot_closed_mark;
    return status;
}

enum bts_status bts_snapshot_open(struct bts_store *store, struct bts_snapshot *snapshot,
                                  struct bts_error *error)
{
    struct snapshot *opened = (struct snapshot *)snapshot;
    enum bts_status status;

    if (!fork_mark_is_ours(store->mark)) {
        opened->slot = NULL;
        return snapshot_fail(opened, store_check_fork(store, error));
    }
    status = snapshot_begin(store, opened, error);
    if (__builtin_expect(status != BTS_OK, 0)) {
        return snapshot_fail(opened, status);
    }
    snapshot_tick(store, opened);
    return BTS_OK;
}

/* ---- renew and end --------------------------------------------------------------- */

enum bts_status bts_snapshot_renew(struct bts_snapshot *snapshot, struct bts_error *error)
{
    struct snapshot *renewed = (struct snapshot *)snapshot;
    struct bts_store *store = renewed->store;
    struct snapshot_root root;
    enum bts_status status;

    if (!fork_mark_is_ours(renewed->mark)) {
        return snapshot_unusable(renewed, error);
    }
    if (snapshot_newest(store) != renewed->attachment) {
        bts_snapshot_close(snapshot);
        return bts_snapshot_open(store, snapshot, error);
    }
    /* An attachment replaced from here on is kept by our slot, which never looks idle. */
    root = snapshot_pin(renewed->attachment->beacon, renewed->slot);
    status = snapshot_fill(renewed, &root, error);
    if (__builtin_expect(status != BTS_OK, 0)) {
        return snapshot_fail(renewed, status);
    }
    snapshot_tick(store, renewed);
    return BTS_OK;
}

void bts_snapshot_close(struct bts_snapshot *snapshot)
{
    struct snapshot *closed = (struct snapshot *)snapshot;

    /* In a fork child the slot is not there. */
    if (closed->slot != NULL && fork_mark_is_ours(closed->mark)) {
        slots_unpin(closed->slot);
    }
    closed->slot = NULL;
    closed->mark = &snapshot_closed_mark;
}

uint64_t bts_snapshot_txnid(const struct bts_snapshot *snapshot)
{
    return snapshot_of(snapshot)->txnid;
}
