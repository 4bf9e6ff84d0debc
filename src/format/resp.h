/* SPDX-License-Identifier: MIT */
/*
 * resp: the Redis serialization protocol, versions 2 and 3: requests in,
 * replies out, and (for the client library) replies in.
 *
 * Requests are arrays of bulk strings, or one inline line of words.  Lengths
 * are checked before anything is believed of them; nothing is allocated here:
 * the parser points into the caller's bytes, the writer appends to a
 * resp_buffer that grows by realloc.
 *
 * The error words that stand for an enum bts_status are also here, so that
 * daemon and library agree ("-CONFLICT text" <-> BTS_CONFLICT).
 */
#ifndef FORMAT_RESP_H
#define FORMAT_RESP_H

#include <btstore.h>
#include <stdint.h>
#include <sys/types.h>

#define RESP_PARTS_MAX 1048576u      /* words in a request */
#define RESP_BULK_MAX (512u << 20)   /* bytes in a word */
#define RESP_INLINE_MAX 65536u       /* bytes in an inline line */
#define RESP_DEPTH_MAX 8u            /* nested arrays in a reply */

enum resp_result {
    RESP_OK = 0,
    RESP_MORE,    /* the bytes end too early: read more and call again */
    RESP_INVALID, /* these bytes are no request: answer `why` and close */
};

/*
 * Parses one request at data[0, size).  Parts go to parts[0, parts_max), which
 * point into data; *part_count may be 0 (an empty line, or *0).  *used: bytes
 * consumed, 0 unless RESP_OK.  With RESP_MORE, *need (if not NULL) is a lower
 * bound of the total bytes the request will take, more than `size`, when known,
 * else 0: who waits for so many parses little twice.  A request of more than
 * parts_max words or `request_max` bytes is RESP_INVALID, as soon as that is
 * known.  `why` (may be NULL) is static, to be answered as "-ERR why".
 * An inline word that begins with " or ' ends at the next such quote; no escapes.
 */
enum resp_result resp_parse_request(const char *data, size_t size, size_t request_max,
                                    struct bts_bytes *parts, size_t parts_max, size_t *part_count,
                                    size_t *used, size_t *need, const char **why);

/* ---- replies, written --------------------------------------------------------- */

/*
 * Bytes to send; zero it to start.  After a failed realloc `failed` is set and
 * appends do nothing.
 */
struct resp_buffer {
    char *data;
    size_t size;
    size_t room;
    bool failed;
};
void resp_buffer_fini(struct resp_buffer *buffer);
void resp_append(struct resp_buffer *buffer, const void *data, size_t size);
void resp_simple(struct resp_buffer *buffer, const char *text);           /* +OK */
void resp_number(struct resp_buffer *buffer, int64_t number);             /* :1 */
void resp_bulk(struct resp_buffer *buffer, const void *data, size_t size); /* $3 abc */
void resp_text(struct resp_buffer *buffer, const char *text);             /* bulk of a C string */
void resp_null(struct resp_buffer *buffer, unsigned version);             /* $-1, or _ in RESP3 */
void resp_null_array(struct resp_buffer *buffer, unsigned version);       /* *-1, or _ in RESP3 */
void resp_array(struct resp_buffer *buffer, size_t count);                /* *3 */
void resp_map(struct resp_buffer *buffer, size_t pair_count, unsigned version); /* %n, or *2n */
/* "-WORD text": newlines in the text become spaces. */
void resp_error(struct resp_buffer *buffer, const char *word, const char *text);
/* The same for a status: its word, then the text. */
void resp_status_error(struct resp_buffer *buffer, enum bts_status status, const char *text);

/* "CONFLICT" for BTS_CONFLICT ...; "ERR" for those without a word of their own. */
const char *resp_status_word(enum bts_status status);
/* The status whose word begins an error line (without '-'); BTS_INVALID if unknown. */
enum bts_status resp_word_status(const char *line, size_t size);

/* ---- requests written, replies read (client side) -------------------------------- */

void resp_request_begin(struct resp_buffer *buffer, size_t part_count);
void resp_request_part(struct resp_buffer *buffer, const void *data, size_t size);

enum resp_type {
    RESP_SIMPLE, /* + and doubles, big numbers, as text */
    RESP_ERROR,  /* - and ! */
    RESP_NUMBER, /* : and booleans, 1 or 0 */
    RESP_BULK,   /* $ and verbatim text, without its "txt:" */
    RESP_NULL,
    RESP_ARRAY, /* and maps, sets, pushes, flattened: count is the number of values */
};

struct resp_value {
    enum resp_type type;
    int64_t number;    /* RESP_NUMBER; RESP_ARRAY: the count */
    const char *data;  /* RESP_SIMPLE, RESP_ERROR, RESP_BULK: into the caller's bytes */
    size_t size;
};

/*
 * Whether a whole reply lies at data[0, size): RESP_OK and its length in *used,
 * RESP_MORE, RESP_INVALID.
 */
enum resp_result resp_reply_size(const char *data, size_t size, size_t *used);
/*
 * Reads the value at *position of a whole reply and moves behind it (an array:
 * to its first value).  Safe on any bytes: RESP_MORE, RESP_INVALID as above.
 */
enum resp_result resp_reply_next(const char *data, size_t size, size_t *position,
                                 struct resp_value *value);

#endif
