/* SPDX-License-Identifier: MIT */
/*
 * fuzz_oracle: what a store must hold after any row of operations.
 *
 * Keys are a fixed universe of ORACLE_KEYS, numbered in their order, buckets
 * one of ORACLE_NAMES, so a bucket is an array and a change is an assignment.
 * Keys are long, and many share all but their ends: few of them make leaves
 * and inner pages split.  A value follows from its key, seed and size.
 *
 * Written from what batch.h and apply.h promise, and nothing of the code.
 */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include "format/batch.h"
#include "tree/apply.h"

#define ORACLE_PAGE_SIZE 4096u
#define ORACLE_KEYS 256u
#define ORACLE_NAMES 4u
#define ORACLE_VALUE_MAX 20000u

/* What a key holds; `there` false: nothing, and all else is 0. */
struct oracle_value {
    bool there;
    bool is_number;     /* decimal text of `number` */
    uint8_t seed;
    uint8_t size_index;
    int64_t number;
};

struct oracle_bucket {
    bool there;
    uint32_t id;
    uint64_t count;
    struct oracle_value values[ORACLE_KEYS];
};

struct oracle {
    struct oracle_bucket buckets[ORACLE_NAMES]; /* 0: `default` */
    uint32_t next_id;
};

/* One operation, in numbers of keys and names. */
struct oracle_operation {
    enum batch_type type;
    unsigned flags;
    unsigned first;               /* key or name */
    unsigned second;              /* upper key, or the new name */
    uint32_t id;                  /* BATCH_USE_ID */
    int64_t delta;
    struct oracle_value value;    /* BATCH_PUT, BATCH_REQUIRE_EQUAL */
};

/* What must come back of one operation. */
struct oracle_result {
    struct apply_result result;   /* offset and size unused */
    unsigned key;
    struct oracle_value value;    /* APPLY_BYTES */
};

/* A store as created: `default`, empty. */
void oracle_init(struct oracle *oracle);

/* Key `index`; valid for ever. */
struct bts_bytes oracle_key(unsigned index);
struct bts_bytes oracle_name(unsigned index);
/* The bytes of a value that is there; valid until the next call. */
struct bts_bytes oracle_bytes(unsigned key, const struct oracle_value *value);

/* Adds the operation to a batch. */
void oracle_encode(struct batch *batch, const struct oracle_operation *operation);

/*
 * Does the operations, all or none.  `results`: room for as many as there are
 * operations; *result_count of them are expected (0 after a refusal).
 */
enum bts_status oracle_apply(struct oracle *oracle, const struct oracle_operation *operations,
                             size_t count, struct oracle_result *results, size_t *result_count);

#endif
