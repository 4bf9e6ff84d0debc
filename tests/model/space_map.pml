/* SPDX-License-Identifier: MIT */
/*
 * space_map: does recovery learn which pages its checkpoint uses?  A model for Spin.
 *
 * Two groups of pages, each with two map copies, and two metas.  One daemon
 * commits, checkpoints beside the commits, and dies at any step, in recovery
 * too: killed, by a power cut, or of a sync that failed.
 *
 * How it maps to the code
 *   change()            space_published, set_live, ensure_groups     daemon/pages/space.c
 *   prepare()           space_checkpoint_begin, checkpoint_add_map   space.c, daemon/commit/checkpoint.c
 *   job_step()          checkpoint_work                              daemon/commit/checkpoint.c
 *   adopt()             checkpoint_adopt, space_checkpoint_done      checkpoint.c, schedule.c
 *   load_group()        recover_choose_copy, recover_load_group      daemon/commit/recover.c
 *   recover()           recover_load_maps .. recover_replay          daemon/commit/recover.c
 *
 * A page of the file is a cell: what the page cache shows and what the disk
 * holds.  A write changes the cache and makes the cell dirty.  A power cut
 * takes of each dirty cell the old, the new, or a torn mixture, which does not
 * verify: number 0.  A mixture of a cell with itself is that cell.  A sync
 * that fails leaves the same choice, and the cell clean: it will never be
 * written, though the cache still shows it; it may be dropped there, too, then
 * or (EVICTION) while recovery looks.
 *
 * What is left out
 *  - Who may use a free page, and when: that is the other model, reclaim.pml.
 *    A commit changes any bit.
 *  - The log: what was published is there.  Replay makes any one change.
 *  - Rot, and files from elsewhere.
 *
 * Invariants
 *  (1) Recovery finds a meta, and for each of its groups a copy.
 *  (2) The bits it finds are those of its meta's state: no page in use is
 *      believed free, none that is free stays in use for ever.
 *  (3) It goes on from the newest durable checkpoint.
 *
 * BREAK_x takes away one rule, and an invariant must be seen to fail.
 */
#ifndef TXN_MAX
#define TXN_MAX 6
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#define GROUPS 2
#define NONE 2   /* CHECKPOINT_COPY_NONE */

/* Cells 0 to 3: copy c of group g is cell 2 * g + c; cells 4 and 5: the metas. */
#define CELLS 6
#define MAP(g, c) (2 * (g) + (c))
#define META(m) (4 + (m))
byte cache_txn[CELLS];
byte cache_word[CELLS]; /* a map's bits; a meta's number of groups */
byte disk_txn[CELLS];
byte disk_word[CELLS];
bit dirty[CELLS];

/* The truth: of each state its bits. */
byte true_bits[(TXN_MAX + 1) * GROUPS];
byte durable = 1;       /* the newest checkpoint whose meta's sync has returned */

/* The daemon's memory. */
bit serving = 1;
byte published = 1;
byte groups = 1;        /* below the high-water mark */
byte known = 1;         /* ensure_groups has made them */
byte live[GROUPS];
bit changed[GROUPS];    /* space_group.dirty */
byte copy[GROUPS] = NONE;
bit meta;               /* meta_pgno */
byte checkpoint = 1;    /* of the meta */
byte step;              /* of the job; 0: none */
byte next;
byte next_groups;
bit in_job[GROUPS];
byte job_bits[GROUPS];
bit job_copy[GROUPS];
byte frame;             /* the newest in the log */
byte map_txn;           /* the newest of any valid copy */
byte deaths;

hidden byte i;
hidden byte a;
hidden byte b;

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

#define SAME(cell) (cache_txn[cell] == disk_txn[cell] && cache_word[cell] == disk_word[cell])

/* ---- cells ------------------------------------------------------------------------ */

inline write_cell(cell, txn, word)
{
    cache_txn[cell] = txn;
    cache_word[cell] = word;
    dirty[cell] = 1
}

/* A state that is as it was is the same cell again: clean, and both sides alike. */
inline tidy(cell)
{
    if :: SAME(cell) -> dirty[cell] = 0 :: else fi;
    if :: disk_txn[cell] == 0 -> disk_word[cell] = 0 :: else fi;
    if :: cache_txn[cell] == 0 -> cache_word[cell] = 0 :: else fi
}

inline sync_all()
{
    i = 0;
    do
    :: i < CELLS ->
        if
        :: dirty[i] -> disk_txn[i] = cache_txn[i]; disk_word[i] = cache_word[i]; dirty[i] = 0
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* What becomes of a dirty cell whose write is not known to have been done. */
inline maybe_written(cell)
{
    if
    :: dirty[cell] && !SAME(cell) ->
        if
        :: disk_txn[cell] = cache_txn[cell]; disk_word[cell] = cache_word[cell]
        :: skip
        :: disk_txn[cell] = 0; disk_word[cell] = 0; REACHED("torn")
        fi
    :: else
    fi;
    dirty[cell] = 0
}

inline forget_cache(cell)
{
    cache_txn[cell] = disk_txn[cell];
    cache_word[cell] = disk_word[cell];
    dirty[cell] = 0
}

inline maybe_forgotten(cell)
{
    if
    :: !SAME(cell) -> if :: skip :: forget_cache(cell) fi
    :: else
    fi
}

/* Memory is short: a clean page is read again from the disk when it is next asked for. */
inline maybe_dropped(cell)
{
    if
    :: !SAME(cell) && !dirty[cell] -> if :: skip :: forget_cache(cell) fi
    :: else
    fi
}

inline power_is_cut()
{
    maybe_written(0); maybe_written(1); maybe_written(2);
    maybe_written(3); maybe_written(4); maybe_written(5);
    forget_cache(0); forget_cache(1); forget_cache(2);
    forget_cache(3); forget_cache(4); forget_cache(5)
}

/* The kernel calls the pages clean; the cache may show them still, or not. */
inline sync_fails()
{
    maybe_written(0); maybe_written(1); maybe_written(2);
    maybe_written(3); maybe_written(4); maybe_written(5);
    REACHED("sync_fails");
    maybe_forgotten(0); maybe_forgotten(1); maybe_forgotten(2);
    maybe_forgotten(3); maybe_forgotten(4); maybe_forgotten(5)
}

/* ---- commits ------------------------------------------------------------------------ */

/* State t: the bits now. */
inline keep_truth(t)
{
    true_bits[(t) * GROUPS] = live[0];
    true_bits[(t) * GROUPS + 1] = live[1]
}

/* ensure_groups: what first comes below the mark is dirty. */
inline raise_mark()
{
    if
    :: known < 2 ->
        known = 2;
        live[1] = 0;
#ifndef BREAK_NEW_GROUP_CLEAN
        changed[1] = 1
#endif
    :: else
    fi;
    groups = 2
}

/* One page claimed or released, below the mark or just above it. */
inline change()
{
    if
    :: live[0] = 1 - live[0]; changed[0] = 1
    :: if :: groups == 1 -> raise_mark() :: else fi;
       live[1] = 1 - live[1]; changed[1] = 1
    fi
}

/* ---- the checkpoint ------------------------------------------------------------------- */

inline prepare_group(g)
{
    if
    :: g < groups && changed[g] ->
        in_job[g] = 1;
        job_bits[g] = live[g];
#ifdef BREAK_SAME_COPY
        job_copy[g] = (copy[g] == NONE -> 0 : copy[g]);
#else
        job_copy[g] = (copy[g] == 0 -> 1 : 0);
#endif
        changed[g] = 0
    :: else
    fi
}

inline prepare(t)
{
    next = t;
    next_groups = groups;
    prepare_group(0); prepare_group(1);
    step = 1
}

#ifdef BREAK_AS_OF_WRITING
#define JOB_BITS(g) live[g]
#else
#define JOB_BITS(g) job_bits[g]
#endif

inline write_map(g, c)
{
    if :: in_job[g] -> write_cell(MAP(g, c), next, JOB_BITS(g)) :: else fi
}

inline adopt_group(g)
{
    if :: in_job[g] -> copy[g] = job_copy[g] :: else fi;
    in_job[g] = 0; job_bits[g] = 0; job_copy[g] = 0
}

inline adopt()
{
    adopt_group(0); adopt_group(1);
    checkpoint = next;
    next = 0; next_groups = 0; step = 0
}

/* ---- recovery ------------------------------------------------------------------------- */

#define USABLE(cell) (cache_txn[cell] != 0 && cache_txn[cell] <= checkpoint)

inline note_copy(cell)
{
    if :: cache_txn[cell] > map_txn -> map_txn = cache_txn[cell] :: else fi
}

inline load_group(g)
{
    a = MAP(g, 0);
    b = MAP(g, 1);
    note_copy(a); note_copy(b);
    if
    :: g >= groups ->
        if :: cache_txn[a] != 0 || cache_txn[b] != 0 -> REACHED("orphan_above") :: else fi
    :: g < groups ->
        assert(USABLE(a) || USABLE(b)); /* invariant 1 */
        if
        :: USABLE(a) && (!USABLE(b) || cache_txn[b] <= cache_txn[a]) -> copy[g] = 0
        :: else -> copy[g] = 1
        fi;
        a = MAP(g, copy[g]);
        b = MAP(g, 1 - copy[g]);
        live[g] = cache_word[a];
        assert(live[g] == true_bits[checkpoint * GROUPS + g]); /* invariant 2 */
        if
        :: cache_txn[a] == cache_txn[b] ->
#ifdef BREAK_COPY_NOT_REWRITTEN
            skip
#else
            dirty[a] = 1 /* written again */
#endif
#ifdef BREAK_ORPHANS_BELIEVED
        :: else
#else
        :: else -> changed[g] = 1
#endif
        fi;
        if :: g == 0 && cache_txn[b] > checkpoint -> REACHED("orphan") :: else fi;
        if :: g == 1 && cache_txn[b] > checkpoint -> REACHED("orphan_of_1") :: else fi
    fi
}

/* store_files_open chooses the newest valid meta. */
inline choose_meta()
{
    assert(cache_txn[META(0)] != 0 || cache_txn[META(1)] != 0); /* invariant 1 */
    meta = (cache_txn[META(1)] > cache_txn[META(0)] -> 1 : 0);
    checkpoint = cache_txn[META(meta)];
    groups = cache_word[META(meta)];
    known = groups;
    assert(groups == 2 || true_bits[checkpoint * GROUPS + 1] == 0); /* invariant 2 */
    assert(checkpoint >= durable) /* invariant 3 */
}

#define WANTED(t) (t == published || t == next || t == cache_txn[4] || t == cache_txn[5] \
                   || t == disk_txn[4] || t == disk_txn[5])

/* What is of no state that anyone can come back to is nothing. */
inline forget_truth()
{
    i = 1;
    do
    :: i <= TXN_MAX ->
        if
        :: !WANTED(i) ->
            true_bits[i * GROUPS] = 0;
            true_bits[i * GROUPS + 1] = 0
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline dies()
{
    serving = 0; step = 0; next = 0; next_groups = 0; map_txn = 0;
    in_job[0] = 0; job_bits[0] = 0; job_copy[0] = 0; copy[0] = NONE; changed[0] = 0; live[0] = 0;
    in_job[1] = 0; job_bits[1] = 0; job_copy[1] = 0; copy[1] = NONE; changed[1] = 0; live[1] = 0
}

/* Up to the checkpoint of T_r, which is a job like any other. */
inline recover()
{
    d_step { choose_meta(); load_group(0); load_group(1) };
#ifdef EVICTION
    maybe_dropped(0); maybe_dropped(1); maybe_dropped(2);
    maybe_dropped(3); maybe_dropped(4); maybe_dropped(5);
#ifndef BREAK_READ_AGAIN_BELIEVED
    if
    :: cache_txn[META(meta)] != checkpoint -> REACHED("dropped"); goto died /* not what it chose */
    :: else
    fi;
#endif
#endif
    d_step {
#ifndef BREAK_NO_META_REWRITE
        dirty[META(meta)] = 1;
        sync_all(); /* recover_rewrite_meta */
        durable = checkpoint;
#endif
        if :: frame < checkpoint -> frame = checkpoint :: else fi;
        published = (map_txn > frame -> map_txn : frame);
        if :: map_txn > frame -> REACHED("number_of_a_copy") :: else fi;
#ifdef NUMBER_REUSED
        published = frame;
#endif
        map_txn = 0;
        published++
    };
    if
    :: frame > checkpoint -> change()
    :: skip
    fi;
    d_step { keep_truth(published); prepare(published); forget_truth() }
}

/* ---- the daemon ------------------------------------------------------------------------- */

#if defined(BREAK_NO_MAP_SYNC)
#define SKIP_SYNC(s) (s == 3)
#elif defined(BREAK_NO_META_SYNC)
#define SKIP_SYNC(s) (s == 5)
#else
#define SKIP_SYNC(s) false
#endif
#define MAY_DIE (deaths < DEATHS && published < TXN_MAX)

active proctype daemon()
{
    d_step {
        live[0] = 1;
        true_bits[GROUPS] = 1;
        cache_txn[0] = 1; cache_word[0] = 1; disk_txn[0] = 1; disk_word[0] = 1; copy[0] = 0;
        cache_txn[1] = 1; cache_word[1] = 1; disk_txn[1] = 1; disk_word[1] = 1;
        cache_txn[4] = 1; cache_word[4] = 1; disk_txn[4] = 1; disk_word[4] = 1;
        cache_txn[5] = 1; cache_word[5] = 1; disk_txn[5] = 1; disk_word[5] = 1
    };
end:
    do
    :: atomic { serving && published < TXN_MAX ->
            change();
            d_step {
                published++;
                keep_truth(published);
                if :: step != 0 -> REACHED("overlap") :: else fi
            } }
    /* a claim of a group that is not published, or of none in the end: the mark alone rises */
    :: d_step { serving && groups == 1 -> raise_mark(); REACHED("mark_alone") }
    :: d_step { serving && step == 0 && published > checkpoint -> prepare(published) }
    :: d_step { step == 1 -> write_map(0, job_copy[0]); step++ }
    :: d_step { step == 2 -> write_map(1, job_copy[1]); step++ }
    :: d_step { step == 4 -> write_cell(META(1 - meta), next, next_groups); step++ }
    :: d_step { step == 6 -> write_map(0, 1 - job_copy[0]); step++ }
    :: d_step { step == 7 -> write_map(1, 1 - job_copy[1]); step++ }
    :: d_step { step == 8 -> write_cell(META(meta), next, next_groups); step++ }
    :: d_step { (step == 3 || step == 5 || step == 9) ->
            if
            :: SKIP_SYNC(step)
            :: else -> sync_all(); if :: step == 5 -> durable = next :: else fi
            fi;
            step++ }
    :: d_step { step == 10 -> adopt(); serving = 1; forget_truth() }
    :: atomic { MAY_DIE && (step == 3 || step == 5 || step == 9) -> sync_fails(); goto died }
    :: atomic { MAY_DIE -> power_is_cut(); goto died }
    :: atomic { MAY_DIE -> goto died }
    od;

died:
    atomic {
        deaths++;
        d_step {
            if :: serving -> frame = published :: else -> REACHED("death_in_recovery") fi;
            tidy(0); tidy(1); tidy(2); tidy(3); tidy(4); tidy(5);
            dies();
            published = frame;
            forget_truth()
        };
        recover();
        goto end
    }
}
