/* SPDX-License-Identifier: MIT */
/*
 * replay: a server that is killed with a log full of puts, and how fast the
 * next one replays them into the loaded store.
 *
 * The clock runs from the start of the server until it answers, so it counts
 * the checkpoint that ends a recovery, too.  The server tells how many
 * operations it replayed.
 */
#include "stage.h"
#include "store_folder.h"
#include "workloads.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRANSACTION_PUTS 1000
#define TRANSACTIONS 200 /* less than what a checkpoint begins at by itself */

struct replay {
    char folder[STORE_FOLDER_MAX];
    pid_t server;
    struct probes *probes;
};

static bool suits(const struct adapter *adapter)
{
    return adapter->replayed != NULL;
}

static void prepare(struct worker *worker)
{
    struct replay *replay = bench_alloc(sizeof(*replay));

    store_folder_name(worker->adapter, "replay", replay->folder);
    store_folder_make(replay->folder);
    replay->server = worker->adapter->serve(replay->folder, PEER_COMMIT);
    harness_once(worker->adapter, replay->folder, PEER_FILL, stage_put_all, NULL);
    replay->probes =
        probes_create(&bench.dataset, PROBE_UNIFORM, TRANSACTION_PUTS * TRANSACTIONS, 1);
    worker->state = replay;
}

/* A checkpoint, so that the log is empty, and then puts. */
static void fill_log(struct worker *worker)
{
    static struct pair pairs[TRANSACTION_PUTS];
    static uint8_t values[TRANSACTION_PUTS][VALUE_BYTES_MAX];
    const struct replay *replay = worker->state;
    struct peer *peer = worker->adapter->open(replay->folder, PEER_COMMIT);

    worker->adapter->checkpoint(peer);
    for (unsigned transaction = 0; transaction < TRANSACTIONS; transaction++) {
        for (unsigned i = 0; i < TRANSACTION_PUTS; i++) {
            bool is_there;
            pairs[i].key = probes_next(replay->probes, &is_there);
            pairs[i].value = (struct slice){values[i], bench.dataset.value_bytes};
            value_fill(pairs[i].key, 0, values[i], bench.dataset.value_bytes);
        }
        worker->adapter->write(peer, pairs, TRANSACTION_PUTS);
    }
    worker->adapter->close(peer);
}

static void kill_server(struct replay *replay)
{
    kill(replay->server, SIGKILL);
    while (waitpid(replay->server, NULL, 0) < 0 && errno == EINTR) {
    }
}

static void run(struct worker *worker)
{
    struct replay *replay = worker->state;
    struct peer *peer;

    fill_log(worker);
    kill_server(replay);
    worker->result->start_ns = bench_now_ns();
    replay->server = worker->adapter->serve(replay->folder, PEER_COMMIT);
    worker->result->end_ns = bench_now_ns();
    peer = worker->adapter->open(replay->folder, PEER_READ);
    worker->result->operations = worker->adapter->replayed(peer);
    worker->adapter->close(peer);
}

/* Each entry still has its value of version 0. */
static void verify(struct worker *worker)
{
    const struct replay *replay = worker->state;

    worker->peer = worker->adapter->open(replay->folder, PEER_READ);
    bench_warm_up(worker);
    worker->adapter->close(worker->peer);
    worker->peer = NULL;
}

static void finish(struct worker *worker)
{
    const struct replay *replay = worker->state;

    worker->adapter->stop(replay->server, replay->folder);
}

static void sum(const struct round *round, double values[FIGURES_MAX])
{
    values[0] = round_rate(round) / 1e3;
    values[1] = (double)round->results[0]->operations;
}

const struct workload replay_log = {
    .name = "replay",
    .title = "operations replayed per second by a server that starts after a kill",
    .processes = 1,
    .use = PEER_COMMIT,
    .opens_itself = true,
    .syncs = true,
    .figures = {{"", "k/s", false}, {"_operations", "", false}},
    .goals = {{"replay/%s/k-operations-per-second", 0, "", false, GOAL(500, 500)}},
    .suits = suits,
    .prepare = prepare,
    .run = run,
    .verify = verify,
    .finish = finish,
    .sum = sum,
};
