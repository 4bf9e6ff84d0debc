/* SPDX-License-Identifier: MIT */
/*
 * crc32c: the checksum of every page, frame and batch.
 *
 * The Castagnoli polynomial, as in iSCSI and ext4: "123456789" gives e3069283.
 * Safe in any thread at any time; no state that changes after loading.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * The checksum of what `seed` is the checksum of, followed by `size` bytes at
 * `data`.  Start with seed 0; crc32c(crc32c(0, A), B) == crc32c(0, AB).
 */
uint32_t crc32c(uint32_t seed, const void *data, size_t size);

/*
 * The two ways to compute it, for tests and benches: by tables, and by the
 * processor's own instruction, where crc32c_has_hardware() says there is one.
 */
uint32_t crc32c_portable(uint32_t seed, const void *data, size_t size);
uint32_t crc32c_hardware(uint32_t seed, const void *data, size_t size);
int crc32c_has_hardware(void);

#endif
