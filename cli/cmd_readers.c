/* SPDX-License-Identifier: MIT */
/* btstore STORE readers: who has the store attached. */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int cmd_readers(struct cli *cli)
{
    struct bts_reader *readers;
    size_t count;

    if (bts_store_readers(cli->store, &readers, &count, &cli->error) != BTS_OK) {
        return cli_fail(cli);
    }
    puts("pid\tuid\tsnapshots\toldest\tattached_ms\tretained_bytes");
    for (size_t i = 0; i < count; i++) {
        printf("%" PRId32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n",
               readers[i].pid, readers[i].uid, readers[i].snapshot_count,
               readers[i].oldest_txnid, readers[i].attached_ms, readers[i].retained_bytes);
    }
    free(readers);
    return CLI_OK;
}
