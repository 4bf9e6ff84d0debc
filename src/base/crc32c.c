/* SPDX-License-Identifier: MIT */
/*
 * crc32c: the checksum of every page, frame and batch.
 *
 * Two ways.  Everywhere: slicing by eight, eight table look-ups for eight
 * bytes.  On x86-64 with SSE4.2: the crc32 instruction, which takes eight
 * bytes and could start every cycle but finishes after three; so three
 * lanes run side by side, and their results are joined at the end: a 4 KiB
 * page in about 170 ns, where the tables take 2200.
 *
 * Joining.  Without the inversions at both ends a checksum is linear: the
 * checksum of A followed by B is that of A moved over |B| zero bytes, xor
 * that of B.  Moving over a fixed number of bytes is a 32x32 bit matrix; it
 * is kept as four tables of 256, one per byte of the register.
 *
 *     data   |---- lane 0 ----|---- lane 1 ----|---- lane 2 ----|
 *     joined  move(move(crc0) ^ crc1) ^ crc2
 *
 * The tables are filled by a constructor: 16 KiB of arithmetic, a few
 * microseconds when the library is loaded, before any thread can call and
 * with nothing to test on each call.  (Committed tables would be four hundred
 * lines of digits that nobody can review.)
 */
#include "base/crc32c.h"

#include <stdbool.h>

#include "base/bytes.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

/* The polynomial, lowest power in the highest bit; so is every register. */
#define CRC32C_POLYNOMIAL UINT32_C(0x82f63b78)

/* crc32c_slice[k][b]: byte b, moved over k further zero bytes. */
static uint32_t crc32c_slice[8][256];

static inline uint32_t crc32c_byte(uint32_t crc, uint8_t byte)
{
    return (crc >> 8) ^ crc32c_slice[0][(crc ^ byte) & 0xff];
}

uint32_t crc32c_portable(uint32_t seed, const void *data, size_t size)
{
    const uint8_t *next = data;
    uint32_t crc = ~seed;

    for (; size >= 8; size -= 8, next += 8) {
        uint64_t word = bytes_load_u64(next) ^ crc;
        crc = crc32c_slice[7][word & 0xff] ^ crc32c_slice[6][(word >> 8) & 0xff] ^
              crc32c_slice[5][(word >> 16) & 0xff] ^ crc32c_slice[4][(word >> 24) & 0xff] ^
              crc32c_slice[3][(word >> 32) & 0xff] ^ crc32c_slice[2][(word >> 40) & 0xff] ^
              crc32c_slice[1][(word >> 48) & 0xff] ^ crc32c_slice[0][word >> 56];
    }
    for (; size > 0; size--, next++) {
        crc = crc32c_byte(crc, *next);
    }
    return ~crc;
}

static void crc32c_fill_slices(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        }
        crc32c_slice[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (int byte = 0; byte < 256; byte++) {
            crc32c_slice[k][byte] = crc32c_byte(crc32c_slice[k - 1][byte], 0);
        }
    }
}

#if defined(__x86_64__)

/*
 * Two lane lengths: three long lanes are the body of a 4 KiB page (4092
 * checked bytes) but for 12 bytes; three short ones serve what is left of
 * other lengths.  Multiples of eight.
 */
#define CRC32C_LONG 1360
#define CRC32C_SHORT 168

struct crc32c_move {
    uint32_t table[4][256];
};

static struct crc32c_move crc32c_move_long;
static struct crc32c_move crc32c_move_short;
static bool crc32c_hardware_found;

/*
 * Fills the matrix that moves a register over `size` zero bytes.  Bit 31 - i
 * of a register stands for x^i, so moved over n bits it becomes x^(n + i):
 * the 32 columns are consecutive powers of x.
 */
static void crc32c_fill_move(struct crc32c_move *move, size_t size)
{
    uint32_t power = UINT32_C(1) << 31;

    for (size_t i = 0; i < size; i++) {
        power = crc32c_byte(power, 0);
    }
    for (int bit = 31; bit >= 0; bit--) {
        move->table[bit / 8][1 << (bit % 8)] = power;
        power = (power >> 1) ^ (power & 1 ? CRC32C_POLYNOMIAL : 0);
    }
    for (int place = 0; place < 4; place++) {
        uint32_t *table = move->table[place];
        for (unsigned byte = 1; byte < 256; byte++) {
            unsigned lowest = byte & -byte;
            table[byte] = table[byte ^ lowest] ^ table[lowest];
        }
    }
}

static inline uint64_t crc32c_moved(const struct crc32c_move *move, uint64_t crc)
{
    return move->table[0][crc & 0xff] ^ move->table[1][(crc >> 8) & 0xff] ^
           move->table[2][(crc >> 16) & 0xff] ^ move->table[3][crc >> 24];
}

/* Takes three lanes of `lane` bytes each. */
__attribute__((target("sse4.2")))
static inline uint64_t crc32c_three_lanes(uint64_t crc, const uint8_t *data, size_t lane,
                                          const struct crc32c_move *move)
{
    uint64_t crc1 = 0;
    uint64_t crc2 = 0;

    for (const uint8_t *next = data; next < data + lane; next += 8) {
        crc = _mm_crc32_u64(crc, bytes_load_u64(next));
        crc1 = _mm_crc32_u64(crc1, bytes_load_u64(next + lane));
        crc2 = _mm_crc32_u64(crc2, bytes_load_u64(next + 2 * lane));
    }
    crc1 ^= crc32c_moved(move, crc);
    return crc2 ^ crc32c_moved(move, crc1);
}

__attribute__((target("sse4.2")))
uint32_t crc32c_hardware(uint32_t seed, const void *data, size_t size)
{
    const uint8_t *next = data;
    uint64_t crc = (uint32_t)~seed;

    for (; size >= 3 * CRC32C_LONG; size -= 3 * CRC32C_LONG, next += 3 * CRC32C_LONG) {
        crc = crc32c_three_lanes(crc, next, CRC32C_LONG, &crc32c_move_long);
    }
    for (; size >= 3 * CRC32C_SHORT; size -= 3 * CRC32C_SHORT, next += 3 * CRC32C_SHORT) {
        crc = crc32c_three_lanes(crc, next, CRC32C_SHORT, &crc32c_move_short);
    }
    for (; size >= 8; size -= 8, next += 8) {
        crc = _mm_crc32_u64(crc, bytes_load_u64(next));
    }
    for (; size > 0; size--, next++) {
        crc = _mm_crc32_u8((uint32_t)crc, *next);
    }
    return ~(uint32_t)crc;
}

__attribute__((constructor))
static void crc32c_init(void)
{
    crc32c_fill_slices();
    crc32c_fill_move(&crc32c_move_long, CRC32C_LONG);
    crc32c_fill_move(&crc32c_move_short, CRC32C_SHORT);
    __builtin_cpu_init();
    crc32c_hardware_found = __builtin_cpu_supports("sse4.2") != 0;
}

int crc32c_has_hardware(void)
{
    return crc32c_hardware_found;
}

#else

uint32_t crc32c_hardware(uint32_t seed, const void *data, size_t size)
{
    return crc32c_portable(seed, data, size);
}

__attribute__((constructor))
static void crc32c_init(void)
{
    crc32c_fill_slices();
}

int crc32c_has_hardware(void)
{
    return 0;
}

#endif

uint32_t crc32c(uint32_t seed, const void *data, size_t size)
{
    if (crc32c_has_hardware()) {
        return crc32c_hardware(seed, data, size);
    }
    return crc32c_portable(seed, data, size);
}
