/* SPDX-License-Identifier: MIT */
/*
 * checkpoint: see checkpoint.h.
 */
#include "commit/checkpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/err.h"
#include "format/space_map.h"

/* Pages go to the disk in pieces of this size, so that no log sync waits long behind them. */
#define CHECKPOINT_PIECE_SIZE (1u << 20)
/* A piece that took less was clean: no pause after it. */
#define CHECKPOINT_PAUSE_MIN_NS 50000
#define CHECKPOINT_PAUSE_MAX_NS 100000000

enum bts_status checkpoint_init(struct checkpoint *checkpoint, const struct file *data,
                                const struct meta *meta, pgno_t meta_pgno,
                                struct bts_error *error)
{
    memset(checkpoint, 0, sizeof(*checkpoint));
    checkpoint->data = data;
    checkpoint->meta = *meta;
    checkpoint->meta_pgno = meta_pgno;
    checkpoint->page = malloc(meta->page_size);
    if (checkpoint->page == NULL)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", data->path);
    return BTS_OK;
}

static void checkpoint_drop_maps(struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->map_count; i++)
        free(checkpoint->maps[i].bits);
    checkpoint->map_count = 0;
}

void checkpoint_fini(struct checkpoint *checkpoint)
{
    checkpoint_drop_maps(checkpoint);
    free(checkpoint->maps);
    free(checkpoint->copies);
    free(checkpoint->page);
}

/* ---- which copy --------------------------------------------------------- */

static enum bts_status checkpoint_reserve_copies(struct checkpoint *checkpoint, uint32_t count,
                                                 struct bts_error *error)
{
    uint32_t room = count + count / 2 + 16;
    uint8_t *copies;

    if (count <= checkpoint->copy_room)
        return BTS_OK;
    copies = realloc(checkpoint->copies, room);
    if (copies == NULL)
        return err_set(error, BTS_NO_MEMORY, "checkpoint: out of memory for %u groups", room);
    memset(copies + checkpoint->copy_room, CHECKPOINT_COPY_NONE, room - checkpoint->copy_room);
    checkpoint->copies = copies;
    checkpoint->copy_room = room;
    return BTS_OK;
}

enum bts_status checkpoint_set_copy(struct checkpoint *checkpoint, uint32_t group, unsigned copy,
                                    struct bts_error *error)
{
    enum bts_status status = checkpoint_reserve_copies(checkpoint, group + 1, error);

    if (status != BTS_OK)
        return status;
    checkpoint->copies[group] = (uint8_t)copy;
    return BTS_OK;
}

/* ---- prepare ------------------------------------------------------------ */

static enum bts_status checkpoint_add_map(void *context, uint32_t group, const uint8_t *bits,
                                          struct bts_error *error)
{
    struct checkpoint *checkpoint = context;
    size_t size = checkpoint->next.page_size - PAGE_HEADER_SIZE;
    struct checkpoint_map *map;
    enum bts_status status = checkpoint_reserve_copies(checkpoint, group + 1, error);

    if (status == BTS_OK && checkpoint->map_count == checkpoint->map_room) {
        size_t room = checkpoint->map_room * 2 + 16;
        struct checkpoint_map *maps = realloc(checkpoint->maps, room * sizeof(*maps));
        if (maps == NULL)
            return err_set(error, BTS_NO_MEMORY, "checkpoint: out of memory for %zu maps", room);
        checkpoint->maps = maps;
        checkpoint->map_room = room;
    }
    if (status != BTS_OK)
        return status;
    map = &checkpoint->maps[checkpoint->map_count];
    map->group = group;
    map->copy = checkpoint->copies[group] == 0 ? 1 : 0;
    map->bits = malloc(size);
    if (map->bits == NULL)
        return err_set(error, BTS_NO_MEMORY, "checkpoint: out of memory for the map of group %u",
                       group);
    memcpy(map->bits, bits, size);
    checkpoint->map_count++;
    return BTS_OK;
}

enum bts_status checkpoint_prepare(struct checkpoint *checkpoint, struct space *space,
                                   const struct meta *next, struct bts_error *error)
{
    enum bts_status status;

    checkpoint_prepare_metas(checkpoint, next);
    status = space_checkpoint_begin(space, next->txnid, &checkpoint->next.page_count,
                                    checkpoint_add_map, checkpoint, error);
    if (status != BTS_OK)
        checkpoint_drop_maps(checkpoint);
    return status;
}

void checkpoint_prepare_metas(struct checkpoint *checkpoint, const struct meta *next)
{
    assert(checkpoint->map_count == 0);
    checkpoint->next = *next;
    checkpoint->paced = false;
    /* relaxed: the worker's mutex orders it before the job */
    atomic_store_explicit(&checkpoint->hurry, false, memory_order_relaxed);
    atomic_store_explicit(&checkpoint->progress, 0, memory_order_relaxed);
}

/* ---- the job ------------------------------------------------------------ */

/* Into the copies chosen for them, or (`other`) into those beside them. */
static enum bts_status checkpoint_write_maps(const struct checkpoint *checkpoint, bool other,
                                             struct bts_error *error)
{
    void *page = checkpoint->page;
    size_t page_size = checkpoint->next.page_size;
    enum bts_status status = BTS_OK;

    for (size_t i = 0; status == BTS_OK && i < checkpoint->map_count; i++) {
        const struct checkpoint_map *map = &checkpoint->maps[i];
        unsigned copy = other ? 1 - map->copy : map->copy;
        uint64_t pgno = space_map_pgno(map->group, copy, page_size);
        space_map_encode(page, page_size, map->group, copy, checkpoint->next.txnid, map->bits);
        status = file_write(checkpoint->data, page, page_size, pgno * page_size, error);
    }
    return status;
}

static int64_t checkpoint_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool checkpoint_in_hurry(const struct checkpoint *checkpoint)
{
    /* relaxed: a hint, nothing else depends on it */
    return !checkpoint->paced || atomic_load_explicit(&checkpoint->hurry, memory_order_relaxed);
}

/* Rests as long as the last piece took: the disk is the log's in the meantime. */
static void checkpoint_pause(int64_t took_ns)
{
    struct timespec pause = {.tv_nsec = took_ns < CHECKPOINT_PAUSE_MAX_NS
                                            ? (long)took_ns
                                            : CHECKPOINT_PAUSE_MAX_NS};

    if (took_ns >= CHECKPOINT_PAUSE_MIN_NS)
        nanosleep(&pause, NULL);
}

/*
 * Writes back the groups that changed, a piece at a time.  Its errors count:
 * waiting on a range takes a write error that the sync after it does not
 * report again.
 */
static enum bts_status checkpoint_write_back(struct checkpoint *checkpoint,
                                             struct bts_error *error)
{
    uint64_t group_size =
        (uint64_t)space_map_group_pages(checkpoint->next.page_size) * checkpoint->next.page_size;
    uint64_t end = (uint64_t)checkpoint->next.page_count * checkpoint->next.page_size;

    for (size_t i = 0; i < checkpoint->map_count; i++) {
        uint64_t at = checkpoint->maps[i].group * group_size;
        uint64_t stop = at + group_size < end ? at + group_size : end;
        unsigned before = (unsigned)(i * 1000 / checkpoint->map_count);
        for (; at < stop && !checkpoint_in_hurry(checkpoint); at += CHECKPOINT_PIECE_SIZE) {
            int64_t began = checkpoint_now_ns();
            enum bts_status status =
                file_sync_range(checkpoint->data, at, CHECKPOINT_PIECE_SIZE, error);
            if (status != BTS_OK)
                return status;
            atomic_store_explicit(&checkpoint->progress,
                                  before + (unsigned)((at % group_size) * 1000 / group_size /
                                                      checkpoint->map_count),
                                  memory_order_relaxed);
            checkpoint_pause(checkpoint_now_ns() - began);
        }
    }
    return BTS_OK;
}

static enum bts_status checkpoint_write_meta(const struct checkpoint *checkpoint, pgno_t pgno,
                                             struct bts_error *error)
{
    void *page = checkpoint->page;
    const struct meta *meta = &checkpoint->next;
    enum bts_status status;

    meta_encode(meta, pgno, page);
    status = file_write(checkpoint->data, page, meta->page_size, (uint64_t)pgno * meta->page_size,
                        error);
    return status == BTS_OK ? file_sync(checkpoint->data, error) : status;
}

static enum bts_status checkpoint_work(struct checkpoint *checkpoint, struct bts_error *error)
{
    enum bts_status status = checkpoint_write_maps(checkpoint, false, error);

    if (status == BTS_OK)
        status = checkpoint_write_back(checkpoint, error);
    if (status == BTS_OK)
        status = file_sync(checkpoint->data, error);
    if (status == BTS_OK)
        status = checkpoint_write_meta(checkpoint, 1 - checkpoint->meta_pgno, error);
    if (status == BTS_OK)
        status = checkpoint_write_maps(checkpoint, true, error);
    if (status == BTS_OK)
        status = checkpoint_write_meta(checkpoint, checkpoint->meta_pgno, error);
    return status;
}

void checkpoint_run(struct checkpoint *checkpoint)
{
    checkpoint->status = checkpoint_work(checkpoint, &checkpoint->error);
}

void checkpoint_adopt(struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->map_count; i++) {
        const struct checkpoint_map *map = &checkpoint->maps[i];
        checkpoint->copies[map->group] = (uint8_t)map->copy;
    }
    checkpoint_drop_maps(checkpoint);
    checkpoint->meta = checkpoint->next;
}
