/* SPDX-License-Identifier: MIT */
/*
 * barrier: a memory barrier on behalf of all who joined.
 *
 * Where one side of a store-then-load handshake runs a million times as often
 * as the other, the other can pay for both: barrier_all makes every running
 * thread of every process that joined pass a full barrier (Linux 4.16,
 * membarrier).  It interrupts their processors: microseconds, and tens of them
 * in a virtual machine.
 */
#ifndef BASE_BARRIER_H
#define BASE_BARRIER_H

#include <stdbool.h>

/* From now on barrier_all reaches this process, also after it forgot about it. */
bool barrier_join(void);

/*
 * What the threads of joined processes stored before this call's barrier is
 * seen after it; what they load after that barrier sees what the caller stored
 * before.  False: the system cannot, or will not; nothing is known then.
 */
bool barrier_all(void);

#endif
