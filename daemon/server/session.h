/* SPDX-License-Identifier: MIT */
/*
 * session: one connection: its bytes in, its bytes out, and what it has set.
 *
 * Requests are taken one after the other.  A write is queued for the next
 * commit group and the session goes on to its next request; anything that
 * answers at once waits until all writes before it have answered.  So replies
 * come in order, a session sees its own writes, and pipelined writes share a
 * sync.
 *
 *   open -- QUIT, a protocol error, end of input --> closing: sends what is left
 *   any  -- connection broken --> dead: freed once no write of it is under way
 *
 * A peer that may not be here gets a session too, refused from the start: it
 * is told so, and closed once it has sent something (which is not looked at)
 * or SESSION_REFUSED_MS have passed.  Closed at once, it would learn of a
 * broken connection only, and not why.
 *
 * Invariants
 *  (1) A request stays in the input until it is answered or queued: what must
 *      wait is simply looked at again later.
 *  (2) Input is not read while a whole request lies there that must wait, nor
 *      while more than SESSION_OUTPUT_HIGH bytes of output wait to be sent.
 *  (3) A request is copied as it arrives: no length that a peer names is ever
 *      allocated for.
 */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include "format/resp.h"
#include "server/group.h"
#include "server/peer.h"

#include <event2/event.h>

#define SESSION_REQUEST_MAX (512ull << 20)
#define SESSION_READ_SIZE (64u << 10)      /* of one read */
#define SESSION_INPUT_KEPT (64u << 10)     /* room that an idle session keeps */
#define SESSION_OUTPUT_HIGH (1u << 20)     /* beyond it nothing more is read */
#define SESSION_OUTPUT_LOW (256u << 10)    /* below it reading goes on */
#define SESSION_OUTPUT_KEPT (64u << 10)
#define SESSION_REPLY_MAX (256ull << 20)   /* bytes in the reply to one command */
#define SESSION_WRITES_MAX 4096u           /* writes of one session under way */
#define SESSION_NAME_MAX 255u
#define SESSION_PASSED_MAX 3u
#define SESSION_REFUSED_MS 2000u

struct server;
struct ticket;

struct session {
    struct server *server;
    struct session *next; /* of all sessions */
    struct session **link;
    struct session *next_touched;
    bool is_touched;
    bool ended;       /* the peer sends no more */
    bool waiting;     /* the request that lies there must wait */
    bool closing;     /* takes no more requests */
    bool dead;
    bool refused;     /* it was told why; nothing of it is looked at */
    bool is_relaxed;  /* its writes are answered before they are durable */
    bool is_reading;  /* the event is added */
    bool is_writing;

    uint64_t id;
    uint64_t since_ms;
    int fd; /* -1: dead */
    struct peer peer;
    struct event *readable;
    struct event *writable;

    char *input;
    size_t input_size;
    size_t input_room;
    size_t input_at;   /* of the request at hand */
    size_t input_need; /* bytes the request that lies there will take at least; 0: not known */

    struct resp_buffer output;
    size_t output_counted;               /* of its room, in the sum of all */
    size_t sent;                         /* of output */
    int passed[SESSION_PASSED_MAX];      /* descriptors that go with the byte at passed_at */
    size_t passed_count;
    size_t passed_at;

    unsigned version;                    /* of RESP: 2 or 3 */
    uint32_t bucket_id;
    uint8_t bucket_name[BTS_BUCKET_NAME_MAX]; /* when it was selected */
    size_t bucket_name_size;
    char name[SESSION_NAME_MAX + 1];
    char library[SESSION_NAME_MAX + 1];
    char library_version[SESSION_NAME_MAX + 1];

    struct write *transaction;           /* between MULTI and EXEC */
    bool transaction_failed;
    size_t writes_under_way;
    struct ticket *ticket;               /* the checkpoint it waits for, or keeps pinned */
};

/* All sessions. */
struct sessions {
    struct session *first;
    struct session *touched;
    struct session **last_touched;
    size_t count;
    uint64_t next_id;
    uint64_t accepted;
    uint64_t refused;
    uint64_t commands;
    uint64_t input_bytes;  /* room of all inputs */
    uint64_t output_bytes; /* room of all outputs, as of when each was last settled */
    struct bts_bytes *parts; /* of the request at hand; RESP_PARTS_MAX */
};

BTS_MUST_USE enum bts_status sessions_init(struct sessions *sessions, struct bts_error *error);
void sessions_fini(struct sessions *sessions);

/*
 * Starts a session on a connection, which it then owns, also on failure.
 * `refusal`: not NULL: why the peer may not be here.
 */
BTS_MUST_USE enum bts_status session_open(struct server *server, int fd, const struct peer *peer,
                                          const struct bts_error *refusal,
                                          struct bts_error *error);

/* Closes at once and forgets; the memory goes when its last write has come back. */
void session_close(struct session *session);

/* Has it looked at at the end of the turn: input goes on, output is sent. */
void session_touch(struct session *session);

/* Closes sessions that were refused and say nothing; to be called every second or so. */
void sessions_sweep(struct server *server);

/* Does that for all that were touched. */
void sessions_settle(struct server *server);

/* A write of the session came back from the engine: answers, and recycles it. */
void session_write_done(struct session *session, struct write *write);

/*
 * Gives away the input's memory, to be freed by the taker, if the request at hand
 * is all that lies there; NULL: it is not.
 */
char *session_give_input(struct session *session, const struct bts_bytes *last_part);

/* Descriptors that go with the next byte of output; they are closed once sent.  False: others
 * still wait. */
bool session_pass(struct session *session, const int *fds, size_t count);

/* Bytes of output that are not sent yet. */
static inline size_t session_pending(const struct session *session)
{
    return session->output.size - session->sent;
}

#endif
