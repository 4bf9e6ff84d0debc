/* SPDX-License-Identifier: MIT */
/*
 * commands: finding the handler of a request, and running it in its turn.
 */
#include "server/commands.h"

#include "base/err.h"
#include "read/bucket.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct command *const command_tables[] = {
    commands_keys,   commands_native, commands_connection, commands_transaction,
    commands_scan,   commands_bucket, commands_info,       NULL,
};

/* ---- finding --------------------------------------------------------------------- */

bool call_word_is(const struct bts_bytes *word, const char *lower)
{
    return strlen(lower) == word->size && strncasecmp(word->data, lower, word->size) == 0;
}

bool call_part_is(const struct call *call, size_t index, const char *lower)
{
    return index < call->part_count && call_word_is(&call->parts[index], lower);
}

static const struct command *command_find_in(const struct command *table,
                                             const struct bts_bytes *word)
{
    for (; table->name != NULL; table++) {
        if (call_word_is(word, table->name)) {
            return table;
        }
    }
    return NULL;
}

const struct command *command_find(const struct bts_bytes *word)
{
    const struct command *found = NULL;

    for (size_t i = 0; found == NULL && command_tables[i] != NULL; i++) {
        found = command_find_in(command_tables[i], word);
    }
    return found;
}

static bool command_arity_fits(const struct command *command, size_t part_count)
{
    return command->arity >= 0 ? part_count == (size_t)command->arity
                               : part_count >= (size_t)-command->arity;
}

const char *call_text(const struct bts_bytes *word, char text[CALL_TEXT_SIZE])
{
    const unsigned char *from = word->data;
    size_t size = word->size < CALL_TEXT_SIZE - 1 ? word->size : CALL_TEXT_SIZE - 1;

    for (size_t i = 0; i < size; i++) {
        text[i] = from[i] >= ' ' && from[i] < 127 ? (char)from[i] : '?';
    }
    text[size] = '\0';
    return text;
}

static void command_unknown(struct call *call)
{
    char name[CALL_TEXT_SIZE];
    char arguments[CALL_TEXT_SIZE * 2] = "";
    size_t size = 0;

    for (size_t i = 1; i < call->part_count && size < CALL_TEXT_SIZE; i++) {
        char word[CALL_TEXT_SIZE];
        int added = snprintf(arguments + size, sizeof(arguments) - size, "'%s' ",
                             call_text(&call->parts[i], word));
        size += (size_t)added;
    }
    call_error(call, "unknown command '%s', with args beginning with: %s",
               call_text(&call->parts[0], name), arguments);
}

/*
 * The command of a request, or the subcommand; NULL: there is none, and the
 * text of that is the reply.
 */
static const struct command *command_resolve(struct call *call)
{
    const struct command *command = command_find(&call->parts[0]);
    const struct command *container = NULL;
    char word[CALL_TEXT_SIZE];

    if (command == NULL) {
        command_unknown(call);
        return NULL;
    }
    if (command->subcommands != NULL && call->part_count >= 2) {
        container = command;
        command = command_find_in(container->subcommands, &call->parts[1]);
        if (command == NULL) {
            call_error(call, "unknown subcommand '%s' of %s", call_text(&call->parts[1], word),
                       container->name);
            return NULL;
        }
    }
    if (!command_arity_fits(command, call->part_count)) {
        call_error(call, "wrong number of arguments for '%s%s%s' command",
                   container != NULL ? container->name : "", container != NULL ? "|" : "",
                   command->name);
        return NULL;
    }
    return command;
}

/* ---- running --------------------------------------------------------------------- */

/* Builds into the session's transaction instead of running. */
static void command_queue(struct call *call)
{
    struct session *session = call->session;
    struct bts_error error;

    if (call->command->build == NULL) {
        session->transaction_failed = true;
        call_error(call, "%s cannot be part of a MULTI", call->command->name);
        return;
    }
    if (call->command->build(call, session->transaction, &error) != BTS_OK) {
        session->transaction_failed = true;
        call_failed(call, &error);
        return;
    }
    resp_simple(call->out, "QUEUED");
}

/* Builds a batch of its own and queues it for the next group. */
static enum call_result command_write(struct call *call)
{
    struct session *session = call->session;
    struct group *group = &call->server->group;
    struct bts_error error;

    if (group_is_full(group)) {
        return CALL_WAIT;
    }
    struct write *write = group_new_write(group);
    enum bts_status status =
        write == NULL ? err_set(&error, BTS_NO_MEMORY, "out of memory")
                      : call->command->build(call, write, &error);
    if (status == BTS_OK) {
        group_add(group, write, session);
        session->writes_under_way++;
        return CALL_DONE;
    }
    if (write != NULL) {
        group_recycle(group, write);
    }
    if (session->writes_under_way > 0) {
        return CALL_WAIT; /* its error is told when those before it have answered */
    }
    call_failed(call, &error);
    return CALL_DONE;
}

/* Runs a command that answers at once; a reply beyond all bounds becomes an error. */
static void command_run(struct call *call)
{
    size_t before = call->out->size;

    call->command->run(call);
    if (call->out->size - before > SESSION_REPLY_MAX) {
        call->out->size = before;
        resp_error(call->out, "LIMIT", "the reply would be over 256 MiB; ask for less at a time");
    }
}

enum call_result commands_run(struct session *session, const struct bts_bytes *parts,
                              size_t part_count)
{
    struct call call = {.server = session->server,
                        .session = session,
                        .parts = parts,
                        .part_count = part_count,
                        .out = &session->output,
                        .version = session->version};
    size_t before = session->output.size;

    call.command = command_resolve(&call);
    bool queued = call.command != NULL && session->transaction != NULL &&
                  (call.command->flags & COMMAND_IN_MULTI) == 0;
    if (call.command != NULL && !queued && call.command->run == NULL) {
        enum call_result result = command_write(&call);
        session->server->sessions.commands += result == CALL_DONE;
        return result;
    }
    if (session->writes_under_way > 0) {
        session->output.size = before; /* it answers at once, so it waits for those before it */
        return CALL_WAIT;
    }
    session->server->sessions.commands++;
    if (call.command == NULL) {
        session->transaction_failed = session->transaction != NULL;
    } else if (queued) {
        command_queue(&call);
    } else {
        command_run(&call);
    }
    return CALL_DONE;
}

/* ---- for handlers ---------------------------------------------------------------- */

void call_error(struct call *call, const char *format, ...)
{
    char text[BTS_ERROR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    resp_error(call->out, "ERR", text);
}

void call_failed(struct call *call, const struct bts_error *error)
{
    resp_status_error(call->out, error->status, error->text);
}

struct resp_buffer *call_scratch(struct call *call)
{
    struct resp_buffer *scratch = &call->server->scratch;

    if (scratch->failed || scratch->room > SESSION_OUTPUT_HIGH) {
        resp_buffer_fini(scratch);
    }
    scratch->size = 0;
    return scratch;
}

bool call_number(const struct bts_bytes *word, int64_t *number)
{
    const char *next = word->data;
    const char *end = next + word->size;
    bool negative = next < end && *next == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    uint64_t value = 0;

    *number = 0;
    next += negative;
    if (next == end) {
        return false;
    }
    for (; next < end; next++) {
        unsigned digit = (unsigned)(unsigned char)*next - '0';
        if (digit > 9 || value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

enum bts_status call_add(struct call *call, struct write *write, enum batch_type type,
                         unsigned flags, const struct bts_bytes *first, const void *second,
                         size_t second_size, struct bts_error *error)
{
    uint32_t id = call->session->bucket_id;

    if (write->bucket_id != id) {
        enum bts_status status =
            batch_add(&write->batch, BATCH_USE_ID, 0, NULL, 0, &id, sizeof(id), error);
        if (status != BTS_OK) {
            return status;
        }
        write->bucket_id = id;
    }
    return batch_add(&write->batch, type, flags, first != NULL ? first->data : NULL,
                     first != NULL ? first->size : 0, second, second_size, error);
}

enum bts_status call_session_bucket(struct call *call, struct tree_view *view,
                                    struct bts_error *error)
{
    struct session *session = call->session;
    struct tree_view directory = commit_latest(call->server->commit);
    struct bucket_record record;
    enum bts_status status = bucket_find(&directory, session->bucket_name,
                                         session->bucket_name_size, &record, error);

    if ((status == BTS_OK && record.id != session->bucket_id) || status == BTS_NO_BUCKET) {
        /* Renamed since it was selected, or dropped. */
        status = bucket_find_id(&directory, session->bucket_id, &record, session->bucket_name,
                                &session->bucket_name_size, error);
    }
    if (status == BTS_OK) {
        *view = bucket_view(&directory, &record);
    }
    return status;
}

bool call_word_is_digits(const struct bts_bytes *word)
{
    const char *text = word->data;

    for (size_t i = 0; i < word->size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return word->size > 0;
}

enum bts_status call_find_bucket(struct call *call, const struct bts_bytes *word,
                                 struct named_bucket *bucket, struct bts_error *error)
{
    struct tree_view directory = commit_latest(call->server->commit);
    int64_t id = 0;

    if (call_word_is_digits(word)) {
        if (!call_number(word, &id) || id > UINT32_MAX) {
            return err_set(error, BTS_NO_BUCKET, "no bucket has so high a number");
        }
        return bucket_find_id(&directory, (uint32_t)id, &bucket->record, bucket->name,
                              &bucket->name_size, error);
    }
    if (word->size == 0 || word->size > BTS_BUCKET_NAME_MAX) {
        return err_set(error, BTS_NO_BUCKET, "a bucket's name has 1 to %u bytes, not %zu",
                       BTS_BUCKET_NAME_MAX, word->size);
    }
    memcpy(bucket->name, word->data, word->size);
    bucket->name_size = word->size;
    return bucket_find(&directory, word->data, word->size, &bucket->record, error);
}
