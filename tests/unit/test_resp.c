/* SPDX-License-Identifier: MIT */
/* resp: requests in any pieces. */
#include "format/resp.h"

#include <string.h>

#include "unit.h"

#define PARTS_MAX 16

/* What resp_parse_request said last. */
static struct {
    struct bts_bytes parts[PARTS_MAX];
    size_t part_count;
    size_t used;
    size_t need;
    const char *why;
} test_request;

static enum resp_result parse_at_most(const char *data, size_t size, size_t request_max)
{
    return resp_parse_request(data, size, request_max, test_request.parts, PARTS_MAX,
                              &test_request.part_count, &test_request.used, &test_request.need,
                              &test_request.why);
}

static enum resp_result parse(const char *text)
{
    return parse_at_most(text, strlen(text), 1u << 20);
}

static void expect_part(size_t index, const char *text)
{
    ck_assert_uint_lt(index, test_request.part_count);
    ck_assert_uint_eq(test_request.parts[index].size, strlen(text));
    ck_assert_mem_eq(test_request.parts[index].data, text, strlen(text));
}

static void expect_invalid(const char *text, const char *why)
{
    enum resp_result result = parse(text);

    ck_assert_msg(result == RESP_INVALID, "%s: %d", text, result);
    ck_assert_msg(strstr(test_request.why, why) != NULL, "%s: %s", text, test_request.why);
    ck_assert_uint_eq(test_request.used, 0);
    ck_assert_uint_eq(test_request.part_count, 0);
}

START_TEST(an_array_of_bulk_strings_is_a_request)
{
    const char *text = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*1\r\n";

    ck_assert_int_eq(parse(text), RESP_OK);
    ck_assert_uint_eq(test_request.part_count, 3);
    ck_assert_uint_eq(test_request.used, strlen(text) - 4); /* the next one waits */
    expect_part(0, "SET");
    expect_part(1, "k");
    expect_part(2, "hello");
    ck_assert_ptr_null(test_request.why);
}
END_TEST

START_TEST(a_bulk_string_may_hold_any_bytes)
{
    static const char text[] = "*2\r\n$0\r\n\r\n$6\r\n\r\n\0*$\xff\r\n";

    ck_assert_int_eq(parse_at_most(text, sizeof(text) - 1, 1000), RESP_OK);
    expect_part(0, "");
    ck_assert_uint_eq(test_request.parts[1].size, 6);
    ck_assert_mem_eq(test_request.parts[1].data, "\r\n\0*$\xff", 6);
}
END_TEST

START_TEST(a_request_without_words_asks_nothing)
{
    static const char *const texts[] = {"*0\r\n", "*-1\r\n", "\r\n", "\n", "  \t \r\n"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_int_eq(parse(texts[i]), RESP_OK);
        ck_assert_uint_eq(test_request.part_count, 0);
        ck_assert_uint_eq(test_request.used, strlen(texts[i]));
    }
}
END_TEST

START_TEST(a_request_cut_anywhere_waits_for_more)
{
    const char *text = "*3\r\n$3\r\nSET\r\n$10\r\n0123456789\r\n$0\r\n\r\n";
    size_t size = strlen(text);

    for (size_t cut = 0; cut < size; cut++) {
        char *exact = malloc(cut > 0 ? cut : 1);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, text, cut);
        ck_assert_int_eq(parse_at_most(exact, cut, 1000), RESP_MORE);
        ck_assert_uint_eq(test_request.used, 0);
        ck_assert_uint_eq(test_request.part_count, 0);
        ck_assert(test_request.need == 0 || test_request.need > cut);
        ck_assert_uint_le(test_request.need, size);
        free(exact);
    }
}
END_TEST

START_TEST(need_says_how_much_is_missing)
{
    parse("*3\r\n");
    ck_assert_uint_eq(test_request.need, 4 + 3 * 6);
    parse("*2\r\n$3\r\nSET\r\n");
    ck_assert_uint_eq(test_request.need, 13 + 6);
    parse("*2\r\n$1000\r\nabc");
    ck_assert_uint_eq(test_request.need, 11 + 1000 + 2 + 6);
    parse("*3");
    ck_assert_uint_eq(test_request.need, 0);
    parse("GET ");
    ck_assert_uint_eq(test_request.need, 0);
}
END_TEST

START_TEST(what_is_no_request_is_refused_at_once)
{
    expect_invalid("*x\r\n", "multibulk length");
    expect_invalid("*1x\r\n", "multibulk length");
    expect_invalid("*\r\n", "multibulk length");
    expect_invalid("*1\rx", "multibulk length");
    expect_invalid("*1048577\r\n", "multibulk length");
    expect_invalid("*99999999999", "multibulk length");
    expect_invalid("*00000000001\r\n", "multibulk length");
    expect_invalid("*17\r\n", "too many words");
    expect_invalid("*1\r\n+", "expected '$'");
    expect_invalid("*1\r\n$x", "bulk length");
    expect_invalid("*1\r\n$-1\r\n", "bulk length");
    expect_invalid("*1\r\n$\r\n", "bulk length");
    expect_invalid("*1\r\n$536870913\r\n", "bulk length");
    expect_invalid("*1\r\n$18446744073709551617\r\n", "bulk length");
    expect_invalid("*1\r\n$3\r\nGETxx", "line end");
    expect_invalid("*1\r\n$3\r\nGET\rx", "line end");
}
END_TEST

START_TEST(lengths_just_within_their_bounds_are_taken)
{
    ck_assert_int_eq(parse("*0000000001\r\n$0000000002\r\nhi\r\n"), RESP_OK);
    expect_part(0, "hi");
    ck_assert_int_eq(parse_at_most("*1\r\n$536870912\r\n", 16, SIZE_MAX), RESP_MORE);
    ck_assert_uint_eq(test_request.need, 16 + 536870912 + 2);
    expect_invalid("*1048576\r\n", "too many words"); /* of this caller, not of all */
}
END_TEST

START_TEST(a_request_over_its_limit_is_refused_before_its_bytes_come)
{
    const char *text = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    size_t size = strlen(text);

    ck_assert_int_eq(parse_at_most(text, size, size), RESP_OK);
    ck_assert_int_eq(parse_at_most(text, size, size - 1), RESP_INVALID);
    ck_assert_uint_eq(test_request.part_count, 0);
    ck_assert_ptr_nonnull(strstr(test_request.why, "too large"));
    ck_assert_int_eq(parse_at_most("*1\r\n$5000\r\n", 11, 5000), RESP_INVALID);
    ck_assert_int_eq(parse_at_most("*9\r\n", 4, 57), RESP_INVALID);
    ck_assert_int_eq(parse_at_most("*9\r\n", 4, 58), RESP_MORE);
    ck_assert_int_eq(parse_at_most("GET some", 8, 7), RESP_INVALID);
}
END_TEST

START_TEST(a_line_of_words_is_a_request)
{
    ck_assert_int_eq(parse(" SET\tkey  a-value \r\nGET"), RESP_OK);
    ck_assert_uint_eq(test_request.used, 20);
    ck_assert_uint_eq(test_request.part_count, 3);
    expect_part(0, "SET");
    expect_part(1, "key");
    expect_part(2, "a-value");
    ck_assert_int_eq(parse("PING\n"), RESP_OK);
    expect_part(0, "PING");
}
END_TEST

START_TEST(quotes_keep_blanks_together)
{
    ck_assert_int_eq(parse("SET \"a key\" 'it is \"so\"' \"\" ''\r\n"), RESP_OK);
    ck_assert_uint_eq(test_request.part_count, 5);
    expect_part(1, "a key");
    expect_part(2, "it is \"so\"");
    expect_part(3, "");
    expect_part(4, "");
    ck_assert_int_eq(parse("GET it's\r\n"), RESP_OK); /* only at a word's begin */
    expect_part(1, "it's");
    ck_assert_int_eq(parse("GET \"a\\n\"\r\n"), RESP_OK); /* no escapes */
    expect_part(1, "a\\n");
    expect_invalid("GET \"key\r\n", "unbalanced quotes");
    expect_invalid("GET 'key\"\r\n", "unbalanced quotes");
    expect_invalid("GET \"key\"x\r\n", "unbalanced quotes");
}
END_TEST

START_TEST(a_line_has_bounds)
{
    static char line[RESP_INLINE_MAX + 1];

    memset(line, 'x', sizeof(line));
    ck_assert_int_eq(parse_at_most(line, RESP_INLINE_MAX - 1, 1u << 20), RESP_MORE);
    ck_assert_int_eq(parse_at_most(line, RESP_INLINE_MAX, 1u << 20), RESP_INVALID);
    line[RESP_INLINE_MAX - 1] = '\n';
    ck_assert_int_eq(parse_at_most(line, RESP_INLINE_MAX, 1u << 20), RESP_OK);
    ck_assert_uint_eq(test_request.parts[0].size, RESP_INLINE_MAX - 1);
    expect_invalid("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", "too many words");
    ck_assert_int_eq(parse("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"), RESP_OK);
}
END_TEST

/* Requests as the library writes them, many in a row, arriving in random pieces. */
START_TEST(a_stream_in_random_pieces_gives_the_same_requests)
{
    static char word[3000];
    struct resp_buffer stream = {0};
    unsigned seed = 4711;
    unsigned written = 4711;
    size_t request_count = 500;

    memset(word, 'w', sizeof(word));
    for (size_t i = 0; i < request_count; i++) {
        size_t part_count = (size_t)rand_r(&written) % PARTS_MAX;
        resp_request_begin(&stream, part_count);
        for (size_t part = 0; part < part_count; part++) {
            resp_request_part(&stream, word, (size_t)rand_r(&written) % sizeof(word));
        }
    }
    size_t start = 0;
    size_t arrived = 0;
    for (size_t i = 0; i < request_count;) {
        enum resp_result result = parse_at_most(stream.data + start, arrived - start, 1u << 20);
        if (result == RESP_MORE) {
            ck_assert_uint_lt(arrived, stream.size);
            size_t piece = 1 + (size_t)rand_r(&written) % 4000;
            arrived = stream.size - arrived < piece ? stream.size : arrived + piece;
            continue;
        }
        ck_assert_int_eq(result, RESP_OK);
        ck_assert_uint_eq(test_request.part_count, (size_t)rand_r(&seed) % PARTS_MAX);
        for (size_t part = 0; part < test_request.part_count; part++) {
            ck_assert_uint_eq(test_request.parts[part].size, (size_t)rand_r(&seed) % sizeof(word));
        }
        start += test_request.used;
        i++;
    }
    ck_assert_uint_eq(start, stream.size);
    resp_buffer_fini(&stream);
}
END_TEST

int main(void)
{
    return UNIT_RUN("resp", an_array_of_bulk_strings_is_a_request,
                    a_bulk_string_may_hold_any_bytes, a_request_without_words_asks_nothing,
                    a_request_cut_anywhere_waits_for_more, need_says_how_much_is_missing,
                    what_is_no_request_is_refused_at_once,
                    lengths_just_within_their_bounds_are_taken,
                    a_request_over_its_limit_is_refused_before_its_bytes_come,
                    a_line_of_words_is_a_request, quotes_keep_blanks_together, a_line_has_bounds,
                    a_stream_in_random_pieces_gives_the_same_requests);
}
