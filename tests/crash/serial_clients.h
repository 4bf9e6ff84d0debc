/* SPDX-License-Identifier: MIT */
/*
 * serial_clients: the processes that make a history, and note it.
 *
 * Writers commit to cells that all share, on conditions, and to cells of their
 * own, blindly and in pipelines; some conditions are false on purpose.  When a
 * daemon dies under a commit, its writer finds out what became of it.  Readers
 * read many cells in one snapshot, and some again after a while, across the
 * death of a daemon, too.
 */
#ifndef SERIAL_CLIENTS_H
#define SERIAL_CLIENTS_H

#include "../process/harness.h"
#include "serial_cells.h"
#include "serial_history.h"

#include <stdatomic.h>

#define SERIAL_WRITERS 4u
#define SERIAL_READERS 3u
#define SERIAL_DRIVER (SERIAL_WRITERS + SERIAL_READERS) /* the index of its log */
#define SERIAL_LOGS (SERIAL_DRIVER + 1)

#define SERIAL_CELLS_SHARED 40u
#define SERIAL_CELLS_OWN 4u /* a writer's */
#define SERIAL_CELLS (SERIAL_CELLS_SHARED + SERIAL_WRITERS * SERIAL_CELLS_OWN)

/* Shared by all of them. */
struct serial_clients {
    struct harness *harness;
    _Atomic bool stop;          /* writers end */
    _Atomic unsigned reading;   /* readers that have not enough yet */
    uint64_t reads_wanted;      /* of each reader */
    uint64_t sequences[SERIAL_WRITERS];
    uint64_t seeds[SERIAL_LOGS];
    struct serial_log logs[SERIAL_LOGS];
    pid_t pids[SERIAL_DRIVER];
};

/* Room for rounds in which each reader reads so much. */
void serial_clients_init(struct serial_clients *clients, struct harness *harness,
                         uint64_t reads_wanted);
/* Empties the logs and starts everyone. */
void serial_clients_start(struct serial_clients *clients);
/* Fails the test if one has ended that should not have. */
void serial_clients_check(struct serial_clients *clients);
/* Once all readers have enough: ends the writers. */
void serial_clients_join(struct serial_clients *clients);
/* The driver's own snapshot: reads every cell, and notes it. */
void serial_clients_look(struct serial_clients *clients, struct bts_store *store);

#endif
