/* SPDX-License-Identifier: MIT */
/* btstore STORE buckets: list the buckets. */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

int cmd_buckets(struct cli *cli)
{
    struct bts_cursor cursor;
    struct bts_bytes name;
    enum bts_status status;

    if (bts_snapshot_open(cli->store, &cli->snapshot, &cli->error) != BTS_OK) {
        return cli_fail(cli);
    }
    bts_cursor_init_buckets(&cursor, &cli->snapshot);
    while ((status = bts_cursor_next(&cursor, &name, NULL, &cli->error)) == BTS_OK) {
        struct bts_bucket bucket;
        if (bts_bucket_open(&cli->snapshot, name.data, name.size, &bucket, &cli->error) !=
            BTS_OK) {
            return cli_fail(cli);
        }
        cli_print(cli, name.data, name.size);
        printf("\t%" PRIu64 "\n", bucket.entry_count);
    }
    return status == BTS_END ? CLI_OK : cli_fail(cli);
}
