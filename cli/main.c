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
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    OPTION_DAEMON,
    OPTION_NO_START,
    OPTION_ALONE,
    OPTION_TIMEOUT,
};

/* Options that only some commands know; the others are for all. */
enum main_option_set {
    TAKES_BUCKET = 1u << 0,
    TAKES_HEX = 1u << 1,
    TAKES_RAW = 1u << 2,
    TAKES_RANGE = 1u << 3, /* --prefix, --from, --to */
    TAKES_SCAN = 1u << 4,  /* --reverse, --limit, --count */
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
    {"daemon", required_argument, NULL, OPTION_DAEMON},
    {"no-start", no_argument, NULL, OPTION_NO_START},
    {"alone", no_argument, NULL, OPTION_ALONE},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {NULL, 0, NULL, 0},
};

/* How a command wants the store. */
enum main_use {
    USES_OLD,   /* the store must exist */
    USES_NEW,   /* a missing store is created */
    USES_NONE,  /* opens it by itself */
};

struct main_command {
    const char *name;
    int (*run)(struct cli *cli);
    enum main_use use;
    unsigned takes; /* enum main_option_set */
    int argument_min;
    int argument_max;
    const char *usage;
    const char *summary;
    const char *help;
};

static const struct main_command main_commands[] = {
    {"get", cmd_get, USES_OLD, TAKES_BUCKET | TAKES_HEX | TAKES_RAW, 1, 1, "KEY",
     "print the value of a key",
     "Prints the value as it is, and a newline; --raw leaves out the newline, --hex\n"
     "prints hexadecimal digits.  Exit status 1 if there is no such key.\n"
     "\n"
     "    btstore app.bts get -b users 42\n"
     "    btstore app.bts get --raw logo.png > logo.png\n"},
    {"put", cmd_put, USES_NEW, TAKES_BUCKET | TAKES_HEX, 2, 2, "KEY VALUE | KEY -",
     "store a value; - reads it from stdin",
     "Returns when the value is durable.  A missing store is created; a missing\n"
     "bucket is not: see `bucket create`.\n"
     "\n"
     "    btstore app.bts put greeting hello\n"
     "    btstore app.bts put -b users 42 Alice\n"
     "    btstore app.bts put logo.png - < logo.png\n"
     "    btstore app.bts put --hex 00ff 0123     (binary key and value)\n"
     "    btstore app.bts put -- balance -5       (-- ends the options)\n"},
    {"del", cmd_del, USES_OLD, TAKES_BUCKET | TAKES_HEX | TAKES_RANGE, 0, 1000000,
     "KEY... | --prefix P | --from A --to B", "delete keys, or a range of them",
     "All of it is one transaction.  A key that is not there is no error.\n"
     "\n"
     "    btstore app.bts del -b users 42 43\n"
     "    btstore app.bts del --prefix session/\n"
     "    btstore app.bts del --from 2023 --to 2024   (2024 itself stays)\n"},
    {"scan", cmd_scan, USES_OLD, TAKES_BUCKET | TAKES_HEX | TAKES_RAW | TAKES_RANGE | TAKES_SCAN,
     0, 0, "", "list keys and values in order",
     "One line each: key, tab, value.  In both, \\t \\n \\r \\\\ stand for those bytes\n"
     "and \\xNN for other control bytes; --hex prints hexadecimal digits, --raw the\n"
     "bytes as they are.\n"
     "\n"
     "      --prefix P   only keys that begin with P\n"
     "      --from A     only keys from A on\n"
     "      --to B       only keys before B\n"
     "      --reverse    last one first\n"
     "      --limit N    at most N\n"
     "      --count      print how many, and nothing else\n"
     "\n"
     "    btstore app.bts scan -b files --prefix /etc/ --limit 10\n"
     "    btstore app.bts scan --reverse --limit 1        (the last entry)\n"},
    {"buckets", cmd_buckets, USES_OLD, 0, 0, 0, "", "list the buckets and their entries",
     "One line each: name (escaped as in scan), tab, number of entries.\n"},
    {"bucket", cmd_bucket, USES_NEW, 0, 2, 3, "create NAME | drop NAME | rename OLD NEW",
     "create, drop or rename a bucket",
     "Dropping a bucket deletes all that is in it.  Bucket `default` is always there.\n"
     "\n"
     "    btstore app.bts bucket create users\n"
     "    btstore app.bts bucket rename users people\n"},
    {"stat", cmd_stat, USES_OLD, 0, 0, 0, "", "print numbers of the store", ""},
    {"check", cmd_check, USES_NONE, 0, 0, 0, "", "check every page",
     "Checksums, structure, key order, counts, and that the space map names exactly\n"
     "the pages in use.  On a served store the daemon makes a checkpoint and keeps it;\n"
     "without a daemon file and log are read as they lie, and nothing is changed.\n"
     "Findings are printed one a line; exit status 3 if there are any.\n"},
    {"readers", cmd_readers, USES_OLD, 0, 0, 0, "", "list the processes that read",
     "One line each: pid, uid, open snapshots, the oldest of them, milliseconds since\n"
     "it attached, and bytes that only its snapshots keep from reuse (at most).\n"},
    {"checkpoint", cmd_checkpoint, USES_OLD, 0, 0, 0, "", "make a checkpoint now",
     "Prints the number of the state that is in the file now.\n"},
    {"socket", cmd_socket, USES_OLD, 0, 0, 0, "", "print the daemon's socket",
     "For Redis clients:\n"
     "\n"
     "    redis-cli -s \"$(btstore app.bts socket)\"\n"},
};
#define MAIN_COMMAND_COUNT (sizeof(main_commands) / sizeof(main_commands[0]))

static const char main_help_head[] =
    "Usage: btstore STORE COMMAND [OPTION]... [ARGUMENT]...\n"
    "\n"
    "Reads and changes a store: STORE is the database file, or its daemon's socket.\n"
    "If no daemon serves the file, a private one is started; it ends by itself.\n"
    "\n"
    "    btstore app.bts put greeting hello     create the store, write to it\n"
    "    btstore app.bts get greeting           read it\n"
    "    btstore app.bts bucket create users    buckets keep keys apart\n"
    "    btstore app.bts put -b users 42 Alice\n"
    "    btstore app.bts scan -b users          all of it, in order\n"
    "    btstore app.bts check                  is every page sound?\n"
    "\n"
    "Commands:\n";

static const char main_help_tail[] =
    "\n"
    "Options, anywhere (-- ends them):\n"
    "  -b, --bucket NAME    the bucket; else `default`\n"
    "      --hex            keys and values are hexadecimal digits, in and out\n"
    "      --raw            print bytes as they are\n"
    "      --no-start       start no daemon: fail if none runs\n"
    "      --alone          read the file without any daemon (a backup, read-only media)\n"
    "      --daemon PATH    the btstored to start\n"
    "      --timeout MS     wait for the daemon at most so long (30000)\n"
    "  -h, --help           show this; with a COMMAND: more about it\n"
    "  -V, --version        show the version\n"
    "\n"
    "Exit status: 0 done; 1 no such key or bucket; 2 the command line is wrong;\n"
    "3 anything else, and stderr says what.\n";

static void main_print_help(void)
{
    fputs(main_help_head, stdout);
    for (size_t i = 0; i < MAIN_COMMAND_COUNT; i++) {
        printf("  %-11s  %s\n", main_commands[i].name, main_commands[i].summary);
    }
    fputs(main_help_tail, stdout);
}

static void main_print_command_help(const struct main_command *command)
{
    printf("Usage: btstore STORE %s%s%s%s%s%s\n%s: %s.\n", command->name,
           (command->takes & TAKES_BUCKET) != 0 ? " [-b BUCKET]" : "",
           (command->takes & TAKES_HEX) != 0 ? " [--hex]" : "",
           (command->takes & TAKES_RAW) != 0 ? " [--raw]" : "",
           command->usage[0] != '\0' ? " " : "", command->usage, command->name, command->summary);
    if (command->help[0] != '\0') {
        printf("\n%s", command->help);
    }
}

static const struct main_command *main_find_command(const char *name)
{
    for (size_t i = 0; i < MAIN_COMMAND_COUNT; i++) {
        if (cli_is(main_commands[i].name, name)) {
            return &main_commands[i];
        }
    }
    return NULL;
}

/* ---- what commands use ------------------------------------------------------------------ */

bool cli_is(const char *name, const char *text)
{
    return strcmp(name, text) == 0;
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
    unsigned used; /* enum main_option_set */
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
static int main_check(const struct main_command *command, const struct cli *cli,
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

static int main_decode(struct cli *cli, const struct main_line *line)
{
    const char *const texts[] = {line->prefix, line->from, line->to};
    struct bts_bytes *const bytes[] = {&cli->prefix, &cli->from, &cli->to};

    for (size_t i = 0; i < 3; i++) {
        if (texts[i] != NULL && !cli_bytes(cli, texts[i], bytes[i])) {
            return cli_usage("\"%s\" is not hexadecimal", texts[i]);
        }
    }
    cli->has_range = (line->used & TAKES_RANGE) != 0;
    return CLI_OK;
}

/* ---- running ---------------------------------------------------------------------------- */

static int main_run(const struct main_command *command, struct cli *cli)
{
    int result;

    if (command->use == USES_OLD) {
        cli->options.flags |= BTS_OPEN_MUST_EXIST;
    }
    if (command->use != USES_NONE &&
        bts_store_open(cli->store_path, &cli->options, &cli->store, &cli->error) != BTS_OK) {
        return cli_fail(cli);
    }
    result = command->run(cli);
    bts_snapshot_close(&cli->snapshot);
    bts_store_close(cli->store);
    cli_bytes_free(cli, cli->prefix);
    cli_bytes_free(cli, cli->from);
    cli_bytes_free(cli, cli->to);
    if (fflush(stdout) != 0 && result == CLI_OK) {
        fprintf(stderr, "btstore: cannot write to stdout: %s\n", strerror(errno));
        return CLI_ERROR;
    }
    return result;
}

/* --help: of the command that the line names, wherever it stands. */
static int main_help(const struct cli *cli)
{
    for (int i = 0; i < cli->argument_count; i++) {
        const struct main_command *command = main_find_command(cli->arguments[i]);
        if (command != NULL) {
            main_print_command_help(command);
            return CLI_OK;
        }
    }
    main_print_help();
    return CLI_OK;
}

int main(int argc, char *argv[])
{
    struct cli cli = {.bucket = BTS_DEFAULT_BUCKET, .limit = UINT64_MAX};
    struct main_line line = {.used = 0};
    const struct main_command *command;
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
    command = main_find_command(cli.arguments[1]);
    if (command == NULL) {
        return cli_usage("there is no command \"%s\"", cli.arguments[1]);
    }
    cli.store_path = cli.arguments[0];
    cli.arguments += 2;
    cli.argument_count -= 2;
    result = main_check(command, &cli, &line);
    if (result == CLI_OK) {
        result = main_decode(&cli, &line);
    }
    return result == CLI_OK ? main_run(command, &cli) : result;
}
