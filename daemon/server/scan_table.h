/* SPDX-License-Identifier: MIT */
/*
 * scan_table: the cursors of SCAN.
 *
 * Clients take a cursor for a number; a place in a bucket is a key.  So each
 * number names an entry here that remembers the key to go on at.  A cursor may
 * be used again; SCAN_TABLE_SIZE newer ones later it is forgotten.
 */
#ifndef SERVER_SCAN_TABLE_H
#define SERVER_SCAN_TABLE_H

#include <btstore.h>
#include <stdint.h>

#define SCAN_TABLE_SIZE 4096u

struct scan_place {
    uint64_t id;        /* 0: the place is free */
    uint32_t bucket_id;
    uint8_t *key;       /* the first that was not looked at yet; owned */
    size_t key_size;
};

struct scan_table {
    struct scan_place places[SCAN_TABLE_SIZE];
    uint64_t last_id;
};

void scan_table_init(struct scan_table *table);
void scan_table_fini(struct scan_table *table);

/* Remembers a place, copying the key, and gives it a number. */
BTS_MUST_USE enum bts_status scan_table_add(struct scan_table *table, uint32_t bucket_id,
                                            const void *key, size_t key_size, uint64_t *id,
                                            struct bts_error *error);

/* BTS_NOT_FOUND: no such number, or no more, or it is of another bucket. */
BTS_MUST_USE enum bts_status scan_table_find(const struct scan_table *table, uint64_t id,
                                             uint32_t bucket_id, struct bts_bytes *key,
                                             struct bts_error *error);

#endif
