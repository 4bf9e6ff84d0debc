/* SPDX-License-Identifier: MIT */
/* replay: see replay.h. */
#include "replay.h"

#include "../process/harness.h"
#include "block.h"
#include "load.h"
#include "log_writes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define SUPERBLOCKS_SIZE (128u << 10) /* they lie at most so far from the device's start */
#define SNAPSHOT "state"
#define UNSOUND_MAX 20u /* more are not looked for */

/* How a group of writes that one flush is for is thinned out. */
enum choice {
    CHOICE_NONE,
    CHOICE_TORN_BARRIER,
    CHOICE_HALF,
    CHOICE_ALL_BUT_ONE,
    CHOICE_ONE,
    CHOICES,
};

struct replay {
    const struct guest *guest;
    struct log_writes log;
    const char *base;
    const char *scratch;
    uint64_t sectors;
    int base_fd;
    uint64_t random;
    uint64_t extra;       /* states at a flush beside CHOICE_NONE */
    size_t group_first;   /* writes [group_first, barrier) are not durable */
    bool changed;         /* the base has changed since it was last checked */
    uint64_t acknowledged[WORKLOAD_WRITERS];
    uint64_t number;      /* of the state, over all parts */
    uint64_t flush_count;
    unsigned unsound;
    uint64_t verdicts[WORKLOAD_VERDICTS];
};

/* ---- one state ---------------------------------------------------------------------- */

static const struct log_entry *entry_at(const struct replay *replay, size_t index)
{
    return &replay->log.entries[index];
}

/* File systems trust that these are written as a whole. */
static bool is_never_torn(const struct log_entry *entry)
{
    return (entry->flags & LOG_WRITES_METADATA) != 0 || entry->offset < SUPERBLOCKS_SIZE;
}

/* Writes the entry, or if it may be torn, sometimes only a part of it. */
static void apply_torn(struct replay *replay, const struct log_entry *entry, bool always, int fd)
{
    uint64_t sectors = entry->size / BLOCK_SECTOR;
    uint64_t cut = sectors > 1 ? 1 + harness_random(&replay->random) % (sectors - 1) : 0;
    bool whole = cut == 0 || is_never_torn(entry) ||
                 (!always && harness_random(&replay->random) % 4 != 0);

    if (whole)
        log_writes_apply(&replay->log, entry, 0, entry->size, fd);
    else if (harness_random(&replay->random) % 2 == 0)
        log_writes_apply(&replay->log, entry, 0, cut * BLOCK_SECTOR, fd);
    else
        log_writes_apply(&replay->log, entry, cut * BLOCK_SECTOR, entry->size, fd);
}

static size_t group_count(const struct replay *replay, size_t barrier)
{
    size_t count = 0;

    for (size_t i = replay->group_first; i < barrier; i++)
        count += log_entry_writes(entry_at(replay, i));
    return count;
}

/* Puts the chosen part of what is not durable onto the snapshot. */
static void apply_choice(struct replay *replay, size_t barrier, enum choice choice, int fd)
{
    size_t count = group_count(replay, barrier);
    size_t special = count > 0 ? harness_random(&replay->random) % count : 0;
    size_t n = 0;

    for (size_t i = replay->group_first; i < barrier; i++) {
        const struct log_entry *entry = entry_at(replay, i);
        bool kept;

        if (!log_entry_writes(entry))
            continue;
        kept = choice == CHOICE_TORN_BARRIER ||
               (choice == CHOICE_HALF && harness_random(&replay->random) % 2 == 0) ||
               (choice == CHOICE_ALL_BUT_ONE && n != special) ||
               (choice == CHOICE_ONE && n == special);
        n++;
        if (kept && choice == CHOICE_TORN_BARRIER)
            log_writes_apply(&replay->log, entry, 0, entry->size, fd);
        else if (kept)
            apply_torn(replay, entry, false, fd);
    }
    if (choice == CHOICE_TORN_BARRIER)
        apply_torn(replay, entry_at(replay, barrier), true, fd);
}

struct state {
    const struct replay *replay;
    const char *device;
};

/* In a child: its exit status is the verdict, or 1 if it fails half way. */
static int check_state(void *argument)
{
    const struct state *state = argument;
    uint64_t found[WORKLOAD_WRITERS];
    enum workload_verdict verdict;

    guest_mount_store(state->replay->guest, state->device);
    verdict = guest_recover(state->replay->acknowledged, found);
    return verdict == WORKLOAD_SOUND ? 0 : 10 + (int)verdict;
}

static void judge(struct replay *replay, const char *device, size_t barrier, enum choice choice)
{
    struct state state = {replay, device};
    enum workload_verdict verdict = WORKLOAD_SOUND;
    int status;

    if (!guest_run(check_state, &state, &status))
        verdict = status > 10 && status < 10 + (int)WORKLOAD_VERDICTS
                      ? (enum workload_verdict)(status - 10)
                      : WORKLOAD_REFUSED;
    guest_unmount_store();
    replay->verdicts[verdict]++;
    replay->unsound += verdict != WORKLOAD_SOUND;
    if (verdict != WORKLOAD_SOUND)
        printf("state %" PRIu64 ", at entry %zu, choice %d: %s\n", replay->number, barrier,
               (int)choice, workload_verdict_name(verdict));
}

/* Makes one state and checks it, if it is this part's. */
static void try_state(struct replay *replay, size_t barrier, enum choice choice)
{
    char parameters[2 * BLOCK_PATH_MAX + 16];
    char device[BLOCK_PATH_MAX];
    int fd;

    if (replay->unsound >= UNSOUND_MAX ||
        replay->number++ % replay->guest->part_count != replay->guest->part)
        return;
    HARNESS_CHECK(fsync(replay->base_fd) == 0, "%s: %s", replay->base, strerror(errno));
    snprintf(parameters, sizeof parameters, "%s %s N 8", replay->base, replay->scratch);
    block_map(SNAPSHOT, replay->sectors, "snapshot", parameters, device);
    if (choice != CHOICE_NONE) {
        fd = open(device, O_RDWR | O_CLOEXEC);
        HARNESS_CHECK(fd >= 0, "%s: %s", device, strerror(errno));
        apply_choice(replay, barrier, choice, fd);
        HARNESS_CHECK(fsync(fd) == 0 && close(fd) == 0, "%s: %s", device, strerror(errno));
    }
    judge(replay, device, barrier, choice);
    block_unmap(SNAPSHOT);
}

/* ---- all of them -------------------------------------------------------------------- */

/* The states right before the barrier; the log's end counts as one that carries nothing. */
static void try_states_at(struct replay *replay, size_t barrier)
{
    bool carries = barrier < replay->log.entry_count && log_entry_writes(entry_at(replay, barrier));
    size_t count = group_count(replay, barrier);

    replay->random = replay->guest->seed + 0x9e3779b97f4a7c15u * (barrier + 1);
    if (count == 0 && !carries)
        return; /* nothing happens here: the next one sees the same, with more acknowledged */
    replay->flush_count++;
    if (replay->changed)
        try_state(replay, barrier, CHOICE_NONE);
    replay->changed = false;
    for (uint64_t i = 0; i < replay->extra; i++) {
        enum choice choice = CHOICE_HALF + (enum choice)(i % (CHOICES - CHOICE_HALF));

        if (carries && (count == 0 || i % 4 == 3))
            choice = CHOICE_TORN_BARRIER;
        if (count == 1 && choice == CHOICE_ALL_BUT_ONE)
            continue; /* none */
        try_state(replay, barrier, choice);
        if (count == 0)
            break; /* one torn state of a single write is enough */
    }
}

static void make_durable(struct replay *replay, size_t barrier)
{
    for (size_t i = replay->group_first; i <= barrier && i < replay->log.entry_count; i++) {
        const struct log_entry *entry = entry_at(replay, i);

        if (!log_entry_writes(entry))
            continue;
        log_writes_apply(&replay->log, entry, 0, entry->size, replay->base_fd);
        replay->changed = true;
    }
    replay->group_first = barrier + 1;
}

/* How many states beside the bare ones each flush gets within the budget. */
static uint64_t extra_states(const struct log_writes *log, uint64_t budget)
{
    uint64_t barriers = 0;
    bool writes = false;

    for (size_t i = 0; i < log->entry_count; i++) {
        writes |= log_entry_writes(&log->entries[i]);
        if (log_entry_is_barrier(&log->entries[i]) && writes) {
            barriers++;
            writes = false;
        }
    }
    return barriers == 0 || budget <= 2 * barriers ? 1 : budget / barriers - 1;
}

void replay_run(const struct guest *guest, const char *log, const char *base, const char *scratch)
{
    struct replay replay = {.guest = guest, .base = base, .scratch = scratch, .changed = true};

    log_writes_open(&replay.log, log);
    replay.sectors = block_sectors(base);
    replay.base_fd = open(base, O_RDWR | O_CLOEXEC);
    HARNESS_CHECK(replay.base_fd >= 0, "%s: %s", base, strerror(errno));
    replay.extra = extra_states(&replay.log, guest->count);
    for (size_t i = 0; i < replay.log.entry_count; i++) {
        const struct log_entry *entry = entry_at(&replay, i);

        if (entry->flags & LOG_WRITES_MARK)
            load_note_mark(entry->mark, replay.acknowledged);
        if (!log_entry_is_barrier(entry))
            continue;
        try_states_at(&replay, i);
        make_durable(&replay, i);
    }
    replay.flush_count++;
    try_state(&replay, replay.log.entry_count, CHOICE_NONE);
    guest_say("replayed %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
              replay.flush_count,
              replay.verdicts[0] + replay.verdicts[1] + replay.verdicts[2] + replay.verdicts[3] +
                  replay.verdicts[4],
              replay.verdicts[WORKLOAD_LOST], replay.verdicts[WORKLOAD_HOLE],
              replay.verdicts[WORKLOAD_LEAKED], replay.verdicts[WORKLOAD_REFUSED]);
    close(replay.base_fd);
    log_writes_close(&replay.log);
}
