/* SPDX-License-Identifier: MIT */
/*
 * serial_cells: the cells of a history (serial_history.h) as keys of a store.
 *
 *   bucket stamps          cell007 -> "42"      its version, kept by increments
 *   bucket data0 .. data2  cell007:a .. :c      what version 42 makes of them
 *   bucket counts          total                commits so far
 *                          writer3              the last sequence of a writer
 *
 * Which of its data keys a cell has, and what is in them, is a function of
 * cell and version: so a reader needs no history to find a cell torn.
 */
#ifndef SERIAL_CELLS_H
#define SERIAL_CELLS_H

#include "../process/harness.h"
#include "serial_history.h"

/* A snapshot and its buckets. */
struct serial_view {
    struct bts_snapshot snapshot;
    struct bts_bucket stamps, data, counts;
    unsigned data_number;  /* which of the data buckets `data` is */
};

void serial_cells_create(struct bts_store *store);
void serial_view_open(struct serial_view *view, struct bts_store *store);
void serial_view_close(struct serial_view *view);
/* The version that the view shows; fails the test if the cell is torn. */
uint32_t serial_cell_version(struct serial_view *view, uint32_t cell);
uint64_t serial_total(const struct serial_view *view);
uint64_t serial_sequence(const struct serial_view *view, unsigned writer);

/* Makes a version of a cell, out of the one before it. */
void serial_cell_write(struct bts_batch *batch, struct serial_version made);
/* The cell must have this version, else the batch is refused. */
void serial_cell_require(struct bts_batch *batch, struct serial_version required);
/* Every batch ends with this. */
void serial_count(struct bts_batch *batch, unsigned writer, uint64_t sequence);

#endif
