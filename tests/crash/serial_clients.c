/* SPDX-License-Identifier: MIT */
/* serial_clients: see serial_clients.h. */
#include "serial_clients.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define READS_AT_ONCE_MAX 24u
#define PIPELINE_MAX 4u
#define WRITER_COMMITS_MAX 80000u
#define PATIENCE_US 60000000

struct client {
    struct serial_clients *clients;
    struct serial_log *log;
    unsigned index;
    struct bts_store *store;
    struct bts_batch *batch;
    uint64_t random;
    uint32_t own[SERIAL_CELLS_OWN]; /* versions of a writer's cells */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t dice(struct client *client, uint64_t sides)
{
    return harness_random(&client->random) % sides;
}

static bool has_room(const struct serial_log *log)
{
    return log->snapshot_count + 8 < log->snapshot_room &&
           log->read_count + 4 * READS_AT_ONCE_MAX < log->read_room &&
           (log->commit_room == 0 || log->commit_count + 2 * PIPELINE_MAX < log->commit_room);
}

/* ---- snapshots ------------------------------------------------------------ */

static struct serial_snapshot *look(struct serial_log *log, struct bts_store *store,
                                    struct serial_view *view)
{
    struct serial_snapshot *snapshot = &log->snapshots[log->snapshot_count++];

    snapshot->begin_ns = now_ns();
    serial_view_open(view, store);
    snapshot->end_ns = now_ns();
    snapshot->txnid = bts_snapshot_txnid(&view->snapshot);
    snapshot->total = serial_total(view);
    snapshot->first_read = log->read_count;
    snapshot->read_count = 0;
    return snapshot;
}

static uint32_t read_cell(struct serial_log *log, struct serial_view *view, uint32_t cell)
{
    uint32_t version = serial_cell_version(view, cell);

    log->reads[log->read_count++] = (struct serial_version){cell, version};
    log->snapshots[log->snapshot_count - 1].read_count++;
    return version;
}

void serial_clients_look(struct serial_clients *clients, struct bts_store *store)
{
    struct serial_log *log = &clients->logs[SERIAL_DRIVER];
    struct serial_view view;

    look(log, store, &view);
    for (uint32_t cell = 0; cell < SERIAL_CELLS; cell++)
        read_cell(log, &view, cell);
    serial_view_close(&view);
}

/* ---- what became of a commit ---------------------------------------------- */

/* After a restart: commits until one is acknowledged, so that we see the new daemon's state. */
static void wait_for_daemon(struct client *client)
{
    uint64_t start = harness_now_us();
    struct bts_error error;
    enum bts_status status;

    do {
        status = bts_put(client->store, "default", 7, "probe", 5, "", 0, NULL, &error);
        HARNESS_CHECK(status == BTS_OK || status == BTS_UNAVAILABLE || status == BTS_UNKNOWN,
                      "%s: %s", bts_status_name(status), error.text);
        HARNESS_CHECK(harness_now_us() - start < PATIENCE_US, "%s: %s", bts_status_name(status),
                      error.text);
        if (status != BTS_OK)
            harness_sleep_us(1000);
    } while (status != BTS_OK);
}

static uint32_t own_cell(const struct client *client, unsigned number)
{
    return SERIAL_CELLS_SHARED + client->index * SERIAL_CELLS_OWN + number;
}

static void read_own(struct client *client, struct serial_view *view)
{
    for (unsigned i = 0; i < SERIAL_CELLS_OWN; i++)
        client->own[i] = read_cell(client->log, view, own_cell(client, i));
}

/* Finds out about all that is unknown. */
static void settle(struct client *client)
{
    struct serial_log *log = client->log;
    const struct serial_snapshot *snapshot;
    struct serial_view view;
    uint64_t last;

    wait_for_daemon(client);
    snapshot = look(log, client->store, &view);
    last = serial_sequence(&view, client->index);
    for (size_t i = log->commit_count; i-- > 0;) {
        struct serial_commit *commit = &log->commits[i];

        if (commit->outcome != SERIAL_UNKNOWN)
            continue;
        commit->outcome = commit->sequence <= last ? SERIAL_THERE : SERIAL_ABSENT;
        commit->txnid = snapshot->txnid;
    }
    read_own(client, &view);
    serial_view_close(&view);
}

/* Which of the cells shows that a condition was false; none: the first, with what it required. */
static void refute(struct client *client, struct serial_commit *commit, struct serial_view *view)
{
    for (size_t i = 0; i < commit->write_count + commit->require_count; i++) {
        bool writes = i < commit->write_count;
        struct serial_version required =
            writes ? commit->writes[i] : commit->requires[i - commit->write_count];
        uint32_t version = read_cell(client->log, view, required.cell);

        required.version -= writes;
        if (i == 0)
            commit->refuted = required;
        if (version != required.version) {
            commit->refuted = (struct serial_version){required.cell, version};
            return;
        }
    }
}

/* ---- committing ----------------------------------------------------------- */

static struct serial_commit *prepare(struct client *client)
{
    struct serial_commit *commit = &client->log->commits[client->log->commit_count];

    memset(commit, 0, sizeof *commit);
    commit->sequence = ++client->clients->sequences[client->index];
    bts_batch_clear(client->batch);
    return commit;
}

/* Fills the batch; `blind`: without the condition that the versions before are there. */
static void fill(struct client *client, const struct serial_commit *commit, bool blind)
{
    for (size_t i = 0; i < commit->require_count; i++)
        serial_cell_require(client->batch, commit->requires[i]);
    for (size_t i = 0; !blind && i < commit->write_count; i++)
        serial_cell_require(client->batch, (struct serial_version){commit->writes[i].cell,
                                                                   commit->writes[i].version - 1});
    for (size_t i = 0; i < commit->write_count; i++)
        serial_cell_write(client->batch, commit->writes[i]);
    serial_count(client->batch, client->index, commit->sequence);
}

/* Notes the answer.  False: there was none; nothing was sent, and nothing is noted. */
static bool note(struct client *client, struct serial_commit *commit, enum bts_status status,
                 const struct bts_error *error)
{
    commit->end_ns = now_ns();
    HARNESS_CHECK(status == BTS_OK || status == BTS_CONFLICT || status == BTS_UNKNOWN ||
                      status == BTS_UNAVAILABLE,
                  "writer %u: %s: %s", client->index, bts_status_name(status), error->text);
    commit->outcome = status == BTS_OK         ? SERIAL_COMMITTED
                      : status == BTS_CONFLICT ? SERIAL_REFUSED
                                               : SERIAL_UNKNOWN;
    return status != BTS_UNAVAILABLE;
}

/* Commits and finds out what became of it. */
static void commit_one(struct client *client, struct serial_commit *commit, bool blind)
{
    struct serial_view view;
    struct bts_error error;
    enum bts_status status;

    fill(client, commit, blind);
    commit->begin_ns = now_ns();
    status = bts_commit(client->store, client->batch, &commit->txnid, &error);
    if (!note(client, commit, status, &error)) {
        wait_for_daemon(client);
        return;
    }
    client->log->commit_count++;
    if (status == BTS_UNKNOWN)
        settle(client);
    if (status != BTS_CONFLICT)
        return;
    look(client->log, client->store, &view);
    refute(client, commit, &view);
    serial_view_close(&view);
}

/* Adds a cell that the commit does not have yet, as the view shows it. */
static bool choose_cell(struct client *client, const struct serial_commit *commit,
                        struct serial_view *view, struct serial_version *chosen)
{
    uint32_t cell = (uint32_t)dice(client, SERIAL_CELLS_SHARED);

    for (size_t i = 0; i < commit->write_count; i++)
        if (commit->writes[i].cell == cell)
            return false;
    for (size_t i = 0; i < commit->require_count; i++)
        if (commit->requires[i].cell == cell)
            return false;
    *chosen = (struct serial_version){cell, read_cell(client->log, view, cell)};
    return true;
}

/* Several shared cells, on the condition that they are still what a snapshot shows. */
static void commit_shared(struct client *client)
{
    struct serial_commit *commit = prepare(client);
    size_t writes = 1 + dice(client, SERIAL_WRITES_MAX), requires = dice(client, 4);
    struct serial_view view;

    look(client->log, client->store, &view);
    while (commit->write_count < writes) {
        struct serial_version *made = &commit->writes[commit->write_count];

        if (choose_cell(client, commit, &view, made)) {
            made->version++;
            commit->write_count++;
        }
    }
    while (commit->require_count < requires) {
        struct serial_version *required = &commit->requires[commit->require_count];

        if (choose_cell(client, commit, &view, required)) {
            /* Now and then what was true once. */
            required->version -= dice(client, 24) == 0 && required->version > 0;
            commit->require_count++;
        }
    }
    serial_view_close(&view);
    commit_one(client, commit, false);
}

/* A cell that nobody else writes: what stands in it need not be asked for. */
static void commit_own(struct client *client)
{
    struct serial_commit *commit = prepare(client);
    unsigned number = (unsigned)dice(client, SERIAL_CELLS_OWN);

    commit->writes[commit->write_count++] =
        (struct serial_version){own_cell(client, number), client->own[number] + 1};
    commit_one(client, commit, true);
    if (commit->outcome == SERIAL_COMMITTED)
        client->own[number]++;
}

/* Waits for what was sent; true: all of it took place. */
static bool await(struct client *client, const uint64_t *tickets, unsigned count)
{
    bool unknown = false, all = true;
    struct serial_view view;
    struct bts_error error;

    for (unsigned i = 0; i < count; i++) {
        struct serial_commit *commit = &client->log->commits[client->log->commit_count];
        enum bts_status status =
            bts_commit_wait(client->store, tickets[i], 60000, &commit->txnid, &error);

        /* Taken, but not sent yet when the daemon went: as good as one without an answer. */
        unknown = !note(client, commit, status, &error) || status == BTS_UNKNOWN || unknown;
        client->log->commit_count++;
        all = all && status == BTS_OK;
    }
    if (unknown)
        settle(client);
    if (all)
        return true;
    look(client->log, client->store, &view);
    for (unsigned i = 0; i < count; i++) {
        struct serial_commit *commit =
            &client->log->commits[client->log->commit_count - count + i];

        if (commit->outcome == SERIAL_REFUSED)
            refute(client, commit, &view);
    }
    read_own(client, &view);
    serial_view_close(&view);
    return false;
}

/* One own cell several times, each on the condition that the one before it took place. */
static void commit_pipeline(struct client *client)
{
    unsigned number = (unsigned)dice(client, SERIAL_CELLS_OWN);
    unsigned wanted = 2 + (unsigned)dice(client, PIPELINE_MAX - 1), count = 0;
    uint64_t tickets[PIPELINE_MAX];
    size_t first = client->log->commit_count;
    struct bts_error error;

    while (count < wanted) {
        struct serial_commit *commit;

        client->log->commit_count = first + count;
        commit = prepare(client);
        commit->writes[commit->write_count++] = (struct serial_version){
            own_cell(client, number), client->own[number] + 1 + count};
        fill(client, commit, false);
        commit->begin_ns = now_ns();
        if (bts_commit_submit(client->store, client->batch, &tickets[count], &error) != BTS_OK) {
            HARNESS_CHECK(error.status == BTS_UNAVAILABLE, "%s", error.text);
            wait_for_daemon(client);
            break;
        }
        count++;
    }
    client->log->commit_count = first;
    if (await(client, tickets, count))
        client->own[number] += count;
}

/* ---- processes ------------------------------------------------------------ */

static void open_client(struct client *client)
{
    struct serial_clients *clients = client->clients;
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    uint64_t start = harness_now_us();
    struct bts_error error;
    enum bts_status status;

    client->log = &clients->logs[client->index];
    client->random = clients->seeds[client->index];
    while ((status = bts_store_open(clients->harness->store, &options, &client->store, &error)) !=
           BTS_OK) {
        HARNESS_CHECK(status == BTS_UNAVAILABLE && harness_now_us() - start < PATIENCE_US,
                      "%s: %s", bts_status_name(status), error.text);
        harness_sleep_us(1000);
    }
    HARNESS_OK(bts_batch_create(&client->batch, &error), &error);
}

static void close_client(struct client *client)
{
    bts_batch_destroy(client->batch);
    bts_store_close(client->store);
}

static int write_until_stopped(void *argument)
{
    struct client *client = argument;
    struct serial_view view;

    open_client(client);
    look(client->log, client->store, &view);
    read_own(client, &view);
    serial_view_close(&view);
    while (!atomic_load(&client->clients->stop) && has_room(client->log)) {
        switch (dice(client, 4)) {
        case 0:
            commit_own(client);
            break;
        case 1:
            commit_pipeline(client);
            break;
        default:
            commit_shared(client);
            break;
        }
    }
    close_client(client);
    return 0;
}

/* Some cells; perhaps again after a while. */
static void read_snapshot(struct client *client)
{
    uint32_t cells[READS_AT_ONCE_MAX];
    unsigned count = 4 + (unsigned)dice(client, READS_AT_ONCE_MAX - 3);
    uint64_t patience = dice(client, 1024);
    struct serial_view view;

    look(client->log, client->store, &view);
    for (unsigned i = 0; i < count; i++) {
        cells[i] = (uint32_t)dice(client, SERIAL_CELLS);
        read_cell(client->log, &view, cells[i]);
    }
    if (patience < 16) {
        harness_sleep_us(patience == 0 ? dice(client, 400000) : dice(client, 5000));
        for (unsigned i = 0; i < count; i++)
            read_cell(client->log, &view, cells[i]);
    }
    serial_view_close(&view);
}

static int read_enough(void *argument)
{
    struct client *client = argument;

    open_client(client);
    while (client->log->read_count < client->clients->reads_wanted && has_room(client->log))
        read_snapshot(client);
    atomic_fetch_sub(&client->clients->reading, 1);
    close_client(client);
    return 0;
}

/* ---- all of them ---------------------------------------------------------- */

static void log_init(struct serial_log *log, size_t snapshots, size_t reads, size_t commits)
{
    log->snapshot_room = snapshots;
    log->read_room = reads;
    log->commit_room = commits;
    log->snapshots = harness_shared(snapshots * sizeof *log->snapshots);
    log->reads = harness_shared(reads * sizeof *log->reads);
    log->commits = harness_shared((commits + 1) * sizeof *log->commits);
}

void serial_clients_init(struct serial_clients *clients, struct harness *harness,
                         uint64_t reads_wanted)
{
    clients->harness = harness;
    clients->reads_wanted = reads_wanted;
    for (unsigned l = 0; l < SERIAL_LOGS; l++) {
        clients->seeds[l] = 4711 + l;
        if (l < SERIAL_WRITERS)
            log_init(&clients->logs[l], 2 * WRITER_COMMITS_MAX, 10 * WRITER_COMMITS_MAX,
                     WRITER_COMMITS_MAX);
        else if (l < SERIAL_DRIVER)
            log_init(&clients->logs[l], reads_wanted / 4 + 64,
                     reads_wanted + 8 * READS_AT_ONCE_MAX, 0);
        else
            log_init(&clients->logs[l], 16, 16 * SERIAL_CELLS, 0);
    }
}

void serial_clients_start(struct serial_clients *clients)
{
    atomic_store(&clients->stop, false);
    atomic_store(&clients->reading, SERIAL_READERS);
    for (unsigned l = 0; l < SERIAL_DRIVER; l++) {
        struct client client = {.clients = clients, .index = l};

        harness_random(&clients->seeds[l]);
        clients->logs[l].snapshot_count = 0;
        clients->logs[l].read_count = 0;
        clients->logs[l].commit_count = 0;
        clients->pids[l] =
            harness_spawn(l < SERIAL_WRITERS ? write_until_stopped : read_enough, &client);
    }
}

void serial_clients_check(struct serial_clients *clients)
{
    for (unsigned l = 0; l < SERIAL_DRIVER; l++) {
        int how = 0;

        if (clients->pids[l] == 0 || waitpid(clients->pids[l], &how, WNOHANG) == 0)
            continue;
        HARNESS_CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0, "client %u ended: %d", l, how);
        clients->pids[l] = 0; /* it has enough */
    }
}

static void join(struct serial_clients *clients, unsigned index, const char *who)
{
    if (clients->pids[index] != 0)
        harness_join(clients->pids[index], who);
}

void serial_clients_join(struct serial_clients *clients)
{
    for (unsigned l = SERIAL_WRITERS; l < SERIAL_DRIVER; l++)
        join(clients, l, "reader");
    atomic_store(&clients->stop, true);
    for (unsigned l = 0; l < SERIAL_WRITERS; l++)
        join(clients, l, "writer");
}
