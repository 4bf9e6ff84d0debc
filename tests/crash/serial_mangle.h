/* SPDX-License-Identifier: MIT */
/*
 * serial_mangle: proves that serial_check can fail.
 *
 * Takes a good history and makes it wrong in one way after the other: each
 * must be found, and named as what it is; and the history is good again after.
 */
#ifndef SERIAL_MANGLE_H
#define SERIAL_MANGLE_H

#include "serial_history.h"

/*
 * Fails the test if a wrong history is taken for a good one, or if the history
 * has no place for one of the ways.  Returns how many ways there are.
 */
unsigned serial_mangle_all(struct serial_history *history);

#endif
