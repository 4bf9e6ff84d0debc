/* SPDX-License-Identifier: MIT */
/* load: see load.h. */
#include "load.h"

#include "../process/harness.h"
#include "block.h"
#include "guest.h"
#include "log_writes.h"

#include <inttypes.h>

#define CHECKPOINT_EVERY 5u /* by the first writer, while the others go on */

struct task {
    unsigned writer;
    uint64_t first;
    uint64_t last;
    const char *marked;
};

static struct task tasks[WORKLOAD_WRITERS];
static pid_t pids[WORKLOAD_WRITERS];

void load_mark(char *mark, unsigned writer, uint64_t sequence)
{
    snprintf(mark, LOG_WRITES_MARK_MAX, "acknowledged:%u:%" PRIu64, writer, sequence);
}

bool load_note_mark(const char *mark, uint64_t acknowledged[WORKLOAD_WRITERS])
{
    unsigned writer;
    uint64_t sequence;

    if (sscanf(mark, "acknowledged:%u:%" SCNu64, &writer, &sequence) != 2 ||
        writer >= WORKLOAD_WRITERS)
        return false;
    acknowledged[writer] = sequence;
    return true;
}

static void tell(const struct task *task, uint64_t sequence)
{
    char message[LOG_WRITES_MARK_MAX + 8] = "mark ";

    if (task->marked == NULL) {
        guest_acknowledge(task->writer, sequence);
        return;
    }
    load_mark(message + 5, task->writer, sequence);
    block_message(task->marked, message);
}

static int write_all(void *argument)
{
    const struct task *task = argument;
    struct bts_store *store = harness_open(guest_harness());
    struct bts_batch *batch;
    struct bts_error error;

    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    for (uint64_t s = task->first; task->last == 0 || s <= task->last; s++) {
        workload_fill(batch, task->writer, s);
        HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
        tell(task, s);
        if (task->writer == 0 && s % CHECKPOINT_EVERY == 0)
            HARNESS_OK(bts_store_checkpoint(store, NULL, &error), &error);
    }
    bts_batch_destroy(batch);
    bts_store_close(store);
    return 0;
}

void load_start(const uint64_t done[WORKLOAD_WRITERS], uint64_t last, const char *marked)
{
    for (unsigned w = 0; w < WORKLOAD_WRITERS; w++) {
        tasks[w] = (struct task){w, done[w] + 1, last, marked};
        pids[w] = harness_spawn(write_all, &tasks[w]);
    }
}

void load_join(void)
{
    for (unsigned w = 0; w < WORKLOAD_WRITERS; w++)
        harness_join(pids[w], "writer");
}
