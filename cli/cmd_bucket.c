/* SPDX-License-Identifier: MIT */
/* btstore STORE bucket create|drop|rename NAME: change the set of buckets. */
#include "cli.h"

#include <string.h>

int cmd_bucket(struct cli *cli)
{
    const char *what = cli->arguments[0];
    const char *name = cli->arguments[1];
    const char *new_name = cli->argument_count == 3 ? cli->arguments[2] : NULL;
    enum bts_status status;

    if (cli_is(what, "create") && new_name == NULL) {
        status = bts_bucket_create(cli->store, name, strlen(name), NULL, &cli->error);
    } else if (cli_is(what, "drop") && new_name == NULL) {
        status = bts_bucket_drop(cli->store, name, strlen(name), NULL, &cli->error);
    } else if (cli_is(what, "rename") && new_name != NULL) {
        status = bts_bucket_rename(cli->store, name, strlen(name), new_name, strlen(new_name),
                                   NULL, &cli->error);
    } else {
        return cli_usage("usage: btstore STORE bucket create NAME | drop NAME | rename OLD NEW");
    }
    return status == BTS_OK ? CLI_OK : cli_fail(cli);
}
