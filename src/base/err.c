/* SPDX-License-Identifier: MIT */
/*
 * err: fill the caller's struct bts_error.
 *
 * The text is built in a local buffer and copied at the end, so the arguments
 * may point into the very error that is being filled.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const err_names[] = {
    [BTS_OK] = "BTS_OK",
    [BTS_NOT_FOUND] = "BTS_NOT_FOUND",
    [BTS_END] = "BTS_END",
    [BTS_NO_BUCKET] = "BTS_NO_BUCKET",
    [BTS_EXISTS] = "BTS_EXISTS",
    [BTS_CONFLICT] = "BTS_CONFLICT",
    [BTS_INVALID] = "BTS_INVALID",
    [BTS_LIMIT] = "BTS_LIMIT",
    [BTS_NO_MEMORY] = "BTS_NO_MEMORY",
    [BTS_NO_SPACE] = "BTS_NO_SPACE",
    [BTS_IO] = "BTS_IO",
    [BTS_DAMAGED] = "BTS_DAMAGED",
    [BTS_VERSION] = "BTS_VERSION",
    [BTS_BUSY] = "BTS_BUSY",
    [BTS_UNAVAILABLE] = "BTS_UNAVAILABLE",
    [BTS_DENIED] = "BTS_DENIED",
    [BTS_UNKNOWN] = "BTS_UNKNOWN",
    [BTS_TIMEOUT] = "BTS_TIMEOUT",
    [BTS_FORKED] = "BTS_FORKED",
    [BTS_SNAPSHOT_REVOKED] = "BTS_SNAPSHOT_REVOKED",
    [BTS_READ_ONLY] = "BTS_READ_ONLY",
};

/* A text under construction; `length` grows past the end when it was cut. */
struct err_text {
    char bytes[BTS_ERROR_TEXT_MAX];
    size_t length;
};

__attribute__((format(printf, 2, 0)))
static void err_text_vadd(struct err_text *text, const char *format, va_list arguments)
{
    if (text->length >= sizeof(text->bytes)) {
        return;
    }
    int added = vsnprintf(text->bytes + text->length, sizeof(text->bytes) - text->length, format,
                          arguments);
    text->length += added > 0 ? (size_t)added : 0;
}

__attribute__((format(printf, 2, 3)))
static void err_text_add(struct err_text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    err_text_vadd(text, format, arguments);
    va_end(arguments);
}

/* Makes the text one whole line and hands it over. */
static void err_text_finish(struct err_text *text, struct bts_error *error, enum bts_status status)
{
    static const char cut[] = "...";

    if (text->length >= sizeof(text->bytes)) {
        memcpy(text->bytes + sizeof(text->bytes) - sizeof(cut), cut, sizeof(cut));
    }
    for (char *byte = text->bytes; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ' || *byte == 0x7f) {
            *byte = '?';
        }
    }
    error->status = status;
    memcpy(error->text, text->bytes, strlen(text->bytes) + 1);
}

enum bts_status err_set(struct bts_error *error, enum bts_status status, const char *format, ...)
{
    struct err_text text = {.length = 0};
    int saved_errno = errno;
    va_list arguments;

    if (error == NULL) {
        return status;
    }
    va_start(arguments, format);
    err_text_vadd(&text, format, arguments);
    va_end(arguments);
    err_text_finish(&text, error, status);
    errno = saved_errno;
    return status;
}

enum bts_status err_set_errno(struct bts_error *error, enum bts_status status, int errno_value,
                              const char *format, ...)
{
    struct err_text text = {.length = 0};
    int saved_errno = errno;
    va_list arguments;

    if (error == NULL) {
        return status;
    }
    va_start(arguments, format);
    err_text_vadd(&text, format, arguments);
    va_end(arguments);
    errno = errno_value;
    err_text_add(&text, ": %m"); /* unlike strerror, safe in threads everywhere */
    err_text_finish(&text, error, status);
    errno = saved_errno;
    return status;
}

void err_clear(struct bts_error *error)
{
    if (error != NULL) {
        error->status = BTS_OK;
        error->text[0] = '\0';
    }
}

const char *bts_status_name(enum bts_status status)
{
    size_t index = (size_t)status;

    if (index >= sizeof(err_names) / sizeof(err_names[0])) {
        return "BTS_(unassigned)";
    }
    return err_names[index];
}
