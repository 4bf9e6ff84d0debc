/* SPDX-License-Identifier: MIT */
/*
 * leaf_edit: a leaf is a sorted array, against a plain model of one.  Random
 * steps go to both; a page must take an entry exactly when it has the room.
 */
#include "node_pages.h"
#include "random_keys.h"

/* ---- a model: sorted entries in plain memory ----------------------------- */

#define MODEL_MAX 9000
#define MODEL_VALUE_MAX 1024

struct model_entry {
    size_t key_size;
    size_t value_size;
    pgno_t run; /* not 0: the value is value_size bytes there */
    uint8_t *bytes;
};

struct model {
    unsigned n;
    struct model_entry entries[MODEL_MAX];
};

static struct model model;

static void model_clear(void)
{
    for (unsigned i = 0; i < model.n; i++) {
        free(model.entries[i].bytes);
    }
    model.n = 0;
}

static struct model_entry model_make(const uint8_t *key, size_t key_size, const uint8_t *value,
                                     size_t value_size, pgno_t run)
{
    struct model_entry entry = {key_size, value_size, run, NULL};

    entry.bytes = malloc(key_size + (run != 0 ? 0 : value_size));
    ck_assert_ptr_nonnull(entry.bytes);
    memcpy(entry.bytes, key, key_size);
    if (run == 0) {
        memcpy(entry.bytes + key_size, value, value_size);
    }
    return entry;
}

static unsigned model_lower_bound(const uint8_t *key, size_t key_size, bool *found)
{
    unsigned i = 0;
    int order = 1;

    while (i < model.n) {
        const struct model_entry *entry = &model.entries[i];
        order = bytes_compare(entry->bytes, entry->key_size, key, key_size);
        if (order >= 0) {
            break;
        }
        i++;
    }
    *found = i < model.n && order == 0;
    return i;
}

static size_t model_entry_bytes(const struct model_entry *entry)
{
    return leaf_entry_size(entry->key_size, entry->run != 0 ? 12 : entry->value_size);
}

static size_t model_bytes(void)
{
    size_t bytes = model.n % 2;

    for (unsigned i = 0; i < model.n; i++) {
        bytes += model_entry_bytes(&model.entries[i]);
    }
    return bytes;
}

/* ---- the page against it -------------------------------------------------- */

static bool leaf_put(void *page, size_t page_size, const char *key, const char *value)
{
    bool found;
    unsigned index = leaf_lower_bound(page, key, strlen(key), &found);

    if (found) {
        return leaf_replace(page, page_size, index, value, strlen(value));
    }
    return leaf_insert(page, page_size, index, key, strlen(key), value, strlen(value));
}

static void leaf_assert_entry(const void *page, unsigned index)
{
    const struct model_entry *expected = &model.entries[index];
    struct leaf_entry entry = leaf_entry_at(page, index);
    bool found;

    ck_assert_mem_eq(entry.key, expected->bytes, expected->key_size);
    ck_assert_uint_eq(entry.key_size, expected->key_size);
    ck_assert_uint_eq(entry.value_size, expected->value_size);
    ck_assert_int_eq(entry.is_run, expected->run != 0);
    ck_assert_uint_eq(entry.run_pgno, expected->run);
    ck_assert((entry.value == NULL) == entry.is_run);
    if (!entry.is_run) {
        ck_assert(memcmp(entry.value, expected->bytes + expected->key_size,
                         expected->value_size) == 0);
    }
    ck_assert_int_eq(leaf_find(page, expected->bytes, expected->key_size), (int)index);
    ck_assert_uint_eq(leaf_lower_bound(page, expected->bytes, expected->key_size, &found), index);
    ck_assert(found);
}

static void leaf_assert_is_model(const void *page, size_t page_size)
{
    leaf_assert_sound(page, page_size);
    ck_assert_uint_eq(leaf_count(page), model.n);
    for (unsigned i = 0; i < model.n; i++) {
        leaf_assert_entry(page, i);
    }
    ck_assert_uint_eq(leaf_free_bytes(page, page_size),
                      page_size - PAGE_HEADER_SIZE - model_bytes());
    ck_assert_uint_eq(leaf_bytes(page, 0, model.n), model_bytes() - model.n % 2);
}

/* ---- random steps, each done to both ------------------------------------- */

struct steps {
    struct random random;
    enum random_keys kind;
    size_t page_size;
    uint8_t *page;
    unsigned refused;
};

/* Puts an entry; the page must take it exactly when the model still fits. */
static void steps_put(struct steps *steps, const uint8_t *key, size_t key_size)
{
    uint8_t value[MODEL_VALUE_MAX];
    size_t room = page_cell_max(steps->page_size) - 4 - key_size;
    size_t most = random_below(&steps->random, 8) == 0 ? 1000 : 40;
    size_t value_size = random_below(&steps->random, (room < most ? room : most) + 1);
    pgno_t run = random_below(&steps->random, 10) == 0 ? 77 : 0;
    bool found;
    unsigned index = model_lower_bound(key, key_size, &found);
    unsigned moved = model.n - index;
    struct model_entry old = model.entries[index];
    bool done;

    random_bytes(&steps->random, value, value_size);
    value_size = run != 0 ? value_size + 100000 : value_size;
    if (found && run == 0) {
        done = leaf_replace(steps->page, steps->page_size, index, value, value_size);
    } else if (found) {
        done = leaf_replace_run(steps->page, steps->page_size, index, run, value_size);
    } else if (run == 0) {
        done = leaf_insert(steps->page, steps->page_size, index, key, key_size, value, value_size);
    } else {
        done = leaf_insert_run(steps->page, steps->page_size, index, key, key_size, run,
                               value_size);
    }
    if (!found) {
        memmove(&model.entries[index + 1], &model.entries[index], moved * sizeof(old));
        model.n++;
    }
    model.entries[index] = model_make(key, key_size, value, value_size, run);
    ck_assert_int_eq(done, model_bytes() <= steps->page_size - PAGE_HEADER_SIZE);
    if (done && found) {
        free(old.bytes);
    } else if (!done) {
        free(model.entries[index].bytes);
        model.entries[index] = old;
        if (!found) {
            memmove(&model.entries[index], &model.entries[index + 1], moved * sizeof(old));
            model.n--;
        }
        steps->refused++;
    }
}

static void steps_remove(struct steps *steps)
{
    unsigned first = (unsigned)random_below(&steps->random, model.n + 1);
    unsigned most = random_below(&steps->random, 30) == 0 ? model.n : 3;
    unsigned count = (unsigned)random_below(&steps->random, most + 1);

    count = count < model.n - first ? count : model.n - first;
    leaf_remove(steps->page, steps->page_size, first, count);
    for (unsigned i = first; i < first + count; i++) {
        free(model.entries[i].bytes);
    }
    memmove(&model.entries[first], &model.entries[first + count],
            (model.n - first - count) * sizeof(model.entries[0]));
    model.n -= count;
}

static void steps_look_up(struct steps *steps, const uint8_t *key, size_t key_size)
{
    bool found;
    bool expected;
    unsigned index = model_lower_bound(key, key_size, &expected);

    ck_assert_uint_eq(leaf_lower_bound(steps->page, key, key_size, &found), index);
    ck_assert_int_eq(found, expected);
    ck_assert_int_eq(leaf_find(steps->page, key, key_size), expected ? (int)index : -1);
}

/* Checks the page after every `check_every` steps, and every entry now and then. */
static void steps_run(struct steps *steps, unsigned count, unsigned check_every)
{
    uint8_t key[RANDOM_KEY_MAX];

    for (unsigned step = 0; step < count; step++) {
        size_t key_size = random_key(&steps->random, steps->kind,
                                     page_key_max(steps->page_size), key);
        steps_look_up(steps, key, key_size);
        if (random_below(&steps->random, 100) < 80) {
            steps_put(steps, key, key_size);
        } else {
            steps_remove(steps);
        }
        if (random_below(&steps->random, 200) == 0) {
            leaf_compact(steps->page, steps->page_size);
        }
        if (step % check_every == 0) {
            leaf_assert_sound(steps->page, steps->page_size);
        }
        if (step % (16 * check_every) == 0) {
            leaf_assert_is_model(steps->page, steps->page_size);
        }
    }
    leaf_assert_is_model(steps->page, steps->page_size);
}

START_TEST(a_small_leaf_is_a_sorted_array)
{
    unsigned refused = 0;

    for (enum random_keys kind = 0; kind < RANDOM_KEYS_KINDS; kind++) {
        struct steps steps = {{kind + 1}, kind, 4096, leaf_new(4096), 0};
        steps_run(&steps, UNIT_ROUNDS(2000), 1);
        model_clear();
        free(steps.page);
        refused += steps.refused;
    }
    ck_assert_uint_gt(refused, UNIT_ROUNDS(500));
}
END_TEST

START_TEST(a_large_leaf_is_a_sorted_array)
{
    for (enum random_keys kind = 0; kind < RANDOM_KEYS_KINDS; kind++) {
        struct steps steps = {{kind + 11}, kind, 65536, leaf_new(65536), 0};
        steps_run(&steps, UNIT_ROUNDS(2500), 50);
        model_clear();
        free(steps.page);
    }
}
END_TEST

/* ---- splits and merges --------------------------------------------------- */

static void leaf_fill(uint8_t *page, size_t page_size, struct random *random)
{
    uint8_t key[RANDOM_KEY_MAX];
    bool found;
    unsigned index;
    size_t size;

    do {
        size = random_key(random, RANDOM_KEYS_URLS, 996, key);
        index = leaf_lower_bound(page, key, size, &found);
    } while (found || leaf_insert(page, page_size, index, key, size, key, size));
}

START_TEST(halves_of_a_leaf_append_to_the_whole_again)
{
    struct random random = {5};

    for (unsigned round = 0; round < 200; round++) {
        uint8_t *whole = leaf_new(4096);
        uint8_t *part = leaf_new(4096);
        leaf_fill(whole, 4096, &random);
        unsigned n = leaf_count(whole);
        unsigned left = (unsigned)random_below(&random, n + 1);
        ck_assert(leaf_append(part, 4096, whole, 0, left));
        leaf_assert_sound(part, 4096);
        ck_assert_uint_eq(leaf_bytes(part, 0, left), leaf_bytes(whole, 0, left));
        ck_assert(leaf_append(part, 4096, whole, left, n - left));
        leaf_assert_sound(part, 4096);
        ck_assert_uint_eq(leaf_count(part), n);
        ck_assert_uint_eq(leaf_free_bytes(part, 4096), leaf_free_bytes(whole, 4096));
        for (unsigned i = 0; i < n; i++) {
            struct leaf_entry a = leaf_entry_at(whole, i);
            struct leaf_entry b = leaf_entry_at(part, i);
            ck_assert_uint_eq(a.key_size, b.key_size);
            ck_assert_mem_eq(a.key, b.key, a.key_size);
            ck_assert_mem_eq(a.value, b.value, a.value_size);
        }
        free(whole);
        free(part);
    }
}
END_TEST

START_TEST(an_append_that_does_not_fit_changes_nothing)
{
    struct random random = {6};
    uint8_t *full = leaf_new(4096);
    uint8_t *small = leaf_new(4096);
    uint8_t before[4096];
    char value[1001];

    memset(value, 'v', 1000);
    value[1000] = '\0';
    leaf_fill(full, 4096, &random);
    ck_assert(leaf_put(small, 4096, "a", value));
    memcpy(before, small, sizeof(before));
    ck_assert(!leaf_append(small, 4096, full, 0, leaf_count(full)));
    ck_assert_mem_eq(small, before, sizeof(before));
    ck_assert(leaf_append(small, 4096, full, 0, leaf_count(full) / 2));
    leaf_assert_sound(small, 4096);
    free(full);
    free(small);
}
END_TEST

START_TEST(an_append_uses_dead_bytes)
{
    uint8_t *to = leaf_new(4096);
    uint8_t *from = leaf_new(4096);
    char value[1001];

    memset(value, 'v', 1000);
    value[1000] = '\0';
    ck_assert(leaf_put(to, 4096, "a", value) && leaf_put(to, 4096, "b", value));
    ck_assert(leaf_put(to, 4096, "c", value) && leaf_put(to, 4096, "d", value));
    ck_assert(leaf_put(from, 4096, "x", value) && leaf_put(from, 4096, "y", value));
    leaf_remove(to, 4096, 0, 2);
    ck_assert_uint_gt(((struct page_header *)to)->dead, 2000);
    ck_assert(leaf_append(to, 4096, from, 0, 2));
    leaf_assert_sound(to, 4096);
    ck_assert_int_eq(leaf_find(to, "y", 1), 3);
    free(to);
    free(from);
}
END_TEST

START_TEST(four_of_the_largest_cells_fit)
{
    for (size_t page_size = PAGE_SIZE_MIN; page_size <= PAGE_SIZE_MAX; page_size *= 2) {
        uint8_t *page = leaf_new(page_size);
        size_t key_size = page_key_max(page_size);
        uint8_t *key = calloc(1, key_size);
        ck_assert_ptr_nonnull(key);
        for (unsigned i = 0; i < 4; i++) {
            key[0] = (uint8_t)i;
            ck_assert(leaf_value_fits(page_size, key_size, 12));
            ck_assert(!leaf_value_fits(page_size, key_size, 13));
            ck_assert(leaf_insert(page, page_size, i, key, key_size, "123456789012", 12));
            leaf_assert_sound(page, page_size);
        }
        free(key);
        free(page);
    }
    ck_assert_uint_eq(page_key_max(4096), 996);
    ck_assert(!leaf_value_fits(4096, 4, UINT64_MAX));
}
END_TEST

START_TEST(a_leaf_is_empty_again_after_its_last_entry)
{
    uint8_t *page = leaf_new(65536);
    uint8_t *fresh = leaf_new(65536);

    ck_assert(leaf_put(page, 65536, "b", "2") && leaf_put(page, 65536, "a", "1"));
    leaf_remove(page, 65536, 1, 1);
    leaf_remove(page, 65536, 0, 0);
    leaf_remove(page, 65536, 0, 1);
    ck_assert_mem_eq(page, fresh, 65536);
    ck_assert_int_eq(leaf_find(page, "a", 1), -1);
    free(page);
    free(fresh);
}
END_TEST

START_TEST(what_was_deleted_is_not_kept)
{
    uint8_t *page = leaf_new(4096);

    ck_assert(leaf_put(page, 4096, "a", "first") && leaf_put(page, 4096, "b", "top-secret"));
    ck_assert(leaf_put(page, 4096, "c", "last") && leaf_put(page, 4096, "d", "hidden"));
    leaf_remove(page, 4096, 1, 1);
    ck_assert(leaf_put(page, 4096, "d", "h"));
    ck_assert_ptr_null(memmem(page, 4096, "secret", 6));
    ck_assert_ptr_null(memmem(page, 4096, "idden", 5));
    leaf_assert_sound(page, 4096);
    free(page);
}
END_TEST

int main(void)
{
    return UNIT_RUN("leaf_edit", a_small_leaf_is_a_sorted_array, a_large_leaf_is_a_sorted_array,
                    halves_of_a_leaf_append_to_the_whole_again,
                    an_append_that_does_not_fit_changes_nothing, an_append_uses_dead_bytes,
                    four_of_the_largest_cells_fit, a_leaf_is_empty_again_after_its_last_entry,
                    what_was_deleted_is_not_kept);
}
