/* SPDX-License-Identifier: MIT */
/*
 * A reader that is killed in the middle of a snapshot lets go of its slot, and
 * of the pages that only it kept, without any other event: no request, no
 * commit, no other reader.  Also when it lives in another PID namespace, where
 * its process number means nothing to the daemon; and when it becomes another
 * program by exec.
 */
#include "slot_files.h"
#include "text_store.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static struct harness harness;
static _Atomic int *is_open; /* the reader has its snapshot */

static _Noreturn void wait_to_be_killed(void)
{
    for (;;) {
        pause();
    }
}

static void hold_snapshot(void)
{
    struct bts_store *store = harness_open(&harness);
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;

    text_begin(store, &snapshot, &bucket);
    atomic_store(is_open, 1);
}

static int read_until_killed(void *argument)
{
    (void)argument;
    hold_snapshot();
    wait_to_be_killed();
}

static int become_sleep(void *argument)
{
    (void)argument;
    hold_snapshot();
    execlp("sleep", "sleep", "60", (char *)NULL);
    return 1;
}

/* The reader is process 1 of a namespace of its own. */
static int read_in_namespace(void *argument)
{
    pid_t child;
    int how;

    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
        return 77;
    }
    child = fork();
    if (child == 0) {
        HARNESS_CHECK(getpid() == 1, "process %d", (int)getpid());
        return read_until_killed(argument);
    }
    *(pid_t *)argument = child;
    HARNESS_CHECK(child > 0 && waitpid(child, &how, 0) == child, "%s", strerror(errno));
    _exit(WIFSIGNALED(how) ? 0 : 1); /* a leak checker cannot work in the unshared namespace */
}

/* False: the child ended instead of reading. */
static bool wait_for_reader(pid_t child)
{
    uint64_t deadline = harness_now_us() + SLOT_WAIT_US;
    int how;

    while (!atomic_load(is_open)) {
        if (waitpid(child, &how, WNOHANG) == child) {
            HARNESS_CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 77, "the reader ended: %d", how);
            return false;
        }
        HARNESS_CHECK(harness_now_us() < deadline, "the reader does not read");
        harness_sleep_us(200);
    }
    atomic_store(is_open, 0);
    return true;
}

/* `killed_us`: when it was killed. */
static void expect_slot_freed(const char *socket_path, const char *what, uint64_t killed_us)
{
    uint64_t us;

    slot_files_wait(socket_path, 1);
    us = harness_now_us() - killed_us;
    printf("# %s: its slot was free after %llu.%llu ms\n", what, (unsigned long long)us / 1000,
           (unsigned long long)us / 100 % 10);
}

int main(void)
{
    struct bts_store *store;
    const char *socket_path;
    pid_t *inner = harness_shared(sizeof(*inner));
    uint64_t killed_us;
    pid_t child;

    is_open = harness_shared(sizeof(*is_open));
    harness_init(&harness);
    harness_start(&harness, NULL);
    store = harness_open(&harness);
    socket_path = bts_store_socket(store);
    text_put(store, "key", "value");
    slot_files_wait(socket_path, 1); /* our own */

    child = harness_spawn(read_until_killed, NULL);
    HARNESS_CHECK(wait_for_reader(child), "the reader ended");
    slot_files_wait(socket_path, 2);
    killed_us = harness_now_us();
    harness_kill_child(child);
    expect_slot_freed(socket_path, "killed reader", killed_us);

    child = harness_spawn(become_sleep, NULL);
    HARNESS_CHECK(wait_for_reader(child), "the reader ended");
    expect_slot_freed(socket_path, "reader that became another program", harness_now_us());
    harness_kill_child(child);

    child = harness_spawn(read_in_namespace, inner);
    if (wait_for_reader(child)) {
        slot_files_wait(socket_path, 2);
        killed_us = harness_now_us();
        HARNESS_CHECK(kill(*inner, SIGKILL) == 0, "%s", strerror(errno));
        expect_slot_freed(socket_path, "killed reader in another PID namespace", killed_us);
        harness_join(child, "namespace");
    } else {
        puts("SKIP killed reader in another PID namespace: not permitted to make one");
    }

    text_put(store, "key", "value 2");
    harness_check_store(store);
    bts_store_close(store);
    harness_stop(&harness);
    return 0;
}
