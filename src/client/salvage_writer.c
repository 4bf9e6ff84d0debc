/* SPDX-License-Identifier: MIT */
/*
 * salvage_writer: see salvage_writer.h.
 */
#include "client/salvage_writer.h"

#include "base/err.h"
#include "client/daemon_start.h"
#include "client/deadline.h"
#include "client/locate.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SALVAGE_BATCH_SIZE (1u << 20)

/* ---- open ------------------------------------------------------------------------- */

/* Has a private daemon make the file, if there is none. */
static enum bts_status salvage_writer_create(const char *path, const struct bts_options *options,
                                             size_t page_size, bool *created,
                                             struct bts_error *error)
{
    uint64_t deadline =
        deadline_after(options->timeout_ms != 0 ? options->timeout_ms : STORE_TIMEOUT_MS);
    const char *daemon = options->daemon_path != NULL ? options->daemon_path : BTSTORED_PATH;
    struct location location;
    struct stat stat_of_file;
    enum bts_status status;

    *created = false;
    if ((options->flags & BTS_OPEN_NO_START) != 0 || stat(path, &stat_of_file) == 0) {
        return BTS_OK;
    }
    status = location_find(path, &location, error);
    if (status == BTS_OK) {
        status = daemon_start_new(daemon, location.file_path, page_size, deadline, error);
        location_fini(&location);
        *created = status == BTS_OK;
    }
    return status == BTS_BUSY ? BTS_OK : status; /* somebody serves it: the open will tell */
}

static enum bts_status salvage_writer_check(const struct salvage_writer *writer, const char *path,
                                            size_t page_size, struct bts_error *error)
{
    struct bts_stat stat;
    enum bts_status status = bts_store_stat(writer->store, &stat, error);

    if (status != BTS_OK) {
        return status;
    }
    if (stat.entry_count > 0 || stat.bucket_count > 1) {
        return err_set(error, BTS_EXISTS,
                       "%s: holds %llu buckets and %llu entries already; name a file that does not "
                       "exist", path, (unsigned long long)stat.bucket_count,
                       (unsigned long long)stat.entry_count);
    }
    if (stat.key_size_max_bytes < page_key_max(page_size)) {
        return err_set(error, BTS_LIMIT,
                       "%s: has pages of %u bytes, too few for the longest keys; name a file that "
                       "does not exist, or create it with --page-size %zu", path,
                       stat.page_size_bytes, page_size);
    }
    return BTS_OK;
}

enum bts_status salvage_writer_open(struct salvage_writer *writer, const char *path,
                                    const struct bts_options *options, size_t page_size,
                                    struct bts_error *error)
{
    struct bts_options open = *options;
    bool created;
    enum bts_status status = salvage_writer_create(path, options, page_size, &created, error);

    *writer = (struct salvage_writer){.store = NULL, .created = created};
    if (status != BTS_OK) {
        return err_set(error, status, "%s: %s", path, error->text);
    }
    open.flags |= BTS_OPEN_MUST_EXIST;
    status = bts_store_open(path, &open, &writer->store, error);
    return status == BTS_OK ? salvage_writer_check(writer, path, page_size, error) : status;
}

/* A descriptor of the process at the other end of a connection; -1: it cannot be told. */
static int salvage_writer_daemon(const struct salvage_writer *writer)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);
    int fd;

    if (!writer->created || writer->store == NULL) {
        return -1;
    }
    fd = writer->store->pipeline.connection.fd;
    fd = fd >= 0 ? fd : writer->store->tool.fd;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) {
        return -1;
    }
    return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

/*
 * The daemon that we had made the file need not wait for somebody else to
 * come: it ends now, and leaves one clean file.
 */
static void salvage_writer_end_daemon(int daemon)
{
    struct pollfd end = {.fd = daemon, .events = POLLIN};

    if (daemon < 0) {
        return;
    }
    if (syscall(SYS_pidfd_send_signal, daemon, SIGTERM, NULL, 0) == 0) {
        (void)poll(&end, 1, STORE_TIMEOUT_MS);
    }
    close(daemon);
}

void salvage_writer_close(struct salvage_writer *writer)
{
    int daemon = salvage_writer_daemon(writer);

    batch_fini(&writer->batch);
    bts_store_close(writer->store);
    writer->store = NULL;
    salvage_writer_end_daemon(daemon);
}

/* ---- writing ---------------------------------------------------------------------- */

enum bts_status salvage_writer_flush(struct salvage_writer *writer, struct bts_error *error)
{
    uint64_t deadline = deadline_after(writer->store->timeout_ms);
    struct pipeline *pipeline = &writer->store->pipeline;
    uint64_t ticket;
    size_t size;
    const uint8_t *bytes = batch_bytes(&writer->batch, &size);
    enum bts_status status;

    if (writer->batch.size == 0) {
        return BTS_OK;
    }
    status = pipeline_submit(writer->store, bytes, size, false, deadline, &ticket, error);
    if (status == BTS_OK) {
        status = pipeline_wait(pipeline, ticket, deadline, &writer->txnid, error);
        if (status == BTS_TIMEOUT) {
            pipeline_break(pipeline);
            status = pipeline_wait(pipeline, ticket, deadline, &writer->txnid, error);
        }
    }
    batch_clear(&writer->batch);
    writer->has_bucket = false;
    return status == BTS_OK ? BTS_OK : store_failed(writer->store, status, error);
}

enum bts_status salvage_writer_add(struct salvage_writer *writer, enum batch_type type,
                                   unsigned flags, struct bts_bytes first,
                                   struct bts_bytes second, struct bts_error *error)
{
    return batch_add(&writer->batch, type, flags, first.size > 0 ? first.data : NULL, first.size,
                     second.size > 0 ? second.data : NULL, second.size, error);
}

/* Says in the batch which bucket it writes to, unless that was said. */
static enum bts_status salvage_writer_say_bucket(struct salvage_writer *writer,
                                                 struct bts_error *error)
{
    const struct bts_bytes none = {NULL, 0};
    enum bts_status status = BTS_OK;

    if (!writer->has_bucket) {
        status = salvage_writer_add(writer, BATCH_USE, 0, writer->bucket, none, error);
        writer->has_bucket = status == BTS_OK;
    }
    return status;
}

static enum bts_status salvage_writer_make_room(struct salvage_writer *writer,
                                                struct bts_error *error)
{
    return writer->batch.size >= SALVAGE_BATCH_SIZE ? salvage_writer_flush(writer, error)
                                                    : BTS_OK;
}

enum bts_status salvage_writer_use(struct salvage_writer *writer, struct salvage_bucket *bucket,
                                   struct bts_error *error)
{
    const struct bts_bytes none = {NULL, 0};
    enum bts_status status = salvage_writer_make_room(writer, error);

    if (status == BTS_OK && !bucket->is_created && bucket->id != BUCKET_DEFAULT_ID) {
        status = salvage_writer_add(writer, BATCH_BUCKET_CREATE, 0, bucket->name, none, error);
    }
    bucket->is_created = bucket->is_created || status == BTS_OK;
    if (writer->bucket.data != bucket->name.data) {
        writer->bucket = bucket->name;
        writer->has_bucket = false;
    }
    return status == BTS_OK ? salvage_writer_say_bucket(writer, error) : status;
}

enum bts_status salvage_writer_put(struct salvage_writer *writer, struct bts_bytes key,
                                   struct bts_bytes value, struct bts_error *error)
{
    enum bts_status status = salvage_writer_make_room(writer, error);

    if (status == BTS_OK) {
        status = salvage_writer_say_bucket(writer, error);
    }
    return status == BTS_OK
               ? salvage_writer_add(writer, BATCH_PUT, 0, key, value, error)
               : status;
}
