/* SPDX-License-Identifier: MIT */
/* btstore STORE check: is every page sound and accounted for? */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

static void check_report(void *argument, const char *text)
{
    (void)argument;
    puts(text);
}

/* With the daemon if one runs, else the file as it lies: starting one would change it. */
static enum bts_status check_open(struct cli *cli, bool *is_alone)
{
    struct bts_options options = cli->options;
    enum bts_status status = BTS_UNAVAILABLE;

    options.flags |= BTS_OPEN_NO_START;
    *is_alone = (options.flags & BTS_OPEN_ALONE) != 0;
    if (!*is_alone) {
        status = bts_store_open(cli->store_path, &options, &cli->store, &cli->error);
    }
    if (status == BTS_UNAVAILABLE) {
        *is_alone = true;
        options.flags |= BTS_OPEN_ALONE | BTS_OPEN_IGNORE_PENDING;
        status = bts_store_open(cli->store_path, &options, &cli->store, &cli->error);
    }
    return status;
}

int cmd_check(struct cli *cli)
{
    struct bts_check_result result;
    enum bts_status status;
    bool is_alone;

    if (check_open(cli, &is_alone) != BTS_OK) {
        return cli_fail(cli);
    }
    status = bts_store_check(cli->store, &result, check_report, NULL, &cli->error);
    if (status != BTS_OK && status != BTS_DAMAGED) {
        return cli_fail(cli);
    }
    printf("checkpoint %" PRIu64 ": %" PRIu64 " pages, %" PRIu64 " reachable, %" PRIu64
           " in the space map\n",
           result.txnid, result.page_count, result.reachable, result.mapped);
    printf("leaked %" PRIu64 ", missing %" PRIu64 ", damaged %" PRIu64 "\n", result.leaked,
           result.missing, result.damaged);
    if (is_alone) {
        printf("pending log: %" PRIu64 " frames wait for replay\n", result.pending_frames);
    }
    if (status == BTS_DAMAGED) {
        fflush(stdout);
        return cli_fail(cli);
    }
    puts("sound");
    return CLI_OK;
}
