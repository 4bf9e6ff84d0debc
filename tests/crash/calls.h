/* SPDX-License-Identifier: MIT */
/* calls: see calls.c; link with $(calls_ldflags). */
#ifndef CRASH_CALLS_H
#define CRASH_CALLS_H

#include <stdbool.h>

/* From here on anonymous maps are kept; given up when it is false again. */
void calls_keep_maps(bool keep);

#endif
