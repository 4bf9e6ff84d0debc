/* SPDX-License-Identifier: MIT */
/*
 * btstore STORE load <FILE: many entries at once, from lines as scan prints them.
 *
 * Lines are gathered into batches, each a transaction, and a few of them are on
 * their way at a time, so that the next is read while the last are made
 * durable.  They are applied in their order.  What stands before a line that
 * cannot be loaded is loaded, and how much that was is said.
 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOAD_BATCH_ENTRIES 10000u
#define LOAD_BATCH_BYTES (1u << 20)
#define LOAD_ON_THEIR_WAY 4u
#define LOAD_WAIT_MS (600u * 1000u)
#define LOAD_PROGRESS_MS 250u
#define LOAD_BAR_WIDTH 30u

/* A batch that was sent. */
struct load_sent {
    uint64_t ticket;
    uint64_t entries;
};

struct load {
    struct cli *cli;
    uint64_t input_size;   /* 0: not known */
    uint64_t input_read;
    uint64_t line_number;
    struct bts_batch *batch;
    uint64_t batch_entries, batch_bytes;
    struct load_sent sent[LOAD_ON_THEIR_WAY]; /* the oldest first */
    unsigned sent_count;
    uint64_t loaded;       /* entries that are durable */
    uint64_t key_max, value_max;
    uint64_t began_ms, shown_ms; /* shown 0: no progress is shown */
};

/* ---- telling -------------------------------------------------------------- */

static void load_show(struct load *load)
{
    uint64_t now = cli_now_ms();
    uint64_t took_ms = now - load->began_ms + 1;

    if (load->shown_ms == 0 || now - load->shown_ms < LOAD_PROGRESS_MS)
        return;
    load->shown_ms = now;
    fputs("\r", stderr);
    if (load->input_size != 0) {
        unsigned done = (unsigned)(load->input_read * LOAD_BAR_WIDTH / load->input_size);
        fputc('[', stderr);
        for (unsigned i = 0; i < LOAD_BAR_WIDTH; i++)
            fputc(i < done ? '#' : ' ', stderr);
        fprintf(stderr, "] %3u %%  ", (unsigned)(load->input_read * 100 / load->input_size));
    }
    fprintf(stderr, "%" PRIu64 " entries, %" PRIu64 " a second ", load->loaded,
            load->loaded * 1000 / took_ms);
}

/* The line that progress stands on is cleared: a message or the end follows. */
static void load_hide(const struct load *load)
{
    if (load->shown_ms != 0)
        fputs("\r\033[K", stderr);
}

/* ---- sending -------------------------------------------------------------- */

/* Waits for the oldest batch. */
static bool load_wait(struct load *load)
{
    struct cli *cli = load->cli;
    struct load_sent oldest = load->sent[0];

    load->sent_count--;
    memmove(load->sent, load->sent + 1, load->sent_count * sizeof(load->sent[0]));
    if (bts_commit_wait(cli->store, oldest.ticket, LOAD_WAIT_MS, NULL, &cli->error) != BTS_OK)
        return false;
    load->loaded += oldest.entries;
    load_show(load);
    return true;
}

static bool load_send(struct load *load)
{
    struct cli *cli = load->cli;
    struct load_sent *sent;

    if (load->batch_entries == 0)
        return true;
    if (load->sent_count == LOAD_ON_THEIR_WAY && !load_wait(load))
        return false;
    sent = &load->sent[load->sent_count];
    if (bts_commit_submit(cli->store, load->batch, &sent->ticket, &cli->error) != BTS_OK)
        return false;
    sent->entries = load->batch_entries;
    load->sent_count++;
    bts_batch_clear(load->batch);
    load->batch_entries = 0;
    load->batch_bytes = 0;
    return bts_batch_use(load->batch, cli->bucket, strlen(cli->bucket), &cli->error) == BTS_OK;
}

/* All that was read becomes durable. */
static bool load_finish(struct load *load)
{
    if (!load_send(load))
        return false;
    while (load->sent_count > 0) {
        if (!load_wait(load))
            return false;
    }
    return true;
}

/* A batch was refused, or what became of it is unknown. */
static int load_fail(struct load *load)
{
    load_hide(load);
    fprintf(stderr,
            "btstore: %s; the first %" PRIu64 " entries are in the store, and of what follows"
            " up to line %" PRIu64 " perhaps some\n",
            load->cli->error.text, load->loaded, load->line_number);
    return CLI_ERROR;
}

/* ---- reading -------------------------------------------------------------- */

/* Why a line cannot be loaded; NULL: it is in the batch. */
static const char *load_line(struct load *load, char *line, size_t size)
{
    struct cli *cli = load->cli;
    char *tab = memchr(line, '\t', size);
    struct bts_bytes key, value;

    if (tab == NULL)
        return "there is no tab between key and value";
    if (!cli_parse(cli, line, (size_t)(tab - line), &key) ||
        !cli_parse(cli, tab + 1, size - (size_t)(tab + 1 - line), &value))
        return cli->is_hex ? "it is not hexadecimal" : "it has an escape that scan does not print";
    if (key.size == 0)
        return "the key is empty";
    if (key.size > load->key_max)
        return "the key is longer than this store allows (see stat)";
    if (value.size > load->value_max)
        return "the value is longer than this store allows (see stat)";
    if (bts_batch_put(load->batch, key.data, key.size, value.data, value.size, &cli->error) !=
        BTS_OK)
        return cli->error.text;
    load->batch_entries++;
    load->batch_bytes += key.size + value.size;
    return NULL;
}

/* A line that is no good: what stands before it is loaded all the same. */
static int load_refuse(struct load *load, const char *why)
{
    char text[sizeof(load->cli->error.text)];

    snprintf(text, sizeof(text), "%s", why); /* it may be the text of cli->error */
    if (!load_finish(load))
        return load_fail(load);
    load_hide(load);
    fprintf(stderr,
            "btstore: line %" PRIu64 " of stdin: %s; the %" PRIu64
            " entries before it are in the store\n",
            load->line_number, text, load->loaded);
    return CLI_ERROR;
}

static int load_lines(struct load *load)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int result = CLI_OK;

    while (result == CLI_OK && (size = getline(&line, &room, stdin)) > 0) {
        const char *why;
        load->line_number++;
        load->input_read += (uint64_t)size;
        if (line[size - 1] == '\n')
            size--;
        if ((why = load_line(load, line, (size_t)size)) != NULL)
            result = load_refuse(load, why);
        else if ((load->batch_entries >= LOAD_BATCH_ENTRIES ||
                  load->batch_bytes >= LOAD_BATCH_BYTES) &&
                 !load_send(load))
            result = load_fail(load);
    }
    if (result == CLI_OK && ferror(stdin)) {
        load->line_number++;
        result = load_refuse(load, strerror(errno));
    }
    free(line);
    if (result == CLI_OK && !load_finish(load))
        result = load_fail(load);
    return result;
}

/* ---- around it ------------------------------------------------------------ */

/* The bucket is created if it is missing: that it is new is what a load is for. */
static bool load_prepare(struct load *load)
{
    struct cli *cli = load->cli;
    struct bts_stat stat;
    enum bts_status status;

    if (bts_store_stat(cli->store, &stat, &cli->error) != BTS_OK)
        return false;
    load->key_max = stat.key_size_max_bytes;
    load->value_max = stat.value_size_max_bytes;
    if (!cli_is(cli->bucket, BTS_DEFAULT_BUCKET)) {
        status = bts_bucket_create(cli->store, cli->bucket, strlen(cli->bucket), NULL,
                                   &cli->error);
        if (status != BTS_OK && status != BTS_EXISTS)
            return false;
    }
    return bts_batch_create(&load->batch, &cli->error) == BTS_OK &&
           bts_batch_use(load->batch, cli->bucket, strlen(cli->bucket), &cli->error) == BTS_OK;
}

int cmd_load(struct cli *cli)
{
    struct load load = {.cli = cli, .began_ms = cli_now_ms()};
    struct stat status;
    int result;

    if (fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode))
        load.input_size = (uint64_t)status.st_size;
    load.shown_ms = isatty(STDERR_FILENO) ? load.began_ms : 0;
    result = load_prepare(&load) ? load_lines(&load) : cli_fail(cli);
    load_hide(&load);
    if (result == CLI_OK)
        printf("%" PRIu64 " entries loaded\n", load.loaded);
    bts_batch_destroy(load.batch);
    return result;
}
