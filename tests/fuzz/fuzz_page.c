/* SPDX-License-Identifier: MIT */
/*
 * fuzz_page: any bytes as a leaf, an inner page or a run, with a right checksum.
 *
 * Promises: what page_check takes can be read, searched and scanned without a
 * step outside the page; what page_check_edit takes too can be changed, and
 * still passes both afterwards.  Else there is one line of text.
 *
 * Input: the page, then bytes that choose keys and changes.
 */
#include "format/inner.h"
#include "format/leaf.h"

#include "fuzz.h"

#include <string.h>

#define FUZZ_PGNO 7
#define FUZZ_CHANGES_MAX 64
#define FUZZ_KEY_MAX (PAGE_SIZE_MAX / 4)

/* The bytes after the page, taken one by one; zeros when they are used up. */
struct choices {
    const uint8_t *at;
    const uint8_t *end;
};

static unsigned choose(struct choices *choices, unsigned below)
{
    unsigned value = choices->end - choices->at >= 2 ? bytes_load_u16(choices->at) : 0;

    choices->at += choices->end - choices->at >= 2 ? 2 : 0;
    return below > 0 ? value % below : 0;
}

/* A sum of the bytes, so that reading them is not optimised away. */
static unsigned touch(const uint8_t *data, size_t size)
{
    unsigned sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum += data[i];
    }
    return sum;
}

static volatile unsigned touched;

/* ---- leaf ---------------------------------------------------------------- */

static void fuzz_leaf_search(const void *page, const void *key, size_t key_size)
{
    bool found;
    unsigned index = leaf_lower_bound(page, key, key_size, &found);
    int exact = leaf_find(page, key, key_size);

    FUZZ_PROMISE(index <= leaf_count(page));
    FUZZ_PROMISE(!found || index < leaf_count(page));
    FUZZ_PROMISE(exact >= -1 && exact < (int)leaf_count(page));
}

static void fuzz_leaf_read(const void *page)
{
    for (unsigned i = 0; i < leaf_count(page); i++) {
        struct leaf_entry entry = leaf_entry_at(page, i);
        touched += touch(entry.key, entry.key_size);
        if (!entry.is_run) {
            touched += touch(entry.value, entry.value_size);
        }
        if (i < 40) {
            fuzz_leaf_search(page, entry.key, entry.key_size);
            fuzz_leaf_search(page, entry.key, entry.key_size - 1);
        }
    }
    fuzz_leaf_search(page, "user:00001234", 13);
    fuzz_leaf_search(page, "", 0);
}

static void fuzz_leaf_change(void *page, size_t page_size, struct choices *choices)
{
    static uint8_t bytes[FUZZ_KEY_MAX];
    unsigned n = leaf_count(page);
    unsigned index = choose(choices, n + 1);
    size_t key_size = 1 + choose(choices, (unsigned)page_key_max(page_size));
    size_t value_size = choose(choices, (unsigned)(page_cell_max(page_size) - 4 - key_size + 1));
    unsigned what = choose(choices, 6);

    memset(bytes, (int)index, sizeof(bytes));
    if (what == 0) {
        touched += leaf_insert(page, page_size, index, bytes, key_size, bytes, value_size);
    } else if (what == 1) {
        touched += leaf_insert_run(page, page_size, index, bytes, key_size, 1, value_size);
    } else if (what == 2 && index < n) {
        struct leaf_entry entry = leaf_entry_at(page, index);
        value_size = choose(choices, (unsigned)(page_cell_max(page_size) - 4 - entry.key_size));
        touched += leaf_replace(page, page_size, index, bytes, value_size);
    } else if (what == 3 && index < n) {
        touched += leaf_replace_run(page, page_size, index, 1, value_size);
    } else if (what == 4) {
        leaf_remove(page, page_size, index, choose(choices, n - index + 1));
    } else {
        leaf_compact(page, page_size);
    }
}

static void fuzz_leaf_append(const void *page, size_t page_size, struct choices *choices)
{
    uint8_t *to = aligned_alloc(8, page_size);
    unsigned first = choose(choices, leaf_count(page) + 1);
    unsigned count = choose(choices, leaf_count(page) - first + 1);

    FUZZ_PROMISE(to != NULL);
    page_init(to, page_size, PAGE_LEAF, 0, FUZZ_PGNO, 1, 1);
    FUZZ_PROMISE(leaf_append(to, page_size, page, first, count));
    FUZZ_PROMISE(leaf_bytes(to, 0, count) == leaf_bytes(page, first, count));
    page_seal(to, page_size);
    FUZZ_PROMISE(page_check(to, page_size, FUZZ_PGNO, NULL) == BTS_OK);
    free(to);
}

/* ---- inner --------------------------------------------------------------- */

static void fuzz_inner_search(const void *page, const void *key, size_t key_size)
{
    FUZZ_PROMISE(inner_search(page, key, key_size) <= inner_count(page));
}

static void fuzz_inner_read(const void *page, size_t page_size)
{
    uint8_t *separator = malloc(page_key_max(page_size));

    FUZZ_PROMISE(separator != NULL);
    for (unsigned i = 0; i < inner_count(page); i++) {
        size_t size = inner_separator(page, i, separator);
        touched += touch(separator, size);
        FUZZ_PROMISE(inner_children(page)[i] != PGNO_NONE);
        if (i < 40) {
            fuzz_inner_search(page, separator, size);
            fuzz_inner_search(page, separator, size / 2);
        }
    }
    FUZZ_PROMISE(inner_used_bytes(page, page_size) <= page_size);
    fuzz_inner_search(page, "user:00001234", 13);
    fuzz_inner_search(page, "", 0);
    free(separator);
}

static void fuzz_inner_change(void *page, size_t page_size, struct choices *choices)
{
    static uint8_t key[FUZZ_KEY_MAX];
    unsigned n = inner_count(page);
    unsigned index = choose(choices, n + 1);
    size_t size = 1 + choose(choices, (unsigned)page_key_max(page_size));
    unsigned what = choose(choices, 4);

    memset(key, (int)index, sizeof(key));
    if (index < n && choose(choices, 2) == 1) {
        size_t shared = inner_separator(page, index, key);
        size = size > shared ? size : shared + (shared == 0);
    }
    if (what == 0) {
        touched += inner_insert(page, page_size, index, key, size, 1);
    } else if (what == 1 && index < n) {
        touched += inner_replace_separator(page, page_size, index, key, size);
    } else if (what == 2 && n > 0) {
        inner_remove_child(page, page_size, index);
    } else {
        inner_set_child(page, index, 1);
    }
}

static void fuzz_inner_copy(const void *page, size_t page_size, struct choices *choices)
{
    uint8_t *to = aligned_alloc(8, page_size);
    unsigned first = choose(choices, inner_count(page) + 1);
    unsigned count = choose(choices, inner_count(page) - first + 1);

    FUZZ_PROMISE(to != NULL);
    page_init(to, page_size, PAGE_INNER, 1, FUZZ_PGNO, 1, 1);
    inner_copy(to, page_size, page, first, count);
    page_seal(to, page_size);
    FUZZ_PROMISE(page_check(to, page_size, FUZZ_PGNO, NULL) == BTS_OK);
    FUZZ_PROMISE(inner_count(to) == count);
    free(to);
}

/* ---- any page ------------------------------------------------------------ */

static void fuzz_read(const void *page, size_t page_size)
{
    unsigned type = ((const struct page_header *)page)->type;

    if (type == PAGE_LEAF) {
        touched += leaf_check_deep(page, page_size, NULL) == BTS_OK;
        fuzz_leaf_read(page);
    } else if (type == PAGE_INNER) {
        touched += inner_check_deep(page, page_size, NULL) == BTS_OK;
        fuzz_inner_read(page, page_size);
    } else if (type == PAGE_RUN) {
        uint64_t length = ((const struct page_header *)page)->run_length;
        touched += touch((const uint8_t *)page + PAGE_HEADER_SIZE, length);
    }
}

/* Changes the page as the choices say; it passes the checks all the time. */
static void fuzz_change(void *page, size_t page_size, struct choices *choices)
{
    unsigned type = ((const struct page_header *)page)->type;

    for (unsigned i = 0; i < FUZZ_CHANGES_MAX && choices->at < choices->end; i++) {
        if (type == PAGE_LEAF) {
            fuzz_leaf_change(page, page_size, choices);
            fuzz_leaf_append(page, page_size, choices);
        } else {
            fuzz_inner_change(page, page_size, choices);
            fuzz_inner_copy(page, page_size, choices);
        }
        page_seal(page, page_size);
        FUZZ_PROMISE(page_check(page, page_size, FUZZ_PGNO, NULL) == BTS_OK);
        FUZZ_PROMISE(page_check_edit(page, page_size, NULL) == BTS_OK);
    }
    fuzz_read(page, page_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t page_size = size >= PAGE_SIZE_MAX ? PAGE_SIZE_MAX : PAGE_SIZE_MIN;
    struct bts_error error = {BTS_OK, ""};
    uint8_t *page;
    enum bts_status status;

    if (size < page_size) {
        return 0;
    }
    page = aligned_alloc(8, page_size);
    FUZZ_PROMISE(page != NULL);
    memcpy(page, data, page_size);
    ((struct page_header *)page)->pgno = FUZZ_PGNO;
    page_seal(page, page_size);
    status = page_check(page, page_size, FUZZ_PGNO, &error);
    if (status == BTS_OK) {
        unsigned type = ((struct page_header *)page)->type;
        struct choices choices = {data + page_size, data + size};
        fuzz_read(page, page_size);
        if ((type == PAGE_LEAF || type == PAGE_INNER) &&
            page_check_edit(page, page_size, &error) == BTS_OK) {
            fuzz_change(page, page_size, &choices);
        }
    } else {
        FUZZ_PROMISE(status == BTS_DAMAGED || status == BTS_VERSION);
        FUZZ_PROMISE(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
    }
    free(page);
    return 0;
}

/* ---- seeds --------------------------------------------------------------- */

static void fuzz_seed_leaf(uint8_t *page, size_t page_size, unsigned count)
{
    page_init(page, page_size, PAGE_LEAF, 0, FUZZ_PGNO, 1, 1);
    for (unsigned i = 0; i < count; i++) {
        char key[24];
        int size = snprintf(key, sizeof(key), "user:%08u", i);
        bool done = i % 10 == 9
                        ? leaf_insert_run(page, page_size, i, key, (size_t)size, 500, 70000)
                        : leaf_insert(page, page_size, i, key, (size_t)size, key, i % 13);
        FUZZ_PROMISE(done);
    }
    leaf_remove(page, page_size, count / 3, count / 7);
}

static void fuzz_seed_inner(uint8_t *page, size_t page_size, unsigned count)
{
    static const char *const formats[] = {"user:%03u", "user:%06u", "user:%09u"};
    const pgno_t first = 12;

    page_init(page, page_size, PAGE_INNER, 1, FUZZ_PGNO, 1, 1);
    FUZZ_PROMISE(inner_build(page, page_size, NULL, &first, 0));
    for (unsigned i = 0; i < count; i++) {
        char key[24];
        int size = snprintf(key, sizeof(key), formats[count % 3], i);
        FUZZ_PROMISE(inner_insert(page, page_size, i, key, (size_t)size, 20 + i));
    }
    for (unsigned i = 0; i < count / 7; i++) {
        inner_remove_child(page, page_size, i);
    }
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    static const unsigned counts[] = {0, 1, 2, 3, 10, 40, 101};
    size_t page_size = index >= 16 ? PAGE_SIZE_MAX : PAGE_SIZE_MIN;
    unsigned count = counts[index / 2 % 7];

    if (index >= 20) {
        return 0;
    }
    if (index == 15) {
        page_init(out, page_size, PAGE_RUN, 0, FUZZ_PGNO, 1, 1);
        ((struct page_header *)out)->run_length = 1000;
    } else if (index % 2 == 0) {
        fuzz_seed_leaf(out, page_size, count);
    } else {
        fuzz_seed_inner(out, page_size, count);
    }
    for (size_t i = 0; i < 200; i++) {
        out[page_size + i] = (uint8_t)(i * 37 + index * 11);
    }
    return page_size + 200;
}
