/* SPDX-License-Identifier: MIT */
/*
 * flip_places: what lies where in a store and in its log.
 *
 * Live is, in the file: every byte of a page that the newest checkpoint's root
 * reaches, of both metas, and of both copies of each space map.  A page's
 * checksum covers all of it, the unused gap too, and that of a run its last
 * page to the end.  Free pages are not live, nor is what lies behind the
 * high-water mark.
 *
 * In the log: of each segment that the meta's position claims, the header's 60
 * bytes, and each frame's header and body.  Padding behind either, segments
 * that are not claimed and what lies behind the last frame are not live.
 */
#ifndef FLIP_PLACES_H
#define FLIP_PLACES_H

#include "flip_store.h"

/* Maps file and log of a store for writing and fills store->places. */
void flip_map_out(struct flip_store *store);
void flip_unmap(struct flip_store *store);

__attribute__((format(printf, 1, 2), noreturn)) void flip_die(const char *format, ...);

#endif
