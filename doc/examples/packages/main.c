/* SPDX-License-Identifier: MIT */
/*
 * packages: the command line of the example; see packages.h.
 *
 *     packages STORE COMMAND [NAME FOLDER [DPKG]]
 *
 * load and verify run once; read and count run until SIGTERM.  NAME names the
 * process in FOLDER, where each leaves a line of numbers; DPKG is dpkg's
 * folder, /var/lib/dpkg if not given.  The daemon must be running: ./quickstart
 * starts, kills and restarts it.
 */
#include "packages.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATUS_LINE_BYTES 512

struct command {
    const char *name;
    void (*run)(const struct arguments *arguments);
    bool needs_data;
};

static const struct command commands[] = {
    {"load", load_run, true},     {"read", read_run, true},  {"count", count_run, false},
    {"verify", verify_run, true}, {"show", show_run, false},
};

static volatile sig_atomic_t stopping;

static void stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

bool is_stopping(void)
{
    return stopping != 0;
}

void fail(const char *format, ...)
{
    va_list list;

    fflush(stdout);
    fputs("packages: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

void must(enum bts_status status, const struct bts_error *error)
{
    if (status != BTS_OK) {
        fail("%s: %s", bts_status_name(status), error->text);
    }
}

void *must_alloc(void *memory)
{
    if (memory == NULL) {
        fail("out of memory");
    }
    return memory;
}

uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void status_write(const struct arguments *arguments, const char *format, ...)
{
    static int fd = -1;
    char line[STATUS_LINE_BYTES + 1];
    va_list list;
    int used;

    if (fd < 0) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", arguments->folder, arguments->name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0) {
            fail("%s: %s", path, strerror(errno));
        }
    }
    va_start(list, format);
    used = vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    if (used < 0 || used >= STATUS_LINE_BYTES) {
        fail("a status line of %d bytes", used);
    }
    memset(line + used, ' ', (size_t)(STATUS_LINE_BYTES - used));
    line[STATUS_LINE_BYTES - 1] = '\n';
    if (pwrite(fd, line, STATUS_LINE_BYTES, 0) != STATUS_LINE_BYTES) {
        fail("%s/%s: %s", arguments->folder, arguments->name, strerror(errno));
    }
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    fail("there is no command %s", name);
}

int main(int argc, char *argv[])
{
    /* Without this, a writer that finds no daemon would start one of its own. */
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct sigaction action = {.sa_handler = stop};
    struct arguments arguments = {0};
    const struct command *command;
    static struct data data;
    struct bts_error error;

    if (argc < 3) {
        fprintf(stderr, "Usage: packages STORE load|read|count|verify|show "
                        "[NAME FOLDER [DPKG]]\n");
        return 2;
    }
    command = find_command(argv[2]);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    arguments.name = argc > 3 ? argv[3] : command->name;
    arguments.folder = argc > 4 ? argv[4] : ".";
    if (command->needs_data) {
        data_read(argc > 5 ? argv[5] : "/var/lib/dpkg", &data);
        arguments.data = &data;
    }
    must(bts_store_open(argv[1], &options, &arguments.store, &error), &error);
    command->run(&arguments);
    bts_store_close(arguments.store);
    return 0;
}
