/* SPDX-License-Identifier: MIT */
/* resp: replies of either version, written and read. */
#include "format/resp.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

/* ---- replies, written -------------------------------------------------------- */

static void expect_written(struct resp_buffer *buffer, const char *text)
{
    ck_assert(!buffer->failed);
    ck_assert_uint_eq(buffer->size, strlen(text));
    ck_assert_mem_eq(buffer->data, text, buffer->size);
    buffer->size = 0;
}

START_TEST(replies_are_written_as_the_protocol_says)
{
    struct resp_buffer buffer = {0};

    resp_simple(&buffer, "OK");
    expect_written(&buffer, "+OK\r\n");
    resp_bulk(&buffer, "ab\r\n", 4);
    expect_written(&buffer, "$4\r\nab\r\n\r\n");
    resp_bulk(&buffer, NULL, 0);
    expect_written(&buffer, "$0\r\n\r\n");
    resp_text(&buffer, "hello, world");
    expect_written(&buffer, "$12\r\nhello, world\r\n");
    resp_array(&buffer, 0);
    resp_array(&buffer, 1048576);
    expect_written(&buffer, "*0\r\n*1048576\r\n");
    resp_null(&buffer, 2);
    resp_null(&buffer, 3);
    resp_null_array(&buffer, 2);
    resp_null_array(&buffer, 3);
    expect_written(&buffer, "$-1\r\n_\r\n*-1\r\n_\r\n");
    resp_map(&buffer, 7, 2);
    resp_map(&buffer, 7, 3);
    expect_written(&buffer, "*14\r\n%7\r\n");
    resp_append(&buffer, NULL, 0);
    resp_append(&buffer, "raw", 3);
    expect_written(&buffer, "raw");
    resp_request_begin(&buffer, 2);
    resp_request_part(&buffer, "GET", 3);
    resp_request_part(&buffer, "k", 1);
    expect_written(&buffer, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    resp_buffer_fini(&buffer);
}
END_TEST

START_TEST(numbers_are_written_as_printf_would)
{
    static const int64_t numbers[] = {0, 1, -1, 9, 10, 99, 100, -1000, INT32_MIN, INT64_MAX,
                                      INT64_MIN};
    struct resp_buffer buffer = {0};
    char expected[32];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        snprintf(expected, sizeof(expected), ":%lld\r\n", (long long)numbers[i]);
        resp_number(&buffer, numbers[i]);
        expect_written(&buffer, expected);
    }
    resp_buffer_fini(&buffer);
}
END_TEST

START_TEST(an_error_is_one_line)
{
    struct resp_buffer buffer = {0};

    resp_error(&buffer, "ERR", "no\r\nsuch\nthing");
    expect_written(&buffer, "-ERR no  such thing\r\n");
    resp_status_error(&buffer, BTS_CONFLICT, "operation 3: the key is there");
    expect_written(&buffer, "-CONFLICT operation 3: the key is there\r\n");
    resp_status_error(&buffer, BTS_INVALID, "what?");
    expect_written(&buffer, "-ERR what?\r\n");
    resp_buffer_fini(&buffer);
}
END_TEST

START_TEST(every_status_survives_the_wire)
{
    for (int status = BTS_NOT_FOUND; status <= BTS_READ_ONLY; status++) {
        char line[100];
        const char *word = resp_status_word((enum bts_status)status);
        snprintf(line, sizeof(line), "%s text", word);
        ck_assert_int_eq(resp_word_status(line, strlen(line)), status);
        ck_assert_int_eq(resp_word_status(word, strlen(word)), status);
        snprintf(line, sizeof(line), "%sX text", word); /* a longer word is another one */
        ck_assert_int_eq(resp_word_status(line, strlen(line)), BTS_INVALID);
    }
    ck_assert_int_eq(resp_word_status("", 0), BTS_INVALID);
    ck_assert_int_eq(resp_word_status("WRONGTYPE x", 11), BTS_INVALID);
    ck_assert_str_eq(resp_status_word((enum bts_status)999), "ERR");
    ck_assert_str_eq(resp_status_word(BTS_OK), "ERR");
}
END_TEST

START_TEST(a_buffer_grows_and_keeps_what_it_has)
{
    static char value[70000];
    struct resp_buffer buffer = {0};

    memset(value, 'v', sizeof(value));
    for (size_t size = 0; size < 3000; size += 7) {
        resp_bulk(&buffer, value, size);
    }
    resp_bulk(&buffer, value, sizeof(value));
    size_t position = 0;
    struct resp_value read;
    for (size_t size = 0; size < 3000; size += 7) {
        ck_assert_int_eq(resp_reply_next(buffer.data, buffer.size, &position, &read), RESP_OK);
        ck_assert_uint_eq(read.size, size);
        ck_assert_mem_eq(read.data, value, size);
    }
    ck_assert_int_eq(resp_reply_next(buffer.data, buffer.size, &position, &read), RESP_OK);
    ck_assert_uint_eq(read.size, sizeof(value));
    ck_assert_uint_eq(position, buffer.size);
    resp_buffer_fini(&buffer);
    ck_assert_ptr_null(buffer.data);
}
END_TEST

START_TEST(a_buffer_without_memory_takes_nothing_more)
{
    struct resp_buffer buffer = {0};

    resp_simple(&buffer, "OK");
    resp_append(&buffer, "x", SIZE_MAX); /* no memory is that large: nothing is copied */
    ck_assert(buffer.failed);
    ck_assert_uint_eq(buffer.size, 5);
    resp_simple(&buffer, "OK");
    resp_number(&buffer, 1);
    resp_bulk(&buffer, "x", 1);
    resp_array(&buffer, 1);
    resp_error(&buffer, "ERR", "x");
    ck_assert_uint_eq(buffer.size, 5);
    resp_buffer_fini(&buffer);

    resp_bulk(&buffer, "x", SIZE_MAX - 3); /* nor may its frame wrap round */
    ck_assert(buffer.failed);
    resp_buffer_fini(&buffer);
}
END_TEST

/* ---- replies, read ----------------------------------------------------------- */

static enum resp_result reply_size(const char *text, size_t *used)
{
    size_t size = strlen(text);
    char *exact = malloc(size > 0 ? size : 1);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, text, size);
    enum resp_result result = resp_reply_size(exact, size, used);
    free(exact);
    return result;
}

START_TEST(every_type_of_either_version_is_read)
{
    static const struct {
        const char *text;
        enum resp_type type;
        int64_t number;
        const char *data;
    } rows[] = {
        {"+OK\r\n", RESP_SIMPLE, 0, "OK"},
        {"+\r\n", RESP_SIMPLE, 0, ""},
        {"-ERR no\r\n", RESP_ERROR, 0, "ERR no"},
        {":42\r\n", RESP_NUMBER, 42, ""},
        {":+42\r\n", RESP_NUMBER, 42, ""},
        {":-9223372036854775808\r\n", RESP_NUMBER, INT64_MIN, ""},
        {":9223372036854775807\r\n", RESP_NUMBER, INT64_MAX, ""},
        {"$5\r\na\r\nbc\r\n", RESP_BULK, 0, "a\r\nbc"},
        {"$0\r\n\r\n", RESP_BULK, 0, ""},
        {"$-1\r\n", RESP_NULL, 0, ""},
        {"*-1\r\n", RESP_NULL, 0, ""},
        {"_\r\n", RESP_NULL, 0, ""},
        {"*0\r\n", RESP_ARRAY, 0, ""},
        {"#t\r\n", RESP_NUMBER, 1, ""},
        {"#f\r\n", RESP_NUMBER, 0, ""},
        {",3.25\r\n", RESP_SIMPLE, 0, "3.25"},
        {"(12345678901234567890\r\n", RESP_SIMPLE, 0, "12345678901234567890"},
        {"=7\r\ntxt:abc\r\n", RESP_BULK, 0, "abc"},
        {"=4\r\ntxt:\r\n", RESP_BULK, 0, ""},
        {"!5\r\nERR x\r\n", RESP_ERROR, 0, "ERR x"},
        {"%0\r\n", RESP_ARRAY, 0, ""},
        {"~0\r\n", RESP_ARRAY, 0, ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct resp_value value;
        size_t size = strlen(rows[i].text);
        size_t used = 0;
        size_t position = 0;
        ck_assert_int_eq(reply_size(rows[i].text, &used), RESP_OK);
        ck_assert_uint_eq(used, size);
        ck_assert_int_eq(resp_reply_next(rows[i].text, size, &position, &value), RESP_OK);
        ck_assert_uint_eq(position, size);
        ck_assert_int_eq(value.type, rows[i].type);
        ck_assert_int_eq(value.number, rows[i].number);
        ck_assert_uint_eq(value.size, strlen(rows[i].data));
        ck_assert(value.size == 0 || memcmp(value.data, rows[i].data, value.size) == 0);
    }
}
END_TEST

START_TEST(aggregates_are_walked_in_order)
{
    const char *text = "*3\r\n%1\r\n+key\r\n~2\r\n:1\r\n:2\r\n*0\r\n$3\r\nend\r\n+next\r\n";
    static const enum resp_type types[] = {RESP_ARRAY,  RESP_ARRAY,  RESP_SIMPLE, RESP_ARRAY,
                                           RESP_NUMBER, RESP_NUMBER, RESP_ARRAY,  RESP_BULK};
    static const int64_t numbers[] = {3, 2, 0, 2, 1, 2, 0, 0};
    struct resp_value value;
    size_t used = 0;
    size_t position = 0;

    ck_assert_int_eq(reply_size(text, &used), RESP_OK);
    ck_assert_uint_eq(used, strlen(text) - 7);
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(resp_reply_next(text, used, &position, &value), RESP_OK);
        ck_assert_int_eq(value.type, types[i]);
        ck_assert_int_eq(value.number, numbers[i]);
    }
    ck_assert_uint_eq(position, used);
    ck_assert_int_eq(resp_reply_next(text, used, &position, &value), RESP_MORE);
}
END_TEST

START_TEST(a_reply_cut_anywhere_waits_for_more)
{
    const char *text = "*4\r\n%1\r\n+key\r\n:12\r\n$3\r\nend\r\n_\r\n=5\r\ntxt:x\r\n";
    char piece[64];

    for (size_t cut = 0; cut < strlen(text); cut++) {
        size_t used = 9;
        memcpy(piece, text, cut);
        piece[cut] = '\0';
        ck_assert_int_eq(reply_size(piece, &used), RESP_MORE);
        ck_assert_uint_eq(used, 0);
    }
}
END_TEST

START_TEST(what_is_no_reply_is_refused)
{
    static const char *const texts[] = {
        "x", "\r\n", "$x\r\n", "$\r\n", "$-2\r\n", "$536870913\r\n", "$1\r\nabc", "$1\r\na\rx",
        ":\r\n", ":1x\r\n", ":-\r\n", ":9223372036854775808\r\n", ":-9223372036854775809\r\n",
        ":99999999999999999999999\r\n", "#x\r\n", "#tt\r\n", "_x\r\n", "*-2\r\n", "*2147483648\r\n",
        "%-1\r\n", "~-1\r\n", "=-1\r\n", "!-1\r\n", "=3\r\nabc\r\n", "=5\r\nabcde\r\n", "+a\rb\r\n",
        "|1\r\n", "$?\r\n", "*18446744073709551615\r\n", "*2\r\n:1\r\nx",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t used = 9;
        ck_assert_msg(reply_size(texts[i], &used) == RESP_INVALID, "%s", texts[i]);
        ck_assert_uint_eq(used, 0);
    }
    size_t position = 0;
    struct resp_value value;
    ck_assert_int_eq(resp_reply_next("\0\r\n", 3, &position, &value), RESP_INVALID);
}
END_TEST

START_TEST(depth_has_a_bound)
{
    char text[200] = "";
    size_t used = 0;

    for (unsigned depth = 0; depth < RESP_DEPTH_MAX; depth++) {
        strcat(text, "*1\r\n");
    }
    strcat(text, ":1\r\n");
    ck_assert_int_eq(reply_size(text, &used), RESP_OK);
    memmove(text + 4, text, strlen(text) + 1);
    ck_assert_int_eq(reply_size(text, &used), RESP_INVALID);
}
END_TEST

START_TEST(a_count_is_believed_only_as_far_as_bytes_follow)
{
    size_t used = 0;

    ck_assert_int_eq(reply_size("*2147483647\r\n:1\r\n", &used), RESP_MORE);
    ck_assert_int_eq(reply_size("%2147483647\r\n%2147483647\r\n:1\r\n", &used), RESP_MORE);
}
END_TEST

START_TEST(a_line_of_a_reply_has_a_bound)
{
    static char line[RESP_INLINE_MAX + 10];
    size_t used = 0;

    memset(line, 'x', sizeof(line));
    line[0] = '+';
    ck_assert_int_eq(resp_reply_size(line, RESP_INLINE_MAX, &used), RESP_MORE);
    ck_assert_int_eq(resp_reply_size(line, RESP_INLINE_MAX + 1, &used), RESP_INVALID);
    memcpy(line + RESP_INLINE_MAX, "\r\n", 2);
    ck_assert_int_eq(resp_reply_size(line, sizeof(line), &used), RESP_OK);
    ck_assert_uint_eq(used, RESP_INLINE_MAX + 2);
}
END_TEST

int main(void)
{
    return UNIT_RUN("resp_reply", replies_are_written_as_the_protocol_says,
                    numbers_are_written_as_printf_would, an_error_is_one_line,
                    every_status_survives_the_wire, a_buffer_grows_and_keeps_what_it_has,
                    a_buffer_without_memory_takes_nothing_more,
                    every_type_of_either_version_is_read, aggregates_are_walked_in_order,
                    a_reply_cut_anywhere_waits_for_more, what_is_no_reply_is_refused,
                    depth_has_a_bound, a_count_is_believed_only_as_far_as_bytes_follow,
                    a_line_of_a_reply_has_a_bound);
}
