/* SPDX-License-Identifier: MIT */
/*
 * space_map: build and check one bitmap page.
 *
 * The bits are the caller's: here they are only put behind a header, sealed,
 * and on the way back held against what is true of every group, that its
 * fixed pages are in use.  A page of zeros with a right checksum would
 * otherwise offer the metas for allocation.
 */
#include "format/space_map.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

/* Bits of the fixed pages in the first byte: metas and copies, or copies alone. */
static uint8_t space_map_fixed_bits(uint32_t group)
{
    return group == 0 ? 0x0f : 0x03;
}

void space_map_encode(void *page, size_t page_size, uint32_t group, unsigned copy, txnid_t txnid,
                      const uint8_t *bits)
{
    assert(copy <= 1);
    assert((bits[0] & space_map_fixed_bits(group)) == space_map_fixed_bits(group));
    page_init(page, page_size, PAGE_MAP, 0, space_map_pgno(group, copy, page_size),
              BUCKET_ID_NONE, txnid);
    memcpy((uint8_t *)page + PAGE_HEADER_SIZE, bits, page_size - PAGE_HEADER_SIZE);
    page_seal(page, page_size);
}

enum bts_status space_map_check(const void *page, size_t page_size, uint32_t group, unsigned copy,
                                struct bts_error *error)
{
    struct page_header header;
    enum bts_status status =
        page_check(page, page_size, space_map_pgno(group, copy, page_size), error);

    if (status != BTS_OK) {
        return status;
    }
    memcpy(&header, page, sizeof(header));
    if (header.type != PAGE_MAP || header.level != 0 || header.bucket != BUCKET_ID_NONE) {
        return err_set(error, BTS_DAMAGED, "page of type %u, level %u, bucket %u is no space map",
                       header.type, header.level, header.bucket);
    }
    if ((space_map_bits(page)[0] & space_map_fixed_bits(group)) != space_map_fixed_bits(group)) {
        return err_set(error, BTS_DAMAGED,
                       "space map of group %u calls pages of its own kind free", group);
    }
    return BTS_OK;
}
