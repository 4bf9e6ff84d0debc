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
 * first.  The daemon's store of `latest` may be such a store, too
 * (WEAK_PUBLISH: then the fence of horizon_scan alone has to do).
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
 * BREAK_x takes away one rule, and (1) to (5) must be seen to fail;
 * REACH_x denies that x ever happens, and must be seen to be wrong.
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
#else
    atomic { buffer[i] == EMPTY -> slot[i] = target[i] } /* slots_try, or the exchange */
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

/* ---- scan and judgement ------------------------------------------------------- */

#define OWN_LATEST (latest_buffer != 0 -> latest_buffer : latest)

inline scan_slot(i)
{
#ifdef BREAK_SCANS_COMBINED
    if :: scanned[i] = SLOT_SHOWN(i) :: skip fi /* or as an earlier scan saw it */
#else
    scanned[i] = SLOT_SHOWN(i)
#endif
}

/* horizon_scan up to its last slot; the last one is loaded by scan_end, with what follows. */
inline scan()
{
#ifdef OTHER_PUBLISHES
    scan_latest = latest;
#else
    scan_latest = OWN_LATEST; /* nobody else changes it: no step of its own */
#endif
#if defined(WEAK_PUBLISH) && !defined(BREAK_NO_SCAN_FENCE)
    latest_buffer == 0; /* atomic_thread_fence */
#endif
#if READERS > 2
    atomic { scan_slot(0) }; atomic { scan_slot(1) };
#elif READERS > 1
    atomic { scan_slot(0) };
#endif
#ifdef BREAK_LATEST_AFTER
    atomic { scan_slot(READERS - 1) }
#endif
}

inline scan_end()
{
#ifdef BREAK_LATEST_AFTER
    scan_latest = OWN_LATEST;
#else
    scan_slot(READERS - 1);
#endif
    if :: scanned[0] != 0 && hurt[0] -> REACHED("horizon_back") :: else fi
}

inline scan_forget()
{
    scan_latest = 0;
#ifndef BREAK_SCANS_COMBINED
    h = 0;
    do :: h < READERS -> scanned[h] = 0; h++ :: else -> break od;
    h = 0
#endif
}

/* horizon_pins; a slot that shows the future holds nothing (scan_file). */
#ifdef BREAK_LOWER_BOUND
#define SLOT_PINS(i, p) (scanned[i] != 0 && born[p] < scanned[i] && scanned[i] < freed[p])
#elif defined(KEEP_ALL_AFTER)
#define SLOT_PINS(i, p) (scanned[i] != 0 && scanned[i] < freed[p])
#else
#define SLOT_PINS(i, p) (scanned[i] != 0 && scanned[i] <= scan_latest \
                         && born[p] <= scanned[i] && scanned[i] < freed[p])
#endif
#define SCAN_PINS(p) (SLOT_PINS(0, p) || SLOT_PINS(READERS / 2, p) || SLOT_PINS(READERS - 1, p))

/* checkpoint_holds */
#ifdef BREAK_NO_C
#define C_HOLDS(p) false
#else
#define C_HOLDS(p) (born[p] <= checkpoint && freed[p] > checkpoint)
#endif
#ifdef BREAK_NO_K
#define K_HOLDS(p) false
#else
#define K_HOLDS(p) (begun != 0 && born[p] <= begun && freed[p] > begun)
#endif
#ifdef BREAK_UNPUBLISHED_REUSED
#define IN_VIEW(p) true
#else
#define IN_VIEW(p) (freed[p] <= scan_latest)
#endif

#define NOBODY_HOLDS (!REGISTERED && checkpoint == scan_latest && begun == 0)

inline reclaim()
{
    g = 0;
    do
    :: g < PAGES ->
        if
        :: state[g] == LIMBO && IN_VIEW(g) && !C_HOLDS(g) && !K_HOLDS(g) && !SCAN_PINS(g) ->
            if :: pinned[0] && target[0] < born[g] -> REACHED("young_reuse") :: else fi;
            state[g] = FREE; born[g] = 0; freed[g] = 0
        :: else
        fi;
        assert(!(state[g] == LIMBO && freed[g] <= scan_latest && NOBODY_HOLDS)); /* invariant 5 */
        g++
    :: else -> break
    od;
    g = 0
}

/* ---- claims and releases ------------------------------------------------------ */

byte claimed; /* PAGES: none; only inside atomic steps */
byte released;

/* The lowest free page that may be claimed, or PAGES. */
inline find_free()
{
    d_step {
        claimed = hold;
        do
        :: claimed < mark && state[claimed] != FREE -> claimed++
        :: else -> break
        od;
        if :: claimed >= mark -> claimed = PAGES :: else fi
    }
}

/* A free page below the mark, or the page at the mark, which rises. */
inline claim()
{
    find_free();
    if
    :: claimed < PAGES -> REACHED("reuse")
    :: mark < PAGES -> claimed = mark; mark++
    :: claimed == PAGES && mark == PAGES -> skip
    fi
}

/* One of the two pages of the tree. */
inline choose_released()
{
    d_step {
        released = 0;
        do :: !IN_TREE(released) -> released++ :: else -> break od;
        g = 0
    }
    if
    :: skip
    :: d_step {
           released++;
           do :: !IN_TREE(released) -> released++ :: else -> break od;
           g = 0
       }
    fi
}

/* The new tree is of state t, with `claimed` in the place of `released`. */
inline make_state(t)
{
    write_page(claimed);
    state[claimed] = UNBORN;
    born[claimed] = t;
    freed[released] = t;
    see_state(t)
}

inline see_state(t)
{
    g = 0;
    do
    :: g < PAGES ->
        if :: IN_TREE(g) -> seen[g] = seen[g] | BIT(t) :: else fi;
        g++
    :: else -> break
    od;
    g = 0
}

/* space_published: claims are live; releases go to limbo. */
inline space_published(t)
{
    g = 0;
    do
    :: g < PAGES ->
        if :: state[g] == UNBORN && born[g] == t -> state[g] = LIVE :: else fi;
        if :: state[g] == LIVE && freed[g] == t -> state[g] = LIMBO :: else fi;
        g++
    :: else -> break
    od;
    g = 0
}

/* With these, a release is in limbo before its group is published: only F <= L keeps it there. */
#if defined(OTHER_PUBLISHES) || defined(BREAK_UNPUBLISHED_REUSED)
#define EARLY_LIMBO
#endif

/* group_begin's scan is over: reclaim, then group_apply, group_end, group_log. */
inline group()
{
    atomic {
        scan_end();
        d_step { reclaim(); scan_forget() }
        claim();
        if
        :: claimed == PAGES -> claimed = 0 /* no page: another scan may find one */
        :: claimed < PAGES ->
            choose_released();
            d_step {
                applied++;
                make_state(applied);
                group_mark[applied % AHEAD] = mark;
#ifdef EARLY_LIMBO
                state[released] = LIMBO;
#endif
                if :: job != 0 -> REACHED("overlap") :: else fi;
                if :: pinned[0] && target[0] < recovered -> REACHED("survivor") :: else fi;
                claimed = 0; released = 0
            }
        fi
    }
}

/* ---- publication ---------------------------------------------------------------- */

/* publish, up to the store of `latest`; the store buffer has room for one. */
inline publish_entry(t)
{
    d_step {
        latest_buffer == 0;
#ifndef BREAK_MARK_AFTER_LATEST
        beacon_mark = group_mark[t % AHEAD]; /* before `latest` */
#endif
#if defined(RING) && !defined(BREAK_ENTRY_KEPT)
        ring_txn[t % RING] = 0
#endif
    }
#ifdef RING
    ; ring_root[t % RING] = t;
    ring_txn[t % RING] = t
#endif
}

inline publish_latest(t)
{
    d_step {
        published = t;
        next = 0;
#ifdef WEAK_PUBLISH
        latest_buffer = published
#else
        latest = published;
        forget_seen()
#endif
    }
}

#ifdef OTHER_PUBLISHES
/* Not so today; but the rules allow it, and snapshot_stress does it. */
active proctype publisher()
{
end:
    do
    :: d_step { published < applied -> next = published + 1 };
        publish_entry(next);
        publish_latest(next)
    od
}
#endif

/* ---- checkpoint ------------------------------------------------------------------ */

active proctype checkpoint_thread()
{
end:
    do
    :: d_step { job == 1 -> meta_file = begun; job = 2 }
    :: d_step { job == 2 -> meta_disk = begun; job = 3 }
    od
}

/* schedule_begin_due, large_submit: the maps are taken as of `applied` or `published`. */
inline checkpoint_begin(k)
{
    begun = k;
    job = 1
#ifdef BREAK_C_BEFORE_SYNC
    ; checkpoint = k
#endif
}

/* ---- death ------------------------------------------------------------------------ */

#if DEATHS > 0
#define MAY_BE_KILLED :: atomic { CAN_DIE -> goto dies }
#else
#define MAY_BE_KILLED
#endif
#define CAN_DIE (deaths < DEATHS && applied < TXN_MAX && meta_file < TXN_MAX)

/* The daemon is gone.  What it knew is nothing; what the file says it will know again. */
inline daemon_dies()
{
    d_step {
        if :: latest_buffer != 0 -> latest = latest_buffer; latest_buffer = 0 :: else fi;
        job = 0; begun = 0; hold = 0; large = 0; next = 0; recovered = 0;
        scan_forget();
        registered[0] = 0; registered[READERS - 1] = 0; registered[READERS / 2] = 0;
        group_mark[0] = 0; group_mark[1] = 0
    }
}

/* No reader is left; the meta that was being written is on the disk or not. */
inline power_is_cut()
{
    !SOMEBODY;
    if :: meta_file != meta_disk -> REACHED("old_meta") :: else fi;
    if :: meta_file = meta_disk :: meta_disk = meta_file fi;
    latest = 0;
    beacon_mark = 0
}

/* recover_load_maps: the pages of the checkpoint are live, all others free. */
inline load_maps()
{
    checkpoint = meta_file;
    mark = 0;
    g = 0;
    do
    :: g < PAGES ->
        h = 1;
        do /* what was never published never was */
        :: h <= TXN_MAX ->
            if
            :: h > latest && h != meta_file && h != meta_disk -> seen[g] = seen[g] & ~BIT(h)
            :: else
            fi;
            h++
        :: else -> break
        od;
        freed[g] = 0;
        if
        :: seen[g] & BIT(meta_file) -> state[g] = LIVE; mark = g + 1
        :: else -> state[g] = FREE; born[g] = 0
        fi;
        g++
    :: else -> break
    od;
    g = 0
}

/* readers_adopt_all: locked slots are registered, the others unlinked; recover_hold. */
inline adopt()
{
    h = 0;
    do
    :: h < READERS ->
        registered[h] = alive[h];
        if :: !alive[h] -> slot[h] = IDLE; UNUSE(h) :: else fi;
        h++
    :: else -> break
    od;
    if
    :: SOMEBODY ->
        hold = (beacon_mark > mark -> beacon_mark : mark);
        mark = hold
    :: else
    fi
#ifdef BREAK_SURVIVORS_FORGOTTEN
    ; hold = 0
#endif
}

/* ---- the daemon ------------------------------------------------------------------- */

/* readers_forget: out of the horizon, the file unlinked. */
inline sweep(i)
{
    registered[i] = 0;
    if :: slot[i] != IDLE -> REACHED("dead_slot") :: else fi;
#ifndef BREAK_DEAD_KEEP_SLOTS
    slot[i] = IDLE; UNUSE(i)
#endif
}

/* readers_attach: a new slot file. */
inline attach(i)
{
    d_step { slot[i] = IDLE; UNUSE(i); registered[i] = 1; alive[i] = 1 }
}

#define HELD_OR_IDLE(i) (scanned[i] == 0 || scanned[i] >= recovered)
#define SURVIVORS_DONE (HELD_OR_IDLE(0) && HELD_OR_IDLE(READERS / 2) && HELD_OR_IDLE(READERS - 1))

inline unhold()
{
    if
    :: SURVIVORS_DONE ->
        REACHED("unhold");
        hold = 0
    :: else
    fi
}

active proctype daemon()
{
    d_step {
        g = 0;
        do
        :: g < TREE -> state[g] = LIVE; born[g] = 1; seen[g] = BIT(1); g++
        :: else -> break
        od;
#ifdef RING
        ring_txn[1] = 1; ring_root[1] = 1
#endif
    };
    atomic {
        attach(0); run reader(0);
#if READERS > 1
        attach(1); run reader(1);
#endif
#if READERS > 2
        attach(2); run reader(2);
#endif
    };

serving:
    do
    /* a group */
    :: applied < published + AHEAD && applied < TXN_MAX && !large;
        scan();
        group()
#ifndef OTHER_PUBLISHES
    /* group_settle: the log thread is through with it */
    :: d_step { published < applied && !large -> next = published + 1; space_published(next) };
publishing:
        publish_entry(next);
        if
        :: publish_latest(next)
        MAY_BE_KILLED
        fi
#ifdef BREAK_MARK_AFTER_LATEST
        ; if
        :: d_step { beacon_mark = group_mark[published % AHEAD] }
        MAY_BE_KILLED
        fi
#endif
#endif
#ifdef LARGE
    :: atomic { applied == published && applied < TXN_MAX && job == 0 && !large -> skip };
        scan();
        group();
        atomic {
            if
            :: applied > published ->
                d_step { large = 1; REACHED("large"); space_published(applied); checkpoint_begin(applied) }
            :: else
            fi
        }
#endif
    /* schedule_begin_due, schedule_finish */
    :: d_step { job == 0 && published > checkpoint && !large -> checkpoint_begin(published) }
    :: atomic { job == 3 ->
            d_step { checkpoint = begun; begun = 0; job = 0; forget_seen() }
#ifdef LARGE
            ; if :: large -> large = 0; next = applied; goto publishing :: else fi
#endif
       }
#ifdef READER_DEATHS
    /* readers_sweep, readers_attach */
    :: atomic { registered[0] && !alive[0] -> sweep(0) }
    :: atomic { !registered[0] && !alive[0] -> attach(0) }
#if READERS > 1
    :: atomic { registered[1] && !alive[1] -> sweep(1) }
    :: atomic { !registered[1] && !alive[1] -> attach(1) }
#endif
#if READERS > 2
    :: atomic { registered[2] && !alive[2] -> sweep(2) }
    :: atomic { !registered[2] && !alive[2] -> attach(2) }
#endif
#endif
#if DEATHS > 0
    /* commit_unhold */
    :: hold != 0;
        scan();
        atomic { scan_end(); d_step { unhold(); scan_forget() } }
#endif
    MAY_BE_KILLED
    od;

#if DEATHS > 0
dies:
    atomic {
        deaths++;
        if /* the frames of applied groups: in the log, or lost */
        :: frame = applied
        :: frame = published
        fi;
        daemon_dies()
    };
down:
    if
    :: skip
    :: atomic { power_is_cut() }
    fi;
    /* recover_run; `applied` is T_r */
    d_step {
        load_maps();
        adopt();
#ifndef BREAK_NO_META_REWRITE
        meta_disk = meta_file; /* recover_rewrite_meta */
#endif
        published = latest;
        applied = (frame > checkpoint -> frame : checkpoint) + 1;
        recovered = applied;
        forget_seen()
    };
    if
    :: d_step { frame <= checkpoint -> see_state(applied) } /* nothing to replay */
    :: atomic { frame > checkpoint ->
            claim();
            if
            :: claimed == PAGES -> claimed = 0; goto fails /* it cannot grow: tries again */
            :: claimed < PAGES ->
                choose_released();
                d_step {
                    if :: SOMEBODY -> REACHED("replay") :: else fi;
                    make_state(applied);
                    claimed = 0; released = 0
                }
            fi }
    fi;
    d_step { space_published(applied); group_mark[applied % AHEAD] = mark };
    if
    :: d_step { begun = applied; meta_file = applied }
    :: atomic { CAN_DIE -> goto dies_again }
    fi;
    if
    :: d_step { meta_disk = applied; checkpoint = applied; begun = 0 }
    :: atomic { CAN_DIE -> goto dies_again }
    fi;
    if
    :: d_step { next = applied }
    :: atomic { CAN_DIE -> goto dies_again }
    fi;
#ifdef BREAK_UNHOLD_BEFORE_PUBLISH
    if
    :: hold != 0 -> scan(); atomic { scan_end(); d_step { unhold(); scan_forget() } }
    :: hold == 0
    fi;
#endif
    goto publishing;

dies_again:
    deaths++;
    if :: SOMEBODY -> REACHED("death_in_recovery") :: else fi;
fails:
    d_step { daemon_dies() };
    goto down
#endif
}
