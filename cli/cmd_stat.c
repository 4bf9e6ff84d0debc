/* SPDX-License-Identifier: MIT */
/* btstore STORE stat: numbers of the store, or of its writer, second by second. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STAT_TITLE_EACH 20 /* lines */

/* ---- --watch ----------------------------------------------------------------------------- */

/* What one line needs of INFO. */
struct watched {
    uint64_t at_ms;
    uint64_t batches;
    uint64_t groups;
    unsigned wait[2]; /* p50, p99 */
    unsigned apply[2];
    unsigned log[2];
    unsigned total[2];
    uint64_t log_used;
    uint64_t log_limit;
    int checkpoint; /* in parts of 1000; -1: none */
    uint64_t limbo;
    uint64_t retained;
};

/* The text behind "name:" at the start of a line; "" if there is none. */
static const char *stat_find(const char *info, const char *name)
{
    size_t size = strlen(name);

    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, size) == 0 && line[size] == ':') {
            return line + size + 1;
        }
    }
    return "";
}

static uint64_t stat_number(const char *info, const char *name)
{
    return strtoull(stat_find(info, name), NULL, 10);
}

static void stat_stage(const char *info, const char *name, unsigned quantiles[2])
{
    quantiles[0] = quantiles[1] = 0;
    (void)!sscanf(stat_find(info, name), "p50=%u,p99=%u", &quantiles[0], &quantiles[1]);
}

static bool stat_look(struct cli *cli, struct watched *watched)
{
    const struct bts_bytes parts[] = {{"INFO", 4}, {"pipeline", 8}};
    char *info;
    size_t size;

    if (bts_store_command(cli->store, parts, 2, &info, &size, &cli->error) != BTS_OK) {
        return false;
    }
    char *text = realloc(info, size + 1);
    if (text == NULL) {
        free(info);
        return false;
    }
    text[size] = '\0';
    watched->at_ms = cli_now_ms();
    watched->batches = stat_number(text, "batches");
    watched->groups = stat_number(text, "groups");
    stat_stage(text, "stage_wait_us", watched->wait);
    stat_stage(text, "stage_apply_us", watched->apply);
    stat_stage(text, "stage_log_us", watched->log);
    stat_stage(text, "stage_total_us", watched->total);
    watched->log_used = stat_number(text, "log_used_bytes");
    watched->log_limit = stat_number(text, "log_limit_bytes");
    watched->checkpoint = atoi(stat_find(text, "checkpoint_permille"));
    watched->limbo = stat_number(text, "pages_limbo");
    watched->retained = stat_number(text, "retained_bytes_max");
    free(text);
    return true;
}

static void stat_print(const struct watched *before, const struct watched *now)
{
    double seconds = (double)(now->at_ms - before->at_ms) / 1e3;
    uint64_t groups = now->groups - before->groups;
    uint64_t batches = now->batches - before->batches;
    char checkpoint[16] = "-";

    if (now->checkpoint >= 0) {
        snprintf(checkpoint, sizeof(checkpoint), "%d", now->checkpoint / 10);
    }
    printf("%8.0f %6.1f  %6u %6u  %6u %6u  %6u %6u  %6u %6u  %4.0f %5s %8" PRIu64 " %9" PRIu64
           "\n",
           seconds > 0 ? (double)batches / seconds : 0.0,
           groups > 0 ? (double)batches / (double)groups : 0.0, now->wait[0], now->wait[1],
           now->apply[0], now->apply[1], now->log[0], now->log[1], now->total[0], now->total[1],
           now->log_limit > 0 ? 100.0 * (double)now->log_used / (double)now->log_limit : 0.0,
           checkpoint, now->limbo, now->retained);
}

static int stat_watch(struct cli *cli)
{
    uint64_t count = cli->argument_count > 0 ? strtoull(cli->arguments[0], NULL, 10) : UINT64_MAX;
    const struct timespec second = {.tv_sec = 1};
    struct watched before;
    struct watched now;

    if (!stat_look(cli, &before)) {
        return cli_fail(cli);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (i % STAT_TITLE_EACH == 0) {
            printf("commit/s  group    wait    p99   apply    p99     log    p99   total    p99"
                   "  log%% ckpt%%    limbo  retained\n");
        }
        nanosleep(&second, NULL);
        if (!stat_look(cli, &now)) {
            return cli_fail(cli);
        }
        stat_print(&before, &now);
        if (fflush(stdout) != 0) {
            return CLI_OK; /* main tells, or nobody reads any more */
        }
        before = now;
    }
    return CLI_OK;
}

/* ---- the command ------------------------------------------------------------------------- */

int cmd_stat_check(const struct cli *cli)
{
    char *end;

    if (cli->argument_count == 0) {
        return CLI_OK;
    }
    if (!cli->is_watch) {
        return cli_usage("a count of lines goes with --watch only");
    }
    errno = 0;
    if (strtoull(cli->arguments[0], &end, 10) == 0 || *end != '\0' || errno != 0 ||
        cli->arguments[0][0] == '-') {
        return cli_usage("--watch takes a number of lines, not \"%s\"", cli->arguments[0]);
    }
    return CLI_OK;
}

int cmd_stat(struct cli *cli)
{
    struct bts_stat stat;

    if (cli->is_watch) {
        return stat_watch(cli);
    }

    if (bts_store_stat(cli->store, &stat, &cli->error) != BTS_OK) {
        return cli_fail(cli);
    }
    printf("uuid         ");
    for (size_t i = 0; i < sizeof(stat.uuid); i++) {
        printf("%02x", stat.uuid[i]);
    }
    printf("\ntxnid        %" PRIu64 "\n", stat.txnid);
    printf("checkpoint   %" PRIu64 "\n", stat.checkpoint_txnid);
    printf("buckets      %" PRIu64 "\n", stat.bucket_count);
    printf("entries      %" PRIu64 "\n", stat.entry_count);
    printf("file size    %" PRIu64 " bytes\n", stat.file_size_bytes);
    printf("pages        %" PRIu64 " of %" PRIu32 " bytes\n", stat.page_count,
           stat.page_size_bytes);
    printf("key limit    %" PRIu32 " bytes\n", stat.key_size_max_bytes);
    printf("value limit  %" PRIu64 " bytes\n", stat.value_size_max_bytes);
    return CLI_OK;
}
