/* SPDX-License-Identifier: MIT */
/*
 * free_pages: the bitmap of free pages, and where in it the next claim goes.
 *
 * Single pages come from an extent, a stretch of contiguous free pages chosen
 * once and used up in order, so that the pages of a group lie together.  Long
 * stretches first; short ones are used only when much of the file is free: a
 * page-sized hole costs a write of its own.
 */
#include "pages/space_private.h"

#include <assert.h>
#include <string.h>

/* A contiguous extent that single pages are claimed from: at most so many pages. */
#define EXTENT_MAX 256u

/* After a search for nothing this part of what is free, and one extent, has to be freed anew. */
#define SEARCH_AGAIN_PART 8u

/* The least that is searched for, one after the other. */
static const pgno_t extent_steps[SPACE_EXTENT_STEPS] = {64, 16, 4, 1};

void space_set_free(struct space *space, pgno_t first, pgno_t count)
{
    for (pgno_t p = first; p < first + count; p++) {
        pgno_t i;
        struct space_group *group = space_group_of(space, p, &i);

        assert(!space_bit_get(group->free, i));
        space_bit_set(group->free, i);
        group->free_count++;
    }
    space->free += count;
    space->freed += count;
}

void space_clear_free(struct space *space, pgno_t first, pgno_t count)
{
    for (pgno_t p = first; p < first + count; p++) {
        pgno_t i;
        struct space_group *group = space_group_of(space, p, &i);

        assert(space_bit_get(group->free, i));
        space_bit_clear(group->free, i);
        group->free_count--;
    }
    space->free -= count;
}

/* The 64 bits that bit `i` is one of; a group has a multiple of 64. */
static uint64_t free_word(const struct space_group *group, pgno_t i)
{
    uint64_t word;

    memcpy(&word, group->free + i / 64 * 8, sizeof word);
    return word; /* the store is for little-endian machines */
}

/* How many pages from bit `i` of a group on are free, before `end`, and at most `most`. */
static pgno_t free_run_at(const struct space_group *group, pgno_t i, pgno_t end, pgno_t most)
{
    pgno_t stop = most < end - i ? i + most : end;
    pgno_t at = i;

    while (at < stop) {
        uint64_t used = ~free_word(group, at) >> (at % 64);

        if (used != 0) {
            at += (pgno_t)__builtin_ctzll(used);
            break;
        }
        at += 64 - at % 64;
    }
    return (at < stop ? at : stop) - i;
}

/* The first free page of a group at or after `from`; none: `end`, or more. */
static pgno_t next_free(const struct space_group *group, pgno_t from, pgno_t end)
{
    while (from < end) {
        uint64_t free = free_word(group, from) >> (from % 64);

        if (free != 0)
            return from + (pgno_t)__builtin_ctzll(free);
        from += 64 - from % 64;
    }
    return from;
}

/*
 * Finds `least` to `most` contiguous free pages in one group, from page
 * `from` on.  Returns how many, 0: none; *first: where.
 */
static pgno_t find_in_group(const struct space *space, uint32_t g, pgno_t from, pgno_t least,
                            pgno_t most, pgno_t *first)
{
    const struct space_group *group = &space->groups[g];
    pgno_t base = g * space->group_pages;
    pgno_t above = space->page_count > base ? space->page_count - base : 0;
    pgno_t end = above < space->group_pages ? above : space->group_pages;
    pgno_t i = from > base ? from - base : 0;

    if (group->free_count < least)
        return 0;
    while ((i = next_free(group, i, end)) < end) {
        pgno_t n = free_run_at(group, i, end, most);

        if (n >= least) {
            *first = base + i;
            return n;
        }
        i += n;
    }
    return 0;
}

/* The same over all groups, beginning where the last search ended. */
pgno_t space_find_free(struct space *space, pgno_t least, pgno_t most, pgno_t *first)
{
    pgno_t start = space->search_next >= space->hold ? space->search_next : space->hold;
    uint32_t begin = start / space->group_pages;

    if (space->free < least || space->group_count == 0)
        return 0;
    for (uint32_t k = 0; k <= space->group_count; k++) {
        uint32_t g = (begin + k) % space->group_count;
        pgno_t from = k == 0 ? start : 0;
        pgno_t n;

        if (begin >= space->group_count)
            from = 0;
        if (from < space->hold)
            from = space->hold;
        if (from >= (g + 1) * (uint64_t)space->group_pages)
            continue;
        n = find_in_group(space, g, from, least, most, first);
        if (n > 0) {
            space->search_next = *first + n;
            return n;
        }
    }
    return 0;
}

/* How long a free run must be to be worth using: shorter ones only when much is free. */
static pgno_t extent_least(const struct space *space)
{
    if (space->free > space->page_count / 8)
        return 1;
    if (space->free > space->page_count / 16)
        return 4;
    return 16;
}

/* Chooses the next extent; false: free space has none that is long enough. */
static bool next_extent(struct space *space)
{
    pgno_t least = extent_least(space);

    for (size_t i = 0; i < SPACE_EXTENT_STEPS && extent_steps[i] >= least; i++) {
        pgno_t first;
        pgno_t n;

        if (space->freed < space->search_again[i])
            continue;
        n = space_find_free(space, extent_steps[i], EXTENT_MAX, &first);
        if (n > 0) {
            space->extent_next = first;
            space->extent_end = first + n;
            return true;
        }
        /* A search costs time: not again before enough was freed to hope for another result. */
        space->search_again[i] = space->freed + EXTENT_MAX + space->free / SEARCH_AGAIN_PART;
    }
    return false;
}

/* The extent's pages are still marked free; a claim takes them out one by one. */
bool space_claim_from_extent(struct space *space, pgno_t *pgno)
{
    if (space->extent_next >= space->extent_end && !next_extent(space))
        return false;
    *pgno = space->extent_next++;
    if (!space_is_free(space, *pgno)) { /* a run took it: the rest of the extent is void */
        space->extent_next = space->extent_end = 0;
        return space_claim_from_extent(space, pgno);
    }
    space_clear_free(space, *pgno, 1);
    return true;
}

/* ---- the end of the file ------------------------------------------------------------ */

pgno_t space_next_unused(const struct space *space, pgno_t from, pgno_t least, pgno_t *count)
{
    pgno_t run = 0;

    for (pgno_t p = from; p < space->page_count; p++) {
        pgno_t i;
        const struct space_group *group = space_group_of(space, p, &i);

        if (run == 0 && i % 8 == 0 && group->live[i / 8] == 0xff) {
            p += 7; /* all of these eight are in use; a group has a multiple of eight */
            continue;
        }
        if (!space_bit_get(group->live, i)) {
            run++;
            continue;
        }
        if (run >= least) {
            *count = run;
            return p - run;
        }
        run = 0;
    }
    *count = run >= least ? run : 0;
    return space->page_count - run;
}

pgno_t space_mark_least(const struct space *space)
{
    for (uint32_t g = space->group_count; g-- > 0;) {
        const uint8_t *live = space->groups[g].live;
        pgno_t first = g * space->group_pages;

        for (pgno_t i = space->group_pages; i-- > 0;) {
            if (live[i / 8] == 0)
                i &= ~(pgno_t)7; /* none of these eight */
            else if (space_bit_get(live, i) && !space_map_is_fixed(first + i, space->page_size))
                return first + i + 1;
        }
    }
    return SPACE_FIXED_MIN;
}
