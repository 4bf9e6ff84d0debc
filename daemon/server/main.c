/* SPDX-License-Identifier: MIT */
/*
 * main: btstored, the daemon of one store.
 *
 * Three ways to be started:
 *   --foreground  stays; for service managers and for looking on
 *   --private     stays, too: libbtstore has detached it already
 *   else          detaches: the command returns once the store is served
 *
 * Whoever waits learns of the outcome: the exit status of the command, the
 * line on --ready-fd, the service manager's notification.
 */
#include "server/server.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

enum main_exit {
    MAIN_OK = 0,
    MAIN_FAILED = 1,
    MAIN_USAGE = 2,
    MAIN_BUSY = 75, /* EX_TEMPFAIL: another daemon serves the store */
};

/* ---- detaching ------------------------------------------------------------------- */

/* The command's end of it: waits until the daemon serves, or has given up. */
static _Noreturn void main_wait_for_daemon(int pipe_fd, pid_t daemon)
{
    char served = 0;
    int how = 0;
    ssize_t size;

    do {
        size = read(pipe_fd, &served, 1);
    } while (size < 0 && errno == EINTR);
    if (size == 1) {
        _exit(MAIN_OK);
    }
    while (waitpid(daemon, &how, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(how) && WEXITSTATUS(how) != 0 ? WEXITSTATUS(how) : MAIN_FAILED);
}

/* Goes on in a process of its own; *pipe_fd is where it tells the command that it serves. */
static enum bts_status main_detach(int *pipe_fd, struct bts_error *error)
{
    int ends[2];

    *pipe_fd = -1;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set_errno(error, BTS_IO, errno, "btstored: pipe");
    }
    pid_t daemon = fork();
    if (daemon < 0) {
        close(ends[0]);
        close(ends[1]);
        return err_set_errno(error, BTS_IO, errno, "btstored: fork");
    }
    if (daemon > 0) {
        close(ends[1]);
        main_wait_for_daemon(ends[0], daemon);
    }
    close(ends[0]);
    setsid();
    *pipe_fd = ends[1];
    return BTS_OK;
}

/* Nothing of the starter's terminal or pipes stays open: he may wait for their end. */
static void main_let_go(struct log *log)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (!log->to_syslog) {
        log_use_syslog(log);
    }
    for (int fd = 0; fd <= 2 && null_fd >= 0; fd++) {
        dup2(null_fd, fd);
    }
    if (null_fd > 2) {
        close(null_fd);
    }
    if (chdir("/") != 0) {
        log_line(log, LOG_WARNING, "cannot leave the starter's directory: %s", strerror(errno));
    }
}

/* ---- telling --------------------------------------------------------------------- */

static void main_write(int fd, const char *text)
{
    size_t size = strlen(text);

    while (size > 0) {
        ssize_t written = write(fd, text, size);
        if (written < 0 && errno != EINTR) {
            return; /* who asked to be told has left */
        }
        text += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
}

/* The service manager's socket, as sd_notify(3) describes it. */
static void main_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof(address.sun_path)) {
        return;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract name */
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
        close(fd);
    }
}

/* Everyone who waits: the store is served. */
static void main_tell_ready(struct server *server, int pipe_fd)
{
    const struct options *options = server->options;

    if (options->ready_fd >= 0) {
        main_write(options->ready_fd, server->listener.path);
        main_write(options->ready_fd, "\n");
        close(options->ready_fd);
    }
    main_notify("READY=1");
    if (!options->foreground) {
        main_let_go(&server->log);
    }
    if (pipe_fd >= 0) {
        main_write(pipe_fd, "!");
        close(pipe_fd);
    }
    log_line(&server->log, LOG_INFO, "serving on %s", server->listener.path);
}

static enum main_exit main_tell_failure(const struct server *server,
                                        const struct bts_error *error)
{
    int ready_fd = server->options->ready_fd;

    log_line(&server->log, LOG_ERR, "%s", error->text);
    if (ready_fd >= 0) {
        main_write(ready_fd, resp_status_word(error->status));
        main_write(ready_fd, " ");
        main_write(ready_fd, error->text);
        main_write(ready_fd, "\n");
    }
    return error->status == BTS_BUSY ? MAIN_BUSY : MAIN_FAILED;
}

/* ---- the life of a daemon -------------------------------------------------------- */

static enum main_exit main_end(struct server *server, enum bts_status status,
                               struct bts_error *error)
{
    if (status != BTS_OK) {
        /* Whatever is open is recovered by the next start; nothing here may touch it any more. */
        log_line(&server->log, LOG_CRIT, "%s; ending at once", error->text);
        _exit(MAIN_FAILED);
    }
    main_notify("STOPPING=1");
    status = server_stop(server, error);
    if (status != BTS_OK) {
        log_line(&server->log, LOG_ERR, "not stopped cleanly: %s", error->text);
    }
    server_close(server);
    log_fini(&server->log);
    return status == BTS_OK ? MAIN_OK : MAIN_FAILED;
}

static enum main_exit main_serve(struct server *server, const struct options *options,
                                 int pipe_fd)
{
    struct bts_error error;

    err_clear(&error);
    if (server_open(server, options, &error) != BTS_OK) {
        return main_tell_failure(server, &error);
    }
    main_tell_ready(server, pipe_fd);
    return main_end(server, server_run(server, &error), &error);
}

static void main_set_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
}

int main(int argc, char *argv[])
{
    static struct server server; /* large */
    struct options options;
    enum options_action action;
    struct bts_error error;
    int pipe_fd = -1;

    if (options_parse(argc, argv, &options, &action, &error) != BTS_OK) {
        fprintf(stderr, "%s\n", error.text);
        return MAIN_USAGE;
    }
    if (action == OPTIONS_HELP) {
        options_print_help(stdout);
        return MAIN_OK;
    }
    if (action == OPTIONS_VERSION) {
        puts("btstored " PACKAGE_VERSION);
        return MAIN_OK;
    }
    umask(077);
    main_set_signals();
    if (!options.foreground && !options.is_private &&
        main_detach(&pipe_fd, &error) != BTS_OK) {
        fprintf(stderr, "%s\n", error.text);
        return MAIN_FAILED;
    }
    return main_serve(&server, &options, pipe_fd);
}
