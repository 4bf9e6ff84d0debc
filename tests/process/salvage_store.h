/* SPDX-License-Identifier: MIT */
/*
 * salvage_store: the store that the test of salvage damages.
 *
 * Trees of several levels, values in runs, an empty bucket; old versions and
 * deleted keys in free pages; and commits that are only in the log: each puts
 * "log-N", deletes "gone-N" and increments "counter", all in "users".
 */
#ifndef SALVAGE_STORE_H
#define SALVAGE_STORE_H

#include "harness.h"

#define SALVAGE_STORE_COMMITS 30u /* after the checkpoint, in the log */

/* The value of a key; `generation`, 0 to 3, tells its versions apart.  Up to 32 KiB. */
size_t salvage_store_value(const char *bucket, const char *key, unsigned generation, char *out);

/* Builds it with a daemon that is then killed. */
void salvage_store_build(struct harness *harness);

#endif
