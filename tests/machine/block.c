/* SPDX-License-Identifier: MIT */
/* block: see block.h. */
#include "block.h"

#include "../process/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PARAMETERS_MAX 512u
#define UNMAP_TRIES 200u

/* One call to device-mapper: its header, then what the command takes. */
struct request {
    struct dm_ioctl header;
    char body[sizeof(struct dm_target_spec) + PARAMETERS_MAX];
};

void block_load_module(const char *name, const char *parameters)
{
    char path[256];
    struct utsname kernel;
    int fd;

    HARNESS_CHECK(uname(&kernel) == 0, "%s", strerror(errno));
    snprintf(path, sizeof path, "/usr/lib/uml/modules/%s/kernel/%s.ko", kernel.release, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    HARNESS_CHECK(fd >= 0, "%s: %s", path, strerror(errno));
    HARNESS_CHECK(syscall(SYS_finit_module, fd, parameters, 0) == 0 || errno == EEXIST, "%s: %s",
                  path, strerror(errno));
    close(fd);
}

uint64_t block_sectors(const char *path)
{
    uint64_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    HARNESS_CHECK(fd >= 0, "%s: %s", path, strerror(errno));
    HARNESS_CHECK(ioctl(fd, BLKGETSIZE64, &size) == 0, "%s: %s", path, strerror(errno));
    close(fd);
    return size / BLOCK_SECTOR;
}

/* ---- device-mapper ------------------------------------------------------------------ */

static int control_fd(void)
{
    static int fd = -1;

    if (fd < 0)
        fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    HARNESS_CHECK(fd >= 0, "/dev/mapper/control: %s", strerror(errno));
    return fd;
}

static void request_init(struct request *request, const char *name)
{
    memset(request, 0, sizeof *request);
    request->header.version[0] = DM_VERSION_MAJOR;
    request->header.data_size = sizeof *request;
    request->header.data_start = offsetof(struct request, body);
    snprintf(request->header.name, sizeof request->header.name, "%s", name);
}

static void must_call(unsigned long command, struct request *request, const char *what)
{
    HARNESS_CHECK(ioctl(control_fd(), command, request) == 0, "%s: %s: %s", request->header.name,
                  what, strerror(errno));
}

void block_map(const char *name, uint64_t sectors, const char *target, const char *parameters,
               char path[BLOCK_PATH_MAX])
{
    struct request request;
    struct dm_target_spec spec = {.length = sectors};

    request_init(&request, name);
    must_call(DM_DEV_CREATE, &request, "create");
    snprintf(path, BLOCK_PATH_MAX, "/dev/dm-%u", minor(request.header.dev));

    request_init(&request, name);
    request.header.target_count = 1;
    snprintf(spec.target_type, sizeof spec.target_type, "%s", target);
    memcpy(request.body, &spec, sizeof spec);
    snprintf(request.body + sizeof spec, PARAMETERS_MAX, "%s", parameters);
    must_call(DM_TABLE_LOAD, &request, parameters);

    request_init(&request, name); /* without the suspend flag: resume */
    must_call(DM_DEV_SUSPEND, &request, "resume");
}

void block_unmap(const char *name)
{
    struct request request;

    for (unsigned i = 0; i < UNMAP_TRIES; i++) {
        request_init(&request, name);
        if (ioctl(control_fd(), DM_DEV_REMOVE, &request) == 0)
            return;
        HARNESS_CHECK(errno == EBUSY, "%s: remove: %s", name, strerror(errno));
        harness_sleep_us(5000);
    }
    harness_fail(__FILE__, __LINE__, "DM_DEV_REMOVE", "%s stays busy", name);
}

void block_message(const char *name, const char *text)
{
    struct request request;

    request_init(&request, name);
    snprintf(request.body + sizeof(struct dm_target_msg), PARAMETERS_MAX, "%s", text);
    must_call(DM_TARGET_MSG, &request, text);
}

/* ---- loop --------------------------------------------------------------------------- */

void block_loop(const char *backing, char path[BLOCK_PATH_MAX])
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int fd = open(backing, O_RDWR | O_CLOEXEC);
    int number;
    int loop;

    HARNESS_CHECK(control >= 0 && fd >= 0, "%s: %s", backing, strerror(errno));
    number = ioctl(control, LOOP_CTL_GET_FREE);
    HARNESS_CHECK(number >= 0, "loop: %s", strerror(errno));
    snprintf(path, BLOCK_PATH_MAX, "/dev/loop%d", number);
    loop = open(path, O_RDWR | O_CLOEXEC);
    HARNESS_CHECK(loop >= 0, "%s: %s", path, strerror(errno));
    HARNESS_CHECK(ioctl(loop, LOOP_SET_FD, fd) == 0, "%s: %s", path, strerror(errno));
    close(control);
    close(fd);
    /* `loop` stays open: without a user the device would let go of its backing. */
}
