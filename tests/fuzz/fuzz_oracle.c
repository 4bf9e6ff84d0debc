/* SPDX-License-Identifier: MIT */
/* fuzz_oracle: see fuzz_oracle.h. */
#include "fuzz_oracle.h"

#include "base/bytes.h"
#include "fuzz.h"

#include <inttypes.h>
#include <string.h>

/* ---- keys, names, values ------------------------------------------------- */

#define ORACLE_KEY_MAX 996u
#define ORACLE_STAIRS 96u  /* keys 0 .. 95: "aa..ab", each shorter than the one before */
#define ORACLE_SHORTS 64u  /* keys 96 .. 159: "k 00" .. ; then 200 times 'p' and a number */

struct oracle_key {
    size_t size;
    uint8_t bytes[ORACLE_KEY_MAX];
};

static void oracle_make_key(unsigned index, struct oracle_key *key)
{
    if (index < ORACLE_STAIRS) { /* separators are long, and share little page-wide */
        key->size = ORACLE_KEY_MAX - 10 * index;
        memset(key->bytes, 'a', key->size);
        key->bytes[key->size - 1] = 'b';
    } else if (index < ORACLE_STAIRS + ORACLE_SHORTS) {
        key->size = 4;
        memcpy(key->bytes, "k 00", 4);
        key->bytes[2] = (uint8_t)('0' + (index - ORACLE_STAIRS) / 10);
        key->bytes[3] = (uint8_t)('0' + (index - ORACLE_STAIRS) % 10);
    } else {
        key->size = 202;
        memset(key->bytes, 'p', 200);
        key->bytes[200] = (uint8_t)(index / 8);
        key->bytes[201] = (uint8_t)(index * 32);
    }
}

struct bts_bytes oracle_key(unsigned index)
{
    static struct oracle_key keys[ORACLE_KEYS];
    struct oracle_key *key = &keys[index];

    if (key->size == 0) {
        oracle_make_key(index, key);
    }
    return (struct bts_bytes){key->bytes, key->size};
}

struct bts_bytes oracle_name(unsigned index)
{
    static const char long_name[] = "a long name of a bucket: its records fill pages of the "
                                    "directory, which has levels then - "
                                    "-------------------------------------------------------- z";
    const char *const names[ORACLE_NAMES] = {BTS_DEFAULT_BUCKET, "a", long_name, "z"};

    return (struct bts_bytes){names[index], strlen(names[index])};
}

static size_t oracle_size(unsigned key, unsigned size_index)
{
    size_t most = page_cell_max(ORACLE_PAGE_SIZE) - 4 - oracle_key(key).size; /* in a cell */
    const size_t sizes[] = {0,    1,    9,    40,   100,   250, 500, most,
                            most + 1, 1500, 4064, 4065, 9000, ORACLE_VALUE_MAX, 20, 60};

    return sizes[size_index % (sizeof(sizes) / sizeof(sizes[0]))];
}

struct bts_bytes oracle_bytes(unsigned key, const struct oracle_value *value)
{
    static uint8_t bytes[ORACLE_VALUE_MAX];
    size_t size = oracle_size(key, value->size_index);

    if (value->is_number) {
        size = (size_t)snprintf((char *)bytes, sizeof(bytes), "%" PRId64, value->number);
    } else if (size > 0) {
        memset(bytes, value->seed, size);
        bytes[size - 1] = (uint8_t)key;
        bytes[0] = 'v'; /* never a number */
    }
    return (struct bts_bytes){bytes, size};
}

void oracle_init(struct oracle *oracle)
{
    memset(oracle, 0, sizeof(*oracle));
    oracle->buckets[0].there = true;
    oracle->next_id = 1;
}

/* ---- operations as bytes -------------------------------------------------- */

void oracle_encode(struct batch *batch, const struct oracle_operation *operation)
{
    enum batch_type type = operation->type;
    bool by_name = type == BATCH_USE || type == BATCH_BUCKET_CREATE || type == BATCH_BUCKET_DROP ||
                   type == BATCH_BUCKET_RENAME;
    struct bts_bytes first = by_name ? oracle_name(operation->first)
                                     : oracle_key(operation->first);
    struct bts_bytes second = {NULL, 0};
    uint8_t number[8];

    if (type == BATCH_USE_ID || (operation->flags & BATCH_OPEN_FROM) != 0) {
        first = (struct bts_bytes){NULL, 0};
    }
    if (type == BATCH_USE_ID) {
        bytes_store_u32(number, operation->id);
        second = (struct bts_bytes){number, 4};
    } else if (type == BATCH_INCREMENT) {
        bytes_store_u64(number, (uint64_t)operation->delta);
        second = (struct bts_bytes){number, 8};
    } else if (type == BATCH_BUCKET_RENAME) {
        second = oracle_name(operation->second);
    } else if (type == BATCH_DELETE_RANGE && (operation->flags & BATCH_OPEN_TO) == 0) {
        second = oracle_key(operation->second);
    } else if (type == BATCH_PUT || type == BATCH_REQUIRE_EQUAL) {
        second = oracle_bytes(operation->first, &operation->value);
    }
    FUZZ_PROMISE(batch_add(batch, type, operation->flags, first.data, first.size, second.data,
                           second.size, NULL) == BTS_OK);
}

/* ---- operations ------------------------------------------------------------ */

/* A batch at work. */
struct oracle_work {
    struct oracle *oracle;
    uint32_t id;                   /* of the bucket in use */
    struct oracle_result *results;
    size_t result_count;
};

static struct oracle_bucket *oracle_find_id(struct oracle *oracle, uint32_t id)
{
    for (unsigned i = 0; i < ORACLE_NAMES; i++) {
        if (oracle->buckets[i].there && oracle->buckets[i].id == id) {
            return &oracle->buckets[i];
        }
    }
    return NULL;
}

static void oracle_add_result(struct oracle_work *work, enum apply_result_type type,
                              int64_t number)
{
    work->results[work->result_count++] = (struct oracle_result){
        .result = {.type = type, .number = number}};
}

static void oracle_set(struct oracle_bucket *bucket, unsigned key,
                       const struct oracle_value *value)
{
    bucket->count += (uint64_t)value->there;
    bucket->count -= (uint64_t)bucket->values[key].there;
    bucket->values[key] = *value;
}

static void oracle_add_value(struct oracle_work *work, unsigned key,
                             const struct oracle_value *value, bool written)
{
    oracle_add_result(work, value->there ? APPLY_BYTES : APPLY_ABSENT, 0);
    work->results[work->result_count - 1].key = key;
    work->results[work->result_count - 1].value = *value;
    work->results[work->result_count - 1].result.written = written;
}

static enum bts_status oracle_put(struct oracle_work *work, struct oracle_bucket *bucket,
                                  const struct oracle_operation *operation)
{
    struct oracle_value old = bucket->values[operation->first];
    unsigned mode = operation->flags & (BATCH_IF_ABSENT | BATCH_IF_PRESENT);
    bool written = mode == 0 || (mode == BATCH_IF_PRESENT) == old.there;

    if (written) {
        oracle_set(bucket, operation->first, &operation->value);
    }
    if ((operation->flags & BATCH_RETURN) != 0) {
        oracle_add_value(work, operation->first, &old, written);
    } else if (mode != 0) {
        oracle_add_result(work, written ? APPLY_WRITTEN : APPLY_SKIPPED, 0);
        work->results[work->result_count - 1].result.written = written;
    }
    return BTS_OK;
}

static enum bts_status oracle_increment(struct oracle_work *work, struct oracle_bucket *bucket,
                                        const struct oracle_operation *operation)
{
    const struct oracle_value *old = &bucket->values[operation->first];
    struct oracle_value sum = {.there = true, .is_number = true};

    if (old->there && !old->is_number) {
        return BTS_INVALID;
    }
    if (__builtin_add_overflow(old->number, operation->delta, &sum.number)) {
        return BTS_INVALID;
    }
    oracle_set(bucket, operation->first, &sum);
    if ((operation->flags & BATCH_RETURN) != 0) {
        oracle_add_result(work, APPLY_NUMBER, sum.number);
    }
    return BTS_OK;
}

static void oracle_delete_range(struct oracle_bucket *bucket,
                                const struct oracle_operation *operation)
{
    static const struct oracle_value none;
    unsigned from = (operation->flags & BATCH_OPEN_FROM) != 0 ? 0 : operation->first;
    unsigned to = (operation->flags & BATCH_OPEN_TO) != 0 ? ORACLE_KEYS : operation->second;

    for (unsigned key = from; key < to; key++) {
        oracle_set(bucket, key, &none);
    }
}

static bool oracle_same(unsigned key, const struct oracle_value *a, const struct oracle_value *b)
{
    static uint8_t copy[ORACLE_VALUE_MAX];
    struct bts_bytes bytes = oracle_bytes(key, a);
    size_t size = bytes.size;

    memcpy(copy, bytes.data, size);
    bytes = oracle_bytes(key, b);
    return bytes.size == size && memcmp(bytes.data, copy, size) == 0;
}

static enum bts_status oracle_on_key(struct oracle_work *work,
                                     const struct oracle_operation *operation)
{
    static const struct oracle_value none;
    struct oracle_bucket *bucket = oracle_find_id(work->oracle, work->id);
    struct oracle_value *value;

    if (bucket == NULL) {
        return BTS_NO_BUCKET;
    }
    value = &bucket->values[operation->first];
    switch (operation->type) {
    case BATCH_PUT:
        return oracle_put(work, bucket, operation);
    case BATCH_INCREMENT:
        return oracle_increment(work, bucket, operation);
    case BATCH_DELETE_RANGE:
        oracle_delete_range(bucket, operation);
        return BTS_OK;
    case BATCH_DELETE:
        if ((operation->flags & BATCH_RETURN) != 0) {
            oracle_add_result(work, APPLY_NUMBER, value->there);
        }
        oracle_set(bucket, operation->first, &none);
        return BTS_OK;
    case BATCH_GET:
        oracle_add_value(work, operation->first, value, false);
        return BTS_OK;
    case BATCH_REQUIRE_ABSENT:
        return value->there ? BTS_CONFLICT : BTS_OK;
    case BATCH_REQUIRE_PRESENT:
        return value->there ? BTS_OK : BTS_CONFLICT;
    default: /* BATCH_REQUIRE_EQUAL */
        return value->there && oracle_same(operation->first, value, &operation->value)
                   ? BTS_OK
                   : BTS_CONFLICT;
    }
}

static enum bts_status oracle_on_bucket(struct oracle_work *work,
                                        const struct oracle_operation *operation)
{
    struct oracle_bucket *bucket = &work->oracle->buckets[operation->first];
    struct oracle_bucket *other = &work->oracle->buckets[operation->second];

    if (operation->type == BATCH_BUCKET_CREATE) {
        if (bucket->there) {
            return BTS_EXISTS;
        }
        *bucket = (struct oracle_bucket){.there = true, .id = work->oracle->next_id++};
        if ((operation->flags & BATCH_RETURN) != 0) {
            oracle_add_result(work, APPLY_NUMBER, bucket->id);
        }
        return BTS_OK;
    }
    if (operation->type == BATCH_USE) {
        work->id = bucket->there ? bucket->id : work->id;
        return bucket->there ? BTS_OK : BTS_NO_BUCKET;
    }
    if (!bucket->there) {
        return BTS_NO_BUCKET;
    }
    if (operation->first == 0) {
        return BTS_INVALID;
    }
    if (operation->type == BATCH_BUCKET_RENAME) {
        if (other->there) {
            return BTS_EXISTS;
        }
        *other = *bucket;
    }
    memset(bucket, 0, sizeof(*bucket));
    return BTS_OK;
}

static enum bts_status oracle_do(struct oracle_work *work,
                                 const struct oracle_operation *operation)
{
    switch (operation->type) {
    case BATCH_USE:
    case BATCH_BUCKET_CREATE:
    case BATCH_BUCKET_DROP:
    case BATCH_BUCKET_RENAME:
        return oracle_on_bucket(work, operation);
    case BATCH_USE_ID:
        work->id = operation->id;
        return oracle_find_id(work->oracle, work->id) != NULL ? BTS_OK : BTS_NO_BUCKET;
    default:
        return oracle_on_key(work, operation);
    }
}

enum bts_status oracle_apply(struct oracle *oracle, const struct oracle_operation *operations,
                             size_t count, struct oracle_result *results, size_t *result_count)
{
    static struct oracle before;
    struct oracle_work work = {.oracle = oracle, .results = results};
    enum bts_status status = BTS_OK;

    before = *oracle;
    for (size_t i = 0; i < count && status == BTS_OK; i++) {
        status = oracle_do(&work, &operations[i]);
    }
    if (status != BTS_OK) {
        *oracle = before;
        work.result_count = 0;
    }
    *result_count = work.result_count;
    return status;
}
