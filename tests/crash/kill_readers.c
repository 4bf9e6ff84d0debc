/* SPDX-License-Identifier: MIT */
/* kill_readers: see kill_readers.h. */
#include "kill_readers.h"

#include "kill_writers.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE_US 20000000
#define LOOK_EVERY_US 50

/* ---- reading -------------------------------------------------------------- */

/* Opens the store as soon as a daemon is there. */
static struct bts_store *open_patiently(const struct harness *harness)
{
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct bts_store *store;
    struct bts_error error;
    enum bts_status status;

    while ((status = bts_store_open(harness->store, &options, &store, &error)) != BTS_OK) {
        HARNESS_CHECK(status == BTS_UNAVAILABLE, "%s: %s", bts_status_name(status), error.text);
        harness_sleep_us(500);
    }
    return store;
}

/* Mostly short; now and then long enough for a daemon to die and come back. */
static uint64_t hold_us(struct kill_reader *reader)
{
    uint64_t dice = harness_random(&reader->random);

    return dice % 16 == 0 ? dice % 300000 : dice % 8000;
}

static void read_once(struct kill_readers *readers, struct kill_reader *reader,
                      struct bts_store *store)
{
    unsigned writer = (unsigned)(harness_random(&reader->random) % KILL_WRITERS);
    uint64_t deaths = atomic_load(&readers->deaths);
    struct bts_snapshot snapshot;
    struct bts_error error;
    uint64_t digest;

    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    digest = kill_writers_walk(&snapshot, writer);
    harness_sleep_us(hold_us(reader));
    HARNESS_CHECK(kill_writers_walk(&snapshot, writer) == digest,
                  "snapshot %llu changed while it was open",
                  (unsigned long long)bts_snapshot_txnid(&snapshot));
    bts_snapshot_close(&snapshot);
    atomic_fetch_add(&reader->walks, 2);
    if (atomic_load(&readers->deaths) != deaths)
        atomic_fetch_add(&reader->spanned, 1);
}

struct reader_task {
    struct kill_readers *readers;
    unsigned index;
};

static _Noreturn void read_for_ever(struct kill_readers *readers, struct kill_reader *reader,
                                    struct bts_store *store)
{
    for (;;)
        read_once(readers, reader, store);
}

static int read_until_killed(void *argument)
{
    const struct reader_task *task = argument;
    struct kill_reader *reader = &task->readers->readers[task->index];
    struct bts_store *store = open_patiently(task->readers->harness);

    atomic_store(&reader->attached, true);
    read_for_ever(task->readers, reader, store);
}

/* ---- killing -------------------------------------------------------------- */

/* Slot files are named NUMBER.PID.UID.TIME. */
static unsigned slots_of(const char *slots, pid_t pid)
{
    const struct dirent *entry;
    unsigned count = 0;
    DIR *folder = opendir(slots);

    HARNESS_CHECK(folder != NULL, "%s: %s", slots, strerror(errno));
    while ((entry = readdir(folder)) != NULL) {
        const char *dot = strchr(entry->d_name, '.');

        count += entry->d_name[0] != '.' && dot != NULL && strtol(dot + 1, NULL, 10) == pid;
    }
    closedir(folder);
    return count;
}

uint64_t kill_readers_until_free(const char *slots, pid_t pid)
{
    uint64_t killed_us = harness_now_us();
    int how = 0;

    kill(pid, SIGKILL);
    while (slots_of(slots, pid) > 0) {
        HARNESS_CHECK(harness_now_us() - killed_us < PATIENCE_US,
                      "the slot of a killed reader was never freed");
        harness_sleep_us(LOOK_EVERY_US);
    }
    killed_us = harness_now_us() - killed_us;
    HARNESS_CHECK(waitpid(pid, &how, 0) == pid, "%s", strerror(errno));
    HARNESS_CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL,
                  "a reader ended by itself: status %d", how);
    return killed_us;
}

uint64_t kill_readers_kill(struct kill_readers *readers, unsigned index)
{
    return kill_readers_until_free(readers->slots, readers->readers[index].pid);
}

void kill_readers_restart(struct kill_readers *readers, unsigned index)
{
    struct kill_reader *reader = &readers->readers[index];
    struct reader_task task = {readers, index};

    atomic_store(&reader->attached, false);
    harness_random(&reader->random);
    reader->pid = harness_spawn(read_until_killed, &task);
}

void kill_readers_start(struct kill_readers *readers, struct harness *harness,
                        const char *socket_path)
{
    char *copy = strdup(socket_path);

    readers->harness = harness;
    snprintf(readers->slots, sizeof readers->slots, "%s/slots", dirname(copy));
    free(copy);
    for (unsigned r = 0; r < KILL_READERS; r++) {
        readers->readers[r].random = 77 + r;
        kill_readers_restart(readers, r);
    }
}

void kill_readers_wait_attached(struct kill_readers *readers, unsigned index)
{
    uint64_t start = harness_now_us();

    while (!atomic_load(&readers->readers[index].attached)) {
        HARNESS_CHECK(harness_now_us() - start < PATIENCE_US, "reader %u does not read", index);
        harness_sleep_us(100);
    }
}

uint64_t kill_readers_walks(const struct kill_readers *readers)
{
    uint64_t walks = 0;

    for (unsigned r = 0; r < KILL_READERS; r++)
        walks += atomic_load(&readers->readers[r].walks);
    return walks;
}

uint64_t kill_readers_spanned(const struct kill_readers *readers)
{
    uint64_t spanned = 0;

    for (unsigned r = 0; r < KILL_READERS; r++)
        spanned += atomic_load(&readers->readers[r].spanned);
    return spanned;
}
