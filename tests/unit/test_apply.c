/* SPDX-License-Identifier: MIT */
/*
 * apply: a batch is done wholly or not at all, and says what became of it.
 */
#include "tree/apply.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"
#include "writer_fixture.h"

static struct writer writer;
static struct batch batch;
static struct apply_results results;
static struct bts_error error;

static void start(void)
{
    writer_open(&writer, 4096);
    writer_begin(&writer);
}

static void finish(void)
{
    writer_commit(&writer);
    writer_check(&writer);
    writer_close(&writer);
    apply_results_fini(&results);
    batch_fini(&batch);
}

/* ---- batches ----------------------------------------------------------------- */

static void add_bytes(enum batch_type type, unsigned flags, const void *first, size_t first_size,
                      const void *second, size_t second_size)
{
    ck_assert_int_eq(batch_add(&batch, type, flags, first, first_size, second, second_size, NULL),
                     BTS_OK);
}

static void add(enum batch_type type, unsigned flags, const char *first, const char *second)
{
    add_bytes(type, flags, first, strlen(first), second, strlen(second));
}

static void add_increment(const char *key, int64_t delta)
{
    add_bytes(BATCH_INCREMENT, BATCH_RETURN, key, strlen(key), &delta, sizeof(delta));
}

static enum bts_status apply_as(enum apply_mode mode)
{
    size_t size;
    const void *bytes = batch_bytes(&batch, &size);
    enum bts_status status;

    apply_results_fini(&results);
    ck_assert_int_eq(batch_check(bytes, size, 4096, NULL), BTS_OK);
    status = apply_batch(writer.buckets, writer.pages, mode, bytes, size, &results, &error);
    buckets_check(writer.buckets);
    batch_clear(&batch);
    return status;
}

static enum bts_status apply(void)
{
    return apply_as(APPLY_LIVE);
}

#define ASSERT_APPLIES() ck_assert_msg(apply() == BTS_OK, "%s", error.text)

static void assert_bytes(size_t index, const char *expected)
{
    const struct apply_result *result = &results.entries[index];

    ck_assert_uint_lt(index, results.count);
    ck_assert_int_eq(result->type, APPLY_BYTES);
    ck_assert_uint_eq(result->size, strlen(expected));
    ck_assert(result->size == 0 ||
              memcmp(results.bytes + result->offset, expected, result->size) == 0);
}

static void assert_number(size_t index, int64_t expected)
{
    ck_assert_uint_lt(index, results.count);
    ck_assert_int_eq(results.entries[index].type, APPLY_NUMBER);
    ck_assert_int_eq(results.entries[index].number, expected);
}

static void assert_type(size_t index, enum apply_result_type expected)
{
    ck_assert_uint_lt(index, results.count);
    ck_assert_int_eq(results.entries[index].type, expected);
}

/* What key `key` of bucket `default` holds; "absent" when it is not there. */
static void assert_holds(const char *key, const char *expected)
{
    add(BATCH_GET, 0, key, "");
    ASSERT_APPLIES();
    if (strcmp(expected, "absent") == 0) {
        assert_type(0, APPLY_ABSENT);
    } else {
        assert_bytes(0, expected);
    }
}

/* ---- single operations -------------------------------------------------------- */

START_TEST(an_empty_batch_applies)
{
    start();
    ASSERT_APPLIES();
    ck_assert_uint_eq(results.count, 0);
    finish();
}
END_TEST

START_TEST(operations_see_those_before_them_and_results_come_in_order)
{
    start();
    add(BATCH_PUT, 0, "a", "1");
    add(BATCH_GET, 0, "a", "");
    add(BATCH_PUT, BATCH_RETURN, "a", "22");
    add(BATCH_PUT, BATCH_RETURN, "b", "3");
    add(BATCH_DELETE, BATCH_RETURN, "a", "");
    add(BATCH_DELETE, BATCH_RETURN, "a", "");
    add(BATCH_DELETE, 0, "b", "");
    add(BATCH_GET, 0, "b", "");
    ASSERT_APPLIES();
    ck_assert_uint_eq(results.count, 6);
    assert_bytes(0, "1");
    assert_bytes(1, "1");
    ck_assert(results.entries[1].written);
    assert_type(2, APPLY_ABSENT);
    ck_assert(results.entries[2].written);
    assert_number(3, 1);
    assert_number(4, 0);
    assert_type(5, APPLY_ABSENT);
    finish();
}
END_TEST

/* Ascending puts go behind the last leaf without a search, unless something came between. */
START_TEST(ascending_puts_among_others_end_where_they_belong)
{
    char key[32];
    char value[120];

    start();
    add(BATCH_BUCKET_CREATE, 0, "other", "");
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "key:%06u", 2 * i);
        snprintf(value, sizeof(value), "%0*u", (int)(1 + i % 100), i);
        add(BATCH_PUT, i % 5 == 0 ? BATCH_IF_ABSENT : 0, key, value);
        if (i % 7 == 0)
            add(BATCH_PUT, 0, key, value); /* over the last */
        if (i % 11 == 0)
            add(BATCH_DELETE, 0, key, "");
        if (i % 500 == 250) { /* the last leaf goes, and others */
            snprintf(key, sizeof(key), "key:%06u", 2 * (i - 200));
            add(BATCH_DELETE_RANGE, BATCH_OPEN_TO, key, "");
        }
        if (i % 13 == 0) {
            snprintf(key, sizeof(key), "key:%06u", i | 1);
            add(BATCH_PUT, 0, key, "between");
        }
        if (i % 17 == 0) {
            add(BATCH_USE, 0, "other", "");
            snprintf(key, sizeof(key), "key:%06u", i);
            add(BATCH_PUT, 0, key, "other");
            add(BATCH_USE, 0, "default", "");
        }
    }
    ASSERT_APPLIES();
    add(BATCH_GET, 0, "key:000002", "");
    add(BATCH_GET, 0, "key:000000", "");
    add(BATCH_GET, 0, "key:005998", "");
    add(BATCH_GET, 0, "key:000027", "");
    ASSERT_APPLIES();
    assert_bytes(results.count - 4, "01");
    ck_assert_int_eq(results.entries[results.count - 3].type, APPLY_ABSENT);
    ck_assert_int_eq(results.entries[results.count - 2].type, APPLY_BYTES);
    assert_bytes(results.count - 1, "between");
    finish();
}
END_TEST

START_TEST(a_put_with_a_mode_says_whether_it_was_written)
{
    start();
    add(BATCH_PUT, BATCH_IF_PRESENT, "a", "1");
    add(BATCH_PUT, BATCH_IF_ABSENT, "a", "2");
    add(BATCH_PUT, BATCH_IF_ABSENT, "a", "3");
    add(BATCH_PUT, BATCH_IF_PRESENT, "a", "4");
    add(BATCH_PUT, BATCH_IF_ABSENT | BATCH_RETURN, "a", "5");
    add(BATCH_PUT, BATCH_IF_PRESENT | BATCH_RETURN, "b", "6");
    ASSERT_APPLIES();
    ck_assert_uint_eq(results.count, 6);
    assert_type(0, APPLY_SKIPPED);
    assert_type(1, APPLY_WRITTEN);
    assert_type(2, APPLY_SKIPPED);
    assert_type(3, APPLY_WRITTEN);
    assert_bytes(4, "4");
    ck_assert(!results.entries[4].written);
    assert_type(5, APPLY_ABSENT);
    ck_assert(!results.entries[5].written);
    assert_holds("a", "4");
    finish();
}
END_TEST

START_TEST(an_old_value_of_a_mebibyte_is_returned_whole)
{
    static uint8_t value[1u << 20];

    start();
    for (size_t i = 0; i < sizeof(value); i++) {
        value[i] = (uint8_t)(i * 7919u >> 8);
    }
    add_bytes(BATCH_PUT, 0, "big", 3, value, sizeof(value));
    ASSERT_APPLIES();
    add(BATCH_GET, 0, "none", "");
    add(BATCH_PUT, BATCH_RETURN, "big", "small");
    add(BATCH_GET, 0, "big", "");
    ASSERT_APPLIES();
    ck_assert_uint_eq(results.entries[1].size, sizeof(value));
    ck_assert_mem_eq(results.bytes + results.entries[1].offset, value, sizeof(value));
    assert_bytes(2, "small");
    finish();
}
END_TEST

START_TEST(a_range_is_deleted_with_either_end_open)
{
    start();
    for (const char *key = "a\0b\0c\0d\0e\0"; *key != '\0'; key += 2) {
        add(BATCH_PUT, 0, key, key);
    }
    ASSERT_APPLIES();
    add(BATCH_DELETE_RANGE, 0, "b", "c");
    ASSERT_APPLIES();
    assert_holds("b", "absent");
    assert_holds("c", "c");
    add(BATCH_DELETE_RANGE, BATCH_OPEN_FROM, "", "c");
    ASSERT_APPLIES();
    assert_holds("a", "absent");
    add(BATCH_DELETE_RANGE, BATCH_OPEN_TO, "d", "");
    ASSERT_APPLIES();
    assert_holds("c", "c");
    assert_holds("e", "absent");
    add(BATCH_DELETE_RANGE, BATCH_OPEN_FROM | BATCH_OPEN_TO, "", "");
    ASSERT_APPLIES();
    assert_holds("c", "absent");
    finish();
}
END_TEST

/* ---- numbers ------------------------------------------------------------------- */

START_TEST(an_increment_counts_from_zero_and_keeps_decimal_text)
{
    start();
    add_increment("n", 5);
    add_increment("n", -7);
    add(BATCH_GET, 0, "n", "");
    add_increment("n", INT64_MIN + 2);
    add(BATCH_GET, 0, "n", "");
    ASSERT_APPLIES();
    assert_number(0, 5);
    assert_number(1, -2);
    assert_bytes(2, "-2");
    assert_number(3, INT64_MIN);
    assert_bytes(4, "-9223372036854775808");
    add_increment("n", INT64_MAX);
    ASSERT_APPLIES();
    assert_number(0, -1);
    finish();
}
END_TEST

START_TEST(what_is_no_number_is_not_incremented)
{
    static const char *const texts[] = {
        "",   "-",  "+1", " 1",  "1 ",  "1.5", "abc", "0x10", "1-", "--1",
        "9223372036854775808", "-9223372036854775809", "000000000000000000001"};

    start();
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        add(BATCH_PUT, 0, "n", texts[i]);
        ASSERT_APPLIES();
        add(BATCH_PUT, 0, "other", "x");
        add_increment("n", 1);
        ck_assert_msg(apply() == BTS_INVALID, "\"%s\" was taken for a number", texts[i]);
        ck_assert_ptr_nonnull(strstr(error.text, "operation 2: "));
        ck_assert_uint_eq(results.count, 0);
        assert_holds("n", texts[i]);
        assert_holds("other", "absent");
    }
    finish();
}
END_TEST

START_TEST(a_sum_that_leaves_64_bits_is_refused)
{
    start();
    add(BATCH_PUT, 0, "n", "9223372036854775807");
    ASSERT_APPLIES();
    add_increment("n", 1);
    ck_assert_int_eq(apply(), BTS_INVALID);
    assert_holds("n", "9223372036854775807");
    add(BATCH_PUT, 0, "n", "-9223372036854775808");
    ASSERT_APPLIES();
    add_increment("n", -1);
    ck_assert_int_eq(apply(), BTS_INVALID);
    add_increment("n", 1);
    ASSERT_APPLIES();
    assert_number(0, INT64_MIN + 1);
    finish();
}
END_TEST

/* ---- conditions ------------------------------------------------------------------ */

START_TEST(conditions_are_judged_when_their_turn_comes)
{
    start();
    add(BATCH_REQUIRE_ABSENT, 0, "a", "");
    add(BATCH_PUT, 0, "a", "1");
    add(BATCH_REQUIRE_PRESENT, 0, "a", "");
    add(BATCH_REQUIRE_EQUAL, 0, "a", "1");
    add(BATCH_PUT, 0, "empty", "");
    add(BATCH_REQUIRE_EQUAL, 0, "empty", "");
    ASSERT_APPLIES();
    finish();
}
END_TEST

START_TEST(a_condition_that_does_not_hold_names_its_key_and_refuses_all)
{
    static const struct {
        enum batch_type type;
        const char *key;
        const char *value;
        const char *text;
    } cases[] = {
        {BATCH_REQUIRE_ABSENT, "a", "", "key \"a\" is there"},
        {BATCH_REQUIRE_PRESENT, "b", "", "key \"b\" is not there"},
        {BATCH_REQUIRE_EQUAL, "a", "2", "key \"a\" has another value"},
        {BATCH_REQUIRE_EQUAL, "a", "11", "key \"a\" has another value"},
        {BATCH_REQUIRE_EQUAL, "b", "", "key \"b\" is not there"},
    };

    start();
    add(BATCH_PUT, 0, "a", "1");
    ASSERT_APPLIES();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        add(BATCH_PUT, 0, "new", "x");
        add(cases[i].type, 0, cases[i].key, cases[i].value);
        ck_assert_int_eq(apply(), BTS_CONFLICT);
        ck_assert_msg(strstr(error.text, cases[i].text) != NULL, "%s", error.text);
        ck_assert_ptr_nonnull(strstr(error.text, "operation 2: "));
        assert_holds("new", "absent");
    }
    finish();
}
END_TEST

START_TEST(replay_does_not_judge_again)
{
    start();
    add(BATCH_REQUIRE_PRESENT, 0, "nobody", "");
    add(BATCH_PUT, 0, "a", "1");
    add(BATCH_PUT, BATCH_IF_ABSENT, "a", "2");
    ck_assert_int_eq(apply_as(APPLY_REPLAY), BTS_OK);
    assert_holds("a", "1");
    finish();
}
END_TEST

/* ---- buckets ---------------------------------------------------------------------- */

START_TEST(operations_go_to_the_bucket_in_use)
{
    uint32_t id = 0;

    start();
    add(BATCH_PUT, 0, "k", "in default");
    add(BATCH_BUCKET_CREATE, 0, "b", "");
    add(BATCH_USE, 0, "b", "");
    add(BATCH_PUT, 0, "k", "in b");
    add_bytes(BATCH_USE_ID, 0, NULL, 0, &id, sizeof(id));
    add(BATCH_GET, 0, "k", "");
    id = 1;
    add_bytes(BATCH_USE_ID, 0, NULL, 0, &id, sizeof(id));
    add(BATCH_BUCKET_RENAME, 0, "b", "c");
    add(BATCH_GET, 0, "k", "");
    add(BATCH_USE, 0, "c", "");
    add(BATCH_GET, 0, "k", "");
    ASSERT_APPLIES();
    assert_bytes(0, "in default");
    assert_bytes(1, "in b");
    assert_bytes(2, "in b");
    finish();
}
END_TEST

START_TEST(an_unknown_bucket_refuses_the_whole_batch_and_is_named)
{
    uint32_t id = 77;

    start();
    add(BATCH_PUT, 0, "a", "1");
    add(BATCH_USE, 0, "nowhere", "");
    add(BATCH_PUT, 0, "a", "2");
    ck_assert_int_eq(apply(), BTS_NO_BUCKET);
    ck_assert_str_eq(error.text, "operation 2: no bucket \"nowhere\"; create it first");
    assert_holds("a", "absent");
    add_bytes(BATCH_USE_ID, 0, NULL, 0, &id, sizeof(id));
    add(BATCH_PUT, 0, "a", "2");
    ck_assert_int_eq(apply(), BTS_NO_BUCKET);
    ck_assert_str_eq(error.text, "operation 1: no bucket with number 77; create it first");
    finish();
}
END_TEST

START_TEST(a_bucket_in_use_that_was_dropped_is_unknown_from_then_on)
{
    start();
    add(BATCH_BUCKET_CREATE, 0, "b", "");
    ASSERT_APPLIES();
    add(BATCH_USE, 0, "b", "");
    add(BATCH_PUT, 0, "k", "v");
    add(BATCH_BUCKET_DROP, 0, "b", "");
    add(BATCH_PUT, 0, "k", "w");
    ck_assert_int_eq(apply(), BTS_NO_BUCKET);
    ck_assert_ptr_nonnull(strstr(error.text, "operation 4: bucket \"b\" was dropped"));
    add(BATCH_USE, 0, "b", "");
    add(BATCH_BUCKET_DROP, 0, "b", "");
    add(BATCH_USE, 0, "default", "");
    add(BATCH_PUT, 0, "k", "v");
    ASSERT_APPLIES();
    ck_assert_uint_eq(buckets_root(writer.buckets).bucket_count, 1);
    finish();
}
END_TEST

int main(void)
{
    return UNIT_RUN("apply", an_empty_batch_applies,
                    operations_see_those_before_them_and_results_come_in_order,
                    ascending_puts_among_others_end_where_they_belong,
                    a_put_with_a_mode_says_whether_it_was_written,
                    an_old_value_of_a_mebibyte_is_returned_whole,
                    a_range_is_deleted_with_either_end_open,
                    an_increment_counts_from_zero_and_keeps_decimal_text,
                    what_is_no_number_is_not_incremented, a_sum_that_leaves_64_bits_is_refused,
                    conditions_are_judged_when_their_turn_comes,
                    a_condition_that_does_not_hold_names_its_key_and_refuses_all,
                    replay_does_not_judge_again, operations_go_to_the_bucket_in_use,
                    an_unknown_bucket_refuses_the_whole_batch_and_is_named,
                    a_bucket_in_use_that_was_dropped_is_unknown_from_then_on);
}
