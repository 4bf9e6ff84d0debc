/* SPDX-License-Identifier: MIT */
/*
 * space: which pages are free, and when a freed one may be used again.
 *
 * A page is in exactly one of these sets:
 *   fixed      metas and space maps
 *   live       reachable from the newest published state
 *   unborn     claimed by a group that is not yet published
 *   limbo      freed, but a snapshot, a checkpoint or an unpublished group may
 *              still need it
 *   free       in the free bitmap, or in the nursery
 *
 * A page born in B and freed in F may be reused when all hold:
 *   (a) F <= L, and no scanned slot lies in [B, F); L is `latest` loaded
 *       before the fence of that very scan.  A page that its own group freed
 *       (B = F) was never seen by anybody and is reused at once.
 *   (b) (B > C or F <= C) and (B > K or F <= K), where C is the last durable
 *       checkpoint and K the one in progress.
 * Once a page passed it may stay in the free sets: later snapshots pin L or
 * newer, later checkpoints are of L or newer.
 *
 * Claiming takes a page of the nursery for what will not live long (its cache
 * lines and page-cache pages are warm and already dirty), else the next page of
 * a contiguous extent of free pages, else one at the high-water mark.  It does
 * not scatter if it need not.
 *
 * Commit groups
 *   space_group_begin(T) .. claims and releases .. space_group_end(T) applied
 *   (or space_group_abort), later space_published(T), in the same order.
 *   Savepoints inside a group undo a batch.
 *
 * Survivors: after a start with locked slots (readers of an earlier daemon),
 * only pages at or above `space_hold(mark)` are claimed until
 * space_unhold.
 *
 * One thread.  No I/O: growing the file is pages_write.c.
 */
#ifndef PAGES_SPACE_H
#define PAGES_SPACE_H

#include "format/page.h"
#include "pages/horizon.h"

struct space;

BTS_MUST_USE enum bts_status space_create(size_t page_size, struct space **space,
                                          struct bts_error *error);
void space_destroy(struct space *space);

/* ---- start: from a checkpoint's maps ------------------------------------------- */

/* Sets the high-water mark of the state that is loaded; all pages below are free until loaded. */
BTS_MUST_USE enum bts_status space_load(struct space *space, pgno_t page_count, txnid_t checkpoint,
                                        struct bts_error *error);
/* The bits of one group's map: its live pages.  Bits of fixed pages are ignored. */
void space_load_group(struct space *space, uint32_t group, const uint8_t *bits);

/*
 * Claims only pages >= mark until space_unhold.  A mark above the present
 * high-water mark raises that.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status space_hold(struct space *space, pgno_t mark,
                                        struct bts_error *error);
void space_unhold(struct space *space);

/* ---- a group ------------------------------------------------------------------------ */

void space_group_begin(struct space *space, txnid_t txnid);
/* The group is applied: its claims and releases wait for publication. */
void space_group_end(struct space *space);
/* Undoes all claims and releases since space_group_begin. */
void space_group_abort(struct space *space);
/* Group `txnid` (the oldest unpublished) was published. */
void space_published(struct space *space, txnid_t txnid);

/*
 * Claims one page, or `count` contiguous pages.  `replaces`: the birth of the
 * page in whose place this one comes, 0: there was none.  BTS_NO_MEMORY,
 * BTS_NO_SPACE (2^32 pages).
 */
BTS_MUST_USE enum bts_status space_claim(struct space *space, txnid_t replaces, pgno_t *pgno,
                                         struct bts_error *error);
BTS_MUST_USE enum bts_status space_claim_run(struct space *space, pgno_t count, pgno_t *first,
                                             struct bts_error *error);
/* Frees pages born in `born`.  Room for the entry was reserved by the claim: see space_reserve. */
void space_release(struct space *space, pgno_t first, pgno_t count, txnid_t born);
/*
 * Whether these pages can be freed.  In a hostile file two pages may lead to
 * one, or one to a page that is nobody's: BTS_DAMAGED, the text names the page.
 * `young`: their header says that a group of this process made them.  To be
 * asked before space_release, which trusts its caller.
 */
BTS_MUST_USE enum bts_status space_check_release(const struct space *space, pgno_t first,
                                                 pgno_t count, bool young,
                                                 struct bts_error *error);
/* Makes sure that `count` releases will not need memory.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status space_reserve(struct space *space, size_t count,
                                           struct bts_error *error);

/* Savepoint inside the group at work; undo takes back what came after it. */
struct space_savepoint {
    size_t claims;
    size_t releases;
    pgno_t page_count;
};
struct space_savepoint space_savepoint(const struct space *space);
void space_undo(struct space *space, const struct space_savepoint *savepoint);

/* Moves what may be reused, judged by this scan, from limbo to the free sets. */
void space_reclaim(struct space *space, const struct horizon *horizon);

/* Pieces of limbo that no scan has judged yet: what the next one is for. */
size_t space_unjudged(const struct space *space);

/* Pages [0, page_count) may be in use: the high-water mark, unpublished claims included. */
pgno_t space_page_count(const struct space *space);

/* The lowest mark that the newest published state can do with: no page from it on is live. */
pgno_t space_mark_least(const struct space *space);

/*
 * The next run of at least `least` pages from `from` on, below the mark, that the
 * newest published state does not use; *count: how many, 0: there is none.
 */
pgno_t space_next_unused(const struct space *space, pgno_t from, pgno_t least, pgno_t *count);

/* ---- checkpoint ----------------------------------------------------------------------- */

/*
 * A checkpoint of K (the newest published txnid) begins: registers K for rule
 * (b) and hands out the bitmap groups that changed since the last one began
 * (plus those marked dirty).  `each` gets group number and its bits as of K;
 * the bits are valid during the call.  A failing `each` ends it: the groups
 * stay dirty and K is not registered.
 */
typedef enum bts_status space_each_group(void *context, uint32_t group, const uint8_t *bits,
                                         struct bts_error *error);
BTS_MUST_USE enum bts_status space_checkpoint_begin(struct space *space, txnid_t k,
                                                    pgno_t *page_count, space_each_group *each,
                                                    void *context, struct bts_error *error);
/* Its meta's sync has returned: K becomes C. */
void space_checkpoint_done(struct space *space);
/* The next checkpoint writes this group in any case (an orphaned newer copy lies in the file). */
void space_mark_dirty(struct space *space, uint32_t group);

/* ---- numbers and checks --------------------------------------------------------------- */

struct space_stat {
    uint64_t page_count;
    uint64_t live;
    uint64_t unborn;
    uint64_t limbo;
    uint64_t free;
    uint64_t nursery; /* of the free ones */
};
struct space_stat space_stat(const struct space *space);

/* Pages freed that a snapshot at `txnid` may still see: what a reader at it retains, at most. */
uint64_t space_retained_pages(const struct space *space, txnid_t txnid);

/* Asserts that the sets are disjoint and complete; for tests. */
void space_check(const struct space *space);

/* Whether a page is live in the newest published state (for btstore check online and tests). */
bool space_is_live(const struct space *space, pgno_t pgno);

#endif
