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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GO_ROUND 'r'
#define GO_END 'e'
#define LOOK_MS 200 /* how often to look whether a worker still lives */

struct team {
    const struct workload *workload;
    const struct adapter *adapter;
    char folder[STORE_FOLDER_MAX];
    pid_t server;
    pid_t pids[PROCESSES_MAX];
    int go[PROCESSES_MAX];   /* write end: GO_ROUND or GO_END */
    int done[PROCESSES_MAX]; /* read end: one byte when ready, and after each round */
    struct result *results[PROCESSES_MAX];
};

/* ---- workers ------------------------------------------------------------- */

static void say_done(int done)
{
    if (write(done, "d", 1) != 1) {
        bench_fail("a worker cannot answer");
    }
}

__attribute__((noreturn)) static void worker_main(const struct team *team, unsigned index, int go,
                                                  int done)
{
    const struct workload *workload = team->workload;
    struct worker worker = {
        .adapter = team->adapter, .folder = team->folder, .index = index,
        .count = workload->processes, .result = team->results[index],
    };
    char byte;

    if (!workload->opens_itself) {
        worker.peer = team->adapter->open(team->folder, workload->use);
    }
    if (workload->prepare != NULL) {
        workload->prepare(&worker);
    }
    say_done(done);
    while (read(go, &byte, 1) == 1 && byte == GO_ROUND) {
        workload->run(&worker);
        if (workload->verify != NULL) {
            workload->verify(&worker);
        }
        say_done(done);
    }
    if (worker.peer != NULL) {
        team->adapter->close(worker.peer);
    }
    _exit(0);
}

static void team_wait(const struct team *team)
{
    for (unsigned i = 0; i < team->workload->processes; i++) {
        struct pollfd answer = {.fd = team->done[i], .events = POLLIN};
        char byte;
        while (poll(&answer, 1, LOOK_MS) <= 0) {
            if (waitpid(team->pids[i], NULL, WNOHANG) != 0) {
                bench_fail("%s: %s: a worker failed", team->workload->name, team->adapter->name);
            }
        }
        if (read(team->done[i], &byte, 1) != 1) {
            bench_fail("%s: %s: a worker failed", team->workload->name, team->adapter->name);
        }
    }
}

static void team_fork(struct team *team, unsigned index)
{
    int go[2];
    int done[2];

    if (pipe2(go, O_CLOEXEC) != 0 || pipe2(done, O_CLOEXEC) != 0) {
        bench_fail("pipe: %m");
    }
    team->pids[index] = fork();
    if (team->pids[index] < 0) {
        bench_fail("fork: %m");
    }
    if (team->pids[index] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        worker_main(team, index, go[0], done[1]);
    }
    close(go[0]);
    close(done[1]);
    team->go[index] = go[1];
    team->done[index] = done[0];
}

/* ---- teams --------------------------------------------------------------- */

static struct result *shared_result(void)
{
    void *memory = mmap(NULL, sizeof(struct result), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        bench_fail("mmap: %m");
    }
    return memory;
}

static void team_start(struct team *team)
{
    const struct adapter *adapter = team->adapter;

    if (team->workload->makes_store) {
        store_folder_make(team->folder);
    }
    team->server = adapter->serve != NULL ? adapter->serve(team->folder) : 0;
    for (unsigned i = 0; i < team->workload->processes; i++) {
        team->results[i] = shared_result();
        team_fork(team, i);
    }
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

/* Ends workers and server, cleanly. */
static void team_stop(struct team *team)
{
    for (unsigned i = 0; i < team->workload->processes; i++) {
        int status;
        team_tell(team, i, GO_END);
        while (waitpid(team->pids[i], &status, 0) < 0 && errno == EINTR) {
        }
        close(team->go[i]);
        close(team->done[i]);
        if (status != 0) {
            bench_fail("%s: %s: a worker failed at its end", team->workload->name,
                       team->adapter->name);
        }
    }
    if (team->server > 0) {
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

static unsigned teams_init(const struct workload *workload, struct team *teams)
{
    unsigned count = 0;

    while (bench.adapters[count] != NULL) {
        struct team *team = &teams[count];
        *team = (struct team){.workload = workload, .adapter = bench.adapters[count]};
        store_folder_name(team->adapter, workload->makes_store ? workload->name : LOADED_STORE,
                          team->folder);
        count++;
    }
    return count;
}

void harness_run(const struct workload *workload)
{
    struct team teams[ADAPTERS_MAX];
    struct report report = {.workload = workload};
    unsigned count = teams_init(workload, teams);

    report_title(workload);
    report.rounds = bench.rounds != 0 ? bench.rounds : workload->rounds;
    if (report.rounds > ROUNDS_MAX) {
        report.rounds = ROUNDS_MAX;
    }
    for (unsigned i = 0; i < count && !workload->makes_store; i++) {
        team_start(&teams[i]);
    }
    for (unsigned round = 0; round < report.rounds; round++) {
        for (unsigned turn = 0; turn < count; turn++) {
            unsigned i = round % 2 == 0 ? turn : count - 1 - turn;
            team_round(&teams[i], report.values[i][round]);
        }
    }
    for (unsigned i = 0; i < count && !workload->makes_store; i++) {
        team_stop(&teams[i]);
        team_free_results(&teams[i]);
    }
    report_print(&report);
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
