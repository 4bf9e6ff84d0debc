/* SPDX-License-Identifier: MIT */
/*
 * replay: every state that a power cut could have left at a flush, from a log
 * of dm-log-writes, and whether the store comes back from it.
 *
 * The base device is walked forward through the log.  Right before each entry
 * that makes something durable, and after the last one, come these states:
 *  - what is durable, and nothing else;
 *  - the same, and of the writes that this flush is for: all but one, one
 *    alone, or a random half, some of them torn at 512 bytes;
 *  - the same, and a torn part of what the flush itself carries.
 * Each is a snapshot of the base device, so that what the file system and the
 * daemon do to it is thrown away afterwards.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "guest.h"

/*
 * The log lies on `log`, made by `guest->file_system` on a device that was
 * like `base`, which is written to.  At most about guest->count states are
 * checked, every flush point among them in any case.  The figures go to the
 * host in one line: @ replayed FLUSHES STATES LOST HOLES LEAKED REFUSED
 */
void replay_run(const struct guest *guest, const char *log, const char *base, const char *scratch);

#endif
