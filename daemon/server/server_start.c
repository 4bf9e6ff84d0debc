/* SPDX-License-Identifier: MIT */
/*
 * server_start: from a command line to a served store, and back to nothing.
 *
 * The order matters.  The engine's locks come first: who holds them may touch
 * all that belongs to the store.  Readers of an earlier daemon are in the
 * horizon before recovery allocates a page.  The socket comes last: who can
 * connect is served.
 */
#include "server/server.h"

#include "base/err.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The store's path without links, so that whoever names it finds the same files beside it. */
static char *server_resolve(const char *path)
{
    char *resolved = realpath(path, NULL);

    if (resolved != NULL || errno != ENOENT) {
        return resolved;
    }
    /* It is to be made: then its directory has to be there. */
    char *copy = strdup(path);
    char *directory = copy != NULL ? realpath(dirname(copy), NULL) : NULL;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (directory != NULL && name[0] == '\0') {
        errno = EISDIR;
    } else if (directory != NULL &&
               asprintf(&resolved, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name) <
                   0) {
        resolved = NULL;
    }
    int reason = errno;
    free(directory);
    free(copy);
    errno = reason;
    return resolved;
}

static const char *server_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* Every client and every reader takes a descriptor. */
static void server_raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum bts_status server_open_engine(struct server *server, struct bts_error *error)
{
    const struct options *options = server->options;
    struct commit_options wanted = {
        .path = server->path,
        .create = !options->must_exist,
        .page_size = options->page_size,
        .map_span = options->map_size,
        .log_size_max = options->log_size,
        .note = log_note,
        .note_context = &server->log,
    };
    enum bts_status status = commit_open(&wanted, &server->commit, error);

    if (status == BTS_OK) {
        server->page_size = commit_identity(server->commit).page_size;
        status = commit_reader_descriptor(server->commit, &server->data_fd, error);
    }
    return status;
}

static enum bts_status server_open_run_directory(struct server *server, struct bts_error *error)
{
    struct commit_identity identity = commit_identity(server->commit);
    const char *given = getenv("RUNTIME_DIRECTORY");
    gid_t group = PEER_NO_GROUP;
    enum bts_status status = BTS_OK;

    /* What surrounds a private daemon is its starter's: not its own service's. */
    if (server->options->is_private || (given != NULL && given[0] != '/')) {
        given = NULL;
    }
    if (server->options->group != NULL) {
        status = peer_find_group(server->options->group, &group, error);
    }
    if (status == BTS_OK) {
        status = run_directory_open(&server->run, &identity, server->data_fd, given, group, error);
    }
    return status;
}

/* Horizon, readers that outlived an earlier daemon, recovery. */
static enum bts_status server_recover(struct server *server, struct bts_error *error)
{
    enum bts_status status = horizon_init(&server->horizon, error);

    if (status == BTS_OK) {
        status = strangers_open(&server->strangers, server->data_fd, server->run.generation,
                                &server->horizon, error);
    }
    if (status == BTS_OK) {
        status = readers_open(&server->readers, &server->run, &server->horizon, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    bool survivors = server->readers.count > 0 || strangers_present(&server->strangers);
    return commit_recover(server->commit, server->run.beacon, &server->horizon, survivors, error);
}

/* Where the socket will be: told before anything is recovered, if that cannot be. */
static enum bts_status server_prepare_socket(struct server *server, struct bts_error *error)
{
    char *own = NULL;

    if (server->options->socket == NULL && asprintf(&own, "%s/socket", server->run.path) < 0) {
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", server->path);
    }
    enum bts_status status = listener_prepare(
        &server->listener, own != NULL ? own : server->options->socket, error);
    free(own);
    return status;
}

static enum bts_status server_listen(struct server *server, struct bts_error *error)
{
    enum bts_status status = listener_open(&server->listener, server->run.group, error);

    return status == BTS_OK ? listener_link(&server->listener, server->path, error) : status;
}

static enum bts_status server_prepare(struct server *server, struct bts_error *error)
{
    server->path = server_resolve(server->options->store);
    if (server->path == NULL) {
        return err_set_errno(error, BTS_IO, errno, "%s: cannot find it or its directory",
                             server->options->store);
    }
    server_raise_limits();
    server->base = event_base_new();
    if (server->base == NULL) {
        return err_set(error, BTS_NO_MEMORY, "%s: no event loop", server->path);
    }
    return sessions_init(&server->sessions, error);
}

/* A start that failed leaves no run directory behind that nobody has ever read from. */
static void server_abandon(struct server *server)
{
    const struct beacon *beacon = server->run.beacon;

    if (beacon != NULL && atomic_load_explicit(&beacon->latest, memory_order_relaxed) == 0) {
        run_directory_remove(&server->run);
    }
    server_close(server);
}

enum bts_status server_open(struct server *server, const struct options *options,
                            struct bts_error *error)
{
    static enum bts_status (*const steps[])(struct server *, struct bts_error *) = {
        server_prepare,        server_open_engine, server_open_run_directory,
        server_prepare_socket, server_recover,     server_listen,
        server_add_events,
    };
    enum bts_status status = BTS_OK;

    memset(server, 0, sizeof(*server));
    log_init(&server->log, server_base_name(options->store));
    if (options->is_private && !options->foreground) {
        log_use_syslog(&server->log); /* its starter listens on --ready-fd only */
    }
    server->options = options;
    server->data_fd = -1;
    server->readers.watch_fd = -1;
    server->started_ms = server_wall_clock_ms();
    run_directory_init(&server->run);
    listener_init(&server->listener);
    group_init(&server->group);
    scan_table_init(&server->scans);
    for (size_t i = 0; status == BTS_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
        status = steps[i](server, error);
    }
    if (status == BTS_OK) {
        run_directory_set_state(&server->run, BEACON_SERVING);
    } else {
        server_abandon(server);
    }
    return status;
}

static void server_free_events(struct server *server)
{
    struct event *events[] = {server->on_accept, server->on_commit, server->on_watch,
                              server->on_sweep,  server->on_tick,   server->on_term,
                              server->on_int};

    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    if (server->base != NULL) {
        event_base_free(server->base);
    }
}

void server_close(struct server *server)
{
    sessions_fini(&server->sessions);
    server_free_events(server);
    listener_close(&server->listener);
    scan_table_fini(&server->scans);
    resp_buffer_fini(&server->scratch);
    commit_close(server->commit);
    group_fini(&server->group);
    readers_close(&server->readers);
    strangers_close(&server->strangers);
    horizon_fini(&server->horizon);
    run_directory_close(&server->run);
    if (server->data_fd >= 0) {
        close(server->data_fd);
    }
    free(server->path);
}
