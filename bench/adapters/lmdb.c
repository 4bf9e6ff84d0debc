/* SPDX-License-Identifier: MIT */
/*
 * lmdb: LMDB as its documentation recommends it.
 *
 * Everything lies in the unnamed database, which needs no look-up of its own.
 *
 *  - Reading: MDB_RDONLY, and MDB_NORDAHEAD ("may help random read performance
 *    when the DB is larger than RAM"); a read transaction is made once and then
 *    mdb_txn_reset and mdb_txn_renew, and the cursor mdb_cursor_renew.
 *    MDB_NOLOCK would be unsafe beside a writer and is not used.
 *  - Durable commits and loads: no flags at all, the safest setting: data and
 *    meta page are synced at each commit.
 *  - Sorted loads: MDB_APPEND.
 *  - Filling a store that is then read, and relaxed commits: MDB_NOSYNC.
 */
#include "../adapter.h"
#include "../dataset.h"
#include "../harness.h"

#include <lmdb.h>
#include <stdlib.h>

struct peer {
    MDB_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_dbi dbi;
    unsigned put_flags;
    bool is_active;
};

static void must(int status, const char *what)
{
    if (status != MDB_SUCCESS) {
        bench_fail("lmdb: %s: %s", what, mdb_strerror(status));
    }
}

static const char *lmdb_version(void)
{
    return mdb_version(NULL, NULL, NULL);
}

static MDB_val as_val(struct slice slice)
{
    return (MDB_val){slice.size, (void *)(uintptr_t)slice.data};
}

static struct slice as_slice(MDB_val val)
{
    return (struct slice){val.mv_data, val.mv_size};
}

/* The one handle must be opened, and its transaction end, before others read. */
static void open_dbi(struct peer *peer, unsigned txn_flags)
{
    must(mdb_txn_begin(peer->env, NULL, txn_flags, &peer->txn), "begin");
    must(mdb_dbi_open(peer->txn, NULL, 0, &peer->dbi), "open database");
    must(mdb_txn_commit(peer->txn), "commit");
    peer->txn = NULL;
}

static struct peer *lmdb_open(const char *folder, enum peer_use use)
{
    struct peer *peer = bench_alloc(sizeof(*peer));
    unsigned read_flag = use == PEER_READ || use == PEER_READ_SHARED ? MDB_RDONLY : 0;
    unsigned sync_flag = use == PEER_FILL || use == PEER_RELAXED ? MDB_NOSYNC : 0;

    *peer = (struct peer){.put_flags = use == PEER_LOAD_SORTED ? MDB_APPEND : 0};
    must(mdb_env_create(&peer->env), "create environment");
    must(mdb_env_set_mapsize(peer->env, bench_map_bytes()), "set map size");
    must(mdb_env_set_maxreaders(peer->env, 254), "set readers");
    must(mdb_env_open(peer->env, folder, read_flag | sync_flag | (read_flag ? MDB_NORDAHEAD : 0),
                      0644),
         folder);
    open_dbi(peer, read_flag);
    must(mdb_txn_begin(peer->env, NULL, MDB_RDONLY, &peer->txn), "begin");
    must(mdb_cursor_open(peer->txn, peer->dbi, &peer->cursor), "open cursor");
    mdb_txn_reset(peer->txn);
    return peer;
}

static void lmdb_close(struct peer *peer)
{
    mdb_cursor_close(peer->cursor);
    mdb_txn_abort(peer->txn);
    mdb_env_close(peer->env);
    free(peer);
}

static void lmdb_begin(struct peer *peer)
{
    must(mdb_txn_renew(peer->txn), "renew");
}

static void lmdb_end(struct peer *peer)
{
    mdb_txn_reset(peer->txn);
}

static void lmdb_snapshots(struct peer *peer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        must(mdb_txn_renew(peer->txn), "renew");
        mdb_txn_reset(peer->txn);
    }
}

static bool lmdb_get(struct peer *peer, struct slice key, struct slice *value)
{
    MDB_val key_val = as_val(key);
    MDB_val value_val;
    int status = mdb_get(peer->txn, peer->dbi, &key_val, &value_val);

    if (status == MDB_NOTFOUND) {
        return false;
    }
    must(status, "get");
    *value = as_slice(value_val);
    return true;
}

static void lmdb_get_many(struct peer *peer, const struct slice *keys, struct slice *values,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!lmdb_get(peer, keys[i], &values[i])) {
            bench_fail("lmdb: a key is missing");
        }
    }
}

static size_t lmdb_scan(struct peer *peer, struct slice from, size_t limit,
                        size_t value_bytes)
{
    MDB_val key = as_val(from);
    MDB_val value;
    size_t count = 0;
    int status;

    must(mdb_cursor_renew(peer->txn, peer->cursor), "renew cursor");
    status = mdb_cursor_get(peer->cursor, &key, &value, from.size > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (status == MDB_SUCCESS) {
        if (!value_check(as_slice(key), as_slice(value), value_bytes)) {
            bench_fail("lmdb: a scan gave a wrong value");
        }
        if (++count == limit) {
            return count;
        }
        status = mdb_cursor_get(peer->cursor, &key, &value, MDB_NEXT);
    }
    if (status != MDB_NOTFOUND) {
        must(status, "scan");
    }
    return count;
}

static void lmdb_write(struct peer *peer, const struct pair *pairs, size_t count)
{
    MDB_txn *txn;

    must(mdb_txn_begin(peer->env, NULL, 0, &txn), "begin");
    for (size_t i = 0; i < count; i++) {
        MDB_val key = as_val(pairs[i].key);
        MDB_val value = as_val(pairs[i].value);
        must(mdb_put(txn, peer->dbi, &key, &value, peer->put_flags), "put");
    }
    must(mdb_txn_commit(txn), "commit");
}

static void lmdb_drain(struct peer *peer)
{
    must(mdb_env_sync(peer->env, 1), "sync");
}

const struct adapter adapter_lmdb = {
    .name = "lmdb",
    .version = lmdb_version,
    .settings = "reads: MDB_RDONLY|MDB_NORDAHEAD, renew/reset; durable: no flags (synced at each "
                "commit); sorted load: MDB_APPEND; fill and relaxed: MDB_NOSYNC",
    .data_file = "data.mdb",
    .open = lmdb_open,
    .close = lmdb_close,
    .begin = lmdb_begin,
    .end = lmdb_end,
    .snapshots = lmdb_snapshots,
    .get = lmdb_get,
    .get_many = lmdb_get_many,
    .scan = lmdb_scan,
    .write = lmdb_write,
    .drain = lmdb_drain,
};
