/* SPDX-License-Identifier: MIT */
/*
 * glob: match a key against a pattern, as the Redis commands do.
 *
 *   *      any bytes, also none          [abc] [a-z] [^a]  one byte of a set
 *   ?      any one byte                  \x                the byte x
 *
 * Works on bytes, not characters.  Iterative: only the last `*` is ever gone
 * back to, so the cost is at most pattern size times text size whatever the
 * pattern, and no stack grows.
 */
#ifndef SERVER_GLOB_H
#define SERVER_GLOB_H

#include <stdbool.h>
#include <stddef.h>

bool glob_match(const void *pattern, size_t pattern_size, const void *text, size_t text_size,
                bool ignore_case);

/*
 * The bytes that every match begins with: copied to `prefix` (pattern_size
 * bytes of room), unescaped.  Returns their number, 0 when there are none.
 */
size_t glob_prefix(const void *pattern, size_t pattern_size, void *prefix);

#endif
