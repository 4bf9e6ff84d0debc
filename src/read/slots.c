/* SPDX-License-Identifier: MIT */
/*
 * slots: map the slot file, and find a slot when the nearest one is taken.
 */
#include "read/slots.h"

#include "base/barrier.h"
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS_SPREAD 8u /* far slots at which searches begin */

_Thread_local char slots_thread_mark;

/* Maps the file without looking at what it holds. */
static enum bts_status slots_map_file(int fd, struct slot_file **file, struct bts_error *error)
{
    struct stat stat;
    void *address;
    int refused;

    if (fstat(fd, &stat) != 0)
        return err_set_errno(error, BTS_IO, errno, "slot file: fstat");
    if (stat.st_size != (off_t)SLOT_FILE_SIZE)
        return err_set(error, BTS_VERSION, "slot file: %lld bytes, expected %u",
                       (long long)stat.st_size, SLOT_FILE_SIZE);
    address = mmap(NULL, SLOT_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED)
        return err_set_errno(error, BTS_IO, errno, "slot file: mmap");
    /* A child that kept the map would keep the lock, and the daemon would think us alive. */
    if (madvise(address, SLOT_FILE_SIZE, MADV_DONTFORK) != 0) {
        refused = errno;
        munmap(address, SLOT_FILE_SIZE);
        return err_set_errno(error, BTS_IO, refused, "slot file: madvise");
    }
    *file = address;
    return BTS_OK;
}

enum bts_status slots_map(struct slots *slots, int fd, struct bts_error *error)
{
    struct slot_file *file = NULL;
    enum bts_status status = slots_map_file(fd, &file, error);

    *slots = (struct slots){.owner = getpid()};
    close(fd);
    if (status != BTS_OK)
        return status;
    if (file->magic != SLOT_MAGIC || file->version != SLOT_VERSION) {
        status = err_set(error, BTS_VERSION, "slot file: magic %016llx, version %u, expected %u",
                         (unsigned long long)file->magic, file->version, SLOT_VERSION);
        munmap(file, SLOT_FILE_SIZE);
        return status;
    }
    slots->file = file;
    return BTS_OK;
}

void slots_unmap(struct slots *slots)
{
    /* In a fork child something else may lie at that address by now. */
    if (slots->file != NULL && slots->owner == getpid())
        munmap(slots->file, SLOT_FILE_SIZE);
    slots->file = NULL;
}

/* seq_cst: before the announcement in slot `index`, for a scan that loads `used` after that. */
static void slots_raise_used(struct slot_file *file, unsigned index)
{
    uint32_t used = atomic_load_explicit(&file->used, memory_order_relaxed);

    while (used <= index &&
           !atomic_compare_exchange_weak_explicit(&file->used, &used, index + 1,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
}

/* Claims near slot `index` if it is nobody's, and announces `t` there if it is ready then. */
static bool slots_take_near(struct slots *slots, unsigned index, txnid_t t)
{
    uintptr_t nobody = 0;

    slots_raise_used(slots->file, index);
    /* relaxed: whoever sees a claim that is not its own goes away */
    atomic_compare_exchange_strong_explicit(&slots->claims[index], &nobody, slots_thread(),
                                            memory_order_relaxed, memory_order_relaxed);
    if (!slots_is_ready(slots, index))
        return false;
    snapshot_announce(&slots->file->slots[index], t, slots->joined);
    return true;
}

/*
 * Announces `t` in far slot `index` if that is idle.  seq_cst: on success this
 * is the announcement that snapshot_pin makes with its exchange; acquire of it
 * pairs with the release in snapshot_unpin by the thread that had the slot.
 */
static bool slots_take_far(struct slots *slots, unsigned index, txnid_t t)
{
    struct slot *slot = &slots->file->slots[index];
    txnid_t idle = SLOT_IDLE;

    slots_raise_used(slots->file, index);
    return atomic_load_explicit(&slot->txn, memory_order_relaxed) == SLOT_IDLE &&
           atomic_compare_exchange_strong_explicit(&slot->txn, &idle, t, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

struct slot *slots_take(struct slots *slots, unsigned hint, txnid_t t)
{
    const unsigned far = SLOT_COUNT - SLOTS_NEAR;

    assert(t != SLOT_IDLE && hint < SLOTS_NEAR);
    if (slots_take_near(slots, hint, t))
        return &slots->file->slots[hint];
    for (unsigned i = 0; i < far; i++) {
        unsigned index = SLOTS_NEAR + (hint % SLOTS_SPREAD + i) % far;

        if (slots_take_far(slots, index, t))
            return &slots->file->slots[index];
    }
    for (unsigned i = 1; i < SLOTS_NEAR; i++) {
        unsigned index = (hint + i) % SLOTS_NEAR;

        if (slots_take_near(slots, index, t))
            return &slots->file->slots[index];
    }
    return NULL;
}

void slots_wait_begin(struct slots *slots)
{
    slots_raise_used(slots->file, 0);
    /* seq_cst: before the caller's second look at the wake word; pairs with publish_wake's fence */
    atomic_fetch_add_explicit(&slots->file->slots[0].wait, 1, memory_order_seq_cst);
}

void slots_wait_end(struct slots *slots)
{
    atomic_fetch_sub_explicit(&slots->file->slots[0].wait, 1, memory_order_release);
}

bool slots_idle(const struct slots *slots)
{
    /* What other threads announced without a fence; pairs with the loads after it. */
    if (slots->joined && !barrier_all())
        return false;
    for (unsigned i = 0; i < SLOT_COUNT; i++)
        /* acquire: pairs with the release in snapshot_unpin */
        if (atomic_load_explicit(&slots->file->slots[i].txn, memory_order_acquire) != SLOT_IDLE)
            return false;
    return true;
}
