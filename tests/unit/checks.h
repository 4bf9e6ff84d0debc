/* SPDX-License-Identifier: MIT */
/*
 * checks: libcheck, whose assertions say where they are once each.
 *
 * An assertion that holds tells the parent process its place, which is named
 * if the test dies before the next one: with a system call, in loops hundreds
 * of thousands of times.  Here a place is told when it is first passed.
 */
#ifndef CHECKS_H
#define CHECKS_H

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>

#undef ck_assert_msg
#define ck_assert_msg(expr, ...)                                                                   \
    ((expr) ? CHECKS_MARK()                                                                        \
            : _ck_assert_failed(__FILE__, __LINE__, "Assertion '" #expr "' failed", ##__VA_ARGS__))

/* Relaxed, paired with itself: told twice by two threads is as good. */
#define CHECKS_MARK()                                                                              \
    __extension__({                                                                                \
        static _Atomic bool checks_marked;                                                         \
        if (!atomic_load_explicit(&checks_marked, memory_order_relaxed)) {                         \
            atomic_store_explicit(&checks_marked, true, memory_order_relaxed);                     \
            _mark_point(__FILE__, __LINE__);                                                       \
        }                                                                                          \
    })

#endif
