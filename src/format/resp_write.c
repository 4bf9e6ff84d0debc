/* SPDX-License-Identifier: MIT */
/*
 * resp_write: replies (and the library's requests) into a resp_buffer.
 *
 * A reply is written in one piece: room for all of it is made once, then bytes
 * are stored without further checks.  No printf: it would cost more than the
 * look-up that the reply answers.
 *
 * A buffer whose memory ran out stays as it was, is marked `failed` and takes
 * nothing more: its owner looks once, before sending, and closes.
 */
#include "format/resp.h"

#include <stdlib.h>
#include <string.h>

#define RESP_ROOM_MIN 512u
/* A type byte, 20 digits and a sign, \r\n. */
#define RESP_LENGTH_MAX 24u

/* ---- the buffer ------------------------------------------------------------------ */

void resp_buffer_fini(struct resp_buffer *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof(*buffer));
}

static bool resp_grow(struct resp_buffer *buffer, size_t more)
{
    size_t room = buffer->room > RESP_ROOM_MIN ? buffer->room : RESP_ROOM_MIN;

    if (more > SIZE_MAX / 4 - buffer->size) {
        return false;
    }
    while (room - buffer->size < more) {
        room *= 2;
    }
    char *data = realloc(buffer->data, room);
    if (data == NULL) {
        return false;
    }
    buffer->data = data;
    buffer->room = room;
    return true;
}

/* Where `more` bytes may be stored; NULL: the buffer failed. */
static inline char *resp_reserve(struct resp_buffer *buffer, size_t more)
{
    if (buffer->failed) {
        return NULL;
    }
    if (more > buffer->room - buffer->size && !resp_grow(buffer, more)) {
        buffer->failed = true;
        return NULL;
    }
    return buffer->data + buffer->size;
}

static inline char *resp_put_bytes(char *to, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(to, data, size);
    }
    return to + size;
}

static inline char *resp_put_end(char *to)
{
    to[0] = '\r';
    to[1] = '\n';
    return to + 2;
}

static inline char *resp_put_decimal(char *to, uint64_t number)
{
    char digits[20];
    size_t count = 0;

    do {
        count++;
        digits[sizeof(digits) - count] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return resp_put_bytes(to, digits + sizeof(digits) - count, count);
}

/* "$12\r\n", "*3\r\n" */
static inline char *resp_put_length(char *to, char type, uint64_t length)
{
    *to = type;
    return resp_put_end(resp_put_decimal(to + 1, length));
}

static inline void resp_commit(struct resp_buffer *buffer, const char *end)
{
    buffer->size = (size_t)(end - buffer->data);
}

/* Room for `size` bytes and what goes around them; a size near SIZE_MAX cannot wrap. */
static inline char *resp_reserve_around(struct resp_buffer *buffer, size_t size)
{
    size_t around = 2 * RESP_LENGTH_MAX;

    return resp_reserve(buffer, size <= SIZE_MAX - around ? size + around : SIZE_MAX);
}

void resp_append(struct resp_buffer *buffer, const void *data, size_t size)
{
    char *to = resp_reserve(buffer, size);

    if (to != NULL && size > 0) {
        resp_commit(buffer, resp_put_bytes(to, data, size));
    }
}

/* ---- replies --------------------------------------------------------------------- */

void resp_simple(struct resp_buffer *buffer, const char *text)
{
    size_t size = strlen(text);
    char *to = resp_reserve_around(buffer, size);

    if (to != NULL) {
        *to = '+';
        resp_commit(buffer, resp_put_end(resp_put_bytes(to + 1, text, size)));
    }
}

void resp_number(struct resp_buffer *buffer, int64_t number)
{
    char *to = resp_reserve(buffer, RESP_LENGTH_MAX);

    if (to != NULL) {
        uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;
        *to++ = ':';
        if (number < 0) {
            *to++ = '-';
        }
        resp_commit(buffer, resp_put_end(resp_put_decimal(to, size)));
    }
}

void resp_bulk(struct resp_buffer *buffer, const void *data, size_t size)
{
    char *to = resp_reserve_around(buffer, size);

    if (to != NULL) {
        to = resp_put_length(to, '$', size);
        resp_commit(buffer, resp_put_end(resp_put_bytes(to, data, size)));
    }
}

void resp_text(struct resp_buffer *buffer, const char *text)
{
    resp_bulk(buffer, text, strlen(text));
}

void resp_null(struct resp_buffer *buffer, unsigned version)
{
    if (version >= 3) {
        resp_append(buffer, "_\r\n", 3);
    } else {
        resp_append(buffer, "$-1\r\n", 5);
    }
}

void resp_null_array(struct resp_buffer *buffer, unsigned version)
{
    if (version >= 3) {
        resp_append(buffer, "_\r\n", 3);
    } else {
        resp_append(buffer, "*-1\r\n", 5);
    }
}

static void resp_aggregate(struct resp_buffer *buffer, char type, size_t count)
{
    char *to = resp_reserve(buffer, RESP_LENGTH_MAX);

    if (to != NULL) {
        resp_commit(buffer, resp_put_length(to, type, count));
    }
}

void resp_array(struct resp_buffer *buffer, size_t count)
{
    resp_aggregate(buffer, '*', count);
}

void resp_map(struct resp_buffer *buffer, size_t pair_count, unsigned version)
{
    if (version >= 3) {
        resp_aggregate(buffer, '%', pair_count);
    } else {
        resp_aggregate(buffer, '*', 2 * pair_count);
    }
}

/* ---- errors ---------------------------------------------------------------------- */

void resp_error(struct resp_buffer *buffer, const char *word, const char *text)
{
    size_t word_size = strlen(word);
    size_t text_size = strlen(text);
    char *to = resp_reserve_around(buffer, word_size + text_size);

    if (to == NULL) {
        return;
    }
    *to++ = '-';
    to = resp_put_bytes(to, word, word_size);
    *to++ = ' ';
    for (size_t i = 0; i < text_size; i++) {
        *to++ = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
    }
    resp_commit(buffer, resp_put_end(to));
}

/* Words that Redis clients know are kept (OOM, NOPERM, READONLY, BUSY). */
static const char *const resp_words[] = {
    [BTS_NOT_FOUND] = "NOTFOUND",
    [BTS_END] = "END",
    [BTS_NO_BUCKET] = "NOBUCKET",
    [BTS_EXISTS] = "EXISTS",
    [BTS_CONFLICT] = "CONFLICT",
    [BTS_LIMIT] = "LIMIT",
    [BTS_NO_MEMORY] = "OOM",
    [BTS_NO_SPACE] = "NOSPACE",
    [BTS_IO] = "IOERR",
    [BTS_DAMAGED] = "DAMAGED",
    [BTS_VERSION] = "VERSION",
    [BTS_BUSY] = "BUSY",
    [BTS_UNAVAILABLE] = "UNAVAILABLE",
    [BTS_DENIED] = "NOPERM",
    [BTS_UNKNOWN] = "UNKNOWN",
    [BTS_TIMEOUT] = "TIMEOUT",
    [BTS_FORKED] = "FORKED",
    [BTS_SNAPSHOT_REVOKED] = "REVOKED",
    [BTS_READ_ONLY] = "READONLY",
};
#define RESP_WORD_COUNT (sizeof(resp_words) / sizeof(resp_words[0]))

const char *resp_status_word(enum bts_status status)
{
    const char *word = (size_t)status < RESP_WORD_COUNT ? resp_words[status] : NULL;

    return word != NULL ? word : "ERR";
}

enum bts_status resp_word_status(const char *line, size_t size)
{
    const char *blank = size > 0 ? memchr(line, ' ', size) : NULL;
    size_t word_size = blank != NULL ? (size_t)(blank - line) : size;

    for (size_t i = 0; i < RESP_WORD_COUNT; i++) {
        if (resp_words[i] != NULL && strlen(resp_words[i]) == word_size &&
            memcmp(resp_words[i], line, word_size) == 0) {
            return (enum bts_status)i;
        }
    }
    return BTS_INVALID;
}

void resp_status_error(struct resp_buffer *buffer, enum bts_status status, const char *text)
{
    resp_error(buffer, resp_status_word(status), text);
}

/* ---- requests -------------------------------------------------------------------- */

void resp_request_begin(struct resp_buffer *buffer, size_t part_count)
{
    resp_array(buffer, part_count);
}

void resp_request_part(struct resp_buffer *buffer, const void *data, size_t size)
{
    resp_bulk(buffer, data, size);
}
