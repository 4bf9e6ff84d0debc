/* SPDX-License-Identifier: MIT */
/*
 * locks: the bytes of the store's files that carry locks.
 *
 * All are open-file-description locks (F_OFD_SETLK), far beyond any end of
 * file, and none is ever waited for.
 *
 *   database, LOCK_DAEMON            exclusive: the one daemon of this file.  A shared
 *                                    lock there is nobody's and does not count.
 *   database, LOCK_READERS + g       shared: every data descriptor handed out by a daemon
 *                                    whose run directory has generation g >= 1; lives as
 *                                    long as the reader's map
 *   database, LOCK_READERS           shared: a reader without a daemon (BTS_OPEN_ALONE)
 *   pending log, LOCK_DAEMON         exclusive: the same daemon; never handed out
 *   slot file, LOCK_SLOT             exclusive, taken by the daemon on the description it
 *                                    hands out: the reader lives as long as its map
 *   run directory's lock file, LOCK_DAEMON  exclusive: the daemon of this directory
 */
#ifndef FORMAT_LOCKS_H
#define FORMAT_LOCKS_H

#define LOCK_DAEMON ((1ull << 62) - 1)
#define LOCK_READERS (1ull << 62)
#define LOCK_READERS_MAX (1ull << 32) /* generations */
#define LOCK_SLOT 0ull

#endif
