/* SPDX-License-Identifier: MIT */
/*
 * resp_reply: read replies of RESP2 and RESP3, for the client library.
 *
 *   +OK                 RESP_SIMPLE      #t  #f          RESP_NUMBER 1, 0
 *   -WORD text          RESP_ERROR       ,3.14           RESP_SIMPLE, the text
 *   :42                 RESP_NUMBER      (123456789..    RESP_SIMPLE, the digits
 *   $3 abc              RESP_BULK        =7 txt:abc      RESP_BULK "abc"
 *   $-1  *-1  _         RESP_NULL        !8 WORD why     RESP_ERROR
 *   *2 ..  ~2 ..  >2 .. RESP_ARRAY       %1 ..           RESP_ARRAY of 2
 *
 * Attributes (|) and streamed replies ($?) are not asked for and refused.
 * Counts are believed only as far as bytes follow; depth is bounded, so the
 * walk needs no recursion and no memory.
 */
#include "format/resp.h"

#include <string.h>

#define RESP_LINE_MAX RESP_INLINE_MAX
#define RESP_COUNT_MAX INT32_MAX /* values in one aggregate */

/* ---- lines and numbers ----------------------------------------------------------- */

/* The line at `next`, up to \r\n, and where the bytes behind it begin. */
static enum resp_result resp_read_line(const char *next, const char *end, size_t *size,
                                       const char **behind)
{
    size_t left = (size_t)(end - next);
    const char *stop = memchr(next, '\r', left < RESP_LINE_MAX ? left : RESP_LINE_MAX);

    if (stop == NULL) {
        return left < RESP_LINE_MAX ? RESP_MORE : RESP_INVALID;
    }
    if (end - stop < 2) {
        return RESP_MORE;
    }
    *size = (size_t)(stop - next);
    *behind = stop + 2;
    return stop[1] == '\n' ? RESP_OK : RESP_INVALID;
}

/* A decimal int64_t, the whole of the text. */
static bool resp_read_number(const char *text, size_t size, int64_t *number)
{
    bool negative = size > 0 && text[0] == '-';
    size_t first = size > 0 && (text[0] == '-' || text[0] == '+');
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t value = 0;

    if (size == first) {
        return false;
    }
    for (size_t i = first; i < size; i++) {
        unsigned digit = (unsigned char)(text[i] - '0');
        if (digit > 9 || value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = negative ? (int64_t)-value : (int64_t)value;
    return true;
}

/* ---- one value ------------------------------------------------------------------- */

/* A value whose line is read: `line` of `size` bytes, `behind` it the rest. */
struct resp_line {
    char type;
    const char *text;
    size_t size;
    const char *behind;
    const char *end;
};

/* $ = !: so many bytes, then \r\n. */
static enum resp_result resp_read_bulk(struct resp_line *line, struct resp_value *value)
{
    int64_t length = 0;

    if (!resp_read_number(line->text, line->size, &length) || length < -1 ||
        length > (int64_t)RESP_BULK_MAX || (length == -1 && line->type != '$')) {
        return RESP_INVALID;
    }
    if (length == -1) {
        value->type = RESP_NULL;
        return RESP_OK;
    }
    if (line->end - line->behind < length + 2) {
        return RESP_MORE;
    }
    value->type = line->type == '!' ? RESP_ERROR : RESP_BULK;
    value->data = line->behind;
    value->size = (size_t)length;
    line->behind += length + 2;
    if (line->behind[-2] != '\r' || line->behind[-1] != '\n') {
        return RESP_INVALID;
    }
    if (line->type == '=') { /* "txt:" comes before the text */
        if (length < 4 || value->data[3] != ':') {
            return RESP_INVALID;
        }
        value->data += 4;
        value->size -= 4;
    }
    return RESP_OK;
}

/* * ~ > %: so many values, or pairs of them. */
static enum resp_result resp_read_aggregate(const struct resp_line *line, struct resp_value *value)
{
    int64_t count = 0;

    if (!resp_read_number(line->text, line->size, &count) || count < -1 ||
        count > RESP_COUNT_MAX || (count == -1 && line->type != '*')) {
        return RESP_INVALID;
    }
    value->type = count == -1 ? RESP_NULL : RESP_ARRAY;
    value->number = count == -1 ? 0 : line->type == '%' ? 2 * count : count;
    return RESP_OK;
}

static enum resp_result resp_read_boolean(const struct resp_line *line, struct resp_value *value)
{
    if (line->size != 1 || (line->text[0] != 't' && line->text[0] != 'f')) {
        return RESP_INVALID;
    }
    value->type = RESP_NUMBER;
    value->number = line->text[0] == 't';
    return RESP_OK;
}

static enum resp_result resp_read_value(struct resp_line *line, struct resp_value *value)
{
    switch (line->type) {
    case '$':
    case '=':
    case '!':
        return resp_read_bulk(line, value);
    case '*':
    case '~':
    case '>':
    case '%':
        return resp_read_aggregate(line, value);
    case ':':
        value->type = RESP_NUMBER;
        return resp_read_number(line->text, line->size, &value->number) ? RESP_OK : RESP_INVALID;
    case '#':
        return resp_read_boolean(line, value);
    case '_':
        value->type = RESP_NULL;
        return line->size == 0 ? RESP_OK : RESP_INVALID;
    case '+':
    case '-':
    case ',':
    case '(':
        value->type = line->type == '-' ? RESP_ERROR : RESP_SIMPLE;
        value->data = line->text;
        value->size = line->size;
        return RESP_OK;
    default:
        return RESP_INVALID;
    }
}

enum resp_result resp_reply_next(const char *data, size_t size, size_t *position,
                                 struct resp_value *value)
{
    struct resp_line line = {.end = data + size};

    memset(value, 0, sizeof(*value));
    value->type = RESP_NULL;
    if (*position >= size) {
        return RESP_MORE;
    }
    line.type = data[*position];
    line.text = data + *position + 1;
    if (strchr("+-:$*_%~#,(=!>", line.type) == NULL || line.type == '\0') {
        return RESP_INVALID;
    }
    enum resp_result result = resp_read_line(line.text, line.end, &line.size, &line.behind);
    if (result == RESP_OK) {
        result = resp_read_value(&line, value);
    }
    if (result == RESP_OK) {
        *position = (size_t)(line.behind - data);
    }
    return result;
}

/* ---- a whole reply --------------------------------------------------------------- */

enum resp_result resp_reply_size(const char *data, size_t size, size_t *used)
{
    uint64_t left[RESP_DEPTH_MAX + 1] = {1}; /* values still to come, per open aggregate */
    unsigned depth = 0;
    size_t position = 0;

    *used = 0;
    for (;;) {
        struct resp_value value;
        enum resp_result result = resp_reply_next(data, size, &position, &value);
        if (result != RESP_OK) {
            return result;
        }
        left[depth]--;
        if (value.type == RESP_ARRAY && value.number > 0) {
            if (depth == RESP_DEPTH_MAX) {
                return RESP_INVALID;
            }
            left[++depth] = (uint64_t)value.number;
        }
        while (left[depth] == 0) {
            if (depth == 0) {
                *used = position;
                return RESP_OK;
            }
            depth--;
        }
    }
}
