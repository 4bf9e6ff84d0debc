/* SPDX-License-Identifier: MIT */
/*
 * text: bytes on the command line and on the terminal.
 *
 * Bytes from 0x80 up are printed as they are, so that UTF-8 stays readable;
 * every other byte that could confuse a line or a terminal is escaped, and the
 * escapes are unambiguous.
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int text_hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    char lower = c >= 'A' && c <= 'F' ? (char)(c + ('a' - 'A')) : c;
    const char *digit = c != '\0' ? strchr(digits, lower) : NULL;

    return digit != NULL ? (int)(digit - digits) : -1;
}

bool cli_bytes(const struct cli *cli, const char *text, struct bts_bytes *bytes)
{
    size_t length = strlen(text);
    unsigned char *decoded;

    if (!cli->is_hex) {
        *bytes = (struct bts_bytes){text, length};
        return true;
    }
    *bytes = (struct bts_bytes){NULL, 0};
    decoded = length % 2 == 0 ? malloc(length / 2 + 1) : NULL;
    if (decoded == NULL) {
        return false;
    }
    for (size_t i = 0; i < length; i += 2) {
        int high = text_hex_digit(text[i]);
        int low = text_hex_digit(text[i + 1]);
        if (high < 0 || low < 0) {
            free(decoded);
            return false;
        }
        decoded[i / 2] = (unsigned char)(high << 4 | low);
    }
    *bytes = (struct bts_bytes){decoded, length / 2};
    return true;
}

void cli_bytes_free(const struct cli *cli, struct bts_bytes bytes)
{
    if (cli->is_hex) {
        free((void *)(uintptr_t)bytes.data);
    }
}

bool cli_read_stdin(char **data, size_t *size)
{
    size_t room = 0;

    *data = NULL;
    *size = 0;
    do {
        if (room - *size < 4096) {
            char *grown = realloc(*data, 2 * room + 65536);
            if (grown == NULL) {
                return false;
            }
            room = 2 * room + 65536;
            *data = grown;
        }
        *size += fread(*data + *size, 1, room - *size, stdin);
    } while (!feof(stdin) && !ferror(stdin));
    return !ferror(stdin);
}

/* The escape of a byte, or NULL: it stands for itself. */
static const char *text_escape(unsigned char byte, char escape[8])
{
    switch (byte) {
    case '\t':
        return "\\t";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\\':
        return "\\\\";
    default:
        break;
    }
    if (byte >= 0x20 && byte != 0x7f) {
        return NULL;
    }
    snprintf(escape, 8, "\\x%02x", byte);
    return escape;
}

void cli_print(const struct cli *cli, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    char escape[8];

    if (cli->is_raw) {
        fwrite(data, 1, size, stdout);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        const char *escaped;
        if (cli->is_hex) {
            printf("%02x", bytes[i]);
        } else if ((escaped = text_escape(bytes[i], escape)) != NULL) {
            fputs(escaped, stdout);
        } else {
            putchar(bytes[i]);
        }
    }
}

const char *cli_quote(const void *data, size_t size, char *text, size_t text_size)
{
    const unsigned char *bytes = data;
    size_t length = 0;
    char escape[8];

    for (size_t i = 0; i < size; i++) {
        const char *escaped = text_escape(bytes[i], escape);
        size_t needed = escaped != NULL ? strlen(escaped) : 1;
        if (length + needed + sizeof("...") > text_size) {
            memcpy(text + length, "...", 3);
            length += 3;
            break;
        }
        memcpy(text + length, escaped != NULL ? escaped : (const char *)&bytes[i], needed);
        length += needed;
    }
    text[length] = '\0';
    return text;
}
