/* SPDX-License-Identifier: MIT */
/*
 * reclaim: when may a page be written again?  A model for Spin.
 *
 * Readers pin states through slots, one daemon applies groups ahead of their
 * publication, publishes, scans, reuses pages and checkpoints; readers die and
 * come back, the daemon dies at any step (killed, or the power is cut) and
 * recovers beside readers that outlived it.
 *
 * How it maps to the code
 *   reader()            slots_pin, snapshot_confirm, snapshot_unpin   src/read/slots.h, snapshot.h
 *   publish()           publish                                      daemon/commit/publish.c
 *   scan()              horizon_scan, scan_file                      daemon/pages/horizon.c
 *   reclaim()           space_reclaim, judge, checkpoint_holds       daemon/pages/limbo.c
 *   claim()             space_claim                                  daemon/pages/space.c, free_pages.c
 *   group()             group_begin .. group_log                     daemon/commit/group.c
 *   space_published()   space_published                              daemon/pages/space.c
 *   large               large_begin .. large_settle                  daemon/commit/large.c
 *   checkpoint_thread() checkpoint_run; begin and end: schedule.c    daemon/commit/checkpoint.c
 *   recovery in daemon  readers_adopt, recover_run                   daemon/server/readers.c, recover.c
 *   unhold in daemon    commit_unhold                                daemon/commit/commit.c
 *   sweep, attach       readers_sweep, readers_attach                daemon/server/readers.c
 *
 * Memory is TSO: a plain or release store of a reader goes through a store
 * buffer that empties at any later time; a locked instruction empties it
 * first, and the barrier of a scan those of all readers.  The daemon's store of
 * `latest` may be such a store, too (WEAK_PUBLISH: then the fence of
 * horizon_scan alone has to do; a barrier is another's).
 *
 * What is left out
 *  - What is in a page.  A state is a set of TREE pages; a group takes one new
 *    page for one of them, either the young or an old one, so a page's life
 *    [born, freed) may be short or long.  seen[p] is the truth: the states
 *    that page p, as it is now, belongs to.
 *  - limbo's three lists: every page in limbo is judged by every scan.
 *  - The log: on death the groups that were applied and not published may have
 *    reached it, or not.  Replay makes one state of what it finds there.
 *  - Map pages: recovery knows which pages its checkpoint uses.  That this is
 *    so is the other model, space_map.pml.
 *  - Power is cut when no reader runs: one that dies with it died just before.
 *  - Reads: a confirmed snapshot may be read until the unpin, all the time.
 *
 * Invariants
 *  (1) A page that a pinned snapshot sees is not written; nor may a reader
 *      confirm a snapshot that has lost a page since it was announced.
 *  (2) Nor a page of the newest published state or of one applied after it.
 *  (3) Nor a page of the checkpoint on the disk, of one in the file's cache,
 *      or of one in progress.
 *  (4) A reader gets the root of the very state that its slot shows.
 *  (5) When nobody is attached and the newest state is in the checkpoint, a
 *      scan leaves nothing in limbo: no page is lost for ever, whoever died.
 *  (6) No deadlock.
 *
 * Sizes and variants are given by -D; run_models has the list of both.
 *  READERS, PAGES, TXN_MAX, DEATHS (of the daemon)
 *  RING=2, USED     the ring is checked; slots below `used` alone are scanned
 *  READER_DEATHS    readers die anywhere, and attach again
 *  LARGE            groups that a checkpoint commits
 *  JOINED           readers may announce by a plain store; scans make a barrier
 *  WEAK_PUBLISH     `latest` is stored through the store buffer
 *  OTHER_PUBLISHES  a thread of its own publishes, in the middle of scans too.
 *                   In the daemon one thread does both, and what it freed is in
 *                   limbo only from space_published on, so there neither F <= L
 *                   nor the place of L's load could be missed; the rules are
 *                   for both, and snapshot_stress is like this.
 *  BREAK_x          takes away one rule: (1) to (5) must be seen to fail
 * REACHED says that an event happened, for those who doubt that a model does
 * anything: that a page was reused, a snapshot outlived a daemon, and so on.
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef PAGES
#define PAGES 4
#endif
#ifndef TXN_MAX
#define TXN_MAX 5 /* at most 14: a bit each in seen[] */
#endif
#ifndef DEATHS
#define DEATHS 0 /* of the daemon */
#endif
#define TREE 2   /* pages of a state */
#define AHEAD 2  /* COMMIT_GROUPS_MAX */

#define IDLE 0
#define EMPTY 255
#define BIT(t) (1 << (t))

#if defined(BREAK_NO_SCAN_FENCE) && !defined(WEAK_PUBLISH)
#define WEAK_PUBLISH
#endif

/* ---- shared memory ------------------------------------------------------------ */

byte latest = 1;         /* the beacon */
byte latest_buffer = 0;  /* WEAK_PUBLISH: in the daemon's store buffer; 0: nothing */
byte beacon_mark = TREE;
#ifdef RING
byte ring_txn[RING];
byte ring_root[RING];
#endif
byte slot[READERS];
#ifdef USED
bit used[READERS];
#define UNUSE(i) used[i] = 0
#define SLOT_SHOWN(i) (used[i] -> slot[i] : IDLE)
#else
#define UNUSE(i)
#define SLOT_SHOWN(i) slot[i]
#endif
byte buffer[READERS] = EMPTY; /* the store to slot[] that only its reader knows of */

/* ---- files -------------------------------------------------------------------- */

byte meta_disk = 1; /* the checkpoint that a power cut leaves */
byte meta_file = 1; /* the one that a killed daemon leaves */
byte frame = 1;     /* the newest in the log when the daemon died */

/* ---- the truth, for the invariants -------------------------------------------- */

bit alive[READERS];      /* its slot file is locked */
byte target[READERS];    /* the state it announces, or is about to; 0: none */
bit pinned[READERS];     /* confirmed */
bit hurt[READERS];       /* the target lost a page */
short seen[PAGES];

/* ---- the daemon's memory ------------------------------------------------------ */

#define FREE 0
#define UNBORN 1 /* of a group that is not published */
#define LIVE 2
#define LIMBO 3
byte state[PAGES];
byte born[PAGES];
byte freed[PAGES];       /* 0: not */
byte mark = TREE;        /* pages above it were never used */
byte hold;               /* claim nothing below */
byte recovered = 1;
byte checkpoint = 1;     /* C */
byte begun;              /* K; 0: none */
byte job;                /* 0 none, 1 maps and data are synced, 2 meta written, 3 synced */
byte applied = 1;
byte published = 1;
byte next;             /* being published */
byte group_mark[AHEAD];
bit large;               /* `applied` waits for the checkpoint that commits it */
bit registered[READERS]; /* horizon_add was called for it */
byte scan_latest;        /* L; 0 between scans */
byte scanned[READERS];
byte deaths;

/* Says, once, that an event happened in the search; run_models has the list of those that must. */
c_decl {
    static void note_event(const char *event)
    {
        static const char *events[64];
        int i = 0;

        while (i < 63 && events[i] != 0 && events[i] != event)
            i++;
        if (events[i] == 0)
            printf("reached: %s\n", events[i] = event);
    }
}
#define REACHED(event) c_code { note_event(event); }

hidden byte h;
hidden byte g;

#define IN_TREE(p) ((state[p] == LIVE || state[p] == UNBORN) && freed[p] == 0)
#define SOMEBODY (alive[0] || alive[READERS - 1] || alive[READERS / 2])
#define REGISTERED (registered[0] || registered[READERS - 1] || registered[READERS / 2])

/* ---- the truth ---------------------------------------------------------------- */

#define WANTED(t) (t == meta_disk || t == meta_file || t == begun || t == target[0] \
                   || t == target[READERS / 2] || t == target[READERS - 1])

/* Nobody can ask any more for a state that is not the newest, announced or a checkpoint. */
inline forget_seen()
{
    g = 0;
    do
    :: g < PAGES ->
        h = 1;
        do
        :: h < latest ->
            if
            :: WANTED(h)
            :: else -> seen[g] = seen[g] & ~BIT(h)
            fi;
            h++
        :: else -> break
        od;
        g++
    :: else -> break
    od;
    g = 0
}

/* pages_write: page p gets new content.  Invariants 1, 2, 3. */
inline write_page(p)
{
    h = 0;
    do
    :: h < READERS ->
        if
        :: target[h] != 0 && (seen[p] & BIT(target[h])) -> assert(!pinned[h]); hurt[h] = 1
        :: else
        fi;
        h++
    :: else -> break
    od;
    assert(!(SOMEBODY && latest != 0 && (seen[p] >> latest)));
    assert(!(seen[p] & BIT(meta_disk)));
    assert(!(seen[p] & BIT(meta_file)));
    assert(begun == 0 || !(seen[p] & BIT(begun)));
    seen[p] = 0
}

/* ---- readers ------------------------------------------------------------------ */

inline forget(i)
{
    target[i] = 0; pinned[i] = 0; hurt[i] = 0
}

/* The kernel unlocks the slot file; what was stored is stored. */
inline reader_dies(i)
{
    d_step {
        if :: buffer[i] != EMPTY -> slot[i] = buffer[i]; buffer[i] = EMPTY :: else fi;
        alive[i] = 0;
        forget(i)
    }
}

/* snapshot_confirm's end: the announcement holds. */
inline confirm(i)
{
    pinned[i] = 1;
    assert(!hurt[i])
}

#ifdef READER_DEATHS
#define MAY_DIE(i) :: reader_dies(i); goto end_detached
#else
#define MAY_DIE(i)
#endif

#ifdef RING
#define CONFIRMED_WITHOUT_RING(i) skip
#else
#define CONFIRMED_WITHOUT_RING(i) confirm(i)
#endif

proctype reader(byte i)
{
#ifdef RING
    byte root;
#endif

end_detached:
    alive[i];
load: /* slots_pin, or snapshot_pin's loop */
    if
    MAY_DIE(i)
    :: atomic { latest != 0 -> target[i] = latest; hurt[i] = 0 }
    fi;
#if defined(USED) && !defined(BREAK_USED_LATE)
    used[i] = 1; /* slots_raise_used: seq_cst */
#endif
#ifdef BREAK_NO_FENCE
    atomic { buffer[i] == EMPTY -> buffer[i] = target[i] } /* a release store */
#elif defined(JOINED)
    if /* snapshot_announce of one who joined, and of one who did not or takes a far slot */
    :: atomic { buffer[i] == EMPTY -> buffer[i] = target[i] }
    :: atomic { buffer[i] == EMPTY -> slot[i] = target[i] }
    fi;
#else
    atomic { buffer[i] == EMPTY -> slot[i] = target[i] } /* slots_take_far, or the exchange */
#endif
    if
    MAY_DIE(i)
#ifndef BREAK_NO_RECHECK
    :: atomic { latest != target[i] ->
           REACHED("retry");
           goto load }
    :: atomic { latest == target[i] -> CONFIRMED_WITHOUT_RING(i) }
#else
    :: atomic { CONFIRMED_WITHOUT_RING(i) }
#endif
    fi;
#ifdef RING
    root = ring_root[target[i] % RING];
    if
#ifndef BREAK_NO_RING_CHECK
    :: atomic { ring_txn[target[i] % RING] != target[i] ->
           REACHED("ring_retry");
           root = 0; goto load }
    :: atomic { ring_txn[target[i] % RING] == target[i] ->
#else
    :: atomic {
#endif
           assert(root == target[i]); root = 0; confirm(i) } /* invariant 4 */
    fi;
#endif
#ifdef BREAK_USED_LATE
    used[i] = 1;
#endif
    if
    MAY_DIE(i)
    :: atomic { buffer[i] == EMPTY -> buffer[i] = IDLE; forget(i) } /* snapshot_unpin: release */
    fi;
    goto load
}

/* What is in a store buffer is seen by all at some time. */
active proctype store_buffers()
{
end:
    do
    :: d_step { buffer[0] != EMPTY -> slot[0] = buffer[0]; buffer[0] = EMPTY }
#if READERS > 1
    :: d_step { buffer[1] != EMPTY -> slot[1] = buffer[1]; buffer[1] = EMPTY }
#endif
#if READERS > 2
    :: d_step { buffer[2] != EMPTY -> slot[2] = buffer[2]; buffer[2] = EMPTY }
#endif
#ifdef WEAK_PUBLISH
    :: d_step { latest_buffer != 0 -> latest = latest_buffer; latest_buffer = 0; forget_seen() }
#endif
    od
}

#include "reclaim_space.pml"
#include "reclaim_daemon.pml"
