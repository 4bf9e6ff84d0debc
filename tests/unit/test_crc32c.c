/* SPDX-License-Identifier: MIT */
/*
 * crc32c: published vectors, and the two ways against each other and against
 * the definition, bit by bit.
 */
#include "base/crc32c.h"

#include <string.h>

#include "unit.h"

#define BUFFER_SIZE 70000

static uint8_t buffer[BUFFER_SIZE];

/* Repeatable noise. */
static void fill_buffer(void)
{
    uint32_t state = 2463534242u;

    for (size_t i = 0; i < BUFFER_SIZE; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        buffer[i] = (uint8_t)(state >> 11);
    }
}

/* The definition: divide by the polynomial, one bit at a time. */
static uint32_t divide_bitwise(uint32_t seed, const uint8_t *data, size_t size)
{
    uint32_t crc = ~seed;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static void assert_all_ways(uint32_t seed, const void *data, size_t size, uint32_t expected)
{
    ck_assert_msg(crc32c(seed, data, size) == expected, "crc32c, %zu bytes", size);
    ck_assert_msg(crc32c_portable(seed, data, size) == expected, "portable, %zu bytes", size);
    if (crc32c_has_hardware()) {
        ck_assert_msg(crc32c_hardware(seed, data, size) == expected, "hardware, %zu bytes", size);
    }
}

/* The check value of the CRC catalogue, and RFC 3720, appendix B.4. */
START_TEST(published_vectors_hold)
{
    static const uint8_t read_command[48] = {
        0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
    };
    uint8_t bytes[32];

    assert_all_ways(0, "", 0, 0);
    assert_all_ways(0, "123456789", 9, 0xe3069283);
    memset(bytes, 0x00, sizeof(bytes));
    assert_all_ways(0, bytes, sizeof(bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_all_ways(0, bytes, sizeof(bytes), 0x62a8ab43);
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_all_ways(0, bytes, sizeof(bytes), 0x46dd794e);
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    assert_all_ways(0, bytes, sizeof(bytes), 0x113fdb5c);
    assert_all_ways(0, read_command, sizeof(read_command), 0xd9963a56);
}
END_TEST

/* Lengths around each lane border of the hardware way, at odd addresses. */
START_TEST(all_ways_agree_at_every_length_and_address)
{
    fill_buffer();
    for (size_t size = 0; size < 1200; size++) {
        const uint8_t *data = buffer + size % 9;
        assert_all_ways(0x12345678, data, size, divide_bitwise(0x12345678, data, size));
    }
    for (size_t size = 4000; size < 4200; size++) {
        const uint8_t *data = buffer + size % 9;
        assert_all_ways(0, data, size, divide_bitwise(0, data, size));
    }
    for (size_t size = 65500; size < 65540; size++) {
        assert_all_ways(0, buffer, size, divide_bitwise(0, buffer, size));
    }
}
END_TEST

START_TEST(a_checksum_may_be_taken_in_parts)
{
    fill_buffer();
    uint32_t whole = crc32c(0, buffer, 9000);

    for (size_t part = 0; part <= 9000; part += 7) {
        uint32_t first = crc32c(0, buffer, part);
        assert_all_ways(first, buffer + part, 9000 - part, whole);
    }
}
END_TEST

START_TEST(every_single_flipped_bit_of_a_page_is_found)
{
    fill_buffer();
    uint32_t whole = crc32c(0, buffer, 4092);

    for (size_t bit = 0; bit < 4092 * 8; bit++) {
        buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_uint_ne(crc32c(0, buffer, 4092), whole);
        buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

int main(void)
{
    return UNIT_RUN("crc32c", published_vectors_hold, all_ways_agree_at_every_length_and_address,
                    a_checksum_may_be_taken_in_parts, every_single_flipped_bit_of_a_page_is_found);
}
