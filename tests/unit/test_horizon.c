/* SPDX-License-Identifier: MIT */
/*
 * test_horizon: what a scan sees, and that no reader can harm it.
 */
#include "unit.h"

#include "base/barrier.h"
#include "pages/horizon.h"
#include "read/snapshot.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct beacon beacon;
static struct horizon horizon;

/* Instead of the system's barrier: what it makes visible, and what comes at that time. */
static unsigned barriers;
static bool barrier_is_refused;
static struct slot_file *barrier_file;

bool barrier_all(void)
{
    barriers++;
    if (barrier_file != NULL) {
        atomic_store(&barrier_file->slots[0].txn, 40);
        atomic_store(&beacon.latest, 51);
    }
    errno = ENOMEM;
    return !barrier_is_refused;
}

bool barrier_join(void)
{
    return true;
}

static void setup_at(txnid_t latest)
{
    ck_assert_int_eq(horizon_init(&horizon, NULL), BTS_OK);
    atomic_store(&beacon.latest, latest);
    atomic_store(&beacon.ring[latest % BEACON_RING].txn, latest);
}

static void scan(void)
{
    ck_assert_int_eq(horizon_scan(&horizon, &beacon, NULL), BTS_OK);
}

/* A slot file as a reader has it: `fd` stays open so that the test can cut it short. */
static struct slot_file *reader_file(int *fd)
{
    struct slot_file *file;

    *fd = memfd_create("slots", 0);
    ck_assert_int_ge(*fd, 0);
    ck_assert_int_eq(ftruncate(*fd, SLOT_FILE_SIZE), 0);
    file = mmap(NULL, SLOT_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    ck_assert_ptr_ne(file, MAP_FAILED);
    return file;
}

static void announce(struct slot_file *file, unsigned index, txnid_t txnid)
{
    if (atomic_load(&file->used) <= index)
        atomic_store(&file->used, index + 1);
    atomic_store(&file->slots[index].txn, txnid);
}

START_TEST(an_idle_store_has_nothing_pinned)
{
    setup_at(7);
    scan();
    ck_assert_uint_eq(horizon.latest, 7);
    ck_assert_uint_eq(horizon.pinned_count, 0);
    ck_assert_uint_eq(horizon_oldest(&horizon), 7);
    horizon_fini(&horizon);
}
END_TEST

START_TEST(snapshots_of_all_readers_are_seen_once_and_in_order)
{
    int fds[3];
    struct slot_file *files[3];
    size_t ids[3];

    setup_at(100);
    for (int i = 0; i < 3; i++) {
        files[i] = reader_file(&fds[i]);
        ck_assert_int_eq(horizon_add(&horizon, files[i], &ids[i], NULL), BTS_OK);
    }
    announce(files[0], 0, 90);
    announce(files[1], 5, 40);
    announce(files[2], 1000, 90);
    announce(files[2], 1001, 70);
    scan();
    ck_assert_uint_eq(horizon.pinned_count, 3);
    ck_assert_uint_eq(horizon.pinned[0], 40);
    ck_assert_uint_eq(horizon.pinned[1], 70);
    ck_assert_uint_eq(horizon.pinned[2], 90);
    ck_assert(horizon_pins(&horizon, 30, 41) && horizon_pins(&horizon, 41, 71));
    ck_assert(!horizon_pins(&horizon, 41, 70) && !horizon_pins(&horizon, 91, 100));
    ck_assert_uint_eq(horizon.readers[ids[2]].snapshot_count, 2);
    ck_assert_uint_eq(horizon.readers[ids[2]].oldest, 70);
    horizon_remove(&horizon, ids[1]);
    scan();
    ck_assert_uint_eq(horizon_oldest(&horizon), 70);
    horizon_fini(&horizon);
}
END_TEST

START_TEST(a_reader_that_cuts_its_file_short_is_broken_and_kills_nobody)
{
    int fds[2];
    size_t ids[2];
    struct slot_file *cut = reader_file(&fds[0]);
    struct slot_file *sound = reader_file(&fds[1]);

    setup_at(50);
    ck_assert_int_eq(horizon_add(&horizon, cut, &ids[0], NULL), BTS_OK);
    ck_assert_int_eq(horizon_add(&horizon, sound, &ids[1], NULL), BTS_OK);
    announce(cut, 100, 20);
    announce(sound, 0, 30);
    ck_assert_int_eq(ftruncate(fds[0], 4096), 0);
    scan();
    ck_assert(horizon.readers[ids[0]].broken);
    ck_assert(!horizon.readers[ids[1]].broken);
    ck_assert_int_eq(ftruncate(fds[0], 0), 0);
    scan();
    scan();
    ck_assert_uint_eq(horizon_oldest(&horizon), 30);
    horizon_fini(&horizon);
}
END_TEST

START_TEST(a_snapshot_from_the_future_marks_its_reader_broken)
{
    int fd;
    size_t id;
    struct slot_file *file = reader_file(&fd);

    setup_at(50);
    ck_assert_int_eq(horizon_add(&horizon, file, &id, NULL), BTS_OK);
    announce(file, 0, 51);
    announce(file, 1, 44);
    atomic_store(&file->used, 0xffffffffu);
    scan();
    ck_assert(horizon.readers[id].broken);
    ck_assert_uint_eq(horizon.pinned_count, 1);
    ck_assert_uint_eq(horizon_oldest(&horizon), 44);
    horizon_fini(&horizon);
}
END_TEST

START_TEST(own_slots_pin_like_any_other)
{
    struct slot *first;
    struct slot *second;

    setup_at(9);
    first = horizon_own_slot(&horizon);
    ck_assert_uint_eq(snapshot_pin(&beacon, first).txnid, 9);
    second = horizon_own_slot(&horizon);
    ck_assert_ptr_ne(first, second);
    scan();
    ck_assert_uint_eq(horizon.pinned_count, 1);
    snapshot_unpin(first);
    scan();
    ck_assert_uint_eq(horizon.pinned_count, 0);
    horizon_fini(&horizon);
}
END_TEST

START_TEST(a_scan_has_a_barrier_made_after_latest_and_before_the_slots)
{
    int fd;
    size_t id;
    struct slot_file *file = reader_file(&fd);

    setup_at(50);
    beacon.barriers = 1;
    scan(); /* nobody could need one */
    ck_assert_uint_eq(barriers, 0);
    ck_assert_int_eq(horizon_add(&horizon, file, &id, NULL), BTS_OK);
    atomic_store(&file->used, 1);
    barrier_file = file;
    scan();
    ck_assert_uint_eq(barriers, 1);
    ck_assert_uint_eq(horizon.latest, 50);
    ck_assert_uint_eq(horizon.pinned_count, 1);
    ck_assert_uint_eq(horizon_oldest(&horizon), 40);
    barrier_file = NULL;
    horizon_fini(&horizon);
}
END_TEST

START_TEST(a_scan_without_its_barrier_says_nothing)
{
    int fd;
    size_t id;
    struct bts_error error;

    setup_at(50);
    beacon.barriers = 1;
    ck_assert_int_eq(horizon_add(&horizon, reader_file(&fd), &id, NULL), BTS_OK);
    barrier_is_refused = true;
    ck_assert_int_eq(horizon_scan(&horizon, &beacon, &error), BTS_IO);
    ck_assert_ptr_nonnull(strstr(error.text, "barrier"));
    beacon.barriers = 0; /* nobody joined */
    scan();
    ck_assert_uint_eq(barriers, 1);
    horizon_fini(&horizon);
}
END_TEST

int main(void)
{
    return UNIT_RUN("horizon", an_idle_store_has_nothing_pinned,
                    snapshots_of_all_readers_are_seen_once_and_in_order,
                    a_reader_that_cuts_its_file_short_is_broken_and_kills_nobody,
                    a_snapshot_from_the_future_marks_its_reader_broken,
                    own_slots_pin_like_any_other,
                    a_scan_has_a_barrier_made_after_latest_and_before_the_slots,
                    a_scan_without_its_barrier_says_nothing);
}
