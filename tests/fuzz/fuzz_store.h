/* SPDX-License-Identifier: MIT */
/*
 * fuzz_store: whole store files, good ones, and what hostile edits make of them.
 *
 * An input is one byte that chooses the store and then records of eight bytes,
 * each an edit: u8 kind, u8 page (or block of the log), u16 place, u32 value.
 * Kinds know the formats: a header field, a child, an offset, a cell, a meta's
 * or a bucket record's field, a bit of the space map, a page copied over
 * another, a frame's or a segment's header.  Afterwards every page and frame
 * that was touched is sealed again, unless an edit says not to: so checksums
 * keep nothing from what lies behind them, inputs stay small, and any mutator
 * is one that knows the structure.
 *
 * The good stores are made by the engine at the first call, alike each time.
 */
#ifndef FUZZ_STORE_H
#define FUZZ_STORE_H

#include "format/page.h"

#define STORE_PAGE_SIZE 4096u
#define STORE_KINDS 4u      /* see store_make */
#define STORE_EDIT_SIZE 8u
#define STORE_EDITS_MAX 64u

/* A file and its log; log NULL: there is none.  Owned by the caller. */
struct store_image {
    uint8_t *file;
    size_t file_size;
    uint8_t *log;
    size_t log_size;
    uint64_t epoch;      /* of the newest frames in the log */
};

void store_image_fini(struct store_image *image);

/* What the input says. */
void store_image_make(const uint8_t *data, size_t size, struct store_image *image);
/* Puts it into the folder. */
void store_image_write(const struct store_image *image);

/* Input number `index` to begin with; its size, 0: no more. */
size_t store_seed(unsigned index, uint8_t *out);

#endif
