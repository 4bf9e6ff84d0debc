/* SPDX-License-Identifier: MIT */
/*
 * commands_connection: what concerns the connection itself.
 */
#include "server/commands.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The version of Redis whose commands these are, for clients that ask. */
#define REDIS_VERSION "7.0.0"

static void connection_ping(struct call *call)
{
    if (call->part_count > 2) {
        call_error(call, "wrong number of arguments for 'ping' command");
    } else if (call->part_count == 2) {
        resp_bulk(call->out, call->parts[1].data, call->parts[1].size);
    } else {
        resp_simple(call->out, "PONG");
    }
}

static void connection_echo(struct call *call)
{
    resp_bulk(call->out, call->parts[1].data, call->parts[1].size);
}

/* ---- HELLO ----------------------------------------------------------------------- */

/* Copies a name that clients give themselves; false: unprintable, blank or too long. */
static bool connection_set_text(char to[SESSION_NAME_MAX + 1], const struct bts_bytes *word)
{
    const char *text = word->data;

    if (word->size > SESSION_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < word->size; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    if (word->size > 0) {
        memcpy(to, text, word->size);
    }
    to[word->size] = '\0';
    return true;
}

static const char connection_bad_name[] =
    "Client names cannot contain spaces, newlines or special characters.";

/* The options behind HELLO version; false: answered with an error. */
static bool connection_hello_options(struct call *call)
{
    for (size_t i = 2; i < call->part_count; i++) {
        if (call_part_is(call, i, "auth")) {
            call_error(call, "HELLO: AUTH: there are no passwords here: access goes by user id");
            return false;
        }
        if (!call_part_is(call, i, "setname") || i + 1 == call->part_count) {
            call_error(call, "Syntax error in HELLO option");
            return false;
        }
        if (!connection_set_text(call->session->name, &call->parts[++i])) {
            call_error(call, connection_bad_name);
            return false;
        }
    }
    return true;
}

static void connection_hello(struct call *call)
{
    struct session *session = call->session;
    int64_t version = session->version;

    if (call->part_count > 1 &&
        (!call_number(&call->parts[1], &version) || version < 2 || version > 3)) {
        resp_error(call->out, "NOPROTO", "unsupported protocol version");
        return;
    }
    if (!connection_hello_options(call)) {
        return;
    }
    session->version = (unsigned)version;
    resp_map(call->out, 8, session->version);
    resp_text(call->out, "server");
    resp_text(call->out, "btstore");
    resp_text(call->out, "version");
    resp_text(call->out, REDIS_VERSION);
    resp_text(call->out, "btstore_version");
    resp_text(call->out, PACKAGE_VERSION);
    resp_text(call->out, "proto");
    resp_number(call->out, version);
    resp_text(call->out, "id");
    resp_number(call->out, (int64_t)session->id);
    resp_text(call->out, "mode");
    resp_text(call->out, "standalone");
    resp_text(call->out, "role");
    resp_text(call->out, "master");
    resp_text(call->out, "modules");
    resp_array(call->out, 0);
}

/* ---- SELECT ---------------------------------------------------------------------- */

static void connection_select(struct call *call)
{
    struct session *session = call->session;
    struct named_bucket bucket;
    struct bts_error error;

    if (call_find_bucket(call, &call->parts[1], &bucket, &error) != BTS_OK) {
        call_failed(call, &error);
        return;
    }
    session->bucket_id = bucket.record.id;
    session->bucket_name_size = bucket.name_size;
    memcpy(session->bucket_name, bucket.name, bucket.name_size);
    resp_simple(call->out, "OK");
}

/* ---- CLIENT ---------------------------------------------------------------------- */

static void connection_client_id(struct call *call)
{
    resp_number(call->out, (int64_t)call->session->id);
}

static void connection_client_getname(struct call *call)
{
    if (call->session->name[0] == '\0') {
        resp_null(call->out, call->version);
    } else {
        resp_text(call->out, call->session->name);
    }
}

static void connection_client_setname(struct call *call)
{
    if (!connection_set_text(call->session->name, &call->parts[2])) {
        call_error(call, connection_bad_name);
        return;
    }
    resp_simple(call->out, "OK");
}

static void connection_client_setinfo(struct call *call)
{
    struct session *session = call->session;
    char *to = call_part_is(call, 2, "lib-name")  ? session->library
               : call_part_is(call, 2, "lib-ver") ? session->library_version
                                                  : NULL;

    if (to == NULL) {
        char word[CALL_TEXT_SIZE];
        call_error(call, "Unrecognized option '%s'", call_text(&call->parts[2], word));
    } else if (!connection_set_text(to, &call->parts[3])) {
        call_error(call, "lib-name and lib-ver cannot contain spaces, newlines or special "
                         "characters.");
    } else {
        resp_simple(call->out, "OK");
    }
}

static void connection_describe(const struct session *session, struct resp_buffer *out)
{
    char line[1400];
    uint64_t age_s = (server_now_ms() - session->since_ms) / 1000;
    int size = snprintf(line, sizeof(line),
                        "id=%" PRIu64 " addr=pid:%d uid=%u fd=%d name=%s age=%" PRIu64
                        " db=%" PRIu32 " multi=%d qbuf=%zu obl=%zu resp=%u lib-name=%s "
                        "lib-ver=%s\n",
                        session->id, (int)session->peer.pid, (unsigned)session->peer.uid,
                        session->fd, session->name, age_s, session->bucket_id,
                        session->transaction != NULL ? (int)session->transaction->plan.count : -1,
                        session->input_size, session_pending(session), session->version,
                        session->library, session->library_version);
    resp_append(out, line, (size_t)size);
}

static void connection_client_list(struct call *call)
{
    struct resp_buffer *text = call_scratch(call);

    for (const struct session *session = call->server->sessions.first; session != NULL;
         session = session->next) {
        connection_describe(session, text);
    }
    resp_bulk(call->out, text->data, text->size);
}

static void connection_client_info(struct call *call)
{
    struct resp_buffer *text = call_scratch(call);

    connection_describe(call->session, text);
    resp_bulk(call->out, text->data, text->size);
}

static void connection_ok(struct call *call)
{
    resp_simple(call->out, "OK");
}

static const struct command connection_client[] = {
    {"id", 2, 0, 0, 0, 0, connection_client_id, NULL, NULL},
    {"getname", 2, 0, 0, 0, 0, connection_client_getname, NULL, NULL},
    {"setname", 3, 0, 0, 0, 0, connection_client_setname, NULL, NULL},
    {"setinfo", 4, 0, 0, 0, 0, connection_client_setinfo, NULL, NULL},
    {"list", -2, 0, 0, 0, 0, connection_client_list, NULL, NULL},
    {"info", 2, 0, 0, 0, 0, connection_client_info, NULL, NULL},
    {"no-evict", 3, 0, 0, 0, 0, connection_ok, NULL, NULL},
    {"no-touch", 3, 0, 0, 0, 0, connection_ok, NULL, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

/* ---- the end --------------------------------------------------------------------- */

static void connection_quit(struct call *call)
{
    resp_simple(call->out, "OK");
    call->session->closing = true;
}

/* As if the connection had just been made. */
static void connection_reset(struct call *call)
{
    struct session *session = call->session;

    if (session->transaction != NULL) {
        group_recycle(&call->server->group, session->transaction);
        session->transaction = NULL;
    }
    session->transaction_failed = false;
    session->version = 2;
    session->bucket_id = 0;
    session->bucket_name_size = sizeof(BTS_DEFAULT_BUCKET) - 1;
    memcpy(session->bucket_name, BTS_DEFAULT_BUCKET, session->bucket_name_size);
    session->name[0] = '\0';
    resp_simple(call->out, "RESET");
}

static void connection_auth(struct call *call)
{
    call_error(call, "AUTH: there are no passwords here: access goes by user id");
}

const struct command commands_connection[] = {
    {"ping", -1, 0, 0, 0, 0, connection_ping, NULL, NULL},
    {"echo", 2, 0, 0, 0, 0, connection_echo, NULL, NULL},
    {"hello", -1, 0, 0, 0, 0, connection_hello, NULL, NULL},
    {"select", 2, 0, 0, 0, 0, connection_select, NULL, NULL},
    {"client", -2, 0, 0, 0, 0, NULL, NULL, connection_client},
    {"auth", -2, 0, 0, 0, 0, connection_auth, NULL, NULL},
    {"quit", -1, COMMAND_IN_MULTI, 0, 0, 0, connection_quit, NULL, NULL},
    {"reset", 1, COMMAND_IN_MULTI, 0, 0, 0, connection_reset, NULL, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
