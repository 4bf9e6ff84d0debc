/* SPDX-License-Identifier: MIT */
/* btstore STORE get KEY: print one value. */
#include "cli.h"

#include <stdio.h>

int cmd_get(struct cli *cli)
{
    struct bts_bucket bucket;
    struct bts_bytes key, value;
    enum bts_status status;
    char quoted[128];

    if (!cli_bytes(cli, cli->arguments[0], &key)) {
        return cli_usage("\"%s\" is not hexadecimal", cli->arguments[0]);
    }
    if (!cli_open_bucket(cli, &bucket)) {
        cli_bytes_free(cli, key);
        return cli_fail(cli);
    }
    status = bts_get(&cli->snapshot, &bucket, key.data, key.size, &value, &cli->error);
    if (status == BTS_NOT_FOUND) {
        fprintf(stderr, "btstore: %s: no key \"%s\" in bucket \"%s\"\n", cli->store_path,
                cli_quote(key.data, key.size, quoted, sizeof(quoted)), cli->bucket);
    }
    cli_bytes_free(cli, key);
    if (status != BTS_OK) {
        return status == BTS_NOT_FOUND ? CLI_NOT_FOUND : cli_fail(cli);
    }
    if (cli->is_hex) {
        cli_print(cli, value.data, value.size);
    } else {
        cli_print_raw(value.data, value.size);
    }
    if (!cli->is_raw) {
        putchar('\n');
    }
    return CLI_OK;
}
