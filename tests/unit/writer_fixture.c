/* SPDX-License-Identifier: MIT */
/* writer_fixture: see writer_fixture.h. */
#include "writer_fixture.h"

#include "format/space_map.h"
#include "read/tree_check.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Metas and the first map pages: what a store has before any tree. */
#define WRITER_FIXED_PAGES 4u

static void writer_must(enum bts_status status, const struct bts_error *error)
{
    if (status != BTS_OK) {
        fprintf(stderr, "writer: %s: %s\n", bts_status_name(status), error->text);
        abort();
    }
}

uint64_t writer_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1du;
}

static void writer_open_file(struct writer *writer, size_t page_size)
{
    const char *directory = getenv("TMPDIR");
    struct bts_error error;
    int fd;

    snprintf(writer->path, sizeof(writer->path), "%s/writer-XXXXXX",
             directory != NULL ? directory : "/dev/shm");
    fd = mkstemp(writer->path);
    if (fd < 0) {
        perror(writer->path);
        abort();
    }
    close(fd);
    file_init(&writer->file);
    writer_must(file_open(&writer->file, &file_system_real, writer->path, O_RDWR | O_CLOEXEC, 0,
                          &error), &error);
    writer_must(file_grow(&writer->file, 0, WRITER_FIXED_PAGES * page_size, &error), &error);
    fd = open(writer->path, O_RDONLY | O_CLOEXEC);
    writer_must(map_open(fd, page_size, 1ull << 32, &writer->beacon.page_count, &writer->map,
                         &error), &error);
    fd = open(writer->path, O_RDONLY | O_CLOEXEC);
    writer_must(map_open(fd, page_size, 1ull << 32, &writer->beacon.page_count, &writer->reader_map,
                         &error), &error);
    unlink(writer->path); /* nothing is left behind, however the test ends */
}

void writer_open(struct writer *writer, size_t page_size)
{
    struct bts_error error;

    memset(writer, 0, sizeof(*writer));
    atomic_store(&writer->beacon.page_count, WRITER_FIXED_PAGES);
    writer_open_file(writer, page_size);
    writer_must(space_create(page_size, &writer->space, &error), &error);
    writer_must(space_load(writer->space, WRITER_FIXED_PAGES, 0, &error), &error);
    writer_must(horizon_init(&writer->horizon, &error), &error);
    writer_must(pages_create(&writer->file, writer->map, writer->space, &writer->pages, &error),
                &error);
    writer_must(buckets_create(writer->pages, &writer->buckets, &error), &error);
    writer_begin(writer);
    writer_must(buckets_create_default(writer->buckets, &error), &error);
    writer_commit(writer);
}

void writer_close(struct writer *writer)
{
    struct map *map = pages_map(writer->pages);

    buckets_destroy(writer->buckets);
    pages_destroy(writer->pages);
    horizon_fini(&writer->horizon);
    space_destroy(writer->space);
    map_close(map);
    map_close(writer->reader_map);
    file_close(&writer->file);
}

void writer_begin(struct writer *writer)
{
    pages_group_begin(writer->pages, ++writer->txnid);
}

static enum bts_status writer_ignore_map(void *context, uint32_t group, const uint8_t *bits,
                                         struct bts_error *error)
{
    (void)context;
    (void)group;
    (void)bits;
    (void)error;
    return BTS_OK;
}

static void writer_checkpoint(struct writer *writer)
{
    struct bts_error error;
    pgno_t page_count;

    writer->checkpoint_age++;
    if (writer->checkpoint_runs && writer->checkpoint_age == WRITER_CHECKPOINT_TAKES) {
        space_checkpoint_done(writer->space);
        writer->checkpoint_runs = false;
    }
    if (!writer->checkpoint_runs && writer->checkpoint_age >= WRITER_CHECKPOINT_EACH) {
        writer_must(space_checkpoint_begin(writer->space, writer->txnid, &page_count,
                                           writer_ignore_map, NULL, &error), &error);
        writer->checkpoint_runs = true;
        writer->checkpoint_age = 0;
    }
}

void writer_commit(struct writer *writer)
{
    struct bts_error error;

    writer_must(buckets_flush(writer->buckets, &error), &error);
    writer_must(pages_write(writer->pages, &error), &error);
    space_group_end(writer->space);
    writer->root = buckets_root(writer->buckets);
    writer->map = pages_map(writer->pages);
    atomic_store(&writer->beacon.page_count, space_page_count(writer->space));
    atomic_store(&writer->beacon.latest, writer->txnid);
    space_published(writer->space, writer->txnid);
    writer_checkpoint(writer);
    writer_must(horizon_scan(&writer->horizon, &writer->beacon, &error), &error);
    space_reclaim(writer->space, &writer->horizon);
}

void writer_abort(struct writer *writer)
{
    pages_group_abort(writer->pages);
    buckets_set_root(writer->buckets, &writer->root);
}

struct tree_view writer_view(const struct writer *writer)
{
    return (struct tree_view){.source = &writer->reader_map->source,
                              .root = writer->root.root,
                              .depth = writer->root.depth,
                              .txnid = (txnid_t)atomic_load(&writer->beacon.latest)};
}

/* ---- checking -------------------------------------------------------------- */

static void writer_print(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "check: %s\n", text);
}

/* The pages that the check reached are those that are live. */
static void writer_check_live(const struct writer *writer, const struct tree_check *check)
{
    size_t page_size = pages_page_size(writer->pages);

    for (pgno_t p = 0; p < check->page_count; p++) {
        bool reached = (check->reached[p / 8] >> (p % 8) & 1) != 0;
        if (!space_map_is_fixed(p, page_size) && reached != space_is_live(writer->space, p)) {
            fprintf(stderr, "page %u is %s, but %s\n", p, reached ? "reached" : "not reached",
                    space_is_live(writer->space, p) ? "live" : "not live");
            abort();
        }
    }
}

void writer_check(struct writer *writer)
{
    struct tree_view view = writer_view(writer);
    struct tree_check check;
    struct bts_error error;

    space_check(writer->space);
    buckets_check(writer->buckets);
    writer_must(tree_check_init(&check, view.source, view.txnid,
                                (pgno_t)atomic_load(&writer->beacon.page_count), writer_print,
                                NULL, &error), &error);
    writer_must(tree_check_walk(&check, view.root, view.depth, writer->root.bucket_count, &error),
                &error);
    if (tree_check_failed(&check)) {
        fprintf(stderr, "writer: transaction %llu does not check\n",
                (unsigned long long)view.txnid);
        abort();
    }
    writer_check_live(writer, &check);
    tree_check_fini(&check);
}
