/* SPDX-License-Identifier: MIT */
/*
 * btstore: look into a store and change it, from a shell.
 *
 *     btstore STORE COMMAND [OPTION...] [ARGUMENT...]
 *
 * Options may stand anywhere; `--` ends them.  Reading goes through the
 * library, writing through the daemon, and where none runs a private one is
 * started, which ends by itself.
 */
#include "commands.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the command line ---------------------------------------------------------------- */

enum main_option {
    OPTION_BUCKET = 'b',
    OPTION_HELP = 'h',
    OPTION_VERSION = 'V',
    OPTION_HEX = 256,
    OPTION_RAW,
    OPTION_PREFIX,
    OPTION_FROM,
    OPTION_TO,
    OPTION_REVERSE,
    OPTION_LIMIT,
    OPTION_COUNT,
    OPTION_OLD,
    OPTION_DAEMON,
    OPTION_NO_START,
    OPTION_WATCH,
    OPTION_ALONE,
    OPTION_TIMEOUT,
};

static const struct option main_options[] = {
    {"bucket", required_argument, NULL, OPTION_BUCKET},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"hex", no_argument, NULL, OPTION_HEX},
    {"raw", no_argument, NULL, OPTION_RAW},
    {"prefix", required_argument, NULL, OPTION_PREFIX},
    {"from", required_argument, NULL, OPTION_FROM},
    {"to", required_argument, NULL, OPTION_TO},
    {"reverse", no_argument, NULL, OPTION_REVERSE},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"count", no_argument, NULL, OPTION_COUNT},
    {"old", no_argument, NULL, OPTION_OLD},
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"daemon", required_argument, NULL, OPTION_DAEMON},
    {"no-start", no_argument, NULL, OPTION_NO_START},
    {"alone", no_argument, NULL, OPTION_ALONE},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {NULL, 0, NULL, 0},
};

/* ---- what commands use ------------------------------------------------------------------ */

bool cli_is(const char *name, const char *text)
{
    return strcmp(name, text) == 0;
}

uint64_t cli_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int cli_usage(const char *format, ...)
{
    va_list arguments;

    fputs("btstore: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("; see btstore --help\n", stderr);
    return CLI_USAGE;
}

int cli_fail(const struct cli *cli)
{
    fprintf(stderr, "btstore: %s\n", cli->error.text);
    return cli->error.status == BTS_NOT_FOUND || cli->error.status == BTS_NO_BUCKET
               ? CLI_NOT_FOUND
               : CLI_ERROR;
}

bool cli_open_bucket(struct cli *cli, struct bts_bucket *bucket)
{
    return bts_snapshot_open(cli->store, &cli->snapshot, &cli->error) == BTS_OK &&
           bts_bucket_open(&cli->snapshot, cli->bucket, strlen(cli->bucket), bucket,
                           &cli->error) == BTS_OK;
}

/* ---- parsing ---------------------------------------------------------------------------- */

/* Options as they stand on the line; bytes are decoded when --hex is known. */
struct main_line {
    const char *prefix;
    const char *from;
    const char *to;
    unsigned used; /* enum command_option_set */
    bool wants_help;
    bool wants_version;
};

static bool main_parse_number(const char *text, uint64_t max, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *number <= max;
}

/* One option; CLI_OK or CLI_USAGE. */
static int main_take_option(int option, struct cli *cli, struct main_line *line)
{
    uint64_t number = 0;

    switch (option) {
    case OPTION_BUCKET:
        cli->bucket = optarg;
        line->used |= TAKES_BUCKET;
        return CLI_OK;
    case OPTION_HELP:
        line->wants_help = true;
        return CLI_OK;
    case OPTION_VERSION:
        line->wants_version = true;
        return CLI_OK;
    case OPTION_HEX:
        cli->is_hex = true;
        line->used |= TAKES_HEX;
        return CLI_OK;
    case OPTION_RAW:
        cli->is_raw = true;
        line->used |= TAKES_RAW;
        return CLI_OK;
    case OPTION_PREFIX:
        line->prefix = optarg;
        line->used |= TAKES_RANGE;
        return CLI_OK;
    case OPTION_FROM:
        line->from = optarg;
        line->used |= TAKES_RANGE;
        return CLI_OK;
    case OPTION_TO:
        line->to = optarg;
        line->used |= TAKES_RANGE;
        return CLI_OK;
    case OPTION_REVERSE:
        cli->is_reverse = true;
        line->used |= TAKES_SCAN;
        return CLI_OK;
    case OPTION_COUNT:
        cli->is_count = true;
        line->used |= TAKES_SCAN;
        return CLI_OK;
    case OPTION_OLD:
        cli->is_old = true;
        line->used |= TAKES_OLD;
        return CLI_OK;
    case OPTION_WATCH:
        cli->is_watch = true;
        line->used |= TAKES_WATCH;
        return CLI_OK;
    case OPTION_LIMIT:
        line->used |= TAKES_SCAN;
        return main_parse_number(optarg, UINT64_MAX, &cli->limit)
                   ? CLI_OK
                   : cli_usage("--limit takes a number, not \"%s\"", optarg);
    case OPTION_DAEMON:
        cli->options.daemon_path = optarg;
        return CLI_OK;
    case OPTION_NO_START:
        cli->options.flags |= BTS_OPEN_NO_START;
        return CLI_OK;
    case OPTION_ALONE:
        cli->options.flags |= BTS_OPEN_ALONE;
        return CLI_OK;
    case OPTION_TIMEOUT:
        if (!main_parse_number(optarg, UINT32_MAX, &number) || number == 0) {
            return cli_usage("--timeout takes milliseconds, not \"%s\"", optarg);
        }
        cli->options.timeout_ms = (unsigned)number;
        return CLI_OK;
    default:
        return CLI_USAGE; /* getopt has said what is wrong */
    }
}

static int main_parse(int argc, char *argv[], struct cli *cli, struct main_line *line)
{
    int option;

    while ((option = getopt_long(argc, argv, "b:hV", main_options, NULL)) != -1) {
        int result = main_take_option(option, cli, line);
        if (result != CLI_OK) {
            return option == '?' ? cli_usage("the options are wrong") : result;
        }
    }
    cli->arguments = argv + optind;
    cli->argument_count = argc - optind;
    return CLI_OK;
}

/* Whether this command takes what was given. */
static int main_check(const struct command *command, const struct cli *cli,
                      const struct main_line *line)
{
    if ((line->used & ~command->takes) != 0) {
        return cli_usage("%s does not take one of these options", command->name);
    }
    if (cli->argument_count < command->argument_min ||
        cli->argument_count > command->argument_max) {
        return cli_usage("usage: btstore STORE %s %s", command->name, command->usage);
    }
    if (line->prefix != NULL && (line->from != NULL || line->to != NULL)) {
        return cli_usage("--prefix does not go with --from and --to");
    }
    return CLI_OK;
}

/* Keys and values that are given in hexadecimal digits must be. */
static int main_check_hex(const struct cli *cli)
{
    for (int i = 0; i < cli->argument_count; i++) {
        struct bts_bytes bytes;
        if (cli_is(cli->arguments[i], "-")) {
            continue; /* stdin */
        }
        if (!cli_bytes(cli, cli->arguments[i], &bytes)) {
            return cli_usage("\"%s\" is not hexadecimal", cli->arguments[i]);
        }
        cli_bytes_free(cli, bytes);
    }
    return CLI_OK;
}

/* Bounds into bytes; after it nothing about the line can be wrong any more. */
static int main_decode(const struct command *command, struct cli *cli,
                       const struct main_line *line)
{
    const char *const texts[] = {line->prefix, line->from, line->to};
    struct bts_bytes *const bytes[] = {&cli->prefix, &cli->from, &cli->to};

    for (size_t i = 0; i < 3; i++) {
        if (texts[i] != NULL && !cli_bytes(cli, texts[i], bytes[i])) {
            return cli_usage("\"%s\" is not hexadecimal", texts[i]);
        }
    }
    cli->has_range = (line->used & TAKES_RANGE) != 0;
    if (cli->is_hex && main_check_hex(cli) != CLI_OK) {
        return CLI_USAGE;
    }
    return command->check != NULL ? command->check(cli) : CLI_OK;
}

/* ---- running ---------------------------------------------------------------------------- */

static int main_run(const struct command *command, struct cli *cli)
{
    int result;

    if (command->use == COMMAND_USES_OLD) {
        cli->options.flags |= BTS_OPEN_MUST_EXIST;
    }
    if (command->use != COMMAND_USES_NONE &&
        bts_store_open(cli->store_path, &cli->options, &cli->store, &cli->error) != BTS_OK) {
        return cli_fail(cli);
    }
    result = cut_short_guard(command->run, cli);
    bts_snapshot_close(&cli->snapshot);
    bts_store_close(cli->store);
    cli_bytes_free(cli, cli->prefix);
    cli_bytes_free(cli, cli->from);
    cli_bytes_free(cli, cli->to);
    if ((fflush(stdout) != 0 || ferror(stdout)) && result == CLI_OK) {
        fprintf(stderr, "btstore: cannot write to stdout: %s\n", strerror(errno));
        return CLI_ERROR;
    }
    return result;
}

/* --help: of the command that the line names, wherever it stands. */
static int main_help(const struct cli *cli)
{
    for (int i = 0; i < cli->argument_count; i++) {
        const struct command *command = command_find(cli->arguments[i]);
        if (command != NULL) {
            command_print_help(command);
            return CLI_OK;
        }
    }
    command_print_all_help();
    return CLI_OK;
}

int main(int argc, char *argv[])
{
    struct cli cli = {.bucket = BTS_DEFAULT_BUCKET, .limit = UINT64_MAX};
    struct main_line line = {.used = 0};
    const struct command *command;
    int result = main_parse(argc, argv, &cli, &line);

    if (result != CLI_OK) {
        return result;
    }
    if (line.wants_version) {
        puts("btstore " PACKAGE_VERSION);
        return CLI_OK;
    }
    if (line.wants_help) {
        return main_help(&cli);
    }
    if (cli.argument_count < 2) {
        return cli_usage("a store and a command are needed");
    }
    command = command_find(cli.arguments[1]);
    if (command == NULL) {
        return cli_usage("there is no command \"%s\"", cli.arguments[1]);
    }
    cli.store_path = cli.arguments[0];
    cli.arguments += 2;
    cli.argument_count -= 2;
    result = main_check(command, &cli, &line);
    if (result == CLI_OK) {
        result = main_decode(command, &cli, &line);
    }
    return result == CLI_OK ? main_run(command, &cli) : result;
}
