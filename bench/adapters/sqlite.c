/* SPDX-License-Identifier: MIT */
/*
 * sqlite: SQLite in WAL mode, one table without rowid, prepared statements.
 *
 *  - Reading: mmap_size covers the file; a snapshot is BEGIN and COMMIT.
 *  - Durable commits and loads: synchronous=FULL, which WAL needs for that.
 *  - Filling: synchronous=OFF, then a checkpoint that truncates the WAL.
 *  - Relaxed: synchronous=NORMAL, durable at the next checkpoint.
 * Writers wait for each other up to a minute.
 */
#include "../adapter.h"
#include "../dataset.h"
#include "../harness.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define BUSY_MS 60000

struct peer {
    sqlite3 *db;
    sqlite3_stmt *begin, *begin_write, *commit, *get, *put, *scan, *scan_from;
};

static void must(const struct peer *peer, int status, int wanted, const char *what)
{
    if (status != wanted) {
        bench_fail("sqlite: %s: %s", what, sqlite3_errmsg(peer->db));
    }
}

static const char *sqlite_version(void)
{
    return sqlite3_libversion();
}

static void execute(const struct peer *peer, const char *sql)
{
    must(peer, sqlite3_exec(peer->db, sql, NULL, NULL, NULL), SQLITE_OK, sql);
}

static sqlite3_stmt *prepare(const struct peer *peer, const char *sql)
{
    sqlite3_stmt *statement;

    must(peer, sqlite3_prepare_v3(peer->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL),
         SQLITE_OK, sql);
    return statement;
}

static void step(const struct peer *peer, sqlite3_stmt *statement, const char *what)
{
    must(peer, sqlite3_step(statement), SQLITE_DONE, what);
    sqlite3_reset(statement);
}

static void bind(const struct peer *peer, sqlite3_stmt *statement, int at, struct slice slice)
{
    must(peer, sqlite3_bind_blob(statement, at, slice.data, (int)slice.size, SQLITE_STATIC),
         SQLITE_OK, "bind");
}

static struct slice column(sqlite3_stmt *statement, int at)
{
    const void *data = sqlite3_column_blob(statement, at);

    return (struct slice){data, (size_t)sqlite3_column_bytes(statement, at)};
}

static void set_up(const struct peer *peer, enum peer_use use)
{
    char mmap_size[64];

    sqlite3_busy_timeout(peer->db, BUSY_MS);
    execute(peer, "PRAGMA journal_mode=WAL");
    execute(peer, use == PEER_FILL      ? "PRAGMA synchronous=OFF"
                  : use == PEER_RELAXED ? "PRAGMA synchronous=NORMAL"
                                        : "PRAGMA synchronous=FULL");
    snprintf(mmap_size, sizeof(mmap_size), "PRAGMA mmap_size=%zu", bench_map_bytes());
    execute(peer, mmap_size);
    execute(peer, "PRAGMA cache_size=-65536");
    execute(peer, "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID");
}

static struct peer *sqlite_open(const char *folder, enum peer_use use)
{
    struct peer *peer = bench_alloc(sizeof(*peer));
    char path[4096];

    snprintf(path, sizeof(path), "%s/bench.sqlite", folder);
    must(peer, sqlite3_open(path, &peer->db), SQLITE_OK, path);
    set_up(peer, use);
    peer->begin = prepare(peer, "BEGIN");
    peer->begin_write = prepare(peer, "BEGIN IMMEDIATE");
    peer->commit = prepare(peer, "COMMIT");
    peer->get = prepare(peer, "SELECT v FROM kv WHERE k = ?");
    peer->put = prepare(peer, "INSERT OR REPLACE INTO kv VALUES (?, ?)");
    peer->scan = prepare(peer, "SELECT k, v FROM kv ORDER BY k");
    peer->scan_from = prepare(peer, "SELECT k, v FROM kv WHERE k >= ? ORDER BY k");
    return peer;
}

static void sqlite_close(struct peer *peer)
{
    sqlite3_stmt *statement;

    while ((statement = sqlite3_next_stmt(peer->db, NULL)) != NULL) {
        sqlite3_finalize(statement);
    }
    must(peer, sqlite3_close(peer->db), SQLITE_OK, "close");
    free(peer);
}

static void sqlite_begin(struct peer *peer)
{
    step(peer, peer->begin, "begin");
}

static void sqlite_end(struct peer *peer)
{
    sqlite3_reset(peer->get);
    step(peer, peer->commit, "commit");
}

static bool sqlite_get(struct peer *peer, struct slice key, struct slice *value)
{
    int status;

    sqlite3_reset(peer->get);
    bind(peer, peer->get, 1, key);
    status = sqlite3_step(peer->get);
    if (status == SQLITE_DONE) {
        return false;
    }
    must(peer, status, SQLITE_ROW, "get");
    *value = column(peer->get, 0);
    return true;
}

static size_t sqlite_scan(struct peer *peer, struct slice from, size_t limit, size_t value_bytes)
{
    sqlite3_stmt *statement = from.size > 0 ? peer->scan_from : peer->scan;
    size_t count = 0;
    int status = SQLITE_ROW;

    if (from.size > 0) {
        bind(peer, statement, 1, from);
    }
    while (count < limit && (status = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!value_check(column(statement, 0), column(statement, 1), value_bytes)) {
            bench_fail("sqlite: a scan gave a wrong value");
        }
        count++;
    }
    if (status != SQLITE_ROW) {
        must(peer, status, SQLITE_DONE, "scan");
    }
    sqlite3_reset(statement);
    return count;
}

static void sqlite_write(struct peer *peer, const struct pair *pairs, size_t count)
{
    step(peer, peer->begin_write, "begin");
    for (size_t i = 0; i < count; i++) {
        bind(peer, peer->put, 1, pairs[i].key);
        bind(peer, peer->put, 2, pairs[i].value);
        step(peer, peer->put, "put");
    }
    step(peer, peer->commit, "commit");
}

static void sqlite_drain(struct peer *peer)
{
    execute(peer, "PRAGMA synchronous=FULL");
    execute(peer, "PRAGMA wal_checkpoint(TRUNCATE)");
}

const struct adapter adapter_sqlite = {
    .name = "sqlite",
    .version = sqlite_version,
    .settings = "WAL, WITHOUT ROWID, prepared, mmap_size over the file; durable: "
                "synchronous=FULL; fill: OFF, then a checkpoint",
    .data_file = "bench.sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .end = sqlite_end,
    .get = sqlite_get,
    .scan = sqlite_scan,
    .write = sqlite_write,
    .drain = sqlite_drain,
};
