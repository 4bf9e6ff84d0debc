/* SPDX-License-Identifier: MIT */
/*
 * nursery: where pages that will not live long are claimed.
 *
 * The upper pages of a tree, and leaves that change all the time, are replaced
 * by every few groups.  Claimed among the others they would leave holes of one
 * page all over the file when they go, and a hole costs a write of its own.  So
 * they have a few places to themselves: chunks of up to 64 pages that lie
 * together, most of which is free at any time, so that a group finds its pages
 * side by side, and the same ones again and again: the checkpoint has less to
 * write.
 *
 * That a page will not live long is told by the one it replaces: if fewer than
 * NURSERY_LIFE pages were claimed since that was born, this one goes the same
 * way.
 *
 * Invariants
 *  (1) A page that a chunk owns and that is free is free in the chunk only, not
 *      in the bitmap.
 *  (2) Chunks lie below the high-water mark and above a hold.
 */
#include "pages/space_private.h"

#include <assert.h>

/* Pages claimed while a short-lived one lives, at most: 16 MiB of 4 KiB pages. */
#define NURSERY_LIFE 4096u

/* The least that is added at once; and free pages wanted, as a part of all: one in two. */
#define NURSERY_STEP_MIN 8u
#define NURSERY_FREE_PART(owned) ((owned) / 2)

/* So many pages are never given back. */
#define NURSERY_KEPT 512u

/* A chunk that has so many free is a good one to begin with. */
#define NURSERY_ROOMY 32

static inline uint16_t *nursery_place(const struct space *space, pgno_t pgno)
{
    pgno_t i;
    struct space_group *group = space_group_of(space, pgno, &i);

    return &group->nursery[i / NURSERY_CHUNK];
}

/* ---- ages -------------------------------------------------------------------------- */

void nursery_group_begin(struct space *space, txnid_t txnid)
{
    struct nursery *nursery = &space->nursery;

    if (nursery->first_txnid == 0)
        nursery->first_txnid = txnid;
    nursery->clock_at[txnid % NURSERY_AGES] = nursery->clock;
}

bool nursery_wants(const struct space *space, txnid_t now, txnid_t replaces)
{
    const struct nursery *nursery = &space->nursery;

    return replaces != 0 && replaces >= nursery->first_txnid && now - replaces < NURSERY_AGES &&
           nursery->clock - nursery->clock_at[replaces % NURSERY_AGES] < NURSERY_LIFE;
}

/* ---- chunks ------------------------------------------------------------------------ */

/* The chunk of these 64 pages, made if there is a place for one; NULL: there is none. */
static struct nursery_chunk *chunk_at(struct space *space, pgno_t pgno)
{
    struct nursery *nursery = &space->nursery;
    uint16_t *place = nursery_place(space, pgno);

    if (*place == 0) {
        if (nursery->chunk_count == NURSERY_CHUNKS_MAX)
            return NULL;
        *place = (uint16_t)++nursery->chunk_count;
        nursery->chunks[*place - 1] =
            (struct nursery_chunk){.first = pgno - pgno % NURSERY_CHUNK};
    }
    return &nursery->chunks[*place - 1];
}

/* Forgets a chunk that owns nothing; the last one takes its place. */
static void chunk_drop(struct space *space, struct nursery_chunk *chunk)
{
    struct nursery *nursery = &space->nursery;
    struct nursery_chunk *last = &nursery->chunks[--nursery->chunk_count];

    assert(chunk->owned == 0 && chunk->free == 0);
    *nursery_place(space, chunk->first) = 0;
    if (chunk != last) {
        *chunk = *last;
        *nursery_place(space, chunk->first) = (uint16_t)(chunk - nursery->chunks + 1);
    }
}

/* Adds free pages of one chunk that are in no set now; without a place for it, to the bitmap. */
static void nursery_add(struct space *space, pgno_t first, pgno_t count)
{
    struct nursery *nursery = &space->nursery;
    pgno_t bit = first % NURSERY_CHUNK;
    struct nursery_chunk *chunk = chunk_at(space, first);
    uint64_t mask = (count == NURSERY_CHUNK ? UINT64_MAX : (UINT64_C(1) << count) - 1) << bit;

    assert(bit + count <= NURSERY_CHUNK);
    if (chunk == NULL) {
        space_set_free(space, first, count);
        return;
    }
    assert((chunk->owned & mask) == 0);
    chunk->owned |= mask;
    chunk->free |= mask;
    nursery->owned += count;
    nursery->free += count;
}

/* More pages, if they can be had. */
static void nursery_grow(struct space *space)
{
    const struct nursery *nursery = &space->nursery;
    pgno_t saved = space->search_next;
    pgno_t count = nursery->owned;
    pgno_t first;
    pgno_t rest;

    if (count < NURSERY_STEP_MIN)
        count = NURSERY_STEP_MIN;
    if (count > NURSERY_CHUNK)
        count = NURSERY_CHUNK;
    if (nursery->chunk_count == NURSERY_CHUNKS_MAX)
        return;
    if (space_find_free(space, count, count, &first) >= count) {
        space->search_next = saved; /* other pages stay together where they were */
        space_clear_free(space, first, count);
    } else if (space_raise(space, count, &first, NULL) != BTS_OK) {
        return;
    }
    rest = NURSERY_CHUNK - first % NURSERY_CHUNK;
    if (rest > count)
        rest = count;
    nursery_add(space, first, rest);
    if (rest < count)
        nursery_add(space, first + rest, count - rest);
}

/* ---- claim and release ------------------------------------------------------------- */

/* Moves to a chunk that has room, a roomy one if possible; there is a free page. */
static void nursery_move(struct nursery *nursery)
{
    uint32_t other = NURSERY_CHUNKS_MAX;

    for (uint32_t k = 1; k <= nursery->chunk_count; k++) {
        uint32_t at = (nursery->at + k) % nursery->chunk_count;
        uint64_t free = nursery->chunks[at].free;

        if (__builtin_popcountll(free) >= NURSERY_ROOMY) {
            other = at;
            break;
        }
        if (free != 0 && other == NURSERY_CHUNKS_MAX)
            other = at;
    }
    assert(other != NURSERY_CHUNKS_MAX);
    nursery->at = other;
    nursery->next_bit = 0;
}

bool nursery_claim(struct space *space, pgno_t *pgno)
{
    struct nursery *nursery = &space->nursery;
    struct nursery_chunk *chunk;
    uint64_t ahead;
    unsigned bit;

    if (nursery->free == 0 || nursery->free < NURSERY_FREE_PART(nursery->owned))
        nursery_grow(space);
    if (nursery->free == 0)
        return false;
    if (nursery->at >= nursery->chunk_count ||
        (nursery->chunks[nursery->at].free >> nursery->next_bit) == 0)
        nursery_move(nursery);
    chunk = &nursery->chunks[nursery->at];
    ahead = chunk->free >> nursery->next_bit;
    bit = nursery->next_bit + (unsigned)__builtin_ctzll(ahead);
    chunk->free &= ~(UINT64_C(1) << bit);
    nursery->free--;
    *pgno = chunk->first + bit;
    nursery->next_bit = bit;
    return true;
}

bool nursery_take_back(struct space *space, pgno_t pgno)
{
    uint16_t place = *nursery_place(space, pgno);
    uint64_t bit = UINT64_C(1) << pgno % NURSERY_CHUNK;
    struct nursery_chunk *chunk;

    if (place == 0)
        return false;
    chunk = &space->nursery.chunks[place - 1];
    if ((chunk->owned & bit) == 0)
        return false;
    assert((chunk->free & bit) == 0);
    chunk->free |= bit;
    space->nursery.free++;
    return true;
}

/* ---- less of it -------------------------------------------------------------------- */

void nursery_cut(struct space *space, pgno_t page_count)
{
    struct nursery *nursery = &space->nursery;

    for (uint32_t i = nursery->chunk_count; i-- > 0;) {
        struct nursery_chunk *chunk = &nursery->chunks[i];
        uint64_t below;

        if (chunk->first + NURSERY_CHUNK <= page_count)
            continue;
        below = chunk->first < page_count
                    ? (UINT64_C(1) << (page_count - chunk->first)) - 1
                    : 0;
        assert((chunk->owned & ~chunk->free & ~below) == 0);
        nursery->owned -= (pgno_t)__builtin_popcountll(chunk->owned & ~below);
        nursery->free -= (pgno_t)__builtin_popcountll(chunk->free & ~below);
        chunk->owned &= below;
        chunk->free &= below;
        if (chunk->owned == 0)
            chunk_drop(space, chunk);
    }
}

void nursery_shrink(struct space *space)
{
    struct nursery *nursery = &space->nursery;

    for (uint32_t i = nursery->chunk_count; i-- > 0;) {
        struct nursery_chunk *chunk = &nursery->chunks[i];
        pgno_t count = (pgno_t)__builtin_popcountll(chunk->owned);

        if (nursery->owned < NURSERY_KEPT + count ||
            nursery->free - count < NURSERY_FREE_PART(nursery->owned - count))
            return;
        if (chunk->free != chunk->owned)
            continue;
        nursery->owned -= count;
        nursery->free -= count;
        for (uint64_t left = chunk->owned; left != 0; left &= left - 1)
            space_set_free(space, chunk->first + (pgno_t)__builtin_ctzll(left), 1);
        chunk->owned = chunk->free = 0;
        chunk_drop(space, chunk);
    }
}

void nursery_check(const struct space *space)
{
    const struct nursery *nursery = &space->nursery;
    pgno_t owned = 0;
    pgno_t free = 0;

    for (uint32_t i = 0; i < nursery->chunk_count; i++) {
        const struct nursery_chunk *chunk = &nursery->chunks[i];

        assert(*nursery_place(space, chunk->first) == i + 1);
        assert(chunk->owned != 0 && (chunk->free & ~chunk->owned) == 0);
        for (uint64_t left = chunk->free; left != 0; left &= left - 1) {
            pgno_t pgno = chunk->first + (pgno_t)__builtin_ctzll(left);

            assert(pgno < space->page_count && pgno >= space->hold);
            assert(!space_is_free(space, pgno) && !space_is_live(space, pgno));
            (void)pgno;
        }
        owned += (pgno_t)__builtin_popcountll(chunk->owned);
        free += (pgno_t)__builtin_popcountll(chunk->free);
    }
    assert(owned == nursery->owned && free == nursery->free);
    (void)owned;
    (void)free;
}
