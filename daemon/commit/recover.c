/* SPDX-License-Identifier: MIT */
/*
 * recover: see recover.h.
 */
#include "commit/recover.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "commit/publish.h"
#include "format/batch.h"
#include "format/space_map.h"
#include "tree/gather.h"

/*
 * Private pages go to the file whenever there are so many; replay is one group
 * all the same.  This is for batches that are not gathered.
 */
#define RECOVER_PRIVATE_MAX (64u << 20)

struct recovery {
    struct commit *commit;
    const struct meta *meta;
    void *page;              /* one page of memory */
    uint64_t file_pages;
    txnid_t map_txnid;       /* the newest of any valid map copy */
    struct pending_claim claim;
    struct pending_found found;
    txnid_t txnid;           /* T */
    struct gather gather;    /* what was read of the log and is not in the tree yet */
    txnid_t replayed;        /* the newest commit that is in it, or in the tree */
    uint64_t operations;
    int64_t began_ms;
};

/*
 * After a sync that failed the cache shows a page that the disk does not hold,
 * until memory is short and it is read again.  Then what was chosen is not
 * what is there, and the next start has to choose anew.
 */
static enum bts_status recover_page_changed(const struct recovery *recovery, pgno_t pgno,
                                            struct bts_error *error)
{
    return err_set(error, BTS_IO, "%s: page %u changed while it was looked at; start again",
                   recovery->commit->files.path, pgno);
}

/* ---- 1: the maps -------------------------------------------------------- */

/* The txnid of a copy that verifies, else 0; its page is in recovery->page. */
static enum bts_status recover_read_copy(struct recovery *recovery, uint32_t group, unsigned copy,
                                         txnid_t *txnid, struct bts_error *why)
{
    size_t page_size = recovery->meta->page_size;
    pgno_t pgno = space_map_pgno(group, copy, page_size);
    struct bts_error reason;
    struct page_header header;
    enum bts_status status;

    *txnid = 0;
    if (pgno >= recovery->file_pages)
        return BTS_OK;
    status = file_read(&recovery->commit->files.data, recovery->page, page_size,
                       (uint64_t)pgno * page_size, why);
    if (status != BTS_OK)
        return status;
    if (space_map_check(recovery->page, page_size, group, copy, &reason) != BTS_OK) {
        err_set(why, BTS_DAMAGED, "page %u: %.200s", pgno, reason.text);
        return BTS_OK;
    }
    memcpy(&header, recovery->page, sizeof(header));
    *txnid = header.txnid;
    if (header.txnid > recovery->map_txnid)
        recovery->map_txnid = header.txnid;
    return BTS_OK;
}

/*
 * Which copy of a group the meta uses, and whether the other one is just as
 * new.  It is not after a checkpoint that was cut short (then it may be newer:
 * an orphan, which a later recovery would believe), and not if one has rotted.
 */
static enum bts_status recover_choose_copy(struct recovery *recovery, uint32_t group,
                                           unsigned *chosen, txnid_t *txnid, bool *alike,
                                           struct bts_error *error)
{
    txnid_t txnids[2];
    txnid_t newest = 0;
    struct bts_error why;

    *txnid = 0;
    *chosen = CHECKPOINT_COPY_NONE;
    *alike = false;
    err_clear(&why);
    for (unsigned copy = 0; copy < 2; copy++) {
        enum bts_status status = recover_read_copy(recovery, group, copy, &txnids[copy], &why);
        if (status != BTS_OK)
            return err_set(error, status, "%s", why.text);
        if (txnids[copy] <= recovery->meta->txnid && txnids[copy] > newest) {
            newest = txnids[copy];
            *chosen = copy;
        }
    }
    *txnid = newest;
    *alike = txnids[0] == txnids[1];
    if (*chosen == CHECKPOINT_COPY_NONE)
        return err_set(error, BTS_DAMAGED,
                       "%s: no usable space map for group %u (pages %u and %u)%s%.200s; run "
                       "btstore check",
                       recovery->commit->files.path, group,
                       space_map_pgno(group, 0, recovery->meta->page_size),
                       space_map_pgno(group, 1, recovery->meta->page_size),
                       why.text[0] != '\0' ? ": " : "", why.text);
    return BTS_OK;
}

static enum bts_status recover_load_group(struct recovery *recovery, uint32_t group,
                                          struct bts_error *error)
{
    struct commit *commit = recovery->commit;
    unsigned chosen;
    bool alike;
    txnid_t expected;
    txnid_t txnid;
    enum bts_status status =
        recover_choose_copy(recovery, group, &chosen, &expected, &alike, error);

    if (status == BTS_OK)
        status = recover_read_copy(recovery, group, chosen, &txnid, error);
    if (status == BTS_OK && txnid != expected)
        status = recover_page_changed(
            recovery, space_map_pgno(group, chosen, recovery->meta->page_size), error);
    if (status == BTS_OK)
        status = checkpoint_set_copy(&commit->checkpoint, group, chosen, error);
    if (status != BTS_OK)
        return status;
    space_load_group(commit->space, group, space_map_bits(recovery->page));
    if (alike) /* after a sync that failed it may be in the cache alone; the sync comes with 2 */
        return file_write(&commit->files.data, recovery->page, recovery->meta->page_size,
                          (uint64_t)space_map_pgno(group, chosen, recovery->meta->page_size) *
                              recovery->meta->page_size,
                          error);
    space_mark_dirty(commit->space, group);
    return BTS_OK;
}

static enum bts_status recover_load_maps(struct recovery *recovery, struct bts_error *error)
{
    const struct meta *meta = recovery->meta;
    uint32_t groups = space_map_group_count(meta->page_count, meta->page_size);
    uint32_t file_groups = space_map_group_count(
        recovery->file_pages < UINT32_MAX ? (pgno_t)recovery->file_pages : UINT32_MAX,
        meta->page_size);
    enum bts_status status;

    if (recovery->file_pages < meta->page_count)
        return err_set(error, BTS_DAMAGED,
                       "%s: the file was cut short: %llu pages, and checkpoint %llu has %u",
                       recovery->commit->files.path, (unsigned long long)recovery->file_pages,
                       (unsigned long long)meta->txnid, meta->page_count);
    status = space_load(recovery->commit->space, meta->page_count, meta->txnid, error);
    for (uint32_t group = 0; status == BTS_OK && group < groups; group++)
        status = recover_load_group(recovery, group, error);
    /* Above the mark a checkpoint that was cut short may have left copies: T must exceed them. */
    for (uint32_t group = groups; status == BTS_OK && group < file_groups; group++) {
        for (unsigned copy = 0; status == BTS_OK && copy < 2; copy++) {
            txnid_t txnid;
            status = recover_read_copy(recovery, group, copy, &txnid, error);
        }
    }
    return status;
}

/* ---- 2: the meta -------------------------------------------------------- */

static enum bts_status recover_rewrite_meta(struct recovery *recovery, struct bts_error *error)
{
    const struct store_files *files = &recovery->commit->files;
    size_t page_size = recovery->meta->page_size;
    uint64_t offset = (uint64_t)files->meta_pgno * page_size;
    struct meta found;
    enum bts_status status = file_read(&files->data, recovery->page, page_size, offset, error);

    if (status == BTS_OK &&
        (meta_decode(recovery->page, page_size, files->meta_pgno, &found, NULL) != BTS_OK ||
         found.txnid != recovery->meta->txnid))
        return recover_page_changed(recovery, files->meta_pgno, error);
    if (status == BTS_OK)
        status = file_write(&files->data, recovery->page, page_size, offset, error);
    return status == BTS_OK ? file_sync(&files->data, error) : status;
}

/* ---- 3: the log --------------------------------------------------------- */

static enum bts_status recover_scan_log(struct recovery *recovery, struct bts_error *error)
{
    struct commit *commit = recovery->commit;
    const struct meta *meta = recovery->meta;
    enum bts_status status;

    recovery->claim = (struct pending_claim){.clean = meta->clean,
                                             .epoch = meta->log_epoch,
                                             .position = meta->log_position,
                                             .txnid = meta->txnid};
    status = pending_log_open(&commit->log, commit->files.system, commit->files.pending_path,
                              meta->uuid, (uint32_t)commit->options.log_segment_size,
                              commit->options.log_size_max, error);
    return status == BTS_OK
               ? pending_log_scan(&commit->log, &recovery->claim, &recovery->found, error)
               : status;
}

/* The number of the recovered state: above everything that anyone can have seen. */
static enum bts_status recover_choose_txnid(struct recovery *recovery, struct bts_error *error)
{
    const struct commit *commit = recovery->commit;
    txnid_t newest = recovery->found.last_txnid;
    /* acquire: pairs with publish of the daemon before us */
    txnid_t shown = atomic_load_explicit(&commit->beacon->latest, memory_order_acquire);

    if (shown > newest &&
        memcmp(commit->beacon->uuid, recovery->meta->uuid, sizeof(recovery->meta->uuid)) == 0)
        return err_set(error, BTS_DAMAGED,
                       "%s: file and pending log end at commit %llu, but %llu was published "
                       "from it: an older copy was put in its place, or commits are lost; "
                       "remove its run directory to go on from what is there",
                       commit->files.path, (unsigned long long)newest,
                       (unsigned long long)shown);
    newest = shown > newest ? shown : newest;
    /* a frame behind the log's end is of no use, but must not look newer than the store */
    newest = recovery->found.newest_txnid > newest ? recovery->found.newest_txnid : newest;
    newest = recovery->map_txnid > newest ? recovery->map_txnid : newest;
    if (newest >= UINT64_MAX / 2)
        return err_set(error, BTS_DAMAGED, "%s: impossible transaction number %llu",
                       commit->files.path, (unsigned long long)newest);
    recovery->txnid = newest + 1;
    return BTS_OK;
}

/* Readers of an earlier daemon may map anything below the mark that it advertised. */
static enum bts_status recover_hold(struct recovery *recovery, struct bts_error *error)
{
    struct commit *commit = recovery->commit;
    uint64_t mark = atomic_load_explicit(&commit->beacon->page_count, memory_order_relaxed);

    if (!commit->survivors)
        return BTS_OK;
    if (mark == 0)
        mark = recovery->file_pages;
    if (mark < recovery->meta->page_count)
        mark = recovery->meta->page_count;
    if (mark > UINT32_MAX)
        mark = UINT32_MAX;
    return space_hold(commit->space, (pgno_t)mark, error);
}

/* ---- 4: replay ---------------------------------------------------------- */

/* What it means that something which was accepted once cannot be done. */
static enum bts_status recover_refuse(const struct recovery *recovery, enum bts_status status,
                                      const struct bts_error *why, struct bts_error *error)
{
    if (status != BTS_NO_MEMORY && status != BTS_NO_SPACE && status != BTS_IO)
        status = BTS_DAMAGED; /* the state beneath it is not the same */
    return err_set(error, status, "%s: replay up to commit %llu: %.300s",
                   recovery->commit->files.pending_path, (unsigned long long)recovery->replayed,
                   why->text);
}

static enum bts_status recover_apply(struct recovery *recovery, const uint8_t *batch, size_t size,
                                     struct bts_error *error)
{
    struct bts_error why;
    enum bts_status status = batch_check(batch, size, recovery->meta->page_size, &why);

    if (status == BTS_OK)
        status = gather_batch(&recovery->gather, batch, size, &why);
    if (status != BTS_OK)
        return recover_refuse(recovery, status, &why, error);
    recovery->operations += batch_count(batch);
    return BTS_OK;
}

static enum bts_status recover_replay_frame(void *context, const struct pending_frame *frame,
                                            struct bts_error *error)
{
    struct recovery *recovery = context;
    struct commit *commit = recovery->commit;
    struct pending_body_reader reader = {frame->body, frame->body + frame->body_size};
    const uint8_t *batch;
    size_t size;
    uint32_t count = 0;
    enum bts_status status = BTS_OK;

    recovery->replayed = frame->txnid;
    while (status == BTS_OK && pending_body_next(&reader, &batch, &size)) {
        status = recover_apply(recovery, batch, size, error);
        count++;
    }
    if (status == BTS_OK && (count != frame->batch_count || reader.next != reader.end))
        return err_set(error, BTS_DAMAGED, "%s: commit %llu: %u batches, its frame says %u",
                       commit->files.pending_path, (unsigned long long)frame->txnid, count,
                       frame->batch_count);
    if (status == BTS_OK && pages_private_bytes(commit->pages) > RECOVER_PRIVATE_MAX)
        status = pages_write(commit->pages, error);
    return status;
}

/* What was gathered goes into the tree: the log's bytes are needed for other segments. */
static enum bts_status recover_replay_done(void *context, struct bts_error *error)
{
    struct recovery *recovery = context;
    struct bts_error why;
    enum bts_status status = gather_apply(&recovery->gather, &why);

    return status == BTS_OK ? status : recover_refuse(recovery, status, &why, error);
}

static enum bts_status recover_replay(struct recovery *recovery, struct bts_error *error)
{
    struct commit *commit = recovery->commit;
    const struct meta *meta = recovery->meta;
    struct buckets_root root = {.root = meta->root,
                                .depth = meta->depth,
                                .bucket_count = meta->bucket_count,
                                .next_bucket_id = meta->next_bucket_id};
    enum bts_status status;

    buckets_set_root(commit->buckets, &root);
    pages_group_begin(commit->pages, recovery->txnid);
    recovery->gather = (struct gather){.buckets = commit->buckets,
                                       .pages = commit->pages,
                                       .private_max = commit->options.replay_private_max};
    status = pending_log_replay(&commit->log, &recovery->claim, recover_replay_frame,
                                recover_replay_done, recovery, error);
    gather_fini(&recovery->gather);
    if (status == BTS_OK)
        status = buckets_flush(commit->buckets, error);
    if (status == BTS_OK)
        status = pages_write(commit->pages, error);
    if (status != BTS_OK) {
        pages_group_abort(commit->pages);
        return status;
    }
    space_group_end(commit->space);
    commit->applied = (struct commit_state){.txnid = recovery->txnid,
                                            .root = buckets_root(commit->buckets),
                                            .page_count = space_page_count(commit->space)};
    return BTS_OK;
}

/* ---- 5 and 6: a new epoch, a checkpoint, publication -------------------- */

static enum bts_status recover_checkpoint(struct recovery *recovery, struct bts_error *error)
{
    struct commit *commit = recovery->commit;
    struct checkpoint *checkpoint = &commit->checkpoint;
    struct meta next;
    enum bts_status status = pending_log_begin(&commit->log, recovery->found.newest_epoch + 1,
                                               recovery->txnid + 1, error);

    if (status != BTS_OK)
        return status;
    commit->applied.log_position = pending_log_position(&commit->log);
    next = schedule_meta(commit, &commit->applied);
    space_published(commit->space, recovery->txnid);
    status = checkpoint_prepare(checkpoint, commit->space, &next, error);
    if (status != BTS_OK)
        return status;
    checkpoint_run(checkpoint);
    if (checkpoint->status != BTS_OK)
        return err_set(error, checkpoint->status, "%s", checkpoint->error.text);
    checkpoint_adopt(checkpoint);
    space_checkpoint_done(commit->space);
    pending_log_release(&commit->log, next.log_position);
    return BTS_OK;
}

static void recover_publish(struct recovery *recovery)
{
    struct commit *commit = recovery->commit;
    const struct commit_state *state = &commit->applied;

    publish(commit->beacon, state->txnid, state->root.root, state->root.depth, state->page_count);
    atomic_store_explicit(&commit->beacon->checkpoint, state->txnid, memory_order_relaxed);
    publish_wake(commit->beacon);
    commit->published = *state;
    commit->durable = state->txnid;
    commit->recovered = state->txnid;
    commit->counts.replayed_frames = recovery->found.frame_count;
    commit->counts.replayed_operations = recovery->operations;
    if (recovery->found.frame_count > 0)
        commit_note(commit,
                    "recovered: %llu commits with %llu operations replayed from the pending log "
                    "in %lld ms; newest is %llu",
                    (unsigned long long)recovery->found.frame_count,
                    (unsigned long long)recovery->operations,
                    (long long)(commit_now_ms() - recovery->began_ms),
                    (unsigned long long)recovery->found.last_txnid);
    else if (commit->files.created)
        commit_note(commit, "created, with pages of %u bytes", recovery->meta->page_size);
    else
        commit_note(commit, "%s at commit %llu: nothing to replay",
                    recovery->meta->clean ? "was stopped cleanly" : "was not stopped cleanly",
                    (unsigned long long)recovery->found.last_txnid);
}

enum bts_status recover_run(struct commit *commit, struct bts_error *error)
{
    struct recovery recovery = {.commit = commit,
                                .meta = &commit->files.meta,
                                .began_ms = commit_now_ms()};
    enum bts_status status;

    recovery.file_pages = commit->files.identity.size / recovery.meta->page_size;
    recovery.page = aligned_alloc(16, recovery.meta->page_size);
    if (recovery.page == NULL)
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", commit->files.path);
    status = recover_load_maps(&recovery, error);
    if (status == BTS_OK)
        status = recover_rewrite_meta(&recovery, error);
    if (status == BTS_OK)
        status = recover_scan_log(&recovery, error);
    if (status == BTS_OK)
        status = recover_choose_txnid(&recovery, error);
    if (status == BTS_OK)
        status = recover_hold(&recovery, error);
    if (status == BTS_OK)
        status = recover_replay(&recovery, error);
    if (status == BTS_OK)
        status = recover_checkpoint(&recovery, error);
    if (status == BTS_OK)
        recover_publish(&recovery);
    free(recovery.page);
    return status;
}
