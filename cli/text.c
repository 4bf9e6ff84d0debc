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

/* Digits into half as many bytes; they may be at the same place. */
static bool text_decode_hex(const char *text, size_t size, char *decoded)
{
    if (size % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < size; i += 2) {
        int high = text_hex_digit(text[i]);
        int low = text_hex_digit(text[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        decoded[i / 2] = (char)(high << 4 | low);
    }
    return true;
}

bool cli_bytes(const struct cli *cli, const char *text, struct bts_bytes *bytes)
{
    size_t length = strlen(text);
    char *decoded;

    if (!cli->is_hex) {
        *bytes = (struct bts_bytes){text, length};
        return true;
    }
    *bytes = (struct bts_bytes){NULL, 0};
    decoded = malloc(length / 2 + 1);
    if (decoded == NULL || !text_decode_hex(text, length, decoded)) {
        free(decoded);
        return false;
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

/* The byte that the escape at `text` stands for, and its length; 0: there is none. */
static size_t text_unescape(const char *text, size_t size, char *byte)
{
    static const char escapes[][2] = {{'t', '\t'}, {'n', '\n'}, {'r', '\r'}, {'\\', '\\'}};

    for (size_t i = 0; size >= 2 && i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        if (text[1] == escapes[i][0]) {
            *byte = escapes[i][1];
            return 2;
        }
    }
    return size >= 4 && text[1] == 'x' && text_decode_hex(text + 2, 2, byte) ? 4 : 0;
}

bool cli_parse(const struct cli *cli, char *text, size_t size, struct bts_bytes *bytes)
{
    size_t length = 0;

    if (cli->is_hex) {
        *bytes = (struct bts_bytes){text, size / 2};
        return text_decode_hex(text, size, text);
    }
    for (size_t i = 0; i < size; length++) {
        size_t read = 1;
        if (text[i] != '\\') {
            text[length] = text[i];
        } else if ((read = text_unescape(text + i, size - i, &text[length])) == 0) {
            return false;
        }
        i += read;
    }
    *bytes = (struct bts_bytes){text, length};
    return true;
}

void cli_print_raw(const void *data, size_t size)
{
    char copy[4096];

    while (size > 0) {
        size_t n = size < sizeof(copy) ? size : sizeof(copy);
        memcpy(copy, data, n);
        fwrite(copy, 1, n, stdout);
        data = (const char *)data + n;
        size -= n;
    }
}

void cli_print(const struct cli *cli, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    char escape[8];

    if (cli->is_raw) {
        cli_print_raw(data, size);
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
