/* SPDX-License-Identifier: MIT */
/*
 * server: see server.h.
 */
#include "server/server.h"

#include "base/err.h"
#include "server/ticket.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define SERVER_TICK_MS 100
#define SERVER_SWEEP_MS 1000u /* how often every reader is asked after */
#define SERVER_RESWEEP_MS 2   /* after a slot file was closed whose lock was still there */
#define SERVER_REFUSAL_MS 1000u /* between two lines that tell of refused clients */
#define SERVER_ROUNDS_MAX 16  /* groups that follow each other within one turn */
#define SERVER_STOP_MS 10000u /* for the replies to what waited at a clean stop */

uint64_t server_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t server_wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- clients --------------------------------------------------------------------- */

static enum bts_status server_check_limits(const struct server *server, const struct peer *peer,
                                           struct bts_error *error)
{
    size_t same = 0;

    if (server->sessions.count >= SERVER_CLIENTS_MAX) {
        return err_set(error, BTS_LIMIT, "%u clients are connected, more are not allowed",
                       SERVER_CLIENTS_MAX);
    }
    if (server->sessions.count < SERVER_CLIENTS_PER_USER_MAX || peer_is_owner(peer)) {
        return BTS_OK;
    }
    for (const struct session *session = server->sessions.first; session != NULL;
         session = session->next) {
        same += session->peer.uid == peer->uid;
    }
    if (same >= SERVER_CLIENTS_PER_USER_MAX) {
        return err_set(error, BTS_LIMIT, "user %u has %u clients connected, more are not allowed",
                       (unsigned)peer->uid, SERVER_CLIENTS_PER_USER_MAX);
    }
    return BTS_OK;
}

/* One line, if the socket takes it; then the end. */
static void server_refuse(struct server *server, int fd, const struct bts_error *error)
{
    struct resp_buffer text = {NULL, 0, 0, false};

    server->sessions.refused++;
    resp_status_error(&text, error->status, error->text);
    if (!text.failed && send(fd, text.data, text.size, MSG_NOSIGNAL) < 0) {
        log_line(&server->log, LOG_INFO, "a client left before it was refused");
    }
    resp_buffer_fini(&text);
    close(fd);
}

static void server_welcome(struct server *server, int fd)
{
    struct peer peer;
    struct bts_error error;
    enum bts_status status = peer_identify(fd, &peer, &error);

    if (status == BTS_OK) {
        status = peer_check(fd, &peer, server->run.group, &error);
    }
    if (status == BTS_DENIED && server_now_ms() - server->refusal_told_ms >= SERVER_REFUSAL_MS) {
        server->refusal_told_ms = server_now_ms();
        log_line(&server->log, LOG_WARNING, "%s", error.text);
    }
    if (status == BTS_OK) {
        status = server_check_limits(server, &peer, &error);
    }
    bool linger = status == BTS_DENIED && server->sessions.count < SERVER_REFUSED_MAX;
    if (status != BTS_OK && !linger) {
        server_refuse(server, fd, &error);
        return;
    }
    struct bts_error why;
    if (session_open(server, fd, &peer, linger ? &error : NULL, &why) != BTS_OK) {
        log_line(&server->log, LOG_ERR, "%s", why.text);
    }
}

static void server_on_accept(evutil_socket_t listening, short what, void *context)
{
    struct server *server = context;
    int fd;

    (void)listening;
    (void)what;
    while ((fd = listener_accept(&server->listener)) >= 0) {
        server_welcome(server, fd);
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
        /* No descriptors or no memory: those who wait are looked at again at the next tick. */
        log_line(&server->log, LOG_ERR, "cannot take a client: %s", strerror(errno));
        event_del(server->on_accept);
        server->accept_paused = true;
    }
}

/* ---- readers --------------------------------------------------------------------- */

static void server_sweep(struct server *server)
{
    const struct reader *broken;

    readers_sweep(&server->readers);
    while ((broken = readers_next_broken(&server->readers)) != NULL) {
        log_line(&server->log, LOG_WARNING,
                 "reader %d of user %u has damaged its slots: its snapshots are not kept",
                 (int)broken->pid, (unsigned)broken->uid);
    }
    sessions_sweep(server);
    if (strangers_sweep(&server->strangers)) {
        log_line(&server->log, LOG_INFO, "the last reader of an earlier daemon is gone");
    }
    server->swept_ms = server_now_ms();
}

static void server_on_sweep(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    server_sweep(context);
}

static void server_on_watch(evutil_socket_t fd, short what, void *context)
{
    struct server *server = context;
    const struct timeval soon = {0, SERVER_RESWEEP_MS * 1000};

    (void)fd;
    (void)what;
    if (readers_watch(&server->readers)) {
        event_add(server->on_sweep, &soon);
    }
}

/* ---- time ------------------------------------------------------------------------ */

/* Whether nobody has used the daemon for as long as it may live so. */
static bool server_is_forsaken(struct server *server)
{
    uint64_t now = server_now_ms();

    if (server->options->idle_exit_s == OPTIONS_IDLE_NEVER) {
        return false;
    }
    if (server->sessions.count > 0 || server->readers.count > 0) {
        server->idle_since_ms = 0;
        return false;
    }
    if (server->idle_since_ms == 0) {
        server->idle_since_ms = now;
    }
    return now - server->idle_since_ms >= (uint64_t)server->options->idle_exit_s * 1000;
}

static void server_on_tick(evutil_socket_t fd, short what, void *context)
{
    struct server *server = context;

    (void)fd;
    (void)what;
    commit_tick(server->commit);
    if (server_now_ms() - server->swept_ms >= SERVER_SWEEP_MS) {
        server_sweep(server);
    }
    if (server->accept_paused) {
        server->accept_paused = false;
        event_add(server->on_accept, NULL);
        server_on_accept(server->listener.fd, EV_READ, server);
    }
    if (server_is_forsaken(server)) {
        /* Somebody may have connected this very moment. */
        server_on_accept(server->listener.fd, EV_READ, server);
        if (server_is_forsaken(server)) {
            log_line(&server->log, LOG_INFO, "nobody uses it: ending");
            server->stopping = true;
        }
    }
}

static void server_on_commit(evutil_socket_t fd, short what, void *context)
{
    struct server *server = context;

    (void)fd;
    (void)what;
    commit_tick(server->commit);
    tickets_settle(server);
}

static void server_on_signal(evutil_socket_t number, short what, void *context)
{
    struct server *server = context;

    (void)what;
    log_line(&server->log, LOG_INFO, "ending on signal %d", (int)number);
    server->stopping = true;
}

/* ---- events ---------------------------------------------------------------------- */

/* An event of the server's, added; NULL: out of memory. */
static struct event *server_event(struct server *server, evutil_socket_t fd, short what,
                                  event_callback_fn call, const struct timeval *interval)
{
    struct event *event = event_new(server->base, fd, what, call, server);

    if (event != NULL && event_add(event, interval) != 0) {
        event_free(event);
        event = NULL;
    }
    return event;
}

enum bts_status server_add_events(struct server *server, struct bts_error *error)
{
    const struct timeval tick = {0, SERVER_TICK_MS * 1000};
    bool watched = server->readers.watch_fd >= 0;

    server->on_accept = server_event(server, server->listener.fd, EV_READ | EV_PERSIST,
                                     server_on_accept, NULL);
    server->on_commit = server_event(server, commit_event_fd(server->commit),
                                     EV_READ | EV_PERSIST, server_on_commit, NULL);
    server->on_sweep = event_new(server->base, -1, 0, server_on_sweep, server);
    server->on_tick = server_event(server, -1, EV_PERSIST, server_on_tick, &tick);
    server->on_term =
        server_event(server, SIGTERM, EV_SIGNAL | EV_PERSIST, server_on_signal, NULL);
    server->on_int = server_event(server, SIGINT, EV_SIGNAL | EV_PERSIST, server_on_signal, NULL);
    if (watched) {
        server->on_watch = server_event(server, server->readers.watch_fd, EV_READ | EV_PERSIST,
                                        server_on_watch, NULL);
    }
    if (server->on_accept == NULL || server->on_commit == NULL || server->on_sweep == NULL ||
        server->on_tick == NULL || server->on_term == NULL || server->on_int == NULL ||
        (watched && server->on_watch == NULL)) {
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory for events", server->path);
    }
    return BTS_OK;
}

/* ---- turns ----------------------------------------------------------------------- */

/* Gives back what the engine has finished; whether there was anything. */
static bool server_collect(struct server *server)
{
    bool was_full = group_is_full(&server->group);
    struct write *write;
    bool any = false;

    while ((write = group_collect(&server->group, server->commit)) != NULL) {
        session_write_done(write->session, write);
        any = true;
    }
    if (was_full && !group_is_full(&server->group)) {
        for (struct session *session = server->sessions.first; session != NULL;
             session = session->next) {
            session_touch(session);
        }
    }
    return any;
}

/*
 * The end of a turn: input that the events brought becomes requests, writes go
 * to the engine as one group, its results become replies, which may let more
 * input go on.
 */
static void server_end_turn(struct server *server)
{
    bool more = true;

    sessions_settle(server);
    for (int round = 0; more && round < SERVER_ROUNDS_MAX; round++) {
        more = group_take(&server->group, server->commit);
        more = server_collect(server) || more;
        tickets_settle(server); /* one may have been answered while it was asked for */
        sessions_settle(server);
    }
}

static enum bts_status server_turn(struct server *server, bool wait, struct bts_error *error)
{
    if (event_base_loop(server->base, wait ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) {
        return err_set(error, BTS_IO, "%s: the event loop failed", server->path);
    }
    server_end_turn(server);
    return commit_failed(server->commit, error);
}

enum bts_status server_run(struct server *server, struct bts_error *error)
{
    enum bts_status status = BTS_OK;

    while (status == BTS_OK && !server->stopping) {
        /* The rounds of the last turn may have left a group that can begin at once. */
        bool wait = server->group.waiting_count == 0 || !commit_ready(server->commit);
        status = server_turn(server, wait, error);
    }
    return status;
}

enum bts_status server_stop(struct server *server, struct bts_error *error)
{
    uint64_t end_ms = server_now_ms() + SERVER_STOP_MS;
    enum bts_status status = BTS_OK;

    event_del(server->on_accept);
    while (status == BTS_OK && !group_is_idle(&server->group) && server_now_ms() < end_ms) {
        status = server_turn(server, true, error);
    }
    while (server->sessions.first != NULL) {
        session_close(server->sessions.first);
    }
    if (status == BTS_OK) {
        status = commit_stop(server->commit, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    listener_remove(&server->listener);
    run_directory_set_state(&server->run, BEACON_STOPPED);
    readers_sweep(&server->readers);
    if (server->readers.count == 0) {
        run_directory_remove(&server->run);
    }
    return BTS_OK;
}
