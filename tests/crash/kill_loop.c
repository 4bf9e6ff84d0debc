/* SPDX-License-Identifier: MIT */
/*
 * kill_loop [DAEMON_KILLS READER_KILLS]: a loaded daemon and its readers are
 * killed hundreds of times; nothing that was acknowledged is ever missing, no
 * page is lost, and every slot is freed without any other event.
 *
 * One round: start, verify, kill a reader of the idle daemon, load it, kill
 * another reader, kill the daemon.  It dies under load, beside
 * checkpoints, in a clean stop, or in the recovery of an earlier death.
 *
 * After each start: every key shows what was acknowledged or what was on its
 * way, a transaction is there wholly or not at all, and every page is
 * accounted for.  The logs that the kills left must really have been replayed:
 * else all of that would assert nothing.
 *
 * A SIGKILL leaves the page cache: power cuts are crash_enum's.
 */
#include "kill_readers.h"
#include "kill_writers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS 300u
#define KILLS_SANITIZED 30u
#define KILLS_MAX 100000u

/* A slot that waits for the daemon's once-a-second sweep was not freed by its reader's death. */
#define FREED_MEDIAN_MAX_US 100000u
#define FREED_SOON_US 500000u

#define COMMIT_PATIENCE_US 5000000u
#define PINNED_SIZE (1u << 20)
#define SETTLE_US 1000000u /* the daemon sees by then that older snapshots are gone */
#define PINS 16u
#define PINNED_ROOM (9u << 20) /* live data, a pinned state, what a checkpoint holds */

/*
 * A daemon that finds snapshots of an earlier one only lets the file grow until
 * they are gone; so short a life may end before that.  But no life writes more.
 */
#define LIFE_GROWTH_MAX (16u << 20)

enum moment { UNDER_LOAD, IN_CHECKPOINT, IN_STOP, IN_RECOVERY, MOMENT_COUNT };

struct test {
    struct harness harness;
    struct kill_writers writers;
    struct kill_readers readers;
    uint64_t random;
    unsigned daemon_kills[MOMENT_COUNT];
    unsigned clean_stops;  /* of those that were to be killed while they stop */
    unsigned idle_kills;   /* readers */
    unsigned loaded_kills; /* readers */
    uint32_t freed_us[KILLS_MAX];
    unsigned replays; /* starts that replayed anything */
    uint64_t replayed_frames;
    uint64_t replayed_operations;
    uint64_t file_size;
};

static unsigned daemon_kills(const struct test *test)
{
    unsigned kills = 0;

    for (unsigned m = 0; m < MOMENT_COUNT; m++)
        kills += test->daemon_kills[m];
    return kills;
}

static unsigned reader_kills(const struct test *test)
{
    return test->idle_kills + test->loaded_kills;
}

static uint64_t dice(struct test *test, uint64_t sides)
{
    return harness_random(&test->random) % sides;
}

/* ---- killing the daemon --------------------------------------------------- */

/* SIGKILL; false: it had ended by itself, cleanly. */
static bool kill_daemon(struct test *test, enum moment moment)
{
    pid_t pid = test->harness.daemon;
    int how = 0;

    HARNESS_CHECK(pid > 0, "no daemon runs");
    kill(pid, SIGKILL);
    HARNESS_CHECK(waitpid(pid, &how, 0) == pid, "%s", strerror(errno));
    test->harness.daemon = 0;
    atomic_fetch_add(&test->readers.deaths, 1);
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) {
        test->daemon_kills[moment]++;
        return true;
    }
    HARNESS_CHECK(moment == IN_STOP && WIFEXITED(how) && WEXITSTATUS(how) == 0,
                  "the daemon ended by itself: status %d", how);
    return false;
}

/* Starts a daemon and waits for nothing. */
static void launch(struct test *test)
{
    struct harness *harness = &test->harness;
    pid_t pid = fork(); /* not straight into *harness, which the child shares */

    HARNESS_CHECK(pid >= 0, "%s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(harness->daemon_path, harness->daemon_path, harness->store, "--foreground",
              (char *)NULL);
        _exit(127);
    }
    harness->daemon = pid;
}

/* Half of the deaths are followed by some in recovery. */
static void kill_in_recovery(struct test *test)
{
    while (dice(test, 2) == 0) {
        launch(test);
        harness_sleep_us(dice(test, 20000));
        kill_daemon(test, IN_RECOVERY);
    }
}

static int make_checkpoints(void *argument)
{
    const struct harness *harness = argument;
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct bts_store *store;
    struct bts_error error;

    if (bts_store_open(harness->store, &options, &store, &error) != BTS_OK)
        return 0; /* killed before we came to it */
    while (bts_store_checkpoint(store, NULL, &error) == BTS_OK)
        ;
    bts_store_close(store);
    return 0;
}

/* A slow disk must not make it a test of idle daemons. */
static void wait_for_commit(const struct test *test, uint64_t commits)
{
    uint64_t start = harness_now_us();

    while (kill_writers_commits(&test->writers) == commits &&
           harness_now_us() - start < COMMIT_PATIENCE_US)
        harness_sleep_us(200);
}

static void load_and_kill(struct test *test, enum moment moment, uint64_t commits)
{
    pid_t checkpointer = 0;

    if (moment == IN_CHECKPOINT)
        checkpointer = harness_spawn(make_checkpoints, &test->harness);
    if (dice(test, 4) > 0)
        wait_for_commit(test, commits);
    harness_sleep_us(dice(test, 45000));
    if (moment == IN_STOP) {
        kill(test->harness.daemon, SIGTERM);
        harness_sleep_us(dice(test, 8000));
    }
    test->clean_stops += !kill_daemon(test, moment);
    if (checkpointer != 0)
        harness_join(checkpointer, "checkpointer");
}

/* ---- starting again ------------------------------------------------------- */

/* A number of BTS.STAT. */
static uint64_t stat_number(struct bts_store *store, const char *name)
{
    struct bts_bytes command = {"BTS.STAT", 8};
    struct bts_error error;
    const char *at;
    char *reply;
    size_t size;
    uint64_t number;

    HARNESS_OK(bts_store_command(store, &command, 1, &reply, &size, &error), &error);
    at = memmem(reply, size, name, strlen(name));
    HARNESS_CHECK(at != NULL, "BTS.STAT tells no %s", name);
    number = strtoull(at + strlen(name) + 3, NULL, 10); /* "\r\n:" */
    free(reply);
    return number;
}

/* Everything that is known about the store after a start holds. */
static void start_and_verify(struct test *test)
{
    struct bts_store *store;
    uint64_t frames, size;

    harness_start(&test->harness, NULL);
    store = harness_open(&test->harness);
    frames = stat_number(store, "replayed_frames");
    test->replays += frames > 0;
    test->replayed_frames += frames;
    test->replayed_operations += stat_number(store, "replayed_operations");
    kill_writers_verify(&test->writers, store);
    harness_check_store(store);
    bts_store_close(store);
    size = harness_file_size(test->harness.store);
    HARNESS_CHECK(size <= test->file_size + LIFE_GROWTH_MAX,
                  "the file has grown from %llu to %llu bytes at once",
                  (unsigned long long)test->file_size, (unsigned long long)size);
    test->file_size = size;
}

/* ---- killing readers ------------------------------------------------------ */

static void kill_reader(struct test *test, bool loaded)
{
    unsigned index = (unsigned)dice(test, KILL_READERS);

    HARNESS_CHECK(reader_kills(test) < KILLS_MAX, "no room for more kills");
    kill_readers_wait_attached(&test->readers, index);
    harness_sleep_us(dice(test, 3000));
    test->freed_us[reader_kills(test)] = (uint32_t)kill_readers_kill(&test->readers, index);
    *(loaded ? &test->loaded_kills : &test->idle_kills) += 1;
    kill_readers_restart(&test->readers, index);
}

static void one_round(struct test *test)
{
    static const enum moment moments[] = {UNDER_LOAD, UNDER_LOAD, IN_CHECKPOINT, IN_CHECKPOINT,
                                          IN_STOP};
    uint64_t commits = kill_writers_commits(&test->writers);

    start_and_verify(test);
    kill_reader(test, false);
    kill_writers_start(&test->writers);
    kill_reader(test, true);
    load_and_kill(test, moments[dice(test, 5)], commits);
    kill_writers_join(&test->writers);
    kill_in_recovery(test);
}

/* ---- what a dead reader pinned -------------------------------------------- */

static _Atomic bool *pinned;

static _Noreturn void wait_to_be_killed(void)
{
    for (;;)
        pause();
}

static int pin_until_killed(void *argument)
{
    struct bts_store *store = harness_open(argument);
    struct bts_snapshot snapshot;
    struct bts_error error;

    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    atomic_store(pinned, true);
    wait_to_be_killed();
}

static uint64_t retained_by(struct bts_store *store, pid_t pid)
{
    struct bts_reader *readers;
    struct bts_error error;
    uint64_t retained = 0;
    size_t count;

    HARNESS_OK(bts_store_readers(store, &readers, &count, &error), &error);
    for (size_t i = 0; i < count; i++)
        retained += pid == 0 || readers[i].pid == pid ? readers[i].retained_bytes : 0;
    free(readers);
    return retained;
}

static void write_pages(struct bts_store *store, unsigned commits)
{
    static uint8_t value[PINNED_SIZE];
    struct bts_error error;

    for (unsigned i = 0; i < commits; i++) {
        memset(value, (int)i + 1, sizeof value);
        HARNESS_OK(bts_put(store, "default", 7, "pages", 5, value, sizeof value, NULL, &error),
                   &error);
    }
}

/* A reader pins what is then replaced, and dies; returns how much it held back. */
static uint64_t pin_and_kill(struct test *test, struct bts_store *store)
{
    struct bts_error error;
    pid_t reader;
    uint64_t retained;

    atomic_store(pinned, false);
    reader = harness_spawn(pin_until_killed, &test->harness);
    while (!atomic_load(pinned))
        harness_sleep_us(100);
    write_pages(store, 3);
    /* what the checkpoint before held as well is the reader's alone, once the next commit looks */
    HARNESS_OK(bts_store_checkpoint(store, NULL, &error), &error);
    write_pages(store, 1);
    retained = retained_by(store, reader);
    HARNESS_CHECK(retained >= PINNED_SIZE, "a snapshot holds back %llu bytes",
                  (unsigned long long)retained);
    kill_readers_until_free(test->readers.slots, reader);
    HARNESS_CHECK(retained_by(store, 0) == 0, "%llu bytes are held back for nobody",
                  (unsigned long long)retained_by(store, 0));
    return retained;
}

/*
 * The other readers are gone: what one holds back is its own.  The file grows
 * for what is pinned at one time, if it has no free pages for that; no more.
 */
static void pages_of_a_dead_reader_are_used_again(struct test *test)
{
    struct bts_store *store = harness_open(&test->harness);
    uint64_t retained = 0, before, size, most;
    struct bts_error error;

    harness_sleep_us(SETTLE_US);
    before = harness_file_size(test->harness.store);
    pinned = harness_shared(sizeof *pinned);
    write_pages(store, 4);
    for (unsigned i = 0; i < PINS; i++)
        retained = pin_and_kill(test, store);
    size = harness_file_size(test->harness.store);
    most = before > PINNED_ROOM ? before : PINNED_ROOM;
    HARNESS_CHECK(size <= most, "the file grew from %llu to %llu bytes with readers that died",
                  (unsigned long long)before, (unsigned long long)size);
    HARNESS_OK(bts_delete(store, "default", 7, "pages", 5, NULL, &error), &error);
    printf("# %u readers that died held back %llu KiB each, 0 afterwards; file of %llu KiB before, "
           "%llu KiB after\n",
           PINS, (unsigned long long)retained / 1024, (unsigned long long)before / 1024,
           (unsigned long long)size / 1024);
    bts_store_close(store);
}

/* ---- all of it ------------------------------------------------------------ */

static int compare_times(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;

    return (first > second) - (first < second);
}

static void judge_freed(struct test *test)
{
    unsigned count = reader_kills(test);
    unsigned soon = 0;
    uint32_t *us = test->freed_us;

    qsort(us, count, sizeof *us, compare_times);
    while (soon < count && us[soon] < FREED_SOON_US)
        soon++;
    printf("# slots freed in p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", us[count / 2] / 1000.0,
           us[count * 99 / 100] / 1000.0, us[count - 1] / 1000.0);
    HARNESS_CHECK(us[count / 2] <= FREED_MEDIAN_MAX_US, "slots are freed by something else");
    HARNESS_CHECK(soon * 10 >= count * 9, "%u of %u slots waited for something else",
                  count - soon, count);
}

static void judge(struct test *test)
{
    uint64_t commits = kill_writers_commits(&test->writers);
    unsigned rounds = daemon_kills(test) - test->daemon_kills[IN_RECOVERY];

    printf("# daemon: %u kills under load, %u beside checkpoints, %u in a clean stop (%u had "
           "ended), %u in recovery; readers: %u idle, %u under load\n",
           test->daemon_kills[UNDER_LOAD], test->daemon_kills[IN_CHECKPOINT],
           test->daemon_kills[IN_STOP], test->clean_stops, test->daemon_kills[IN_RECOVERY],
           test->idle_kills, test->loaded_kills);
    printf("# %llu walks, %llu snapshots whole before and after a daemon's death; file of %llu "
           "KiB\n",
           (unsigned long long)kill_readers_walks(&test->readers),
           (unsigned long long)kill_readers_spanned(&test->readers),
           (unsigned long long)test->file_size / 1024);
    printf("# %u daemon kills, %u reader kills, %llu acknowledged commits, 0 lost; "
           "%llu frames with %llu operations replayed in %u starts\n",
           daemon_kills(test), reader_kills(test), (unsigned long long)commits,
           (unsigned long long)test->replayed_frames,
           (unsigned long long)test->replayed_operations, test->replays);
    HARNESS_CHECK(commits > daemon_kills(test), "only %llu commits", (unsigned long long)commits);
    HARNESS_CHECK(test->replayed_operations > 0 && test->replays * 3 >= rounds,
                  "%u of %u starts replayed a log", test->replays, rounds);
    HARNESS_CHECK(kill_readers_spanned(&test->readers) > 0, "no snapshot outlived a daemon");
}

int main(int argc, char *argv[])
{
    struct test *test = harness_shared(sizeof *test);
    unsigned daemons = argc > 1 ? (unsigned)atoi(argv[1]) : harness_count(KILLS, KILLS_SANITIZED);
    unsigned readers = argc > 2 ? (unsigned)atoi(argv[2]) : daemons;
    char socket_path[HARNESS_PATH_MAX];
    struct bts_store *store;

    test->random = 20261123;
    harness_init(&test->harness);
    harness_start(&test->harness, NULL);
    kill_writers_init(&test->writers, &test->harness);
    store = harness_open(&test->harness);
    snprintf(socket_path, sizeof socket_path, "%s", bts_store_socket(store));
    bts_store_close(store);
    kill_readers_start(&test->readers, &test->harness, socket_path);
    harness_kill(&test->harness);
    while (daemon_kills(test) < daemons || reader_kills(test) < readers)
        one_round(test);
    start_and_verify(test);
    for (unsigned r = 0; r < KILL_READERS; r++)
        kill_readers_kill(&test->readers, r);
    judge_freed(test);
    pages_of_a_dead_reader_are_used_again(test);
    harness_stop(&test->harness);
    HARNESS_CHECK(!harness_exists(test->readers.slots), "%s is left", test->readers.slots);
    judge(test);
    return 0;
}
