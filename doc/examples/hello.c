/* SPDX-License-Identifier: MIT */
/*
 * hello: btstore in one page: open, write, read, walk, watch for a commit.
 *
 *     cc hello.c $(pkg-config --cflags --libs btstore) -o hello
 *     ./hello app.bts
 */
#include <btstore.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *what, const struct bts_error *error)
{
    fprintf(stderr, "hello: %s: %s\n", what, error->text);
    return 1;
}

/* One transaction over two buckets: it happens wholly or not at all. */
static enum bts_status write_some(struct bts_store *store, uint64_t *txnid,
                                  struct bts_error *error)
{
    struct bts_batch *batch;
    enum bts_status status = bts_batch_create(&batch, error);

    if (status == BTS_OK)
        status = bts_batch_put(batch, "greeting", 8, "hello", 5, error);
    if (status == BTS_OK)
        status = bts_batch_use(batch, "users", 5, error);
    if (status == BTS_OK)
        status = bts_batch_put(batch, "42", 2, "Alice", 5, error);
    if (status == BTS_OK)
        status = bts_batch_put(batch, "43", 2, "Bob", 3, error);
    if (status == BTS_OK)
        status = bts_batch_increment(batch, "visits", 6, 1, error);
    if (status == BTS_OK)
        status = bts_commit(store, batch, txnid, error); /* returns when it is durable */
    bts_batch_destroy(batch);
    return status;
}

/* All of one bucket, as it was when the snapshot was opened. */
static enum bts_status print_users(const struct bts_snapshot *snapshot, struct bts_error *error)
{
    struct bts_bucket bucket;
    struct bts_cursor cursor; /* on the stack: a walk allocates nothing */
    struct bts_bytes key;
    struct bts_bytes value;
    enum bts_status status = bts_bucket_open(snapshot, "users", 5, &bucket, error);

    if (status != BTS_OK)
        return status;
    bts_cursor_init(&cursor, snapshot, &bucket);
    status = bts_cursor_first(&cursor, &key, &value, error);
    while (status == BTS_OK) {
        printf("users: %.*s = %.*s\n", (int)key.size, (const char *)key.data, (int)value.size,
               (const char *)value.data);
        status = bts_cursor_next(&cursor, &key, &value, error);
    }
    return status == BTS_END ? BTS_OK : status;
}

int main(int argc, char *argv[])
{
    struct bts_store *store;
    struct bts_snapshot snapshot;
    struct bts_error error;
    enum bts_status status;
    uint64_t txnid;

    if (argc != 2) {
        fprintf(stderr, "usage: hello STORE\n");
        return 2;
    }
    /* If no daemon serves the store, a private one is started; it ends by itself. */
    if (bts_store_open(argv[1], NULL, &store, &error) != BTS_OK)
        return failed("open", &error);
    status = bts_bucket_create(store, "users", 5, NULL, &error);
    if (status != BTS_OK && status != BTS_EXISTS)
        return failed("create bucket", &error);
    if (write_some(store, &txnid, &error) != BTS_OK)
        return failed("write", &error);
    printf("commit %llu is durable\n", (unsigned long long)txnid);

    /* From here to the close no system call is made, and nothing is copied. */
    if (bts_snapshot_open(store, &snapshot, &error) != BTS_OK)
        return failed("snapshot", &error);
    status = print_users(&snapshot, &error);
    bts_snapshot_close(&snapshot);
    bts_store_close(store);
    return status == BTS_OK ? 0 : failed("read", &error);
}
