/* SPDX-License-Identifier: MIT */
/*
 * inner_edit: separators and children in one page, against a plain model of
 * them.  Random steps go to both; a page may refuse a separator only when a
 * page built from all of them would not fit.
 */
#include "node_pages.h"
#include "random_keys.h"

/* ---- a model: sorted separators and their children ----------------------- */

#define MODEL_MAX 6600

struct model {
    unsigned n;
    struct inner_key separators[MODEL_MAX];
    pgno_t children[MODEL_MAX + 1];
};

static struct model model;

static void model_clear(void)
{
    for (unsigned i = 0; i < model.n; i++) {
        free((void *)model.separators[i].data);
    }
    model.n = 0;
    model.children[0] = 1000;
}

static struct inner_key model_key(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, size);
    return (struct inner_key){copy, size};
}

static int model_order(unsigned index, const uint8_t *key, size_t size)
{
    return bytes_compare(model.separators[index].data, model.separators[index].size, key, size);
}

/* How many separators are <= the key: which child holds it. */
static unsigned model_search(const uint8_t *key, size_t size)
{
    unsigned i = 0;

    while (i < model.n && model_order(i, key, size) <= 0) {
        i++;
    }
    return i;
}

static void model_insert(unsigned index, struct inner_key separator, pgno_t right)
{
    memmove(&model.separators[index + 1], &model.separators[index],
            (model.n - index) * sizeof(separator));
    memmove(&model.children[index + 2], &model.children[index + 1],
            (model.n - index) * sizeof(right));
    model.separators[index] = separator;
    model.children[index + 1] = right;
    model.n++;
}

static void model_remove(unsigned separator, unsigned child)
{
    free((void *)model.separators[separator].data);
    memmove(&model.separators[separator], &model.separators[separator + 1],
            (model.n - separator - 1) * sizeof(model.separators[0]));
    memmove(&model.children[child], &model.children[child + 1],
            (model.n - child) * sizeof(model.children[0]));
    model.n--;
}

/* ---- the page against it -------------------------------------------------- */

/* Whether the page holds what the model holds from `first` on. */
static void inner_assert_is_model(const void *page, size_t page_size, unsigned first,
                                  unsigned count)
{
    uint8_t *separator = malloc(page_key_max(page_size));

    ck_assert_ptr_nonnull(separator);
    inner_assert_sound(page, page_size);
    ck_assert_uint_eq(inner_count(page), count);
    ck_assert_uint_eq(inner_children(page)[0], model.children[first]);
    for (unsigned i = 0; i < count; i++) {
        const struct inner_key *expected = &model.separators[first + i];
        ck_assert_uint_eq(inner_separator(page, i, separator), expected->size);
        ck_assert(memcmp(separator, expected->data, expected->size) == 0);
        ck_assert_uint_eq(inner_children(page)[i + 1], model.children[first + i + 1]);
        ck_assert_uint_eq(inner_search(page, expected->data, expected->size), i + 1);
    }
    free(separator);
}

/* ---- random steps, each done to both ------------------------------------- */

struct steps {
    struct random random;
    enum random_keys kind;
    size_t page_size;
    uint8_t *page;
    unsigned refused;
};

static pgno_t steps_child(struct steps *steps)
{
    return 1 + (pgno_t)random_below(&steps->random, UINT32_MAX);
}

/* The page must take a separator exactly when a page built from all would fit. */
static void steps_insert(struct steps *steps, const uint8_t *key, size_t size)
{
    unsigned index = model_search(key, size);
    pgno_t right = steps_child(steps);
    bool done;

    if (index > 0 && model_order(index - 1, key, size) == 0) {
        return;
    }
    done = inner_insert(steps->page, steps->page_size, index, key, size, right);
    model_insert(index, model_key(key, size), right);
    if (!done) {
        ck_assert_uint_gt(inner_built_size(model.separators, model.n), steps->page_size);
        model_remove(index, index + 1);
        steps->refused++;
    }
}

static void steps_replace(struct steps *steps, const uint8_t *key, size_t size)
{
    unsigned index = model_search(key, size);
    struct inner_key old;

    if (index == model.n) {
        return;
    }
    if (index > 0 && model_order(index - 1, key, size) == 0) {
        index--;
    }
    old = model.separators[index];
    model.separators[index] = model_key(key, size);
    if (inner_replace_separator(steps->page, steps->page_size, index, key, size)) {
        free((void *)old.data);
        return;
    }
    ck_assert_uint_gt(inner_built_size(model.separators, model.n), steps->page_size);
    free((void *)model.separators[index].data);
    model.separators[index] = old;
    steps->refused++;
}

static void steps_remove(struct steps *steps)
{
    unsigned most = random_below(&steps->random, 40) == 0 ? model.n : 2;

    for (uint64_t left = random_below(&steps->random, most + 1); left > 0 && model.n > 0; left--) {
        unsigned child = (unsigned)random_below(&steps->random, model.n + 1);
        inner_remove_child(steps->page, steps->page_size, child);
        model_remove(child > 0 ? child - 1 : 0, child);
    }
}

static void steps_change_child(struct steps *steps)
{
    unsigned index = (unsigned)random_below(&steps->random, model.n + 1);

    model.children[index] = steps_child(steps);
    inner_set_child(steps->page, index, model.children[index]);
}

/* A range of the page, copied, fits and is the same range. */
static void steps_copy(struct steps *steps)
{
    uint8_t *part = inner_new(steps->page_size);
    unsigned first = (unsigned)random_below(&steps->random, model.n + 1);
    unsigned count = (unsigned)random_below(&steps->random, model.n - first + 1);

    inner_copy(part, steps->page_size, steps->page, first, count);
    inner_assert_is_model(part, steps->page_size, first, count);
    ck_assert_uint_eq(inner_used_bytes(part, steps->page_size),
                      inner_built_size(model.separators + first, count));
    free(part);
}

static void steps_run(struct steps *steps, unsigned count, unsigned check_every)
{
    uint8_t key[RANDOM_KEY_MAX];

    for (unsigned step = 0; step < count; step++) {
        size_t size = random_key(&steps->random, steps->kind, page_key_max(steps->page_size), key);
        uint64_t choice = random_below(&steps->random, 100);
        ck_assert_uint_eq(inner_search(steps->page, key, size), model_search(key, size));
        if (choice < 70) {
            steps_insert(steps, key, size);
        } else if (choice < 80) {
            steps_replace(steps, key, size);
        } else if (choice < 85) {
            steps_change_child(steps);
        } else if (choice < 99) {
            steps_remove(steps);
        } else {
            steps_copy(steps);
        }
        if (step % check_every == 0) {
            inner_assert_sound(steps->page, steps->page_size);
        }
        if (step % (16 * check_every) == 0) {
            inner_assert_is_model(steps->page, steps->page_size, 0, model.n);
        }
        ck_assert_uint_ge(inner_used_bytes(steps->page, steps->page_size),
                          step % 16 != 0 ? 0 : inner_built_size(model.separators, model.n));
    }
    inner_assert_is_model(steps->page, steps->page_size, 0, model.n);
}

START_TEST(a_small_inner_page_leads_like_its_separators)
{
    unsigned refused = 0;

    for (enum random_keys kind = 0; kind < RANDOM_KEYS_KINDS; kind++) {
        struct steps steps = {{kind + 1}, kind, 4096, inner_new(4096), 0};
        model_clear();
        steps_run(&steps, UNIT_ROUNDS(1500), 1);
        model_clear();
        free(steps.page);
        refused += steps.refused;
    }
    ck_assert_uint_gt(refused, 100);
}
END_TEST

START_TEST(a_large_inner_page_leads_like_its_separators)
{
    for (enum random_keys kind = 0; kind < RANDOM_KEYS_KINDS; kind++) {
        struct steps steps = {{kind + 11}, kind, 65536, inner_new(65536), 0};
        model_clear();
        steps_run(&steps, UNIT_ROUNDS(1500), 50);
        model_clear();
        free(steps.page);
    }
}
END_TEST

/* ---- building ------------------------------------------------------------ */

/* Sorted separators of one kind into the model. */
static void model_fill(struct random *random, enum random_keys kind, unsigned count)
{
    uint8_t key[RANDOM_KEY_MAX];

    model_clear();
    for (unsigned i = 0; i < count; i++) {
        size_t size = random_key(random, kind, 996, key);
        unsigned index = model_search(key, size);
        if (index == 0 || model_order(index - 1, key, size) != 0) {
            model_insert(index, model_key(key, size), i + 1);
        }
    }
}

START_TEST(a_page_is_built_exactly_when_its_size_fits)
{
    struct random random = {21};
    unsigned built = 0;

    for (unsigned round = 0; round < 300; round++) {
        model_fill(&random, round % RANDOM_KEYS_KINDS, 1 + (unsigned)random_below(&random, 300));
        uint8_t *page = inner_new(4096);
        size_t size = inner_built_size(model.separators, model.n);
        bool fits = inner_build(page, 4096, model.separators, model.children, model.n);
        ck_assert_int_eq(fits, size <= 4096);
        if (fits) {
            inner_assert_is_model(page, 4096, 0, model.n);
            ck_assert_uint_eq(inner_used_bytes(page, 4096), size);
            built++;
        } else {
            ck_assert_uint_eq(inner_count(page), 0);
            inner_assert_sound(page, 4096);
        }
        free(page);
    }
    ck_assert_uint_gt(built, 100);
    ck_assert_uint_lt(built, 290);
    model_clear();
}
END_TEST

/*
 * 405 separators of 8 + 4 bytes leave 2 bytes.  Once the only one without the
 * ninth byte is gone, all share 9 bytes: a prefix of 9 would take 4 bytes
 * more, for padding, and shorten no tail.
 */
START_TEST(a_full_page_fits_when_rebuilt_with_a_longer_prefix)
{
    uint8_t *page = inner_new(4096);
    uint8_t *copy = inner_new(4096);
    uint8_t key[12] = "usernamea";

    for (unsigned i = 0; i < 404; i++) {
        key[10] = (uint8_t)(i >> 8);
        key[11] = (uint8_t)i;
        ck_assert(inner_insert(page, 4096, i, key, 12, 5));
    }
    ck_assert(inner_insert(page, 4096, 404, "usernameb", 9, 5));
    ck_assert_uint_eq(inner_used_bytes(page, 4096), 4094);
    ck_assert_uint_eq(inner_prefix_size(page), 8);
    ck_assert(inner_replace_separator(page, 4096, 404, "usernameab", 10));
    inner_copy(copy, 4096, page, 0, 405);
    inner_assert_sound(copy, 4096);
    ck_assert_uint_eq(inner_used_bytes(copy, 4096), 4094);
    ck_assert(!inner_insert(copy, 4096, 405, "usernameac", 10, 5));
    ck_assert(inner_replace_separator(copy, 4096, 404, "usernameabcd", 12));
    ck_assert(!inner_replace_separator(copy, 4096, 404, "usernameabcde", 13));
    inner_assert_sound(copy, 4096);
    free(page);
    free(copy);
}
END_TEST

/* As many separators as the digits say, which share `shared` bytes and have 5 more. */
static size_t size_of_separators(const char *digits, size_t shared)
{
    uint8_t keys[10][32];
    struct inner_key separators[10];
    unsigned n = (unsigned)strlen(digits);

    for (unsigned i = 0; i < n; i++) {
        memset(keys[i], 's', sizeof(keys[i]));
        keys[i][shared] = (uint8_t)digits[i];
        separators[i] = (struct inner_key){keys[i], shared + 5};
    }
    return inner_built_size(separators, n);
}

/* With a prefix of 8, each tail takes a byte more than with 9, but the prefix 4 less. */
START_TEST(the_cheaper_of_two_prefixes_is_taken)
{
    ck_assert_uint_eq(size_of_separators("123", 9), inner_arrays_end(8, 3) + 3 * 8);
    ck_assert_uint_eq(size_of_separators("1234", 9), inner_arrays_end(9, 4) + 4 * 7);
    ck_assert_uint_eq(size_of_separators("12345", 9), inner_arrays_end(9, 5) + 5 * 7);
    ck_assert_uint_eq(size_of_separators("123", 8), inner_arrays_end(8, 3) + 3 * 7);
}
END_TEST

START_TEST(the_last_child_is_left_in_an_empty_page)
{
    uint8_t *page = inner_new(4096);
    uint8_t *fresh = inner_new(4096);

    ck_assert(inner_insert(page, 4096, 0, "user:long separator", 19, 5));
    ck_assert(inner_insert(page, 4096, 1, "user:other", 10, 6));
    inner_remove_child(page, 4096, 2);
    inner_remove_child(page, 4096, 1);
    ck_assert_mem_eq(page, fresh, 4096);
    free(page);
    free(fresh);
}
END_TEST

START_TEST(three_of_the_longest_separators_fit)
{
    for (size_t page_size = PAGE_SIZE_MIN; page_size <= PAGE_SIZE_MAX; page_size *= 2) {
        uint8_t *page = inner_new(page_size);
        size_t size = page_key_max(page_size);
        uint8_t *key = calloc(1, size);
        ck_assert_ptr_nonnull(key);
        for (unsigned i = 0; i < 3; i++) {
            key[0] = (uint8_t)i;
            ck_assert(inner_insert(page, page_size, i, key, size, 5));
            inner_assert_sound(page, page_size);
        }
        free(key);
        free(page);
    }
}
END_TEST

int main(void)
{
    return UNIT_RUN("inner_edit", a_small_inner_page_leads_like_its_separators,
                    a_large_inner_page_leads_like_its_separators,
                    a_page_is_built_exactly_when_its_size_fits,
                    a_full_page_fits_when_rebuilt_with_a_longer_prefix,
                    the_cheaper_of_two_prefixes_is_taken,
                    the_last_child_is_left_in_an_empty_page, three_of_the_longest_separators_fit);
}
