/* SPDX-License-Identifier: MIT */
/*
 * wait: until another process's commit is here, without polling or a socket.
 *
 * The beacon's wake word counts publishes; a futex works on a read-only map.
 * The daemon wakes only when a slot file says that somebody waits: we say so,
 * look again, and only then sleep.  Should a wake-up get lost with a daemon
 * that dies, the sleep ends by itself after WAIT_NAP_MS.
 */
#include "client/store.h"

#include "base/err.h"
#include "client/deadline.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAIT_NAP_MS 50

static void wait_nap(const struct beacon *beacon, uint32_t wake, int nap_ms)
{
    struct timespec nap = {.tv_sec = nap_ms / 1000, .tv_nsec = (long)(nap_ms % 1000) * 1000000};

    /* Shared between processes; whatever it returns, the caller looks again. */
    syscall(SYS_futex, &beacon->wake, FUTEX_WAIT, wake, &nap, NULL, 0);
}

static bool wait_is_over(const struct beacon *beacon, uint64_t txnid)
{
    /* seq_cst: after the waiter flag was raised; pairs with publish */
    return atomic_load_explicit(&beacon->latest, memory_order_seq_cst) >= txnid;
}

/* One nap on the newest beacon, unless it shows the txnid; true if it did. */
static bool wait_once(struct bts_store *store, uint64_t txnid, int nap_ms)
{
    struct attachment *attachment =
        atomic_load_explicit(&store->attachment, memory_order_acquire);
    const struct beacon *beacon = attachment->beacon;
    uint32_t wake;
    bool over;

    slots_wait_begin(&attachment->slots);
    /* acquire: before `latest` is looked at; a later publish changes the word we sleep on */
    wake = atomic_load_explicit(&beacon->wake, memory_order_acquire);
    over = wait_is_over(beacon, txnid);
    if (!over && nap_ms > 0) {
        wait_nap(beacon, wake, nap_ms);
    }
    slots_wait_end(&attachment->slots);
    return over;
}

enum bts_status bts_wait(struct bts_store *store, uint64_t txnid, unsigned timeout_ms,
                         struct bts_error *error)
{
    uint64_t deadline;
    enum bts_status status = store_check_fork(store, error);

    if (status != BTS_OK) {
        return status;
    }
    deadline = deadline_after(timeout_ms);
    for (;;) {
        int left = deadline_left(deadline);

        if (wait_once(store, txnid, left < WAIT_NAP_MS ? left : WAIT_NAP_MS)) {
            return BTS_OK;
        }
        if (left == 0) {
            return err_set(error, BTS_TIMEOUT, "%s: txnid %llu is not here yet", store->name,
                           (unsigned long long)txnid);
        }
        look_if_due(store);
    }
}
