/* SPDX-License-Identifier: MIT */
/*
 * fuzz_known: assertions that hostile files are known to reach, until they are
 * errors.  All of them stand in fuzz_known.c; an empty list is the aim.
 *
 * An assertion of the list that fails ends the input at work: control returns
 * to known_begin, which then says false.  Any other ends the program.
 */
#ifndef FUZZ_KNOWN_H
#define FUZZ_KNOWN_H

#include <setjmp.h>
#include <stdbool.h>

extern jmp_buf known_place;
extern bool known_armed;

/* if (known_begin()) { the input } : false when a known assertion failed in it. */
#define known_begin() (known_armed = true, setjmp(known_place) == 0)
/* The input is through. */
void known_end(void);

#endif
