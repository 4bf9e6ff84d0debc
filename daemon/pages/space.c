/* SPDX-License-Identifier: MIT */
/*
 * space: see space.h.  This file claims and releases; free_pages.c chooses
 * among the free pages, nursery.c has those that will not live long, limbo.c judges
 * when a released page is free again.
 *
 * Claims and releases of a group are lists in order, so that a savepoint is a
 * pair of lengths and undo walks them backwards.  Every list has its room
 * before the change that needs it: undo and publication cannot fail.
 */
#include "pages/space.h"

#include "base/err.h"
#include "pages/space_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- live pages ------------------------------------------------------------------- */

static void set_live(struct space *space, pgno_t first, pgno_t count, bool live)
{
    for (pgno_t p = first; p < first + count; p++) {
        pgno_t i;
        struct space_group *group = space_group_of(space, p, &i);

        assert(space_bit_get(group->live, i) != live);
        if (live)
            space_bit_set(group->live, i);
        else
            space_bit_clear(group->live, i);
        group->dirty = true;
    }
    space->live += live ? (int64_t)count : -(int64_t)count;
}

bool space_is_live(const struct space *space, pgno_t pgno)
{
    pgno_t i;
    const struct space_group *group;

    if (pgno >= space->page_count)
        return false;
    group = space_group_of(space, pgno, &i);
    return space_bit_get(group->live, i);
}

/* ---- groups of pages -------------------------------------------------------------- */

/* Makes the bitmaps of all groups that `page_count` pages reach. */
static enum bts_status ensure_groups(struct space *space, uint64_t page_count,
                                     struct bts_error *error)
{
    uint32_t wanted = space_map_group_count((pgno_t)page_count, space->page_size);
    size_t bytes = space->group_pages / 8;

    if (wanted > space->group_room) {
        uint32_t room = wanted + wanted / 2 + 4;
        struct space_group *grown = realloc(space->groups, room * sizeof *grown);

        if (grown == NULL)
            return err_set(error, BTS_NO_MEMORY, "space: out of memory for %u groups", room);
        space->groups = grown;
        space->group_room = room;
    }
    while (space->group_count < wanted) {
        struct space_group *group = &space->groups[space->group_count];
        pgno_t fixed = space->group_count == 0 ? SPACE_FIXED_MIN : 2;

        memset(group, 0, sizeof *group);
        group->live = calloc(1, 4 * bytes + space->group_pages / NURSERY_CHUNK * sizeof(uint16_t));
        if (group->live == NULL)
            return err_set(error, BTS_NO_MEMORY, "space: out of memory for group %u",
                           space->group_count);
        group->free = group->live + bytes;
        group->young = group->live + 2 * bytes;
        group->leaving = group->live + 3 * bytes;
        group->nursery = (uint16_t *)(void *)(group->live + 4 * bytes); /* bytes are even */
        for (pgno_t i = 0; i < fixed; i++)
            space_bit_set(group->live, i);
        group->dirty = true;
        space->group_count++;
    }
    return BTS_OK;
}

enum bts_status space_create(size_t page_size, struct space **space, struct bts_error *error)
{
    struct space *made = calloc(1, sizeof *made);

    *space = NULL;
    if (made == NULL)
        return err_set(error, BTS_NO_MEMORY, "space: out of memory");
    made->page_size = page_size;
    made->group_pages = space_map_group_pages(page_size);
    *space = made;
    return BTS_OK;
}

void space_destroy(struct space *space)
{
    if (space == NULL)
        return;
    for (uint32_t g = 0; g < space->group_count; g++)
        free(space->groups[g].live);
    free(space->groups);
    for (size_t i = 0; i < SPACE_GROUPS_MAX; i++) {
        free(space->works[i].claims.entries);
        free(space->works[i].releases.entries);
    }
    limbo_fini(&space->limbo);
    free(space);
}

enum bts_status space_load(struct space *space, pgno_t page_count, txnid_t checkpoint,
                           struct bts_error *error)
{
    enum bts_status status = ensure_groups(space, page_count, error);

    if (status != BTS_OK)
        return status;
    assert(space->page_count == 0);
    space->page_count = page_count;
    space->checkpoint = checkpoint;
    for (pgno_t p = 0; p < page_count; p++) {
        if (!space_map_is_fixed(p, space->page_size))
            space_set_free(space, p, 1);
    }
    for (uint32_t g = 0; g < space->group_count; g++)
        space->groups[g].dirty = false;
    return BTS_OK;
}

void space_load_group(struct space *space, uint32_t group, const uint8_t *bits)
{
    pgno_t first = group * space->group_pages;
    pgno_t end = first + space->group_pages;

    if (end > space->page_count)
        end = space->page_count;
    for (pgno_t p = first; p < end; p++) {
        if (!space_bit_get(bits, p - first) || space_map_is_fixed(p, space->page_size))
            continue;
        space_clear_free(space, p, 1);
        set_live(space, p, 1, true);
    }
    space->groups[group].dirty = false;
}

void space_mark_dirty(struct space *space, uint32_t group)
{
    if (group < space->group_count)
        space->groups[group].dirty = true;
}

/* ---- the high-water mark ---------------------------------------------------------- */

enum bts_status space_raise(struct space *space, pgno_t count, pgno_t *first,
                            struct bts_error *error)
{
    uint64_t start = space->page_count;
    uint64_t group_end = (start / space->group_pages + 1) * space->group_pages;
    pgno_t skipped = (pgno_t)start;
    enum bts_status status;

    if (start + count > group_end)
        start = group_end;
    while (space_map_is_fixed((pgno_t)start, space->page_size))
        start++;
    if (start + count > UINT32_MAX)
        return err_set(error, BTS_NO_SPACE,
                       "space: the file has 2^32 pages, the most there can be");
    status = ensure_groups(space, start + count, error);
    if (status != BTS_OK)
        return status;
    for (uint64_t p = skipped; p < start; p++) {
        if (!space_map_is_fixed((pgno_t)p, space->page_size))
            space_set_free(space, (pgno_t)p, 1);
    }
    space->page_count = (pgno_t)(start + count);
    *first = (pgno_t)start;
    return BTS_OK;
}

enum bts_status space_hold(struct space *space, pgno_t mark, struct bts_error *error)
{
    enum bts_status status = ensure_groups(space, mark, error);

    if (status != BTS_OK)
        return status;
    for (pgno_t p = space->page_count; p < mark; p++) {
        if (!space_map_is_fixed(p, space->page_size))
            space_set_free(space, p, 1);
    }
    if (mark > space->page_count)
        space->page_count = mark;
    assert(space->nursery.owned == 0);
    space->hold = mark;
    space->extent_next = space->extent_end = 0;
    return BTS_OK;
}

void space_unhold(struct space *space)
{
    space->hold = 0;
    memset(space->search_again, 0, sizeof space->search_again);
}

/* ---- claims and releases ---------------------------------------------------------- */

static struct space_work *work_of(struct space *space)
{
    assert(space->working);
    return &space->works[(space->work_first + space->work_count - 1) % SPACE_GROUPS_MAX];
}

/* Sets or clears the young bits (else the leaving ones) of some pages. */
static void mark_pages(struct space *space, bool young, pgno_t first, pgno_t count, bool value)
{
    for (pgno_t p = first; p < first + count; p++) {
        pgno_t i;
        struct space_group *group = space_group_of(space, p, &i);
        uint8_t *bits = young ? group->young : group->leaving;

        if (value)
            space_bit_set(bits, i);
        else
            space_bit_clear(bits, i);
    }
}

/* Why a page that somebody leads to cannot be freed; NULL: it can. */
static const char *page_fault(const struct space *space, uint64_t pgno, bool young)
{
    pgno_t i;
    const struct space_group *group;

    if (pgno >= space->page_count)
        return "lies beyond the end of the store";
    if (space_map_is_fixed((pgno_t)pgno, space->page_size))
        return "is a meta or space map page";
    group = space_group_of(space, (pgno_t)pgno, &i);
    if (space_bit_get(group->leaving, i))
        return "two pages lead to it";
    if (!space_bit_get(group->live, i) && !space_bit_get(group->young, i))
        return "in use, but free by the space map, or freed twice";
    if (space_bit_get(group->young, i) != young)
        return "its birth is not that of what lies here";
    return NULL;
}

enum bts_status space_check_release(const struct space *space, pgno_t first, pgno_t count,
                                    bool young, struct bts_error *error)
{
    for (uint64_t p = first; p < (uint64_t)first + count; p++) {
        const char *fault = page_fault(space, p, young);

        if (fault != NULL)
            return err_set(error, BTS_DAMAGED, "page %llu: %s; run btstore check",
                           (unsigned long long)p, fault);
    }
    return BTS_OK;
}

static void note_claim(struct space *space, pgno_t first, pgno_t count, enum claim_source source)
{
    struct space_list *claims = &work_of(space)->claims;

    claims->entries[claims->count++] =
        (struct space_entry){.first = first, .count = count, .source = source};
    space->unborn += count;
    mark_pages(space, true, first, count, true);
}

enum bts_status space_claim(struct space *space, txnid_t replaces, pgno_t *pgno,
                            struct bts_error *error)
{
    enum bts_status status = space_list_reserve(&work_of(space)->claims, 1, error);

    *pgno = PGNO_NONE;
    if (status != BTS_OK)
        return status;
    space->nursery.clock++;
    if (nursery_wants(space, work_of(space)->txnid, replaces) && nursery_claim(space, pgno)) {
        note_claim(space, *pgno, 1, CLAIM_NURSERY);
    } else if (space_claim_from_extent(space, pgno)) {
        note_claim(space, *pgno, 1, CLAIM_BITMAP);
    } else {
        status = space_raise(space, 1, pgno, error);
        if (status == BTS_OK)
            note_claim(space, *pgno, 1, CLAIM_ABOVE);
    }
    return status;
}

enum bts_status space_claim_run(struct space *space, pgno_t count, pgno_t *first,
                                struct bts_error *error)
{
    enum bts_status status = space_list_reserve(&work_of(space)->claims, 1, error);
    pgno_t saved = space->search_next;

    *first = PGNO_NONE;
    if (status != BTS_OK)
        return status;
    if (space_find_free(space, count, count, first) >= count) {
        space_clear_free(space, *first, count);
        note_claim(space, *first, count, CLAIM_BITMAP);
        space->search_next = saved; /* single pages stay together where they were */
        return BTS_OK;
    }
    status = space_raise(space, count, first, error);
    if (status == BTS_OK)
        note_claim(space, *first, count, CLAIM_ABOVE);
    return status;
}

enum bts_status space_reserve(struct space *space, size_t count, struct bts_error *error)
{
    struct space_list *releases = &work_of(space)->releases;
    size_t open = releases->count + count;
    enum bts_status status = space_list_reserve(releases, count, error);

    for (size_t i = 0; i + 1 < space->work_count; i++)
        open += space->works[(space->work_first + i) % SPACE_GROUPS_MAX].releases.count;
    /* publication moves them all to limbo, and cannot fail */
    return status == BTS_OK ? space_list_reserve(&space->limbo.fresh, open, error) : status;
}

void space_release(struct space *space, pgno_t first, pgno_t count, txnid_t born)
{
    struct space_list *releases = &work_of(space)->releases;

    assert(releases->count < releases->room);
    releases->entries[releases->count++] = (struct space_entry){
        .first = first, .count = count, .born = born, .freed = work_of(space)->txnid};
    mark_pages(space, false, first, count, true);
}

struct space_savepoint space_savepoint(const struct space *space)
{
    struct space_work *work = work_of((struct space *)(uintptr_t)space);

    return (struct space_savepoint){work->claims.count, work->releases.count, space->page_count};
}

/* Free pages at and above a lowered mark are no pages any more. */
static void lower_mark(struct space *space, pgno_t page_count)
{
    for (pgno_t p = page_count; p < space->page_count; p++) {
        if (space_is_free(space, p))
            space_clear_free(space, p, 1);
    }
    nursery_cut(space, page_count);
    space->page_count = page_count;
    if (space->extent_end > page_count)
        space->extent_next = space->extent_end = 0;
    if (space->search_next > page_count)
        space->search_next = 0;
}

void space_undo(struct space *space, const struct space_savepoint *savepoint)
{
    struct space_work *work = work_of(space);

    while (work->claims.count > savepoint->claims) {
        const struct space_entry *claim = &work->claims.entries[--work->claims.count];

        space->unborn -= claim->count;
        mark_pages(space, true, claim->first, claim->count, false);
        if (claim->source == CLAIM_BITMAP ||
            (claim->source == CLAIM_NURSERY && !nursery_take_back(space, claim->first)))
            space_set_free(space, claim->first, claim->count);
    }
    space->extent_next = space->extent_end = 0;
    memset(space->search_again, 0, sizeof space->search_again);
    while (work->releases.count > savepoint->releases) {
        const struct space_entry *release = &work->releases.entries[--work->releases.count];

        mark_pages(space, false, release->first, release->count, false);
    }
    lower_mark(space, savepoint->page_count);
}

/* ---- the life of a group ---------------------------------------------------------- */

void space_group_begin(struct space *space, txnid_t txnid)
{
    struct space_work *work;

    assert(!space->working && space->work_count < SPACE_GROUPS_MAX);
    space->work_count++;
    space->working = true;
    work = work_of(space);
    work->txnid = txnid;
    work->claims.count = 0;
    work->releases.count = 0;
    work->page_count = space->page_count;
    nursery_group_begin(space, txnid);
}

void space_group_end(struct space *space)
{
    assert(space->working);
    space->working = false;
}

void space_group_abort(struct space *space)
{
    struct space_savepoint start = {0, 0, work_of(space)->page_count};

    space_undo(space, &start);
    space->work_count--;
    space->working = false;
}

void space_published(struct space *space, txnid_t txnid)
{
    struct space_work *work = &space->works[space->work_first];

    assert(space->work_count > (space->working ? 1u : 0u) && work->txnid == txnid);
    for (size_t i = 0; i < work->claims.count; i++) {
        const struct space_entry *claim = &work->claims.entries[i];

        set_live(space, claim->first, claim->count, true);
        space->unborn -= claim->count;
    }
    for (size_t i = 0; i < work->releases.count; i++) {
        const struct space_entry *release = &work->releases.entries[i];

        set_live(space, release->first, release->count, false);
        mark_pages(space, true, release->first, release->count, false);
        mark_pages(space, false, release->first, release->count, false);
        limbo_add(space, release);
    }
    space->work_first = (space->work_first + 1) % SPACE_GROUPS_MAX;
    space->work_count--;
}

pgno_t space_page_count(const struct space *space)
{
    return space->page_count;
}

/* ---- checkpoint ------------------------------------------------------------------- */

enum bts_status space_checkpoint_begin(struct space *space, txnid_t k, pgno_t *page_count,
                                       space_each_group *each, void *context,
                                       struct bts_error *error)
{
    assert(space->checkpoint_begun == 0);
    *page_count = space->page_count;
    for (uint32_t g = 0; g < space->group_count; g++) {
        enum bts_status status;

        /* a group above the mark was claimed and given back: it is not in the file yet */
        if (!space->groups[g].dirty || g * space->group_pages >= space->page_count)
            continue;
        status = each(context, g, space->groups[g].live, error);
        if (status != BTS_OK)
            return status;
    }
    for (uint32_t g = 0; g < space->group_count; g++) {
        if (g * space->group_pages < space->page_count)
            space->groups[g].dirty = false;
    }
    space->checkpoint_begun = k;
    return BTS_OK;
}

void space_checkpoint_done(struct space *space)
{
    assert(space->checkpoint_begun != 0);
    space->checkpoint = space->checkpoint_begun;
    space->checkpoint_begun = 0;
    nursery_shrink(space);
}

/* ---- numbers and checks ----------------------------------------------------------- */

struct space_stat space_stat(const struct space *space)
{
    return (struct space_stat){
        .page_count = space->page_count,
        .live = (uint64_t)space->live,
        .unborn = space->unborn,
        .limbo = space->limbo.pages,
        .free = space->free + space->nursery.free,
        .nursery = space->nursery.free,
    };
}

void space_check(const struct space *space)
{
    uint64_t fixed = 0;
    uint64_t live = 0;
    uint64_t free_pages = 0;
    uint64_t in_flight = 0;

    for (pgno_t p = 0; p < space->page_count; p++) {
        pgno_t i;
        const struct space_group *group = space_group_of(space, p, &i);

        if (space_map_is_fixed(p, space->page_size)) {
            assert(space_bit_get(group->live, i) && !space_bit_get(group->free, i));
            fixed++;
            continue;
        }
        assert(!(space_bit_get(group->live, i) && space_bit_get(group->free, i)));
        live += space_bit_get(group->live, i);
        free_pages += space_bit_get(group->free, i);
    }
    assert(live == (uint64_t)space->live);
    assert(free_pages == space->free);
    nursery_check(space);
    in_flight = space->unborn + space->limbo.pages + space->nursery.free;
    assert(fixed + live + free_pages + in_flight == space->page_count);
    limbo_check(space);
    (void)fixed;
    (void)in_flight;
}
