/* SPDX-License-Identifier: MIT */
/*
 * store_check: prove that a checkpoint of the store is whole.
 *
 * Served: the daemon makes a checkpoint T and keeps its state pinned for the
 * connection that asked.  Its space map lies in map pages, of which the next
 * checkpoint but one may overwrite T's: so they are copied first, and the copy
 * counts only if T is still the newest checkpoint afterwards.  Then the tree
 * is walked at leisure.
 *
 * Alone: file and log as they lie.
 *
 * Both read the file by its descriptor, never the map: somebody may cut it
 * short meanwhile, or have done so since it was opened.
 */
#include "client/snapshot_private.h"
#include "client/tool.h"

#include "base/err.h"
#include "client/pending_count.h"
#include "client/store_check_twice.h"
#include "format/space_map.h"
#include "read/page_copy.h"
#include "read/tree_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STORE_CHECK_METAS_SIZE (2u * PAGE_SIZE_MAX) /* always holds both metas */
#define STORE_CHECK_ATTEMPTS 10 /* checkpoints asked for until one's maps could be copied */

/* The checkpoint under check. */
struct store_check {
    int fd;           /* of the data file, not owned */
    size_t page_size;
    txnid_t txnid;
    pgno_t root;
    uint32_t depth;
    uint64_t bucket_count;
    pgno_t page_count;
    uint8_t *bits; /* its space map; owned; NULL: read from the file in place */
    uint32_t lost; /* groups of which no copy was usable; zero in `bits` */
};

/* The file of the snapshot, which stays open as long as that does. */
static void store_check_read_from(struct store_check *check, const struct snapshot *snapshot)
{
    check->fd = attachment_fd(snapshot->attachment);
    check->page_size = page_source_page_size(snapshot->source);
}

/* ---- the space map, copied ----------------------------------------------------------- */

/* The newest valid copy of a group's map at or before the checkpoint, in `page`; false: none. */
static bool store_check_copy_group(const struct store_check *check, uint32_t group, uint8_t *page,
                                   uint8_t *bits)
{
    size_t page_size = check->page_size;
    txnid_t newest = 0;

    for (unsigned copy = 0; copy < 2; copy++) {
        pgno_t pgno = space_map_pgno(group, copy, page_size);
        const struct page_header *header = (const struct page_header *)page;

        /* Copied before it is checked: the daemon may be writing it. */
        if (page_copy(check->fd, page_size, pgno, 1, page, NULL) == BTS_OK &&
            space_map_check(page, page_size, group, copy, NULL) == BTS_OK &&
            header->txnid <= check->txnid && header->txnid > newest) {
            newest = header->txnid;
            memcpy(bits, space_map_bits(page), page_size - PAGE_HEADER_SIZE);
        }
    }
    return newest > 0;
}

/* Copies the map of the checkpoint; groups without a usable copy are counted. */
static enum bts_status store_check_copy_map(struct store_check *check, struct bts_error *error)
{
    size_t page_size = check->page_size;
    size_t group_size = page_size - PAGE_HEADER_SIZE;
    uint32_t group_count = space_map_group_count(check->page_count, page_size);
    uint8_t *page = malloc(page_size);

    check->lost = 0;
    free(check->bits);
    check->bits = calloc(group_count, group_size);
    if (page == NULL || check->bits == NULL) {
        free(page);
        return err_set(error, BTS_NO_MEMORY, "no memory for a space map of %u groups",
                       group_count);
    }
    for (uint32_t group = 0; group < group_count; group++) {
        if (!store_check_copy_group(check, group, page, check->bits + group * group_size)) {
            check->lost++;
        }
    }
    free(page);
    return BTS_OK;
}

/* ---- served ------------------------------------------------------------------------ */

enum store_check_field {
    STORE_CHECK_TXNID,
    STORE_CHECK_ROOT,
    STORE_CHECK_DEPTH,
    STORE_CHECK_BUCKETS,
    STORE_CHECK_PAGES,
    STORE_CHECK_FIELDS,
};

/* Has the daemon make a checkpoint and keep it pinned as long as `connection` is open. */
static enum bts_status store_check_pin(struct bts_store *store, struct connection *connection,
                                       struct store_check *check, struct bts_error *error)
{
    const struct bts_bytes parts[] = {TOOL_WORD("BTS.CHECKPOINT"), TOOL_WORD("PIN")};
    int64_t field[STORE_CHECK_FIELDS];
    size_t position = 0;
    const char *reply;
    size_t reply_size;
    enum bts_status status =
        tool_ask(store, connection, parts, 2, &reply, &reply_size, error);

    if (status != BTS_OK) {
        return status;
    }
    if (!tool_read_numbers(reply, reply_size, &position, field, STORE_CHECK_FIELDS)) {
        return err_set(error, BTS_INVALID,
                       "the daemon's answer to BTS.CHECKPOINT PIN makes no sense");
    }
    check->txnid = (txnid_t)field[STORE_CHECK_TXNID];
    check->root = (pgno_t)field[STORE_CHECK_ROOT];
    check->depth = (uint32_t)field[STORE_CHECK_DEPTH];
    check->bucket_count = (uint64_t)field[STORE_CHECK_BUCKETS];
    check->page_count = (pgno_t)field[STORE_CHECK_PAGES];
    return BTS_OK;
}

/*
 * Pins a checkpoint and copies its map.  The snapshot, opened after it, brings
 * a map of the file that spans it.
 */
static enum bts_status store_check_prepare(struct bts_store *store,
                                           struct connection *connection,
                                           struct bts_snapshot *snapshot,
                                           struct store_check *check, struct bts_error *error)
{
    for (unsigned attempt = 0; attempt < STORE_CHECK_ATTEMPTS; attempt++) {
        const struct beacon *beacon;
        enum bts_status status = store_check_pin(store, connection, check, error);

        if (status == BTS_OK) {
            status = bts_snapshot_renew(snapshot, error);
        }
        if (status == BTS_OK) {
            store_check_read_from(check, snapshot_of(snapshot));
            status = store_check_copy_map(check, error);
        }
        if (status != BTS_OK) {
            return status;
        }
        beacon = snapshot_of(snapshot)->attachment->beacon;
        /* acquire: after the copying; a later checkpoint may have overwritten what was copied */
        if (atomic_load_explicit(&beacon->checkpoint, memory_order_acquire) == check->txnid) {
            return BTS_OK;
        }
    }
    return err_set(error, BTS_BUSY, "checkpoints follow each other too fast to check one");
}

/* ---- both -------------------------------------------------------------------------- */

/* Findings in a file that is too short have one cause: says so, and what to do. */
static enum bts_status store_check_size(const struct store_check *check, enum bts_status status,
                                        struct bts_error *error)
{
    uint64_t needed = (uint64_t)check->page_count * check->page_size;
    struct stat stat;

    if (status != BTS_DAMAGED) {
        return status;
    }
    if (fstat(check->fd, &stat) != 0) {
        return err_set_errno(error, BTS_IO, errno, "fstat");
    }
    if ((uint64_t)stat.st_size >= needed) {
        return status;
    }
    return err_set(error, BTS_DAMAGED,
                   "the file was cut short: %lld bytes, expected %llu; restore it, or save what "
                   "is left with btstore salvage; %s",
                   (long long)stat.st_size, (unsigned long long)needed, error->text);
}

static enum bts_status store_check_run(const struct page_source *source,
                                       const struct store_check *check,
                                       struct bts_check_result *result,
                                       bts_check_report *report, void *argument,
                                       struct bts_error *error)
{
    struct tree_check walk;
    enum bts_status status = tree_check_init(&walk, source, check->txnid, check->page_count,
                                             report, argument, error);

    if (status != BTS_OK) {
        return status;
    }
    tree_check_read_from(&walk, check->fd);
    status = store_check_twice(&walk, check->bits != NULL, check->bits != NULL, error);
    if (status == BTS_OK) {
        status = tree_check_walk(&walk, check->root, check->depth, check->bucket_count, error);
    }
    if (check->lost > 0) {
        tree_check_find(&walk, "space map: %u groups have no usable copy", check->lost);
    }
    if (status == BTS_OK) {
        status = check->bits != NULL ? tree_check_bits(&walk, check->bits, error)
                                     : tree_check_maps(&walk, error);
    }
    *result = walk.result;
    result->txnid = check->txnid;
    result->page_count = check->page_count;
    tree_check_fini(&walk);
    return store_check_size(check, status, error);
}

static enum bts_status store_check_served(struct bts_store *store,
                                          struct bts_check_result *result,
                                          bts_check_report *report, void *argument,
                                          struct bts_error *error)
{
    struct store_check check = {.bits = NULL};
    struct connection connection;
    struct bts_snapshot snapshot;
    enum bts_status status;

    connection_init(&connection);
    status = bts_snapshot_open(store, &snapshot, error);
    if (status != BTS_OK) {
        return status;
    }
    status = store_check_prepare(store, &connection, &snapshot, &check, error);
    if (status == BTS_OK) {
        status = store_check_run(snapshot_of(&snapshot)->source, &check, result, report, argument,
                                 error);
    }
    bts_snapshot_close(&snapshot);
    connection_close(&connection);
    free(check.bits);
    return status;
}

/* ---- alone ------------------------------------------------------------------------- */

/* The meta that the store was opened from. */
static enum bts_status store_check_meta(const struct store_check *check,
                                        const struct snapshot *snapshot, struct meta *meta,
                                        struct bts_error *error)
{
    uint8_t *bytes = malloc(STORE_CHECK_METAS_SIZE);
    enum bts_status status;
    pgno_t pgno;

    if (bytes == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for the meta pages");
    }
    status = meta_choose(bytes, page_copy_bytes(check->fd, bytes, STORE_CHECK_METAS_SIZE, 0), meta,
                         &pgno, error);
    free(bytes);
    if (status == BTS_OK && meta->txnid != snapshot->state.txnid) {
        status = err_set(error, BTS_BUSY, "a daemon has written to it meanwhile; open it again");
    }
    return status;
}

static enum bts_status store_check_pending(const struct bts_store *store, const struct meta *meta,
                                           struct bts_check_result *result,
                                           bts_check_report *report, void *argument,
                                           struct bts_error *error)
{
    char *path = NULL;
    enum bts_status status;

    if (meta->clean) {
        return BTS_OK;
    }
    if (asprintf(&path, "%s.pending", store->file_path) < 0) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a path");
    }
    status = pending_count(path, meta, &result->pending_frames, error);
    free(path);
    if (status == BTS_DAMAGED && report != NULL) {
        report(argument, error->text);
    }
    return status;
}

static enum bts_status store_check_alone(struct bts_store *store, struct bts_check_result *result,
                                         bts_check_report *report, void *argument,
                                         struct bts_error *error)
{
    struct store_check check = {.bits = NULL};
    struct bts_snapshot snapshot;
    struct meta meta;
    enum bts_status status = bts_snapshot_open(store, &snapshot, error);

    if (status != BTS_OK) {
        return status;
    }
    store_check_read_from(&check, snapshot_of(&snapshot));
    status = store_check_meta(&check, snapshot_of(&snapshot), &meta, error);
    if (status == BTS_OK) {
        check.txnid = meta.txnid;
        check.root = meta.root;
        check.depth = meta.depth;
        check.bucket_count = meta.bucket_count;
        check.page_count = meta.page_count;
        status = store_check_run(snapshot_of(&snapshot)->source, &check, result, report, argument,
                                 error);
    }
    if (status == BTS_OK) {
        status = store_check_pending(store, &meta, result, report, argument, error);
    }
    bts_snapshot_close(&snapshot);
    return status;
}

enum bts_status bts_store_check(struct bts_store *store, struct bts_check_result *result,
                                bts_check_report *report, void *argument, struct bts_error *error)
{
    struct bts_error own; /* texts are built from texts, even if nobody wants them */
    enum bts_status status;

    memset(result, 0, sizeof(*result));
    error = error != NULL ? error : &own;
    status = store_check_fork(store, error);
    if (status != BTS_OK) {
        return status;
    }
    status = store_is_alone(store) ? store_check_alone(store, result, report, argument, error)
                                   : store_check_served(store, result, report, argument, error);
    return status == BTS_OK ? BTS_OK : store_failed(store, status, error);
}
