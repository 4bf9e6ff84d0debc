/* SPDX-License-Identifier: MIT */
/*
 * serial_group: can the members of one commit group be put in an order?
 *
 * They share a txnid; what orders them is what they wrote and required.  A
 * version is written before the next one; a condition is judged after its
 * version was written and before the next was.
 */
#ifndef SERIAL_GROUP_H
#define SERIAL_GROUP_H

#include "serial_history.h"

#include <stdbool.h>

#define SERIAL_GROUP_MAX 256u

/* Uses `members` up.  False: they wait for each other in a circle. */
bool serial_group_has_order(const struct serial_commit **members, size_t count);

#endif
