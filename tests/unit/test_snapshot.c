/* SPDX-License-Identifier: MIT */
/* snapshot: a pin shows the newest state, whole, whatever is published meanwhile. */
#include "read/snapshot.h"

#include "unit.h"

#include <pthread.h>
#include <string.h>

static struct beacon beacon;
static struct slot slots[4];

/* What publish does, for a beacon of this process. */
static void advertise(txnid_t txnid)
{
    struct beacon_root *entry = &beacon.ring[txnid % BEACON_RING];

    atomic_store_explicit(&entry->txn, 0, memory_order_seq_cst);
    atomic_store_explicit(&entry->root, (pgno_t)txnid * 3, memory_order_release);
    atomic_store_explicit(&entry->depth, (uint32_t)txnid * 5, memory_order_release);
    atomic_store_explicit(&entry->txn, txnid, memory_order_release);
    atomic_store_explicit(&beacon.latest, txnid, memory_order_seq_cst);
}

static bool is_whole(const struct snapshot_root *root)
{
    return root->root == (pgno_t)root->txnid * 3 && root->depth == (uint32_t)root->txnid * 5;
}

START_TEST(a_pin_shows_the_newest_state_and_announces_it)
{
    for (txnid_t t = 1; t < 3 * BEACON_RING; t++) {
        struct snapshot_root root;

        advertise(t);
        root = snapshot_pin(&beacon, &slots[0]);
        ck_assert_uint_eq(root.txnid, t);
        ck_assert(is_whole(&root));
        ck_assert_uint_eq(atomic_load(&slots[0].txn), t);
        if (t % 2 == 0)
            snapshot_unpin(&slots[0]);
    }
    snapshot_unpin(&slots[0]);
    ck_assert_uint_eq(atomic_load(&slots[0].txn), SLOT_IDLE);
}
END_TEST

START_TEST(before_the_first_publish_a_slot_stays_idle)
{
    struct snapshot_root root;

    memset(&beacon, 0, sizeof(beacon));
    root = snapshot_pin(&beacon, &slots[0]);
    ck_assert_uint_eq(root.txnid, 0);
    ck_assert_uint_eq(atomic_load(&slots[0].txn), SLOT_IDLE);
}
END_TEST

START_TEST(an_announcement_that_was_overtaken_does_not_hold)
{
    struct snapshot_root root;

    advertise(10);
    ck_assert(snapshot_confirm(&beacon, 10, &root));
    ck_assert(is_whole(&root));
    advertise(11);
    ck_assert(!snapshot_confirm(&beacon, 10, &root));
    ck_assert(snapshot_confirm(&beacon, 11, &root));
}
END_TEST

START_TEST(a_ring_entry_that_is_being_rewritten_does_not_hold)
{
    struct snapshot_root root;

    advertise(10);
    atomic_store(&beacon.ring[10].txn, 0);
    ck_assert(!snapshot_confirm(&beacon, 10, &root));
    atomic_store(&beacon.ring[10].txn, 10 + BEACON_RING);
    ck_assert(!snapshot_confirm(&beacon, 10, &root));
}
END_TEST

#define ROUNDS 100000u

static _Atomic unsigned torn;
static _Atomic unsigned backwards;
static _Atomic bool finished;

static void *pin_all_the_time(void *argument)
{
    struct slot *slot = argument;
    txnid_t newest = 0;

    while (!atomic_load(&finished)) {
        struct snapshot_root root = snapshot_pin(&beacon, slot);

        if (!is_whole(&root))
            atomic_fetch_add(&torn, 1);
        if (root.txnid < newest)
            atomic_fetch_add(&backwards, 1);
        newest = root.txnid;
        snapshot_unpin(slot);
    }
    return NULL;
}

START_TEST(pins_are_whole_and_never_go_back_while_states_are_published)
{
    pthread_t threads[4];

    advertise(1);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, pin_all_the_time, &slots[i]), 0);
    for (txnid_t t = 2; t < ROUNDS; t++)
        advertise(t);
    atomic_store(&finished, true);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(torn, 0);
    ck_assert_uint_eq(backwards, 0);
}
END_TEST

int main(void)
{
    return UNIT_RUN("snapshot", a_pin_shows_the_newest_state_and_announces_it,
                    before_the_first_publish_a_slot_stays_idle,
                    an_announcement_that_was_overtaken_does_not_hold,
                    a_ring_entry_that_is_being_rewritten_does_not_hold,
                    pins_are_whole_and_never_go_back_while_states_are_published);
}
