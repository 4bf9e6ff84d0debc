/* SPDX-License-Identifier: MIT */
/*
 * horizon: see horizon.h.
 *
 * A reader may truncate its slot file while we look at it; the load then
 * raises SIGBUS.  The scan arms a jump for exactly the loads of one file, so
 * the signal there means "this reader is broken", and anywhere else it kills
 * the process as it should.
 */
#include "pages/horizon.h"

#include "base/barrier.h"
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a SIGBUS of the scanning thread goes; armed only around the loads of one slot file. */
static _Thread_local sigjmp_buf scan_jump;
static _Thread_local volatile sig_atomic_t scan_armed;

static void scan_fault(int signal_number)
{
    if (scan_armed)
        siglongjmp(scan_jump, 1);
    signal(signal_number, SIG_DFL); /* the access is repeated and kills us, with a core */
}

static enum bts_status install_handler(struct bts_error *error)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = scan_fault;
    action.sa_flags = SA_NODEFER; /* we leave it by siglongjmp, which restores no mask */
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, NULL) != 0)
        return err_set(error, BTS_IO, "horizon: cannot handle SIGBUS");
    return BTS_OK;
}

enum bts_status horizon_init(struct horizon *horizon, struct bts_error *error)
{
    memset(horizon, 0, sizeof *horizon);
    horizon->own = aligned_alloc(64, sizeof *horizon->own);
    horizon->pinned_room = SLOT_COUNT;
    horizon->pinned = malloc(horizon->pinned_room * sizeof *horizon->pinned);
    if (horizon->own == NULL || horizon->pinned == NULL) {
        horizon_fini(horizon);
        return err_set(error, BTS_NO_MEMORY, "horizon: out of memory");
    }
    memset(horizon->own, 0, sizeof *horizon->own);
    atomic_store_explicit(&horizon->own->used, 0, memory_order_relaxed);
    return install_handler(error);
}

void horizon_fini(struct horizon *horizon)
{
    free(horizon->own);
    free(horizon->pinned);
    free(horizon->readers);
    memset(horizon, 0, sizeof *horizon);
}

/* Room for every slot that a scan could find, so that the scan allocates before it looks. */
static enum bts_status reserve_pinned(struct horizon *horizon, size_t reader_count,
                                      struct bts_error *error)
{
    size_t room = (reader_count + 1) * SLOT_COUNT;
    txnid_t *grown;

    if (room <= horizon->pinned_room)
        return BTS_OK;
    room += room / 2;
    grown = realloc(horizon->pinned, room * sizeof *grown);
    if (grown == NULL)
        return err_set(error, BTS_NO_MEMORY, "horizon: out of memory for %zu readers",
                       reader_count);
    horizon->pinned = grown;
    horizon->pinned_room = room;
    return BTS_OK;
}

enum bts_status horizon_add(struct horizon *horizon, const struct slot_file *file, size_t *id,
                            struct bts_error *error)
{
    size_t place = 0;
    enum bts_status status;

    *id = 0;
    while (place < horizon->reader_count && horizon->readers[place].file != NULL)
        place++;
    status = reserve_pinned(horizon, place + 1, error);
    if (status != BTS_OK)
        return status;
    if (place == horizon->reader_count) {
        struct horizon_reader *grown =
            realloc(horizon->readers, (place + 1) * sizeof *horizon->readers);

        if (grown == NULL)
            return err_set(error, BTS_NO_MEMORY, "horizon: out of memory for reader %zu", place);
        horizon->readers = grown;
        horizon->reader_count++;
    }
    horizon->readers[place] = (struct horizon_reader){.file = file};
    *id = place;
    return BTS_OK;
}

void horizon_remove(struct horizon *horizon, size_t id)
{
    if (id >= horizon->reader_count)
        return;
    horizon->readers[id] = (struct horizon_reader){.file = NULL};
    while (horizon->reader_count > 0 &&
           horizon->readers[horizon->reader_count - 1].file == NULL)
        horizon->reader_count--;
}

struct slot *horizon_own_slot(struct horizon *horizon)
{
    struct slot_file *own = horizon->own;

    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        if (atomic_load_explicit(&own->slots[i].txn, memory_order_relaxed) != SLOT_IDLE)
            continue;
        if (i >= atomic_load_explicit(&own->used, memory_order_relaxed))
            atomic_store_explicit(&own->used, i + 1, memory_order_seq_cst);
        return &own->slots[i];
    }
    return NULL;
}

/* Adds the snapshots that one slot file shows; false: it shows one from the future. */
static bool scan_file(struct horizon *horizon, const struct slot_file *file, size_t *count,
                      txnid_t *oldest)
{
    /* acquire: pairs with the seq_cst store that raised it (slot.h, invariant 1) */
    uint32_t used = atomic_load_explicit(&((struct slot_file *)(uintptr_t)file)->used,
                                         memory_order_acquire);
    bool sane = true;

    if (used > SLOT_COUNT)
        used = SLOT_COUNT;
    for (uint32_t i = 0; i < used; i++) {
        /* acquire: pairs with the release store of snapshot_unpin, so that the reads of an
         * ended snapshot come before our reuse of its pages */
        txnid_t t = atomic_load_explicit(&((struct slot *)(uintptr_t)&file->slots[i])->txn,
                                         memory_order_acquire);
        if (t == SLOT_IDLE)
            continue;
        if (t > horizon->latest) {
            sane = false;
            continue;
        }
        horizon->pinned[horizon->pinned_count++] = t;
        (*count)++;
        if (*oldest == 0 || t < *oldest)
            *oldest = t;
    }
    return sane;
}

/* The same, for a file that may be cut short under our eyes. */
static void scan_reader(struct horizon *horizon, struct horizon_reader *reader)
{
    size_t before = horizon->pinned_count;
    size_t count = 0;
    txnid_t oldest = 0;

    if (sigsetjmp(scan_jump, 0) != 0) {
        scan_armed = 0;
        /* What it showed before the cut still counts: it may hold those pages. */
        reader->broken = true;
        reader->snapshot_count = (uint32_t)(horizon->pinned_count - before);
        return;
    }
    scan_armed = 1;
    if (!scan_file(horizon, reader->file, &count, &oldest))
        reader->broken = true;
    scan_armed = 0;
    reader->snapshot_count = (uint32_t)count;
    reader->oldest = oldest;
}

static int compare_txnids(const void *a, const void *b)
{
    txnid_t x = *(const txnid_t *)a;
    txnid_t y = *(const txnid_t *)b;

    return (x > y) - (x < y);
}

static void sort_pinned(struct horizon *horizon)
{
    size_t kept = 0;

    if (horizon->pinned_count > 1)
        qsort(horizon->pinned, horizon->pinned_count, sizeof *horizon->pinned, compare_txnids);
    for (size_t i = 0; i < horizon->pinned_count; i++) {
        if (kept == 0 || horizon->pinned[i] != horizon->pinned[kept - 1])
            horizon->pinned[kept++] = horizon->pinned[i];
    }
    horizon->pinned_count = kept;
}

enum bts_status horizon_scan(struct horizon *horizon, const struct beacon *beacon,
                             struct bts_error *error)
{
    enum bts_status status = reserve_pinned(horizon, horizon->reader_count, error);
    size_t own_count = 0;
    txnid_t own_oldest = 0;

    if (status != BTS_OK)
        return status;
    horizon->pinned_count = 0;
    horizon->latest = atomic_load_explicit(&beacon->latest, memory_order_seq_cst);
    /* Pairs with the seq_cst exchange of snapshot_announce: a slot that the loads below miss
     * belongs to a reader whose second load of `latest` sees at least the value above. */
    atomic_thread_fence(memory_order_seq_cst);
    /* Pairs with its release store: the same, for those who joined. */
    if (beacon->barriers != 0 && horizon->reader_count > 0 && !barrier_all())
        return err_set_errno(error, BTS_IO, errno, "horizon: no barrier for the readers");
    scan_file(horizon, horizon->own, &own_count, &own_oldest);
    for (size_t i = 0; i < horizon->reader_count; i++) {
        if (horizon->readers[i].file != NULL)
            scan_reader(horizon, &horizon->readers[i]);
    }
    sort_pinned(horizon);
    return BTS_OK;
}

txnid_t horizon_pinned_in(const struct horizon *horizon, txnid_t born, txnid_t freed)
{
    size_t low = 0;
    size_t high = horizon->pinned_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (horizon->pinned[middle] < born)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < horizon->pinned_count && horizon->pinned[low] < freed)
        return horizon->pinned[low];
    return 0;
}
