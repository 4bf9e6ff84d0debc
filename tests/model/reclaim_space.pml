/* SPDX-License-Identifier: MIT */
/*
 * reclaim_space: the part of the model reclaim.pml that decides which page is
 * written next: scans, judgement, claims, releases, groups.
 *
 * Follows horizon.c, limbo.c, space.c, free_pages.c (daemon/pages) and group.c
 * (daemon/commit).  No process of its own: the daemon's steps are made of these.
 */

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

/* barrier_all: readers that run pass a fence, and those that do not have passed one. */
inline readers_fence()
{
    d_step { empty_buffer(0); empty_buffer(READERS / 2); empty_buffer(READERS - 1) }
}

inline empty_buffer(i)
{
    if :: buffer[i] != EMPTY -> slot[i] = buffer[i]; buffer[i] = EMPTY :: else fi
}

/* horizon_scan up to its last slot; the last one is loaded by scan_end, with what follows. */
inline scan()
{
#ifdef BREAK_BARRIER_BEFORE_LATEST
    readers_fence();
#endif
#ifdef OTHER_PUBLISHES
    scan_latest = latest;
#else
    scan_latest = OWN_LATEST; /* nobody else changes it: no step of its own */
#endif
#if defined(WEAK_PUBLISH) && !defined(BREAK_NO_SCAN_FENCE)
    latest_buffer == 0; /* atomic_thread_fence */
#endif
#if defined(JOINED) && !defined(BREAK_NO_BARRIER) && !defined(BREAK_BARRIER_BEFORE_LATEST)
    readers_fence();
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
