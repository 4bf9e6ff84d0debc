/* SPDX-License-Identifier: MIT */
/*
 * spread: see spread.h.
 */
#include "tree/spread.h"

#include "format/inner.h"

#include <assert.h>
#include <string.h>

void spread_begin(struct spread *spread, size_t page_size, const struct edit_entry *entry)
{
    spread->page_size = page_size;
    spread->entry = entry;
    spread->piece_count = 0;
    spread->source_count = 0;
    spread->count = 0;
    spread->bytes = 0;
    spread->target_count = 0;
}

static void spread_add_piece(struct spread *spread, const void *leaf, unsigned first,
                             unsigned count)
{
    if (count == 0) {
        return;
    }
    assert(spread->piece_count < SPREAD_PIECES_MAX);
    spread->pieces[spread->piece_count++] = (struct spread_piece){leaf, first, count};
    spread->count += count;
    spread->bytes +=
        leaf != NULL ? leaf_bytes(leaf, first, count) : edit_entry_size(spread->entry);
}

void spread_add(struct spread *spread, const void *leaf, int entry_at)
{
    uint8_t *source = spread->sources[spread->source_count];
    unsigned count = leaf_count(leaf);

    assert(spread->source_count < SPREAD_SOURCES_MAX);
    spread->source_count++;
    memcpy(source, leaf, spread->page_size);
    if (entry_at < 0) {
        spread_add_piece(spread, source, 0, count);
        return;
    }
    spread_add_piece(spread, source, 0, (unsigned)entry_at);
    spread_add_piece(spread, NULL, 0, 1);
    spread_add_piece(spread, source, (unsigned)entry_at, count - (unsigned)entry_at);
}

/* ---- planning ------------------------------------------------------------- */

/* The piece that entry `index` is in; *first becomes its index there. */
static const struct spread_piece *spread_locate(const struct spread *spread, unsigned *index)
{
    const struct spread_piece *piece = spread->pieces;

    for (; *index >= piece->count; piece++) {
        *index -= piece->count;
    }
    *index += piece->first;
    return piece;
}

static size_t spread_size_at(const struct spread *spread, unsigned index)
{
    const struct spread_piece *piece = spread_locate(spread, &index);

    return piece->leaf != NULL ? leaf_bytes(piece->leaf, index, 1)
                               : edit_entry_size(spread->entry);
}

static bool spread_fits(const struct spread *spread, size_t bytes, unsigned count)
{
    return count > 0 && bytes + (count & 1) <= spread->page_size - PAGE_HEADER_SIZE;
}

static struct bts_bytes spread_key_at(const struct spread *spread, unsigned index)
{
    const struct spread_piece *piece = spread_locate(spread, &index);
    struct leaf_entry entry;

    if (piece->leaf == NULL) {
        return (struct bts_bytes){spread->entry->key, spread->entry->key_size};
    }
    entry = leaf_entry_at(piece->leaf, index);
    return (struct bts_bytes){entry.key, entry.key_size};
}

/* Whether the keys beside each cut are in order, as only those of a hostile file are not. */
static bool spread_in_order(const struct spread *spread)
{
    for (unsigned t = 1; t < spread->target_count; t++) {
        struct bts_bytes left = spread_key_at(spread, spread->cuts[t] - 1);
        struct bts_bytes right = spread_key_at(spread, spread->cuts[t]);
        if (bytes_compare(left.data, left.size, right.data, right.size) >= 0) {
            return false;
        }
    }
    return true;
}

bool spread_plan(struct spread *spread, unsigned target_count)
{
    size_t before = 0; /* bytes of entries [0, index) */
    size_t cut_before = 0;
    unsigned index = 0;

    assert(target_count >= 1 && target_count <= SPREAD_TARGETS_MAX);
    spread->target_count = target_count;
    spread->cuts[0] = 0;
    for (unsigned t = 1; t <= target_count; t++) {
        size_t goal = spread->bytes * t / target_count;
        while (index < spread->count) {
            size_t size = spread_size_at(spread, index);
            if (before + size / 2 > goal) {
                break;
            }
            before += size;
            index++;
        }
        spread->cuts[t] = index;
        if (!spread_fits(spread, before - cut_before, index - spread->cuts[t - 1])) {
            return false;
        }
        cut_before = before;
    }
    assert(index == spread->count);
    return spread_in_order(spread);
}

struct bts_bytes spread_separator(const struct spread *spread, unsigned t)
{
    struct bts_bytes left = spread_key_at(spread, spread->cuts[t + 1] - 1);
    struct bts_bytes right = spread_key_at(spread, spread->cuts[t + 1]);

    right.size = inner_shortest_separator(left.data, left.size, right.data, right.size);
    return right;
}

/* ---- writing -------------------------------------------------------------- */

/* Appends the part of one piece that lies in [from, to), counted from the piece's begin. */
static void spread_append(const struct spread *spread, const struct spread_piece *piece,
                          unsigned from, unsigned to, struct page_header *target)
{
    bool fits;

    if (piece->leaf == NULL) {
        fits = edit_insert(target, spread->page_size, leaf_count(target), spread->entry);
    } else {
        fits = leaf_append(target, spread->page_size, piece->leaf, piece->first + from, to - from);
    }
    assert(fits);
    (void)fits;
}

void spread_fill(const struct spread *spread, unsigned t, struct page_header *target)
{
    unsigned begin = 0; /* of the piece, among all entries */

    edit_reset_page(target, spread->page_size);
    for (unsigned p = 0; p < spread->piece_count; p++) {
        const struct spread_piece *piece = &spread->pieces[p];
        unsigned end = begin + piece->count;
        unsigned from = spread->cuts[t] > begin ? spread->cuts[t] : begin;
        unsigned to = spread->cuts[t + 1] < end ? spread->cuts[t + 1] : end;
        if (from < to) {
            spread_append(spread, piece, from - begin, to - begin, target);
        }
        begin = end;
    }
}
