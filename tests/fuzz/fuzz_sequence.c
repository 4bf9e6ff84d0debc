/* SPDX-License-Identifier: MIT */
/* fuzz_sequence: see fuzz_sequence.h; the walk of what is published is in fuzz_walk.c. */
#include "fuzz_sequence.h"

#include "fuzz.h"
#include "fuzz_walk.h"

#include <string.h>

#define SEQUENCE_OPERATIONS_MAX 400u /* of one batch */
#define SEQUENCE_CHECKS_MAX 6u       /* of one input: they cost most */

/* One batch as the oracle knows it. */
struct sequence_expected {
    enum bts_status status;
    struct oracle_result results[SEQUENCE_OPERATIONS_MAX];
    size_t result_count;
};

static struct sequence {
    const struct sequence_store *store;
    struct oracle published;
    struct oracle working;       /* with the batches that wait for their group */
    struct sequence_batch batches[SEQUENCE_BATCHES_MAX];
    struct sequence_expected expected[SEQUENCE_BATCHES_MAX];
    size_t batch_count;
    struct oracle_operation operations[SEQUENCE_OPERATIONS_MAX]; /* of the batch at work */
    size_t operation_count;
    uint8_t seed;                /* of the next value */
    unsigned checks_left;
    struct walk walk;
} sequence;

/* ---- groups ----------------------------------------------------------------- */

static void sequence_compare_result(const struct oracle_result *expected,
                                    const struct apply_results *results, size_t index)
{
    const struct apply_result *result = &results->entries[index];

    FUZZ_PROMISE(result->type == expected->result.type);
    FUZZ_PROMISE(result->number == expected->result.number);
    FUZZ_PROMISE(result->written == expected->result.written);
    if (result->type == APPLY_BYTES) {
        struct bts_bytes bytes = oracle_bytes(expected->key, &expected->value);
        FUZZ_PROMISE(result->size == bytes.size);
        FUZZ_PROMISE(result->offset + result->size <= results->bytes_size);
        FUZZ_PROMISE(bytes.size == 0 ||
                     memcmp(results->bytes + result->offset, bytes.data, bytes.size) == 0);
    }
}

static void sequence_compare_batch(const struct sequence_batch *batch,
                                   const struct sequence_expected *expected)
{
    if (batch->status != expected->status) {
        fprintf(stderr, "a batch ended with %s, and not with %s\n",
                bts_status_name(batch->status), bts_status_name(expected->status));
    }
    FUZZ_PROMISE(batch->status == expected->status);
    FUZZ_PROMISE(batch->results.count == expected->result_count);
    for (size_t i = 0; i < expected->result_count; i++) {
        sequence_compare_result(&expected->results[i], &batch->results, i);
    }
}

/* Ends the batch at work. */
static void sequence_end_batch(void)
{
    struct sequence_batch *batch = &sequence.batches[sequence.batch_count];
    struct sequence_expected *expected = &sequence.expected[sequence.batch_count];

    if (sequence.operation_count == 0) {
        return;
    }
    for (size_t i = 0; i < sequence.operation_count; i++) {
        oracle_encode(&batch->batch, &sequence.operations[i]);
    }
    expected->status = oracle_apply(&sequence.working, sequence.operations,
                                    sequence.operation_count, expected->results,
                                    &expected->result_count);
    sequence.operation_count = 0;
    sequence.batch_count++;
}

static void sequence_check(void)
{
    walk_compare(sequence.store->directory(), &sequence.published);
    if (sequence.checks_left > 0) {
        sequence.checks_left--;
        sequence.store->check();
    }
}

/* Gives the store all batches that wait. */
static void sequence_end_group(bool taken_back)
{
    bool undone;

    sequence_end_batch();
    if (sequence.batch_count == 0) {
        return;
    }
    undone = sequence.store->group(sequence.batches, sequence.batch_count, taken_back);
    for (size_t i = 0; i < sequence.batch_count; i++) {
        sequence_compare_batch(&sequence.batches[i], &sequence.expected[i]);
        batch_fini(&sequence.batches[i].batch);
        apply_results_fini(&sequence.batches[i].results);
        memset(&sequence.batches[i], 0, sizeof(sequence.batches[i]));
    }
    sequence.batch_count = 0;
    if (undone) {
        sequence.working = sequence.published;
    } else {
        sequence.published = sequence.working;
    }
    walk_end(&sequence.walk);
    sequence_check();
}

/* ---- steps ------------------------------------------------------------------ */

static void sequence_add(const struct oracle_operation *operation)
{
    if (sequence.operation_count == SEQUENCE_OPERATIONS_MAX) {
        sequence_end_batch();
        if (sequence.batch_count == SEQUENCE_BATCHES_MAX) {
            sequence_end_group(false);
        }
    }
    sequence.operations[sequence.operation_count++] = *operation;
}

static struct oracle_value sequence_value(unsigned size_index)
{
    return (struct oracle_value){
        .there = true, .seed = ++sequence.seed, .size_index = (uint8_t)(size_index % 16)};
}

static void step_put(unsigned a, unsigned b)
{
    static const unsigned flags[] = {0, 0, 0, 0, 0, BATCH_RETURN, BATCH_IF_ABSENT,
                                     BATCH_IF_PRESENT, BATCH_IF_ABSENT | BATCH_RETURN,
                                     BATCH_IF_PRESENT | BATCH_RETURN, 0, 0, 0, 0, 0, 0};

    sequence_add(&(struct oracle_operation){.type = BATCH_PUT,
                                            .flags = flags[b / 16],
                                            .first = a,
                                            .value = sequence_value(b)});
}

/* Puts or deletes a row of keys, each `stride` behind the other. */
static void sequence_row(enum batch_type type, unsigned a, unsigned b)
{
    unsigned stride = 1 + b / 64;
    unsigned count = 1 + (b / 16 % 4) * 10;

    for (unsigned i = 0; i < count && a + i * stride < ORACLE_KEYS; i++) {
        struct oracle_operation operation = {.type = type, .first = a + i * stride};
        if (type == BATCH_PUT) {
            operation.value = sequence_value(b);
        }
        sequence_add(&operation);
    }
}

static void step_fill(unsigned a, unsigned b)
{
    sequence_row(BATCH_PUT, a, b);
}

static void step_thin(unsigned a, unsigned b)
{
    sequence_row(BATCH_DELETE, a, b);
}

static void step_delete(unsigned a, unsigned b)
{
    sequence_add(&(struct oracle_operation){
        .type = BATCH_DELETE, .first = a, .flags = b % 2 == 0 ? 0 : BATCH_RETURN});
}

static void step_delete_range(unsigned a, unsigned b)
{
    sequence_add(&(struct oracle_operation){.type = BATCH_DELETE_RANGE, .first = a, .second = b});
}

static void step_delete_few(unsigned a, unsigned b)
{
    unsigned to = a + b % 16;

    step_delete_range(a, to < ORACLE_KEYS ? to : ORACLE_KEYS - 1);
}

static void step_delete_open(unsigned a, unsigned b)
{
    static const unsigned flags[] = {BATCH_OPEN_FROM, BATCH_OPEN_TO,
                                     BATCH_OPEN_FROM | BATCH_OPEN_TO};

    sequence_add(&(struct oracle_operation){
        .type = BATCH_DELETE_RANGE, .first = a, .second = a, .flags = flags[b % 3]});
}

static void step_increment(unsigned a, unsigned b)
{
    int64_t delta = b == 255 ? INT64_MAX : b == 254 ? INT64_MIN : (int64_t)b - 100;

    sequence_add(&(struct oracle_operation){.type = BATCH_INCREMENT,
                                            .first = a,
                                            .delta = delta,
                                            .flags = b % 2 == 0 ? 0 : BATCH_RETURN});
}

static void step_get(unsigned a, unsigned b)
{
    (void)b;
    sequence_add(&(struct oracle_operation){.type = BATCH_GET, .first = a});
}

static void step_use(unsigned a, unsigned b)
{
    struct oracle_operation operation = {.type = BATCH_USE, .first = a % ORACLE_NAMES};

    if (b % 4 == 3) {
        operation = (struct oracle_operation){.type = BATCH_USE_ID, .id = a % 8};
    }
    sequence_add(&operation);
}

static void step_bucket(unsigned a, unsigned b)
{
    static const enum batch_type types[] = {BATCH_BUCKET_CREATE, BATCH_BUCKET_CREATE,
                                            BATCH_BUCKET_DROP, BATCH_BUCKET_RENAME};
    struct oracle_operation operation = {.type = types[b % 4],
                                         .first = a % ORACLE_NAMES,
                                         .second = b / 4 % ORACLE_NAMES};

    operation.flags = b % 4 == 1 ? BATCH_RETURN : 0;
    sequence_add(&operation);
}

static void step_require(unsigned a, unsigned b)
{
    static const enum batch_type types[] = {BATCH_REQUIRE_ABSENT, BATCH_REQUIRE_PRESENT,
                                            BATCH_REQUIRE_EQUAL, BATCH_REQUIRE_EQUAL};
    struct oracle_operation operation = {.type = types[b % 4], .first = a};

    operation.value = b % 4 == 2 ? sequence.working.buckets[b / 4 % ORACLE_NAMES].values[a]
                                 : sequence_value(b);
    operation.value.there = true; /* bytes of something, if not of what is there */
    sequence_add(&operation);
}

static void step_batch(unsigned a, unsigned b)
{
    (void)a;
    (void)b;
    sequence_end_batch();
    if (sequence.batch_count == SEQUENCE_BATCHES_MAX) {
        sequence_end_group(false);
    }
}

static void step_group(unsigned a, unsigned b)
{
    (void)b;
    sequence_end_group(a % 8 == 7);
}

static void step_event(unsigned a, unsigned b)
{
    (void)b;
    sequence_end_group(false);
    walk_end(&sequence.walk);
    sequence.store->event((enum sequence_event)(a % 4));
    sequence_check();
}

static void step_walk(unsigned a, unsigned b)
{
    walk_step(&sequence.walk, sequence.store->directory(), &sequence.published, a, b);
}

static void step_get_many(unsigned a, unsigned b)
{
    walk_get_many(sequence.store->directory(), &sequence.published, a, b);
}

/* What the first byte of a record chooses. */
static void (*const sequence_steps[])(unsigned a, unsigned b) = {
    step_put,       step_put,        step_put,        step_fill,        step_fill,
    step_thin,      step_delete,     step_delete,     step_delete_few,  step_delete_range,
    step_delete_open, step_increment, step_get,       step_use,         step_bucket,
    step_require,   step_batch,      step_group,      step_event,       step_walk,
    step_walk,      step_walk,       step_get_many,
};
#define SEQUENCE_STEP_KINDS (sizeof(sequence_steps) / sizeof(sequence_steps[0]))

void sequence_run(const struct sequence_store *store, const uint8_t *data, size_t size)
{
    memset(&sequence.walk, 0, sizeof(sequence.walk));
    sequence.store = store;
    sequence.batch_count = 0;
    sequence.operation_count = 0;
    sequence.seed = 0;
    sequence.checks_left = SEQUENCE_CHECKS_MAX;
    oracle_init(&sequence.published);
    sequence.working = sequence.published;
    store->open();
    for (size_t i = 0; i + 3 <= size && i < 3 * SEQUENCE_STEPS_MAX; i += 3) {
        sequence_steps[data[i] % SEQUENCE_STEP_KINDS](data[i + 1], data[i + 2]);
    }
    sequence_end_group(false);
    sequence.checks_left = 1;
    sequence_check();
    store->close();
}

/* ---- seeds --------------------------------------------------------------------- */

static uint8_t *sequence_write(uint8_t *at, unsigned kind, unsigned a, unsigned b)
{
    at[0] = (uint8_t)kind;
    at[1] = (uint8_t)a;
    at[2] = (uint8_t)b;
    return at + 3;
}

/* All keys, some taken away, read, and so on; then any steps. */
size_t sequence_seed(unsigned index, uint8_t *out)
{
    uint32_t random = index * 2654435761u + 12345;
    uint8_t *at = out;

    if (index >= 24) {
        return 0;
    }
    for (unsigned key = 0; index % 3 != 2 && key < ORACLE_KEYS; key += 31) {
        at = sequence_write(at, 3, key, 48 + index % 16);
        at = sequence_write(at, key % 2 == 0 ? 16 : 17, 0, 0);
    }
    for (unsigned i = 0; i < 10 + index * 5; i++) {
        random = random * 1664525 + 1013904223;
        at = sequence_write(at, (random >> 24) % SEQUENCE_STEP_KINDS, random >> 16 & 255,
                            random >> 8 & 255);
    }
    return (size_t)(at - out);
}
