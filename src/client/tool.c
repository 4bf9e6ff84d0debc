/* SPDX-License-Identifier: MIT */
/*
 * tool: readers, checkpoint and any other command, each waited for.
 *
 * They have a connection of their own, made at first use, so that a checkpoint
 * of seconds holds up no commit.
 */
#include "client/tool.h"

#include "base/err.h"
#include "client/deadline.h"
#include "format/resp.h"

#include <stdlib.h>
#include <string.h>

enum bts_status tool_ask(const struct bts_store *store, struct connection *connection,
                         const struct bts_bytes *parts, size_t part_count, const char **reply,
                         size_t *reply_size, struct bts_error *error)
{
    uint64_t deadline = deadline_after(store->timeout_ms);
    enum bts_status status = BTS_OK;

    *reply = NULL;
    *reply_size = 0;
    /* What was asked before a daemon's restart is of no interest any more. */
    if (connection->fd >= 0 && !connection_is_alive(connection)) {
        connection_close(connection);
    }
    if (connection->fd < 0) {
        status = store_connect(store, connection, deadline, error);
    }
    if (status == BTS_OK) {
        status =
            connection_ask(connection, parts, part_count, deadline, reply, reply_size, error);
    }
    if (status != BTS_OK) {
        connection_close(connection);
        return status;
    }
    return connection_refusal(*reply, *reply_size, error);
}

bool tool_read_numbers(const char *reply, size_t reply_size, size_t *position, int64_t *numbers,
                       size_t count)
{
    struct resp_value value;

    if (resp_reply_next(reply, reply_size, position, &value) != RESP_OK ||
        value.type != RESP_ARRAY || value.number < (int64_t)count) {
        return false;
    }
    for (int64_t i = 0; i < value.number; i++) {
        struct resp_value number;
        /* Fields that a later version appends are left alone. */
        if (resp_reply_next(reply, reply_size, position, &number) != RESP_OK ||
            number.type != RESP_NUMBER) {
            return false;
        }
        if (i < (int64_t)count) {
            numbers[i] = number.number;
        }
    }
    return true;
}

/* ---- the public calls -------------------------------------------------------------- */

static enum bts_status tool_check(const struct bts_store *store, struct bts_error *error)
{
    enum bts_status status = store_check_fork(store, error);

    if (status == BTS_OK && store_is_alone(store)) {
        status = err_set(error, BTS_UNAVAILABLE, "%s: opened alone: there is no daemon to ask",
                         store->name);
    }
    return status;
}

enum bts_status bts_store_command(struct bts_store *store, const struct bts_bytes *parts,
                                  size_t part_count, char **reply, size_t *reply_size,
                                  struct bts_error *error)
{
    const char *received;
    size_t received_size;
    enum bts_status status = tool_check(store, error);

    *reply = NULL;
    *reply_size = 0;
    if (status != BTS_OK) {
        return status;
    }
    pthread_mutex_lock(&store->tool_lock);
    status = tool_ask(store, &store->tool, parts, part_count, &received, &received_size, error);
    /* An error reply is a reply, too: its text is the caller's to read. */
    if (received != NULL) {
        *reply = malloc(received_size);
        status = *reply != NULL ? BTS_OK
                                : err_set(error, BTS_NO_MEMORY, "no memory for %zu bytes of reply",
                                          received_size);
    }
    if (*reply != NULL) {
        memcpy(*reply, received, received_size);
        *reply_size = received_size;
    }
    pthread_mutex_unlock(&store->tool_lock);
    return status == BTS_OK ? BTS_OK : store_failed(store, status, error);
}

/* Sends a command of one word and keeps the reply, which the caller frees. */
static enum bts_status tool_fetch(struct bts_store *store, struct bts_bytes word, char **reply,
                                  size_t *reply_size, struct bts_error *error)
{
    enum bts_status status = bts_store_command(store, &word, 1, reply, reply_size, error);

    if (status == BTS_OK) {
        status = connection_refusal(*reply, *reply_size, error);
        if (status != BTS_OK) {
            free(*reply);
            *reply = NULL;
            return store_failed(store, status, error);
        }
    }
    return status;
}

enum bts_status bts_store_checkpoint(struct bts_store *store, uint64_t *txnid,
                                     struct bts_error *error)
{
    struct resp_value value = {.type = RESP_NULL};
    size_t position = 0;
    size_t reply_size;
    char *reply;
    enum bts_status status =
        tool_fetch(store, TOOL_WORD("BTS.CHECKPOINT"), &reply, &reply_size, error);

    if (txnid != NULL) {
        *txnid = 0;
    }
    if (status != BTS_OK) {
        return status;
    }
    if (resp_reply_next(reply, reply_size, &position, &value) == RESP_OK &&
        value.type == RESP_ARRAY) {
        (void)resp_reply_next(reply, reply_size, &position, &value);
    }
    free(reply);
    if (value.type != RESP_NUMBER) {
        return err_set(error, BTS_INVALID,
                       "%s: the daemon's answer to BTS.CHECKPOINT makes no sense", store->name);
    }
    if (txnid != NULL) {
        *txnid = (uint64_t)value.number;
    }
    return BTS_OK;
}

/* ---- readers --------------------------------------------------------------------- */

enum tool_reader_field {
    TOOL_READER_PID,
    TOOL_READER_UID,
    TOOL_READER_SNAPSHOTS,
    TOOL_READER_OLDEST,
    TOOL_READER_ATTACHED_MS,
    TOOL_READER_RETAINED,
    TOOL_READER_FIELDS,
};

static bool tool_read_readers(const char *reply, size_t reply_size, struct bts_reader **readers,
                              size_t *reader_count)
{
    struct resp_value array;
    size_t position = 0;
    struct bts_reader *read;

    if (resp_reply_next(reply, reply_size, &position, &array) != RESP_OK ||
        array.type != RESP_ARRAY || (uint64_t)array.number > reply_size) {
        return false;
    }
    read = calloc((size_t)array.number + 1, sizeof(*read));
    for (int64_t i = 0; i < array.number && read != NULL; i++) {
        int64_t field[TOOL_READER_FIELDS];
        if (!tool_read_numbers(reply, reply_size, &position, field, TOOL_READER_FIELDS)) {
            free(read);
            return false;
        }
        read[i] = (struct bts_reader){
            .pid = (int32_t)field[TOOL_READER_PID],
            .uid = (uint32_t)field[TOOL_READER_UID],
            .snapshot_count = (uint32_t)field[TOOL_READER_SNAPSHOTS],
            .oldest_txnid = (uint64_t)field[TOOL_READER_OLDEST],
            .attached_ms = (uint64_t)field[TOOL_READER_ATTACHED_MS],
            .retained_bytes = (uint64_t)field[TOOL_READER_RETAINED],
        };
    }
    *readers = read;
    *reader_count = read != NULL ? (size_t)array.number : 0;
    return true;
}

enum bts_status bts_store_readers(struct bts_store *store, struct bts_reader **readers,
                                  size_t *reader_count, struct bts_error *error)
{
    size_t reply_size;
    char *reply;
    bool is_valid;
    enum bts_status status =
        tool_fetch(store, TOOL_WORD("BTS.READERS"), &reply, &reply_size, error);

    *readers = NULL;
    *reader_count = 0;
    if (status != BTS_OK) {
        return status;
    }
    is_valid = tool_read_readers(reply, reply_size, readers, reader_count);
    free(reply);
    if (!is_valid) {
        return err_set(error, BTS_INVALID, "%s: the daemon's answer to BTS.READERS makes no sense",
                       store->name);
    }
    return *readers != NULL ? BTS_OK
                            : err_set(error, BTS_NO_MEMORY, "%s: no memory for the readers",
                                      store->name);
}
