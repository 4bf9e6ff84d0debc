/* SPDX-License-Identifier: MIT */
/*
 * attachment: the three things a reader holds of a daemon's run directory:
 * the data file mapped read-only, the beacon mapped read-only, and one slot
 * file of its own.
 *
 * A store has one newest attachment; it gets another when a daemon comes back
 * with a new run directory.  The replaced one stays until its last snapshot
 * is closed, then attachment_release lets go of the file and the slots; the
 * small rest stays until the store is closed, so that a thread that is about
 * to pin in it finds memory there, sees that it was replaced, and comes again.
 *
 * Why that is safe: a thread pins (seq_cst exchange in the slot, or a store
 * that others' barrier orders: read/snapshot.h), then loads the store's newest
 * attachment (seq_cst); the releaser stores the newest attachment (seq_cst),
 * then passes such a barrier and loads the slots (slots_idle).  Either the
 * releaser sees the pin and leaves everything, or the thread sees the new
 * attachment and unpins without touching a page.
 *
 * A store opened alone has an attachment too, whose beacon and slots are
 * private memory that nobody else sees: the reading code knows one case only.
 */
#ifndef CLIENT_ATTACHMENT_H
#define CLIENT_ATTACHMENT_H

#include "client/fork_guard.h"
#include "read/map.h"
#include "read/slots.h"

struct bts_store;

struct attachment {
    struct bts_store *store;    /* whose it is, once adopted */
    struct attachment *older;   /* the one this replaced */
    struct fork_guard guard;    /* closes the map's descriptor in a fork child */
    const struct beacon *beacon;
    struct slots slots;
    _Atomic(struct map *) map;  /* newest; NULL once released; release/acquire: what it points to */
    dev_t beacon_device;        /* which beacon this is: the same after a daemon's restart */
    ino_t beacon_inode;
    pid_t owner;                /* the process that attached */
    bool is_alone;              /* beacon and slots are our own memory */
};

/* Which descriptor is which in a reply to BTS.ATTACH. */
enum attachment_fd {
    ATTACHMENT_DATA = 0,
    ATTACHMENT_BEACON = 1,
    ATTACHMENT_SLOT = 2,
    ATTACHMENT_FDS = 3,
};

/*
 * Maps the three descriptors, which it owns from then on, also on failure.
 * `span`: see map_open.  Under fork_guard_lock.  BTS_VERSION, BTS_IO, BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status attachment_create(const int fds[ATTACHMENT_FDS], uint64_t span,
                                               struct attachment **attachment,
                                               struct bts_error *error);

/* What a store without a daemon shows: the state that its newest meta names. */
struct attachment_state {
    size_t page_size;
    uint64_t page_count;
    txnid_t txnid;
    pgno_t root;
    uint32_t depth;
    uint8_t uuid[16];
};
/* The same for a file that no daemon serves; owns `fd`.  Under fork_guard_lock. */
BTS_MUST_USE enum bts_status attachment_create_alone(int fd, uint64_t span,
                                                     const struct attachment_state *state,
                                                     struct attachment **attachment,
                                                     struct bts_error *error);

/*
 * Unmaps and frees this one, not the older ones.  Under fork_guard_lock, but in
 * a fork child, where it only frees.  NULL is allowed.
 */
void attachment_destroy(struct attachment *attachment);

/* Whether both belong to one run directory: then nothing changes for readers. */
bool attachment_same(const struct attachment *a, const struct attachment *b);

/* Lets go of the file and the slots of a replaced attachment if no snapshot is open in it. */
void attachment_release(struct attachment *attachment);

/*
 * The data file's descriptor, for reading; the attachment's, open as long as a
 * snapshot in it is.
 */
int attachment_fd(const struct attachment *attachment);

/* Makes the map span what the beacon says.  BTS_LIMIT, BTS_IO, BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status attachment_grow(struct attachment *attachment,
                                             struct bts_error *error);

#endif
