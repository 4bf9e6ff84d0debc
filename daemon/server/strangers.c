/* SPDX-License-Identifier: MIT */
/*
 * strangers: see strangers.h.
 */
#include "server/strangers.h"

#include "base/err.h"
#include "format/locks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Any txnid that is older than every state there can be now will do. */
#define STRANGERS_TXNID 1ull

/*
 * Whether somebody locks a generation in [from, to); *end gets the first one
 * behind his lock.  A system that cannot tell is taken to say yes.
 */
static bool strangers_find(int data_fd, uint64_t from, uint64_t to, uint64_t *end)
{
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)(LOCK_READERS + from),
                         .l_len = (off_t)(to - from)};

    *end = to;
    if (from >= to) {
        return false;
    }
    if (fcntl(data_fd, F_OFD_GETLK, &lock) != 0) {
        return true;
    }
    if (lock.l_type == F_UNLCK) {
        return false;
    }
    uint64_t start = (uint64_t)lock.l_start - LOCK_READERS;
    if (lock.l_len > 0 && start + (uint64_t)lock.l_len < to) {
        *end = start + (uint64_t)lock.l_len;
    }
    return true;
}

uint64_t strangers_free_generation(int data_fd, uint64_t above)
{
    uint64_t generation = above + 1;
    uint64_t end = 0;

    while (generation < LOCK_READERS_MAX - 1 &&
           strangers_find(data_fd, generation, generation + 1, &end)) {
        generation = end > generation ? end : generation + 1;
    }
    return generation < LOCK_READERS_MAX ? generation : LOCK_READERS_MAX - 1;
}

static bool strangers_are_there(const struct strangers *strangers)
{
    uint64_t end = 0;

    return strangers_find(strangers->data_fd, 0, strangers->generation, &end) ||
           strangers_find(strangers->data_fd, strangers->generation + 1, LOCK_READERS_MAX, &end);
}

enum bts_status strangers_open(struct strangers *strangers, int data_fd, uint64_t generation,
                               struct horizon *horizon, struct bts_error *error)
{
    *strangers = (struct strangers){
        .horizon = horizon, .data_fd = data_fd, .generation = generation};
    if (!strangers_are_there(strangers)) {
        return BTS_OK;
    }
    struct slot_file *file = aligned_alloc(64, sizeof(*file));
    if (file == NULL) {
        return err_set(error, BTS_NO_MEMORY, "readers: out of memory");
    }
    memset(file, 0, sizeof(*file));
    atomic_store_explicit(&file->slots[0].txn, STRANGERS_TXNID, memory_order_relaxed);
    atomic_store_explicit(&file->used, 1, memory_order_relaxed);
    enum bts_status status = horizon_add(horizon, file, &strangers->horizon_id, error);
    if (status != BTS_OK) {
        free(file);
        return status;
    }
    strangers->stand_in = file;
    return BTS_OK;
}

void strangers_close(struct strangers *strangers)
{
    if (strangers->stand_in != NULL) {
        horizon_remove(strangers->horizon, strangers->horizon_id);
        free(strangers->stand_in);
        strangers->stand_in = NULL;
    }
}

bool strangers_sweep(struct strangers *strangers)
{
    if (strangers->stand_in == NULL || strangers_are_there(strangers)) {
        return false;
    }
    strangers_close(strangers);
    return true;
}
