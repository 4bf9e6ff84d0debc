/* SPDX-License-Identifier: MIT */
/*
 * unit: the few lines that every unit test would repeat.
 *
 *     START_TEST(an_empty_key_is_refused)
 *     {
 *         ck_assert_int_eq(...);
 *     }
 *     END_TEST
 *
 *     int
 *     main(void)
 *     {
 *         return UNIT_RUN("leaf", an_empty_key_is_refused, a_full_leaf_splits);
 *     }
 *
 * Each test runs in a process of its own (CK_FORK=no: all in one, for gdb)
 * and has a minute; a program as a whole has what tests/run gives it.
 */
#ifndef UNIT_H
#define UNIT_H

#include "checks.h"

#include <stdlib.h>

#define UNIT_TIMEOUT_S 60

/* Of a row of places, each alike, a sanitizer gets some. */
#define UNIT_STEP (BTS_SANITIZER ? 3 : 1)

/* How often a long loop goes round: a sanitizer is there for each step, not for rare rows. */
#define UNIT_ROUNDS(full) (BTS_SANITIZER ? ((full) + 3) / 4 : (full))

/* Runs the tests named; returns main's exit status. */
#define UNIT_RUN(module, ...)                                                                      \
    unit_run(module, (const TTest *const[]){__VA_ARGS__},                                          \
             sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(const TTest *))

static inline int unit_run(const char *module, const TTest *const *tests, size_t test_count)
{
    Suite *suite = suite_create(module);
    TCase *cases = tcase_create(module);

    tcase_set_timeout(cases, UNIT_TIMEOUT_S);
    for (size_t i = 0; i < test_count; i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
