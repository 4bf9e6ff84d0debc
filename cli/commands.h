/* SPDX-License-Identifier: MIT */
/*
 * commands: what there is, what each takes, and what help says about it.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli.h"

/* Options that only some commands know; the others are for all. */
enum command_option_set {
    TAKES_BUCKET = 1u << 0,
    TAKES_HEX = 1u << 1,
    TAKES_RAW = 1u << 2,
    TAKES_RANGE = 1u << 3, /* --prefix, --from, --to */
    TAKES_SCAN = 1u << 4,  /* --reverse, --limit, --count */
    TAKES_OLD = 1u << 5,   /* --old */
    TAKES_WATCH = 1u << 6, /* --watch */
};

/* How a command wants the store. */
enum command_use {
    COMMAND_USES_OLD,  /* it must exist */
    COMMAND_USES_NEW,  /* a missing one is created */
    COMMAND_USES_NONE, /* opens it by itself */
};

struct command {
    const char *name;
    int (*run)(struct cli *cli);
    int (*check)(const struct cli *cli); /* of its arguments, before the store is opened; or NULL */
    enum command_use use;
    unsigned takes; /* enum command_option_set */
    int argument_min;
    int argument_max;
    const char *usage;
    const char *summary;
    const char *help;
};

/* NULL: there is no such command. */
const struct command *command_find(const char *name);

void command_print_help(const struct command *command);
void command_print_all_help(void);

#endif
