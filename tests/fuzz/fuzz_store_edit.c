/* SPDX-License-Identifier: MIT */
/* fuzz_store_edit: see fuzz_store.h. */
#include "fuzz_store_edit.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/bucket_record.h"
#include "format/inner.h"
#include "format/leaf.h"
#include "format/pending_frame.h"
#include "fuzz.h"

#include <string.h>

#define EDIT_PAGES_MAX 256u

/* The image under edit. */
struct edit {
    struct store_image *image;
    const struct store_image *good;
    uint8_t *page;                  /* of the record at work, or block of the log */
    unsigned number;                /* of it */
    unsigned place;
    uint32_t value;
    bool touched[EDIT_PAGES_MAX];   /* pages to seal */
    bool unsealed[EDIT_PAGES_MAX];  /* pages not to */
    bool blocks[EDIT_PAGES_MAX];    /* blocks of the log to seal */
};

static unsigned edit_page_count(const struct edit *edit)
{
    size_t count = edit->good->file_size / STORE_PAGE_SIZE;

    return count < EDIT_PAGES_MAX ? (unsigned)count : EDIT_PAGES_MAX;
}

static unsigned edit_block_count(const struct edit *edit)
{
    size_t count = edit->good->log_size / PENDING_BLOCK;

    return count < EDIT_PAGES_MAX ? (unsigned)count : EDIT_PAGES_MAX;
}

/* ---- any bytes ------------------------------------------------------------------ */

static void edit_u8(struct edit *edit)
{
    edit->page[edit->place % STORE_PAGE_SIZE] = (uint8_t)edit->value;
}

static void edit_u16(struct edit *edit)
{
    bytes_store_u16(edit->page + edit->place % (STORE_PAGE_SIZE - 1), (uint16_t)edit->value);
}

static void edit_u32(struct edit *edit)
{
    bytes_store_u32(edit->page + edit->place % (STORE_PAGE_SIZE - 3), edit->value);
}

static void edit_flip(struct edit *edit)
{
    edit->page[edit->place % STORE_PAGE_SIZE] ^= (uint8_t)(1u << edit->value % 8);
}

/* Zeroes, or fills, from a place on. */
static void edit_fill(struct edit *edit)
{
    size_t from = edit->place % STORE_PAGE_SIZE;
    size_t count = edit->value >> 8;

    count = count < STORE_PAGE_SIZE - from ? count : STORE_PAGE_SIZE - from;
    memset(edit->page + from, (int)(edit->value & 255), count);
}

/* ---- pages ------------------------------------------------------------------------ */

static void edit_header(struct edit *edit)
{
    struct page_header *header = (struct page_header *)edit->page;

    switch (edit->place % 10) {
    case 0: header->type = (uint8_t)(edit->value % 8); break;
    case 1: header->level = (uint8_t)edit->value; break;
    case 2: header->flags = (uint16_t)edit->value; break;
    case 3: header->pgno = edit->value; break;
    case 4: header->bucket = edit->value; break;
    case 5: header->txnid = edit->value; break;
    case 6: header->n = (uint16_t)edit->value; break;
    case 7: header->prefix = (uint16_t)edit->value; break;
    case 8: header->upper = (uint16_t)edit->value; break;
    default: header->dead = (uint16_t)edit->value; break;
    }
}

/* A child, or an offset, of what is an inner page or a leaf in the good store. */
static void edit_child(struct edit *edit)
{
    struct page_header *header = (struct page_header *)edit->page;
    pgno_t *children = (pgno_t *)(uintptr_t)inner_children(edit->page);

    if (header->type == PAGE_INNER && (size_t)inner_arrays_end(header->prefix, header->n) <
                                          STORE_PAGE_SIZE) {
        children[edit->place % (header->n + 1u)] =
            edit->value > 65535 ? edit->value : edit->value % edit_page_count(edit);
    }
}

/* The array of offsets and how many it has; NULL: the page has none. */
static uint16_t *edit_offsets(struct edit *edit, unsigned *count)
{
    const struct page_header *header = (const struct page_header *)edit->page;

    *count = header->n;
    if (header->n == 0) {
        return NULL;
    }
    if (header->type == PAGE_LEAF && leaf_arrays_end(header->n) <= STORE_PAGE_SIZE) {
        return (uint16_t *)(uintptr_t)leaf_offsets(edit->page);
    }
    if (header->type == PAGE_INNER &&
        inner_arrays_end(header->prefix, header->n) <= STORE_PAGE_SIZE) {
        return (uint16_t *)(uintptr_t)inner_offsets(edit->page);
    }
    return NULL;
}

static void edit_offset(struct edit *edit)
{
    unsigned count;
    uint16_t *offsets = edit_offsets(edit, &count);

    if (offsets != NULL) {
        offsets[edit->place % count] = (uint16_t)edit->value;
    }
}

static void edit_swap_offsets(struct edit *edit)
{
    unsigned count;
    uint16_t *offsets = edit_offsets(edit, &count);

    if (offsets != NULL) {
        uint16_t one = offsets[edit->place % count];
        offsets[edit->place % count] = offsets[edit->value % count];
        offsets[edit->value % count] = one;
    }
}

/* A field of a leaf's cell: sizes, or the pointer to its run. */
static void edit_cell(struct edit *edit)
{
    const struct page_header *header = (const struct page_header *)edit->page;
    unsigned count;
    uint16_t *offsets = edit_offsets(edit, &count);
    size_t cell;
    size_t key_size;

    if (offsets == NULL || header->type != PAGE_LEAF) {
        return;
    }
    cell = offsets[edit->place % count];
    if (cell + 4 > STORE_PAGE_SIZE) {
        return;
    }
    key_size = bytes_load_u16(edit->page + cell) & LEAF_KLEN_MASK;
    if (edit->place / 256 % 4 < 2) {
        bytes_store_u16(edit->page + cell + 2 * (edit->place / 256 % 2), (uint16_t)edit->value);
    } else if (cell + 4 + key_size + 12 <= STORE_PAGE_SIZE) {
        size_t field = cell + 4 + key_size + (edit->place / 256 % 4 - 2) * 4;
        bytes_store_u32(edit->page + field, edit->value);
    }
}

/* A field of a bucket's record, in a leaf of the directory. */
static void edit_record(struct edit *edit)
{
    static const uint8_t fields[] = {0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 56};
    const struct page_header *header = (const struct page_header *)edit->page;
    unsigned count;
    uint16_t *offsets = edit_offsets(edit, &count);
    size_t cell;

    if (offsets == NULL || header->bucket != BUCKET_ID_DIRECTORY || header->type != PAGE_LEAF) {
        return;
    }
    cell = offsets[edit->place % count];
    if (cell + 4 <= STORE_PAGE_SIZE) {
        cell += 4 + (bytes_load_u16(edit->page + cell) & LEAF_KLEN_MASK);
        if (cell + BUCKET_RECORD_SIZE <= STORE_PAGE_SIZE) {
            bytes_store_u32(edit->page + cell + fields[edit->place / 256 % sizeof(fields)],
                            edit->value);
        }
    }
}

/* Another page's bytes, under this page's number. */
static void edit_copy(struct edit *edit)
{
    memcpy(edit->page,
           edit->good->file + (size_t)(edit->value % edit_page_count(edit)) * STORE_PAGE_SIZE,
           STORE_PAGE_SIZE);
    ((struct page_header *)edit->page)->pgno = edit->number;
}

static void edit_unseal(struct edit *edit)
{
    edit->unsealed[edit->number] = true;
}

/* ---- metas and maps ----------------------------------------------------------------- */

static void edit_meta(struct edit *edit)
{
    static const uint8_t fields[] = {16, 40, 44, 48, 64, 72, 76, 80, 84, 88, 92, 96, 104, 108,
                                     112, 116, 120, 32, 68, 20};
    unsigned field = fields[edit->place % sizeof(fields)];

    for (pgno_t pgno = 0; pgno < 2; pgno++) {
        if (edit->number % 4 != pgno) { /* one or both */
            bytes_store_u32(edit->image->file + pgno * STORE_PAGE_SIZE + field, edit->value);
            if (field == 64) {
                bytes_store_u32(edit->image->file + pgno * STORE_PAGE_SIZE + 16, edit->value);
            }
            edit->touched[pgno] = true;
        }
    }
}

static void edit_map_bit(struct edit *edit)
{
    unsigned bit = edit->place % (edit_page_count(edit) + 9);

    for (pgno_t pgno = 2; pgno < 4; pgno++) {
        if (edit->value % 3 != pgno - 2) { /* one or both */
            edit->image->file[pgno * STORE_PAGE_SIZE + PAGE_HEADER_SIZE + bit / 8] ^=
                (uint8_t)(1u << bit % 8);
            edit->touched[pgno] = true;
        }
    }
}

static void edit_cut(struct edit *edit)
{
    size_t size = (size_t)edit->number * STORE_PAGE_SIZE + edit->place % STORE_PAGE_SIZE;

    edit->image->file_size = size < edit->good->file_size ? size : edit->good->file_size;
}

/* ---- the log ------------------------------------------------------------------------- */

static void edit_log_u32(struct edit *edit)
{
    if (edit->page != NULL) {
        bytes_store_u32(edit->page + edit->place % (PENDING_BLOCK - 3), edit->value);
    }
}

static void edit_log_u8(struct edit *edit)
{
    if (edit->page != NULL) {
        edit->page[edit->place % PENDING_BLOCK] = (uint8_t)edit->value;
    }
}

/* The header of a segment or of a frame, whichever the block begins with. */
static void edit_log_header(struct edit *edit)
{
    if (edit->page != NULL) {
        bytes_store_u32(edit->page + edit->place % 15 * 4, edit->value);
    }
}

static void edit_log_copy(struct edit *edit)
{
    if (edit->page != NULL) {
        memcpy(edit->page,
               edit->good->log + (size_t)(edit->value % edit_block_count(edit)) * PENDING_BLOCK,
               PENDING_BLOCK);
    }
}

/* A block once more, where no block begins. */
static void edit_log_shift(struct edit *edit)
{
    if (edit->page != NULL && edit->number + 2 < edit_block_count(edit)) {
        memmove(edit->page + edit->place % PENDING_BLOCK,
                edit->good->log + (size_t)(edit->value % edit_block_count(edit)) * PENDING_BLOCK,
                PENDING_BLOCK);
    }
}

static void edit_log_cut(struct edit *edit)
{
    size_t size = (size_t)edit->number * PENDING_BLOCK + edit->place % 3;

    if (edit->page != NULL) {
        edit->image->log_size = size < edit->good->log_size ? size : edit->good->log_size;
    }
}

/* ---- all ------------------------------------------------------------------------------ */

static const struct edit_kind {
    void (*run)(struct edit *edit);
    bool of_log; /* `page` is a block of the log */
} edit_kinds[] = {
    {edit_u8, false},         {edit_u16, false},          {edit_u32, false},
    {edit_flip, false},       {edit_fill, false},         {edit_header, false},
    {edit_header, false},     {edit_child, false},        {edit_child, false},
    {edit_offset, false},     {edit_swap_offsets, false}, {edit_cell, false},
    {edit_cell, false},       {edit_record, false},       {edit_record, false},
    {edit_copy, false},       {edit_unseal, false},       {edit_meta, false},
    {edit_meta, false},       {edit_map_bit, false},      {edit_cut, false},
    {edit_log_u32, true},     {edit_log_u8, true},        {edit_log_header, true},
    {edit_log_header, true},  {edit_log_copy, true},      {edit_log_shift, true},
    {edit_log_cut, true},
};

static void edit_one(struct edit *edit, const uint8_t *record)
{
    const struct edit_kind *kind =
        &edit_kinds[record[0] % (sizeof(edit_kinds) / sizeof(edit_kinds[0]))];
    unsigned count = kind->of_log ? edit_block_count(edit) : edit_page_count(edit);

    edit->number = count > 0 ? record[1] % count : 0;
    edit->place = bytes_load_u16(record + 2);
    edit->value = bytes_load_u32(record + 4);
    edit->page = NULL;
    if (kind->of_log && count > 0) {
        edit->page = edit->image->log + (size_t)edit->number * PENDING_BLOCK;
        edit->blocks[edit->number] = true;
    } else if (!kind->of_log) {
        edit->page = edit->image->file + (size_t)edit->number * STORE_PAGE_SIZE;
        edit->touched[edit->number] = true;
    }
    kind->run(edit);
}

/* A page inside a run is sealed with the run. */
static void edit_seal_page(const struct edit *edit, unsigned pgno)
{
    for (unsigned first = 0; first <= pgno; first++) {
        struct page_header *header =
            (struct page_header *)(edit->image->file + (size_t)first * STORE_PAGE_SIZE);
        bool is_run = header->type == PAGE_RUN && header->pgno == first;
        uint64_t pages = is_run && header->run_length < UINT32_MAX
                             ? page_run_pages(header->run_length, STORE_PAGE_SIZE)
                             : 1;
        if (pages > edit_page_count(edit) - first) {
            pages = 1;
        }
        if (first + pages > pgno && (is_run || first == pgno)) {
            page_seal(header, pages * STORE_PAGE_SIZE);
            return;
        }
        first += (unsigned)pages - 1;
    }
}

/* The segment or the frame that begins at this block; and those before it that reach here. */
static void edit_seal_block(const struct edit *edit, unsigned block)
{
    size_t end = (size_t)edit_block_count(edit) * PENDING_BLOCK;

    for (unsigned first = block < 16 ? 0 : block - 16; first <= block; first++) {
        uint8_t *bytes = edit->image->log + (size_t)first * PENDING_BLOCK;
        size_t length = bytes_load_u32(bytes);
        if (memcmp(bytes, "btspend", 7) == 0) {
            bytes_store_u32(bytes + 56, crc32c(0, bytes, 56));
        } else if (length > 0 && length <= end - (size_t)first * PENDING_BLOCK - 40) {
            bytes_store_u32(bytes + 4, crc32c(0, bytes + 8, 32 + length));
        }
    }
}

void store_edit(struct store_image *image, const struct store_image *good, const uint8_t *data,
                size_t size)
{
    struct edit edit = {.image = image, .good = good};

    for (size_t i = 0; i + STORE_EDIT_SIZE <= size && i < STORE_EDIT_SIZE * STORE_EDITS_MAX;
         i += STORE_EDIT_SIZE) {
        edit_one(&edit, data + i);
    }
    for (unsigned pgno = 0; pgno < edit_page_count(&edit); pgno++) {
        if (edit.touched[pgno] && !edit.unsealed[pgno]) {
            edit_seal_page(&edit, pgno);
        }
    }
    for (unsigned block = 0; block < edit_block_count(&edit); block++) {
        if (edit.blocks[block]) {
            edit_seal_block(&edit, block);
        }
    }
}
