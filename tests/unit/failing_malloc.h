/* SPDX-License-Identifier: MIT */
/*
 * failing_malloc: let an allocation fail, the n-th from now on.
 *
 * A program that links failing_malloc.c has $(failing_malloc_ldflags) in its
 * LDFLAGS: every malloc, calloc, realloc and aligned_alloc of its own objects and
 * rooms then comes through here.
 */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include <stdbool.h>

/* The n-th allocation from now fails (1: the next), and only that; 0: none. */
void failing_malloc_set(unsigned long n);

/* Whether it has failed since it was set. */
bool failing_malloc_failed(void);

#endif
