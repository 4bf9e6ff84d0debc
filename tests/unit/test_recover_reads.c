/* SPDX-License-Identifier: MIT */
/*
 * test_recover_reads: pages that are another at the next look.
 *
 * After a sync that failed the kernel calls a page clean, and shows what was
 * written though the disk does not hold it.  When memory is short it reads the
 * page again.  A recovery that looked before and after must not go on with
 * half of each: it would believe a space map that is not its meta's, or take
 * for durable a meta that no disk has.
 */
#include "engine_fixture.h"
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
#define HEAD_PAGES 4u /* metas and the maps of group 0 */

static struct engine engine;

/* A file system on which a page turns into an older one when it is read alone. */
static struct {
    struct file_ops ops;
    struct file_system system;
    uint8_t older[HEAD_PAGES][PAGE];
    pgno_t page;
    unsigned reads_left; /* 0: never; 1: the next read shows the older one, and all after it */
} forgetful;

static bool is_the_store(int fd)
{
    struct stat given;
    struct stat store;

    return fstat(fd, &given) == 0 && stat(engine.path, &store) == 0 &&
           given.st_ino == store.st_ino;
}

static ssize_t forgetful_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    ssize_t n = file_system_real.ops->pread(context, fd, data, size, offset);

    if (forgetful.reads_left == 0 || n != (ssize_t)PAGE ||
        offset != (off_t)forgetful.page * PAGE || !is_the_store(fd))
        return n;
    if (forgetful.reads_left > 1)
        forgetful.reads_left--;
    else
        memcpy(data, forgetful.older[forgetful.page], PAGE);
    return n;
}

static void keep_older(void)
{
    int fd = open(engine.path, O_RDONLY);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, forgetful.older, sizeof(forgetful.older), 0),
                     (ssize_t)sizeof(forgetful.older));
    close(fd);
}

/* A store with two checkpoints, the first of which is kept aside. */
static void init_with_two_checkpoints(void)
{
    engine_init_and_start(&engine, false);
    engine_load(&engine, 200, 16);
    engine_power_cut(&engine);
    engine_start(&engine);
    keep_older();
    engine_load(&engine, 400, 16);
    engine_power_cut(&engine);
    engine_start(&engine);
    engine_power_cut(&engine);
    forgetful.ops = *file_system_real.ops;
    forgetful.ops.pread = forgetful_pread;
    forgetful.system = (struct file_system){.ops = &forgetful.ops};
    engine.options.system = &forgetful.system;
}

/* The start is refused if page `page` is the older one from its `reads`th read on. */
static void start_is_refused(pgno_t page, unsigned reads)
{
    struct bts_error error;
    enum bts_status status;

    forgetful.page = page;
    forgetful.reads_left = reads;
    status = engine_try_start(&engine, false, &error);
    forgetful.reads_left = 0;
    ck_assert_msg(status == BTS_IO, "page %u: %s: %s", page, bts_status_name(status),
                  status != BTS_OK ? error.text : "");
    ck_assert_msg(strstr(error.text, "changed") != NULL, "%s", error.text);
}

START_TEST(a_meta_that_is_another_at_the_second_look_stops_recovery)
{
    init_with_two_checkpoints();
    start_is_refused(0, 1); /* both are alike: 0 is the chosen one */
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

START_TEST(a_map_that_is_another_at_the_second_look_stops_recovery)
{
    init_with_two_checkpoints();
    start_is_refused(2, 2); /* as of the metas */
    engine_start(&engine);
    engine_check(&engine);
    engine_fini(&engine);
}
END_TEST

int main(void)
{
    return UNIT_RUN("recover_reads", a_meta_that_is_another_at_the_second_look_stops_recovery,
                    a_map_that_is_another_at_the_second_look_stops_recovery);
}
