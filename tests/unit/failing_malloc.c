/* SPDX-License-Identifier: MIT */
/* failing_malloc: see failing_malloc.h.  The linker's --wrap leads here. */
#include "failing_malloc.h"

#include <stddef.h>

static unsigned long failing_malloc_left;
static bool failing_malloc_has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void failing_malloc_set(unsigned long n)
{
    failing_malloc_left = n;
    failing_malloc_has_failed = false;
}

bool failing_malloc_failed(void)
{
    return failing_malloc_has_failed;
}

static bool failing_malloc_now(void)
{
    if (failing_malloc_left == 0 || --failing_malloc_left > 0) {
        return false;
    }
    failing_malloc_has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return failing_malloc_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return failing_malloc_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
    return failing_malloc_now() ? NULL : __real_realloc(data, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return failing_malloc_now() ? NULL : __real_aligned_alloc(alignment, size);
}
