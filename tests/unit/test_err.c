/* SPDX-License-Identifier: MIT */
/* err: the line of text that comes with every failure. */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

START_TEST(a_failure_carries_its_status_and_its_text)
{
    struct bts_error error;

    enum bts_status status = err_set(&error, BTS_DAMAGED, "%s: page %u", "main.bts", 4711u);

    ck_assert_int_eq(status, BTS_DAMAGED);
    ck_assert_int_eq(error.status, BTS_DAMAGED);
    ck_assert_str_eq(error.text, "main.bts: page 4711");
}
END_TEST

START_TEST(a_caller_may_not_care_for_the_text)
{
    ck_assert_int_eq(err_set(NULL, BTS_LIMIT, "%d", 1), BTS_LIMIT);
    ck_assert_int_eq(err_set_errno(NULL, BTS_IO, EIO, "%d", 1), BTS_IO);
    err_clear(NULL);
}
END_TEST

START_TEST(the_system_says_why_at_the_end)
{
    struct bts_error error;

    enum bts_status status = err_set_errno(&error, BTS_IO, ENOENT, "open %s", "a.bts");

    ck_assert_int_eq(status, BTS_IO);
    ck_assert_str_eq(error.text, "open a.bts: No such file or directory");
}
END_TEST

START_TEST(errno_stays_as_it_was)
{
    struct bts_error error;

    errno = EAGAIN;
    err_set(&error, BTS_IO, "%s", "text");
    ck_assert_int_eq(errno, EAGAIN);
    err_set_errno(&error, BTS_IO, ENOSPC, "%s", "text");
    ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(a_text_too_long_is_cut_and_says_so)
{
    struct bts_error error;
    char path[2 * BTS_ERROR_TEXT_MAX];

    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    memset(&error, 0xee, sizeof(error));
    err_set_errno(&error, BTS_IO, EIO, "open %s", path);

    ck_assert_uint_eq(strlen(error.text), BTS_ERROR_TEXT_MAX - 1);
    ck_assert_int_eq(strncmp(error.text, "open ppp", 8), 0);
    ck_assert_str_eq(error.text + BTS_ERROR_TEXT_MAX - 5, "p...");
}
END_TEST

/* The longest text that fits is left whole; with one byte more it is cut. */
START_TEST(a_text_that_just_fits_is_whole)
{
    struct bts_error error;

    err_set(&error, BTS_IO, "%0*d", BTS_ERROR_TEXT_MAX - 1, 7);
    ck_assert_uint_eq(strlen(error.text), BTS_ERROR_TEXT_MAX - 1);
    ck_assert_str_eq(error.text + BTS_ERROR_TEXT_MAX - 3, "07");

    err_set(&error, BTS_IO, "%0*d", BTS_ERROR_TEXT_MAX, 7);
    ck_assert_uint_eq(strlen(error.text), BTS_ERROR_TEXT_MAX - 1);
    ck_assert_str_eq(error.text + BTS_ERROR_TEXT_MAX - 5, "0...");
}
END_TEST

START_TEST(what_was_got_can_be_put_after_words_of_ones_own)
{
    struct bts_error error;

    err_set(&error, BTS_IO, "disk on fire");
    err_set(&error, error.status, "checkpoint: %s", error.text);

    ck_assert_int_eq(error.status, BTS_IO);
    ck_assert_str_eq(error.text, "checkpoint: disk on fire");
}
END_TEST

START_TEST(a_newline_in_a_name_does_not_break_the_line)
{
    struct bts_error error;

    err_set(&error, BTS_INVALID, "bucket %s: \x7f\x01 caf\xc3\xa9", "a\nb");

    ck_assert_str_eq(error.text, "bucket a?b: ?? caf\xc3\xa9");
}
END_TEST

START_TEST(a_cleared_error_says_nothing)
{
    struct bts_error error;

    err_set(&error, BTS_IO, "text");
    err_clear(&error);

    ck_assert_int_eq(error.status, BTS_OK);
    ck_assert_str_eq(error.text, "");
}
END_TEST

START_TEST(every_status_has_a_name_of_its_own)
{
    for (int a = BTS_OK; a <= BTS_READ_ONLY; a++) {
        const char *name = bts_status_name((enum bts_status)a);
        ck_assert_ptr_nonnull(name);
        ck_assert_int_eq(strncmp(name, "BTS_", 4), 0);
        for (int b = BTS_OK; b < a; b++) {
            ck_assert_str_ne(name, bts_status_name((enum bts_status)b));
        }
    }
    ck_assert_str_eq(bts_status_name(BTS_SNAPSHOT_REVOKED), "BTS_SNAPSHOT_REVOKED");
}
END_TEST

START_TEST(a_number_that_is_no_status_still_has_a_name)
{
    ck_assert_str_eq(bts_status_name((enum bts_status)(BTS_READ_ONLY + 1)), "BTS_(unassigned)");
    ck_assert_str_eq(bts_status_name((enum bts_status) - 1), "BTS_(unassigned)");
}
END_TEST

int main(void)
{
    return UNIT_RUN(
        "err", a_failure_carries_its_status_and_its_text, a_caller_may_not_care_for_the_text,
        the_system_says_why_at_the_end, errno_stays_as_it_was, a_text_too_long_is_cut_and_says_so,
        a_text_that_just_fits_is_whole, what_was_got_can_be_put_after_words_of_ones_own,
        a_newline_in_a_name_does_not_break_the_line, a_cleared_error_says_nothing,
        every_status_has_a_name_of_its_own, a_number_that_is_no_status_still_has_a_name);
}
