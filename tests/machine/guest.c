/* SPDX-License-Identifier: MIT */
/* guest: see guest.h. */
#include "guest.h"

#include "../process/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define UNMOUNT_TRIES 400u

static struct harness the_store;

struct harness *guest_harness(void)
{
    return &the_store;
}

/* ---- coming up and going down ------------------------------------------------------- */

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static const char *text_from(const char *name)
{
    const char *text = getenv(name);

    HARNESS_CHECK(text != NULL, "%s: not on the command line of the kernel", name);
    return text;
}

static void must_mount(const char *source, const char *target, const char *type,
                       const char *options)
{
    HARNESS_CHECK(mount(source, target, type, 0, options) == 0 || errno == EBUSY, "%s on %s: %s",
                  type, target, strerror(errno));
}

void guest_init(struct guest *guest)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    must_mount("none", "/proc", "proc", NULL);
    must_mount("none", "/sys", "sysfs", NULL);
    must_mount("none", "/mnt", "tmpfs", NULL);
    HARNESS_CHECK(mkdir("/mnt/host", 0700) == 0 && mkdir("/mnt/store", 0700) == 0 &&
                      mkdir("/mnt/run", 0700) == 0,
                  "%s", strerror(errno));
    must_mount("none", "/mnt/host", "hostfs", text_from("MACHINE_FOLDER"));
    *guest = (struct guest){
        .job = text_from("MACHINE_JOB"),
        .file_system = text_from("MACHINE_FS"),
        .volatile_cache = number_from("MACHINE_CACHE", 0) != 0,
        .seed = number_from("MACHINE_SEED", 1),
        .count = number_from("MACHINE_COUNT", 0),
        .part = (unsigned)number_from("MACHINE_PART", 0),
        .part_count = (unsigned)number_from("MACHINE_PARTS", 1),
    };
    setenv("TMPDIR", "/mnt", 1);
    setenv("XDG_RUNTIME_DIR", "/mnt/run", 1);
    setenv("BTS_BUILDDIR", text_from("MACHINE_BUILD"), 1);
    harness_init(&the_store);
    snprintf(the_store.store, sizeof the_store.store, "/mnt/store/main.bts");
}

void guest_say(const char *format, ...)
{
    va_list arguments;

    fputs("@ ", stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    tcdrain(STDOUT_FILENO);
}

void guest_halt(void)
{
    fflush(NULL);
    tcdrain(STDOUT_FILENO);
    reboot(RB_HALT_SYSTEM);
    for (;;)
        pause();
}

bool guest_run(int (*body)(void *argument), void *argument, int *status)
{
    pid_t pid = harness_spawn(body, argument);
    pid_t ended;
    int how = 0;

    do /* as process 1 it inherits every orphan */
        ended = waitpid(-1, &how, 0);
    while (ended >= 0 && ended != pid);
    *status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    return ended == pid && *status == 0;
}

/* ---- the file system under test ----------------------------------------------------- */

void guest_mount_store(const struct guest *guest, const char *device)
{
    HARNESS_CHECK(mount(device, "/mnt/store", guest->file_system, MS_NOATIME, NULL) == 0,
                  "%s on %s: %s", guest->file_system, device, strerror(errno));
}

void guest_unmount_store(void)
{
    for (unsigned i = 0; i < UNMOUNT_TRIES && umount("/mnt/store") != 0; i++) {
        if (errno == EINVAL) /* it never was mounted */
            return;
        HARNESS_CHECK(errno == EBUSY && i + 1 < UNMOUNT_TRIES, "/mnt/store: %s", strerror(errno));
        harness_sleep_us(5000);
    }
}

/* ---- acknowledgements --------------------------------------------------------------- */

static int acknowledged_fd(unsigned writer, int flags)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/mnt/host/acknowledged.%u", writer);
    fd = open(path, flags | O_CLOEXEC, 0600);
    HARNESS_CHECK(fd >= 0, "%s: %s", path, strerror(errno));
    return fd;
}

uint64_t guest_acknowledged(unsigned writer)
{
    int fd = acknowledged_fd(writer, O_RDONLY | O_CREAT);
    uint64_t sequence = 0;
    ssize_t n = read(fd, &sequence, sizeof sequence);

    HARNESS_CHECK(n == 0 || n == sizeof sequence, "writer %u: %zd bytes", writer, n);
    close(fd);
    return sequence;
}

void guest_acknowledge(unsigned writer, uint64_t sequence)
{
    static int fds[WORKLOAD_WRITERS];

    if (fds[writer] == 0)
        fds[writer] = acknowledged_fd(writer, O_RDWR | O_CREAT);
    HARNESS_CHECK(pwrite(fds[writer], &sequence, sizeof sequence, 0) == sizeof sequence &&
                      fsync(fds[writer]) == 0,
                  "writer %u: %s", writer, strerror(errno));
}

/* ---- after a cut -------------------------------------------------------------------- */

static enum workload_verdict serve_and_verify(const uint64_t acknowledged[WORKLOAD_WRITERS],
                                              uint64_t found[WORKLOAD_WRITERS])
{
    enum workload_verdict verdict;
    struct bts_store *store;

    harness_start(&the_store, "--log-size", WORKLOAD_LOG_SIZE, NULL);
    store = harness_open(&the_store);
    verdict = workload_verify(store, acknowledged, found);
    bts_store_close(store);
    harness_stop(&the_store);
    return verdict;
}

enum workload_verdict guest_recover(const uint64_t acknowledged[WORKLOAD_WRITERS],
                                    uint64_t found[WORKLOAD_WRITERS])
{
    uint64_t again[WORKLOAD_WRITERS];
    enum workload_verdict verdict = serve_and_verify(acknowledged, found);

    if (verdict != WORKLOAD_SOUND)
        return verdict;
    verdict = serve_and_verify(found, again);
    if (verdict == WORKLOAD_SOUND && memcmp(found, again, sizeof again) != 0) {
        printf("opened again, it holds other transactions than after the recovery\n");
        verdict = WORKLOAD_HOLE;
    }
    return verdict;
}
