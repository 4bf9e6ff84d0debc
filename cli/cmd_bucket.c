/* SPDX-License-Identifier: MIT */
/* btstore STORE bucket create|drop|rename NAME: change the set of buckets. */
#include "cli.h"

#include <string.h>

int cmd_bucket_check(const struct cli *cli)
{
    const char *what = cli->arguments[0];
    int name_count = cli->argument_count - 1;

    if ((name_count == 1 && (cli_is(what, "create") || cli_is(what, "drop"))) ||
        (name_count == 2 && cli_is(what, "rename"))) {
        return CLI_OK;
    }
    return cli_usage("usage: btstore STORE bucket create NAME | drop NAME | rename OLD NEW");
}

int cmd_bucket(struct cli *cli)
{
    const char *what = cli->arguments[0];
    const char *name = cli->arguments[1];
    enum bts_status status;

    if (cli_is(what, "create")) {
        status = bts_bucket_create(cli->store, name, strlen(name), NULL, &cli->error);
    } else if (cli_is(what, "drop")) {
        status = bts_bucket_drop(cli->store, name, strlen(name), NULL, &cli->error);
    } else {
        const char *new_name = cli->arguments[2];
        status = bts_bucket_rename(cli->store, name, strlen(name), new_name, strlen(new_name),
                                   NULL, &cli->error);
    }
    return status == BTS_OK ? CLI_OK : cli_fail(cli);
}
