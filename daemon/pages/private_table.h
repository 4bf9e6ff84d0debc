/* SPDX-License-Identifier: MIT */
/*
 * private_table: the private pages of a group, by page number.
 *
 * Open addressing with linear probing; removal moves later entries back, so
 * there are no tombstones.  Looked into for every page of every descent of
 * the daemon: an empty table answers at once.
 *
 * Own code, since the daemon's descents go through it millions of times a
 * second and its entries must be re-inserted by undo without allocating.
 */
#ifndef PAGES_PRIVATE_TABLE_H
#define PAGES_PRIVATE_TABLE_H

#include "format/page.h"

struct private_page {
    pgno_t pgno;
    uint64_t stamp;  /* the savepoint that has its bytes, or that it is younger than */
    uint8_t *data;   /* NULL: the place is free */
};

struct private_table {
    struct private_page *slots;
    size_t room;     /* a power of two, or 0 */
    size_t count;
};

void private_table_fini(struct private_table *table);
void private_table_clear(struct private_table *table);

/* Room for one more entry.  BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status private_table_reserve(struct private_table *table,
                                                   struct bts_error *error);
/* Adds a page that is not there; room was reserved, or freed by a removal. */
void private_table_insert(struct private_table *table, const struct private_page *page);
/* Takes out a page that is there; its data. */
uint8_t *private_table_remove(struct private_table *table, pgno_t pgno);
/* Copies all entries to `list`, table->count of them, in no order. */
void private_table_list(const struct private_table *table, struct private_page *list);

static inline size_t private_table_place(const struct private_table *table, pgno_t pgno)
{
    return (pgno * 0x9e3779b1u >> 7) & (table->room - 1);
}

/* The entry, or NULL; valid until the table changes. */
static inline struct private_page *private_table_find(const struct private_table *table,
                                                      pgno_t pgno)
{
    size_t place;

    if (table->count == 0)
        return NULL;
    place = private_table_place(table, pgno);
    while (table->slots[place].data != NULL) {
        if (table->slots[place].pgno == pgno)
            return &table->slots[place];
        place = (place + 1) & (table->room - 1);
    }
    return NULL;
}

#endif
