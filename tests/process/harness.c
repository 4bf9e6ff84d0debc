/* SPDX-License-Identifier: MIT */
/* harness: see harness.h. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_TIMEOUT_MS 60000
#define EXTRA_ARGUMENTS_MAX 6

void harness_fail(const char *file, int line, const char *what, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s:%d: %s: ", file, line, what);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void harness_skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    exit(77);
}

void harness_init(struct harness *harness)
{
    const char *temporary = getenv("TMPDIR");
    const char *build = getenv("BTS_BUILDDIR");

    memset(harness, 0, sizeof *harness);
    snprintf(harness->folder, sizeof harness->folder, "%s/store.XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    HARNESS_CHECK(mkdtemp(harness->folder) != NULL, "%s: %s", harness->folder, strerror(errno));
    snprintf(harness->store, sizeof harness->store, "%s/main.bts", harness->folder);
    snprintf(harness->daemon_path, sizeof harness->daemon_path, "%s/btstored",
             build != NULL ? build : ".");
    HARNESS_CHECK(access(harness->daemon_path, X_OK) == 0, "%s: %s", harness->daemon_path,
                  strerror(errno));
    signal(SIGPIPE, SIG_IGN);
}

/* In the child: becomes the daemon. */
static _Noreturn void run_daemon(const struct harness *harness, int ready_fd, int said_fd,
                                 const char **extra)
{
    char ready[16];
    const char *arguments[8 + EXTRA_ARGUMENTS_MAX];
    int n = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(ready, sizeof ready, "%d", ready_fd);
    arguments[n++] = harness->daemon_path;
    arguments[n++] = harness->store;
    arguments[n++] = "--foreground";
    arguments[n++] = "--ready-fd";
    arguments[n++] = ready;
    while (*extra != NULL)
        arguments[n++] = *extra++;
    arguments[n] = NULL;
    if (said_fd >= 0)
        dup2(said_fd, STDERR_FILENO);
    execv(harness->daemon_path, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

/* Whether the daemon wrote its socket's path to the ready descriptor, and not an error. */
static bool wait_ready(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&waiting, 1, READY_TIMEOUT_MS) == 1 && read(fd, &byte, 1) == 1 && byte == '/';
}

static int start(struct harness *harness, char *said, size_t said_size, const char **extra)
{
    int ready[2];
    int words[2];
    int status = 0;
    pid_t pid;
    ssize_t n;

    HARNESS_CHECK(harness->daemon == 0, "a daemon runs already");
    HARNESS_CHECK(pipe(ready) == 0 && pipe2(words, O_CLOEXEC) == 0, "%s", strerror(errno));
    fcntl(ready[0], F_SETFD, FD_CLOEXEC);
    pid = fork(); /* not straight into *harness: children may share it */
    HARNESS_CHECK(pid >= 0, "%s", strerror(errno));
    if (pid == 0)
        run_daemon(harness, ready[1], said != NULL ? words[1] : -1, extra);
    harness->daemon = pid;
    close(ready[1]);
    close(words[1]);
    if (!wait_ready(ready[0])) {
        n = said != NULL ? read(words[0], said, said_size - 1) : 0;
        if (said != NULL)
            said[n > 0 ? n : 0] = '\0';
        waitpid(harness->daemon, &status, 0);
        harness->daemon = 0;
        status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
        HARNESS_CHECK(status != 0, "btstored ended with status 0 without serving");
    }
    close(ready[0]);
    close(words[0]);
    return status;
}

static void collect_extra(const char **extra, va_list arguments)
{
    int n = 0;

    while ((extra[n] = va_arg(arguments, const char *)) != NULL)
        HARNESS_CHECK(++n < EXTRA_ARGUMENTS_MAX, "too many arguments");
}

void harness_start(struct harness *harness, ...)
{
    const char *extra[EXTRA_ARGUMENTS_MAX + 1];
    va_list arguments;

    va_start(arguments, harness);
    collect_extra(extra, arguments);
    va_end(arguments);
    HARNESS_CHECK(start(harness, NULL, 0, extra) == 0, "btstored does not serve");
}

int harness_try_start(struct harness *harness, char *said, size_t said_size, ...)
{
    const char *extra[EXTRA_ARGUMENTS_MAX + 1];
    va_list arguments;

    va_start(arguments, said_size);
    collect_extra(extra, arguments);
    va_end(arguments);
    return start(harness, said, said_size, extra);
}

void harness_kill(struct harness *harness)
{
    HARNESS_CHECK(harness->daemon > 0, "no daemon runs");
    harness_kill_child(harness->daemon);
    harness->daemon = 0;
}

void harness_stop(struct harness *harness)
{
    pid_t pid = harness->daemon;

    HARNESS_CHECK(pid > 0, "no daemon runs");
    harness->daemon = 0;
    kill(pid, SIGTERM);
    harness_join(pid, "btstored");
}

struct bts_store *harness_open(const struct harness *harness)
{
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct bts_error error;
    struct bts_store *store;

    HARNESS_OK(bts_store_open(harness->store, &options, &store, &error), &error);
    return store;
}

pid_t harness_spawn(int (*body)(void *argument), void *argument)
{
    pid_t parent = getpid();
    pid_t pid;

    fflush(NULL);
    pid = fork();
    HARNESS_CHECK(pid >= 0, "%s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        exit(body(argument));
    }
    return pid;
}

void harness_join(pid_t pid, const char *who)
{
    int status;

    HARNESS_CHECK(waitpid(pid, &status, 0) == pid, "%s: %s", who, strerror(errno));
    HARNESS_CHECK(!WIFSIGNALED(status), "%s was killed by signal %d", who, WTERMSIG(status));
    HARNESS_CHECK(WEXITSTATUS(status) == 0, "%s exited with status %d", who, WEXITSTATUS(status));
}

void harness_kill_child(pid_t pid)
{
    kill(pid, SIGKILL);
    HARNESS_CHECK(waitpid(pid, NULL, 0) == pid, "%s", strerror(errno));
}

void *harness_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    HARNESS_CHECK(memory != MAP_FAILED, "%s", strerror(errno));
    return memory;
}

uint64_t harness_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void harness_sleep_us(uint64_t us)
{
    struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

    nanosleep(&time, NULL);
}

uint64_t harness_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

unsigned harness_count(unsigned full, unsigned reduced)
{
    return BTS_SANITIZER ? reduced : full;
}

static void print_finding(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "finding: %s\n", text);
}

struct bts_check_result harness_check_store(struct bts_store *store)
{
    struct bts_check_result result;
    struct bts_error error;

    HARNESS_OK(bts_store_check(store, &result, print_finding, NULL, &error), &error);
    HARNESS_CHECK(result.leaked == 0 && result.missing == 0 && result.damaged == 0,
                  "leaked %llu, missing %llu, damaged %llu", (unsigned long long)result.leaked,
                  (unsigned long long)result.missing, (unsigned long long)result.damaged);
    HARNESS_CHECK(result.reachable == result.mapped, "reachable %llu, mapped %llu",
                  (unsigned long long)result.reachable, (unsigned long long)result.mapped);
    return result;
}

uint64_t harness_file_size(const char *path)
{
    struct stat st;

    HARNESS_CHECK(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
    return (uint64_t)st.st_size;
}

bool harness_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}
