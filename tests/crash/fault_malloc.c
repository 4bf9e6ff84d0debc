/* SPDX-License-Identifier: MIT */
/*
 * fault_malloc: allocations that fail as faults.h has it planned, and are
 * counted.  The linker's --wrap leads all of this program's here, its rooms'
 * included; not those that other libraries make for themselves.
 */
#include "faults.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **data, size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **data, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
void __real_free(void *data);
void __wrap_free(void *data);
int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap___asprintf_chk(char **text, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static atomic_long malloc_live;

static void *malloc_made(void *data)
{
    if (data != NULL)
        atomic_fetch_add_explicit(&malloc_live, 1, memory_order_relaxed);
    return data;
}

void *__wrap_malloc(size_t size)
{
    return faults_malloc_fails() ? NULL : malloc_made(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return faults_malloc_fails() ? NULL : malloc_made(__real_calloc(count, size));
}

void *__wrap_realloc(void *data, size_t size)
{
    if (faults_malloc_fails())
        return NULL;
    return data == NULL ? malloc_made(__real_malloc(size)) : __real_realloc(data, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return faults_malloc_fails() ? NULL : malloc_made(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **data, size_t alignment, size_t size)
{
    int refused = faults_malloc_fails() ? ENOMEM : __real_posix_memalign(data, alignment, size);

    if (refused == 0)
        (void)malloc_made(*data);
    return refused;
}

char *__wrap_strdup(const char *text)
{
    return faults_malloc_fails() ? NULL : malloc_made(__real_strdup(text));
}

void __wrap_free(void *data)
{
    if (data != NULL)
        atomic_fetch_sub_explicit(&malloc_live, 1, memory_order_relaxed);
    __real_free(data);
}

static int print_made(char **text, const char *format, va_list arguments)
{
    int size = faults_malloc_fails() ? -1 : vasprintf(text, format, arguments);

    if (size >= 0)
        (void)malloc_made(*text);
    return size;
}

int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = print_made(text, format, arguments);
    va_end(arguments);
    return size;
}

int __wrap___asprintf_chk(char **text, int flag, const char *format, ...)
{
    va_list arguments;
    int size;

    (void)flag;
    va_start(arguments, format);
    size = print_made(text, format, arguments);
    va_end(arguments);
    return size;
}

long faults_live(void)
{
    return atomic_load_explicit(&malloc_live, memory_order_relaxed);
}
