/* SPDX-License-Identifier: MIT */
/*
 * batch: the writes of one transaction as one byte string.
 *
 * The same bytes travel from the client, lie in the pending log, are replayed
 * by recovery, and will be the change feed.
 *
 *   0 u32 magic      "btb1"
 *   4 u32 flags      0
 *   8 u64 snapshot   txnid the reads were made at; 0: a blind batch
 *  16 u32 count      operations
 *  20 u32 size       bytes of the whole batch, this header included
 *  24 operations, back to back, without alignment:
 *        u8  type    enum batch_type
 *        u8  flags   enum batch_flag
 *        u16 size1   bytes of the first string
 *        u32 size2   bytes of the second string
 *        first string, second string
 *
 *   type                 first            second
 *   BATCH_USE            bucket name      -            the operations that follow apply to it
 *   BATCH_USE_ID         -                u32 id       the same, by number
 *   BATCH_PUT            key              value
 *   BATCH_DELETE         key              -
 *   BATCH_DELETE_RANGE   from             to           from <= key < to; flags: a side is open
 *   BATCH_INCREMENT      key              i64 delta    decimal text in the tree
 *   BATCH_GET            key              -            reads only: a result for the caller
 *   BATCH_BUCKET_CREATE  name             -
 *   BATCH_BUCKET_DROP    name             -
 *   BATCH_BUCKET_RENAME  old name         new name
 *   BATCH_REQUIRE_ABSENT key              -            conditions, judged when their turn comes
 *   BATCH_REQUIRE_PRESENT key             -
 *   BATCH_REQUIRE_EQUAL  key              value
 *
 * A batch starts in bucket `default`.  An open bound has no bytes; a closed one
 * is a key.  One encoder and one decoder: here.
 *
 * Invariants
 *  (1) batch_check accepts only what batch_next can walk without leaving the
 *      bytes; what it accepts obeys the limits for the page size given.
 *  (2) The builder never holds a batch that batch_check would refuse.
 */
#ifndef FORMAT_BATCH_H
#define FORMAT_BATCH_H

#include "format/page.h"

#define BATCH_MAGIC 0x31627462u /* "btb1" */
#define BATCH_HEADER_SIZE 24u
#define BATCH_OPERATION_HEADER_SIZE 8u
#define BATCH_SIZE_MAX (256u << 20)

enum batch_type {
    BATCH_USE = 1,
    BATCH_USE_ID = 2,
    BATCH_PUT = 3,
    BATCH_DELETE = 4,
    BATCH_DELETE_RANGE = 5,
    BATCH_INCREMENT = 6,
    BATCH_GET = 7,
    BATCH_BUCKET_CREATE = 8,
    BATCH_BUCKET_DROP = 9,
    BATCH_BUCKET_RENAME = 10,
    BATCH_REQUIRE_ABSENT = 11,
    BATCH_REQUIRE_PRESENT = 12,
    BATCH_REQUIRE_EQUAL = 13,
    BATCH_TYPE_END,
};

enum batch_flag {
    BATCH_IF_ABSENT = 1,  /* PUT: only when the key is not there (skipped, not refused) */
    BATCH_IF_PRESENT = 2, /* PUT: only when it is */
    BATCH_RETURN = 4,     /* the caller wants the result: PUT: the old value; DELETE: whether it was
                             there; INCREMENT: the sum; BUCKET_CREATE: its number; GET has one
                             with or without the flag */
    BATCH_OPEN_FROM = 8,  /* DELETE_RANGE: no lower bound */
    BATCH_OPEN_TO = 16,   /* DELETE_RANGE: no upper bound */
};

struct batch_operation {
    enum batch_type type;
    unsigned flags;
    const uint8_t *first;
    size_t first_size;
    const uint8_t *second;
    size_t second_size;
};

/* A batch under construction; zero it to start.  Owns `data` (malloc). */
struct batch {
    uint8_t *data;
    size_t size;
    size_t room;
};

/* Frees what the builder owns. */
void batch_fini(struct batch *batch);
/* Empties it, keeping its memory. */
void batch_clear(struct batch *batch);
/*
 * Appends one operation, copying it.  Checks key, value, name and batch sizes
 * against the limits of the largest page size (the daemon checks against the
 * store's own).  BTS_LIMIT, BTS_INVALID, BTS_NO_MEMORY: the batch is as before.
 */
BTS_MUST_USE enum bts_status batch_add(struct batch *batch, enum batch_type type, unsigned flags,
                                       const void *first, size_t first_size, const void *second,
                                       size_t second_size, struct bts_error *error);
/* The finished bytes (header filled in); valid until the batch changes. */
const uint8_t *batch_bytes(struct batch *batch, size_t *size);

/*
 * Checks bytes from a peer or a log: header, every operation, and the limits
 * of a store with this page size.  BTS_INVALID or BTS_LIMIT with the
 * operation's number, counted from 1, and what is wrong with it.
 */
BTS_MUST_USE enum bts_status batch_check(const void *data, size_t size, size_t page_size,
                                         struct bts_error *error);

/* Walks a checked batch. */
struct batch_reader {
    const uint8_t *next;
    const uint8_t *end;
};
void batch_reader_init(struct batch_reader *reader, const void *data, size_t size);
/* False at the end. */
bool batch_next(struct batch_reader *reader, struct batch_operation *operation);
/* The operation whose bytes begin here: where `next` of a reader pointed to before batch_next. */
void batch_operation_read(const uint8_t *bytes, struct batch_operation *operation);

static inline uint32_t batch_count(const void *checked)
{
    const uint8_t *p = checked;
    return (uint32_t)p[16] | (uint32_t)p[17] << 8 | (uint32_t)p[18] << 16 | (uint32_t)p[19] << 24;
}

#endif
