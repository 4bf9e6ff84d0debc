/* SPDX-License-Identifier: MIT */
/*
 * pipeline: send batches, receive outcomes.
 */
#include "client/pipeline.h"

#include "base/err.h"
#include "client/deadline.h"
#include "client/store.h"
#include "format/resp.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- init and fini --------------------------------------------------------------- */

enum bts_status pipeline_init(struct pipeline *pipeline, struct bts_error *error)
{
    pthread_condattr_t attributes;

    memset(pipeline, 0, sizeof(*pipeline));
    connection_init(&pipeline->connection);
    pipeline->unused_count = PIPELINE_TICKETS;
    if (pthread_condattr_init(&attributes) != 0) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a condition variable");
    }
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pipeline->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&pipeline->lock, NULL);
    return BTS_OK;
}

void pipeline_fini(struct pipeline *pipeline)
{
    for (uint32_t i = 0; pipeline->tickets != NULL && i < PIPELINE_TICKETS; i++) {
        free(pipeline->tickets[i].text);
    }
    free(pipeline->tickets);
    connection_close(&pipeline->connection);
}

/* ---- tickets, under the lock -------------------------------------------------------- */

/* Makes the tickets at the first commit: who only reads does not pay for their memory. */
static bool pipeline_make_tickets(struct pipeline *pipeline)
{
    struct pipeline_ticket *tickets;

    if (pipeline->tickets != NULL) {
        return true;
    }
    tickets = calloc(PIPELINE_TICKETS, sizeof(*tickets) + 2 * sizeof(uint32_t));
    if (tickets == NULL) {
        return false;
    }
    pipeline->tickets = tickets;
    pipeline->unused = (uint32_t *)(tickets + PIPELINE_TICKETS);
    pipeline->queue = pipeline->unused + PIPELINE_TICKETS;
    for (uint32_t i = 0; i < PIPELINE_TICKETS; i++) {
        pipeline->unused[i] = PIPELINE_TICKETS - 1 - i;
        tickets[i].number = i;
    }
    return true;
}

static struct pipeline_ticket *pipeline_take_ticket(struct pipeline *pipeline)
{
    struct pipeline_ticket *ticket;

    assert(pipeline->unused_count > 0);
    ticket = &pipeline->tickets[pipeline->unused[--pipeline->unused_count]];
    assert(ticket->state == PIPELINE_FREE && ticket->text == NULL);
    ticket->number += PIPELINE_TICKETS;
    ticket->state = PIPELINE_QUEUED;
    ticket->status = BTS_OK;
    ticket->txnid = 0;
    ticket->is_sent = false;
    return ticket;
}

static void pipeline_free_ticket(struct pipeline *pipeline, struct pipeline_ticket *ticket)
{
    free(ticket->text);
    ticket->text = NULL;
    ticket->state = PIPELINE_FREE;
    pipeline->unused[pipeline->unused_count++] = (uint32_t)(ticket->number % PIPELINE_TICKETS);
}

static void pipeline_enqueue(struct pipeline *pipeline, const struct pipeline_ticket *ticket)
{
    uint32_t last = (pipeline->queue_first + pipeline->queue_count++) % PIPELINE_TICKETS;

    pipeline->queue[last] = (uint32_t)(ticket->number % PIPELINE_TICKETS);
}

static struct pipeline_ticket *pipeline_dequeue(struct pipeline *pipeline)
{
    struct pipeline_ticket *ticket = &pipeline->tickets[pipeline->queue[pipeline->queue_first]];

    assert(pipeline->queue_count > 0 && ticket->state == PIPELINE_QUEUED);
    pipeline->queue_first = (pipeline->queue_first + 1) % PIPELINE_TICKETS;
    pipeline->queue_count--;
    return ticket;
}

static void pipeline_finish(struct pipeline_ticket *ticket, enum bts_status status,
                            uint64_t txnid, const char *text)
{
    ticket->state = PIPELINE_DONE;
    ticket->status = status;
    ticket->txnid = txnid;
    ticket->text = text != NULL ? strdup(text) : NULL;
}

/* ---- the connection, under the lock -------------------------------------------------- */

/* What was sent in full may have been applied; what was not cannot have been. */
static void pipeline_give_up(struct pipeline *pipeline, const char *why)
{
    if (!pipeline->is_connected) {
        return;
    }
    pipeline->is_connected = false;
    shutdown(pipeline->connection.fd, SHUT_RDWR);
    while (pipeline->queue_count > 0) {
        struct pipeline_ticket *ticket = pipeline_dequeue(pipeline);
        pipeline_finish(ticket, ticket->is_sent ? BTS_UNKNOWN : BTS_UNAVAILABLE, 0, why);
    }
    pthread_cond_broadcast(&pipeline->changed);
}

void pipeline_break(struct pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    pipeline_give_up(pipeline, "the connection was given up: no reply from the daemon in time");
    pthread_mutex_unlock(&pipeline->lock);
}

bool pipeline_look(struct pipeline *pipeline)
{
    bool is_sound;

    if (pthread_mutex_trylock(&pipeline->lock) != 0) {
        return true;
    }
    if (pipeline->is_connected && !connection_is_alive(&pipeline->connection)) {
        pipeline_give_up(pipeline, "the daemon closed the connection");
    }
    is_sound = pipeline->is_connected || pipeline->is_sending;
    pthread_mutex_unlock(&pipeline->lock);
    return is_sound;
}

/* Closes what is broken, once nobody polls it.  BTS_TIMEOUT if that takes too long. */
static bool pipeline_close_broken(struct pipeline *pipeline, uint64_t deadline)
{
    struct timespec until = deadline_timespec(deadline);

    while (pipeline->polls > 0) {
        if (pthread_cond_timedwait(&pipeline->changed, &pipeline->lock, &until) != 0) {
            return false;
        }
    }
    connection_close(&pipeline->connection);
    return true;
}

/* The guard of a connection is a link in a list: it is moved by leaving and entering. */
static void pipeline_move_connection(struct connection *to, struct connection *from)
{
    int fd = from->fd;

    fork_guard_lock();
    fork_guard_remove(&from->guard);
    *to = *from;
    connection_adopt(to, fd);
    connection_init(from);
    fork_guard_unlock();
}

void pipeline_offer(struct pipeline *pipeline, struct connection *connection)
{
    pthread_mutex_lock(&pipeline->lock);
    if (!pipeline->is_connected && !pipeline->is_sending && pipeline->polls == 0) {
        connection_close(&pipeline->connection);
        pipeline_move_connection(&pipeline->connection, connection);
        pipeline->is_connected = true;
    }
    pthread_mutex_unlock(&pipeline->lock);
    connection_close(connection);
}

/* ---- receiving, under the lock ------------------------------------------------------ */

/* BTS.COMMIT answers with the txnid, alone or as the first of an array. */
static void pipeline_finish_reply(struct pipeline_ticket *ticket, const char *reply,
                                  size_t reply_size)
{
    struct bts_error refusal = {.status = BTS_OK};
    struct resp_value value;
    size_t position = 0;

    if (connection_refusal(reply, reply_size, &refusal) != BTS_OK) {
        pipeline_finish(ticket, refusal.status, 0, refusal.text);
        return;
    }
    if (resp_reply_next(reply, reply_size, &position, &value) == RESP_OK &&
        value.type == RESP_ARRAY && value.number > 0 &&
        resp_reply_next(reply, reply_size, &position, &value) != RESP_OK) {
        value.type = RESP_NULL;
    }
    if (value.type == RESP_NUMBER) {
        pipeline_finish(ticket, BTS_OK, (uint64_t)value.number, NULL);
    } else {
        pipeline_finish(ticket, BTS_UNKNOWN, 0, "the daemon's answer to a commit makes no sense");
    }
}

/* Finishes the tickets whose replies are here whole. */
static enum bts_status pipeline_take_replies(struct pipeline *pipeline, struct bts_error *error)
{
    const char *reply;
    size_t reply_size;
    enum bts_status status = connection_reply(&pipeline->connection, &reply, &reply_size, error);

    while (status == BTS_OK && reply != NULL) {
        if (pipeline->queue_count == 0) {
            return err_set(error, BTS_INVALID, "the daemon answered more than it was asked");
        }
        pipeline_finish_reply(pipeline_dequeue(pipeline), reply, reply_size);
        connection_take(&pipeline->connection, reply_size);
        status = connection_reply(&pipeline->connection, &reply, &reply_size, error);
    }
    return status;
}

/* Takes in what came, without waiting. */
static void pipeline_receive(struct pipeline *pipeline)
{
    struct bts_error why = {.status = BTS_OK};
    size_t received;
    enum bts_status status;

    if (!pipeline->is_connected) {
        return;
    }
    status = connection_pull(&pipeline->connection, &received, NULL, &why);
    if (status == BTS_OK && received > 0) {
        status = pipeline_take_replies(pipeline, &why);
    }
    if (status != BTS_OK) {
        pipeline_give_up(pipeline, why.text);
    }
    pthread_cond_broadcast(&pipeline->changed);
}

/* The receiver's: waits for bytes outside the lock, and takes them in. */
static void pipeline_receive_patiently(struct pipeline *pipeline)
{
    struct bts_error why = {.status = BTS_OK};
    size_t received;
    enum bts_status status;

    pipeline->polls++;
    pthread_mutex_unlock(&pipeline->lock);
    status = connection_pull_patiently(&pipeline->connection, &received, &why);
    pthread_mutex_lock(&pipeline->lock);
    pipeline->polls--;
    if (status == BTS_OK && received > 0 && pipeline->is_connected) {
        status = pipeline_take_replies(pipeline, &why);
    }
    if (status != BTS_OK) {
        pipeline_give_up(pipeline, why.text);
    }
}

/* Waits for the socket outside the lock. */
static void pipeline_poll(struct pipeline *pipeline, bool want_write, uint64_t deadline)
{
    int fd = pipeline->connection.fd;

    pipeline->polls++;
    pthread_mutex_unlock(&pipeline->lock);
    connection_poll(fd, want_write, deadline);
    pthread_mutex_lock(&pipeline->lock);
    pipeline->polls--;
}

/* ---- sending ----------------------------------------------------------------------- */

/* Waits for the role of the sender; false at the deadline. */
static bool pipeline_begin_send(struct pipeline *pipeline, uint64_t deadline)
{
    struct timespec until = deadline_timespec(deadline);

    while (pipeline->is_sending) {
        if (pthread_cond_timedwait(&pipeline->changed, &pipeline->lock, &until) != 0) {
            return false;
        }
    }
    pipeline->is_sending = true;
    return true;
}

static void pipeline_end_send(struct pipeline *pipeline)
{
    pipeline->is_sending = false;
    pthread_cond_broadcast(&pipeline->changed);
}

/* A sound connection, made if need be; the sender's role keeps others from making one too. */
static enum bts_status pipeline_connect(struct bts_store *store, uint64_t deadline,
                                        struct bts_error *error)
{
    struct pipeline *pipeline = &store->pipeline;
    struct connection fresh;
    enum bts_status status;

    if (pipeline->is_connected) {
        return BTS_OK;
    }
    if (!pipeline_close_broken(pipeline, deadline)) {
        return err_set(error, BTS_UNAVAILABLE, "the broken connection is still in use");
    }
    connection_init(&fresh);
    pthread_mutex_unlock(&pipeline->lock);
    status = store_attach(store, &fresh, deadline, error);
    pthread_mutex_lock(&pipeline->lock);
    if (status != BTS_OK) {
        return status;
    }
    pipeline_move_connection(&pipeline->connection, &fresh);
    pipeline->is_connected = true;
    return BTS_OK;
}

/* The connection broke; the daemon may have said why before it closed. */
static void pipeline_send_failed(struct pipeline *pipeline, const struct pipeline_ticket *ticket,
                                 const char *why, uint64_t deadline)
{
    struct timespec until = deadline_timespec(deadline);

    while (ticket->state == PIPELINE_QUEUED && pipeline->is_receiving) { /* he will hear it */
        if (pthread_cond_timedwait(&pipeline->changed, &pipeline->lock, &until) != 0) {
            break;
        }
    }
    if (!pipeline->is_receiving) {
        pipeline_receive(pipeline);
    }
    pipeline_give_up(pipeline, why);
}

/* Hands the whole request to the kernel; the ticket is queued already. */
static void pipeline_send(struct pipeline *pipeline, struct pipeline_ticket *ticket,
                          struct iovec *vectors, size_t left, uint64_t deadline)
{
    struct bts_error why = {.status = BTS_OK};

    while (ticket->state == PIPELINE_QUEUED && !ticket->is_sent) {
        if (connection_push(&pipeline->connection, &vectors, &left, &why) != BTS_OK) {
            pipeline_send_failed(pipeline, ticket, why.text, deadline);
        } else if (left == 0) {
            ticket->is_sent = true;
        } else if (deadline_left(deadline) == 0) {
            pipeline_give_up(pipeline, "the daemon takes no more bytes");
        } else {
            pipeline_poll(pipeline, true, deadline);
            if (!pipeline->is_receiving) {
                pipeline_receive(pipeline);
            }
        }
    }
}

/*
 * Sends as much as the kernel takes at once.  An idle connection may have died
 * unnoticed: when it takes no byte of the request, the request is not lost with
 * it, and goes out on a fresh one.
 */
static enum bts_status pipeline_send_first(struct bts_store *store, struct iovec **vectors,
                                           size_t *left, uint64_t deadline,
                                           struct bts_error *error)
{
    struct pipeline *pipeline = &store->pipeline;
    const struct iovec *first = *vectors;
    size_t size = first->iov_len;
    enum bts_status status = pipeline_connect(store, deadline, error);

    if (status != BTS_OK ||
        connection_push(&pipeline->connection, vectors, left, NULL) == BTS_OK ||
        pipeline->queue_count > 0 || *vectors != first || first->iov_len != size ||
        connection_is_alive(&pipeline->connection)) {
        return status; /* a failure comes again, or a reply that tells of it */
    }
    pipeline_give_up(pipeline, "the daemon closed the connection");
    return pipeline_connect(store, deadline, error);
}

static enum bts_status pipeline_submit_locked(struct bts_store *store, const void *batch,
                                              size_t batch_size, bool relaxed, uint64_t deadline,
                                              uint64_t *ticket_number, struct bts_error *error)
{
    struct pipeline *pipeline = &store->pipeline;
    struct pipeline_ticket *ticket;
    char head[64];
    const char *tail = relaxed ? "\r\n$7\r\nRELAXED\r\n" : "\r\n";
    int head_size = snprintf(head, sizeof(head), "*%d\r\n$10\r\nBTS.COMMIT\r\n$%zu\r\n",
                             relaxed ? 3 : 2, batch_size);
    struct iovec parts[] = {{head, (size_t)head_size},
                            {(void *)(uintptr_t)batch, batch_size},
                            {(void *)(uintptr_t)tail, strlen(tail)}};
    struct iovec *vectors = parts;
    size_t left = 3;

    if (pipeline->unused_count == 0) {
        return err_set(error, BTS_BUSY, "%u commits are not waited for yet; wait for some first",
                       PIPELINE_TICKETS);
    }
    enum bts_status status = pipeline_send_first(store, &vectors, &left, deadline, error);
    if (status != BTS_OK) {
        return status;
    }
    ticket = pipeline_take_ticket(pipeline);
    pipeline_enqueue(pipeline, ticket);
    *ticket_number = ticket->number;
    pipeline_send(pipeline, ticket, vectors, left, deadline);
    return BTS_OK;
}

enum bts_status pipeline_submit(struct bts_store *store, const void *batch, size_t batch_size,
                                bool relaxed, uint64_t deadline, uint64_t *ticket,
                                struct bts_error *error)
{
    struct pipeline *pipeline = &store->pipeline;
    enum bts_status status;

    *ticket = 0;
    pthread_mutex_lock(&pipeline->lock);
    if (!pipeline_make_tickets(pipeline)) {
        pthread_mutex_unlock(&pipeline->lock);
        return err_set(error, BTS_NO_MEMORY, "no memory for commits");
    }
    if (!pipeline_begin_send(pipeline, deadline)) {
        pthread_mutex_unlock(&pipeline->lock);
        return err_set(error, BTS_UNAVAILABLE, "earlier commits block the way to the daemon");
    }
    status = pipeline_submit_locked(store, batch, batch_size, relaxed, deadline, ticket, error);
    pipeline_end_send(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
    return status;
}

/* ---- waiting ----------------------------------------------------------------------- */

/* Waits once for news of any ticket, as the receiver or for the receiver; false at the deadline. */
static bool pipeline_wait_news(struct pipeline *pipeline, uint64_t deadline)
{
    struct timespec until = deadline_timespec(deadline);
    int left_ms = deadline_left(deadline);
    bool in_time = left_ms > 0;

    if (pipeline->is_receiving) {
        return in_time &&
               pthread_cond_timedwait(&pipeline->changed, &pipeline->lock, &until) == 0;
    }
    pipeline->is_receiving = true;
    if (left_ms > (int)CONNECTION_PATIENCE_MS) {
        pipeline_receive_patiently(pipeline);
        pipeline->is_receiving = false;
    } else {
        pipeline_poll(pipeline, false, deadline);
        pipeline->is_receiving = false;
        pipeline_receive(pipeline);
    }
    pthread_cond_broadcast(&pipeline->changed);
    return in_time;
}

enum bts_status pipeline_wait(struct pipeline *pipeline, uint64_t number, uint64_t deadline,
                              uint64_t *txnid, struct bts_error *error)
{
    struct pipeline_ticket *ticket = NULL;
    enum bts_status status;
    bool in_time = true;

    pthread_mutex_lock(&pipeline->lock);
    if (pipeline->tickets != NULL)
        ticket = &pipeline->tickets[number % PIPELINE_TICKETS];
    if (ticket == NULL || ticket->number != number || ticket->state == PIPELINE_FREE) {
        pthread_mutex_unlock(&pipeline->lock);
        return err_set(error, BTS_INVALID, "ticket %llu: not one that waits",
                       (unsigned long long)number);
    }
    while (ticket->state == PIPELINE_QUEUED && in_time) {
        in_time = pipeline_wait_news(pipeline, deadline);
    }
    if (ticket->state == PIPELINE_QUEUED) {
        pthread_mutex_unlock(&pipeline->lock);
        return err_set(error, BTS_TIMEOUT, "no reply from the daemon yet");
    }
    status = ticket->status;
    if (status == BTS_OK) {
        *txnid = ticket->txnid;
    } else {
        err_set(error, status, "%s", ticket->text != NULL ? ticket->text : "the commit failed");
    }
    pipeline_free_ticket(pipeline, ticket);
    pthread_mutex_unlock(&pipeline->lock);
    return status;
}
