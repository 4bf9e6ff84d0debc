/* SPDX-License-Identifier: MIT */
/* store_check_twice: see store_check_twice.h. */
#include "client/store_check_twice.h"

#include "base/err.h"
#include "format/space_map.h"
#include "read/page_copy.h"

#include <poll.h>
#include <stdlib.h>

/* Writing a page takes the daemon some microseconds: this is a long time to go on doing it. */
#define STORE_CHECK_READS 20
#define STORE_CHECK_PAUSE_MS 5

/* What the page should be. */
struct twice_page {
    pgno_t pgno;
    bool is_meta;
    uint32_t group; /* of a space map .. */
    unsigned copy;  /* .. and which of the two */
};

static enum bts_status twice_verify(const struct tree_check *walk, const struct twice_page *page,
                                    const void *bytes, struct bts_error *why)
{
    size_t page_size = page_source_page_size(walk->source);
    struct meta meta;
    enum bts_status status;

    if (!page->is_meta)
        return space_map_check(bytes, page_size, page->group, page->copy, why);
    status = meta_decode(bytes, page_size, page->pgno, &meta, why);
    if (status == BTS_OK && meta.page_size != page_size)
        status = err_set(why, BTS_DAMAGED, "page size %u, expected %zu", meta.page_size,
                         page_size);
    return status;
}

/* Copies and verifies the page; while a daemon may be writing it, more than once. */
static enum bts_status twice_read(const struct tree_check *walk, const struct twice_page *page,
                                  bool served, void *bytes, struct bts_error *why)
{
    enum bts_status status = BTS_DAMAGED;

    for (int i = 0; status != BTS_OK && i < (served ? STORE_CHECK_READS : 1); i++) {
        if (i > 0)
            poll(NULL, 0, STORE_CHECK_PAUSE_MS);
        status = page_copy(walk->fd, page_source_page_size(walk->source), page->pgno, 1, bytes,
                           why);
        if (status == BTS_OK)
            status = twice_verify(walk, page, bytes, why);
    }
    return status;
}

static void twice_check(struct tree_check *walk, const struct twice_page *page, bool served,
                        void *bytes)
{
    struct bts_error why;

    if (page->pgno >= walk->page_count ||
        twice_read(walk, page, served, bytes, &why) == BTS_OK)
        return;
    if (page->is_meta) {
        walk->result.damaged++;
        tree_check_find(walk, "page %u (meta): %s", page->pgno, why.text);
    } else {
        tree_check_find_map(walk, page->group, page->copy, why.text);
    }
}

enum bts_status store_check_twice(struct tree_check *walk, bool maps, bool served,
                                  struct bts_error *error)
{
    size_t page_size = page_source_page_size(walk->source);
    uint32_t groups = maps ? space_map_group_count(walk->page_count, page_size) : 0;
    void *bytes = malloc(page_size);

    if (bytes == NULL)
        return err_set(error, BTS_NO_MEMORY, "check: no memory for a page");
    for (pgno_t pgno = 0; pgno < 2; pgno++)
        twice_check(walk, &(struct twice_page){.pgno = pgno, .is_meta = true}, served, bytes);
    for (uint32_t i = 0; i < 2 * groups; i++) {
        struct twice_page page = {.pgno = space_map_pgno(i / 2, i % 2, page_size),
                                  .group = i / 2,
                                  .copy = i % 2};
        twice_check(walk, &page, served, bytes);
    }
    free(bytes);
    return BTS_OK;
}
