/* SPDX-License-Identifier: MIT */
/*
 * inner: what makes an inner page safe to read, and whole; see inner.h.
 *
 * inner_check trusts nothing but the checksum, which an enemy can compute too.
 * Heads need no check: whatever they are, a search ends inside the arrays.
 *
 * Searching is inline in inner.h, changing is in inner_edit.c.
 */
#include "format/inner.h"

#include "base/err.h"
#include "format/cell_cover.h"

#include <assert.h>

size_t inner_separator(const void *page, unsigned index, uint8_t *out)
{
    size_t prefix_size = inner_prefix_size(page);
    size_t offset = inner_offsets(page)[index];
    const uint8_t *tail = (const uint8_t *)page + offset;
    size_t size;

    memcpy(out, inner_prefix(page), prefix_size);
    if (offset <= INNER_HEAD_SIZE) {
        uint32_t head = __builtin_bswap32(inner_heads(page)[index]);
        memcpy(out + prefix_size, &head, offset);
        return prefix_size + offset;
    }
    size = bytes_load_u16(tail);
    memcpy(out + prefix_size, tail + INNER_TAIL_HEADER_SIZE, size);
    return prefix_size + size;
}

size_t inner_shortest_separator(const void *left, size_t left_size, const void *right,
                                size_t right_size)
{
    size_t common = bytes_common_prefix(left, left_size, right, right_size);

    assert(common < right_size);
    return common + 1;
}

/* Sees to it that a guess hits for heads as they stand in the page; equal ones count as misses. */
bool inner_guess_pays(const uint32_t *heads, unsigned n)
{
    unsigned misses = 0, detours = 0;

    if (n < 2 * INNER_GUESS_WIDTH) {
        return false;
    }
    for (unsigned i = 0; i < 32; i++) {
        unsigned index = (n - 2) * i / 31;

        misses += heads[index] >= heads[index + 1] ||
                  inner_guess(heads, n, heads[index], 0) != index + 1;
        detours += inner_guess_within(heads, n, heads[index], 0, 1) == INNER_GUESS_MISS;
    }
    return misses <= 3 && detours <= 12;
}

size_t inner_used_bytes(const void *page, size_t page_size)
{
    const struct page_header *header = page;

    return inner_arrays_end(header->prefix, header->n) + page_size - page_upper(page) -
           header->dead;
}

/* ---- structure ----------------------------------------------------------- */

static enum bts_status inner_check_header(const void *page, size_t page_size,
                                          struct bts_error *error)
{
    const struct page_header *header = page;
    size_t upper = page_upper(page);

    if (header->prefix > page_key_max(page_size)) {
        return err_set(error, BTS_DAMAGED, "inner page with a prefix of %u bytes", header->prefix);
    }
    if (upper > page_size || inner_arrays_end(header->prefix, header->n) > upper) {
        return err_set(error, BTS_DAMAGED, "inner page of %u separators has its tails at %zu",
                       header->n, upper);
    }
    if (header->dead > page_size - upper) {
        return err_set(error, BTS_DAMAGED, "inner page counts %u dead bytes among %zu",
                       header->dead, page_size - upper);
    }
    return BTS_OK;
}

static enum bts_status inner_check_separator(const void *page, size_t page_size, unsigned index,
                                             struct bts_error *error)
{
    size_t offset = inner_offsets(page)[index];
    size_t size = offset;

    if (offset > INNER_HEAD_SIZE) {
        if (offset < page_upper(page) || offset + INNER_TAIL_HEADER_SIZE > page_size) {
            return err_set(error, BTS_DAMAGED, "separator %u: tail at %zu is not among the tails",
                           index, offset);
        }
        size = bytes_load_u16((const uint8_t *)page + offset);
        if (size <= INNER_HEAD_SIZE || offset + INNER_TAIL_HEADER_SIZE + size > page_size) {
            return err_set(error, BTS_DAMAGED, "separator %u: tail of %zu bytes at %zu", index,
                           size, offset);
        }
    }
    size += inner_prefix_size(page);
    if (size == 0 || size > page_key_max(page_size)) {
        return err_set(error, BTS_DAMAGED, "separator %u: %zu bytes long", index, size);
    }
    return BTS_OK;
}

enum bts_status inner_check(const void *page, size_t page_size, struct bts_error *error)
{
    enum bts_status status = inner_check_header(page, page_size, error);
    unsigned n = inner_count(page);

    for (unsigned i = 0; i < n && status == BTS_OK; i++) {
        status = inner_check_separator(page, page_size, i, error);
    }
    for (unsigned i = 0; i <= n && status == BTS_OK; i++) {
        if (inner_children(page)[i] == PGNO_NONE) {
            status = err_set(error, BTS_DAMAGED, "child %u is no page", i);
        }
    }
    return status;
}

/* ---- invariants ---------------------------------------------------------- */

/* Whether the tails lie apart, and what they leave over is what the header counts as dead. */
static enum bts_status inner_check_cover(const void *page, size_t page_size,
                                         struct cell_cover *cover, struct bts_error *error)
{
    const struct page_header *header = page;
    size_t dead;

    cell_cover_init(cover, page_size);
    for (unsigned i = 0; i < header->n; i++) {
        size_t offset = inner_offsets(page)[i];
        const uint8_t *tail = (const uint8_t *)page + offset;
        if (offset > INNER_HEAD_SIZE &&
            !cell_cover_add(cover, offset, INNER_TAIL_HEADER_SIZE + bytes_load_u16(tail))) {
            return err_set(error, BTS_DAMAGED, "separator %u: its tail overlaps another", i);
        }
    }
    dead = page_size - page_upper(page) - cover->total;
    if (dead != header->dead) {
        return err_set(error, BTS_DAMAGED, "inner page counts %u dead bytes, expected %zu",
                       header->dead, dead);
    }
    return BTS_OK;
}

enum bts_status inner_check_edit(const void *page, size_t page_size, struct bts_error *error)
{
    struct cell_cover cover;

    return inner_check_cover(page, page_size, &cover, error);
}

static enum bts_status inner_check_order(const void *page, struct bts_error *error)
{
    uint8_t key[2][PAGE_SIZE_MAX / 4];
    size_t size[2] = {0, 0};

    for (unsigned i = 0; i < inner_count(page); i++) {
        unsigned now = i % 2;
        unsigned before = 1 - now;
        size_t prefix_size = inner_prefix_size(page);
        size[now] = inner_separator(page, i, key[now]);
        if (bytes_compare(key[before], size[before], key[now], size[now]) >= 0) {
            return err_set(error, BTS_DAMAGED, "separator %u is not above the one before", i);
        }
        if (inner_heads(page)[i] != bytes_head_u32(key[now] + prefix_size,
                                                   size[now] - prefix_size)) {
            return err_set(error, BTS_DAMAGED, "separator %u: head %08x is not its first bytes", i,
                           inner_heads(page)[i]);
        }
    }
    return BTS_OK;
}

enum bts_status inner_check_deep(const void *page, size_t page_size, struct bts_error *error)
{
    size_t prefix_size = inner_prefix_size(page);
    struct cell_cover cover;
    size_t at;
    enum bts_status status = inner_check(page, page_size, error);

    status = status != BTS_OK ? status : inner_check_order(page, error);
    status = status != BTS_OK ? status : inner_check_cover(page, page_size, &cover, error);
    if (status != BTS_OK) {
        return status;
    }
    for (at = PAGE_HEADER_SIZE + prefix_size; at % 4 != 0; at++) {
        if (((const uint8_t *)page)[at] != 0) {
            return err_set(error, BTS_DAMAGED, "byte %zu after the prefix is not zero", at);
        }
    }
    at = inner_arrays_end(prefix_size, inner_count(page));
    if (!cell_cover_rest_is_zero(&cover, page, at, page_size, &at)) {
        return err_set(error, BTS_DAMAGED, "unused byte %zu is not zero", at);
    }
    return BTS_OK;
}
