/* SPDX-License-Identifier: MIT */
/* btstore DAMAGED salvage NEW: what a damaged file still holds, into a new store. */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

static void salvage_report(void *argument, enum bts_salvage_event event, const char *text)
{
    static const char *const words[] = {
        [BTS_SALVAGE_NOTE] = "note",   [BTS_SALVAGE_DAMAGE] = "damage",
        [BTS_SALVAGE_FOUND] = "found", [BTS_SALVAGE_LOST] = "lost",
        [BTS_SALVAGE_BUCKET] = "kept",
    };

    (void)argument;
    printf("%s: %s\n", words[event], text);
}

int cmd_salvage(struct cli *cli)
{
    struct bts_salvage_result result;
    enum bts_status status =
        bts_store_salvage(cli->store_path, cli->arguments[0], cli->is_old ? BTS_SALVAGE_OLD : 0,
                          &cli->options, &result, salvage_report, NULL, &cli->error);

    if (result.new_txnid == 0) {
        fflush(stdout);
        return cli_fail(cli);
    }
    printf("checkpoint %" PRIu64 ": %" PRIu64 " buckets, %" PRIu64 " entries of %" PRIu64
           " (%" PRIu64 " in pages that no tree leads to)\n",
           result.txnid, result.bucket_count, result.entry_count, result.promised_count,
           result.found_count);
    printf("pending log: %" PRIu64 " commits applied\n", result.pending_frames);
    printf("damaged %" PRIu64 ", lost %" PRIu64 "\n", result.damaged, result.lost);
    if (status == BTS_OK) {
        puts("nothing lost");
    }
    return status == BTS_OK ? CLI_OK : CLI_LOST;
}
