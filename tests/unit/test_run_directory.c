/* SPDX-License-Identifier: MIT */
/*
 * test_run_directory: the beacon of an earlier daemon is gone on with; one that
 * cannot be looked at is left alone, and the daemon does not start.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/barrier.h"
#include "server/run_directory.h"

/* The linker's --wrap leads here: the n-th such call from now on fails, once; 0: none. */
static int fstat_fails_at;
static int mmap_fails_at;

int __real_fstat(int fd, struct stat *info);
int __wrap_fstat(int fd, struct stat *info);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

int __wrap_fstat(int fd, struct stat *info)
{
    if (fstat_fails_at > 0 && --fstat_fails_at == 0) {
        errno = EIO;
        return -1;
    }
    return __real_fstat(fd, info);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (mmap_fails_at > 0 && --mmap_fails_at == 0) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return __real_mmap(at, size, protection, flags, fd, offset);
}

/* Instead of the library's: a system that may refuse. */
static bool barrier_is_refused;

bool barrier_join(void)
{
    return !barrier_is_refused;
}

bool barrier_all(void)
{
    return !barrier_is_refused;
}

static char directory[200];
static int data_fd;
static struct run_directory run;
static struct commit_identity identity = {.uuid = {1, 2, 3}, .inode = 7, .page_size = 4096};

static enum bts_status open_run(struct bts_error *error)
{
    run_directory_init(&run);
    return run_directory_open(&run, &identity, data_fd, directory, (gid_t)-1, error);
}

/* The beacon's inode: what readers have mapped. */
static ino_t beacon_inode(void)
{
    char path[300];
    struct stat info;

    snprintf(path, sizeof(path), "%s/beacon", directory);
    ck_assert_int_eq(stat(path, &info), 0);
    return info.st_ino;
}

/* A directory in which a daemon has been. */
static void set_up(void)
{
    const char *base = getenv("TMPDIR");
    struct bts_error error;

    snprintf(directory, sizeof(directory), "%s/run.XXXXXX", base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    data_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(open_run(&error), BTS_OK);
    run_directory_close(&run);
}

static void tear_down(void)
{
    struct bts_error error;

    ck_assert_int_eq(open_run(&error), BTS_OK);
    run_directory_remove(&run);
    run_directory_close(&run);
    ck_assert_int_eq(rmdir(directory), 0); /* one that was given is emptied only */
    close(data_fd);
}

START_TEST(the_beacon_is_gone_on_with)
{
    struct bts_error error;
    ino_t before;

    set_up();
    before = beacon_inode();
    ck_assert_int_eq(open_run(&error), BTS_OK);
    ck_assert_uint_eq(beacon_inode(), before);
    run_directory_close(&run);
    tear_down();
}
END_TEST

/* What a reader has mapped, and a daemon left. */
static struct beacon *keep_beacon(void)
{
    struct bts_error error;
    struct beacon *old;
    int fd;

    ck_assert_int_eq(open_run(&error), BTS_OK);
    ck_assert_int_eq(run_directory_beacon_descriptor(&run, &fd, &error), BTS_OK);
    old = mmap(NULL, BEACON_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(old, MAP_FAILED);
    close(fd);
    run_directory_close(&run);
    return old;
}

/* Its readers do not fence, and nobody can make them: they keep what they have. */
START_TEST(a_beacon_that_promises_barriers_is_retired_where_there_are_none)
{
    struct bts_error error;
    struct beacon *old;
    ino_t before;

    set_up();
    before = beacon_inode();
    old = keep_beacon();
    ck_assert_uint_eq(old->barriers, 1);
    barrier_is_refused = true;
    ck_assert_int_eq(open_run(&error), BTS_OK);
    ck_assert_uint_ne(beacon_inode(), before);
    ck_assert_uint_eq(atomic_load(&old->state), BEACON_RETIRED);
    ck_assert_uint_gt(run.beacon->generation, old->generation);
    ck_assert_uint_eq(run.beacon->barriers, 0);
    run_directory_close(&run);
    /* The new one's readers fence for themselves: any daemon will do. */
    before = beacon_inode();
    barrier_is_refused = false;
    ck_assert_int_eq(open_run(&error), BTS_OK);
    ck_assert_uint_eq(beacon_inode(), before);
    ck_assert_uint_eq(run.beacon->barriers, 0);
    run_directory_close(&run);
    munmap(old, BEACON_SIZE);
    tear_down();
}
END_TEST

START_TEST(a_beacon_of_another_file_is_retired)
{
    struct bts_error error;
    struct beacon *old;
    ino_t before;

    set_up();
    before = beacon_inode();
    old = keep_beacon();
    identity.inode++;
    ck_assert_int_eq(open_run(&error), BTS_OK);
    ck_assert_uint_ne(beacon_inode(), before);
    ck_assert_uint_eq(atomic_load(&old->state), BEACON_RETIRED);
    munmap(old, BEACON_SIZE);
    run_directory_close(&run);
    tear_down();
}
END_TEST

START_TEST(a_beacon_that_cannot_be_looked_at_is_not_replaced)
{
    struct bts_error error;
    ino_t before;
    unsigned refused = 0;

    set_up();
    before = beacon_inode();
    for (int at = 1; at <= 4; at++) {
        for (int which = 0; which < 2; which++) {
            *(which == 0 ? &fstat_fails_at : &mmap_fails_at) = at;
            refused += open_run(&error) != BTS_OK;
            run_directory_close(&run);
            fstat_fails_at = mmap_fails_at = 0;
            ck_assert_uint_eq(beacon_inode(), before);
        }
    }
    ck_assert_uint_ge(refused, 2);
    tear_down();
}
END_TEST

int main(void)
{
    return UNIT_RUN("run_directory", the_beacon_is_gone_on_with,
                    a_beacon_that_promises_barriers_is_retired_where_there_are_none,
                    a_beacon_of_another_file_is_retired,
                    a_beacon_that_cannot_be_looked_at_is_not_replaced);
}
