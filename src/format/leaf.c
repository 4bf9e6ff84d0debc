/* SPDX-License-Identifier: MIT */
/*
 * leaf: what makes a leaf safe to read, and whole; see leaf.h for the bytes.
 *
 * leaf_check trusts nothing but the checksum, which an enemy can compute too.
 * It runs once per page and process, just before the page is searched for the
 * first time, and touches each cell's first four bytes only.
 *
 * Searching is inline in leaf.h, changing is in leaf_edit.c.
 */
#include "format/leaf.h"

#include "base/err.h"
#include "format/cell_cover.h"

size_t leaf_bytes(const void *page, unsigned first, unsigned count)
{
    size_t bytes = 0;

    for (unsigned i = first; i < first + count; i++) {
        bytes += leaf_cell_size(leaf_cell(page, i)) + 3;
    }
    return bytes;
}

/* ---- structure ----------------------------------------------------------- */

static enum bts_status leaf_check_header(const void *page, size_t page_size,
                                         struct bts_error *error)
{
    const struct page_header *header = page;
    size_t upper = page_upper(page);

    if (header->prefix != 0) {
        return err_set(error, BTS_VERSION, "leaf with prefix %u, written by a newer version",
                       header->prefix);
    }
    if (upper > page_size || leaf_arrays_end(header->n) > upper) {
        return err_set(error, BTS_DAMAGED, "leaf of %u entries has its cells at %zu", header->n,
                       upper);
    }
    if (header->dead > page_size - upper) {
        return err_set(error, BTS_DAMAGED, "leaf counts %u dead bytes among %zu", header->dead,
                       page_size - upper);
    }
    return BTS_OK;
}

/* A run pointer must name a page that can hold a run, and a length that a value can have. */
static bool leaf_run_valid(const uint8_t *pointer)
{
    return bytes_load_u32(pointer) != PGNO_NONE && bytes_load_u64(pointer + 4) <= VALUE_SIZE_MAX;
}

static enum bts_status leaf_check_cell(const void *page, size_t page_size, unsigned index,
                                       struct bts_error *error)
{
    size_t offset = leaf_offsets(page)[index];
    const uint8_t *cell = (const uint8_t *)page + offset;
    uint32_t klen;
    size_t size;

    if (offset < page_upper(page) || offset + LEAF_CELL_HEADER_SIZE > page_size) {
        return err_set(error, BTS_DAMAGED, "entry %u: cell at %zu is not among the cells", index,
                       offset);
    }
    klen = bytes_load_u16(cell);
    if ((klen & ~LEAF_KLEN_MASK) != 0) {
        return err_set(error, BTS_VERSION, "entry %u: flags %x, written by a newer version", index,
                       klen >> 14);
    }
    if (klen == 0 || klen > page_key_max(page_size)) {
        return err_set(error, BTS_DAMAGED, "entry %u: key of %u bytes", index, klen);
    }
    size = leaf_cell_size(cell);
    if (size > page_cell_max(page_size) || offset + size > page_size) {
        return err_set(error, BTS_DAMAGED, "entry %u: cell of %zu bytes at %zu does not fit", index,
                       size, offset);
    }
    if (bytes_load_u16(cell + 2) == LEAF_VLEN_RUN &&
        !leaf_run_valid(cell + LEAF_CELL_HEADER_SIZE + klen)) {
        return err_set(error, BTS_DAMAGED, "entry %u: impossible pointer to a run", index);
    }
    return BTS_OK;
}

enum bts_status leaf_check(const void *page, size_t page_size, struct bts_error *error)
{
    enum bts_status status = leaf_check_header(page, page_size, error);
    unsigned n = leaf_count(page);

    for (unsigned i = 0; i < n && status == BTS_OK; i++) {
        status = leaf_check_cell(page, page_size, i, error);
    }
    return status;
}

/* ---- invariants ---------------------------------------------------------- */

static enum bts_status leaf_check_keys(const void *page, struct bts_error *error)
{
    struct leaf_entry last = {0};

    for (unsigned i = 0; i < leaf_count(page); i++) {
        struct leaf_entry entry = leaf_entry_at(page, i);
        if (bytes_compare(last.key, last.key_size, entry.key, entry.key_size) >= 0) {
            return err_set(error, BTS_DAMAGED, "entry %u: key is not above the one before", i);
        }
        if (leaf_fingerprints(page)[i] != leaf_fingerprint(entry.key, entry.key_size)) {
            return err_set(error, BTS_DAMAGED, "entry %u: fingerprint %02x, expected %02x", i,
                           leaf_fingerprints(page)[i], leaf_fingerprint(entry.key, entry.key_size));
        }
        last = entry;
    }
    return BTS_OK;
}

/* Whether the cells lie apart, and what they leave over is what the header counts as dead. */
static enum bts_status leaf_check_cover(const void *page, size_t page_size,
                                        struct cell_cover *cover, struct bts_error *error)
{
    const struct page_header *header = page;
    size_t dead;

    cell_cover_init(cover, page_size);
    for (unsigned i = 0; i < header->n; i++) {
        size_t offset = leaf_offsets(page)[i];
        if (!cell_cover_add(cover, offset, leaf_cell_size(leaf_cell(page, i)))) {
            return err_set(error, BTS_DAMAGED, "entry %u: its cell overlaps another", i);
        }
    }
    dead = page_size - page_upper(page) - cover->total;
    if (dead != header->dead) {
        return err_set(error, BTS_DAMAGED, "leaf counts %u dead bytes, expected %zu",
                       header->dead, dead);
    }
    return BTS_OK;
}

enum bts_status leaf_check_edit(const void *page, size_t page_size, struct bts_error *error)
{
    struct cell_cover cover;

    return leaf_check_cover(page, page_size, &cover, error);
}

enum bts_status leaf_check_deep(const void *page, size_t page_size, struct bts_error *error)
{
    unsigned n = leaf_count(page);
    struct cell_cover cover;
    size_t at = PAGE_HEADER_SIZE + n;
    enum bts_status status = leaf_check(page, page_size, error);

    status = status != BTS_OK ? status : leaf_check_keys(page, error);
    status = status != BTS_OK ? status : leaf_check_cover(page, page_size, &cover, error);
    if (status != BTS_OK) {
        return status;
    }
    if (((n & 1) != 0 && ((const uint8_t *)page)[at] != 0) ||
        !cell_cover_rest_is_zero(&cover, page, leaf_arrays_end(n), page_size, &at)) {
        return err_set(error, BTS_DAMAGED, "unused byte %zu is not zero", at);
    }
    return BTS_OK;
}
