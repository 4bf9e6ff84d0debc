/* SPDX-License-Identifier: MIT */
/*
 * gather: many batches in the order of their keys leave what they leave one
 * after the other.
 *
 * Two stores get the same batches: one by apply_batch, one at a time; the
 * other by gather_batch, and a gather_apply now and then.
 */
#include "tree/gather.h"

#include "base/bytes.h"
#include "format/batch.h"
#include "read/bucket.h"
#include "read/cursor.h"
#include "tree/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "writer_fixture.h"

#define PAGE 4096u
#define KEPT_MAX 4096u
#define NAMES 4u

static struct writer one_by_one;
static struct writer gathering;
static struct gather gather;
static struct batch batch;
static struct bts_error error;
static uint64_t seed;
static uint8_t *kept[KEPT_MAX]; /* the bytes of what is gathered */
static size_t kept_count;
static unsigned refused;
static const char *const names[NAMES] = {BTS_DEFAULT_BUCKET, "a", "b", "c"};

static void forget_kept(void)
{
    while (kept_count > 0)
        free(kept[--kept_count]);
}

static void begin(void)
{
    writer_begin(&one_by_one);
    writer_begin(&gathering);
}

static void start(uint64_t chosen, size_t private_max)
{
    seed = chosen;
    refused = 0;
    writer_open(&one_by_one, PAGE);
    writer_open(&gathering, PAGE);
    gather = (struct gather){.buckets = gathering.buckets,
                             .pages = gathering.pages,
                             .private_max = private_max};
    begin();
}

static unsigned random_below(unsigned end)
{
    return (unsigned)(writer_random(&seed) % end);
}

/* ---- batches ----------------------------------------------------------------- */

static void add(enum batch_type type, unsigned flags, const void *first, size_t first_size,
                const void *second, size_t second_size)
{
    ck_assert_int_eq(batch_add(&batch, type, flags, first, first_size, second, second_size, NULL),
                     BTS_OK);
}

static void add_put(const char *key, const char *value)
{
    add(BATCH_PUT, 0, key, strlen(key), value, strlen(value));
}

/* To both stores.  What the first one refuses the other never hears of, as in a log. */
static void give(void)
{
    size_t size;
    const uint8_t *bytes = batch_bytes(&batch, &size);

    if (apply_batch(one_by_one.buckets, one_by_one.pages, APPLY_LIVE, bytes, size, NULL, &error) !=
        BTS_OK) {
        refused++;
        batch_clear(&batch);
        return;
    }
    ck_assert_uint_lt(kept_count, KEPT_MAX);
    kept[kept_count] = malloc(size);
    memcpy(kept[kept_count], bytes, size);
    ck_assert_msg(gather_batch(&gather, kept[kept_count++], size, &error) == BTS_OK, "%s",
                  error.text);
    batch_clear(&batch);
}

/* ---- comparing --------------------------------------------------------------- */

static bool next_entry(struct cursor *cursor, bool first, struct bts_bytes *key,
                       struct bts_bytes *value)
{
    enum bts_status status = first ? cursor_first(cursor, key, value, &error)
                                   : cursor_next(cursor, key, value, &error);

    ck_assert(status == BTS_OK || status == BTS_END);
    return status == BTS_OK;
}

static void assert_same_bytes(const struct bts_bytes *a, const struct bts_bytes *b)
{
    ck_assert_uint_eq(a->size, b->size);
    ck_assert(a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void assert_same_tree(struct tree_view a_view, struct tree_view b_view)
{
    struct cursor a;
    struct cursor b;
    struct bts_bytes keys[2];
    struct bts_bytes values[2];
    bool more;

    cursor_init(&a, &a_view);
    cursor_init(&b, &b_view);
    more = next_entry(&a, true, &keys[0], &values[0]);
    ck_assert(next_entry(&b, true, &keys[1], &values[1]) == more);
    while (more) {
        assert_same_bytes(&keys[0], &keys[1]);
        assert_same_bytes(&values[0], &values[1]);
        more = next_entry(&a, false, &keys[0], &values[0]);
        ck_assert(next_entry(&b, false, &keys[1], &values[1]) == more);
    }
}

static void assert_same(void)
{
    for (unsigned i = 0; i < NAMES; i++) {
        struct tree_view a = writer_view(&one_by_one);
        struct tree_view b = writer_view(&gathering);
        struct bucket_record a_record;
        struct bucket_record b_record;
        enum bts_status status = bucket_find(&a, names[i], strlen(names[i]), &a_record, &error);

        ck_assert_int_eq(bucket_find(&b, names[i], strlen(names[i]), &b_record, &error), status);
        if (status != BTS_OK)
            continue;
        ck_assert_uint_eq(a_record.id, b_record.id);
        ck_assert_uint_eq(a_record.entry_count, b_record.entry_count);
        a.root = a_record.root;
        a.depth = a_record.depth;
        b.root = b_record.root;
        b.depth = b_record.depth;
        assert_same_tree(a, b);
    }
}

static void commit(void)
{
    ck_assert_msg(gather_apply(&gather, &error) == BTS_OK, "%s", error.text);
    ck_assert_uint_eq(gather.count, 0);
    forget_kept();
    writer_commit(&one_by_one);
    writer_commit(&gathering);
    writer_check(&gathering);
    assert_same();
}

static void finish(void)
{
    commit();
    gather_fini(&gather);
    writer_close(&one_by_one);
    writer_close(&gathering);
    batch_fini(&batch);
}

/* ---- random batches ---------------------------------------------------------- */

static size_t random_key(char key[300])
{
    unsigned number = random_below(2000);

    if (number % 7 == 0)
        return (size_t)sprintf(key, "%u", number);
    if (number % 7 == 1)
        return (size_t)sprintf(key, "user:%08u:and much more%*s", number, (int)(number % 200), "");
    return (size_t)sprintf(key, "user:%08u", number);
}

static void add_random_key_operation(void)
{
    static const unsigned modes[] = {0, 0, 0, BATCH_IF_ABSENT, BATCH_IF_PRESENT, BATCH_RETURN};
    static uint8_t value[6000];
    char key[300];
    size_t key_size = random_key(key);
    unsigned chance = random_below(100);
    size_t value_size = random_below(100) == 0 ? 5000 : random_below(400);

    if (chance < 60) {
        memset(value, (int)random_below(256), value_size);
        add(BATCH_PUT, modes[random_below(6)], key, key_size, value, value_size);
    } else if (chance < 80) {
        add(BATCH_DELETE, 0, key, key_size, NULL, 0);
    } else if (chance < 90) {
        uint8_t delta[8];
        key[0] = 'n'; /* mostly a number, then */
        bytes_store_u64(delta, random_below(1000));
        add(BATCH_INCREMENT, 0, key, key_size, delta, sizeof(delta));
    } else if (chance < 95) {
        add(BATCH_GET, 0, key, key_size, NULL, 0);
    } else {
        add(random_below(2) == 0 ? BATCH_REQUIRE_ABSENT : BATCH_REQUIRE_PRESENT, 0, key, key_size,
            NULL, 0);
    }
}

static void add_random_fence(void)
{
    const char *name = names[random_below(NAMES)];
    const char *other = names[random_below(NAMES)];
    char keys[2][300];
    size_t sizes[2] = {random_key(keys[0]), random_key(keys[1])};

    switch (random_below(6)) {
    case 0:
        add(BATCH_BUCKET_DROP, 0, name, strlen(name), NULL, 0);
        break;
    case 1:
        add(BATCH_BUCKET_RENAME, 0, name, strlen(name), other, strlen(other));
        break;
    case 2:
        add(BATCH_DELETE_RANGE, 0, keys[0], sizes[0], keys[1], sizes[1]);
        break;
    default:
        add(BATCH_BUCKET_CREATE, 0, name, strlen(name), NULL, 0);
        break;
    }
}

static void add_random_use(void)
{
    const char *name = names[random_below(NAMES)];
    uint8_t id[4];

    bytes_store_u32(id, random_below(8));
    if (random_below(4) == 0)
        add(BATCH_USE_ID, 0, NULL, 0, id, sizeof(id));
    else
        add(BATCH_USE, 0, name, strlen(name), NULL, 0);
}

START_TEST(batches_in_key_order_leave_what_they_leave_in_theirs)
{
    start(0x9e3779b97f4a7c15u, 16 * PAGE);
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i < 400; i++) {
            unsigned count = 1 + random_below(12);

            if (random_below(40) == 0)
                add_random_fence();
            for (unsigned k = 0; k < count; k++) {
                if (random_below(8) == 0)
                    add_random_use();
                add_random_key_operation();
            }
            give();
        }
        commit();
        begin();
    }
    ck_assert_uint_gt(refused, 0);
    finish();
}
END_TEST

/* More than is kept private, into a tree of many more leaves than are read at once. */
START_TEST(more_than_memory_takes_goes_to_the_file_on_the_way)
{
    char key[32];
    uint8_t value[100];

    start(1, 128 * PAGE);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 300; i++) {
            for (unsigned k = 0; k < 100; k++) {
                size_t key_size = (size_t)sprintf(key, "%08u", random_below(100000));
                memset(value, (int)(round + i), sizeof(value));
                add(BATCH_PUT, 0, key, key_size, value, sizeof(value));
            }
            give();
        }
        commit();
        begin();
    }
    finish();
}
END_TEST

/* ---- one key ------------------------------------------------------------------ */

START_TEST(operations_on_one_key_stay_in_their_order)
{
    uint8_t delta[8];

    start(1, 128 * PAGE);
    bytes_store_u64(delta, 5);
    add_put("n", "1");
    give();
    add(BATCH_INCREMENT, 0, "n", 1, delta, sizeof(delta));
    give();
    add_put("gone", "x");
    add_put("kept", "first");
    give();
    add(BATCH_DELETE, 0, "gone", 4, NULL, 0);
    add(BATCH_PUT, BATCH_IF_ABSENT, "kept", 4, "second", 6);
    add(BATCH_INCREMENT, 0, "n", 1, delta, sizeof(delta));
    give();
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_eq(gather.count, 7);
    finish();
}
END_TEST

/* "a" is before "a\0", though eight bytes of either are the same. */
START_TEST(keys_that_begin_alike_are_told_apart)
{
    start(1, 128 * PAGE);
    add(BATCH_PUT, 0, "a\0\0", 3, "3", 1);
    add(BATCH_PUT, 0, "a", 1, "1", 1);
    add(BATCH_PUT, 0, "a\0", 2, "2", 1);
    add(BATCH_DELETE, 0, "a", 1, NULL, 0);
    add(BATCH_PUT, 0, "abcdefghijk", 11, "k", 1);
    add(BATCH_PUT, 0, "abcdefghij", 10, "j", 1);
    add(BATCH_DELETE, 0, "abcdefghi", 9, NULL, 0);
    give();
    finish();
}
END_TEST

int main(void)
{
    return UNIT_RUN("gather", batches_in_key_order_leave_what_they_leave_in_theirs,
                    more_than_memory_takes_goes_to_the_file_on_the_way,
                    operations_on_one_key_stay_in_their_order,
                    keys_that_begin_alike_are_told_apart);
}
