/* SPDX-License-Identifier: MIT */
/*
 * leaf_edit: change a leaf in private memory; see leaf.h for the bytes.
 *
 * A new cell goes right below the lowest one.  What a removed or replaced
 * cell leaves behind is zeroed and counted as dead; when the gap is too small
 * for a new cell but gap and dead bytes together are not, the leaf is
 * compacted.  Every function first makes sure of the room, then changes.
 */
#include "format/leaf.h"

#include <assert.h>
#include <string.h>

/* A cell as it shall be written: a key and what is stored behind it. */
struct leaf_cell_parts {
    const void *key;
    size_t key_size;
    const void *stored;
    size_t stored_size;
    uint16_t vlen;
};

/* ---- cells and the room for them ----------------------------------------- */

static size_t leaf_gap(const void *page)
{
    return page_upper(page) - leaf_arrays_end(leaf_count(page));
}

/* Bytes by which fingerprints and offsets grow from n to n + count entries. */
static size_t leaf_arrays_growth(unsigned n, unsigned count)
{
    return 3 * (size_t)count + ((n + count) & 1) - (n & 1);
}

/* Makes a gap of `needed` bytes, compacting if that is what it takes; false: there is no room. */
static bool leaf_make_gap(void *page, size_t page_size, size_t needed)
{
    if (needed <= leaf_gap(page)) {
        return true;
    }
    if (needed > leaf_free_bytes(page, page_size)) {
        return false;
    }
    leaf_compact(page, page_size);
    return true;
}

/* Takes `size` bytes off the gap's end; their offset. */
static size_t leaf_take(void *page, size_t size)
{
    size_t offset = page_upper(page) - size;

    ((struct page_header *)page)->upper = (uint16_t)offset;
    return offset;
}

static void leaf_write_cell(uint8_t *cell, const struct leaf_cell_parts *parts)
{
    bytes_store_u16(cell, (uint16_t)parts->key_size);
    bytes_store_u16(cell + 2, parts->vlen);
    memcpy(cell + LEAF_CELL_HEADER_SIZE, parts->key, parts->key_size);
    if (parts->stored_size > 0) {
        memcpy(cell + LEAF_CELL_HEADER_SIZE + parts->key_size, parts->stored, parts->stored_size);
    }
}

/* Gives bytes of a cell back: to the gap if they lie at its end, else they are dead. */
static void leaf_drop_bytes(void *page, size_t offset, size_t size)
{
    struct page_header *header = page;

    memset((uint8_t *)page + offset, 0, size);
    if (offset == page_upper(page)) {
        header->upper = (uint16_t)(offset + size);
    } else {
        header->dead = (uint16_t)(header->dead + size);
    }
}

/* ---- the arrays ---------------------------------------------------------- */

/* Opens `count` places at `index` in both arrays; the gap has room for them. */
static void leaf_open_places(void *page, unsigned index, unsigned count)
{
    struct page_header *header = page;
    uint8_t *fingerprints = (uint8_t *)page + PAGE_HEADER_SIZE;
    unsigned n = header->n;
    unsigned grown = n + count;
    uint8_t *old_offsets = fingerprints + n + (n & 1);
    uint8_t *new_offsets = fingerprints + grown + (grown & 1);

    memmove(new_offsets + 2 * (index + count), old_offsets + 2 * index, 2 * (n - index));
    memmove(new_offsets, old_offsets, 2 * index);
    memmove(fingerprints + index + count, fingerprints + index, n - index);
    if ((grown & 1) != 0) {
        fingerprints[grown] = 0;
    }
    header->n = (uint16_t)grown;
}

/* Closes the places [first, first + count) in both arrays and zeroes what they leave. */
static void leaf_close_places(void *page, unsigned first, unsigned count)
{
    struct page_header *header = page;
    uint8_t *fingerprints = (uint8_t *)page + PAGE_HEADER_SIZE;
    unsigned n = header->n;
    unsigned left = n - count;
    uint8_t *old_offsets = fingerprints + n + (n & 1);
    uint8_t *new_offsets = fingerprints + left + (left & 1);
    unsigned behind = n - first - count;

    memmove(fingerprints + first, fingerprints + first + count, behind);
    fingerprints[left] = 0;
    memmove(new_offsets, old_offsets, 2 * first);
    memmove(new_offsets + 2 * first, old_offsets + 2 * (first + count), 2 * behind);
    memset(new_offsets + 2 * left, 0, (size_t)(old_offsets + 2 * n - (new_offsets + 2 * left)));
    header->n = (uint16_t)left;
}

static void leaf_set_offset(void *page, unsigned index, size_t offset)
{
    unsigned n = leaf_count(page);

    bytes_store_u16((uint8_t *)page + PAGE_HEADER_SIZE + n + (n & 1) + 2 * (size_t)index,
                    (uint16_t)offset);
}

/* ---- insert -------------------------------------------------------------- */

static bool leaf_insert_parts(void *page, size_t page_size, unsigned index,
                              const struct leaf_cell_parts *parts)
{
    size_t size = LEAF_CELL_HEADER_SIZE + parts->key_size + parts->stored_size;
    size_t offset;

    assert(index <= leaf_count(page));
    assert(parts->key_size >= 1 && parts->key_size <= page_key_max(page_size));
    assert(size <= page_cell_max(page_size));
    if (!leaf_make_gap(page, page_size, size + leaf_arrays_growth(leaf_count(page), 1))) {
        return false;
    }
    leaf_open_places(page, index, 1);
    offset = leaf_take(page, size);
    leaf_write_cell((uint8_t *)page + offset, parts);
    leaf_set_offset(page, index, offset);
    ((uint8_t *)page)[PAGE_HEADER_SIZE + index] = leaf_fingerprint(parts->key, parts->key_size);
    return true;
}

static void leaf_encode_run(uint8_t pointer[LEAF_RUN_POINTER_SIZE], pgno_t run, uint64_t value_size)
{
    assert(run != PGNO_NONE && value_size <= VALUE_SIZE_MAX);
    bytes_store_u32(pointer, run);
    bytes_store_u64(pointer + 4, value_size);
}

bool leaf_insert(void *page, size_t page_size, unsigned index, const void *key, size_t key_size,
                 const void *value, size_t value_size)
{
    struct leaf_cell_parts parts = {key, key_size, value, value_size, (uint16_t)value_size};

    return leaf_insert_parts(page, page_size, index, &parts);
}

bool leaf_insert_run(void *page, size_t page_size, unsigned index, const void *key,
                     size_t key_size, pgno_t run, uint64_t value_size)
{
    uint8_t pointer[LEAF_RUN_POINTER_SIZE];
    struct leaf_cell_parts parts = {key, key_size, pointer, sizeof(pointer), LEAF_VLEN_RUN};

    leaf_encode_run(pointer, run, value_size);
    return leaf_insert_parts(page, page_size, index, &parts);
}

/* ---- replace and remove -------------------------------------------------- */

/* The new value is no longer than the old one: it takes its place, the rest is given back. */
static void leaf_replace_in_place(uint8_t *page, size_t offset, const void *stored,
                                  size_t stored_size, uint16_t vlen)
{
    uint8_t *cell = page + offset;
    size_t behind_key = LEAF_CELL_HEADER_SIZE + leaf_cell_key_size(cell);
    size_t old_size = leaf_cell_stored_size(cell);

    bytes_store_u16(cell + 2, vlen);
    if (stored_size > 0) {
        memcpy(cell + behind_key, stored, stored_size);
    }
    if (stored_size < old_size) {
        leaf_drop_bytes(page, offset + behind_key + stored_size, old_size - stored_size);
    }
}

/*
 * The new value is longer.  The cell is removed, and the key with the new
 * value written anew; the key is saved first, as its bytes are zeroed.
 */
static bool leaf_replace_elsewhere(void *page, size_t page_size, unsigned index,
                                   const void *stored, size_t stored_size, uint16_t vlen)
{
    const uint8_t *cell = leaf_cell(page, index);
    size_t key_size = leaf_cell_key_size(cell);
    size_t growth = stored_size - leaf_cell_stored_size(cell);
    uint8_t key[LEAF_KLEN_MASK];
    struct leaf_cell_parts parts = {key, key_size, stored, stored_size, vlen};

    if (growth > leaf_free_bytes(page, page_size)) {
        return false;
    }
    memcpy(key, cell + LEAF_CELL_HEADER_SIZE, key_size);
    leaf_remove(page, page_size, index, 1);
    if (!leaf_insert_parts(page, page_size, index, &parts)) {
        assert(!"the room was counted");
    }
    return true;
}

static bool leaf_replace_stored(void *page, size_t page_size, unsigned index, const void *stored,
                                size_t stored_size, uint16_t vlen)
{
    const uint8_t *cell = leaf_cell(page, index);

    assert(index < leaf_count(page));
    assert(LEAF_CELL_HEADER_SIZE + leaf_cell_key_size(cell) + stored_size <=
           page_cell_max(page_size));
    if (stored_size > leaf_cell_stored_size(cell)) {
        return leaf_replace_elsewhere(page, page_size, index, stored, stored_size, vlen);
    }
    leaf_replace_in_place(page, leaf_offsets(page)[index], stored, stored_size, vlen);
    return true;
}

bool leaf_replace(void *page, size_t page_size, unsigned index, const void *value,
                  size_t value_size)
{
    return leaf_replace_stored(page, page_size, index, value, value_size, (uint16_t)value_size);
}

bool leaf_replace_run(void *page, size_t page_size, unsigned index, pgno_t run,
                      uint64_t value_size)
{
    uint8_t pointer[LEAF_RUN_POINTER_SIZE];

    leaf_encode_run(pointer, run, value_size);
    return leaf_replace_stored(page, page_size, index, pointer, sizeof(pointer), LEAF_VLEN_RUN);
}

void leaf_remove(void *page, size_t page_size, unsigned first, unsigned count)
{
    struct page_header *header = page;

    assert(first + count <= leaf_count(page));
    if (count == 0) {
        return;
    }
    for (unsigned i = first; i < first + count; i++) {
        size_t offset = leaf_offsets(page)[i];
        leaf_drop_bytes(page, offset, leaf_cell_size((const uint8_t *)page + offset));
    }
    leaf_close_places(page, first, count);
    if (header->n == 0) {
        header->upper = (uint16_t)page_size;
        header->dead = 0;
    }
}

/* ---- append and compact -------------------------------------------------- */

/*
 * Copies the cells of entries [first, first + count) of `from` below the
 * cells of `to`, and their offsets to `to_first`.  The last entry is copied
 * first, so that a scan of these meets rising addresses.
 */
static void leaf_copy_cells(void *to, unsigned to_first, const void *from, unsigned first,
                            unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        const uint8_t *cell = leaf_cell(from, first + i);
        size_t size = leaf_cell_size(cell);
        size_t offset = leaf_take(to, size);
        memcpy((uint8_t *)to + offset, cell, size);
        leaf_set_offset(to, to_first + i, offset);
    }
}

bool leaf_append(void *to, size_t page_size, const void *from, unsigned first, unsigned count)
{
    unsigned n = leaf_count(to);
    size_t cells = leaf_bytes(from, first, count) - 3 * (size_t)count;

    assert(to != from && first + count <= leaf_count(from));
    if (!leaf_make_gap(to, page_size, cells + leaf_arrays_growth(n, count))) {
        return false;
    }
    leaf_open_places(to, n, count);
    memcpy((uint8_t *)to + PAGE_HEADER_SIZE + n, leaf_fingerprints(from) + first, count);
    leaf_copy_cells(to, n, from, first, count);
    return true;
}

void leaf_compact(void *page, size_t page_size)
{
    struct page_header *header = page;
    size_t end = leaf_arrays_end(leaf_count(page));
    _Alignas(8) uint8_t old[PAGE_SIZE_MAX];

    memcpy(old, page, page_size);
    memset((uint8_t *)page + end, 0, page_size - end);
    header->upper = (uint16_t)page_size;
    header->dead = 0;
    leaf_copy_cells(page, 0, old, 0, header->n);
}
