/* SPDX-License-Identifier: MIT */
/*
 * server: everything that one daemon holds, and its life.
 *
 *   server_open: engine, run directory, readers of before, recovery, socket
 *   server_run:  turns of the event loop, until told to stop
 *   server_stop: what waits is committed, the engine stops clean, files go
 *   server_close
 *
 * A turn: events (bytes arrive, syncs end), then the writes that they brought
 * go to the engine as one group, results become replies, output is sent.
 *
 * One thread.  The engine's threads never come here.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/group.h"
#include "server/listener.h"
#include "server/log.h"
#include "server/options.h"
#include "server/readers.h"
#include "server/run_directory.h"
#include "server/scan_table.h"
#include "server/session.h"
#include "server/strangers.h"

#include <event2/event.h>

#define SERVER_CLIENTS_MAX 4096u
#define SERVER_CLIENTS_PER_USER_MAX 2048u /* the owner excepted */
#define SERVER_REFUSED_MAX (SERVER_CLIENTS_MAX / 2) /* with more clients, no patience for them */
#define SERVER_OUTPUT_BYTES_MAX (1024ull << 20) /* of all sessions; beyond it the largest is cut */
#define SERVER_INPUT_BYTES_MAX (1024ull << 20) /* room of all inputs together */

struct server {
    const struct options *options;
    struct log log;
    char *path;              /* of the database, absolute, no links */
    struct commit *commit;
    size_t page_size;
    struct run_directory run;
    struct horizon horizon;
    struct readers readers;
    struct strangers strangers;
    struct listener listener;
    struct group group;
    struct sessions sessions;
    struct scan_table scans;
    struct resp_buffer scratch; /* a reply whose size is not known beforehand */
    struct ticket *tickets;  /* checkpoints that somebody waits for */

    struct event_base *base;
    struct event *on_accept;
    struct event *on_commit; /* the engine has something */
    struct event *on_watch;  /* a slot file was closed; NULL: there is no inotify */
    struct event *on_sweep;
    struct event *on_tick;
    struct event *on_term;
    struct event *on_int;

    uint64_t started_ms;     /* CLOCK_REALTIME */
    uint64_t idle_since_ms;  /* CLOCK_MONOTONIC; 0: not idle */
    uint64_t swept_ms;
    uint64_t refusal_told_ms; /* when the log last told of one */
    int data_fd;             /* for probes of reader locks only */
    bool stopping;
    bool accept_paused;      /* until the next tick: no descriptors, or no memory */
};

/* `options` must outlive the server. */
BTS_MUST_USE enum bts_status server_open(struct server *server, const struct options *options,
                                         struct bts_error *error);

/* Ends when a signal, SHUTDOWN or idle time says so (BTS_OK), or with the engine's fatal error. */
BTS_MUST_USE enum bts_status server_run(struct server *server, struct bts_error *error);

/* The clean stop; on failure the next start recovers. */
BTS_MUST_USE enum bts_status server_stop(struct server *server, struct bts_error *error);

/* Frees all; without server_stop it is as if the process had been killed. */
void server_close(struct server *server);

/* The events of a served store; server.c. */
BTS_MUST_USE enum bts_status server_add_events(struct server *server, struct bts_error *error);

uint64_t server_now_ms(void); /* CLOCK_MONOTONIC, coarse */
uint64_t server_wall_clock_ms(void);

#endif
