/* SPDX-License-Identifier: MIT */
/* flip_places: see flip_places.h. */
#include "flip_places.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/pending_frame.h"
#include "format/space_map.h"
#include "read/tree_check.h"

#define PUNCH_MIN (1u << 20) /* bytes of free pages in a row that are worth giving back */

/* ---- maps ------------------------------------------------------------------- */

static uint8_t *flip_map_file(const char *path, uint64_t *size)
{
    struct stat stat;
    void *map = NULL;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    *size = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &stat) == 0 && stat.st_size > 0) {
        map = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        *size = (uint64_t)stat.st_size;
    }
    close(fd);
    if (map == MAP_FAILED)
        flip_die("%s: cannot map it", path);
    return map;
}

void flip_unmap(struct flip_store *store)
{
    if (store->file != NULL)
        munmap(store->file, store->file_size);
    if (store->log != NULL)
        munmap(store->log, store->log_size);
    free(store->places);
    store->file = store->log = NULL;
    store->places = NULL;
}

/* ---- places ----------------------------------------------------------------- */

static void flip_place_add(struct flip_store *store, enum flip_type type, uint64_t offset,
                           uint64_t size, pgno_t pgno, unsigned version)
{
    if (store->place_count % 256 == 0) {
        store->places =
            realloc(store->places, (store->place_count + 256) * sizeof(*store->places));
        if (store->places == NULL)
            flip_die("out of memory");
    }
    store->places[store->place_count++] = (struct flip_place){type, offset, size, pgno, version};
}

static int flip_compare_places(const void *a, const void *b)
{
    const struct flip_place *x = a;
    const struct flip_place *y = b;

    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void flip_sort_places(struct flip_store *store)
{
    size_t at = 0;

    qsort(store->places, store->place_count, sizeof(*store->places), flip_compare_places);
    for (unsigned type = 0; type <= FLIP_TYPES; type++) {
        while (at < store->place_count && store->places[at].type < type)
            at++;
        store->type_first[type] = at;
    }
}

/* ---- the file --------------------------------------------------------------- */

static enum flip_type flip_page_type(const struct page_header *page)
{
    bool directory = page->bucket == BUCKET_ID_DIRECTORY;

    switch (page->type) {
    case PAGE_LEAF:
        return directory ? FLIP_DIRECTORY : FLIP_LEAF;
    case PAGE_INNER:
        return directory ? FLIP_DIRECTORY_INNER : FLIP_INNER;
    case PAGE_RUN:
        return FLIP_RUN;
    case PAGE_META:
        return FLIP_META;
    case PAGE_MAP:
        return FLIP_MAP;
    default:
        flip_die("page %u: reached, and of type %u", page->pgno, page->type);
    }
}

/* Gives long stretches of free pages back to the system: they are not live. */
static void flip_punch(const struct flip_store *store, pgno_t first, pgno_t end)
{
    off_t size = (off_t)(end - first) * (off_t)store->shape.page_size;
    int fd;

    if (size < (off_t)PUNCH_MIN)
        return;
    fd = open(store->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                            (off_t)first * (off_t)store->shape.page_size, size) != 0)
        printf("# %s: free pages stay where they are\n", store->shape.name);
    if (fd >= 0)
        close(fd);
}

/* Every page that the walk has reached, and of each run all pages at once. */
static void flip_add_pages(struct flip_store *store, const struct tree_check *check)
{
    size_t page_size = store->shape.page_size;
    pgno_t free_from = 0;

    for (pgno_t p = 0; p < check->page_count;) {
        const struct page_header *page = (const void *)(store->file + p * page_size);
        uint64_t count = 1;

        if ((check->reached[p / 8] >> p % 8 & 1) == 0) {
            p++;
            continue;
        }
        if (page->type == PAGE_RUN)
            count = page_run_pages(page->run_length, page_size);
        flip_place_add(store, flip_page_type(page), (uint64_t)p * page_size, count * page_size, p,
                       0);
        flip_punch(store, free_from, p);
        p += (pgno_t)count;
        free_from = p;
    }
    flip_punch(store, free_from, check->page_count);
}

static void flip_map_out_file(struct flip_store *store)
{
    _Atomic uint64_t page_count;
    struct page_source source = {.base = store->file, .page_count = &page_count};
    struct tree_check check;
    struct bts_error error;
    pgno_t pgno;

    if (meta_choose(store->file, store->file_size, &store->meta, &pgno, &error) != BTS_OK)
        flip_die("%s: %s", store->path, error.text);
    atomic_init(&page_count, store->meta.page_count);
    source.page_shift = (unsigned)__builtin_ctzl(store->meta.page_size);
    source.page_limit = store->meta.page_count;
    source.verified = calloc(source.page_limit, sizeof(*source.verified));
    source.known = calloc(page_source_known_words(source.page_limit), sizeof(*source.known));
    if (source.verified == NULL || source.known == NULL)
        flip_die("out of memory");
    if (tree_check_init(&check, &source, store->meta.txnid, store->meta.page_count, NULL, NULL,
                        &error) != BTS_OK ||
        tree_check_walk(&check, store->meta.root, store->meta.depth, store->meta.bucket_count,
                        &error) != BTS_OK ||
        tree_check_maps(&check, &error) != BTS_OK)
        flip_die("%s: not sound to begin with: %s", store->shape.name, error.text);
    flip_add_pages(store, &check);
    tree_check_fini(&check);
    free(source.verified);
    free(source.known);
}

/* ---- the log ---------------------------------------------------------------- */

/* One segment from `offset` in the file on; its frames begin at `from` in it. */
static void flip_add_segment(struct flip_store *store, uint64_t offset, uint64_t from,
                             uint64_t segment_size)
{
    struct pending_frame frame;

    flip_place_add(store, FLIP_LOG_REST, offset + 60, from - 60, 0, 0);
    while (from < segment_size &&
           pending_frame_decode(store->log + offset + from, segment_size - from,
                                store->meta.log_epoch, &frame) == PENDING_FRAME_OK &&
           frame.txnid > store->meta.txnid) {
        unsigned before = (unsigned)(frame.txnid - store->meta.txnid - 1);
        uint64_t size = PENDING_FRAME_HEADER_SIZE + frame.body_size;
        uint64_t next = from + pending_frame_size(frame.body_size);

        flip_place_add(store,
                       before + 1 < store->shape.log_commits ? FLIP_LOG_DURABLE : FLIP_LOG_LAST,
                       offset + from, size, 0, before);
        if (next > from + size)
            flip_place_add(store, FLIP_LOG_REST, offset + from + size, next - from - size, 0, 0);
        from = next;
    }
    if (from < segment_size)
        flip_place_add(store, FLIP_LOG_REST, offset + from, segment_size - from, 0, 0);
}

static void flip_map_out_log(struct flip_store *store)
{
    struct pending_segment segment;
    uint64_t position = store->meta.log_position;

    for (uint64_t offset = 0; offset < store->log_size;) {
        uint64_t size = store->log_size - offset;
        uint64_t first = position > 0 ? position - 1 : 0;
        uint64_t from = PENDING_BLOCK;

        if (pending_segment_decode(store->log + offset, &segment, NULL) == BTS_OK)
            size = segment.segment_size;
        if (segment.segment_size == 0 || segment.epoch != store->meta.log_epoch ||
            segment.sequence < first / size) {
            size = size < PENDING_SEGMENT_SIZE_MIN ? size : PENDING_SEGMENT_SIZE_MIN;
            flip_place_add(store, FLIP_LOG_REST, offset, size, 0, 0);
            offset += size;
            continue;
        }
        if (segment.sequence == first / size)
            from = position - segment.sequence * size;
        from = from < PENDING_BLOCK ? PENDING_BLOCK : from;
        flip_place_add(store, FLIP_LOG_HEADER, offset, 60, 0,
                       segment.first_txnid > store->meta.txnid
                           ? (unsigned)(segment.first_txnid - store->meta.txnid - 1)
                           : 0);
        flip_add_segment(store, offset, from, size);
        offset += size;
    }
}

void flip_map_out(struct flip_store *store)
{
    store->file = flip_map_file(store->path, &store->file_size);
    if (store->file == NULL)
        flip_die("%s: is not there", store->path);
    flip_map_out_file(store);
    store->log = flip_map_file(store->log_path, &store->log_size);
    if ((store->log != NULL) != (store->shape.log_commits > 0))
        flip_die("%s: a log where none should be, or none", store->path);
    if (store->log != NULL)
        flip_map_out_log(store);
    flip_sort_places(store);
    if (store->log != NULL && flip_store_place_count(store, FLIP_LOG_LAST) != 1)
        flip_die("%s: the log does not end with the last commit", store->path);
}
