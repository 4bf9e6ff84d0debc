/* SPDX-License-Identifier: MIT */
/*
 * salvage: what a damaged file still holds, written into a new store.
 *
 * The damaged file and its log are opened for reading only, under the lock
 * that a reader without a daemon has: a daemon that starts meanwhile leaves
 * the pages alone.  The new store is written by the ordinary route, batches to
 * a private daemon of its own: so it is sound whatever happens, and the page
 * layout has one author.
 *
 * Reading is read/salvage; later commits come from the log (salvage_replay).
 */
#include "base/err.h"
#include "client/alone.h"
#include "client/salvage_replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the sink ------------------------------------------------------------------------ */

static enum bts_status store_salvage_bucket(void *context, struct salvage_bucket *bucket,
                                            struct bts_error *error)
{
    return salvage_writer_use(context, bucket, error);
}

static enum bts_status store_salvage_entry(void *context, struct bts_bytes key,
                                           struct bts_bytes value, struct bts_error *error)
{
    return salvage_writer_put(context, key, value, error);
}

/* ---- the damaged file ------------------------------------------------------------------ */

/* The new store must be neither the damaged file nor its log, by whatever name. */
static enum bts_status store_salvage_check_same(const struct stat *damaged, const char *pending,
                                                const char *new_path, struct bts_error *error)
{
    struct stat made;
    struct stat log;

    if (stat(new_path, &made) != 0) {
        return BTS_OK;
    }
    if ((made.st_dev == damaged->st_dev && made.st_ino == damaged->st_ino) ||
        (stat(pending, &log) == 0 && made.st_dev == log.st_dev && made.st_ino == log.st_ino)) {
        return err_set(error, BTS_INVALID,
                       "is the damaged store itself, which is never written to; name a file that "
                       "does not exist");
    }
    return BTS_OK;
}

static enum bts_status store_salvage_open(const char *path, const char *pending,
                                          const char *new_path, int *fd, struct bts_error *error)
{
    struct stat stat;
    enum bts_status status;

    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) {
        return err_set_errno(error, errno == EACCES ? BTS_DENIED : BTS_IO, errno,
                             "cannot open it");
    }
    if (fstat(*fd, &stat) != 0) {
        return err_set_errno(error, BTS_IO, errno, "fstat");
    }
    if (!S_ISREG(stat.st_mode)) {
        return err_set(error, BTS_INVALID, "is no file; name the database file itself");
    }
    status = store_salvage_check_same(&stat, pending, new_path, error);
    if (status == BTS_OK) {
        status = alone_lock(*fd, error);
        if (status == BTS_BUSY) {
            err_set(error, status, "a daemon serves it; stop the daemon first");
        }
    }
    return status;
}

/* ---- all of it ----------------------------------------------------------------------- */

static enum bts_status store_salvage_log(struct salvage *salvage, const char *pending,
                                         struct salvage_writer *writer, uint64_t *frame_count,
                                         struct bts_error *error)
{
    const struct meta *meta = salvage->found.is_found ? &salvage->found.meta : NULL;
    struct salvage_log log;
    enum bts_status status;

    *frame_count = 0;
    if (meta != NULL && meta->clean) {
        return BTS_OK; /* it has nothing that the file has not */
    }
    status = salvage_log_open(&log, pending, meta, salvage->txnid, error);
    if (status == BTS_OK && log.fd < 0 && meta != NULL) {
        salvage_add(salvage->report,
                    "pending log: is not there, but the store was not stopped cleanly: commits "
                    "after %llu were in it", (unsigned long long)salvage->txnid);
        salvage_say(salvage->report, BTS_SALVAGE_LOST);
    } else if (status == BTS_OK) {
        status = salvage_replay(salvage, &log, writer, frame_count, error);
    }
    if (*frame_count > 0) {
        salvage_add(salvage->report, "pending log: %llu commits applied, up to commit %llu",
                    (unsigned long long)*frame_count,
                    (unsigned long long)(salvage->txnid + *frame_count));
        salvage_say(salvage->report, BTS_SALVAGE_NOTE);
    }
    salvage_log_close(&log);
    return status;
}

static void store_salvage_count(const struct salvage *salvage, struct bts_salvage_result *result)
{
    result->txnid = salvage->txnid;
    result->bucket_count = salvage->bucket_count;
    for (size_t i = 0; i < salvage->bucket_count; i++) {
        const struct salvage_bucket *bucket = &salvage->bucket[i];
        result->entry_count += bucket->written;
        result->promised_count += bucket->has_record ? bucket->record.entry_count : 0;
        result->found_count += bucket->found_live + bucket->found_old;
    }
}

/* Reads the file and writes the new store. */
static enum bts_status store_salvage_write(struct salvage *salvage, const char *pending,
                                           struct salvage_writer *writer,
                                           struct bts_salvage_result *result,
                                           struct bts_error *error)
{
    const struct salvage_sink sink = {writer, store_salvage_bucket, store_salvage_entry};
    enum bts_status status = salvage_run(salvage, &sink, error);

    if (status == BTS_OK) {
        status = salvage_writer_flush(writer, error);
    }
    if (status == BTS_OK) {
        salvage_tell(salvage);
        store_salvage_count(salvage, result);
        status = store_salvage_log(salvage, pending, writer, &result->pending_frames, error);
    }
    return status == BTS_OK ? bts_store_checkpoint(writer->store, &result->new_txnid, error)
                            : status;
}

static enum bts_status store_salvage_run(int fd, const char *pending, const char *new_path,
                                         unsigned flags, const struct bts_options *options,
                                         struct salvage_report *report,
                                         struct bts_salvage_result *result,
                                         struct bts_error *error)
{
    struct salvage_writer writer = {.store = NULL};
    struct salvage salvage;
    enum bts_status status =
        salvage_init(&salvage, fd, (flags & BTS_SALVAGE_OLD) != 0, report, error);

    if (status == BTS_OK) {
        status = salvage_writer_open(&writer, new_path, options, salvage.pages.page_size, error);
    }
    if (status == BTS_OK) {
        status = store_salvage_write(&salvage, pending, &writer, result, error);
    }
    salvage_writer_close(&writer);
    salvage_fini(&salvage);
    result->damaged = report->damage_count;
    result->lost = report->lost_count;
    if (status == BTS_OK && report->lost_count > 0) {
        status = err_set(error, BTS_DAMAGED, "%llu losses, the first: %s",
                         (unsigned long long)report->lost_count, report->first_lost);
    }
    return status;
}

static enum bts_status store_salvage(const char *path, const char *new_path, unsigned flags,
                                     const struct bts_options *options,
                                     struct salvage_report *report,
                                     struct bts_salvage_result *result, struct bts_error *error)
{
    char *pending = NULL;
    enum bts_status status;
    int fd = -1;

    if (asprintf(&pending, "%s.pending", path) < 0) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a path");
    }
    status = store_salvage_open(path, pending, new_path, &fd, error);
    if (status == BTS_OK) {
        status = store_salvage_run(fd, pending, new_path, flags, options, report, result, error);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(pending);
    return status;
}

enum bts_status bts_store_salvage(const char *path, const char *new_path, unsigned flags,
                                  const struct bts_options *options,
                                  struct bts_salvage_result *result, bts_salvage_report *report,
                                  void *argument, struct bts_error *error)
{
    static const struct bts_options none = {.flags = 0};
    struct salvage_report lines;
    struct bts_error own; /* texts are built from texts, even if nobody wants them */
    enum bts_status status;

    memset(result, 0, sizeof(*result));
    error = error != NULL ? error : &own;
    options = options != NULL ? options : &none;
    if ((flags & ~(unsigned)BTS_SALVAGE_OLD) != 0 || (options->flags & BTS_OPEN_ALONE) != 0) {
        return err_set(error, BTS_INVALID, "salvage: flags 0x%x, options 0x%x do not go with it",
                       flags, options->flags);
    }
    status = salvage_report_init(&lines, report, argument, error);
    if (status == BTS_OK) {
        status = store_salvage(path, new_path, flags, options, &lines, result, error);
    }
    salvage_report_fini(&lines);
    if (status != BTS_OK) {
        err_set(error, status, "%s: %s", path, error->text);
    }
    return status;
}
