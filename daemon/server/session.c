/* SPDX-License-Identifier: MIT */
/*
 * session: see session.h.
 */
#include "server/session.h"

#include "base/bytes.h"
#include "base/err.h"
#include "server/commands.h"
#include "server/ticket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

/* ---- life ------------------------------------------------------------------------ */

enum bts_status sessions_init(struct sessions *sessions, struct bts_error *error)
{
    memset(sessions, 0, sizeof(*sessions));
    sessions->next_id = 1;
    sessions->last_touched = &sessions->touched;
    /* Large, but only what requests fill of it ever takes memory. */
    sessions->parts = calloc(RESP_PARTS_MAX, sizeof(*sessions->parts));
    if (sessions->parts == NULL) {
        return err_set(error, BTS_NO_MEMORY, "sessions: out of memory");
    }
    return BTS_OK;
}

static void session_free(struct session *session)
{
    if (session->readable != NULL) {
        event_free(session->readable);
    }
    if (session->writable != NULL) {
        event_free(session->writable);
    }
    resp_buffer_fini(&session->output);
    free(session->input);
    free(session);
}

static void session_close_passed(struct session *session)
{
    for (size_t i = 0; i < session->passed_count; i++) {
        close(session->passed[i]);
    }
    session->passed_count = 0;
}

void session_close(struct session *session)
{
    struct server *server = session->server;

    if (session->dead) {
        return;
    }
    session->dead = true;
    event_del(session->readable);
    event_del(session->writable);
    close(session->fd);
    session->fd = -1;
    session_close_passed(session);
    ticket_close(session);
    if (session->transaction != NULL) {
        group_recycle(&server->group, session->transaction);
        session->transaction = NULL;
    }
    server->sessions.input_bytes -= session->input_room;
    server->sessions.output_bytes -= session->output_counted;
    server->sessions.count--;
    *session->link = session->next;
    if (session->next != NULL) {
        session->next->link = session->link;
    }
    session_touch(session);
}

/*
 * Bytes to be read at once: all there is room for; but of a large request no
 * more than its rest, so that its batch is the end of the buffer and can be
 * given away with it.
 */
static size_t session_wants(const struct session *session)
{
    size_t room = session->input_room - session->input_size;

    return session->input_need > SESSION_READ_SIZE && session->input_need > session->input_size
               ? bytes_min(room, session->input_need - session->input_size)
               : room;
}

static void session_on_readable(evutil_socket_t fd, short what, void *context);
static void session_on_writable(evutil_socket_t fd, short what, void *context);

enum bts_status session_open(struct server *server, int fd, const struct peer *peer,
                             const struct bts_error *refusal, struct bts_error *error)
{
    struct sessions *sessions = &server->sessions;
    struct session *session = calloc(1, sizeof(*session));

    if (session != NULL) {
        session->readable =
            event_new(server->base, fd, EV_READ | EV_PERSIST, session_on_readable, session);
        session->writable =
            event_new(server->base, fd, EV_WRITE | EV_PERSIST, session_on_writable, session);
    }
    if (session == NULL || session->readable == NULL || session->writable == NULL ||
        event_add(session->readable, NULL) != 0) {
        if (session != NULL) {
            session_free(session);
        }
        close(fd);
        return err_set(error, BTS_NO_MEMORY, "client: out of memory for another one");
    }
    session->server = server;
    session->fd = fd;
    session->peer = *peer;
    session->id = sessions->next_id++;
    session->since_ms = server_now_ms();
    session->version = 2;
    session->is_reading = true;
    session->bucket_name_size = sizeof(BTS_DEFAULT_BUCKET) - 1;
    memcpy(session->bucket_name, BTS_DEFAULT_BUCKET, session->bucket_name_size);
    session->next = sessions->first;
    session->link = &sessions->first;
    if (session->next != NULL) {
        session->next->link = &session->next;
    }
    sessions->first = session;
    sessions->count++;
    sessions->accepted++;
    if (refusal != NULL) {
        session->refused = true;
        sessions->refused++;
        resp_status_error(&session->output, refusal->status, refusal->text);
        session_touch(session);
    }
    return BTS_OK;
}

void sessions_fini(struct sessions *sessions)
{
    while (sessions->first != NULL) {
        session_close(sessions->first);
    }
    while (sessions->touched != NULL) {
        struct session *session = sessions->touched;
        sessions->touched = session->next_touched;
        session_free(session);
    }
    free(sessions->parts);
    sessions->parts = NULL;
}

/* ---- input ----------------------------------------------------------------------- */

/* Makes room for one more read: twice what has come, and no more than all may have together. */
static bool session_make_room(struct session *session)
{
    struct sessions *sessions = &session->server->sessions;
    size_t room = session->input_room;

    if (room - session->input_size >= SESSION_READ_SIZE / 4) {
        return true;
    }
    room = room < SESSION_READ_SIZE ? SESSION_READ_SIZE : 2 * room;
    room = bytes_min(room, SESSION_REQUEST_MAX + SESSION_READ_SIZE);
    if (sessions->input_bytes + room > SERVER_INPUT_BYTES_MAX && room > SESSION_READ_SIZE) {
        return false;
    }
    char *grown = realloc(session->input, room);
    if (grown == NULL) {
        return false;
    }
    sessions->input_bytes += room - session->input_room;
    session->input = grown;
    session->input_room = room;
    return true;
}

/* What was taken goes; a large buffer does not stay with a session that is idle. */
static void session_consume(struct session *session, size_t used)
{
    session->input_size -= used;
    if (session->input_size > 0) {
        memmove(session->input, session->input + used, session->input_size);
    } else if (session->input_room > SESSION_INPUT_KEPT) {
        session->server->sessions.input_bytes -= session->input_room;
        free(session->input);
        session->input = NULL;
        session->input_room = 0;
    }
}

char *session_give_input(struct session *session, const struct bts_bytes *last_part)
{
    const char *end = (const char *)last_part->data + last_part->size + 2; /* \r\n */
    char *input = session->input;

    if (session->input_at > 0 || end != input + session->input_size) {
        return NULL;
    }
    session->server->sessions.input_bytes -= session->input_room;
    session->input = NULL; /* session_consume takes off its size */
    session->input_room = 0;
    return input;
}

static bool session_may_run(const struct session *session)
{
    return !session->dead && !session->closing && !session->server->stopping &&
           !ticket_waits(session) &&
           session->writes_under_way < SESSION_WRITES_MAX &&
           session_pending(session) < SESSION_OUTPUT_HIGH;
}

/* Bytes that are no request: the answer waits for its turn as any other does. */
static enum call_result session_protest(struct session *session, const char *why)
{
    if (session->writes_under_way > 0) {
        return CALL_WAIT;
    }
    resp_error(&session->output, "ERR", why);
    session->closing = true;
    return CALL_DONE;
}

/* Takes the request at `at`; CALL_WAIT: it must wait, *used is 0; also when it is not whole yet. */
static enum call_result session_take_request(struct session *session, size_t at, size_t *used)
{
    struct sessions *sessions = &session->server->sessions;
    size_t part_count = 0;
    const char *why = NULL;

    *used = 0;
    enum resp_result result = resp_parse_request(
        session->input + at, session->input_size - at, SESSION_REQUEST_MAX, sessions->parts,
        RESP_PARTS_MAX, &part_count, used, &session->input_need, &why);
    if (result == RESP_MORE) {
        *used = 0;
        session->waiting = false;
        return CALL_WAIT;
    }
    session->waiting = true;
    if (result == RESP_INVALID) {
        return session_protest(session, why);
    }
    if (part_count == 0) {
        return CALL_DONE;
    }
    return commands_run(session, sessions->parts, part_count);
}

/* Takes requests as long as there are whole ones that need not wait. */
static void session_process(struct session *session)
{
    size_t at = 0;
    size_t used = 0;

    session->waiting = false;
    while (at < session->input_size) {
        if (!session_may_run(session)) {
            session->waiting = true;
            break;
        }
        if (session->input_size - at < session->input_need) {
            session->waiting = false;
            break;
        }
        session->input_need = 0;
        session->input_at = at;
        if (session_take_request(session, at, &used) == CALL_WAIT) {
            break;
        }
        session->waiting = false;
        at += used;
    }
    if (!session->dead && at > 0) {
        session_consume(session, at);
    }
}

/* No memory for what it sends.  An answer would look like that of a write still under way. */
static void session_refuse_input(struct session *session)
{
    if (session->writes_under_way > 0) {
        session_close(session);
        return;
    }
    resp_error(&session->output, "LIMIT",
               "the requests of all clients together take too much memory");
    session->closing = true;
    session_touch(session);
}

static void session_on_readable(evutil_socket_t fd, short what, void *context)
{
    struct session *session = context;

    (void)what;
    if (session->dead) {
        return;
    }
    if (!session_make_room(session)) {
        session_refuse_input(session);
        return;
    }
    ssize_t size = recv(fd, session->input + session->input_size, session_wants(session), 0);
    if (session->refused) {
        session->closing = true;
    } else if (size > 0) {
        session->input_size += (size_t)size;
        session_process(session);
    } else if (size == 0) {
        session->ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        session_close(session);
    }
    session_touch(session);
}

/* ---- output ---------------------------------------------------------------------- */

bool session_pass(struct session *session, const int *fds, size_t count)
{
    if (session->passed_count > 0) {
        return false;
    }
    memcpy(session->passed, fds, count * sizeof(*fds));
    session->passed_count = count;
    session->passed_at = session->output.size;
    return true;
}

/* One write of what waits, with the descriptors if it is their turn. */
static ssize_t session_send_some(struct session *session)
{
    struct iovec part = {session->output.data + session->sent, session_pending(session)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(session->passed))];
    } control;

    if (session->passed_count > 0 && session->passed_at > session->sent) {
        part.iov_len = session->passed_at - session->sent;
    } else if (session->passed_count > 0) {
        size_t size = session->passed_count * sizeof(session->passed[0]);
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), session->passed, size);
    }
    ssize_t size = sendmsg(session->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size > 0 && message.msg_control != NULL) {
        session_close_passed(session);
    }
    return size;
}

/* Forgets what was sent. */
static void session_trim_output(struct session *session)
{
    struct resp_buffer *output = &session->output;

    if (session_pending(session) == 0) {
        output->size = 0;
        session->sent = 0;
        if (output->room > SESSION_OUTPUT_KEPT) {
            resp_buffer_fini(output);
        }
    } else if (session->sent >= SESSION_OUTPUT_HIGH) {
        output->size -= session->sent;
        memmove(output->data, output->data + session->sent, output->size);
        session->passed_at -= session->passed_count > 0 ? session->sent : 0;
        session->sent = 0;
    }
}

/* Sends what the socket takes; false: the connection is gone. */
static bool session_send(struct session *session)
{
    if (session->output.failed) {
        return false;
    }
    while (session_pending(session) > 0) {
        ssize_t size = session_send_some(session);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0 && errno != EAGAIN) {
            return false;
        }
        if (size < 0) {
            break;
        }
        session->sent += (size_t)size;
    }
    session_trim_output(session);
    return true;
}

static void session_on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    session_touch(context);
}

/* ---- the end of a turn ----------------------------------------------------------- */

void session_touch(struct session *session)
{
    struct sessions *sessions = &session->server->sessions;

    if (session->is_touched) {
        return;
    }
    session->is_touched = true;
    session->next_touched = NULL;
    *sessions->last_touched = session;
    sessions->last_touched = &session->next_touched;
}

/* Adds or deletes an event so that it is as wanted. */
static void session_want(struct event *event, bool wanted, bool *is_added)
{
    if (wanted != *is_added) {
        *is_added = wanted;
        if (wanted) {
            event_add(event, NULL);
        } else {
            event_del(event);
        }
    }
}

/*
 * Keeps the sum of all outputs up to date.  Beyond its bound whoever has most
 * unsent goes: he asks for more than he reads.
 */
static void session_count_output(struct session *session)
{
    struct sessions *sessions = &session->server->sessions;
    struct session *largest = session;

    sessions->output_bytes += session->output.room - session->output_counted;
    session->output_counted = session->output.room;
    if (sessions->output_bytes <= SERVER_OUTPUT_BYTES_MAX) {
        return;
    }
    for (struct session *other = sessions->first; other != NULL; other = other->next) {
        if (other->output_counted > largest->output_counted) {
            largest = other;
        }
    }
    log_line(&session->server->log, LOG_WARNING,
             "client %llu of user %u does not read its replies: closed",
             (unsigned long long)largest->id, (unsigned)largest->peer.uid);
    session_close(largest);
}

static void session_settle(struct session *session)
{
    /* Sent first, so that output which waited does not hold up the input behind it. */
    bool alive = session_send(session);

    if (alive) {
        session_process(session);
        alive = !session->dead && session_send(session);
    }
    if (!alive) {
        session_close(session);
        return;
    }
    session_count_output(session);
    if (session->dead) {
        return;
    }
    size_t pending = session_pending(session);
    if (session->ended && !session->waiting) {
        session->closing = true;
    }
    if (session->closing && pending == 0 && session->writes_under_way == 0) {
        session_close(session);
        return;
    }
    /* Output made room for a request that waited for just that. */
    if (session->waiting && pending < SESSION_OUTPUT_LOW && session_may_run(session) &&
        session->writes_under_way == 0 && !group_is_full(&session->server->group)) {
        session_touch(session);
    }
    session_want(session->writable, pending > 0, &session->is_writing);
    session_want(session->readable,
                 !session->closing && !session->ended && !session->waiting &&
                     pending < SESSION_OUTPUT_HIGH,
                 &session->is_reading);
}

void sessions_sweep(struct server *server)
{
    uint64_t now = server_now_ms();

    for (struct session *session = server->sessions.first, *next; session != NULL;
         session = next) {
        next = session->next;
        if (session->refused && now - session->since_ms >= SESSION_REFUSED_MS) {
            session_close(session);
        }
    }
}

void sessions_settle(struct server *server)
{
    struct sessions *sessions = &server->sessions;

    while (sessions->touched != NULL) {
        struct session *session = sessions->touched;
        sessions->touched = session->next_touched;
        if (sessions->touched == NULL) {
            sessions->last_touched = &sessions->touched;
        }
        session->is_touched = false;
        if (!session->dead) {
            session_settle(session);
        }
        if (session->dead && session->writes_under_way == 0 && !session->is_touched) {
            session_free(session);
        }
    }
}

void session_write_done(struct session *session, struct write *write)
{
    session->writes_under_way--;
    if (!session->dead) {
        reply_write(&write->plan, &write->request, session->version, &session->output);
    }
    group_recycle(&session->server->group, write);
    session_touch(session);
}
