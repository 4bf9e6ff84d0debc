/* SPDX-License-Identifier: MIT */
/*
 * shared_layout: slot and beacon are an ABI between processes that may be of
 * different builds, so every offset is said here once more, as a number.
 */
#include <string.h>

#include "format/beacon.h"
#include "format/slot.h"
#include "unit.h"

START_TEST(a_slot_file_lies_as_the_format_says)
{
    ck_assert_uint_eq(SLOT_MAGIC, UINT64_C(0x0a746f6c73737462));
    ck_assert_uint_eq(sizeof(struct slot_file), 65536);
    ck_assert_uint_eq(sizeof(struct slot), 64);
    ck_assert_uint_eq(offsetof(struct slot_file, magic), 0);
    ck_assert_uint_eq(offsetof(struct slot_file, version), 8);
    ck_assert_uint_eq(offsetof(struct slot_file, used), 12);
    ck_assert_uint_eq(offsetof(struct slot_file, reserved), 16);
    ck_assert_uint_eq(offsetof(struct slot_file, slots), 64);
    ck_assert_uint_eq(offsetof(struct slot_file, slots[1022]), 65536 - 64);
    ck_assert_uint_eq(offsetof(struct slot, txn), 0);
    ck_assert_uint_eq(offsetof(struct slot, wait), 8);
    ck_assert_uint_eq(SLOT_IDLE, 0); /* a fresh file, all zeros, pins nothing */
}
END_TEST

START_TEST(a_beacon_lies_as_the_format_says)
{
    ck_assert_uint_eq(BEACON_MAGIC, UINT64_C(0x0a63616562737462));
    ck_assert_uint_eq(sizeof(struct beacon), 4096);
    ck_assert_uint_eq(offsetof(struct beacon, magic), 0);
    ck_assert_uint_eq(offsetof(struct beacon, version), 8);
    ck_assert_uint_eq(offsetof(struct beacon, state), 12);
    ck_assert_uint_eq(offsetof(struct beacon, uuid), 16);
    ck_assert_uint_eq(offsetof(struct beacon, device), 32);
    ck_assert_uint_eq(offsetof(struct beacon, inode), 40);
    ck_assert_uint_eq(offsetof(struct beacon, generation), 48);
    ck_assert_uint_eq(offsetof(struct beacon, daemon_pid), 56);
    ck_assert_uint_eq(offsetof(struct beacon, page_size), 60);
    ck_assert_uint_eq(offsetof(struct beacon, latest), 64);
    ck_assert_uint_eq(offsetof(struct beacon, wake), 128);
    ck_assert_uint_eq(offsetof(struct beacon, page_count), 192);
    ck_assert_uint_eq(offsetof(struct beacon, checkpoint), 200);
    ck_assert_uint_eq(offsetof(struct beacon, barriers), 216);
    ck_assert_uint_eq(offsetof(struct beacon, sessions), 208);
    ck_assert_uint_eq(offsetof(struct beacon, daemon_version), 256);
    ck_assert_uint_eq(offsetof(struct beacon, ring), 1024);
    ck_assert_uint_eq(offsetof(struct beacon, ring[63]), 3072 - 32);
    ck_assert_uint_eq(offsetof(struct beacon, reserved2), 3072);
}
END_TEST

START_TEST(a_ring_entry_lies_as_the_format_says)
{
    ck_assert_uint_eq(sizeof(struct beacon_root), 32);
    ck_assert_uint_eq(offsetof(struct beacon_root, txn), 0);
    ck_assert_uint_eq(offsetof(struct beacon_root, root), 8);
    ck_assert_uint_eq(offsetof(struct beacon_root, depth), 12);
    ck_assert_uint_eq(offsetof(struct beacon_root, reserved), 16);
}
END_TEST

/* Words that readers and daemon write meet on no cache line of another writer's. */
START_TEST(hot_words_have_cache_lines_of_their_own)
{
    ck_assert_uint_eq(offsetof(struct beacon, latest) % 64, 0);
    ck_assert_uint_eq(offsetof(struct beacon, wake) % 64, 0);
    ck_assert_uint_eq(offsetof(struct beacon, page_count) % 64, 0);
    ck_assert_uint_eq(offsetof(struct slot_file, slots[1]) % 64, 0);
}
END_TEST

START_TEST(magic_numbers_read_as_text)
{
    uint64_t slot_magic = SLOT_MAGIC;
    uint64_t beacon_magic = BEACON_MAGIC;

    ck_assert_mem_eq(&slot_magic, "btsslot\n", 8);
    ck_assert_mem_eq(&beacon_magic, "btsbeac\n", 8);
}
END_TEST

int main(void)
{
    return UNIT_RUN("shared_layout", a_slot_file_lies_as_the_format_says,
                    a_beacon_lies_as_the_format_says, a_ring_entry_lies_as_the_format_says,
                    hot_words_have_cache_lines_of_their_own, magic_numbers_read_as_text);
}
