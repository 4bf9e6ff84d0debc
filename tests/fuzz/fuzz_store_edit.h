/* SPDX-License-Identifier: MIT */
/*
 * fuzz_store_edit: the edits of fuzz_store, and sealing what they touched.
 */
#ifndef FUZZ_STORE_EDIT_H
#define FUZZ_STORE_EDIT_H

#include "fuzz_store.h"

/* Edits `image`, which is a copy of `good`. */
void store_edit(struct store_image *image, const struct store_image *good, const uint8_t *data,
                size_t size);

#endif
