/* SPDX-License-Identifier: MIT */
/* test_histogram: quantiles are right to one eighth, and old numbers are forgotten. */
#include "commit/histogram.h"
#include "unit.h"

START_TEST(quantiles_are_right_to_one_eighth)
{
    static struct histogram histogram;
    struct histogram_summary summary;

    for (uint32_t i = 1; i <= 100000; i++)
        histogram_add(&histogram, i);
    summary = histogram_summarize(&histogram);
    ck_assert_uint_eq(summary.count, 100000);
    ck_assert_uint_eq(summary.largest, 100000);
    ck_assert(summary.p50 >= 50000 && summary.p50 <= 50000 + 50000 / 8);
    ck_assert(summary.p99 >= 99000 && summary.p99 <= 100000);
}
END_TEST

START_TEST(every_value_has_its_bucket)
{
    for (unsigned shift = 0; shift < 33; shift++) {
        struct histogram histogram = {.current = 0};
        uint64_t value = (UINT64_C(1) << shift) - 1;
        struct histogram_summary summary;

        for (unsigned i = 0; i < 3; i++)
            histogram_add(&histogram, value);
        histogram_add(&histogram, UINT64_MAX);
        summary = histogram_summarize(&histogram);
        ck_assert_uint_eq(summary.count, 4);
        ck_assert_uint_eq(summary.largest, 0x7fffffff);
        ck_assert_uint_ge(summary.p50, value < 0x7fffffff ? value : 0x7fffffff);
        ck_assert_uint_le(summary.p50, value + value / 8);
    }
}
END_TEST

START_TEST(numbers_are_told_of_for_two_windows)
{
    static struct histogram histogram;

    ck_assert_uint_eq(histogram_summarize(&histogram).count, 0);
    histogram_add(&histogram, 7);
    histogram_turn(&histogram);
    histogram_add(&histogram, 9);
    ck_assert_uint_eq(histogram_summarize(&histogram).count, 2);
    ck_assert_uint_eq(histogram_summarize(&histogram).p50, 7);
    histogram_turn(&histogram);
    ck_assert_uint_eq(histogram_summarize(&histogram).count, 1);
    ck_assert_uint_eq(histogram_summarize(&histogram).largest, 9);
    histogram_turn(&histogram);
    ck_assert_uint_eq(histogram_summarize(&histogram).count, 0);
}
END_TEST

int main(void)
{
    return UNIT_RUN("histogram", quantiles_are_right_to_one_eighth, every_value_has_its_bucket,
                    numbers_are_told_of_for_two_windows);
}
