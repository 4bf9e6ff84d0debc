/* SPDX-License-Identifier: MIT */
/*
 * daemon_start: fork twice, exec, and listen to what the daemon says.
 *
 * On its end of a pipe the daemon writes one line: the path of its socket when
 * it serves, or "WORD text" when it gives up, the words being those of error
 * replies.
 */
#include "client/daemon_start.h"

#include "base/err.h"
#include "client/connection.h"
#include "client/deadline.h"
#include "format/resp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAEMON_START_FDS_MAX 65536 /* closed one by one where there is no close_range */

/* ---- in the new process: async-signal-safe calls only ------------------------------- */

static void daemon_start_close_range(unsigned first, unsigned last)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, last, 0) == 0) {
        return;
    }
#endif
    if (last > DAEMON_START_FDS_MAX) {
        last = DAEMON_START_FDS_MAX;
    }
    for (unsigned fd = first; fd <= last; fd++) {
        close((int)fd);
    }
}

/* Nothing of the program's but the pipe, which becomes descriptor 3. */
static void daemon_start_cut_ties(int ready_fd)
{
    /* First out of the way of 0 to 3, which may all be closed, or be the pipe itself. */
    int pipe_fd = fcntl(ready_fd, F_DUPFD, 10);
    int null_fd = open("/dev/null", O_RDWR);
    sigset_t none;

    for (int fd = 0; fd <= 2 && null_fd >= 0; fd++) {
        dup2(null_fd, fd);
    }
    if (dup2(pipe_fd, 3) < 0) {
        _exit(127);
    }
    daemon_start_close_range(4, ~0u);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    if (chdir("/") != 0) {
        _exit(127);
    }
}

static _Noreturn void daemon_start_exec(const char *daemon_path, const char *file_path,
                                        const char *option, int ready_fd)
{
    static const char failed[] = "UNAVAILABLE the program cannot be run\n";

    setsid();
    switch (fork()) {
    case 0:
        break;
    case -1:
        _exit(1);
    default:
        _exit(0);
    }
    daemon_start_cut_ties(ready_fd);
    execl(daemon_path, daemon_path, file_path, "--private", "--ready-fd", "3", option,
          (char *)NULL);
    _exit(write(3, failed, sizeof(failed) - 1) < 0 ? 126 : 127);
}

/* ---- in the program ---------------------------------------------------------------- */

/* A line "WORD text" of a daemon that gave up. */
static enum bts_status daemon_start_refused(const char *line, size_t size,
                                            struct bts_error *error)
{
    enum bts_status status = resp_word_status(line, size);
    const char *blank = memchr(line, ' ', size);
    const char *text = status != BTS_INVALID && blank != NULL ? blank + 1 : line;

    return err_set(error, status != BTS_INVALID ? status : BTS_UNAVAILABLE, "%.*s",
                   (int)(line + size - text), text);
}

/* Reads one line of the daemon's. */
static enum bts_status daemon_start_listen(int fd, const char *daemon_path, uint64_t deadline,
                                           struct bts_error *error)
{
    char line[BTS_ERROR_TEXT_MAX];
    char *end = NULL;
    size_t size = 0;
    ssize_t count = 1;

    while (count > 0 && size < sizeof(line) && end == NULL) {
        if (!connection_poll(fd, false, deadline)) {
            return err_set(error, BTS_UNAVAILABLE, "%s did not become ready in time", daemon_path);
        }
        count = read(fd, line + size, sizeof(line) - size);
        size += count > 0 ? (size_t)count : 0;
        end = memchr(line, '\n', size);
    }
    if (size == 0) {
        return err_set(error, BTS_UNAVAILABLE, "%s ended before it was ready", daemon_path);
    }
    if (line[0] == '/') {
        return BTS_OK;
    }
    return daemon_start_refused(line, end != NULL ? (size_t)(end - line) : size, error);
}

/* The first of the two forks; its process is waited for at once. */
static enum bts_status daemon_start_fork(const char *daemon_path, const char *file_path,
                                         const char *option, int ready_fd,
                                         struct bts_error *error)
{
    pid_t child = fork();
    int how;

    if (child == 0) {
        daemon_start_exec(daemon_path, file_path, option, ready_fd);
    }
    if (child < 0) {
        return err_set_errno(error, BTS_UNAVAILABLE, errno, "cannot start %s: fork", daemon_path);
    }
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) {
    }
    return BTS_OK;
}

/* `option`: one more argument, or NULL. */
static enum bts_status daemon_start_with(const char *daemon_path, const char *file_path,
                                         const char *option, uint64_t deadline,
                                         struct bts_error *error)
{
    int ends[2];
    enum bts_status status;

    if (access(daemon_path, X_OK) != 0) {
        return err_set_errno(error, BTS_UNAVAILABLE, errno, "no daemon to start at %s",
                             daemon_path);
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set_errno(error, BTS_UNAVAILABLE, errno, "cannot start %s: pipe", daemon_path);
    }
    status = daemon_start_fork(daemon_path, file_path, option, ends[1], error);
    close(ends[1]);
    if (status == BTS_OK) {
        status = daemon_start_listen(ends[0], daemon_path, deadline, error);
    }
    close(ends[0]);
    return status;
}

enum bts_status daemon_start(const char *daemon_path, const char *file_path, bool must_exist,
                             uint64_t deadline, struct bts_error *error)
{
    return daemon_start_with(daemon_path, file_path, must_exist ? "--must-exist" : NULL, deadline,
                             error);
}

enum bts_status daemon_start_new(const char *daemon_path, const char *file_path,
                                 size_t page_size, uint64_t deadline, struct bts_error *error)
{
    char option[32];

    snprintf(option, sizeof(option), "--page-size=%zu", page_size);
    return daemon_start_with(daemon_path, file_path, option, deadline, error);
}
