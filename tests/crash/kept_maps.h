/* SPDX-License-Identifier: MIT */
/* kept_maps: see kept_maps.c; link with $(kept_maps_ldflags). */
#ifndef CRASH_KEPT_MAPS_H
#define CRASH_KEPT_MAPS_H

#include <stdbool.h>

/* From now on maps are kept; or all that are kept are given back. */
void kept_maps_enable(bool enable);

#endif
