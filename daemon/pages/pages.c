/* SPDX-License-Identifier: MIT */
/*
 * pages: see pages.h.  The private pages of the group at work, by number, and
 * the log of what a savepoint may have to take back.
 *
 * The undo log, walked backwards:
 *   CREATED   a page became private after the savepoint: forget it
 *   CHANGED   a page that was private before was edited: put its bytes back
 *   FREED     a private page was freed: it is private again
 * Everything an operation needs (memory for the page, for the table, for the
 * undo log, for the release) is had before the first change.
 */
#include "pages/pages_private.h"

#include "base/crc32c.h"
#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const void *private_page(const void *context, pgno_t pgno)
{
    const struct pages *pages = context;
    const struct private_page *page = private_table_find(&pages->table, pgno);

    if (page != NULL)
        return page->data;
    if (pages->copies == NULL ||
        pgno >= atomic_load_explicit(&pages->file_pages, memory_order_relaxed))
        return NULL;
    return page_copies_get(pages->copies, pgno);
}

void pages_take_map(struct pages *pages)
{
    pages->source = pages->map->source;
    pages->source.page_count = &pages->file_pages;
    pages->source.private_page = private_page;
    pages->source.private_context = pages;
}

enum bts_status pages_create(const struct file *data, struct map *map, struct space *space,
                             struct pages **pages, struct bts_error *error)
{
    struct pages *made = calloc(1, sizeof *made);
    struct file_identity identity;
    enum bts_status status;

    *pages = NULL;
    if (made == NULL)
        return err_set(error, BTS_NO_MEMORY, "pages: out of memory");
    status = file_identify(data, &identity, error);
    /* Holes that a clean stop made have room again before anything is written there; without
     * space pages_reserve asks for it, if it comes to a write there. */
    if (status == BTS_OK) {
        status = file_reserve(data, 0, identity.size, error);
        made->has_holes = status == BTS_NO_SPACE;
        status = status == BTS_NO_SPACE ? BTS_OK : status;
    }
    if (status != BTS_OK) {
        free(made);
        return status;
    }
    made->data = data;
    made->map = map;
    made->space = space;
    made->page_size = page_source_page_size(&map->source);
    atomic_store_explicit(&made->file_pages, identity.size / made->page_size,
                          memory_order_relaxed);
    made->stamp = 1;
    page_buffers_init(&made->buffers, made->page_size);
    pages_take_map(made);
    *pages = made;
    return BTS_OK;
}

void pages_destroy(struct pages *pages)
{
    if (pages == NULL)
        return;
    page_buffers_fini(&pages->buffers);
    page_copies_destroy(pages->copies);
    free(pages->undo);
    free(pages->list);
    private_table_fini(&pages->table);
    free(pages);
}

const struct page_source *pages_source(const struct pages *pages)
{
    return &pages->source;
}

size_t pages_page_size(const struct pages *pages)
{
    return pages->page_size;
}

struct map *pages_map(const struct pages *pages)
{
    return pages->map;
}

txnid_t pages_txnid(const struct pages *pages)
{
    return pages->txnid;
}

size_t pages_private_count(const struct pages *pages)
{
    return pages->table.count;
}

size_t pages_private_bytes(const struct pages *pages)
{
    return pages->table.count * pages->page_size;
}

/* ---- visiting --------------------------------------------------------------------- */

void pages_visit_begin(struct pages *pages)
{
    assert(pages->copies == NULL);
    pages->copies = page_copies_create(pages->data, pages->page_size);
}

void pages_visit_next(struct pages *pages)
{
    if (pages->copies != NULL && pages->copies->count > PAGE_COPIES_MAX / 4)
        page_copies_forget(pages->copies);
}

void pages_visit_end(struct pages *pages)
{
    page_copies_destroy(pages->copies);
    pages->copies = NULL;
}

/* ---- room for changes ------------------------------------------------------------- */

static enum bts_status reserve_undo(struct pages *pages, struct bts_error *error)
{
    size_t room = pages->undo_room > 0 ? pages->undo_room * 2 : 256;
    struct undo *grown;

    if (!pages->saving || pages->undo_count < pages->undo_room)
        return BTS_OK;
    grown = realloc(pages->undo, room * sizeof *grown);
    if (grown == NULL)
        return err_set(error, BTS_NO_MEMORY, "pages: out of memory for %zu undo entries", room);
    pages->undo = grown;
    pages->undo_room = room;
    return BTS_OK;
}

/* Everything that making one page private, or changing one, can need. */
static enum bts_status reserve_page(struct pages *pages, struct bts_error *error)
{
    enum bts_status status = page_buffers_reserve(&pages->buffers, error);

    if (status == BTS_OK)
        status = reserve_undo(pages, error);
    if (status == BTS_OK)
        status = private_table_reserve(&pages->table, error);
    if (status == BTS_OK)
        status = space_reserve(pages->space, 1, error);
    return status;
}

static void note_undo(struct pages *pages, enum undo_type type, pgno_t pgno, uint8_t *data,
                      uint64_t stamp)
{
    if (pages->saving)
        pages->undo[pages->undo_count++] =
            (struct undo){type, {.pgno = pgno, .stamp = stamp, .data = data}};
}

/* ---- the life of a group ---------------------------------------------------------- */

void pages_group_begin(struct pages *pages, txnid_t txnid)
{
    assert(pages->table.count == 0 && !pages->saving);
    if (pages->first_txnid == 0)
        pages->first_txnid = txnid;
    pages->txnid = txnid;
    space_group_begin(pages->space, txnid);
}

void pages_drop_private(struct pages *pages)
{
    for (size_t i = 0; i < pages->table.room; i++) {
        if (pages->table.slots[i].data != NULL)
            page_buffers_give(&pages->buffers, pages->table.slots[i].data);
    }
    private_table_clear(&pages->table);
}

void pages_group_abort(struct pages *pages)
{
    if (pages->saving)
        pages_undo(pages);
    pages_drop_private(pages);
    space_group_abort(pages->space);
}

void pages_savepoint(struct pages *pages)
{
    assert(!pages->saving);
    pages->saving = true;
    pages->stamp++;
    pages->undo_count = 0;
    pages->saved = space_savepoint(pages->space);
}

void pages_keep(struct pages *pages)
{
    assert(pages->saving);
    for (size_t i = 0; i < pages->undo_count; i++) {
        if (pages->undo[i].type != UNDO_CREATED)
            page_buffers_give(&pages->buffers, pages->undo[i].page.data);
    }
    pages->undo_count = 0;
    pages->saving = false;
}

void pages_undo(struct pages *pages)
{
    assert(pages->saving);
    while (pages->undo_count > 0) {
        struct undo *entry = &pages->undo[--pages->undo_count];
        struct private_page *page;

        switch (entry->type) {
        case UNDO_CREATED:
            page_buffers_give(&pages->buffers,
                              private_table_remove(&pages->table, entry->page.pgno));
            break;
        case UNDO_CHANGED:
            page = private_table_find(&pages->table, entry->page.pgno);
            memcpy(page->data, entry->page.data, pages->page_size);
            page->stamp = entry->page.stamp;
            page_buffers_give(&pages->buffers, entry->page.data);
            break;
        case UNDO_FREED: /* there is room: the table was this full before */
            private_table_insert(&pages->table, &entry->page);
            break;
        }
    }
    space_undo(pages->space, &pages->saved);
    pages->saving = false;
}

/* ---- single pages ----------------------------------------------------------------- */

static struct page_header *add_private(struct pages *pages, pgno_t pgno)
{
    struct private_page page = {
        .pgno = pgno, .stamp = pages->stamp, .data = page_buffers_take(&pages->buffers)};

    private_table_insert(&pages->table, &page);
    note_undo(pages, UNDO_CREATED, pgno, NULL, 0);
    return (struct page_header *)page.data;
}

enum bts_status pages_new(struct pages *pages, enum page_type type, unsigned level,
                          uint32_t bucket, struct page_header **page, struct bts_error *error)
{
    enum bts_status status = reserve_page(pages, error);
    pgno_t pgno;

    *page = NULL;
    if (status == BTS_OK)
        status = space_claim(pages->space, 0, &pgno, error);
    if (status != BTS_OK)
        return status;
    *page = add_private(pages, pgno);
    page_init(*page, pages->page_size, type, level, pgno, bucket, pages->txnid);
    return BTS_OK;
}

/* A private page is changed in place; the savepoint gets its bytes first, once. */
static enum bts_status edit_private(struct pages *pages, struct private_page *page,
                                    struct bts_error *error)
{
    enum bts_status status;
    uint8_t *copy;

    if (!pages->saving || page->stamp == pages->stamp)
        return BTS_OK;
    status = page_buffers_reserve(&pages->buffers, error);
    if (status == BTS_OK)
        status = reserve_undo(pages, error);
    if (status != BTS_OK)
        return status;
    copy = page_buffers_take(&pages->buffers);
    memcpy(copy, page->data, pages->page_size);
    note_undo(pages, UNDO_CHANGED, page->pgno, copy, page->stamp);
    page->stamp = pages->stamp;
    return BTS_OK;
}

/*
 * A page that may be changed.  One that an earlier process wrote is checked for
 * what only matters to whoever changes it: cells that overlap would let an edit
 * leave the page.
 */
static const struct page_header *page_to_edit(const struct pages *pages, pgno_t pgno,
                                              unsigned level, struct bts_error *error)
{
    const struct page_header *page =
        page_source_get(&pages->source, pgno, level, pages->txnid, error);
    struct bts_error fault;

    bool own = page != NULL && page->txnid >= pages->first_txnid;

    if (page == NULL || space_check_release(pages->space, pgno, 1, own, error) != BTS_OK)
        return NULL;
    if (own)
        return page;
    if (page_check_edit(page, pages->page_size, &fault) == BTS_OK)
        return page;
    err_set(error, BTS_DAMAGED, "page %u: %s; run btstore check", pgno, fault.text);
    return NULL;
}

enum bts_status pages_edit(struct pages *pages, pgno_t pgno, unsigned level,
                           struct page_header **page, struct bts_error *error)
{
    struct private_page *found = private_table_find(&pages->table, pgno);
    const struct page_header *old;
    enum bts_status status;
    pgno_t fresh = pgno;

    *page = NULL;
    if (found != NULL) {
        if (((const struct page_header *)found->data)->level != level)
            return err_set(error, BTS_DAMAGED, "page %u: not of level %u", pgno, level);
        status = edit_private(pages, found, error);
        if (status == BTS_OK)
            *page = (struct page_header *)found->data;
        return status;
    }
    old = page_to_edit(pages, pgno, level, error);
    if (old == NULL)
        return BTS_DAMAGED;
    status = reserve_page(pages, error);
    /* A page of this very group that pages_write has put into the file keeps its number:
     * nobody can see it before the group is published. */
    if (status == BTS_OK && old->txnid != pages->txnid) {
        status = space_claim(pages->space, old->txnid, &fresh, error);
        if (status == BTS_OK)
            space_release(pages->space, pgno, 1, old->txnid);
    }
    if (status != BTS_OK)
        return status;
    *page = add_private(pages, fresh);
    memcpy(*page, old, pages->page_size);
    (*page)->pgno = fresh;
    (*page)->txnid = pages->txnid;
    return BTS_OK;
}

enum bts_status pages_free(struct pages *pages, pgno_t pgno, txnid_t born,
                           struct bts_error *error)
{
    const struct private_page *found = private_table_find(&pages->table, pgno);
    enum bts_status status = space_check_release(pages->space, pgno, 1,
                                                 born >= pages->first_txnid, error);

    if (status == BTS_OK)
        status = space_reserve(pages->space, 1, error);
    if (status == BTS_OK && found != NULL)
        status = reserve_undo(pages, error);
    if (status != BTS_OK)
        return status;
    if (found != NULL) {
        uint64_t stamp = found->stamp;
        uint8_t *data = private_table_remove(&pages->table, pgno);

        if (pages->saving)
            note_undo(pages, UNDO_FREED, pgno, data, stamp);
        else
            page_buffers_give(&pages->buffers, data);
    }
    space_release(pages->space, pgno, 1, born);
    return BTS_OK;
}

/* ---- runs ------------------------------------------------------------------------- */

static enum bts_status write_run(struct pages *pages, pgno_t first, pgno_t count, uint32_t bucket,
                                 const void *value, uint64_t length, struct bts_error *error)
{
    static const uint8_t zeros[PAGE_SIZE_MAX];
    struct page_header header;
    size_t padding = (size_t)(count * (uint64_t)pages->page_size - PAGE_HEADER_SIZE - length);
    struct iovec parts[3] = {
        {&header, PAGE_HEADER_SIZE},
        {(void *)(uintptr_t)value, (size_t)length},
        {(void *)(uintptr_t)zeros, padding},
    };

    page_init(&header, PAGE_HEADER_SIZE, PAGE_RUN, 0, first, bucket, pages->txnid);
    header.run_length = length;
    header.crc = crc32c(0, (const uint8_t *)&header + 4, PAGE_HEADER_SIZE - 4);
    header.crc = crc32c(header.crc, value, (size_t)length);
    header.crc = crc32c(header.crc, zeros, padding);
    return file_write_parts(pages->data, parts, padding > 0 ? 3 : 2,
                            first * (uint64_t)pages->page_size, error);
}

enum bts_status pages_new_run(struct pages *pages, uint32_t bucket, const void *value,
                              uint64_t length, pgno_t *first, struct bts_error *error)
{
    pgno_t count = (pgno_t)page_run_pages(length, pages->page_size);
    enum bts_status status = space_claim_run(pages->space, count, first, error);

    if (status == BTS_OK)
        status = pages_ensure_file(pages, *first + count, error);
    if (status == BTS_OK)
        status = write_run(pages, *first, count, bucket, value, length, error);
    if (status != BTS_OK)
        *first = PGNO_NONE;
    return status;
}

enum bts_status pages_free_run(struct pages *pages, pgno_t first, uint64_t length,
                               struct bts_error *error)
{
    pgno_t count = (pgno_t)page_run_pages(length, pages->page_size);
    const struct page_header *header;
    enum bts_status status;

    if (page_source_run(&pages->source, first, length, pages->txnid, error) == NULL)
        return BTS_DAMAGED;
    header = (const struct page_header *)(pages->source.base +
                                          ((size_t)first << pages->source.page_shift));
    status = space_check_release(pages->space, first, count, header->txnid >= pages->first_txnid,
                                 error);
    if (status == BTS_OK)
        status = space_reserve(pages->space, 1, error);
    if (status == BTS_OK)
        space_release(pages->space, first, count, header->txnid);
    return status;
}
