/* SPDX-License-Identifier: MIT */
/*
 * test_readers: the readers that outlived a daemon are found by the next one,
 * or it does not start.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/readers.h"

/* The linker's --wrap leads here: the n-th entry cannot be told. */
static int readdir_fails_at;

struct dirent *__real_readdir(DIR *directory);
struct dirent *__wrap_readdir(DIR *directory);

struct dirent *__wrap_readdir(DIR *directory)
{
    if (readdir_fails_at > 0 && --readdir_fails_at == 0) {
        errno = EIO;
        return NULL;
    }
    return __real_readdir(directory);
}

static char directory[200];
static struct run_directory run;
static struct horizon horizon;
static int slot_fds[3]; /* as readers hold them: with the lock */

static void set_up(void)
{
    const char *base = getenv("TMPDIR");
    struct readers readers;
    struct bts_error error;

    snprintf(directory, sizeof(directory), "%s/readers.XXXXXX", base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    run = (struct run_directory){.path = directory, .fd = -1, .lock_fd = -1};
    run.slots_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(run.slots_fd, 0);
    ck_assert_int_eq(horizon_init(&horizon, &error), BTS_OK);
    ck_assert_int_eq(readers_open(&readers, &run, &horizon, &error), BTS_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(readers_attach(&readers, getpid(), getuid(), &slot_fds[i], &error),
                         BTS_OK);
    readers_close(&readers);
}

static void tear_down(void)
{
    struct dirent *entry;
    DIR *files = opendir(directory);

    readdir_fails_at = 0;
    while ((entry = __real_readdir(files)) != NULL)
        (void)unlinkat(run.slots_fd, entry->d_name, 0);
    closedir(files);
    close(run.slots_fd);
    for (int i = 0; i < 3; i++)
        close(slot_fds[i]);
    horizon_fini(&horizon);
    ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(readers_that_live_are_adopted_and_dead_ones_are_not)
{
    struct readers readers;
    struct bts_error error;

    set_up();
    close(slot_fds[1]);
    slot_fds[1] = -1;
    ck_assert_int_eq(readers_open(&readers, &run, &horizon, &error), BTS_OK);
    ck_assert_uint_eq(readers.count, 2);
    readers_close(&readers);
    tear_down();
}
END_TEST

START_TEST(a_slot_that_cannot_be_listed_is_not_taken_for_none)
{
    struct readers readers;
    struct bts_error error;

    set_up();
    for (int at = 1; at <= 6; at++) { /* three slots, two dots, and the end */
        readdir_fails_at = at;
        ck_assert_int_eq(readers_open(&readers, &run, &horizon, &error), BTS_IO);
        ck_assert_uint_eq(readers.count, 0);
        ck_assert_ptr_nonnull(strstr(error.text, "cannot list"));
    }
    ck_assert_int_eq(readers_open(&readers, &run, &horizon, &error), BTS_OK);
    ck_assert_uint_eq(readers.count, 3);
    readers_close(&readers);
    tear_down();
}
END_TEST

int main(void)
{
    return UNIT_RUN("readers", readers_that_live_are_adopted_and_dead_ones_are_not,
                    a_slot_that_cannot_be_listed_is_not_taken_for_none);
}
