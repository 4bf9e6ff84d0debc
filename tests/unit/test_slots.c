/* SPDX-License-Identifier: MIT */
/* slots: every snapshot has a slot of its own, and the file is as slot.h says. */
#include "read/slots.h"

#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct beacon beacon;
static struct slots slots;

static void advertise(txnid_t txnid)
{
    struct beacon_root *entry = &beacon.ring[txnid % BEACON_RING];

    atomic_store(&entry->txn, 0);
    atomic_store(&entry->root, (pgno_t)txnid * 10);
    atomic_store(&entry->depth, 3);
    atomic_store(&entry->txn, txnid);
    atomic_store(&beacon.latest, txnid);
}

/* A slot file of `size` bytes with this magic and version. */
static int make_file(size_t size, uint64_t magic, uint32_t version)
{
    int fd = memfd_create("slots", 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    if (size >= 12) {
        ck_assert_int_eq(pwrite(fd, &magic, 8, 0), 8);
        ck_assert_int_eq(pwrite(fd, &version, 4, 8), 4);
    }
    return fd;
}

static void map_slots(void)
{
    int fd = make_file(SLOT_FILE_SIZE, SLOT_MAGIC, SLOT_VERSION);

    ck_assert_int_eq(slots_map(&slots, fd, NULL), BTS_OK);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}

/* The used slots that are not idle; invariant: none beyond `used` is. */
static unsigned busy_count(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        bool busy = atomic_load(&slots.file->slots[i].txn) != SLOT_IDLE;

        if (busy && i >= atomic_load(&slots.file->used))
            ck_abort_msg("slot %u is in use", i);
        count += busy;
    }
    return count;
}

START_TEST(a_snapshot_takes_a_slot_and_gives_it_back)
{
    struct snapshot_root root;
    struct slot *slot;

    map_slots();
    advertise(7);
    slot = slots_pin(&slots, &beacon, &root);
    ck_assert_ptr_nonnull(slot);
    ck_assert_uint_eq(atomic_load(&slot->txn), 7);
    ck_assert_uint_eq(root.txnid, 7);
    ck_assert_uint_eq(root.root, 70);
    ck_assert_uint_eq(root.depth, 3);
    ck_assert_uint_eq(busy_count(), 1);
    ck_assert(!slots_idle(&slots));
    slots_unpin(slot);
    ck_assert(slots_idle(&slots));
    slots_unmap(&slots);
}
END_TEST

START_TEST(a_thread_finds_the_same_slot_each_time_within_the_first_page)
{
    struct snapshot_root root;
    struct slot *first;

    map_slots();
    advertise(1);
    first = slots_pin(&slots, &beacon, &root);
    slots_unpin(first);
    ck_assert_uint_le(atomic_load(&slots.file->used), SLOTS_NEAR);
    for (unsigned i = 0; i < 100; i++) {
        struct slot *slot = slots_pin(&slots, &beacon, &root);

        ck_assert_ptr_eq(slot, first);
        slots_unpin(slot);
    }
    slots_unmap(&slots);
}
END_TEST

START_TEST(all_slots_can_be_taken_and_then_none)
{
    static struct slot *taken[SLOT_COUNT];
    struct snapshot_root root;

    map_slots();
    advertise(3);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < SLOT_COUNT; i++) {
            taken[i] = slots_pin(&slots, &beacon, &root);
            ck_assert_ptr_nonnull(taken[i]);
            ck_assert_uint_eq(busy_count(), i + 1);
        }
        ck_assert_ptr_null(slots_pin(&slots, &beacon, &root));
        ck_assert_uint_eq(root.txnid, 3);
        slots_unpin(taken[500]);
        ck_assert_ptr_eq(slots_pin(&slots, &beacon, &root), taken[500]);
        for (unsigned i = 0; i < SLOT_COUNT; i++)
            slots_unpin(taken[i]);
        ck_assert(slots_idle(&slots));
    }
    slots_unmap(&slots);
}
END_TEST

START_TEST(before_the_first_publish_there_is_nothing_to_pin)
{
    struct snapshot_root root = {1, 1, 1};

    map_slots();
    memset(&beacon, 0, sizeof(beacon));
    ck_assert_ptr_null(slots_pin(&slots, &beacon, &root));
    ck_assert_uint_eq(root.txnid, 0);
    ck_assert_uint_eq(atomic_load(&slots.file->used), 0);
    slots_unmap(&slots);
}
END_TEST

START_TEST(waiting_is_counted_in_slot_0)
{
    map_slots();
    slots_wait_begin(&slots);
    slots_wait_begin(&slots);
    ck_assert_uint_eq(atomic_load(&slots.file->used), 1);
    ck_assert_uint_eq(atomic_load(&slots.file->slots[0].wait), 2);
    slots_wait_end(&slots);
    ck_assert_uint_eq(atomic_load(&slots.file->slots[0].wait), 1);
    slots_wait_end(&slots);
    ck_assert_uint_eq(atomic_load(&slots.file->slots[0].wait), 0);
    slots_unmap(&slots);
}
END_TEST

static void assert_refused(int fd, enum bts_status status)
{
    struct bts_error error = {BTS_OK, ""};

    ck_assert_int_eq(slots_map(&slots, fd, &error), status);
    ck_assert_int_eq(error.status, status);
    ck_assert_ptr_null(slots.file);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}

START_TEST(a_file_of_another_size_or_version_is_refused_and_closed)
{
    int ends[2];

    assert_refused(make_file(SLOT_FILE_SIZE, SLOT_MAGIC, SLOT_VERSION + 1), BTS_VERSION);
    assert_refused(make_file(SLOT_FILE_SIZE, SLOT_MAGIC + 1, SLOT_VERSION), BTS_VERSION);
    assert_refused(make_file(0, 0, 0), BTS_VERSION);
    assert_refused(make_file(SLOT_FILE_SIZE - 1, SLOT_MAGIC, SLOT_VERSION), BTS_VERSION);
    assert_refused(make_file(SLOT_FILE_SIZE * 2, SLOT_MAGIC, SLOT_VERSION), BTS_VERSION);
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[1]);
    assert_refused(ends[0], BTS_VERSION);
    slots_unmap(&slots);
}
END_TEST

/* Whether a write lock is held on the file through another description than `probe`. */
static bool is_locked(int probe)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    ck_assert_int_eq(fcntl(probe, F_OFD_GETLK, &lock), 0);
    return lock.l_type != F_UNLCK;
}

START_TEST(the_lock_of_the_description_lives_as_long_as_the_map)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = make_file(SLOT_FILE_SIZE, SLOT_MAGIC, SLOT_VERSION);
    char path[64];
    int probe;
    pid_t child;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    probe = open(path, O_RDWR);
    ck_assert_int_ge(probe, 0);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    ck_assert_int_eq(slots_map(&slots, fd, NULL), BTS_OK);
    ck_assert(is_locked(probe));
    child = fork();
    if (child == 0) {
        slots_unmap(&slots);
        pause();
        _exit(0);
    }
    ck_assert(is_locked(probe));
    slots_unmap(&slots);
    ck_assert(!is_locked(probe));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    close(probe);
}
END_TEST

/* Whether there is a mapping at `address`. */
static bool is_mapped(void *address)
{
    unsigned char vector;

    return mincore(address, 4096, &vector) == 0;
}

START_TEST(a_fork_child_has_no_slots_and_unmapping_there_harms_nobody)
{
    void *base;
    int status;
    pid_t child;

    map_slots();
    base = slots.file;
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (is_mapped(base))
            _exit(1);
        /* Something else has come to lie there: slots_unmap must leave it alone. */
        if (mmap(base, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != base)
            _exit(2);
        slots_unmap(&slots);
        _exit(is_mapped(base) && slots.file == NULL ? 0 : 3);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(busy_count(), 0);
    slots_unmap(&slots);
}
END_TEST

#define THREADS 8u
#define RUN_MS 500u
#define HELD_MAX 5u

/* Owners by slot: two threads in one slot would meet here. */
static _Atomic unsigned owners[SLOT_COUNT];
static _Atomic unsigned meetings;
static _Atomic bool stop;

static void enter(const struct slot *slot, bool is_right)
{
    if (!is_right || atomic_fetch_add(&owners[slot - slots.file->slots], 1) != 0)
        atomic_fetch_add(&meetings, 1);
}

static void leave(struct slot *slot)
{
    atomic_fetch_sub(&owners[slot - slots.file->slots], 1);
    slots_unpin(slot);
}

static void *pin_and_unpin(void *argument)
{
    unsigned held_max = 1 + (unsigned)(uintptr_t)argument % HELD_MAX;
    struct slot *held[HELD_MAX];

    while (!atomic_load(&stop)) {
        for (unsigned i = 0; i < held_max; i++) {
            struct snapshot_root root;

            held[i] = slots_pin(&slots, &beacon, &root);
            enter(held[i], atomic_load(&held[i]->txn) == root.txnid &&
                               root.root == (pgno_t)root.txnid * 10 && root.depth == 3);
        }
        for (unsigned i = 0; i < held_max; i++)
            leave(held[i]);
    }
    return NULL;
}

/* All threads begin at the same slot. */
static void *take_and_unpin(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop)) {
        struct slot *slot = slots_take(&slots, 0, 1);

        enter(slot, atomic_load(&slot->txn) == 1);
        for (volatile unsigned i = 0; i < 50; i++) {
        }
        leave(slot);
    }
    return NULL;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void run_threads(void *(*body)(void *), bool publish)
{
    pthread_t threads[THREADS];
    uint64_t begun = now_ms();
    txnid_t next = 2;

    map_slots();
    advertise(1);
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, body, (void *)i), 0);
    while (now_ms() - begun < RUN_MS) {
        if (publish)
            advertise(next++);
        else
            usleep(1000);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(meetings, 0);
    ck_assert(slots_idle(&slots));
    slots_unmap(&slots);
}

START_TEST(no_two_threads_hold_one_slot)
{
    run_threads(take_and_unpin, false);
}
END_TEST

START_TEST(each_thread_has_a_whole_snapshot_while_states_are_published)
{
    run_threads(pin_and_unpin, true);
}
END_TEST

int main(void)
{
    return UNIT_RUN("slots", a_snapshot_takes_a_slot_and_gives_it_back,
                    a_thread_finds_the_same_slot_each_time_within_the_first_page,
                    all_slots_can_be_taken_and_then_none,
                    before_the_first_publish_there_is_nothing_to_pin,
                    waiting_is_counted_in_slot_0,
                    a_file_of_another_size_or_version_is_refused_and_closed,
                    the_lock_of_the_description_lives_as_long_as_the_map,
                    a_fork_child_has_no_slots_and_unmapping_there_harms_nobody,
                    no_two_threads_hold_one_slot,
                    each_thread_has_a_whole_snapshot_while_states_are_published);
}
