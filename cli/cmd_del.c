/* SPDX-License-Identifier: MIT */
/* btstore STORE del KEY...: delete keys or a range, in one transaction. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first key after all that begin with the prefix; NULL: there is none.  The caller frees. */
static unsigned char *del_after_prefix(struct bts_bytes prefix, size_t *size)
{
    unsigned char *end = malloc(prefix.size + 1);

    *size = prefix.size;
    if (end == NULL) {
        return NULL;
    }
    if (prefix.size > 0) {
        memcpy(end, prefix.data, prefix.size);
    }
    while (*size > 0 && end[*size - 1] == 0xff) {
        (*size)--;
    }
    if (*size == 0) {
        free(end);
        return NULL;
    }
    end[*size - 1]++;
    return end;
}

static enum bts_status del_add_range(struct cli *cli, struct bts_batch *batch)
{
    unsigned char *end;
    size_t end_size;
    enum bts_status status;

    if (cli->prefix.data == NULL || cli->prefix.size == 0) {
        return bts_batch_delete_range(batch, cli->from.data, cli->from.size, cli->to.data,
                                      cli->to.size, &cli->error);
    }
    end = del_after_prefix(cli->prefix, &end_size);
    status = bts_batch_delete_range(batch, cli->prefix.data, cli->prefix.size, end, end_size,
                                    &cli->error);
    free(end);
    return status;
}

static enum bts_status del_add_keys(struct cli *cli, struct bts_batch *batch)
{
    enum bts_status status = BTS_OK;

    for (int i = 0; i < cli->argument_count && status == BTS_OK; i++) {
        struct bts_bytes key;
        if (!cli_bytes(cli, cli->arguments[i], &key)) {
            snprintf(cli->error.text, sizeof(cli->error.text), "out of memory");
            return cli->error.status = BTS_NO_MEMORY;
        }
        status = bts_batch_delete(batch, key.data, key.size, &cli->error);
        cli_bytes_free(cli, key);
    }
    return status;
}

int cmd_del_check(const struct cli *cli)
{
    if ((cli->argument_count == 0) != cli->has_range) {
        return cli_usage("del takes keys, or one of --prefix, --from and --to");
    }
    return CLI_OK;
}

int cmd_del(struct cli *cli)
{
    struct bts_batch *batch;
    enum bts_status status;

    if (bts_batch_create(&batch, &cli->error) != BTS_OK) {
        return cli_fail(cli);
    }
    status = bts_batch_use(batch, cli->bucket, strlen(cli->bucket), &cli->error);
    if (status == BTS_OK) {
        status = cli->has_range ? del_add_range(cli, batch) : del_add_keys(cli, batch);
    }
    if (status == BTS_OK) {
        status = bts_commit(cli->store, batch, NULL, &cli->error);
    }
    bts_batch_destroy(batch);
    return status == BTS_OK ? CLI_OK : cli_fail(cli);
}
