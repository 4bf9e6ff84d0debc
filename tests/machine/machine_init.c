/* SPDX-License-Identifier: MIT */
/*
 * machine_init: process 1 of the machine under test.
 *
 * The kernel's command line says what it is to do (see check_machine):
 *
 *   cut     recovers and verifies what the last cut left, then runs the load
 *           until the host pulls the plug
 *   record  runs a load on a file system that lies on dm-log-writes
 *   replay  brings back every state of such a log, and verifies it
 *
 * It tells the host how it went in lines "@ ..." on the console, and switches
 * the machine off.  It is not meant to run anywhere else.
 */
#include "../process/harness.h"
#include "block.h"
#include "guest.h"
#include "load.h"
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define DATA_DEVICE "/dev/ubda"
#define LOG_DEVICE "/dev/ubdb"
#define SCRATCH_DEVICE "/dev/ram0"
#define LOGGED "logged"

/* ---- cut ---------------------------------------------------------------------------- */

/*
 * The volatile cache of a drive is the page cache of DATA_DEVICE, and this is
 * the drive that empties it as it likes: any range, in any order.
 */
static int destage(void *argument)
{
    const struct guest *guest = argument;
    uint64_t size = block_sectors(DATA_DEVICE) * BLOCK_SECTOR;
    uint64_t random = guest->seed * 2 + 1;
    int fd = open(DATA_DEVICE, O_RDWR | O_CLOEXEC);

    HARNESS_CHECK(fd >= 0, "%s: %s", DATA_DEVICE, strerror(errno));
    for (;;) {
        uint64_t length = 4096u << harness_random(&random) % 11;

        harness_sleep_us(harness_random(&random) % 4000);
        sync_file_range(fd, (off_t)(harness_random(&random) % size), (off_t)length,
                        SYNC_FILE_RANGE_WRITE);
    }
}

static int run_cut(void *argument)
{
    const struct guest *guest = argument;
    char device[BLOCK_PATH_MAX] = DATA_DEVICE;
    uint64_t acknowledged[WORKLOAD_WRITERS];
    uint64_t found[WORKLOAD_WRITERS];
    enum workload_verdict verdict;

    if (guest->volatile_cache) {
        block_load_module("drivers/block/loop", "max_loop=1");
        block_loop(DATA_DEVICE, device);
    }
    guest_mount_store(guest, device);
    for (unsigned w = 0; w < WORKLOAD_WRITERS; w++)
        acknowledged[w] = guest_acknowledged(w);
    verdict = guest_recover(acknowledged, found);
    guest_say("verified %s %" PRIu64 " %" PRIu64 " %" PRIu64, workload_verdict_name(verdict),
              found[0], found[1], found[2]);
    if (verdict != WORKLOAD_SOUND || guest->count == 0) {
        guest_unmount_store();
        return 0;
    }
    for (unsigned w = 0; w < WORKLOAD_WRITERS; w++)
        guest_acknowledge(w, found[w]);
    if (guest->volatile_cache)
        harness_spawn(destage, (void *)(uintptr_t)guest);
    harness_start(guest_harness(), "--log-size", WORKLOAD_LOG_SIZE, NULL);
    load_start(found, 0, NULL);
    guest_say("loading");
    load_join();
    return 1; /* the load has no end but the machine's */
}

/* ---- record ------------------------------------------------------------------------- */

/* The daemon's life in the log: created, loaded, killed, recovered, loaded, stopped. */
static int run_record(void *argument)
{
    const struct guest *guest = argument;
    const uint64_t none[WORKLOAD_WRITERS] = {0};
    char device[BLOCK_PATH_MAX];
    uint64_t half[WORKLOAD_WRITERS];
    uint64_t found[WORKLOAD_WRITERS];

    block_load_module("drivers/md/dm-mod", "");
    block_load_module("drivers/md/dm-log-writes", "");
    block_map(LOGGED, block_sectors(DATA_DEVICE), "log-writes", DATA_DEVICE " " LOG_DEVICE, device);
    guest_mount_store(guest, device);
    for (unsigned w = 0; w < WORKLOAD_WRITERS; w++)
        half[w] = guest->count / 2;
    harness_start(guest_harness(), "--log-size", WORKLOAD_LOG_SIZE, NULL);
    load_start(none, guest->count / 2, LOGGED);
    load_join();
    harness_kill(guest_harness());
    if (guest_recover(half, found) != WORKLOAD_SOUND || memcmp(half, found, sizeof half) != 0)
        return 1;
    harness_start(guest_harness(), "--log-size", WORKLOAD_LOG_SIZE, NULL);
    load_start(half, guest->count, LOGGED);
    load_join();
    harness_stop(guest_harness());
    guest_unmount_store();
    block_unmap(LOGGED); /* writes the head of the log */
    guest_say("recorded");
    return 0;
}

/* ---- replay ------------------------------------------------------------------------- */

static int run_replay(void *argument)
{
    const struct guest *guest = argument;

    block_load_module("drivers/block/brd", "rd_nr=1 rd_size=131072");
    block_load_module("drivers/md/dm-mod", "");
    block_load_module("drivers/md/dm-bufio", "");
    block_load_module("drivers/md/dm-snapshot", "");
    replay_run(guest, LOG_DEVICE, DATA_DEVICE, SCRATCH_DEVICE);
    return 0;
}

/* ------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(void *argument);
} jobs[] = {{"cut", run_cut}, {"record", run_record}, {"replay", run_replay}};

int main(void)
{
    struct guest guest;
    int status = 127;

    if (getpid() != 1) {
        fprintf(stderr, "machine_init: started by check_machine inside User-Mode Linux only\n");
        return 2;
    }
    guest_init(&guest);
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        if (strcmp(guest.job, jobs[i].name) == 0)
            guest_run(jobs[i].run, &guest, &status);
    }
    guest_say("ended %d", status);
    guest_halt();
}
