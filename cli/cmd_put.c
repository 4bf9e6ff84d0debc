/* SPDX-License-Identifier: MIT */
/* btstore STORE put KEY VALUE: store one value, from the command line or stdin. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int put_bytes(struct cli *cli, struct bts_bytes key, struct bts_bytes value)
{
    enum bts_status status = bts_put(cli->store, cli->bucket, strlen(cli->bucket), key.data,
                                     key.size, value.data, value.size, NULL, &cli->error);

    return status == BTS_OK ? CLI_OK : cli_fail(cli);
}

static int put_stdin(struct cli *cli, struct bts_bytes key)
{
    char *data;
    size_t size;
    int result;

    if (!cli_read_stdin(&data, &size)) {
        fprintf(stderr, "btstore: cannot read the value from stdin: %s\n", strerror(errno));
        free(data);
        return CLI_ERROR;
    }
    result = put_bytes(cli, key, (struct bts_bytes){data, size});
    free(data);
    return result;
}

static int put_argument(struct cli *cli, struct bts_bytes key, const char *text)
{
    struct bts_bytes value;
    int result;

    if (!cli_bytes(cli, text, &value)) {
        return cli_usage("\"%s\" is not hexadecimal", text);
    }
    result = put_bytes(cli, key, value);
    cli_bytes_free(cli, value);
    return result;
}

int cmd_put(struct cli *cli)
{
    const char *value = cli->arguments[1];
    struct bts_bytes key;
    int result;

    if (!cli_bytes(cli, cli->arguments[0], &key)) {
        return cli_usage("\"%s\" is not hexadecimal", cli->arguments[0]);
    }
    result = cli_is(value, "-") ? put_stdin(cli, key) : put_argument(cli, key, value);
    cli_bytes_free(cli, key);
    return result;
}
