/* SPDX-License-Identifier: MIT */
/*
 * harness: see harness.h.
 *
 * A team's workers wait for a byte on a pipe, run one round, and answer with a
 * byte; another byte ends them.  (Not the end of the pipe: workers that were
 * forked later hold it too.)  A worker that fails prints why and exits: the
 * parent finds it gone and fails too.  Workers and servers die with the parent.
 */
#include "harness.h"

#include "report.h"
#include "store_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GO_ROUND 'r'
#define GO_END 'e'
#define MAIN_STORES 2 /* ours, and the one that most goals are set against */
#define LOOK_MS 200 /* how often to look whether a worker still lives */

struct team {
    const struct workload *workload;
    const struct adapter *adapter;
    char folder[STORE_FOLDER_MAX];
    pid_t server;
    unsigned round_ms;
    pid_t pids[PROCESSES_MAX]; /* one only if the adapter has threads */
    int go[PROCESSES_MAX];     /* write end: GO_ROUND or GO_END */
    int done[PROCESSES_MAX];   /* read end: one byte when ready, and after each round */
    struct result *results[PROCESSES_MAX];
};

/* The worker's ends of the pipes. */
struct pipes {
    const struct team *team;
    unsigned index;
    int go;
    int done;
};

/* ---- workers ------------------------------------------------------------- */

static void say_done(int done)
{
    if (write(done, "d", 1) != 1) {
        bench_fail("a worker cannot answer");
    }
}

static void worker_round(const struct workload *workload, struct worker *worker)
{
    workload->run(worker);
    if (workload->verify != NULL) {
        workload->verify(worker);
    }
    if (workload->renew != NULL) {
        workload->renew(worker);
    }
}

static void *worker_main(void *argument)
{
    const struct pipes *pipes = argument;
    const struct team *team = pipes->team;
    const struct workload *workload = team->workload;
    struct worker worker = {
        .adapter = team->adapter, .folder = team->folder, .index = pipes->index,
        .count = workload->processes, .server = team->server, .round_ms = team->round_ms,
        .result = team->results[pipes->index],
    };
    char byte;

    if (!workload->opens_itself) {
        worker.peer = team->adapter->open(team->folder, workload->use);
    }
    if (workload->prepare != NULL) {
        workload->prepare(&worker);
    }
    say_done(pipes->done);
    while (read(pipes->go, &byte, 1) == 1 && byte == GO_ROUND) {
        worker_round(workload, &worker);
        say_done(pipes->done);
    }
    if (workload->finish != NULL) {
        workload->finish(&worker);
    }
    if (worker.peer != NULL) {
        team->adapter->close(worker.peer);
    }
    return NULL;
}

/* ---- teams --------------------------------------------------------------- */

/*
 * Processors of one machine may differ by a third: those who read alone do so
 * on the same one, the last that there is, whatever their store.  Servers stay
 * free.
 */
static void team_bind(const struct workload *workload)
{
    cpu_set_t allowed, last;

    if (workload->processes > 1 || workload->syncs || workload->opens_itself ||
        sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
        return;
    }
    CPU_ZERO(&last);
    for (int i = CPU_SETSIZE - 1; CPU_COUNT(&last) == 0 && i >= 0; i--) {
        if (CPU_ISSET(i, &allowed)) {
            CPU_SET(i, &last);
        }
    }
    (void)sched_setaffinity(0, sizeof(last), &last);
}

/* Processes of the team: its workers, or the one whose threads they are. */
static unsigned team_pid_count(const struct team *team)
{
    return team->adapter->threads ? 1 : team->workload->processes;
}

static void team_wait(const struct team *team)
{
    for (unsigned i = 0; i < team->workload->processes; i++) {
        struct pollfd answer = {.fd = team->done[i], .events = POLLIN};
        char byte;
        while (poll(&answer, 1, LOOK_MS) <= 0) {
            if (waitpid(team->pids[i % team_pid_count(team)], NULL, WNOHANG) != 0) {
                bench_fail("%s: %s: a worker failed", team->workload->name, team->adapter->name);
            }
        }
        if (read(team->done[i], &byte, 1) != 1) {
            bench_fail("%s: %s: a worker failed", team->workload->name, team->adapter->name);
        }
    }
}

static struct result *shared_result(void)
{
    void *memory = mmap(NULL, sizeof(struct result), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        bench_fail("mmap: %m");
    }
    return memory;
}

static struct pipes team_pipes(struct team *team, unsigned index)
{
    int go[2];
    int done[2];

    if (pipe2(go, O_CLOEXEC) != 0 || pipe2(done, O_CLOEXEC) != 0) {
        bench_fail("pipe: %m");
    }
    team->go[index] = go[1];
    team->done[index] = done[0];
    return (struct pipes){team, index, go[0], done[1]};
}

/* Runs workers [first, first + count) in this process. */
__attribute__((noreturn)) static void team_process(struct pipes *pipes, unsigned count)
{
    pthread_t threads[PROCESSES_MAX];

    for (unsigned i = 1; i < count; i++) {
        if (pthread_create(&threads[i], NULL, worker_main, &pipes[i]) != 0) {
            bench_fail("no thread");
        }
    }
    worker_main(&pipes[0]);
    for (unsigned i = 1; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    _exit(0);
}

static void team_fork(struct team *team)
{
    unsigned each = team->workload->processes / team_pid_count(team);

    for (unsigned process = 0; process < team_pid_count(team); process++) {
        struct pipes pipes[PROCESSES_MAX];
        for (unsigned i = 0; i < each; i++) {
            unsigned index = process * each + i;
            team->results[index] = shared_result();
            pipes[i] = team_pipes(team, index);
        }
        team->pids[process] = fork();
        if (team->pids[process] < 0) {
            bench_fail("fork: %m");
        }
        if (team->pids[process] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            team_bind(team->workload);
            team_process(pipes, each);
        }
        for (unsigned i = 0; i < each; i++) {
            close(pipes[i].go);
            close(pipes[i].done);
        }
    }
}

static void team_start(struct team *team)
{
    const struct adapter *adapter = team->adapter;

    if (team->workload->makes_store) {
        store_folder_make(team->folder);
        if (adapter->serve != NULL) {
            team->server = adapter->serve(team->folder, team->workload->use);
        }
    } else {
        team->server = bench_server(adapter);
    }
    team_fork(team);
    team_wait(team);
}

static void team_tell(const struct team *team, unsigned index, char what)
{
    if (write(team->go[index], &what, 1) != 1) {
        bench_fail("a worker cannot be reached: %m");
    }
}

static void team_go(const struct team *team)
{
    for (unsigned i = 0; i < team->workload->processes; i++) {
        team_tell(team, i, GO_ROUND);
    }
    team_wait(team);
}

/* Ends workers and the server that was started for them, cleanly. */
static void team_stop(struct team *team)
{
    for (unsigned i = 0; i < team->workload->processes; i++) {
        team_tell(team, i, GO_END);
        close(team->go[i]);
        close(team->done[i]);
    }
    for (unsigned i = 0; i < team_pid_count(team); i++) {
        int status;
        while (waitpid(team->pids[i], &status, 0) < 0 && errno == EINTR) {
        }
        if (status != 0) {
            bench_fail("%s: %s: a worker failed at its end", team->workload->name,
                       team->adapter->name);
        }
    }
    if (team->workload->makes_store && team->server > 0) {
        team->adapter->stop(team->server, team->folder);
    }
}

static void team_sum(struct team *team, double values[FIGURES_MAX])
{
    struct round round = {.adapter = team->adapter, .folder = team->folder,
                          .results = team->results, .count = team->workload->processes};

    team->workload->sum(&round, values);
}

static void team_free_results(struct team *team)
{
    for (unsigned i = 0; i < team->workload->processes; i++) {
        munmap(team->results[i], sizeof(struct result));
    }
}

/* ---- rounds -------------------------------------------------------------- */

static void team_round(struct team *team, double values[FIGURES_MAX])
{
    if (team->workload->makes_store) {
        team_start(team);
        team_go(team);
        team_stop(team);
        team_sum(team, values);
        team_free_results(team);
    } else {
        team_go(team);
        team_sum(team, values);
    }
}

static bool suits(const struct workload *workload, const struct adapter *adapter)
{
    return bench_is_listed(workload->stores, adapter->name) &&
           (adapter->lacks & PEER_BIT(workload->use)) == 0 &&
           (workload->stores != NULL || adapter->stands_for == NULL) &&
           (workload->suits == NULL || workload->suits(adapter));
}

/* Reads of stores that no goal is set against get shorter rounds. */
static unsigned round_ms(const struct workload *workload, unsigned index)
{
    bool is_whole = index < MAIN_STORES || workload->syncs || workload->stores != NULL;

    return is_whole ? bench.round_ms : bench.round_ms / 2;
}

static unsigned teams_init(const struct workload *workload, struct team *teams)
{
    unsigned count = 0;

    for (unsigned i = 0; bench.adapters[i] != NULL; i++) {
        struct team *team = &teams[count];
        if (suits(workload, bench.adapters[i])) {
            *team = (struct team){.workload = workload, .adapter = bench.adapters[i],
                                  .round_ms = round_ms(workload, i)};
            store_folder_name(team->adapter,
                              workload->makes_store ? workload->name : LOADED_STORE,
                              team->folder);
            count++;
        }
    }
    return count;
}

void harness_run(const struct workload *workload)
{
    struct team teams[ADAPTERS_MAX];
    struct report report = {.workload = workload, .rounds = bench.rounds};

    if (workload->rounds > report.rounds) {
        report.rounds = workload->rounds;
    }
    report.count = teams_init(workload, teams);
    report_title(workload);
    for (unsigned i = 0; i < report.count; i++) {
        report.adapters[i] = teams[i].adapter;
        if (!workload->makes_store) {
            team_start(&teams[i]);
        }
    }
    for (unsigned round = 0; round < report.rounds; round++) {
        for (unsigned turn = 0; turn < report.count; turn++) {
            unsigned i = round % 2 == 0 ? turn : report.count - 1 - turn;
            team_round(&teams[i], report.values[i][round]);
        }
    }
    for (unsigned i = 0; i < report.count && !workload->makes_store; i++) {
        team_stop(&teams[i]);
        team_free_results(&teams[i]);
    }
    report_print(&report);
}

void harness_once(const struct adapter *adapter, const char *folder, enum peer_use use,
                  void (*work)(struct worker *worker), struct result *result)
{
    struct worker worker = {.adapter = adapter, .folder = folder, .count = 1, .result = result};
    pid_t child = fork();
    int status;

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        worker.peer = adapter->open(folder, use);
        work(&worker);
        adapter->close(worker.peer);
        _exit(0);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0 || status != 0) {
        bench_fail("%s: a process failed", adapter->name);
    }
}

/* ---- rounds -------------------------------------------------------------- */

uint64_t worker_begin(struct worker *worker)
{
    worker->result->operations = 0;
    worker->result->start_ns = bench_now_ns();
    return worker->result->start_ns + (uint64_t)worker->round_ms * 1000000;
}

bool worker_goes_on(struct worker *worker, uint64_t operations, uint64_t deadline_ns)
{
    worker->result->operations += operations;
    worker->result->end_ns = bench_now_ns();
    return worker->result->end_ns < deadline_ns;
}

/* ---- sums ---------------------------------------------------------------- */

double round_rate(const struct round *round)
{
    uint64_t operations = 0;
    uint64_t start_ns = UINT64_MAX;
    uint64_t end_ns = 0;

    for (unsigned i = 0; i < round->count; i++) {
        const struct result *result = round->results[i];
        operations += result->operations;
        start_ns = result->start_ns < start_ns ? result->start_ns : start_ns;
        end_ns = result->end_ns > end_ns ? result->end_ns : end_ns;
    }
    return (double)operations * 1e9 / (double)(end_ns - start_ns);
}

static int compare_latencies(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

double round_latency_ns(const struct round *round, double percent)
{
    size_t count = 0;
    uint32_t *all;
    double latency;

    for (unsigned i = 0; i < round->count; i++) {
        count += round->results[i]->latency_count;
    }
    all = bench_alloc((count + 1) * sizeof(*all));
    count = 0;
    for (unsigned i = 0; i < round->count; i++) {
        const struct result *result = round->results[i];
        memcpy(all + count, result->latencies_ns, result->latency_count * sizeof(*all));
        count += result->latency_count;
    }
    qsort(all, count, sizeof(*all), compare_latencies);
    latency = count > 0 ? all[(size_t)((double)(count - 1) * percent / 100)] : 0;
    free(all);
    return latency;
}

double round_disk_bytes(const struct round *round)
{
    return store_folder_disk_bytes(round->folder, round->adapter->data_file);
}
