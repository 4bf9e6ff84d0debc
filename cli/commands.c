/* SPDX-License-Identifier: MIT */
/*
 * commands: the table, and the help that is made from it.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#define COMMAND_ARGUMENTS_MAX 1000000

static const struct command commands[] = {
    {
        .name = "get",
        .run = cmd_get,
        .use = COMMAND_USES_OLD,
        .takes = TAKES_BUCKET | TAKES_HEX | TAKES_RAW,
        .argument_min = 1,
        .argument_max = 1,
        .usage = "KEY",
        .summary = "print the value of a key",
        .help = "Prints the value as it is, and a newline; --raw leaves out the newline, --hex\n"
                "prints hexadecimal digits.  Exit status 1 if there is no such key.\n"
                "\n"
                "    btstore app.bts get -b users 42\n"
                "    btstore app.bts get --raw logo.png > logo.png\n",
    },
    {
        .name = "put",
        .run = cmd_put,
        .use = COMMAND_USES_NEW,
        .takes = TAKES_BUCKET | TAKES_HEX,
        .argument_min = 2,
        .argument_max = 2,
        .usage = "KEY VALUE | KEY -",
        .summary = "store a value; - reads it from stdin",
        .help = "Returns when the value is durable.  A missing store is created; a missing\n"
                "bucket is not: see `bucket create`.\n"
                "\n"
                "    btstore app.bts put greeting hello\n"
                "    btstore app.bts put -b users 42 Alice\n"
                "    btstore app.bts put logo.png - < logo.png\n"
                "    btstore app.bts put --hex 00ff 0123     (binary key and value)\n"
                "    btstore app.bts put -- balance -5       (-- ends the options)\n",
    },
    {
        .name = "del",
        .run = cmd_del,
        .check = cmd_del_check,
        .use = COMMAND_USES_OLD,
        .takes = TAKES_BUCKET | TAKES_HEX | TAKES_RANGE,
        .argument_max = COMMAND_ARGUMENTS_MAX,
        .usage = "KEY... | --prefix P | --from A --to B",
        .summary = "delete keys, or a range of them",
        .help = "All of it is one transaction.  A key that is not there is no error.\n"
                "\n"
                "    btstore app.bts del -b users 42 43\n"
                "    btstore app.bts del --prefix session/\n"
                "    btstore app.bts del --from 2023 --to 2024   (2024 itself stays)\n",
    },
    {
        .name = "scan",
        .run = cmd_scan,
        .use = COMMAND_USES_OLD,
        .takes = TAKES_BUCKET | TAKES_HEX | TAKES_RAW | TAKES_RANGE | TAKES_SCAN,
        .usage = "[--prefix P | --from A --to B] [--reverse] [--limit N] [--count]",
        .summary = "list keys and values in order",
        .help = "One line each: key, tab, value.  In both, \\t \\n \\r \\\\ stand for those bytes\n"
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
                "    btstore app.bts scan --reverse --limit 1        (the last entry)\n",
    },
    {
        .name = "load",
        .run = cmd_load,
        .use = COMMAND_USES_NEW,
        .takes = TAKES_BUCKET | TAKES_HEX,
        .usage = "<FILE",
        .summary = "store many entries, from lines as scan prints them",
        .help = "One line each: key, tab, value.  In both, \\t \\n \\r \\\\ and \\xNN stand for\n"
                "those bytes, or with --hex all is hexadecimal digits.  Sorted input is fastest.\n"
                "The bucket is created if it is missing.  Each 10,000 lines, or 1 MiB, are one\n"
                "transaction; all are durable in the end.  At a line that is wrong it stops, and\n"
                "says how many entries before it are in the store.\n"
                "\n"
                "    btstore app.bts load -b users <users.tsv\n"
                "    btstore old.bts scan --hex -b users | btstore new.bts load --hex -b users\n",
    },
    {
        .name = "buckets",
        .run = cmd_buckets,
        .use = COMMAND_USES_OLD,
        .usage = "",
        .summary = "list the buckets and their entries",
        .help = "One line each: name (escaped as in scan), tab, number of entries.\n",
    },
    {
        .name = "bucket",
        .run = cmd_bucket,
        .check = cmd_bucket_check,
        .use = COMMAND_USES_NEW,
        .argument_min = 2,
        .argument_max = 3,
        .usage = "create NAME | drop NAME | rename OLD NEW",
        .summary = "create, drop or rename a bucket",
        .help = "Dropping a bucket deletes all that is in it.  Bucket `default` is always there.\n"
                "\n"
                "    btstore app.bts bucket create users\n"
                "    btstore app.bts bucket rename users people\n",
    },
    {
        .name = "stat",
        .run = cmd_stat,
        .check = cmd_stat_check,
        .use = COMMAND_USES_OLD,
        .takes = TAKES_WATCH,
        .argument_max = 1,
        .usage = "[--watch [COUNT]]",
        .summary = "print numbers of the store",
        .help = "With --watch: what the daemon's writer does, a line each second (COUNT lines,\n"
                "else until it is interrupted).\n"
                "    commit/s, group  commits, and how many share a sync\n"
                "    wait, apply, log, total  microseconds, of half and of 99 in 100: until its\n"
                "             turn, applied, in the log, from request to answer; of the last 10\n"
                "             to 20 seconds\n"
                "    log%     of the most the log may have; a checkpoint begins at 50\n"
                "    ckpt%    of the checkpoint in progress, - if there is none\n"
                "    limbo    pages freed that a snapshot or a checkpoint still needs\n"
                "    retained bytes that the reader with the oldest snapshot keeps, at most\n",
    },
    {
        .name = "check",
        .run = cmd_check,
        .use = COMMAND_USES_NONE,
        .usage = "",
        .summary = "check every page",
        .help = "Checksums, structure, key order, counts, and that the space map names exactly\n"
                "the pages in use.  On a served store the daemon makes a checkpoint and keeps it;\n"
                "without a daemon file and log are read as they lie, and nothing is changed.\n"
                "Findings are printed one a line; exit status 3 if there are any.\n",
    },
    {
        .name = "salvage",
        .run = cmd_salvage,
        .use = COMMAND_USES_NONE,
        .takes = TAKES_OLD,
        .argument_min = 1,
        .argument_max = 1,
        .usage = "[--old] NEW",
        .summary = "write what a damaged store still holds to NEW",
        .help = "STORE and its pending log are only read; stop its daemon first.  NEW is a file\n"
                "that does not exist.  What it prints, one line each:\n"
                "\n"
                "    damage:  a page that does not verify, and what it led to\n"
                "    found:   entries in a page that no tree leads to\n"
                "    lost:    keys, a value, a name or commits that are not in NEW, or not surely\n"
                "    kept:    a bucket, and how many of its entries are in NEW\n"
                "    note:    anything else\n"
                "\n"
                "      --old        for lost keys take old versions from free pages, too; keys\n"
                "                   that were deleted may come back\n"
                "\n"
                "    btstore damaged.bts salvage new.bts >losses.txt\n"
                "\n"
                "Exit status: 0 nothing lost; 1 something lost; 3 NEW is missing or incomplete.\n",
    },
    {
        .name = "readers",
        .run = cmd_readers,
        .use = COMMAND_USES_OLD,
        .usage = "",
        .summary = "list the processes that read",
        .help = "One line each: pid, uid, open snapshots, the oldest of them, milliseconds since\n"
                "it attached, and bytes that only its snapshots keep from reuse (at most).\n",
    },
    {
        .name = "checkpoint",
        .run = cmd_checkpoint,
        .use = COMMAND_USES_OLD,
        .usage = "",
        .summary = "make a checkpoint now",
        .help = "Prints the number of the state that is in the file now.\n",
    },
    {
        .name = "socket",
        .run = cmd_socket,
        .use = COMMAND_USES_OLD,
        .usage = "",
        .summary = "print the daemon's socket",
        .help = "For Redis clients:\n"
                "\n"
                "    redis-cli -s \"$(btstore app.bts socket)\"\n",
    },
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const char command_help_head[] =
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

static const char command_help_tail[] =
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
    "Exit status: 0 done; 1 no such key or bucket, or salvage lost something; 2 the\n"
    "command line is wrong; 3 anything else, and stderr says what.\n";

void command_print_all_help(void)
{
    fputs(command_help_head, stdout);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-11s  %s\n", commands[i].name, commands[i].summary);
    }
    fputs(command_help_tail, stdout);
}

void command_print_help(const struct command *command)
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

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}
