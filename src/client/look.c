/* SPDX-License-Identifier: MIT */
/*
 * look: notice, once a second at most, that the daemon was replaced.
 *
 * A restarted daemon goes on in the same beacon and readers need nothing of
 * it.  But one that found no run directory made another, and one that found
 * another file at the path retired the old beacon: then a reader on the old
 * beacon would read old states for ever.  So when the connection is gone, or
 * the beacon retired, we connect and attach anew.
 *
 * Nothing here waits: the request goes out in one look, its reply is taken in
 * by a later one.  No daemon is ever started from here, and no failure is
 * told: reading goes on without a daemon.
 */
#include "client/deadline.h"
#include "client/store.h"

#define LOOK_INTERVAL_MS 1000
#define LOOK_REPLY_MS 10 /* between looks while an answer is awaited */

static uint64_t look_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void look_stop_attaching(struct look *look)
{
    attach_abort(&look->attach);
    connection_close(&look->connection);
    look->is_attaching = false;
}

static void look_begin_attaching(struct bts_store *store)
{
    struct look *look = &store->look;

    if (store_connect(store, &look->connection, 0, NULL) != BTS_OK) {
        return;
    }
    look->is_attaching = true;
    if (attach_begin(&look->attach, &look->connection, store->span, NULL) != BTS_OK) {
        look_stop_attaching(look);
    }
}

static void look_go_on_attaching(struct bts_store *store)
{
    struct look *look = &store->look;
    bool done = false;

    if (attach_step(&look->attach, &done, NULL) != BTS_OK) {
        look_stop_attaching(look);
    } else if (done) {
        look->is_attaching = false;
        store_adopt(store, look->attach.attachment);
        look->attach.attachment = NULL;
        pipeline_offer(&store->pipeline, &look->connection);
    }
}

static bool look_is_retired(const struct bts_store *store)
{
    struct attachment *attachment =
        atomic_load_explicit(&store->attachment, memory_order_acquire);

    return atomic_load_explicit(&attachment->beacon->state, memory_order_relaxed) ==
           BEACON_RETIRED;
}

/* Lets go of replaced attachments whose last snapshot was closed. */
static void look_release_old(struct bts_store *store)
{
    struct attachment *attachment =
        atomic_load_explicit(&store->attachment, memory_order_acquire);

    while ((attachment = attachment->older) != NULL) {
        attachment_release(attachment);
    }
}

static void look_around(struct bts_store *store)
{
    struct look *look = &store->look;
    bool is_sound;

    look_release_old(store);
    if (look->is_attaching) {
        look_go_on_attaching(store);
    } else {
        is_sound = pipeline_look(&store->pipeline);
        if (!is_sound || look_is_retired(store)) {
            look_begin_attaching(store);
        }
    }
    atomic_store_explicit(&look->due_ms,
                          look_clock() + (look->is_attaching ? LOOK_REPLY_MS : LOOK_INTERVAL_MS),
                          memory_order_relaxed);
}

void look_begin(struct bts_store *store)
{
    atomic_store_explicit(&store->look.due_ms, look_clock() + LOOK_INTERVAL_MS,
                          memory_order_relaxed);
}

void look_if_due(struct bts_store *store)
{
    if (store_is_alone(store) ||
        look_clock() < atomic_load_explicit(&store->look.due_ms, memory_order_relaxed) ||
        pthread_mutex_trylock(&store->look.lock) != 0) {
        return;
    }
    look_around(store);
    pthread_mutex_unlock(&store->look.lock);
}
