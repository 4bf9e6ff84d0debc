/* SPDX-License-Identifier: MIT */
/*
 * inner: a page that leads to the child holding a key.
 *
 *   32              prefix bytes          common to all separators (header.prefix of them)
 *   .. padded to 4  u32 head[n]           next 4 bytes after the prefix, zero-padded, as the
 *                                         native integer of the big-endian value
 *                   u32 child[n + 1]      page numbers
 *                   u16 offset[n]         <= 4: the separator's remainder (after the prefix) is
 *                                         that many bytes, all in its head; else the offset of
 *                                         its tail cell
 *   gap (zero)
 *   upper           tail cells, growing down: u16 size, then the whole remainder (head
 *                   bytes included), size > 4
 *
 * child[i] leads to keys < separator[i]; child[n] to the rest; a key equal to
 * separator[i] is in child[i + 1].  Separators are the shortest that separate,
 * strictly ascending, 1 to page_key_max bytes.  n may be 0 (one child) only
 * while a page is edited.
 *
 * A page is built with the prefix that makes it smallest, which is the longest
 * that all separators share, or that rounded down to a multiple of 4 (when the
 * padding would cost more than the tails save).
 *
 * Invariants
 *  (1) Every separator begins with the page's prefix.
 *  (2) header.dead counts the bytes in [upper, page size) that no tail covers.
 *  (3) A rebuilt page is never larger than inner_used_bytes says: any range of
 *      a page's separators fits in a page of the same size.
 *  (4) The gap and the dead bytes are zero.
 *
 * No I/O and no allocation.  Readers pass pages that passed page_check; a page
 * lies at an address divisible by 8.
 */
#ifndef FORMAT_INNER_H
#define FORMAT_INNER_H

#include "base/bytes.h"
#include "format/inner_guess.h"
#include "format/key.h"
#include "format/page.h"

#define INNER_HEAD_SIZE 4u
#define INNER_TAIL_HEADER_SIZE 2u

/* A condition that no one can foretell: tells the compiler not to branch on it. */
#ifdef __clang__
#define INNER_COIN(condition) __builtin_unpredictable(condition)
#else
#define INNER_COIN(condition) __builtin_expect_with_probability(condition, 1, 0.5)
#endif

/* ---- the bytes ----------------------------------------------------------- */

static inline unsigned inner_count(const void *page)
{
    return ((const struct page_header *)page)->n;
}

static inline unsigned inner_prefix_size(const void *page)
{
    return ((const struct page_header *)page)->prefix;
}

static inline const uint8_t *inner_prefix(const void *page)
{
    return (const uint8_t *)page + PAGE_HEADER_SIZE;
}

static inline const uint32_t *inner_heads(const void *page)
{
    unsigned prefix = inner_prefix_size(page);

    return (const uint32_t *)((const uint8_t *)page + PAGE_HEADER_SIZE + ((prefix + 3u) & ~3u));
}

static inline const pgno_t *inner_children(const void *page)
{
    return inner_heads(page) + inner_count(page);
}

static inline const uint16_t *inner_offsets(const void *page)
{
    return (const uint16_t *)(inner_children(page) + inner_count(page) + 1);
}

/* Where the arrays end of a page with this prefix and n separators. */
static inline size_t inner_arrays_end(size_t prefix_size, unsigned n)
{
    return PAGE_HEADER_SIZE + ((prefix_size + 3) & ~(size_t)3) + 10 * (size_t)n + 4;
}

/* ---- search: inline, for a get does it once per level --------------------- */

/*
 * The order of separator `index` and a key that share prefix and head; `rest`
 * is the key's remainder.  Of two with the same zero-padded head, of which one
 * ends within it, the longer one is the other with zeros at the end.
 */
static inline int inner_order_in_tie(const void *page, unsigned index, const uint8_t *rest,
                                     size_t rest_size)
{
    size_t offset = inner_offsets(page)[index];
    const uint8_t *tail = (const uint8_t *)page + offset;

    if (offset <= INNER_HEAD_SIZE) {
        return (offset > rest_size) - (offset < rest_size);
    }
    return key_order(tail + INNER_TAIL_HEADER_SIZE, bytes_load_u16(tail), rest, rest_size);
}

/*
 * How many of n ascending heads are <= `head`: halving without a branch, for
 * guesses are wrong half the time (14 to 23 ns where branches take 44).
 */
static inline unsigned inner_heads_up_to(const uint32_t *heads, unsigned n, uint32_t head)
{
    const uint32_t *base = heads;

    if (n == 0) {
        return 0;
    }
    while (n > 1) {
        const uint32_t *upper = base + n / 2;
        uint32_t middle = upper[-1];
        __asm__("" : "+r"(upper)); /* it could be anything: select it, do not branch to it */
        base = INNER_COIN(middle <= head) ? upper : base;
        n -= n / 2;
    }
    return (unsigned)(base - heads) + (*base <= head);
}

/* The key's head is that of separator `last`, and maybe of some before it. */
static inline unsigned inner_search_tie(const void *page, unsigned last, const uint8_t *rest,
                                        size_t rest_size)
{
    const uint32_t *heads = inner_heads(page);
    uint32_t head = heads[last];
    unsigned low = 0;
    unsigned high = last;

    if (inner_order_in_tie(page, last, rest, rest_size) <= 0) {
        return last + 1;
    }
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (heads[middle] != head || inner_order_in_tie(page, middle, rest, rest_size) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The order of a key and the page's prefix: 0 when the key begins with it. */
static inline int inner_order_of_prefix(const void *page, const void *key, size_t key_size)
{
    size_t prefix_size = inner_prefix_size(page);
    int order = memcmp(key, inner_prefix(page), bytes_min(prefix_size, key_size));

    return order == 0 && key_size < prefix_size ? -1 : order;
}

/*
 * Index of the child that holds `key`: 0 .. n.  `even`: whether guessing pays
 * in this page (inner_guess_pays); it changes the time, never the answer.
 */
static inline unsigned inner_search_even(const void *page, const void *key, size_t key_size,
                                         bool even)
{
    unsigned n = inner_count(page);
    size_t prefix_size = inner_prefix_size(page);
    const uint8_t *rest;
    uint32_t head;
    unsigned up_to;

    if (prefix_size > 0) {
        int order = inner_order_of_prefix(page, key, key_size);
        if (order != 0) {
            return order < 0 ? 0 : n;
        }
    }
    rest = (const uint8_t *)key + prefix_size;
    head = bytes_head_u32(rest, key_size - prefix_size);
    up_to = even ? inner_guess(inner_heads(page), n, head, n * sizeof(pgno_t)) : INNER_GUESS_MISS;
    if (up_to == INNER_GUESS_MISS) {
        up_to = inner_heads_up_to(inner_heads(page), n, head);
    }
    if (up_to == 0 || inner_heads(page)[up_to - 1] != head) {
        return up_to;
    }
    return inner_search_tie(page, up_to - 1, rest, key_size - prefix_size);
}

/* The same where nothing is known of the page. */
static inline unsigned inner_search(const void *page, const void *key, size_t key_size)
{
    return inner_search_even(page, key, key_size, false);
}

/* ---- separators ---------------------------------------------------------- */

/* Writes separator `index` whole into `out` (page_key_max bytes of room); its size. */
size_t inner_separator(const void *page, unsigned index, uint8_t *out);

/*
 * Shortest separator s with left < s <= right (left < right): its size; it is
 * a prefix of `right`.
 */
size_t inner_shortest_separator(const void *left, size_t left_size, const void *right,
                                size_t right_size);

/* ---- editing --------------------------------------------------------------
 *
 * Separators must not point into the page.  A page that comes from the file
 * must have passed inner_check_edit too.
 */

/* Points child `index` elsewhere, in place. */
void inner_set_child(void *page, unsigned index, pgno_t child);

/* A separator for inner_build. */
struct inner_key {
    const uint8_t *data;
    size_t size;
};

/* Bytes of a page built from these, header included; may be over the page size. */
size_t inner_built_size(const struct inner_key *separators, unsigned n);

/*
 * Fills a page that page_init prepared (type, level and number stay) from n
 * separators and n + 1 children.  False: they do not fit, page unchanged.
 */
BTS_MUST_USE bool inner_build(void *page, size_t page_size, const struct inner_key *separators,
                              const pgno_t *children, unsigned n);

/*
 * Fills a page that page_init prepared with separators [first, first + count)
 * of `from`, another page of the same size, and the count + 1 children around
 * them: the halves of a split, without writing out separators.  Always fits.
 */
void inner_copy(void *to, size_t page_size, const void *from, unsigned first, unsigned count);

/*
 * Inserts separator `index` and, right of it, child `index + 1`.
 * False: no room even after rebuilding, page unchanged.
 */
BTS_MUST_USE bool inner_insert(void *page, size_t page_size, unsigned index, const void *separator,
                               size_t separator_size, pgno_t right);

/* Removes child `index` and the separator beside it (left of it; for child 0, right of it). */
void inner_remove_child(void *page, size_t page_size, unsigned index);

/* Replaces separator `index`.  False: no room, page unchanged. */
BTS_MUST_USE bool inner_replace_separator(void *page, size_t page_size, unsigned index,
                                          const void *separator, size_t separator_size);

/* Bytes in use, header included, as a rebuilt page would use at most. */
size_t inner_used_bytes(const void *page, size_t page_size);

/* ---- checks -------------------------------------------------------------- */

/* The structure part of page_check. */
BTS_MUST_USE enum bts_status inner_check(const void *page, size_t page_size,
                                         struct bts_error *error);
/*
 * What editing needs besides: no two tails overlap, and dead bytes are counted
 * right.  Takes 8 KiB of stack.
 */
BTS_MUST_USE enum bts_status inner_check_edit(const void *page, size_t page_size,
                                              struct bts_error *error);
/* All the invariants (for btstore check and tests); includes the two above. */
BTS_MUST_USE enum bts_status inner_check_deep(const void *page, size_t page_size,
                                              struct bts_error *error);

#endif
