/* SPDX-License-Identifier: MIT */
/*
 * Tests of client/store and client/locate as far as they go without a daemon:
 * where the files are, what options mean, which words a failure has.
 */
#include "client/locate.h"

#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];

static void make_folder(void)
{
    char template[] = "/tmp/bts-unit-XXXXXX";

    ck_assert_ptr_nonnull(mkdtemp(template));
    ck_assert_ptr_nonnull(realpath(template, folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void make_file(const char *name, const char *text)
{
    int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void expect_location(const char *path, const char *name)
{
    char expected[PATH_MAX + 16];
    struct location location;

    ck_assert_int_eq(location_find(path, &location, NULL), BTS_OK);
    snprintf(expected, sizeof(expected), "%s/%s", folder, name);
    ck_assert_str_eq(location.file_path, expected);
    strcat(expected, ".socket");
    ck_assert_str_eq(location.socket_path, expected);
    location_fini(&location);
}

START_TEST(a_path_is_found_however_it_is_written)
{
    char absolute[PATH_MAX + 16];

    make_folder();
    make_file("app.bts", "");
    ck_assert_int_eq(mkdir("sub", 0700), 0);
    ck_assert_int_eq(symlink("../app.bts", "sub/link.bts"), 0);
    snprintf(absolute, sizeof(absolute), "%s/app.bts", folder);
    expect_location("app.bts", "app.bts");
    expect_location("./sub/../app.bts", "app.bts");
    expect_location(absolute, "app.bts");
    expect_location("sub/link.bts", "app.bts"); /* one store has one socket */
    expect_location("new.bts", "new.bts");
    expect_location("sub/new.bts", "sub/new.bts");
}
END_TEST

START_TEST(what_cannot_be_a_store_is_told)
{
    struct location location;
    struct bts_error error;

    make_folder();
    ck_assert_int_eq(location_find("missing/app.bts", &location, &error), BTS_UNAVAILABLE);
    ck_assert_int_eq(location_find(folder, &location, &error), BTS_INVALID);
    ck_assert_int_eq(location_find("/dev/null", &location, &error), BTS_INVALID);
    ck_assert_int_eq(location_find("missing/", &location, &error), BTS_UNAVAILABLE);
}
END_TEST

static void expect_open(enum bts_status status, const char *path, unsigned flags,
                        const char *words)
{
    struct bts_options options = {.flags = flags, .daemon_path = "/nonexistent/btstored"};
    struct bts_store *store = (struct bts_store *)&options;
    struct bts_error error = {.status = BTS_OK};

    ck_assert_int_eq(bts_store_open(path, &options, &store, &error), status);
    ck_assert_ptr_null(store);
    ck_assert_int_eq(error.status, status);
    ck_assert_msg(strstr(error.text, words) != NULL, "%s", error.text);
    ck_assert_int_eq(bts_store_open(path, &options, &store, NULL), status);
}

START_TEST(each_failure_to_open_has_its_words)
{
    make_folder();
    make_file("text", "this is a text and no database, although it has a few bytes");
    expect_open(BTS_INVALID, "", 0, "no path");
    expect_open(BTS_INVALID, "app.bts", 1u << 20, "app.bts: options: flags 0x100000");
    expect_open(BTS_UNAVAILABLE, "app.bts", 0, "app.bts: no daemon to start at /nonexistent");
    expect_open(BTS_UNAVAILABLE, "app.bts", BTS_OPEN_NO_START, "start btstored");
    expect_open(BTS_UNAVAILABLE, "app.bts", BTS_OPEN_MUST_EXIST, "No such file");
    expect_open(BTS_IO, "app.bts", BTS_OPEN_ALONE, "No such file");
    expect_open(BTS_DAMAGED, "text", BTS_OPEN_ALONE, "text: ");
    ck_assert_int_ne(access("app.bts", F_OK), 0);
}
END_TEST

int main(void)
{
    return UNIT_RUN("store", a_path_is_found_however_it_is_written, what_cannot_be_a_store_is_told,
                    each_failure_to_open_has_its_words);
}
