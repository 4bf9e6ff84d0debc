/* SPDX-License-Identifier: MIT */
/*
 * glob: see glob.h.
 */
#include "server/glob.h"

#include <stdint.h>

struct glob {
    const uint8_t *next;
    const uint8_t *end;
    bool ignore_case;
};

static uint8_t glob_fold(const struct glob *glob, uint8_t byte)
{
    return glob->ignore_case && byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

/* Takes one byte of a set, unescaping it; the caller has looked that there is one. */
static uint8_t glob_set_byte(struct glob *glob)
{
    if (*glob->next == '\\' && glob->end - glob->next >= 2) {
        glob->next++;
    }
    return glob_fold(glob, *glob->next++);
}

/*
 * Matches the set whose '[' was taken, and moves behind its ']'.  A set
 * without ']' ends with the pattern.
 */
static bool glob_match_set(struct glob *glob, uint8_t byte)
{
    bool negated = glob->next < glob->end && *glob->next == '^';
    bool found = false;

    glob->next += negated;
    while (glob->next < glob->end && *glob->next != ']') {
        uint8_t low = glob_set_byte(glob);
        uint8_t high = low;
        if (glob->end - glob->next >= 2 && glob->next[0] == '-' && glob->next[1] != ']') {
            glob->next++;
            high = glob_set_byte(glob);
        }
        if (low > high) {
            uint8_t swapped = low;
            low = high;
            high = swapped;
        }
        found = found || (byte >= low && byte <= high);
    }
    glob->next += glob->next < glob->end; /* the ']' */
    return found != negated;
}

/* Matches one byte against the pattern's next element, which is no '*', and moves behind it. */
static bool glob_match_byte(struct glob *glob, uint8_t byte)
{
    uint8_t element = *glob->next++;

    byte = glob_fold(glob, byte);
    if (element == '?') {
        return true;
    }
    if (element == '[') {
        return glob_match_set(glob, byte);
    }
    if (element == '\\' && glob->next < glob->end) {
        element = *glob->next++;
    }
    return glob_fold(glob, element) == byte;
}

bool glob_match(const void *pattern, size_t pattern_size, const void *text, size_t text_size,
                bool ignore_case)
{
    struct glob glob = {pattern, (const uint8_t *)pattern + pattern_size, ignore_case};
    const uint8_t *at = text;
    const uint8_t *text_end = at + text_size;
    const uint8_t *after_star = NULL; /* the pattern behind the last '*' */
    const uint8_t *retry = NULL;      /* where in the text that '*' is tried to end next */

    while (at < text_end || glob.next < glob.end) {
        if (glob.next < glob.end && *glob.next == '*') {
            after_star = ++glob.next;
            retry = at;
        } else if (at < text_end && glob.next < glob.end && glob_match_byte(&glob, *at)) {
            at++;
        } else if (after_star != NULL && retry < text_end) {
            glob.next = after_star;
            at = ++retry;
        } else {
            return false;
        }
    }
    return true;
}

size_t glob_prefix(const void *pattern, size_t pattern_size, void *prefix)
{
    const uint8_t *next = pattern;
    const uint8_t *end = next + pattern_size;
    uint8_t *to = prefix;
    size_t size = 0;

    while (next < end && *next != '*' && *next != '?' && *next != '[') {
        if (*next == '\\' && end - next >= 2) {
            next++;
        }
        to[size++] = *next++;
    }
    return size;
}
