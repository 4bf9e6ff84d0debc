/* SPDX-License-Identifier: MIT */
/*
 * fork_guard: one list of guards, one lock, three handlers.
 */
#include "client/fork_guard.h"

#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t fork_guard_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct fork_guard *fork_guard_first;
static pthread_once_t fork_guard_once = PTHREAD_ONCE_INIT;
static int fork_guard_refused; /* what pthread_atfork said */

/* In the child no guard stays registered: what it guarded is gone there. */
static void fork_guard_in_child(void)
{
    while (fork_guard_first != NULL) {
        struct fork_guard *guard = fork_guard_first;

        fork_guard_remove(guard);
        guard->in_child(guard);
    }
    fork_guard_unlock();
}

static void fork_guard_install(void)
{
    fork_guard_refused =
        pthread_atfork(fork_guard_lock, fork_guard_unlock, fork_guard_in_child);
}

enum bts_status fork_guard_init(struct bts_error *error)
{
    pthread_once(&fork_guard_once, fork_guard_install);
    if (fork_guard_refused != 0) {
        return err_set_errno(error, BTS_NO_MEMORY, fork_guard_refused, "fork handlers");
    }
    return BTS_OK;
}

void fork_guard_lock(void)
{
    pthread_mutex_lock(&fork_guard_mutex);
}

void fork_guard_unlock(void)
{
    pthread_mutex_unlock(&fork_guard_mutex);
}

void fork_guard_add(struct fork_guard *guard, void (*in_child)(struct fork_guard *guard))
{
    assert(guard->link == NULL);
    guard->in_child = in_child;
    guard->next = fork_guard_first;
    guard->link = &fork_guard_first;
    if (guard->next != NULL) {
        guard->next->link = &guard->next;
    }
    fork_guard_first = guard;
}

void fork_guard_remove(struct fork_guard *guard)
{
    if (guard->link == NULL) {
        return;
    }
    *guard->link = guard->next;
    if (guard->next != NULL) {
        guard->next->link = guard->link;
    }
    guard->next = NULL;
    guard->link = NULL;
}

/* ---- the mark -------------------------------------------------------------------- */

enum bts_status fork_mark_create(fork_mark **mark, struct bts_error *error)
{
    static _Atomic uint64_t marks;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *mark = NULL;
    if (page == MAP_FAILED) {
        return err_set_errno(error, BTS_NO_MEMORY, errno, "fork mark: mmap");
    }
    if (madvise(page, size, MADV_WIPEONFORK) != 0) {
        enum bts_status status =
            err_set_errno(error, BTS_IO, errno, "fork mark: madvise (Linux 4.14 or newer?)");
        munmap(page, size);
        return status;
    }
    *mark = page;
    /* relaxed: no two are alike, that is all */
    atomic_store_explicit(*mark, atomic_fetch_add_explicit(&marks, 1, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return BTS_OK;
}

void fork_mark_destroy(fork_mark *mark)
{
    if (mark != NULL) {
        munmap((void *)mark, (size_t)sysconf(_SC_PAGESIZE));
    }
}
