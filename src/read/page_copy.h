/* SPDX-License-Identifier: MIT */
/*
 * page_copy: pages of a file, read into memory of the caller.
 *
 * For those who read a file that somebody may cut short meanwhile: a load from
 * a map would then be a SIGBUS, a read that ends early is a reason to tell.
 * What was copied stays as it was when it was checked.
 *
 * Nothing is checked here, and nothing written: the descriptor is read-only.
 */
#ifndef READ_PAGE_COPY_H
#define READ_PAGE_COPY_H

#include "format/page.h"

/*
 * Bytes at an offset as far as they can be read; how many.  Fewer than `size`:
 * errno is 0 if the file ends there, else it says what went wrong.
 */
size_t page_copy_bytes(int fd, void *bytes, size_t size, uint64_t offset);

/* Pages [pgno, pgno + count), unchecked.  BTS_DAMAGED: `why` says why they cannot be had. */
BTS_MUST_USE enum bts_status page_copy(int fd, size_t page_size, pgno_t pgno, uint64_t count,
                                       void *bytes, struct bts_error *why);

#endif
