/* SPDX-License-Identifier: MIT */
/*
 * cli: what the commands of btstore share.
 *
 * One command, one file cmd_NAME.c with one function; main.c parses the
 * command line, opens the store and calls it.  Public API only.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <btstore.h>

/* Exit statuses, for scripts. */
enum cli_exit {
    CLI_OK = 0,
    CLI_NOT_FOUND = 1, /* no such key or bucket */
    CLI_LOST = 1,      /* salvage: the new store is there, but not all is in it */
    CLI_USAGE = 2,     /* the command line is wrong */
    CLI_ERROR = 3,     /* anything else: the text on stderr says what */
};

/* What the command line says; strings point into argv, decoded bytes are owned. */
struct cli {
    const char *store_path;
    struct bts_options options;
    const char *bucket;       /* -b */
    bool is_hex;              /* --hex: keys and values in hexadecimal, in and out */
    bool is_raw;              /* --raw: bytes as they are */
    bool is_reverse;
    bool is_count;
    bool is_old;              /* --old: salvage takes old versions, too */
    bool is_watch;            /* --watch: stat goes on telling */
    bool has_range;           /* --prefix, --from or --to was given */
    uint64_t limit;           /* --limit; UINT64_MAX: none */
    struct bts_bytes prefix;  /* data NULL: not given */
    struct bts_bytes from;
    struct bts_bytes to;
    char **arguments;         /* behind the command */
    int argument_count;

    struct bts_store *store;
    struct bts_snapshot snapshot; /* open during commands that read; else zero */
    struct bts_error error;
};

/*
 * ---- commands; each returns an enum cli_exit ------------------------------------------
 * A _check looks at the arguments before the store is opened.
 */

int cmd_get(struct cli *cli);
int cmd_load(struct cli *cli);
int cmd_put(struct cli *cli);
int cmd_del(struct cli *cli);
int cmd_del_check(const struct cli *cli);
int cmd_scan(struct cli *cli);
int cmd_buckets(struct cli *cli);
int cmd_bucket(struct cli *cli);
int cmd_bucket_check(const struct cli *cli);
int cmd_stat(struct cli *cli);
int cmd_stat_check(const struct cli *cli);
int cmd_check(struct cli *cli);
int cmd_readers(struct cli *cli);
int cmd_checkpoint(struct cli *cli);
int cmd_salvage(struct cli *cli);
int cmd_socket(struct cli *cli);

/* ---- for commands ---------------------------------------------------------------------- */

/* Says what cli->error holds and returns the exit status for it. */
int cli_fail(const struct cli *cli);

/* A wrong command line: says so, and where help is. */
__attribute__((format(printf, 1, 2))) int cli_usage(const char *format, ...);

/* Opens the snapshot, and the bucket that -b names.  False: cli->error says why. */
bool cli_open_bucket(struct cli *cli, struct bts_bucket *bucket);

/*
 * Runs a command; if the file is cut short under it, or cannot be read, says so
 * and ends the process.  cut_short.c
 */
int cut_short_guard(int (*run)(struct cli *cli), struct cli *cli);

/* Milliseconds on a clock that only goes forward. */
uint64_t cli_now_ms(void);

/* Whether a command name is `text`. */
bool cli_is(const char *name, const char *text);

/* ---- text.c: bytes and their text --------------------------------------------------------- */

/*
 * The bytes that an argument stands for: itself, or with --hex what its
 * hexadecimal digits say; cli_bytes_free after use.  False: not hexadecimal.
 */
bool cli_bytes(const struct cli *cli, const char *text, struct bts_bytes *bytes);
void cli_bytes_free(const struct cli *cli, struct bts_bytes bytes);

/* All of stdin; the caller frees.  False: errno says why. */
bool cli_read_stdin(char **data, size_t *size);

/* Prints bytes as they are; they may lie in the map: stdio gets a copy. */
void cli_print_raw(const void *data, size_t size);

/*
 * The bytes that cli_print made `size` bytes of text of, decoded in place:
 * --hex digits, else \t \n \r \\ and \xNN.  False: it is no such text.
 */
bool cli_parse(const struct cli *cli, char *text, size_t size, struct bts_bytes *bytes);

/*
 * Prints bytes the way the options ask: --hex in hexadecimal, --raw as they
 * are; else with \t \n \r \\ for those and \xNN for other control bytes.
 */
void cli_print(const struct cli *cli, const void *data, size_t size);

/* Puts a printable form of the bytes into `text`; what does not fit ends in "...". */
const char *cli_quote(const void *data, size_t size, char *text, size_t text_size);

#endif
