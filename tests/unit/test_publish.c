/* SPDX-License-Identifier: MIT */
/*
 * test_publish: what publish shows is what snapshot_pin finds, while both run.
 *
 * Every published root follows from its number, so a reader that saw parts of
 * two states finds out.
 */
#include "commit/publish.h"

#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "read/snapshot.h"

#define PUBLISHES 200000u
#define READERS 3

static struct beacon *beacon;

static pgno_t root_of(txnid_t txnid)
{
    return (pgno_t)(txnid * 2654435761u) | 1;
}

static uint32_t depth_of(txnid_t txnid)
{
    return 1 + (uint32_t)(txnid % 7);
}

static void make_beacon(void)
{
    beacon = aligned_alloc(4096, sizeof(*beacon));
    memset(beacon, 0, sizeof(*beacon));
}

static void publish_number(txnid_t txnid)
{
    publish(beacon, txnid, root_of(txnid), depth_of(txnid), (pgno_t)txnid + 5);
}

START_TEST(a_reader_finds_the_newest_state)
{
    struct slot slot = {.txn = SLOT_IDLE};
    struct snapshot_root pinned;

    make_beacon();
    ck_assert_uint_eq(snapshot_pin(beacon, &slot).txnid, 0);
    for (txnid_t txnid = 1; txnid < 200; txnid += txnid % 3 + 1) {
        publish_number(txnid);
        pinned = snapshot_pin(beacon, &slot);
        ck_assert_uint_eq(pinned.txnid, txnid);
        ck_assert_uint_eq(pinned.root, root_of(txnid));
        ck_assert_uint_eq(pinned.depth, depth_of(txnid));
        ck_assert_uint_eq(atomic_load(&beacon->page_count), txnid + 5);
        ck_assert_uint_eq(atomic_load(&slot.txn), txnid);
    }
    free(beacon);
}
END_TEST

/* Returns how many snapshots were not one state, or older than the one before. */
static void *read_snapshots(void *argument)
{
    struct slot slot = {.txn = SLOT_IDLE};
    txnid_t before = 0;
    uintptr_t wrong = 0;

    (void)argument;
    do {
        struct snapshot_root pinned = snapshot_pin(beacon, &slot);
        wrong += pinned.txnid < before;
        wrong += pinned.txnid != 0 && (pinned.root != root_of(pinned.txnid) ||
                                       pinned.depth != depth_of(pinned.txnid));
        wrong += atomic_load(&beacon->page_count) < pinned.txnid;
        before = pinned.txnid;
        snapshot_unpin(&slot);
    } while (before < PUBLISHES);
    return (void *)wrong;
}

START_TEST(readers_beside_a_publisher_see_whole_states_that_never_go_back)
{
    pthread_t readers[READERS];

    make_beacon();
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_snapshots, NULL), 0);
    for (txnid_t txnid = 1; txnid <= PUBLISHES; txnid++)
        publish_number(txnid);
    for (int i = 0; i < READERS; i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(readers[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    free(beacon);
}
END_TEST

START_TEST(waking_changes_the_word_that_waiters_watch)
{
    make_beacon();
    publish_number(1);
    ck_assert_uint_eq(atomic_load(&beacon->wake), 0);
    publish_wake(beacon);
    ck_assert_uint_eq(atomic_load(&beacon->wake), 1);
    free(beacon);
}
END_TEST

int main(void)
{
    return UNIT_RUN("publish", a_reader_finds_the_newest_state,
                    readers_beside_a_publisher_see_whole_states_that_never_go_back,
                    waking_changes_the_word_that_waiters_watch);
}
