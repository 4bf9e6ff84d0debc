/* SPDX-License-Identifier: MIT */
/* btstore STORE checkpoint: bring all commits into the file now. */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

int cmd_checkpoint(struct cli *cli)
{
    uint64_t txnid;

    if (bts_store_checkpoint(cli->store, &txnid, &cli->error) != BTS_OK) {
        return cli_fail(cli);
    }
    printf("%" PRIu64 "\n", txnid);
    return CLI_OK;
}
