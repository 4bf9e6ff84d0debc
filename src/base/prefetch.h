/* SPDX-License-Identifier: MIT */
/*
 * prefetch: ask the processor for a cache line that will be needed soon.
 *
 * Whatever the address, it does no harm.  The empty assembler line is what
 * makes it happen: to gcc a loop or a function that does nothing but
 * __builtin_prefetch has no effect, and it leaves out the loop or the call.
 */
#ifndef BASE_PREFETCH_H
#define BASE_PREFETCH_H

static inline void prefetch(const void *line)
{
    __builtin_prefetch(line);
    __asm__ volatile("" : : "r"(line));
}

#endif
