/* SPDX-License-Identifier: MIT */
/*
 * store: open and close, find the daemon or start one.
 *
 * A starter that finds another daemon starting or ending is told BTS_BUSY by
 * its own; it then tries to connect, and to start, again.
 */
#include "client/store.h"

#include "base/err.h"
#include "client/alone.h"
#include "client/daemon_start.h"
#include "client/deadline.h"
#include "client/locate.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_BUSY_MS 10000u /* longest wait for another daemon to start or to end */
#define STORE_RETRY_MS 10

/* ---- errors ---------------------------------------------------------------------- */

/* The daemon names the file, too, by its whole path: once is enough. */
static const char *store_text(const struct bts_store *store, const char *text)
{
    size_t size = store->file_path != NULL ? strlen(store->file_path) : 0;

    if (size > 0 && strncmp(text, store->file_path, size) == 0 && text[size] == ':' &&
        text[size + 1] == ' ') {
        return text + size + 2;
    }
    return text;
}

enum bts_status store_failed(const struct bts_store *store, enum bts_status status,
                             struct bts_error *error)
{
    if (error == NULL) {
        return status;
    }
    return err_set(error, status, "%s: %s", store->name, store_text(store, error->text));
}

enum bts_status store_check_fork(const struct bts_store *store, struct bts_error *error)
{
    if (fork_mark_is_ours(store->mark)) {
        return BTS_OK;
    }
    return err_set(error, BTS_FORKED,
                   "%s: opened by the parent of this process; open it again here", store->name);
}

/* ---- the daemon ------------------------------------------------------------------ */

/* Who may serve: the database's owner, if we can see it; else the link's. */
static bool store_owner(const struct bts_store *store, uid_t *owner)
{
    struct stat stat_of_file;

    if ((store->file_path != NULL && stat(store->file_path, &stat_of_file) == 0) ||
        lstat(store->socket_path, &stat_of_file) == 0) {
        *owner = stat_of_file.st_uid;
        return true;
    }
    return false;
}

enum bts_status store_connect(const struct bts_store *store, struct connection *connection,
                              uint64_t deadline, struct bts_error *error)
{
    uid_t owner;
    bool known = store_owner(store, &owner);

    return connection_open(connection, store->socket_path, known ? &owner : NULL, deadline, error);
}

/* The daemon's file must be the one at the path: it may have been renamed or replaced. */
static enum bts_status store_check_file(const struct bts_store *store,
                                        const struct attachment *attachment,
                                        struct bts_error *error)
{
    const struct map *map = atomic_load_explicit(&attachment->map, memory_order_acquire);
    struct stat served, present;

    if (store->file_path == NULL || fstat(map->fd, &served) != 0) {
        return BTS_OK;
    }
    if (stat(store->file_path, &present) != 0) {
        if (errno != ENOENT) {
            return BTS_OK; /* no permission to look: the daemon's word must do */
        }
    } else if (present.st_dev == served.st_dev && present.st_ino == served.st_ino) {
        return BTS_OK;
    }
    return err_set(error, BTS_BUSY,
                   "its daemon (process %u) serves another file, which was renamed or replaced; "
                   "stop that daemon first",
                   atomic_load_explicit(&attachment->beacon->daemon_pid, memory_order_relaxed));
}

/* One attempt.  BTS_UNAVAILABLE: nobody there, or gone in the middle of it. */
static enum bts_status store_attach_once(struct bts_store *store, struct connection *connection,
                                         uint64_t deadline, struct bts_error *error)
{
    struct attachment *attachment = NULL;
    enum bts_status status = store_connect(store, connection, deadline, error);

    if (status == BTS_OK) {
        status = attach_wait(connection, store->span, deadline, &attachment, error);
    }
    if (status == BTS_OK) {
        status = store_check_file(store, attachment, error);
    }
    if (status == BTS_OK) {
        store_adopt(store, attachment);
        return BTS_OK;
    }
    fork_guard_lock();
    attachment_destroy(attachment);
    fork_guard_unlock();
    connection_close(connection);
    return status;
}

/* Whether this user may start a daemon here: on a file of its own, or on none. */
static enum bts_status store_check_start(const struct bts_store *store, struct bts_error *error)
{
    struct stat stat_of_file;

    if (store->file_path == NULL || (store->flags & BTS_OPEN_NO_START) != 0) {
        return err_set(error, BTS_UNAVAILABLE, "no daemon serves it; start btstored");
    }
    if (stat(store->file_path, &stat_of_file) != 0) {
        if (errno == ENOENT && (store->flags & BTS_OPEN_MUST_EXIST) == 0) {
            return BTS_OK;
        }
        return err_set_errno(error, BTS_UNAVAILABLE, errno, "no daemon serves it");
    }
    if (stat_of_file.st_uid != geteuid()) {
        return err_set(error, BTS_UNAVAILABLE,
                       "no daemon serves it, and only its owner, user %u, can have a private one "
                       "started; start btstored, or open it alone",
                       stat_of_file.st_uid);
    }
    return BTS_OK;
}

enum bts_status store_attach(struct bts_store *store, struct connection *connection,
                             uint64_t deadline, struct bts_error *error)
{
    uint64_t busy_deadline = deadline_after(STORE_BUSY_MS);
    enum bts_status status;

    for (;;) {
        status = store_attach_once(store, connection, deadline, error);
        if (status != BTS_UNAVAILABLE || store_check_start(store, error) != BTS_OK) {
            return status;
        }
        status = daemon_start(store->daemon_path, store->file_path,
                              (store->flags & BTS_OPEN_MUST_EXIST) != 0, deadline, error);
        if (status != BTS_OK && status != BTS_BUSY) {
            return status;
        }
        if (deadline_left(deadline) == 0 || deadline_left(busy_deadline) == 0) {
            return status != BTS_OK ? status
                                    : err_set(error, BTS_UNAVAILABLE, "its daemon ends at once");
        }
        if (status == BTS_BUSY) {
            poll(NULL, 0, STORE_RETRY_MS);
        }
    }
}

void store_adopt(struct bts_store *store, struct attachment *attachment)
{
    struct attachment *newest;

    pthread_mutex_lock(&store->adopt_lock);
    newest = atomic_load_explicit(&store->attachment, memory_order_relaxed);
    if (newest != NULL && attachment_same(newest, attachment)) {
        fork_guard_lock();
        attachment_destroy(attachment);
        fork_guard_unlock();
    } else {
        attachment->older = newest;
        attachment->store = store;
        /* seq_cst: before the loads of the old slots in attachment_release; pairs with
           the load after the pin in snapshot_begin */
        atomic_store_explicit(&store->attachment, attachment, memory_order_seq_cst);
    }
    pthread_mutex_unlock(&store->adopt_lock);
}

/* ---- open ------------------------------------------------------------------------ */

static enum bts_status store_set_options(struct bts_store *store,
                                         const struct bts_options *options,
                                         struct bts_error *error)
{
    static const struct bts_options none = {.flags = 0};
    const unsigned known = BTS_OPEN_NO_START | BTS_OPEN_ALONE | BTS_OPEN_MUST_EXIST |
                           BTS_OPEN_IGNORE_PENDING;

    options = options != NULL ? options : &none;
    if ((options->flags & ~known) != 0) {
        return err_set(error, BTS_INVALID, "options: flags 0x%x are unknown",
                       options->flags & ~known);
    }
    store->flags = options->flags;
    store->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : STORE_TIMEOUT_MS;
    store->span = options->map_size_bytes;
    store->daemon_path =
        strdup(options->daemon_path != NULL ? options->daemon_path : BTSTORED_PATH);
    return store->daemon_path != NULL ? BTS_OK
                                      : err_set(error, BTS_NO_MEMORY, "no memory for a path");
}

static enum bts_status store_create(const char *path, const struct bts_options *options,
                                    struct bts_store **store, struct bts_error *error)
{
    struct bts_store *created = aligned_alloc(_Alignof(struct bts_store), sizeof(*created));
    enum bts_status status;

    *store = NULL;
    if (created == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a store");
    }
    memset(created, 0, sizeof(*created));
    created->owner = getpid();
    pthread_mutex_init(&created->adopt_lock, NULL);
    pthread_mutex_init(&created->look.lock, NULL);
    pthread_mutex_init(&created->tool_lock, NULL);
    connection_init(&created->look.connection);
    connection_init(&created->tool);
    status = pipeline_init(&created->pipeline, error);
    if (status == BTS_OK) {
        created->name = strdup(path);
        status = created->name != NULL ? store_set_options(created, options, error)
                                       : err_set(error, BTS_NO_MEMORY, "no memory for a path");
    }
    if (status == BTS_OK) {
        status = fork_guard_init(error);
    }
    if (status == BTS_OK) {
        status = fork_mark_create(&created->mark, error);
    }
    if (status != BTS_OK) {
        bts_store_close(created);
        return status;
    }
    *store = created;
    return BTS_OK;
}

static enum bts_status store_open_alone(struct bts_store *store, struct bts_error *error)
{
    struct attachment *attachment;
    enum bts_status status;

    if (store->file_path == NULL) {
        return err_set(error, BTS_INVALID, "a socket cannot be opened alone; name the file");
    }
    store->served_by = strdup("");
    if (store->served_by == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a path");
    }
    status = alone_open(store->file_path, store->flags, store->span, &attachment, error);
    if (status == BTS_OK) {
        store_adopt(store, attachment);
    }
    return status;
}

static enum bts_status store_open_served(struct bts_store *store, struct bts_error *error)
{
    struct connection fresh;
    enum bts_status status;

    connection_init(&fresh);
    status = store_attach(store, &fresh, deadline_after(store->timeout_ms), error);
    if (status != BTS_OK) {
        return status;
    }
    pipeline_offer(&store->pipeline, &fresh);
    look_begin(store);
    store->served_by = location_served_by(store->socket_path);
    if (store->served_by == NULL) {
        store->served_by = strdup(store->socket_path);
    }
    return store->served_by != NULL ? BTS_OK
                                    : err_set(error, BTS_NO_MEMORY, "no memory for a path");
}

enum bts_status bts_store_open(const char *path, const struct bts_options *options,
                               struct bts_store **store, struct bts_error *error)
{
    struct location location;
    struct bts_error own; /* the store's name goes before a text even if nobody wants it */
    struct bts_store *created;
    enum bts_status status;

    *store = NULL;
    if (path == NULL || *path == '\0') {
        return err_set(error, BTS_INVALID, "no path of a store is given");
    }
    error = error != NULL ? error : &own;
    status = store_create(path, options, &created, error);
    if (status != BTS_OK) {
        return err_set(error, status, "%s: %s", path, error->text);
    }
    status = location_find(path, &location, error);
    if (status == BTS_OK) {
        created->file_path = location.file_path;
        created->socket_path = location.socket_path;
        status = store_is_alone(created) ? store_open_alone(created, error)
                                         : store_open_served(created, error);
    }
    if (status != BTS_OK) {
        store_failed(created, status, error);
        bts_store_close(created);
        return status;
    }
    *store = created;
    return BTS_OK;
}

/* ---- close ----------------------------------------------------------------------- */

/* In a fork child the locks may be held by threads that are not there, and are not needed. */
void bts_store_close(struct bts_store *store)
{
    struct attachment *attachment;
    bool is_ours;

    if (store == NULL) {
        return;
    }
    is_ours = store->owner == getpid();
    pipeline_fini(&store->pipeline);
    connection_close(&store->tool);
    connection_close(&store->look.connection);
    if (is_ours) {
        fork_guard_lock();
    }
    attachment_destroy(store->look.attach.attachment);
    attachment = atomic_load_explicit(&store->attachment, memory_order_relaxed);
    while (attachment != NULL) {
        struct attachment *older = attachment->older;
        attachment_destroy(attachment);
        attachment = older;
    }
    if (is_ours) {
        fork_guard_unlock();
    }
    fork_mark_destroy(store->mark);
    free(store->daemon_path);
    free(store->served_by);
    free(store->socket_path);
    free(store->file_path);
    free(store->name);
    free(store);
}

const char *bts_store_socket(const struct bts_store *store)
{
    return store->served_by;
}

/* ---- where a load failed ------------------------------------------------------------ */

static bool store_find_page(const struct map *map, const void *address, uint64_t *page)
{
    for (; map != NULL; map = map->older) {
        uintptr_t offset = (uintptr_t)address - (uintptr_t)map->source.base;
        if (offset < map->span) { /* an address before the map is far behind it */
            *page = offset >> map->source.page_shift;
            return true;
        }
    }
    return false;
}

/* In a signal handler: the lock is only tried; it keeps replaced maps from being freed. */
bool bts_store_page_at(struct bts_store *store, const void *address, uint64_t *page)
{
    const struct attachment *attachment;
    bool is_found = false;

    *page = 0;
    if (pthread_mutex_trylock(&store->look.lock) != 0) {
        return false;
    }
    attachment = atomic_load_explicit(&store->attachment, memory_order_acquire);
    while (attachment != NULL && !is_found) {
        is_found = store_find_page(
            atomic_load_explicit(&attachment->map, memory_order_acquire), address, page);
        attachment = attachment->older;
    }
    pthread_mutex_unlock(&store->look.lock);
    return is_found;
}
