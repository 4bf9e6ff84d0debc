/* SPDX-License-Identifier: MIT */
/*
 * test_options: the command line of btstored.
 */
#include "server/options.h"

#include <string.h>

#include "unit.h"

#define WORDS_MAX 12

/* Parses a command line given as words separated by blanks. */
static enum bts_status parse(const char *line, struct options *options,
                             enum options_action *action, struct bts_error *error)
{
    static char words[256];
    char *argv[WORDS_MAX + 1] = {(char *)(uintptr_t)"btstored"};
    int argc = 1;

    ck_assert_uint_lt(strlen(line), sizeof(words));
    memcpy(words, line, strlen(line) + 1);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        ck_assert_int_lt(argc, WORDS_MAX);
        argv[argc++] = word;
    }
    return options_parse(argc, argv, options, action, error);
}

START_TEST(a_store_alone_gets_the_defaults)
{
    struct options options;
    enum options_action action;

    ck_assert_int_eq(parse("app.bts", &options, &action, NULL), BTS_OK);
    ck_assert_int_eq(action, OPTIONS_SERVE);
    ck_assert_str_eq(options.store, "app.bts");
    ck_assert_ptr_null(options.socket);
    ck_assert_ptr_null(options.group);
    ck_assert(!options.foreground && !options.is_private && !options.must_exist);
    ck_assert_int_eq(options.idle_exit_s, OPTIONS_IDLE_NEVER);
    ck_assert_int_eq(options.ready_fd, -1);
    ck_assert_uint_eq(options.page_size, 0);
    ck_assert_uint_eq(options.map_size, 0);
    ck_assert_uint_eq(options.log_size, 0);
}
END_TEST

START_TEST(every_option_is_understood_in_any_place)
{
    struct options options;
    enum options_action action;

    ck_assert_int_eq(parse("--socket /s --page-size 64K app.bts --map-size=2G --log-size 16M",
                           &options, &action, NULL),
                     BTS_OK);
    ck_assert_str_eq(options.store, "app.bts");
    ck_assert_str_eq(options.socket, "/s");
    ck_assert_uint_eq(options.page_size, 65536);
    ck_assert_uint_eq(options.map_size, 2ull << 30);
    ck_assert_uint_eq(options.log_size, 16u << 20);
    ck_assert_int_eq(parse("-f -g users -s x --idle-exit 7 --ready-fd 3 --must-exist y", &options,
                           &action, NULL),
                     BTS_OK);
    ck_assert_str_eq(options.group, "users");
    ck_assert_int_eq(options.idle_exit_s, 7);
    ck_assert_int_eq(options.ready_fd, 3);
    ck_assert(options.foreground && options.must_exist);
    ck_assert_int_eq(parse("-- -odd-name", &options, &action, NULL), BTS_OK);
    ck_assert_str_eq(options.store, "-odd-name");
}
END_TEST

START_TEST(a_private_daemon_ends_after_ten_idle_seconds_unless_told_otherwise)
{
    struct options options;
    enum options_action action;

    ck_assert_int_eq(parse("--private a", &options, &action, NULL), BTS_OK);
    ck_assert_int_eq(options.idle_exit_s, OPTIONS_IDLE_PRIVATE_S);
    ck_assert_int_eq(parse("--private --idle-exit 0 a", &options, &action, NULL), BTS_OK);
    ck_assert_int_eq(options.idle_exit_s, 0);
}
END_TEST

START_TEST(help_and_version_need_no_store)
{
    struct options options;
    enum options_action action;

    ck_assert_int_eq(parse("--help", &options, &action, NULL), BTS_OK);
    ck_assert_int_eq(action, OPTIONS_HELP);
    ck_assert_int_eq(parse("-V", &options, &action, NULL), BTS_OK);
    ck_assert_int_eq(action, OPTIONS_VERSION);
}
END_TEST

START_TEST(a_wrong_command_line_is_told_what_is_wrong)
{
    static const struct {
        const char *line;
        const char *says;
    } cases[] = {
        {"", "name one database file"},
        {"a b", "name one database file"},
        {"--bogus a", "--bogus: no such option"},
        {"a --socket", "--socket: this option needs a value"},
        {"--page-size 5000 a", "no power of two"},
        {"--page-size 1K a", "no power of two"},
        {"--page-size 1M a", "is no number up to 65536"},
        {"--map-size 12Q a", "'12Q' is no number"},
        {"--log-size -5 a", "'-5' is no number"},
        {"--log-size 2M a", "--log-size: '2M' is less than 16M"},
        {"--log-size 16777215 a", "'16777215' is less than 16M"},
        {"--log-size 0 a", "'0' is less than 16M"},
        {"--log-size 5MM a", "'5MM' is no number"},
        {"--idle-exit soon a", "'soon' is no number"},
        {"--ready-fd 99999999999 a", "is no number"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options options;
        enum options_action action;
        struct bts_error error;
        ck_assert_int_eq(parse(cases[i].line, &options, &action, &error), BTS_INVALID);
        ck_assert_msg(strstr(error.text, cases[i].says) != NULL, "'%s' says: %s", cases[i].line,
                      error.text);
    }
}
END_TEST

START_TEST(sizes_have_units_and_do_not_wrap)
{
    uint64_t size;

    ck_assert(options_parse_size("0", UINT64_MAX, &size) && size == 0);
    ck_assert(options_parse_size("3T", UINT64_MAX, &size) && size == 3ull << 40);
    ck_assert(options_parse_size("18446744073709551615", UINT64_MAX, &size) && size == UINT64_MAX);
    ck_assert(!options_parse_size("18446744073709551616", UINT64_MAX, &size));
    ck_assert(!options_parse_size("18446744073709551615K", UINT64_MAX, &size));
    ck_assert(!options_parse_size("17179869184G", UINT64_MAX, &size));
    ck_assert(!options_parse_size("", UINT64_MAX, &size));
    ck_assert(!options_parse_size(" 1", UINT64_MAX, &size));
    ck_assert(!options_parse_size("1 ", UINT64_MAX, &size));
    ck_assert(!options_parse_size("K", UINT64_MAX, &size));
    ck_assert(!options_parse_size("9", 8, &size));
}
END_TEST

int main(void)
{
    return UNIT_RUN("options", a_store_alone_gets_the_defaults,
                    every_option_is_understood_in_any_place,
                    a_private_daemon_ends_after_ten_idle_seconds_unless_told_otherwise,
                    help_and_version_need_no_store, a_wrong_command_line_is_told_what_is_wrong,
                    sizes_have_units_and_do_not_wrap);
}
