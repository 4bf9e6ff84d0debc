/* SPDX-License-Identifier: MIT */
/* private_table: see private_table.h. */
#include "pages/private_table.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_ROOM_MIN 128u

/* A table of which a group needed less than this part, or that is larger than this, goes. */
#define TABLE_USED_PART 16u
#define TABLE_ROOM_KEPT 65536u

void private_table_fini(struct private_table *table)
{
    free(table->slots);
    memset(table, 0, sizeof *table);
}

void private_table_clear(struct private_table *table)
{
    if (table->room > TABLE_ROOM_KEPT ||
        (table->room > TABLE_ROOM_MIN && table->count < table->room / TABLE_USED_PART)) {
        private_table_fini(table);
        return;
    }
    if (table->count > 0)
        memset(table->slots, 0, table->room * sizeof *table->slots);
    table->count = 0;
}

enum bts_status private_table_reserve(struct private_table *table, struct bts_error *error)
{
    struct private_table grown = {.room = table->room > 0 ? table->room * 2 : TABLE_ROOM_MIN};

    if (table->room > 0 && table->count + 1 <= table->room / 2)
        return BTS_OK;
    grown.slots = calloc(grown.room, sizeof *grown.slots);
    if (grown.slots == NULL)
        return err_set(error, BTS_NO_MEMORY, "pages: out of memory for %zu private pages",
                       grown.room / 2);
    for (size_t i = 0; i < table->room; i++) {
        if (table->slots[i].data != NULL)
            private_table_insert(&grown, &table->slots[i]);
    }
    free(table->slots);
    *table = grown;
    return BTS_OK;
}

void private_table_insert(struct private_table *table, const struct private_page *page)
{
    size_t place = private_table_place(table, page->pgno);

    assert(table->count < table->room);
    while (table->slots[place].data != NULL) {
        assert(table->slots[place].pgno != page->pgno);
        place = (place + 1) & (table->room - 1);
    }
    table->slots[place] = *page;
    table->count++;
}

uint8_t *private_table_remove(struct private_table *table, pgno_t pgno)
{
    size_t mask = table->room - 1;
    size_t hole = private_table_place(table, pgno);
    uint8_t *data;

    while (table->slots[hole].pgno != pgno || table->slots[hole].data == NULL)
        hole = (hole + 1) & mask;
    data = table->slots[hole].data;
    for (size_t next = (hole + 1) & mask; table->slots[next].data != NULL;
         next = (next + 1) & mask) {
        size_t home = private_table_place(table, table->slots[next].pgno);

        /* it may move back only if its home is not after the hole */
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            table->slots[hole] = table->slots[next];
            hole = next;
        }
    }
    table->slots[hole] = (struct private_page){.data = NULL};
    table->count--;
    return data;
}

void private_table_list(const struct private_table *table, struct private_page *list)
{
    for (size_t i = 0; i < table->room; i++) {
        if (table->slots[i].data != NULL)
            *list++ = table->slots[i];
    }
}
