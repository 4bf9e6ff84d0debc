/* SPDX-License-Identifier: MIT */
/*
 * reclaim_daemon: the part of the model reclaim.pml that is the daemon's life:
 * publication, checkpoints, death, recovery beside readers that outlived it,
 * and the loop that takes one of these steps after the other.
 *
 * Follows publish.c, schedule.c, checkpoint.c, large.c, recover.c, commit.c
 * (daemon/commit) and readers.c (daemon/server).
 */

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
