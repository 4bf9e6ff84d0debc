/* SPDX-License-Identifier: MIT */
/*
 * Reading makes no system call, while another process commits all the time:
 * under a seccomp filter any call kills the reader, but for the look at the
 * socket once a second, which is counted.
 *
 * The filter is shown to work: a reader that writes is killed by it.
 */
#include "read_everything.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define READ_US 3500000
#define LOOKS_MAX 5 /* in that time: one at the start, one a second */

static struct harness harness;
static _Atomic int *reads_done;
static volatile sig_atomic_t look_count;

/* A look is trapped, counted, and answered as if nothing had come: EAGAIN. */
static void count_look(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;

    (void)signal;
    if (info->si_syscall != SYS_recvfrom) {
        _exit(99);
    }
    look_count++;
#if defined(__x86_64__)
    user->uc_mcontext.gregs[REG_RAX] = -EAGAIN;
#elif defined(__aarch64__)
    user->uc_mcontext.regs[0] = (unsigned long long)-EAGAIN;
#else
    (void)user;
    _exit(98);
#endif
}

#define FILTER_NUMBER(number, action)                                                              \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, (action))

static void forbid_system_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        FILTER_NUMBER(SYS_recvfrom, SECCOMP_RET_TRAP),
        FILTER_NUMBER(SYS_rt_sigreturn, SECCOMP_RET_ALLOW),
        FILTER_NUMBER(SYS_exit_group, SECCOMP_RET_ALLOW),
        /* Where the kernel has no vDSO, the clock is a call: it is part of the look. */
        FILTER_NUMBER(SYS_clock_gettime, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    struct sigaction action = {.sa_sigaction = count_look, .sa_flags = SA_SIGINFO};

    sigaction(SIGSYS, &action, NULL);
    HARNESS_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "%s", strerror(errno));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(77);
    }
}

/* Exits with the number of looks. */
static int read_under_filter(void *argument)
{
    struct bts_store *store = harness_open(&harness);
    uint64_t end = harness_now_us() + READ_US;
    unsigned round = 0;

    (void)argument;
    forbid_system_calls();
    while (harness_now_us() < end) {
        for (unsigned i = 0; i < 200; i++) {
            read_everything(store, round * 37);
            round++;
        }
    }
    /* Directly: before _exit a sanitizer makes calls of its own. */
    return (int)syscall(SYS_exit_group, look_count);
}

static int write_under_filter(void *argument)
{
    struct bts_store *store = harness_open(&harness);

    (void)argument;
    forbid_system_calls();
    (void)!bts_put(store, "default", 7, "key", 3, "value", 5, NULL, NULL);
    _exit(0);
}

static int write_until_done(void *argument)
{
    struct bts_store *store = harness_open(&harness);
    struct bts_error error;
    char key[32];

    (void)argument;
    for (unsigned i = 0; !atomic_load(reads_done); i++) {
        snprintf(key, sizeof(key), "other/%u", i % 5000);
        HARNESS_OK(bts_put(store, "default", 7, key, strlen(key), key, strlen(key), NULL, &error),
                   &error);
    }
    bts_store_close(store);
    return 0;
}

/* How the child ended: its exit status, or 128 + the signal. */
static int end_of(pid_t child)
{
    int how;

    HARNESS_CHECK(waitpid(child, &how, 0) == child, "%s", strerror(errno));
    return WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
}

int main(void)
{
    struct bts_store *store;
    pid_t writer;
    int status;

    reads_done = harness_shared(sizeof(*reads_done));
    harness_init(&harness);
    harness_start(&harness, NULL);
    store = harness_open(&harness);
    read_make_entries(store);

    status = end_of(harness_spawn(write_under_filter, NULL));
    if (status == 77) {
        harness_stop(&harness);
        harness_skip("the kernel has no seccomp filters");
    }
    HARNESS_CHECK(status == 128 + SIGSYS, "a write under the filter ended with %d", status);

    writer = harness_spawn(write_until_done, NULL);
    status = end_of(harness_spawn(read_under_filter, NULL));
    atomic_store(reads_done, 1);
    harness_join(writer, "writer");
    HARNESS_CHECK(status != 128 + SIGSYS, "a read made a system call");
    HARNESS_CHECK(status <= LOOKS_MAX, "the reader ended with %d", status);
    printf("# %d looks at the socket in %.1f s, and no other call\n", status, READ_US / 1e6);
    bts_store_close(store);
    harness_stop(&harness);
    return 0;
}
