/* SPDX-License-Identifier: MIT */
/*
 * Tests of client/pipeline against a peer of our own, at the other end of a
 * socket pair: it answers when, what and as often as the test wants.
 */
#include "client/store.h"

#include "client/deadline.h"
#include "format/resp.h"
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOON deadline_after(10000)

/* A store of which only the pipeline works, and the peer's socket. */
static struct bts_store *open_store(int *peer)
{
    struct bts_store *store = aligned_alloc(_Alignof(struct bts_store), sizeof(*store));
    struct connection connection;
    int fds[2];

    ck_assert_ptr_nonnull(store);
    memset(store, 0, sizeof(*store));
    ck_assert_int_eq(fork_guard_init(NULL), BTS_OK);
    ck_assert_int_eq(pipeline_init(&store->pipeline, NULL), BTS_OK);
    store->flags = BTS_OPEN_NO_START;
    store->socket_path = (char *)(uintptr_t) "/nonexistent/socket";
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    connection_init(&connection);
    fork_guard_lock();
    connection_adopt(&connection, fds[0]);
    fork_guard_unlock();
    pipeline_offer(&store->pipeline, &connection);
    *peer = fds[1];
    return store;
}

static void close_store(struct bts_store *store)
{
    pipeline_fini(&store->pipeline);
    free(store);
}

static uint64_t submit(struct bts_store *store, const char *batch)
{
    uint64_t ticket = 0;

    ck_assert_int_eq(pipeline_submit(store, batch, strlen(batch), false, SOON, &ticket, NULL),
                     BTS_OK);
    return ticket;
}

static void expect(struct bts_store *store, uint64_t ticket, enum bts_status status,
                   uint64_t txnid)
{
    struct bts_error error = {.status = BTS_OK};
    uint64_t found = 0;

    ck_assert_int_eq(pipeline_wait(&store->pipeline, ticket, SOON, &found, &error), status);
    ck_assert_uint_eq(found, txnid);
    ck_assert_int_eq(error.status, status);
}

static void say(int peer, const char *text)
{
    ck_assert_int_eq(write(peer, text, strlen(text)), (ssize_t)strlen(text));
}

START_TEST(a_batch_travels_as_one_command_and_its_txnid_comes_back)
{
    char bytes[128] = "";
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t ticket = submit(store, "BATCH");

    ck_assert_int_gt(read(peer, bytes, sizeof(bytes)), 0);
    ck_assert_str_eq(bytes, "*2\r\n$10\r\nBTS.COMMIT\r\n$5\r\nBATCH\r\n");
    say(peer, ":42\r\n");
    expect(store, ticket, BTS_OK, 42);
    close_store(store);
    close(peer);
}
END_TEST

START_TEST(a_relaxed_batch_says_so)
{
    char bytes[128] = "";
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t ticket;

    ck_assert_int_eq(pipeline_submit(store, "BATCH", 5, true, SOON, &ticket, NULL), BTS_OK);
    ck_assert_int_gt(read(peer, bytes, sizeof(bytes)), 0);
    ck_assert_str_eq(bytes, "*3\r\n$10\r\nBTS.COMMIT\r\n$5\r\nBATCH\r\n$7\r\nRELAXED\r\n");
    say(peer, ":42\r\n");
    expect(store, ticket, BTS_OK, 42);
    close_store(store);
    close(peer);
}
END_TEST

START_TEST(tickets_are_waited_for_in_any_order)
{
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t first = submit(store, "a");
    uint64_t second = submit(store, "b");
    uint64_t third = submit(store, "c");

    say(peer, ":1\r\n-CONFLICT key is there\r\n*2\r\n:3\r\n$1\r\nx\r\n");
    expect(store, third, BTS_OK, 3);
    expect(store, first, BTS_OK, 1);
    expect(store, second, BTS_CONFLICT, 0);
    close_store(store);
    close(peer);
}
END_TEST

START_TEST(a_ticket_is_good_for_one_outcome)
{
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t ticket;

    expect(store, 0, BTS_INVALID, 0); /* before the first commit there are none */
    ticket = submit(store, "a");

    expect(store, ticket + 1, BTS_INVALID, 0);
    expect(store, 0, BTS_INVALID, 0);
    say(peer, ":1\r\n");
    expect(store, ticket, BTS_OK, 1);
    expect(store, ticket, BTS_INVALID, 0);
    close_store(store);
    close(peer);
}
END_TEST

START_TEST(a_timeout_leaves_the_ticket_valid)
{
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t ticket = submit(store, "a");
    uint64_t txnid = 0;

    ck_assert_int_eq(pipeline_wait(&store->pipeline, ticket, 0, &txnid, NULL), BTS_TIMEOUT);
    ck_assert_int_eq(
        pipeline_wait(&store->pipeline, ticket, deadline_after(20), &txnid, NULL), BTS_TIMEOUT);
    say(peer, ":9\r\n");
    ck_assert_int_eq(pipeline_wait(&store->pipeline, ticket, 0, &txnid, NULL), BTS_OK);
    ck_assert_uint_eq(txnid, 9);
    close_store(store);
    close(peer);
}
END_TEST

START_TEST(a_broken_connection_leaves_outcomes_unknown)
{
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t first = submit(store, "a");
    uint64_t second = submit(store, "b");
    uint64_t third;

    say(peer, ":1\r\n:");
    close(peer);
    expect(store, second, BTS_UNKNOWN, 0);
    expect(store, first, BTS_OK, 1); /* this one's reply came before the end */
    /* There is no daemon to connect to any more: nothing is sent. */
    ck_assert_int_eq(pipeline_submit(store, "c", 1, false, SOON, &third, NULL), BTS_UNAVAILABLE);
    close_store(store);
}
END_TEST

START_TEST(an_idle_connection_that_died_is_not_trusted_with_a_commit)
{
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t ticket;

    close(peer);
    ck_assert_int_eq(pipeline_submit(store, "a", 1, false, SOON, &ticket, NULL), BTS_UNAVAILABLE);
    ck_assert_uint_eq(ticket, 0);
    close_store(store);
}
END_TEST

START_TEST(a_peer_that_talks_nonsense_breaks_the_connection)
{
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t ticket = submit(store, "a");

    say(peer, "hello\r\n");
    expect(store, ticket, BTS_UNKNOWN, 0);
    close_store(store);
    close(peer);
}
END_TEST

START_TEST(answers_nobody_asked_for_break_the_connection)
{
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t ticket = submit(store, "a");
    uint64_t next;

    say(peer, ":1\r\n:2\r\n");
    expect(store, ticket, BTS_OK, 1);
    ck_assert_int_eq(pipeline_submit(store, "b", 1, false, SOON, &next, NULL), BTS_UNAVAILABLE);
    close_store(store);
    close(peer);
}
END_TEST

START_TEST(a_giant_batch_that_is_refused_half_way_has_the_peers_word)
{
    size_t size = 8u << 20;
    char *batch = calloc(1, size);
    int peer;
    struct bts_store *store = open_store(&peer);
    struct bts_error error;
    uint64_t ticket, txnid;

    /* The peer reads nothing, says why, and closes. */
    say(peer, "-LIMIT too large\r\n");
    shutdown(peer, SHUT_RDWR);
    ck_assert_int_eq(pipeline_submit(store, batch, size, false, SOON, &ticket, &error), BTS_OK);
    ck_assert_int_eq(pipeline_wait(&store->pipeline, ticket, SOON, &txnid, &error), BTS_LIMIT);
    ck_assert_str_eq(error.text, "too large");
    close_store(store);
    close(peer);
    free(batch);
}
END_TEST

START_TEST(a_batch_sent_in_part_only_was_not_applied)
{
    size_t size = 8u << 20;
    char *batch = calloc(1, size);
    int peer;
    struct bts_store *store = open_store(&peer);
    uint64_t ticket, txnid;

    ck_assert_int_eq(
        pipeline_submit(store, batch, size, false, deadline_after(50), &ticket, NULL), BTS_OK);
    ck_assert_int_eq(pipeline_wait(&store->pipeline, ticket, SOON, &txnid, NULL),
                     BTS_UNAVAILABLE);
    close_store(store);
    close(peer);
    free(batch);
}
END_TEST

START_TEST(tickets_run_out_and_come_back)
{
    uint64_t tickets[PIPELINE_TICKETS], one_more;
    int peer;
    struct bts_store *store = open_store(&peer);

    char replies[4 * PIPELINE_TICKETS + 1] = "";

    for (unsigned i = 0; i < PIPELINE_TICKETS; i++) {
        memcpy(replies + 4 * i, ":5\r\n", 5);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < PIPELINE_TICKETS; i++) {
            char bytes[256];
            tickets[i] = submit(store, "x");
            ck_assert_int_gt(read(peer, bytes, sizeof(bytes)), 0);
        }
        say(peer, replies);
        ck_assert_int_eq(pipeline_submit(store, "x", 1, false, SOON, &one_more, NULL), BTS_BUSY);
        for (unsigned i = 0; i < PIPELINE_TICKETS; i++) {
            expect(store, tickets[i], BTS_OK, 5);
        }
    }
    close_store(store);
    close(peer);
}
END_TEST

/* ---- many threads, one peer that is as slow to read as it is eager to write --------------- */

#define THREADS 8
#define ROUNDS 20
#define COMMITS (ROUNDS * (1 + 2 + 3 + 4)) /* of a thread */
#define REPLY_PADDING 3000 /* bytes of error text: replies fill the buffers, too */

struct eager_peer {
    int fd;
    unsigned count;
};

/* Answers each request by its order; a full socket makes it stop reading, as a daemon does. */
static void *answer_all(void *argument)
{
    struct eager_peer *peer = argument;
    char *input = malloc(1 << 20);
    char *reply = malloc(REPLY_PADDING + 64);
    size_t size = 0;

    memset(reply, 'x', REPLY_PADDING + 64);
    memcpy(reply, "-CONFLICT ", 10);
    memcpy(reply + REPLY_PADDING, "\r\n", 2);
    while (peer->count < THREADS * COMMITS) {
        struct bts_bytes parts[2];
        size_t part_count, used, need;
        const char *why;
        struct pollfd ready = {.fd = peer->fd, .events = POLLIN};

        poll(&ready, 1, 1000);
        ssize_t more = read(peer->fd, input + size, (1 << 20) - size);
        ck_assert(more > 0 || errno == EAGAIN);
        size += more > 0 ? (size_t)more : 0;
        while (resp_parse_request(input, size, 1 << 20, parts, 2, &part_count, &used, &need,
                                  &why) == RESP_OK) {
            size_t sent = 0;
            memmove(input, input + used, size - used);
            size -= used;
            peer->count++;
            while (sent < REPLY_PADDING + 2) {
                struct pollfd room = {.fd = peer->fd, .events = POLLOUT};
                ssize_t count = write(peer->fd, reply + sent, REPLY_PADDING + 2 - sent);
                sent += count > 0 ? (size_t)count : 0;
                poll(&room, 1, 1000);
            }
        }
    }
    free(input);
    free(reply);
    return NULL;
}

static void *commit_many(void *argument)
{
    struct bts_store *store = argument;
    char batch[5000];

    memset(batch, 'b', sizeof(batch));
    for (unsigned i = 0; i < ROUNDS * 4; i++) {
        uint64_t tickets[4], txnid;
        unsigned depth = 1 + i % 4;
        for (unsigned j = 0; j < depth; j++) {
            ck_assert_int_eq(pipeline_submit(store, batch, sizeof(batch), false, SOON,
                                             &tickets[j], NULL),
                             BTS_OK);
        }
        for (unsigned j = 0; j < depth; j++) {
            ck_assert_int_eq(
                pipeline_wait(&store->pipeline, tickets[depth - 1 - j], SOON, &txnid, NULL),
                BTS_CONFLICT);
        }
    }
    return NULL;
}

START_TEST(full_buffers_on_both_sides_stop_nobody)
{
    struct eager_peer peer = {.count = 0};
    struct bts_store *store = open_store(&peer.fd);
    pthread_t answering, committing[THREADS];

    pthread_create(&answering, NULL, answer_all, &peer);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_create(&committing[i], NULL, commit_many, store);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(committing[i], NULL);
    }
    pthread_join(answering, NULL);
    ck_assert_uint_eq(peer.count, THREADS * COMMITS);
    ck_assert_uint_eq(store->pipeline.unused_count, PIPELINE_TICKETS);
    close_store(store);
    close(peer.fd);
}
END_TEST

int main(void)
{
    return UNIT_RUN(
        "pipeline", a_batch_travels_as_one_command_and_its_txnid_comes_back,
        a_relaxed_batch_says_so,
        tickets_are_waited_for_in_any_order, a_ticket_is_good_for_one_outcome,
        a_timeout_leaves_the_ticket_valid, a_broken_connection_leaves_outcomes_unknown,
        an_idle_connection_that_died_is_not_trusted_with_a_commit,
        a_peer_that_talks_nonsense_breaks_the_connection,
        answers_nobody_asked_for_break_the_connection,
        a_giant_batch_that_is_refused_half_way_has_the_peers_word,
        a_batch_sent_in_part_only_was_not_applied, tickets_run_out_and_come_back,
        full_buffers_on_both_sides_stop_nobody);
}
