/* SPDX-License-Identifier: MIT */
/*
 * page: the 32 bytes that every page of the file begins with.
 *
 *   0 u32 crc32c     of bytes [4, size), size = page size, or the whole run
 *   4 u8  type       enum page_type
 *   5 u8  level      0 = leaf; inner pages count upwards; else 0
 *   6 u16 flags      0
 *   8 u32 pgno       this page's own number: finds misplaced pages
 *  12 u32 bucket     id of the bucket it belongs to (salvage, relocation)
 *  16 u64 txnid      transaction in which the page was born
 *  24 u16 n          entries; inner: separators     \  a run has instead, at 24,
 *  26 u16 prefix     inner: common prefix bytes      | u64 length: the bytes of the
 *  28 u16 upper      start of cells (0 = 65536)      | value, which begin at 32
 *  30 u16 dead       reclaimable cell bytes         /
 *
 * All integers are little-endian, and so must the host be.
 *
 * Invariants
 *  (1) The checksum is over the bytes as they lie in the file, the unused
 *      gap included: builders zero a page before they fill it.
 *  (2) A page that passed page_check can be searched and read without any
 *      further bounds check, whatever its bytes are; one that passed
 *      page_check_edit as well can be changed.
 *
 * No I/O and no allocation here.
 */
#ifndef FORMAT_PAGE_H
#define FORMAT_PAGE_H

#include <btstore.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t pgno_t;  /* a page's number: its offset divided by the page size */
typedef uint64_t txnid_t; /* the number of a commit group; 0: none */

#define PGNO_NONE 0u /* page 0 is a meta page, so 0 can say "no page" */

#define PAGE_SIZE_MIN 4096u
#define PAGE_SIZE_DEFAULT 4096u
#define PAGE_SIZE_MAX 65536u

enum page_type {
    PAGE_META = 1,
    PAGE_MAP = 2,
    PAGE_INNER = 3,
    PAGE_LEAF = 4,
    PAGE_RUN = 5,
};

#define BUCKET_ID_DIRECTORY 0xffffffffu /* pages of the bucket directory itself */
#define BUCKET_ID_NONE 0xfffffffeu      /* metas and maps */

struct page_header {
    uint32_t crc;
    uint8_t type;
    uint8_t level;
    uint16_t flags;
    pgno_t pgno;
    uint32_t bucket;
    txnid_t txnid;
    union {
        struct {
            uint16_t n;
            uint16_t prefix;
            uint16_t upper;
            uint16_t dead;
        };
        uint64_t run_length;
    };
};
_Static_assert(sizeof(struct page_header) == 32, "page header is 32 bytes");
_Static_assert(offsetof(struct page_header, pgno) == 8, "pgno at 8");
_Static_assert(offsetof(struct page_header, txnid) == 16, "txnid at 16");
_Static_assert(offsetof(struct page_header, n) == 24, "n at 24");
_Static_assert(offsetof(struct page_header, run_length) == 24, "run length at 24");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");

#define PAGE_HEADER_SIZE 32u
#define PAGE_LEVEL_MAX 32u /* far above what 2^32 pages can need */

/* Largest cell (DESIGN, "File format"): a leaf holds four or more of them. */
static inline size_t page_cell_max(size_t page_size)
{
    return (page_size - PAGE_HEADER_SIZE) / 4 - 4;
}

/* Largest key: its cell still has room for the 12-byte pointer to a run. */
static inline size_t page_key_max(size_t page_size)
{
    return page_cell_max(page_size) - 4 - 12;
}

#define VALUE_SIZE_MAX (64u << 20)

static inline bool page_size_valid(uint64_t size)
{
    return size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

/* Pages that a run for a value of `length` bytes takes. */
static inline uint64_t page_run_pages(uint64_t length, size_t page_size)
{
    return (PAGE_HEADER_SIZE + length + page_size - 1) / page_size;
}

/* Where the cells of a leaf or inner page begin: header.upper, of which 0 means 65536. */
static inline size_t page_upper(const void *page)
{
    uint16_t upper = ((const struct page_header *)page)->upper;

    return upper == 0 ? PAGE_SIZE_MAX : upper;
}

/*
 * Zeroes the page and writes its header (n = 0, upper = page size); not
 * sealed.  For a run, pass the size of the whole run and set run_length.
 */
void page_init(void *page, size_t page_size, enum page_type type, unsigned level, pgno_t pgno,
               uint32_t bucket, txnid_t txnid);

/* Computes and stores the checksum over [4, size). */
void page_seal(void *page, size_t size);

/*
 * Checks everything that makes the page safe to read: checksum, own number,
 * a known type, flags, and for leaf and inner pages the structure (every
 * offset and length inside the page).  For a run, pass the size of the whole
 * run as `size`, else the page size.  BTS_DAMAGED (the text says what, without
 * naming the page: the caller prefixes that) or BTS_VERSION.
 */
BTS_MUST_USE enum bts_status page_check(const void *page, size_t size, pgno_t pgno,
                                        struct bts_error *error);

/*
 * What the writer asks besides, once per page that it copied from the file in
 * order to change it: that no two cells overlap, so that writing one leaves
 * the others as they are.
 */
BTS_MUST_USE enum bts_status page_check_edit(const void *page, size_t page_size,
                                             struct bts_error *error);

#endif
