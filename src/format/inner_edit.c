/* SPDX-License-Identifier: MIT */
/*
 * inner_edit: build and change inner pages in private memory; see inner.h.
 *
 * A separator that shares the page's prefix and finds room in the gap goes in
 * as it is.  Else the page is planned anew with it: which prefix makes it
 * smallest, and does that fit?  Only then is the page rebuilt with that prefix,
 * and the separator goes in as it is.  So what fails has changed nothing.
 */
#include "format/inner.h"

#include <assert.h>

#define INNER_KEY_ROOM (PAGE_SIZE_MAX / 4) /* page_key_max of the largest page, and a little */

/* ---- planning ------------------------------------------------------------ */

/* The separators of a page to be, in any order. */
struct inner_set {
    const struct inner_key *keys;  /* a list of them, or NULL: then */
    const void *page;              /* those of a page, */
    unsigned first;                /* from this one on, */
    unsigned skipped;              /* without this one (UINT_MAX: none), */
    const struct inner_key *extra; /* and, unless NULL, with this one as the last */
    unsigned count;                /* how many there are in all */
};

struct inner_plan {
    size_t prefix_size;
    size_t size; /* bytes of the page, header included */
};

/* The i-th separator of the set; it may lie in `buffer` then. */
static struct inner_key inner_set_at(const struct inner_set *set, unsigned i,
                                     uint8_t buffer[INNER_KEY_ROOM])
{
    struct inner_key key = {buffer, 0};
    unsigned index = set->first + i;

    if (set->keys != NULL) {
        return set->keys[i];
    }
    if (set->extra != NULL && i == set->count - 1) {
        return *set->extra;
    }
    key.size = inner_separator(set->page, index + (index >= set->skipped), buffer);
    return key;
}

/* The longest prefix that all separators share; compares each, for a hostile page is unsorted. */
static size_t inner_set_prefix(const struct inner_set *set)
{
    uint8_t first_buffer[INNER_KEY_ROOM];
    uint8_t buffer[INNER_KEY_ROOM];
    struct inner_key first;
    size_t shared;

    if (set->count == 0) {
        return 0;
    }
    first = inner_set_at(set, 0, first_buffer);
    shared = first.size;
    for (unsigned i = 1; i < set->count; i++) {
        struct inner_key key = inner_set_at(set, i, buffer);
        shared = bytes_common_prefix(first.data, shared, key.data, key.size);
    }
    return shared;
}

/* Bytes that a remainder takes in the tail area. */
static size_t inner_tail_size(size_t rest_size)
{
    return rest_size <= INNER_HEAD_SIZE ? 0 : INNER_TAIL_HEADER_SIZE + rest_size;
}

static size_t inner_set_size(const struct inner_set *set, size_t prefix_size)
{
    size_t size = inner_arrays_end(prefix_size, set->count);
    uint8_t buffer[INNER_KEY_ROOM];

    for (unsigned i = 0; i < set->count; i++) {
        size += inner_tail_size(inner_set_at(set, i, buffer).size - prefix_size);
    }
    return size;
}

/*
 * The smallest page for the set.  Only two prefixes can be best: up to a
 * multiple of 4 a longer prefix costs nothing, and 4 bytes more pay for
 * themselves as long as all separators share them (but one have longer tails).
 */
static struct inner_plan inner_plan_make(const struct inner_set *set)
{
    size_t shared = inner_set_prefix(set);
    struct inner_plan longest = {shared, inner_set_size(set, shared)};
    struct inner_plan rounded = {shared & ~(size_t)3, inner_set_size(set, shared & ~(size_t)3)};

    return rounded.size < longest.size ? rounded : longest;
}

size_t inner_built_size(const struct inner_key *separators, unsigned n)
{
    struct inner_set set = {.keys = separators, .count = n};

    return inner_plan_make(&set).size;
}

/* ---- writing ------------------------------------------------------------- */

/* The three arrays of a page as bytes to be changed. */
struct inner_arrays {
    uint8_t *heads;
    uint8_t *children;
    uint8_t *offsets;
    uint8_t *end;
};

static struct inner_arrays inner_arrays_of(void *page, unsigned n)
{
    struct inner_arrays arrays;
    size_t prefix_size = inner_prefix_size(page);

    arrays.end = (uint8_t *)page + inner_arrays_end(prefix_size, n);
    arrays.offsets = arrays.end - 2 * (size_t)n;
    arrays.children = arrays.offsets - 4 * ((size_t)n + 1);
    arrays.heads = arrays.children - 4 * (size_t)n;
    return arrays;
}

/* Writes separator `index`, whose place is open, without the page's prefix. */
static void inner_put(void *page, unsigned index, const uint8_t *rest, size_t rest_size)
{
    struct page_header *header = page;
    struct inner_arrays arrays = inner_arrays_of(page, header->n);
    size_t offset = rest_size;

    if (rest_size > INNER_HEAD_SIZE) {
        offset = page_upper(page) - inner_tail_size(rest_size);
        header->upper = (uint16_t)offset;
        bytes_store_u16((uint8_t *)page + offset, (uint16_t)rest_size);
        memcpy((uint8_t *)page + offset + INNER_TAIL_HEADER_SIZE, rest, rest_size);
    }
    bytes_store_u32(arrays.heads + 4 * (size_t)index, bytes_head_u32(rest, rest_size));
    bytes_store_u16(arrays.offsets + 2 * (size_t)index, (uint16_t)offset);
}

/* Empties a page and gives it a prefix, room for n separators, and n + 1 children. */
static void inner_reset(void *page, size_t page_size, const uint8_t *prefix, size_t prefix_size,
                        const pgno_t *children, unsigned n)
{
    struct page_header *header = page;

    memset((uint8_t *)page + PAGE_HEADER_SIZE, 0, page_size - PAGE_HEADER_SIZE);
    header->n = (uint16_t)n;
    header->prefix = (uint16_t)prefix_size;
    header->upper = (uint16_t)page_size;
    header->dead = 0;
    if (prefix_size > 0) {
        memcpy((uint8_t *)page + PAGE_HEADER_SIZE, prefix, prefix_size);
    }
    memcpy(inner_arrays_of(page, n).children, children, 4 * ((size_t)n + 1));
}

/* Fills a page from part of another one, with a prefix that fits all of it. */
static void inner_copy_with_prefix(void *to, size_t page_size, const void *from, unsigned first,
                                   unsigned count, const uint8_t *prefix, size_t prefix_size)
{
    uint8_t key[INNER_KEY_ROOM];

    inner_reset(to, page_size, prefix, prefix_size, inner_children(from) + first, count);
    for (unsigned i = 0; i < count; i++) {
        size_t size = inner_separator(from, first + i, key);
        inner_put(to, i, key + prefix_size, size - prefix_size);
    }
}

static void inner_rebuild(void *page, size_t page_size, const uint8_t *prefix, size_t prefix_size)
{
    _Alignas(8) uint8_t old[PAGE_SIZE_MAX];

    memcpy(old, page, page_size);
    inner_copy_with_prefix(page, page_size, old, 0, inner_count(old), prefix, prefix_size);
}

bool inner_build(void *page, size_t page_size, const struct inner_key *separators,
                 const pgno_t *children, unsigned n)
{
    struct inner_set set = {.keys = separators, .count = n};
    struct inner_plan plan = inner_plan_make(&set);

    if (plan.size > page_size) {
        return false;
    }
    inner_reset(page, page_size, n > 0 ? separators[0].data : NULL, plan.prefix_size, children, n);
    for (unsigned i = 0; i < n; i++) {
        inner_put(page, i, separators[i].data + plan.prefix_size,
                  separators[i].size - plan.prefix_size);
    }
    return true;
}

void inner_copy(void *to, size_t page_size, const void *from, unsigned first, unsigned count)
{
    struct inner_set set = {
        .page = from, .first = first, .skipped = UINT32_MAX, .count = count};
    struct inner_plan plan = inner_plan_make(&set);
    uint8_t first_key[INNER_KEY_ROOM];

    assert(to != from && first + count <= inner_count(from));
    if (plan.size > page_size) { /* only where hostile separators repeat */
        plan.prefix_size = inner_prefix_size(from);
    }
    if (count > 0) {
        inner_separator(from, first, first_key);
    }
    inner_copy_with_prefix(to, page_size, from, first, count, first_key, plan.prefix_size);
}

void inner_set_child(void *page, unsigned index, pgno_t child)
{
    unsigned n = inner_count(page);

    assert(index <= n && child != PGNO_NONE);
    bytes_store_u32(inner_arrays_of(page, n).children + 4 * (size_t)index, child);
}

/* ---- places in the arrays ------------------------------------------------- */

/* Opens the place of separator `index` and child `index + 1`, back to front. */
static void inner_open_place(void *page, unsigned index)
{
    struct page_header *header = page;
    unsigned n = header->n;
    size_t behind = n - index;
    struct inner_arrays old = inner_arrays_of(page, n);
    struct inner_arrays new = inner_arrays_of(page, n + 1);

    memmove(new.offsets + 2 * (index + 1), old.offsets + 2 * index, 2 * behind);
    memmove(new.offsets, old.offsets, 2 * index);
    memmove(new.children + 4 * (index + 2), old.children + 4 * (index + 1), 4 * behind);
    memmove(new.children, old.children, 4 * (index + 1));
    memmove(new.heads + 4 * (index + 1), old.heads + 4 * index, 4 * behind);
    header->n = (uint16_t)(n + 1);
}

/* Closes the places of one separator and one child, front to back. */
static void inner_close_place(void *page, unsigned separator, unsigned child)
{
    struct page_header *header = page;
    unsigned n = header->n;
    struct inner_arrays old = inner_arrays_of(page, n);
    struct inner_arrays new = inner_arrays_of(page, n - 1);
    size_t behind = n - separator - 1;

    memmove(new.heads + 4 * separator, old.heads + 4 * (separator + 1), 4 * behind);
    memmove(new.children, old.children, 4 * child);
    memmove(new.children + 4 * child, old.children + 4 * (child + 1), 4 * (n - child));
    memmove(new.offsets, old.offsets, 2 * separator);
    memmove(new.offsets + 2 * separator, old.offsets + 2 * (separator + 1), 2 * behind);
    memset(new.end, 0, (size_t)(old.end - new.end));
    header->n = (uint16_t)(n - 1);
}

/* Gives the tail of separator `index`, if it has one, back. */
static void inner_drop_tail(void *page, unsigned index)
{
    struct page_header *header = page;
    size_t offset = inner_offsets(page)[index];
    uint8_t *tail = (uint8_t *)page + offset;
    size_t size;

    if (offset <= INNER_HEAD_SIZE) {
        return;
    }
    size = inner_tail_size(bytes_load_u16(tail));
    memset(tail, 0, size);
    if (offset == page_upper(page)) {
        header->upper = (uint16_t)(offset + size);
    } else {
        header->dead = (uint16_t)(header->dead + size);
    }
}

/* Whether a separator shares the page's prefix and its tail and `places` bytes fit in the gap. */
static bool inner_goes_in(const void *page, const struct inner_key *separator, size_t places)
{
    size_t prefix_size = inner_prefix_size(page);
    size_t gap = page_upper(page) - inner_arrays_end(prefix_size, inner_count(page));

    return separator->size >= prefix_size &&
           memcmp(separator->data, inner_prefix(page), prefix_size) == 0 &&
           places + inner_tail_size(separator->size - prefix_size) <= gap;
}

static void inner_put_key(void *page, unsigned index, const struct inner_key *separator)
{
    size_t prefix_size = inner_prefix_size(page);

    inner_put(page, index, separator->data + prefix_size, separator->size - prefix_size);
}

/* ---- changes ------------------------------------------------------------- */

bool inner_insert(void *page, size_t page_size, unsigned index, const void *separator,
                  size_t separator_size, pgno_t right)
{
    struct inner_key key = {separator, separator_size};
    unsigned n = inner_count(page);

    assert(index <= n && separator_size >= 1 && separator_size <= page_key_max(page_size));
    if (n == 0 || !inner_goes_in(page, &key, 10)) {
        struct inner_set set = {
            .page = page, .skipped = UINT32_MAX, .extra = &key, .count = n + 1};
        struct inner_plan plan = inner_plan_make(&set);
        if (plan.size > page_size) {
            return false;
        }
        inner_rebuild(page, page_size, key.data, plan.prefix_size);
    }
    inner_open_place(page, index);
    inner_put_key(page, index, &key);
    inner_set_child(page, index + 1, right);
    return true;
}

void inner_remove_child(void *page, size_t page_size, unsigned index)
{
    unsigned separator = index > 0 ? index - 1 : 0;

    assert(inner_count(page) >= 1 && index <= inner_count(page));
    inner_drop_tail(page, separator);
    inner_close_place(page, separator, index);
    if (inner_count(page) == 0) {
        inner_rebuild(page, page_size, NULL, 0);
    }
}

bool inner_replace_separator(void *page, size_t page_size, unsigned index, const void *separator,
                             size_t separator_size)
{
    struct inner_key key = {separator, separator_size};
    struct inner_set set = {
        .page = page, .skipped = index, .extra = &key, .count = inner_count(page)};
    struct inner_plan plan;
    pgno_t right;

    assert(index < inner_count(page));
    assert(separator_size >= 1 && separator_size <= page_key_max(page_size));
    if (inner_goes_in(page, &key, 0)) {
        inner_drop_tail(page, index);
        inner_put_key(page, index, &key);
        return true;
    }
    plan = inner_plan_make(&set);
    if (plan.size > page_size) {
        return false;
    }
    right = inner_children(page)[index + 1];
    inner_remove_child(page, page_size, index + 1);
    inner_rebuild(page, page_size, key.data, plan.prefix_size);
    inner_open_place(page, index);
    inner_put_key(page, index, &key);
    inner_set_child(page, index + 1, right);
    return true;
}
