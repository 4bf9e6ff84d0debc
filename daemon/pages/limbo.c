/* SPDX-License-Identifier: MIT */
/*
 * limbo: freed pages that somebody may still see; see space.h for the rules
 * and why a page that passed them once may stay free.
 *
 * Every entry is judged when it is published, and again only when what held
 * it is gone: a checkpoint (waiting), or one named snapshot (pins).  So a
 * reader that sleeps on an old snapshot costs no work per commit.
 *
 * A failed allocation here only leaves entries in limbo for longer.
 */
#include "base/err.h"
#include "pages/space_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum bts_status space_list_reserve(struct space_list *list, size_t more, struct bts_error *error)
{
    size_t wanted = list->count + more;
    size_t room = list->room > 0 ? list->room : 64;
    struct space_entry *grown;

    if (wanted <= list->room)
        return BTS_OK;
    while (room < wanted)
        room *= 2;
    grown = realloc(list->entries, room * sizeof *grown);
    if (grown == NULL)
        return err_set(error, BTS_NO_MEMORY, "space: out of memory for %zu entries", room);
    list->entries = grown;
    list->room = room;
    return BTS_OK;
}

void limbo_add(struct space *space, const struct space_entry *entry)
{
    struct space_list *fresh = &space->limbo.fresh;

    assert(fresh->count < fresh->room);
    fresh->entries[fresh->count++] = *entry;
    space->limbo.pages += entry->count;
}

/* Rule (b): neither the durable checkpoint nor the one in progress uses it. */
static bool checkpoint_holds(const struct space *space, const struct space_entry *entry)
{
    txnid_t k = space->checkpoint_begun;

    if (entry->born <= space->checkpoint && entry->freed > space->checkpoint)
        return true;
    return k != 0 && entry->born <= k && entry->freed > k;
}

/* Back to where it was claimed: the nursery, or the bitmap. */
static void make_free(struct space *space, const struct space_entry *entry)
{
    space->limbo.pages -= entry->count;
    if (entry->count > 1 || !nursery_take_back(space, entry->first))
        space_set_free(space, entry->first, entry->count);
}

/* The list of what snapshot `txnid` holds, made if need be; NULL: no memory. */
static struct space_list *pin_list(struct limbo *limbo, txnid_t txnid)
{
    size_t place = 0;

    while (place < limbo->pin_count && limbo->pins[place].txnid < txnid)
        place++;
    if (place < limbo->pin_count && limbo->pins[place].txnid == txnid)
        return &limbo->pins[place].entries;
    if (limbo->pin_count == limbo->pin_room) {
        size_t room = limbo->pin_room > 0 ? limbo->pin_room * 2 : 16;
        struct limbo_pin *grown = realloc(limbo->pins, room * sizeof *grown);

        if (grown == NULL)
            return NULL;
        limbo->pins = grown;
        limbo->pin_room = room;
    }
    memmove(&limbo->pins[place + 1], &limbo->pins[place],
            (limbo->pin_count - place) * sizeof *limbo->pins);
    limbo->pins[place] = (struct limbo_pin){.txnid = txnid};
    limbo->pin_count++;
    return &limbo->pins[place].entries;
}

static bool append(struct space_list *list, const struct space_entry *entry)
{
    if (list == NULL || space_list_reserve(list, 1, NULL) != BTS_OK)
        return false;
    list->entries[list->count++] = *entry;
    return true;
}

/* Rule (a), and rule (b) before it.  False: it could be moved nowhere; judge it again later. */
static bool judge(struct space *space, const struct horizon *horizon,
                  const struct space_entry *entry)
{
    txnid_t pin;

    if (entry->born == entry->freed) {
        make_free(space, entry);
        return true;
    }
    if (entry->freed > horizon->latest)
        return false;
    if (checkpoint_holds(space, entry))
        return append(&space->limbo.waiting, entry);
    pin = horizon_pinned_in(horizon, entry->born, entry->freed);
    if (pin != 0)
        return append(pin_list(&space->limbo, pin), entry);
    make_free(space, entry);
    return true;
}

/* Judges a whole list; what stays is kept in it, in order. */
static void judge_list(struct space *space, const struct horizon *horizon,
                       struct space_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        struct space_entry entry = list->entries[i];

        if (!judge(space, horizon, &entry))
            list->entries[kept++] = entry;
    }
    list->count = kept;
}

/* Entries whose checkpoint is over: `waiting` ascends by `freed`. */
static void judge_waiting(struct space *space, const struct horizon *horizon)
{
    struct limbo *limbo = &space->limbo;
    struct space_list *waiting = &limbo->waiting;

    while (limbo->waiting_first < waiting->count) {
        struct space_entry entry = waiting->entries[limbo->waiting_first];

        if (entry.freed > space->checkpoint || entry.freed > horizon->latest)
            break;
        if (!judge(space, horizon, &entry))
            break;
        limbo->waiting_first++;
    }
    if (limbo->waiting_first == waiting->count) {
        waiting->count = limbo->waiting_first = 0;
    } else if (limbo->waiting_first > 4096 && limbo->waiting_first > waiting->count / 2) {
        waiting->count -= limbo->waiting_first;
        memmove(waiting->entries, waiting->entries + limbo->waiting_first,
                waiting->count * sizeof *waiting->entries);
        limbo->waiting_first = 0;
    }
}

static bool is_pinned(const struct horizon *horizon, txnid_t txnid)
{
    return horizon_pins(horizon, txnid, txnid + 1);
}

/* The place of the list that `txnid` holds; it is there. */
static size_t pin_place(const struct limbo *limbo, txnid_t txnid)
{
    size_t place = 0;

    while (limbo->pins[place].txnid != txnid)
        place++;
    return place;
}

/*
 * Entries whose snapshot is gone; another one may hold them still.  Judging
 * may insert other lists and move the array, so the list is taken out while
 * it is judged and its place is looked up again.
 */
static void judge_pins(struct space *space, const struct horizon *horizon)
{
    struct limbo *limbo = &space->limbo;
    size_t i = 0;

    while (i < limbo->pin_count) {
        txnid_t txnid = limbo->pins[i].txnid;
        struct space_list entries = limbo->pins[i].entries;

        if (is_pinned(horizon, txnid)) {
            i++;
            continue;
        }
        limbo->pins[i].entries = (struct space_list){.entries = NULL};
        judge_list(space, horizon, &entries);
        i = pin_place(limbo, txnid);
        if (entries.count > 0) { /* no memory to move them: they stay here for now */
            limbo->pins[i++].entries = entries;
            continue;
        }
        free(entries.entries);
        limbo->pin_count--;
        memmove(&limbo->pins[i], &limbo->pins[i + 1],
                (limbo->pin_count - i) * sizeof *limbo->pins);
    }
}

void space_reclaim(struct space *space, const struct horizon *horizon)
{
    judge_pins(space, horizon);
    judge_waiting(space, horizon);
    judge_list(space, horizon, &space->limbo.fresh);
}

size_t space_unjudged(const struct space *space)
{
    return space->limbo.fresh.count;
}

uint64_t space_retained_pages(const struct space *space, txnid_t txnid)
{
    const struct limbo *limbo = &space->limbo;
    uint64_t pages = 0;

    for (size_t i = 0; i < limbo->pin_count; i++) {
        const struct space_list *entries = &limbo->pins[i].entries;

        for (size_t k = 0; k < entries->count; k++) {
            if (entries->entries[k].born <= txnid && txnid < entries->entries[k].freed)
                pages += entries->entries[k].count;
        }
    }
    return pages;
}

void limbo_fini(struct limbo *limbo)
{
    for (size_t i = 0; i < limbo->pin_count; i++)
        free(limbo->pins[i].entries.entries);
    free(limbo->pins);
    free(limbo->fresh.entries);
    free(limbo->waiting.entries);
    memset(limbo, 0, sizeof *limbo);
}

static uint64_t list_pages(const struct space_list *list, size_t first)
{
    uint64_t pages = 0;

    for (size_t i = first; i < list->count; i++)
        pages += list->entries[i].count;
    return pages;
}

void limbo_check(const struct space *space)
{
    const struct limbo *limbo = &space->limbo;
    uint64_t pages = list_pages(&limbo->fresh, 0) + list_pages(&limbo->waiting,
                                                               limbo->waiting_first);

    for (size_t i = 0; i < limbo->pin_count; i++) {
        assert(i == 0 || limbo->pins[i - 1].txnid < limbo->pins[i].txnid);
        pages += list_pages(&limbo->pins[i].entries, 0);
    }
    for (size_t i = limbo->waiting_first + 1; i < limbo->waiting.count; i++)
        assert(limbo->waiting.entries[i - 1].freed <= limbo->waiting.entries[i].freed);
    assert(pages == limbo->pages);
    (void)pages;
}
