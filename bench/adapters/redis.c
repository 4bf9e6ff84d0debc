/* SPDX-License-Identifier: MIT */
/*
 * redis: a redis-server of our own, on a Unix socket and nothing else.
 *
 * It runs with an append-only file and without RDB snapshots or rewrites that
 * would disturb a round.  While filling appendfsync is `no`; for durable
 * commits it is `always`, the only setting under which a reply means that the
 * write is on the disk; relaxed: `everysec`.  There are no snapshots, so begin
 * and end do nothing, and no key order, so there are no scans.  A transaction
 * of several puts is one MSET.
 */
#include "../adapter.h"
#include "../dataset.h"
#include "../harness.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 108 /* what a socket's name may take */
#define KEYS_AT_ONCE_MAX 16
#define PAIRS_AT_ONCE_MAX 10000

struct peer {
    redisContext *context;
    redisReply *reply; /* that the last values lie in */
};

static void must(const struct peer *peer, const redisReply *reply, const char *what)
{
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        bench_fail("redis: %s: %s", what, reply != NULL ? reply->str : peer->context->errstr);
    }
}

static const char *redis_version(void)
{
    static char version[64];
    FILE *pipe = popen(BENCH_REDIS_SERVER " --version", "r");

    if (pipe == NULL || fscanf(pipe, "Redis server v=%63s", version) != 1) {
        snprintf(version, sizeof(version), "of unknown version");
    }
    if (pipe != NULL) {
        pclose(pipe);
    }
    return version;
}

/* A socket's name is short, so it lies in /tmp, named by the store's folder. */
static void socket_path(const char *folder, char path[PATH_BYTES])
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (const char *at = folder; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 0x100000001b3ULL;
    }
    snprintf(path, PATH_BYTES, "/tmp/bench-redis-%u-%016llx", getuid(), (unsigned long long)hash);
}

static void run_server(const char *folder)
{
    char path[PATH_BYTES];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    socket_path(folder, path);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execl(BENCH_REDIS_SERVER, "redis-server", "--port", "0", "--unixsocket", path, "--dir", folder,
          "--save", "", "--appendonly", "yes", "--appendfsync", "no",
          "--auto-aof-rewrite-percentage", "0", "--no-appendfsync-on-rewrite", "no",
          "--maxclients", "1000", (char *)NULL);
    _exit(127);
}

/* True when the server at `path` answers and has read its files. */
static bool answers(const char *path)
{
    redisContext *context = redisConnectUnix(path);
    redisReply *reply = context != NULL && context->err == 0 ? redisCommand(context, "PING") : NULL;
    bool is_ready = reply != NULL && reply->type == REDIS_REPLY_STATUS;

    if (reply != NULL) {
        freeReplyObject(reply);
    }
    if (context != NULL) {
        redisFree(context);
    }
    return is_ready;
}

static pid_t redis_serve(const char *folder, enum peer_use use)
{
    char path[PATH_BYTES];
    pid_t server;

    (void)use; /* redis_open sets what differs */
    socket_path(folder, path);
    unlink(path);
    server = fork();
    if (server == 0) {
        run_server(folder);
    }
    while (!answers(path)) {
        if (server < 0 || waitpid(server, NULL, WNOHANG) != 0) {
            bench_fail("%s did not start in %s", BENCH_REDIS_SERVER, folder);
        }
        usleep(10000);
    }
    return server;
}

static void redis_stop(pid_t server, const char *folder)
{
    char path[PATH_BYTES];
    int status;

    socket_path(folder, path);
    kill(server, SIGTERM);
    while (waitpid(server, &status, 0) < 0 && errno == EINTR) {
    }
    unlink(path);
    if (status != 0) {
        bench_fail("redis-server in %s ended with status %d", folder, status);
    }
}

static struct peer *redis_open(const char *folder, enum peer_use use)
{
    struct peer *peer = bench_alloc(sizeof(*peer));
    const char *sync = use == PEER_FILL || use == PEER_READ ? "no"
                       : use == PEER_RELAXED                ? "everysec"
                                                            : "always";
    char path[PATH_BYTES];

    socket_path(folder, path);
    peer->context = redisConnectUnix(path);
    if (peer->context == NULL || peer->context->err != 0) {
        bench_fail("redis: %s cannot be reached", path);
    }
    peer->reply = redisCommand(peer->context, "CONFIG SET appendfsync %s", sync);
    must(peer, peer->reply, "CONFIG SET appendfsync");
    return peer;
}

static void let_go(struct peer *peer)
{
    freeReplyObject(peer->reply);
    peer->reply = NULL;
}

static void redis_close(struct peer *peer)
{
    let_go(peer);
    redisFree(peer->context);
    free(peer);
}

static void redis_nothing(struct peer *peer)
{
    (void)peer;
}

static bool redis_get(struct peer *peer, struct slice key, struct slice *value)
{
    const char *parts[2] = {"GET", key.data};
    size_t sizes[2] = {3, key.size};

    let_go(peer);
    peer->reply = redisCommandArgv(peer->context, 2, parts, sizes);
    must(peer, peer->reply, "GET");
    if (peer->reply->type == REDIS_REPLY_NIL) {
        return false;
    }
    *value = (struct slice){peer->reply->str, peer->reply->len};
    return true;
}

static void redis_get_many(struct peer *peer, const struct slice *keys, struct slice *values,
                           size_t count)
{
    const char *parts[1 + KEYS_AT_ONCE_MAX] = {"MGET"};
    size_t sizes[1 + KEYS_AT_ONCE_MAX] = {4};

    if (count > KEYS_AT_ONCE_MAX) {
        bench_fail("redis: more than %d keys at once", KEYS_AT_ONCE_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        parts[1 + i] = keys[i].data;
        sizes[1 + i] = keys[i].size;
    }
    let_go(peer);
    peer->reply = redisCommandArgv(peer->context, (int)count + 1, parts, sizes);
    must(peer, peer->reply, "MGET");
    for (size_t i = 0; i < count; i++) {
        values[i] = (struct slice){peer->reply->element[i]->str, peer->reply->element[i]->len};
    }
}

static void redis_write(struct peer *peer, const struct pair *pairs, size_t count)
{
    static const char *parts[1 + 2 * PAIRS_AT_ONCE_MAX] = {"MSET"};
    static size_t sizes[1 + 2 * PAIRS_AT_ONCE_MAX] = {4};

    if (count > PAIRS_AT_ONCE_MAX) {
        bench_fail("redis: more than %d puts at once", PAIRS_AT_ONCE_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        parts[1 + 2 * i] = pairs[i].key.data;
        sizes[1 + 2 * i] = pairs[i].key.size;
        parts[2 + 2 * i] = pairs[i].value.data;
        sizes[2 + 2 * i] = pairs[i].value.size;
    }
    let_go(peer);
    peer->reply = redisCommandArgv(peer->context, 1 + 2 * (int)count, parts, sizes);
    must(peer, peer->reply, "MSET");
}

const struct adapter adapter_redis = {
    .name = "redis",
    .version = redis_version,
    .settings = "Unix socket, hiredis, append-only file, no rewrites; durable: appendfsync "
                "always; fill: no; transactions are MSET",
    .serve = redis_serve,
    .stop = redis_stop,
    .open = redis_open,
    .close = redis_close,
    .begin = redis_nothing,
    .end = redis_nothing,
    .get = redis_get,
    .get_many = redis_get_many,
    .write = redis_write,
    .drain = redis_nothing,
};
