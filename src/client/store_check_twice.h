/* SPDX-License-Identifier: MIT */
/*
 * store_check_twice: the pages that a store keeps twice, its metas and space maps.
 *
 * A reader needs one of the two, so nobody misses the other before the first
 * one rots as well.  Here each copy is looked at for itself.
 *
 * A daemon may be writing the page while it is read: it is copied, and one
 * that does not verify is read again a few times before it is called damaged.
 */
#ifndef CLIENT_STORE_CHECK_TWICE_H
#define CLIENT_STORE_CHECK_TWICE_H

#include "read/tree_check.h"

/*
 * `walk` reads from a descriptor.
 * Reports each meta that does not verify to `walk`, and with `maps` each copy
 * of a space map too.  `served`: a daemon may be writing.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status store_check_twice(struct tree_check *walk, bool maps, bool served,
                                               struct bts_error *error);

#endif
