/* SPDX-License-Identifier: MIT */
/*
 * btstore_unverified: the adapter of our store over the library that does not
 * look into the table of verified pages; see bench/unverified.  The public
 * names of that library have a prefix, so that both can be in one program.
 */
#define BENCH_UNVERIFIED
#include <bench/unverified/names.h> /* made from libbtstore.sym */

#include "btstore.c"
