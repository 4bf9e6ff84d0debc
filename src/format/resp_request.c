/* SPDX-License-Identifier: MIT */
/*
 * resp_request: parse one request.
 *
 *   *2\r\n $3\r\n GET\r\n $1\r\n k\r\n       an array of bulk strings: every library
 *   GET k\r\n                                a line of words: a person with socat
 *
 * The parser keeps no state: a request that came half is parsed again from its
 * start when more bytes are there.  So that this stays cheap, RESP_MORE says
 * how many bytes the request takes at least; who waits for that many parses a
 * large value twice, not once per packet.
 *
 * Words of a line are separated by spaces or tabs.  A word that begins with "
 * or ' goes to the next such quote, which a space or the end must follow.
 * There are no escapes (words point into the caller's bytes, which are const):
 * binary data is what the array form is for.
 */
#include "format/resp.h"

#include <string.h>

/* Digits that a length may have: more than any length in bounds needs. */
#define RESP_LENGTH_DIGITS 10
/* The shortest part: "$0\r\n\r\n". */
#define RESP_PART_MIN 6u

static const char resp_why_count[] = "Protocol error: invalid multibulk length";
static const char resp_why_length[] = "Protocol error: invalid bulk length";
static const char resp_why_dollar[] = "Protocol error: expected '$'";
static const char resp_why_end[] = "Protocol error: no line end after a bulk string";
static const char resp_why_parts[] = "Protocol error: too many words in a request";
static const char resp_why_large[] = "Protocol error: request is too large";
static const char resp_why_line[] = "Protocol error: too big inline request";
static const char resp_why_quotes[] = "Protocol error: unbalanced quotes in request";

/* A request being parsed. */
struct resp_parser {
    const char *data;
    const char *next;
    const char *end;
    size_t need;
    const char *why;
};

static enum resp_result resp_parser_fail(struct resp_parser *parser, const char *why)
{
    parser->why = why;
    return RESP_INVALID;
}

/* Digits, then \r\n; moves behind them. */
static inline enum resp_result resp_parse_length(struct resp_parser *parser, size_t limit,
                                                 const char *why, size_t *length)
{
    const char *start = parser->next;
    const char *next = start;
    size_t value = 0;

    while (next < parser->end && (unsigned char)(*next - '0') <= 9) {
        value = value * 10 + (unsigned char)(*next - '0');
        next++;
        if (next - start > RESP_LENGTH_DIGITS) {
            return resp_parser_fail(parser, why);
        }
    }
    if (parser->end - next < 2) {
        return next < parser->end && *next != '\r' ? resp_parser_fail(parser, why) : RESP_MORE;
    }
    if (next == start || value > limit || next[0] != '\r' || next[1] != '\n') {
        return resp_parser_fail(parser, why);
    }
    parser->next = next + 2;
    *length = value;
    return RESP_OK;
}

/* One bulk string, `left` more follow it. */
static inline enum resp_result resp_parse_part(struct resp_parser *parser, size_t left,
                                               struct bts_bytes *part)
{
    size_t length = 0;

    parser->need = (size_t)(parser->next - parser->data) + (left + 1) * RESP_PART_MIN;
    if (parser->next == parser->end) {
        return RESP_MORE;
    }
    if (*parser->next != '$') {
        return resp_parser_fail(parser, resp_why_dollar);
    }
    parser->next++;
    enum resp_result result = resp_parse_length(parser, RESP_BULK_MAX, resp_why_length, &length);
    if (result != RESP_OK) {
        return result;
    }
    if ((size_t)(parser->end - parser->next) < length + 2) {
        parser->need = (size_t)(parser->next - parser->data) + length + 2 + left * RESP_PART_MIN;
        return RESP_MORE;
    }
    part->data = parser->next;
    part->size = length;
    parser->next += length;
    if (parser->next[0] != '\r' || parser->next[1] != '\n') {
        return resp_parser_fail(parser, resp_why_end);
    }
    parser->next += 2;
    return RESP_OK;
}

static enum resp_result resp_parse_array(struct resp_parser *parser, struct bts_bytes *parts,
                                         size_t parts_max, size_t *part_count)
{
    size_t count = 0;

    parser->next++; /* '*' */
    bool negative = parser->next < parser->end && *parser->next == '-';
    parser->next += negative;
    enum resp_result result =
        resp_parse_length(parser, RESP_PARTS_MAX, resp_why_count, &count);
    if (result != RESP_OK) {
        return result;
    }
    if (negative) {
        count = 0; /* a null array: nothing is asked, as with *0 */
    }
    if (count > parts_max) {
        return resp_parser_fail(parser, resp_why_parts);
    }
    for (size_t i = 0; i < count; i++) {
        result = resp_parse_part(parser, count - i - 1, &parts[i]);
        if (result != RESP_OK) {
            return result;
        }
    }
    *part_count = count;
    return RESP_OK;
}

static bool resp_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The word at `next`, in quotes or not; NULL: its quotes are not balanced.  Else behind it. */
static const char *resp_parse_word(const char *next, const char *end, struct bts_bytes *word)
{
    const char *start = next;

    if (*start == '"' || *start == '\'') {
        start++;
        next = memchr(start, start[-1], (size_t)(end - start));
        if (next == NULL || (next + 1 < end && !resp_is_blank(next[1]))) {
            return NULL;
        }
    } else {
        while (next < end && !resp_is_blank(*next)) {
            next++;
        }
    }
    word->data = start;
    word->size = (size_t)(next - start);
    return next < end ? next + 1 : end;
}

static enum resp_result resp_parse_line(struct resp_parser *parser, struct bts_bytes *parts,
                                        size_t parts_max, size_t *part_count)
{
    const char *next = parser->next;
    size_t size = (size_t)(parser->end - next);
    const char *end = memchr(next, '\n', size < RESP_INLINE_MAX ? size : RESP_INLINE_MAX);
    size_t count = 0;

    if (end == NULL) {
        return size < RESP_INLINE_MAX ? RESP_MORE : resp_parser_fail(parser, resp_why_line);
    }
    parser->next = end + 1;
    end -= end > next && end[-1] == '\r';
    while (next < end) {
        if (resp_is_blank(*next)) {
            next++;
            continue;
        }
        if (count == parts_max) {
            return resp_parser_fail(parser, resp_why_parts);
        }
        next = resp_parse_word(next, end, &parts[count]);
        if (next == NULL) {
            return resp_parser_fail(parser, resp_why_quotes);
        }
        count++;
    }
    *part_count = count;
    return RESP_OK;
}

enum resp_result resp_parse_request(const char *data, size_t size, size_t request_max,
                                    struct bts_bytes *parts, size_t parts_max, size_t *part_count,
                                    size_t *used, size_t *need, const char **why)
{
    struct resp_parser parser = {.data = data, .next = data, .end = data + size};
    enum resp_result result = RESP_MORE;

    *part_count = 0;
    *used = 0;
    if (size > 0) {
        result = *data == '*' ? resp_parse_array(&parser, parts, parts_max, part_count)
                              : resp_parse_line(&parser, parts, parts_max, part_count);
    }
    if (result == RESP_OK) {
        *used = (size_t)(parser.next - data);
    }
    size_t total = result == RESP_MORE && parser.need > size ? parser.need : size;
    if (result != RESP_INVALID && (result == RESP_OK ? *used : total) > request_max) {
        result = resp_parser_fail(&parser, resp_why_large);
        *part_count = 0;
        *used = 0;
    }
    if (need != NULL) {
        *need = result == RESP_MORE && parser.need > size ? parser.need : 0;
    }
    if (why != NULL) {
        *why = parser.why;
    }
    return result;
}
