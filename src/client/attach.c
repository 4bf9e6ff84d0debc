/* SPDX-License-Identifier: MIT */
/*
 * attach: BTS.ATTACH from the client's side.
 *
 * The reply is an array of pairs: abi 1, page_size, uuid (32 hex digits),
 * path, daemon, generation.  Pairs that this version does not know are left
 * alone; what must agree with the beacon is compared.
 */
#include "client/attach.h"

#include "base/err.h"
#include "client/deadline.h"
#include "format/resp.h"

#include <string.h>

#define ATTACH_ABI 1

static const char attach_request[] = "*2\r\n$10\r\nBTS.ATTACH\r\n$1\r\n1\r\n";

enum bts_status attach_begin(struct attach *attach, struct connection *connection, uint64_t span,
                             struct bts_error *error)
{
    struct iovec vector = {(void *)(uintptr_t)attach_request, sizeof(attach_request) - 1};
    struct iovec *vectors = &vector;
    size_t left = 1;
    enum bts_status status;

    *attach = (struct attach){.connection = connection, .span = span};
    status = connection_push(connection, &vectors, &left, error);
    if (status == BTS_OK && left > 0) {
        return err_set(error, BTS_UNAVAILABLE, "the daemon's socket is full at once");
    }
    return status;
}

void attach_abort(struct attach *attach)
{
    fork_guard_lock();
    attachment_destroy(attach->attachment);
    fork_guard_unlock();
    attach->attachment = NULL;
}

/* Receives; what descriptors there are become an attachment before any fork can see them. */
static enum bts_status attach_pull(struct attach *attach, struct bts_error *error)
{
    struct connection_fds fds = {.count = 0};
    size_t received;
    enum bts_status status;

    fork_guard_lock();
    status = connection_pull(attach->connection, &received, &fds, error);
    if (status == BTS_OK && fds.count == ATTACHMENT_FDS && attach->attachment == NULL) {
        fds.count = 0;
        status = attachment_create(fds.fds, attach->span, &attach->attachment, error);
    }
    connection_fds_close(&fds);
    fork_guard_unlock();
    return status;
}

/* ---- the text of the reply ------------------------------------------------------- */

static bool attach_is(const struct resp_value *value, const char *text)
{
    return (value->type == RESP_BULK || value->type == RESP_SIMPLE) &&
           value->size == strlen(text) && memcmp(value->data, text, value->size) == 0;
}

static int attach_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether the text names the uuid: 32 hex digits, dashes anywhere. */
static bool attach_is_uuid(const struct resp_value *value, const uint8_t uuid[16])
{
    unsigned digit_count = 0;

    if (value->type != RESP_BULK && value->type != RESP_SIMPLE) {
        return false;
    }
    for (size_t i = 0; i < value->size; i++) {
        int digit = attach_hex_digit(value->data[i]);
        if (value->data[i] == '-') {
            continue;
        }
        if (digit < 0 || digit_count == 32 ||
            digit != (digit_count % 2 == 0 ? uuid[digit_count / 2] >> 4
                                           : uuid[digit_count / 2] & 15)) {
            return false;
        }
        digit_count++;
    }
    return digit_count == 32;
}

static enum bts_status attach_check_pair(const struct resp_value *name,
                                         const struct resp_value *value,
                                         const struct beacon *beacon, struct bts_error *error)
{
    if (attach_is(name, "abi") && value->type == RESP_NUMBER && value->number != ATTACH_ABI) {
        return err_set(error, BTS_VERSION,
                       "the daemon attaches by version %lld, this library knows %d; update the "
                       "older of the two",
                       (long long)value->number, ATTACH_ABI);
    }
    if (attach_is(name, "page_size") && value->type == RESP_NUMBER &&
        value->number != (int64_t)beacon->page_size) {
        return err_set(error, BTS_INVALID, "the daemon says pages of %lld bytes, its beacon %u",
                       (long long)value->number, beacon->page_size);
    }
    if (attach_is(name, "uuid") && !attach_is_uuid(value, beacon->uuid)) {
        return err_set(error, BTS_INVALID, "the daemon's beacon belongs to another store");
    }
    return BTS_OK;
}

static enum bts_status attach_check_reply(const struct attach *attach, const char *reply,
                                          size_t reply_size, struct bts_error *error)
{
    struct resp_value array, name, value;
    size_t position = 0;
    enum bts_status status = connection_refusal(reply, reply_size, error);

    if (status == BTS_UNAVAILABLE) {
        /* A daemon that cannot serve us is one all the same: none is to be started beside it. */
        if (error != NULL) {
            error->status = BTS_BUSY;
        }
        return BTS_BUSY;
    }
    if (status != BTS_OK) {
        return status;
    }
    if (attach->attachment == NULL) {
        return err_set(error, BTS_INVALID, "the daemon answered BTS.ATTACH without descriptors");
    }
    if (resp_reply_next(reply, reply_size, &position, &array) != RESP_OK ||
        array.type != RESP_ARRAY) {
        return err_set(error, BTS_INVALID, "the daemon's answer to BTS.ATTACH makes no sense");
    }
    while (status == BTS_OK && position < reply_size) {
        if (resp_reply_next(reply, reply_size, &position, &name) != RESP_OK ||
            resp_reply_next(reply, reply_size, &position, &value) != RESP_OK) {
            return err_set(error, BTS_INVALID, "the daemon's answer to BTS.ATTACH is cut short");
        }
        status = attach_check_pair(&name, &value, attach->attachment->beacon, error);
    }
    return status;
}

/* ---- steps ----------------------------------------------------------------------- */

enum bts_status attach_step(struct attach *attach, bool *done, struct bts_error *error)
{
    const char *reply = NULL;
    size_t reply_size = 0;
    enum bts_status status = attach_pull(attach, error);

    *done = false;
    if (status == BTS_OK) {
        status = connection_reply(attach->connection, &reply, &reply_size, error);
    }
    if (status != BTS_OK || reply == NULL) {
        return status;
    }
    status = attach_check_reply(attach, reply, reply_size, error);
    connection_take(attach->connection, reply_size);
    *done = status == BTS_OK;
    return status;
}

enum bts_status attach_wait(struct connection *connection, uint64_t span, uint64_t deadline,
                            struct attachment **attachment, struct bts_error *error)
{
    struct attach attach;
    bool done = false;
    enum bts_status status = attach_begin(&attach, connection, span, error);

    *attachment = NULL;
    while (status == BTS_OK && !done) {
        if (!connection_poll(connection->fd, false, deadline)) {
            status = err_set(error, BTS_TIMEOUT, "the daemon does not answer; is it stopped?");
        } else {
            status = attach_step(&attach, &done, error);
        }
    }
    if (status != BTS_OK) {
        attach_abort(&attach);
        return status;
    }
    *attachment = attach.attachment;
    return BTS_OK;
}
