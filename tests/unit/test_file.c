/* SPDX-License-Identifier: MIT */
/*
 * file: interrupted and short calls are gone on with, and every failure has
 * the status and the words that it should have.
 *
 * Under the seam stands a file in memory, whose next result is set by the test.
 */
#include "pages/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

static char disk[256];
static size_t disk_size;      /* reads end here */
static long result;           /* of the next `times` calls, 0: a real one */
static unsigned long times;
static size_t most = SIZE_MAX; /* bytes that a call moves */
static unsigned long calls;
static struct bts_error error;

/* 0, or what the call shall return. */
static long next_result(void)
{
    calls++;
    if (times == 0)
        return 0;
    times--;
    return result;
}

static int fake_open(void *context, const char *path, int flags, mode_t mode)
{
    long wrong = next_result();

    (void)context, (void)path, (void)flags, (void)mode;
    return wrong != 0 ? (int)wrong : 77;
}

static int fake_close(void *context, int fd)
{
    (void)context, (void)fd;
    return 0;
}

static ssize_t fake_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    long wrong = next_result();
    size_t left = (size_t)offset < disk_size ? disk_size - (size_t)offset : 0;

    (void)context, (void)fd;
    if (wrong != 0)
        return wrong;
    size = size < left ? size : left;
    size = size < most ? size : most;
    memcpy(data, disk + offset, size);
    return (ssize_t)size;
}

static ssize_t fake_pwritev(void *context, int fd, const struct iovec *parts, int part_count,
                            off_t offset)
{
    long wrong = next_result();
    size_t done = 0;

    (void)context, (void)fd;
    if (wrong != 0)
        return wrong;
    for (int i = 0; i < part_count; i++) {
        for (size_t k = 0; k < parts[i].iov_len && done < most; k++)
            disk[(size_t)offset + done++] = ((const char *)parts[i].iov_base)[k];
    }
    return (ssize_t)done;
}

static int fake_range(void *context, int fd, int mode, off_t offset, off_t size)
{
    (void)context, (void)fd, (void)mode, (void)offset, (void)size;
    return (int)next_result();
}

static int fake_sync_range(void *context, int fd, off_t offset, off_t size, unsigned flags)
{
    (void)context, (void)fd, (void)offset, (void)size, (void)flags;
    return (int)next_result();
}

static int fake_truncate(void *context, int fd, off_t size)
{
    (void)context, (void)fd, (void)size;
    return (int)next_result();
}

static int fake_sync(void *context, int fd)
{
    (void)context, (void)fd;
    return (int)next_result();
}

static const struct file_ops fake_ops = {.open = fake_open,
                                         .close = fake_close,
                                         .pread = fake_pread,
                                         .pwritev = fake_pwritev,
                                         .fallocate = fake_range,
                                         .truncate = fake_truncate,
                                         .sync = fake_sync,
                                         .sync_range = fake_sync_range};
static const struct file_system fake = {.ops = &fake_ops, .context = NULL};
static struct file file;

static void start(void)
{
    ck_assert_int_eq(file_open(&file, &fake, "some.bts", O_RDWR, 0, &error), BTS_OK);
    memset(disk, 0, sizeof(disk));
    disk_size = sizeof(disk);
    most = SIZE_MAX;
    calls = 0;
}

static void set_next(long value, unsigned long count)
{
    result = value;
    times = count;
}

START_TEST(short_and_interrupted_calls_are_gone_on_with)
{
    char a[] = "the first part, ";
    char b[] = "and the second";
    struct iovec parts[2] = {{a, 16}, {b, 14}};
    char back[30];

    start();
    most = 7;
    set_next(-EINTR, 3);
    ck_assert_int_eq(file_write_parts(&file, parts, 2, 10, &error), BTS_OK);
    ck_assert_mem_eq(disk + 10, "the first part, and the second", 30);
    ck_assert_uint_eq(calls, 3 + 5);
    set_next(-EINTR, 3);
    ck_assert_int_eq(file_read(&file, back, 30, 10, &error), BTS_OK);
    ck_assert_mem_eq(back, "the first part, and the second", 30);
    set_next(-EINTR, 3);
    ck_assert_int_eq(file_grow(&file, 0, 100, &error), BTS_OK);
    file_close(&file);
}
END_TEST

START_TEST(a_call_that_is_interrupted_for_ever_fails_at_last)
{
    char byte = 'x';

    start();
    set_next(-EINTR, 1000000);
    ck_assert_int_eq(file_write(&file, &byte, 1, 0, &error), BTS_IO);
    ck_assert_int_eq(file_read(&file, &byte, 1, 0, &error), BTS_IO);
    ck_assert_int_eq(file_grow(&file, 0, 100, &error), BTS_IO);
    ck_assert_uint_lt(calls, 10000);
    set_next(0, 0);
    file_close(&file);
}
END_TEST

START_TEST(a_file_that_ends_early_is_damage_and_a_write_of_nothing_an_error)
{
    char bytes[20] = "";

    start();
    disk_size = 15;
    ck_assert_int_eq(file_read(&file, bytes, 20, 0, &error), BTS_DAMAGED);
    ck_assert_msg(strstr(error.text, "ends at byte 15, 5 bytes early") != NULL, "%s", error.text);
    most = 0;
    ck_assert_int_eq(file_write(&file, bytes, 20, 0, &error), BTS_IO);
    file_close(&file);
}
END_TEST

START_TEST(every_errno_has_its_status)
{
    static const struct {
        int number;
        enum bts_status status;
    } cases[] = {{ENOSPC, BTS_NO_SPACE}, {EDQUOT, BTS_NO_SPACE}, {EFBIG, BTS_NO_SPACE},
                 {ENOMEM, BTS_NO_MEMORY}, {EACCES, BTS_DENIED},  {EPERM, BTS_DENIED},
                 {ENOENT, BTS_NOT_FOUND}, {EIO, BTS_IO}};
    struct file other;
    char byte = 'x';

    start();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_next(-cases[i].number, 1);
        ck_assert_int_eq(file_open(&other, &fake, "other", O_RDWR, 0, &error), cases[i].status);
        ck_assert_int_eq(other.fd, -1);
        set_next(-cases[i].number, 1);
        ck_assert_int_eq(file_write(&file, &byte, 1, 0, &error), cases[i].status);
        ck_assert_msg(strstr(error.text, "some.bts: write") != NULL, "%s", error.text);
        set_next(-cases[i].number, 1);
        ck_assert_int_eq(file_truncate(&file, 1, &error), cases[i].status);
        set_next(-cases[i].number, 1);
        ck_assert_int_eq(file_punch(&file, 0, 1, &error), cases[i].status);
        set_next(-cases[i].number, 1); /* what was written may be gone: never a mere refusal */
        ck_assert_int_eq(file_sync(&file, &error), BTS_IO);
        set_next(-cases[i].number, 1);
        ck_assert_int_eq(file_sync_range(&file, 0, 1, &error), BTS_IO);
    }
    file_close(&file);
}
END_TEST

START_TEST(what_a_file_system_does_not_know_is_done_otherwise_or_left)
{
    static const int numbers[] = {EOPNOTSUPP, ENOSYS};

    start();
    for (size_t i = 0; i < 2; i++) {
        memset(disk, 'x', sizeof(disk));
        set_next(-numbers[i], 1);
        ck_assert_int_eq(file_grow(&file, 100, 200, &error), BTS_OK);
        ck_assert(disk[99] == 'x' && disk[100] == 0 && disk[199] == 0 && disk[200] == 'x');
        set_next(-numbers[i], 1);
        ck_assert_int_eq(file_reserve(&file, 0, 100, &error), BTS_OK);
        ck_assert(disk[0] == 'x' && disk[99] == 'x');
        set_next(-numbers[i], 1);
        ck_assert_int_eq(file_punch(&file, 0, 100, &error), BTS_OK);
        set_next(-numbers[i], 1);
        ck_assert_int_eq(file_sync_range(&file, 0, 100, &error), BTS_OK);
    }
    calls = 0;
    ck_assert_int_eq(file_grow(&file, 100, 100, &error), BTS_OK);
    ck_assert_uint_eq(calls, 0);
    file_close(&file);
}
END_TEST

START_TEST(direct_writes_that_the_device_will_not_have_go_through_the_cache)
{
    char path[] = "direct.XXXXXX";
    _Alignas(4096) static char bytes[3 * 4096];
    char back[sizeof(bytes)];
    struct file real;
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    memset(bytes, 'a', sizeof(bytes));
    ck_assert_int_eq(file_open(&real, &file_system_real, path, O_RDWR, 0, &error), BTS_OK);
    file_ask_direct(&real);
    ck_assert_int_eq(file_write(&real, bytes, sizeof(bytes), 0, &error), BTS_OK);
    /* neither the memory nor the size nor the place is what a device takes */
    memset(bytes, 'b', sizeof(bytes));
    ck_assert_int_eq(file_write(&real, bytes + 1, 1000, 777, &error), BTS_OK);
    ck_assert_int_eq(file_sync(&real, &error), BTS_OK);
    ck_assert_int_eq(file_read(&real, back, sizeof(back), 0, &error), BTS_OK);
    ck_assert(back[776] == 'a' && back[777] == 'b' && back[1776] == 'b' && back[1777] == 'a');
    file_close(&real);
    unlink(path);
}
END_TEST

int main(void)
{
    return UNIT_RUN("file", short_and_interrupted_calls_are_gone_on_with,
                    a_call_that_is_interrupted_for_ever_fails_at_last,
                    a_file_that_ends_early_is_damage_and_a_write_of_nothing_an_error,
                    every_errno_has_its_status,
                    what_a_file_system_does_not_know_is_done_otherwise_or_left,
                    direct_writes_that_the_device_will_not_have_go_through_the_cache);
}
