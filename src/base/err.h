/* SPDX-License-Identifier: MIT */
/*
 * err: fill the caller's struct bts_error.
 *
 * Every fallible function of the house ends in one of these calls, so that a
 * failure reads `return err_set(error, BTS_DAMAGED, "%s: page %u: ...", ...)`.
 * The text follows "who: what: where: why; what next": see STYLE in doc/.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <btstore.h>

/*
 * Fills `error` with the status and one line of text, and returns the status.
 * NULL is allowed.  A text that is too long ends in "..."; control bytes (a
 * newline in a file name, say) become '?'.  The arguments may point into
 * error->text, so that a caller can put its own words before what it got.
 * errno stays as it was.
 */
__attribute__((format(printf, 3, 4)))
enum bts_status err_set(struct bts_error *error, enum bts_status status, const char *format, ...);

/* The same, with ": " and the system's words for `errno_value` at the end. */
__attribute__((format(printf, 4, 5)))
enum bts_status err_set_errno(struct bts_error *error, enum bts_status status, int errno_value,
                              const char *format, ...);

/* Empties `error`: status BTS_OK, no text.  NULL is allowed. */
void err_clear(struct bts_error *error);

#endif
