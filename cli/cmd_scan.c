/* SPDX-License-Identifier: MIT */
/* btstore STORE scan: list keys and values in order. */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

static void scan_print(const struct cli *cli, struct bts_bytes key, struct bts_bytes value)
{
    cli_print(cli, key.data, key.size);
    putchar('\t');
    cli_print(cli, value.data, value.size);
    putchar('\n');
}

static void scan_set_bounds(const struct cli *cli, struct bts_cursor *cursor)
{
    if (cli->prefix.data != NULL) {
        bts_cursor_set_prefix(cursor, cli->prefix.data, cli->prefix.size);
    } else if (cli->from.data != NULL || cli->to.data != NULL) {
        bts_cursor_set_range(cursor, cli->from.data, cli->from.size, cli->to.data, cli->to.size);
    }
}

int cmd_scan(struct cli *cli)
{
    struct bts_bucket bucket;
    struct bts_cursor cursor;
    struct bts_bytes key, value;
    enum bts_status status = BTS_END;
    uint64_t count = 0;

    if (!cli_open_bucket(cli, &bucket)) {
        return cli_fail(cli);
    }
    bts_cursor_init(&cursor, &cli->snapshot, &bucket);
    scan_set_bounds(cli, &cursor);
    if (cli->is_count && !cli->has_range) {
        count = bucket.entry_count < cli->limit ? bucket.entry_count : cli->limit;
        printf("%" PRIu64 "\n", count);
        return CLI_OK;
    }
    while (count < cli->limit) {
        status = cli->is_reverse ? bts_cursor_prev(&cursor, &key, &value, &cli->error)
                                 : bts_cursor_next(&cursor, &key, &value, &cli->error);
        if (status != BTS_OK) {
            break;
        }
        count++;
        if (!cli->is_count) {
            scan_print(cli, key, value);
        }
    }
    if (status != BTS_OK && status != BTS_END) {
        return cli_fail(cli);
    }
    if (cli->is_count) {
        printf("%" PRIu64 "\n", count);
    }
    return CLI_OK;
}
