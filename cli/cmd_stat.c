/* SPDX-License-Identifier: MIT */
/* btstore STORE stat: numbers of the store. */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

int cmd_stat(struct cli *cli)
{
    struct bts_stat stat;

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
