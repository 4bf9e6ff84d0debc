/* SPDX-License-Identifier: MIT */
/*
 * options: see options.h.
 */
#include "server/options.h"

#include "base/err.h"
#include "commit/commit.h"
#include "format/page.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum option_key {
    OPTION_SOCKET = 's',
    OPTION_FOREGROUND = 'f',
    OPTION_GROUP = 'g',
    OPTION_HELP = 'h',
    OPTION_VERSION = 'V',
    OPTION_PRIVATE = 256,
    OPTION_PAGE_SIZE,
    OPTION_MAP_SIZE,
    OPTION_LOG_SIZE,
    OPTION_IDLE_EXIT,
    OPTION_READY_FD,
    OPTION_MUST_EXIST,
};

static const struct option option_names[] = {
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"group", required_argument, NULL, OPTION_GROUP},
    {"private", no_argument, NULL, OPTION_PRIVATE},
    {"page-size", required_argument, NULL, OPTION_PAGE_SIZE},
    {"map-size", required_argument, NULL, OPTION_MAP_SIZE},
    {"log-size", required_argument, NULL, OPTION_LOG_SIZE},
    {"idle-exit", required_argument, NULL, OPTION_IDLE_EXIT},
    {"ready-fd", required_argument, NULL, OPTION_READY_FD},
    {"must-exist", no_argument, NULL, OPTION_MUST_EXIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static const char option_help[] =
    "Usage: btstored [OPTION]... STORE\n"
    "\n"
    "Serves one store: the database file STORE, which is created if it is missing.\n"
    "Programs read it through libbtstore without asking the daemon, and write to it\n"
    "through the daemon's socket, which also speaks the Redis protocol:\n"
    "\n"
    "    btstored app.bts                     serve it, in the background\n"
    "    btstore app.bts put greeting hello   write, with the command line tool\n"
    "    redis-cli -s app.bts.socket          or with any Redis client\n"
    "    kill -TERM PID                       clean stop: only app.bts is left\n"
    "\n"
    "While it serves, STORE.socket is a symbolic link to the socket, and\n"
    "STORE.pending holds commits that are not in STORE yet: never delete it.\n"
    "\n"
    "  -f, --foreground         stay in the foreground and log to stderr; else the\n"
    "                           command returns once the store is served, and the\n"
    "                           daemon logs to syslog\n"
    "  -s, --socket PATH        put the socket there instead of in the run directory\n"
    "  -g, --group NAME         let the members of this group use the store, too;\n"
    "                           else only the user of the daemon and root may\n"
    "      --page-size SIZE     page size of a new store: 4K (default) to 64K\n"
    "      --map-size SIZE      address space to reserve for the file (default 1T)\n"
    "      --log-size SIZE      most bytes of STORE.pending, 16M at least (default 64M)\n"
    "      --must-exist         do not create a missing STORE\n"
    "      --idle-exit SECONDS  end so long after the last client and reader left\n"
    "      --private            what libbtstore gives when it starts a daemon for a\n"
    "                           path: as --idle-exit 10, and inherits no files\n"
    "      --ready-fd N         write the socket's path to descriptor N once served\n"
    "  -h, --help               show this\n"
    "  -V, --version            show the version\n"
    "\n"
    "SIZE is a number of bytes, or one with K, M, G or T.  Exit status: 0 after a\n"
    "clean stop, 1 on failure, 2 if the command line is wrong, 75 if another daemon\n"
    "serves the store.\n";

void options_print_help(FILE *out)
{
    fputs(option_help, out);
}

bool options_parse_size(const char *text, uint64_t max, uint64_t *size)
{
    static const char units[] = "KMGT";
    char *end = NULL;

    *size = 0;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    if (errno != 0 || (*end != '\0' && (unit == NULL || end[1] != '\0'))) {
        return false;
    }
    if (number > max >> shift) {
        return false;
    }
    *size = (uint64_t)number << shift;
    return true;
}

static enum bts_status options_number(const char *name, const char *text, uint64_t max,
                                      uint64_t *number, struct bts_error *error)
{
    if (options_parse_size(text, max, number)) {
        return BTS_OK;
    }
    return err_set(error, BTS_INVALID, "btstored: --%s: '%s' is no number up to %llu", name, text,
                   (unsigned long long)max);
}

static enum bts_status options_set_number(struct options *options, int key, const char *text,
                                          struct bts_error *error)
{
    uint64_t number = 0;
    enum bts_status status = BTS_OK;

    switch (key) {
    case OPTION_PAGE_SIZE:
        status = options_number("page-size", text, PAGE_SIZE_MAX, &number, error);
        if (status == BTS_OK && !page_size_valid(number)) {
            status = err_set(error, BTS_INVALID,
                             "btstored: --page-size: '%s' is no power of two from %u to %u", text,
                             (unsigned)PAGE_SIZE_MIN, (unsigned)PAGE_SIZE_MAX);
        }
        options->page_size = (size_t)number;
        break;
    case OPTION_MAP_SIZE:
        return options_number("map-size", text, 1ull << 46, &options->map_size, error);
    case OPTION_LOG_SIZE:
        status = options_number("log-size", text, 1ull << 40, &options->log_size, error);
        if (status == BTS_OK && options->log_size < COMMIT_LOG_SIZE_MIN) {
            status = err_set(error, BTS_INVALID, "btstored: --log-size: '%s' is less than %uM",
                             text, COMMIT_LOG_SIZE_MIN >> 20);
        }
        break;
    case OPTION_IDLE_EXIT:
        status = options_number("idle-exit", text, 365ull * 24 * 3600, &number, error);
        options->idle_exit_s = (int)number;
        break;
    default:
        status = options_number("ready-fd", text, INT_MAX, &number, error);
        options->ready_fd = (int)number;
        break;
    }
    return status;
}

static enum bts_status options_set(struct options *options, int key, const char *text,
                                   struct bts_error *error)
{
    switch (key) {
    case OPTION_SOCKET:
        options->socket = text;
        return BTS_OK;
    case OPTION_GROUP:
        options->group = text;
        return BTS_OK;
    case OPTION_FOREGROUND:
        options->foreground = true;
        return BTS_OK;
    case OPTION_PRIVATE:
        options->is_private = true;
        return BTS_OK;
    case OPTION_MUST_EXIST:
        options->must_exist = true;
        return BTS_OK;
    default:
        return options_set_number(options, key, text, error);
    }
}

static enum bts_status options_finish(struct options *options, int argc, char *argv[], int next,
                                      struct bts_error *error)
{
    if (argc - next != 1) {
        return err_set(error, BTS_INVALID,
                       "btstored: name one database file, as in: btstored app.bts");
    }
    if (argv[next][0] == '\0') {
        return err_set(error, BTS_INVALID, "btstored: the name of the database file is empty");
    }
    options->store = argv[next];
    if (options->is_private && options->idle_exit_s == OPTIONS_IDLE_NEVER) {
        options->idle_exit_s = OPTIONS_IDLE_PRIVATE_S;
    }
    return BTS_OK;
}

enum bts_status options_parse(int argc, char *argv[], struct options *options,
                              enum options_action *action, struct bts_error *error)
{
    int key;

    *options = (struct options){.idle_exit_s = OPTIONS_IDLE_NEVER, .ready_fd = -1};
    *action = OPTIONS_SERVE;
    optind = 0; /* begins anew, also when called twice */
    opterr = 0;
    while ((key = getopt_long(argc, argv, ":s:fg:hV", option_names, NULL)) != -1) {
        if (key == OPTION_HELP || key == OPTION_VERSION) {
            *action = key == OPTION_HELP ? OPTIONS_HELP : OPTIONS_VERSION;
            return BTS_OK;
        }
        if (key == '?' || key == ':') {
            return err_set(error, BTS_INVALID, "btstored: %s: %s; see btstored --help",
                           argv[optind - 1],
                           key == ':' ? "this option needs a value" : "no such option");
        }
        enum bts_status status = options_set(options, key, optarg, error);
        if (status != BTS_OK) {
            return status;
        }
    }
    return options_finish(options, argc, argv, optind, error);
}
