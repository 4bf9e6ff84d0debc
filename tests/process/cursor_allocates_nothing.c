/* SPDX-License-Identifier: MIT */
/*
 * Snapshots, gets and cursors allocate nothing: every malloc of the process is
 * counted, and reading a whole store adds none.
 */
#include "read_everything.h"

#include <stdatomic.h>

#define ROUNDS 200

static _Atomic unsigned long allocations;

#if BTS_SANITIZER

/* The sanitizers' allocators report to a hook. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static void count_malloc(const volatile void *memory, size_t size)
{
    (void)memory;
    (void)size;
    atomic_fetch_add(&allocations, 1);
}

static void ignore_free(const volatile void *memory)
{
    (void)memory;
}

static void begin_counting(void)
{
    HARNESS_CHECK(__sanitizer_install_malloc_and_free_hooks(count_malloc, ignore_free) > 0,
                  "no hook");
}

#else

/* The program's own definitions come before the C library's, for all of its libraries. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

#define COUNTED __attribute__((visibility("default")))

COUNTED void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

COUNTED void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

COUNTED void *realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(memory, size);
}

COUNTED void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}

static void begin_counting(void)
{
}

#endif

int main(void)
{
    struct harness harness;
    struct bts_store *store, *other;
    unsigned long before;

    begin_counting();
    harness_init(&harness);
    harness_start(&harness, NULL);
    store = harness_open(&harness);
    read_make_entries(store);

    before = atomic_load(&allocations);
    other = harness_open(&harness);
    HARNESS_CHECK(atomic_load(&allocations) > before, "opening a store is not counted");
    bts_store_close(other);

    before = atomic_load(&allocations);
    for (unsigned i = 0; i < ROUNDS; i++) {
        read_everything(store, i * 101);
    }
    HARNESS_CHECK(atomic_load(&allocations) == before, "%lu allocations",
                  atomic_load(&allocations) - before);
    bts_store_close(store);
    harness_stop(&harness);
    return 0;
}
