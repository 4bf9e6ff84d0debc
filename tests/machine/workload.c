/* SPDX-License-Identifier: MIT */
/*
 * workload: see workload.h.
 *
 * A writer owns KEYS keys of bucket `default`, and a bucket that comes and
 * goes.  A transaction puts and deletes a few keys; now and then it deletes a
 * range, writes a value that needs a run of pages or one that does not fit
 * the log, or creates or drops the bucket.
 */
#include "workload.h"

#include "../process/harness.h"

#include <inttypes.h>
#include <string.h>

#define KEYS 90u
#define PUTS_MAX 6u
#define BUCKET_PERIOD 10u /* the bucket lives in the second half of each period */
#define BUCKET_KEYS 40u
#define RANGE_EVERY 7u
#define RANGE_KEYS 30u
#define HUGE_PERIOD 60u /* once in it, a direct commit: larger than the log */
#define HUGE_SIZE 1200000u
#define VALUE_MAX HUGE_SIZE
#define NAME_SIZE 40u

/* 0: the key is absent; else the number of the transaction that put it. */
typedef uint64_t version_t;

struct state {
    version_t version[KEYS];
    version_t bucket; /* the transaction that created it; 0: there is none */
};

struct change {
    uint32_t key;
    bool drop;
};

struct plan {
    uint32_t range_first; /* RANGE_KEYS keys are deleted first, if range */
    bool range;
    bool create_bucket;
    bool drop_bucket;
    uint32_t change_count;
    struct change changes[PUTS_MAX];
};

const char *workload_verdict_name(enum workload_verdict verdict)
{
    static const char *const names[WORKLOAD_VERDICTS] = {"sound", "lost", "hole", "leaked",
                                                         "refused"};

    return names[verdict];
}

/* ---- what a transaction does ------------------------------------------------------ */

static uint64_t seed_of(unsigned writer, uint64_t sequence, uint64_t what)
{
    uint64_t state = (sequence + 1) * 0x9e3779b97f4a7c15u ^ what << 40;

    state ^= ((uint64_t)writer + 1) << 56;
    harness_random(&state);
    harness_random(&state);
    return state;
}

/* Whether the first key of the transaction gets a value that does not fit the log. */
static bool is_huge(unsigned writer, uint64_t sequence)
{
    return sequence % HUGE_PERIOD == BUCKET_PERIOD * writer + 8;
}

static struct plan plan_of(unsigned writer, uint64_t sequence)
{
    uint64_t random = seed_of(writer, sequence, 0);
    uint32_t first = (uint32_t)(harness_random(&random) % KEYS);
    struct plan plan = {0};

    plan.range = sequence % RANGE_EVERY == 0;
    plan.range_first = (uint32_t)(harness_random(&random) % (KEYS - RANGE_KEYS));
    plan.create_bucket = sequence % BUCKET_PERIOD == BUCKET_PERIOD / 2;
    plan.drop_bucket = sequence % BUCKET_PERIOD == 0;
    plan.change_count = 1 + (uint32_t)(harness_random(&random) % PUTS_MAX);
    if (harness_random(&random) % 2 == 0)
        plan.change_count = 1;
    for (uint32_t i = 0; i < plan.change_count; i++) {
        plan.changes[i].key = (first + i * 37) % KEYS; /* distinct: KEYS and 37 share no factor */
        plan.changes[i].drop = harness_random(&random) % 6 == 0;
    }
    if (is_huge(writer, sequence))
        plan.changes[0].drop = false;
    return plan;
}

static size_t value_size(unsigned writer, uint32_t key, version_t version)
{
    uint64_t random = seed_of(writer, version, key + 1);

    if (is_huge(writer, version) && plan_of(writer, version).changes[0].key == key)
        return HUGE_SIZE;
    if (harness_random(&random) % 16 == 0)
        return (size_t)(harness_random(&random) % 30000);
    return (size_t)(harness_random(&random) % 300);
}

static size_t fill_value(uint8_t *value, unsigned writer, uint32_t key, version_t version)
{
    uint64_t random = seed_of(writer, version, key + 1);
    size_t size = value_size(writer, key, version);

    for (size_t i = 0; i < size; i += 8) {
        uint64_t bytes = harness_random(&random);

        memcpy(value + i, &bytes, size - i < 8 ? size - i : 8);
    }
    return size;
}

static size_t key_name(char name[NAME_SIZE], unsigned writer, uint32_t key)
{
    return (size_t)snprintf(name, NAME_SIZE, "writer%u:key%05" PRIu32, writer, key);
}

static size_t sequence_name(char name[NAME_SIZE], unsigned writer)
{
    return (size_t)snprintf(name, NAME_SIZE, "writer%u:sequence", writer);
}

static size_t bucket_name(char name[NAME_SIZE], unsigned writer)
{
    return (size_t)snprintf(name, NAME_SIZE, "bucket of writer %u", writer);
}

/* ---- into a batch ------------------------------------------------------------------- */

static void put(struct bts_batch *batch, unsigned writer, uint32_t key, version_t version)
{
    static uint8_t value[VALUE_MAX];
    struct bts_error error;
    char name[NAME_SIZE];
    size_t size = key_name(name, writer, key);

    HARNESS_OK(bts_batch_put(batch, name, size, value, fill_value(value, writer, key, version),
                             &error),
               &error);
}

static void fill_bucket(struct bts_batch *batch, unsigned writer, const struct plan *plan,
                        uint64_t sequence)
{
    struct bts_error error;
    char name[NAME_SIZE];
    size_t size = bucket_name(name, writer);

    if (plan->drop_bucket)
        HARNESS_OK(bts_batch_bucket_drop(batch, name, size, &error), &error);
    if (!plan->create_bucket)
        return;
    HARNESS_OK(bts_batch_bucket_create(batch, name, size, &error), &error);
    HARNESS_OK(bts_batch_use(batch, name, size, &error), &error);
    for (uint32_t key = 0; key < BUCKET_KEYS; key++)
        put(batch, writer, key, sequence);
    HARNESS_OK(bts_batch_use(batch, BTS_DEFAULT_BUCKET, strlen(BTS_DEFAULT_BUCKET), &error),
               &error);
}

void workload_fill(struct bts_batch *batch, unsigned writer, uint64_t sequence)
{
    struct plan plan = plan_of(writer, sequence);
    struct bts_error error;
    char name[NAME_SIZE];
    char end[NAME_SIZE];
    size_t size;

    bts_batch_clear(batch);
    fill_bucket(batch, writer, &plan, sequence);
    if (plan.range) {
        size = key_name(name, writer, plan.range_first);
        HARNESS_OK(bts_batch_delete_range(batch, name, size, end,
                                          key_name(end, writer, plan.range_first + RANGE_KEYS),
                                          &error),
                   &error);
    }
    for (uint32_t i = 0; i < plan.change_count; i++) {
        size = key_name(name, writer, plan.changes[i].key);
        if (plan.changes[i].drop)
            HARNESS_OK(bts_batch_delete(batch, name, size, &error), &error);
        else
            put(batch, writer, plan.changes[i].key, sequence);
    }
    size = sequence_name(name, writer);
    HARNESS_OK(bts_batch_put(batch, name, size, &sequence, sizeof sequence, &error), &error);
}

/* ---- what must be there ------------------------------------------------------------- */

static struct state state_after(unsigned writer, uint64_t sequence)
{
    struct state state = {0};

    for (uint64_t s = 1; s <= sequence; s++) {
        struct plan plan = plan_of(writer, s);

        if (plan.range)
            memset(state.version + plan.range_first, 0, RANGE_KEYS * sizeof state.version[0]);
        for (uint32_t i = 0; i < plan.change_count; i++)
            state.version[plan.changes[i].key] = plan.changes[i].drop ? 0 : s;
        if (plan.drop_bucket)
            state.bucket = 0;
        if (plan.create_bucket)
            state.bucket = s;
    }
    return state;
}

/* Whether the key holds exactly what that version put; counts the entries that are there. */
static bool key_is(const struct bts_snapshot *snapshot, const struct bts_bucket *bucket,
                   unsigned writer, uint32_t key, version_t version, uint64_t *entry_count)
{
    static uint8_t expected[VALUE_MAX];
    struct bts_bytes value;
    struct bts_error error;
    char name[NAME_SIZE];
    enum bts_status status =
        bts_get(snapshot, bucket, name, key_name(name, writer, key), &value, &error);

    *entry_count += version != 0;
    if (version == 0 && status == BTS_NOT_FOUND)
        return true;
    if (version != 0 && status == BTS_OK && value.size == value_size(writer, key, version)) {
        fill_value(expected, writer, key, version);
        if (memcmp(value.data, expected, value.size) == 0)
            return true;
    }
    printf("%s: not what transaction %" PRIu64 " put: %s, %zu bytes\n", name, version,
           bts_status_name(status), status == BTS_OK ? value.size : 0);
    return false;
}

static bool bucket_is(const struct bts_snapshot *snapshot, unsigned writer, version_t version)
{
    struct bts_bucket bucket;
    struct bts_error error;
    uint64_t entry_count = 0;
    char name[NAME_SIZE];
    enum bts_status status =
        bts_bucket_open(snapshot, name, bucket_name(name, writer), &bucket, &error);
    bool same = status == (version == 0 ? BTS_NO_BUCKET : BTS_OK);

    for (uint32_t key = 0; same && version != 0 && key < BUCKET_KEYS; key++)
        same = key_is(snapshot, &bucket, writer, key, version, &entry_count);
    same = same && (version == 0 || bucket.entry_count == entry_count);
    if (!same)
        printf("%s: %s, not what transaction %" PRIu64 " left\n", name, bts_status_name(status),
               version);
    return same;
}

/* All content against the model at `sequence`; false: something differs. */
static bool content_is(const struct bts_snapshot *snapshot, const struct bts_bucket *bucket,
                       const uint64_t sequence[WORKLOAD_WRITERS])
{
    uint64_t entry_count = 0;
    bool same = true;

    for (unsigned writer = 0; writer < WORKLOAD_WRITERS; writer++) {
        struct state state = state_after(writer, sequence[writer]);

        entry_count += sequence[writer] != 0;
        for (uint32_t key = 0; key < KEYS; key++)
            same &= key_is(snapshot, bucket, writer, key, state.version[key], &entry_count);
        same &= bucket_is(snapshot, writer, state.bucket);
    }
    if (same && bucket->entry_count != entry_count) {
        printf("%" PRIu64 " entries were written, the bucket counts %" PRIu64 "\n", entry_count,
               bucket->entry_count);
        same = false;
    }
    return same;
}

/* Each writer's recovered number, against what is allowed. */
static enum workload_verdict sequences_are(const struct bts_snapshot *snapshot,
                                           const struct bts_bucket *bucket,
                                           const uint64_t acknowledged[WORKLOAD_WRITERS],
                                           uint64_t found[WORKLOAD_WRITERS])
{
    enum workload_verdict verdict = WORKLOAD_SOUND;

    for (unsigned writer = 0; writer < WORKLOAD_WRITERS; writer++) {
        struct bts_bytes value;
        struct bts_error error;
        char name[NAME_SIZE];
        enum bts_status status =
            bts_get(snapshot, bucket, name, sequence_name(name, writer), &value, &error);

        found[writer] = 0;
        if (status == BTS_OK && value.size == sizeof found[writer])
            memcpy(&found[writer], value.data, sizeof found[writer]);
        if (found[writer] - acknowledged[writer] <= 1)
            continue;
        printf("writer %u: transaction %" PRIu64 " is acknowledged, %" PRIu64 " is there (%s)\n",
               writer, acknowledged[writer], found[writer], bts_status_name(status));
        if (verdict != WORKLOAD_LOST)
            verdict = found[writer] < acknowledged[writer] ? WORKLOAD_LOST : WORKLOAD_HOLE;
    }
    return verdict;
}

static void print_finding(void *argument, const char *text)
{
    (void)argument;
    printf("finding: %s\n", text);
}

static enum workload_verdict check_pages(struct bts_store *store)
{
    struct bts_check_result result;
    struct bts_error error;
    enum bts_status status = bts_store_check(store, &result, print_finding, NULL, &error);

    if (status == BTS_OK && result.leaked == 0 && result.missing == 0 && result.damaged == 0 &&
        result.reachable == result.mapped)
        return WORKLOAD_SOUND;
    printf("check: %s: %s\n", bts_status_name(status), error.text);
    return status == BTS_OK || status == BTS_DAMAGED ? WORKLOAD_LEAKED : WORKLOAD_REFUSED;
}

enum workload_verdict workload_verify(struct bts_store *store,
                                      const uint64_t acknowledged[WORKLOAD_WRITERS],
                                      uint64_t found[WORKLOAD_WRITERS])
{
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_error error;
    enum workload_verdict verdict;

    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    HARNESS_OK(bts_bucket_open(&snapshot, BTS_DEFAULT_BUCKET, strlen(BTS_DEFAULT_BUCKET), &bucket,
                               &error),
               &error);
    verdict = sequences_are(&snapshot, &bucket, acknowledged, found);
    if (verdict == WORKLOAD_SOUND && !content_is(&snapshot, &bucket, found))
        verdict = WORKLOAD_HOLE;
    bts_snapshot_close(&snapshot);
    return verdict == WORKLOAD_SOUND ? check_pages(store) : verdict;
}
