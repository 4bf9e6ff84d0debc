/* SPDX-License-Identifier: MIT */
/* btstore STORE socket: where Redis clients find the daemon. */
#include "cli.h"

#include <stdio.h>

int cmd_socket(struct cli *cli)
{
    const char *socket_path = bts_store_socket(cli->store);

    if (socket_path[0] == '\0') {
        fprintf(stderr, "btstore: %s: opened alone: there is no daemon\n", cli->store_path);
        return CLI_ERROR;
    }
    puts(socket_path);
    return CLI_OK;
}
