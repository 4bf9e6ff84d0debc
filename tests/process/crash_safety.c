/* SPDX-License-Identifier: MIT */
/*
 * crash_safety: a loaded daemon is killed 200 times, and nothing that was
 * acknowledged is ever missing.
 *
 * Each writer process owns its keys.  In shared memory it notes, before a
 * commit, what it is about to write, and after the acknowledgement, that it
 * holds.  After each kill and restart every key must show what was
 * acknowledged, or what was on its way; a transaction that was on its way is
 * there wholly or not at all; and every page is accounted for.
 */
#include "harness.h"

#include <string.h>

#define KILLS 200u
#define KILLS_SANITIZED 25u
#define WRITERS 4u
#define KEYS 300u           /* a writer's */
#define TRANSACTION_MAX 6u
#define VALUE_MAX 30000u

/* 0: the key is absent; else the number that its value is made from. */
typedef uint32_t version_t;

struct writer {
    version_t acknowledged[KEYS];
    uint32_t pending_count;              /* keys of the transaction on its way; 0: none */
    uint32_t pending_key[TRANSACTION_MAX];
    version_t pending_version[TRANSACTION_MAX];
    version_t next_version;
    uint64_t commits;
    uint64_t random;
};

struct test {
    struct harness harness;
    struct writer writers[WRITERS];
};

struct writer_task {
    struct test *test;
    unsigned index;
};

static size_t value_size(version_t version)
{
    return version % 50 == 0 ? version * 7919u % VALUE_MAX : version % 200u;
}

static void fill_value(uint8_t *value, unsigned writer, uint32_t key, version_t version)
{
    uint64_t state = ((uint64_t)writer << 40 | (uint64_t)key << 20) + version + 1;
    size_t size = value_size(version);

    memcpy(value, &version, sizeof version);
    for (size_t i = 0; i < size; i++)
        value[sizeof version + i] = (uint8_t)harness_random(&state);
}

static size_t key_name(char name[32], unsigned writer, uint32_t key)
{
    return (size_t)snprintf(name, 32, "writer%u:key%05u", writer, key);
}

/* Chooses distinct keys and what becomes of them. */
static void choose(struct writer *writer)
{
    uint32_t count = 1 + (uint32_t)(harness_random(&writer->random) % TRANSACTION_MAX);
    uint32_t key = (uint32_t)(harness_random(&writer->random) % KEYS);

    if (harness_random(&writer->random) % 2 == 0)
        count = 1;
    for (uint32_t i = 0; i < count; i++) {
        bool drop = harness_random(&writer->random) % 6 == 0;

        writer->pending_key[i] = (key + i * 37) % KEYS;
        writer->pending_version[i] = drop ? 0 : ++writer->next_version;
    }
    __atomic_store_n(&writer->pending_count, count, __ATOMIC_RELEASE);
}

static void fill_batch(struct bts_batch *batch, unsigned index, const struct writer *writer)
{
    static uint8_t value[VALUE_MAX + sizeof(version_t)];
    struct bts_error error;
    char name[32];

    bts_batch_clear(batch);
    for (uint32_t i = 0; i < writer->pending_count; i++) {
        version_t version = writer->pending_version[i];
        size_t size = key_name(name, index, writer->pending_key[i]);

        if (version == 0) {
            HARNESS_OK(bts_batch_delete(batch, name, size, &error), &error);
            continue;
        }
        fill_value(value, index, writer->pending_key[i], version);
        HARNESS_OK(bts_batch_put(batch, name, size, value, sizeof version + value_size(version),
                                 &error),
                   &error);
    }
}

/* Writes until the daemon is gone. */
static int write_until_killed(void *argument)
{
    struct writer_task *task = argument;
    struct writer *writer = &task->test->writers[task->index];
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct bts_store *store;
    struct bts_batch *batch;
    struct bts_error error;
    enum bts_status status =
        bts_store_open(task->test->harness.store, &options, &store, &error);

    if (status == BTS_UNAVAILABLE) /* killed before this writer came to it */
        return 0;
    HARNESS_CHECK(status == BTS_OK, "%s: %s", bts_status_name(status), error.text);
    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    for (;;) {
        choose(writer);
        fill_batch(batch, task->index, writer);
        status = bts_commit(store, batch, NULL, &error);
        if (status == BTS_UNAVAILABLE) /* nothing was sent */
            writer->pending_count = 0;
        if (status == BTS_UNAVAILABLE || status == BTS_UNKNOWN)
            break;
        HARNESS_CHECK(status == BTS_OK, "%s: %s", bts_status_name(status), error.text);
        for (uint32_t i = 0; i < writer->pending_count; i++)
            writer->acknowledged[writer->pending_key[i]] = writer->pending_version[i];
        __atomic_store_n(&writer->pending_count, 0, __ATOMIC_RELEASE);
        writer->commits++;
    }
    bts_batch_destroy(batch);
    bts_store_close(store);
    return 0;
}

/* The version that the store shows for a key, its bytes checked. */
static version_t version_in(const struct bts_snapshot *snapshot, const struct bts_bucket *bucket,
                            unsigned index, uint32_t key)
{
    static uint8_t expected[VALUE_MAX + sizeof(version_t)];
    struct bts_bytes value;
    struct bts_error error;
    char name[32];
    size_t size = key_name(name, index, key);
    enum bts_status status = bts_get(snapshot, bucket, name, size, &value, &error);
    version_t version;

    if (status == BTS_NOT_FOUND)
        return 0;
    HARNESS_CHECK(status == BTS_OK, "%s", error.text);
    HARNESS_CHECK(value.size >= sizeof version, "%s: %zu bytes", name, value.size);
    memcpy(&version, value.data, sizeof version);
    fill_value(expected, index, key, version);
    HARNESS_CHECK(value.size == sizeof version + value_size(version) &&
                      memcmp(value.data, expected, value.size) == 0,
                  "%s: the value of version %u is wrong", name, version);
    return version;
}

/* The transaction on its way: 1 it is there, 0 it is not; anything between fails. */
static bool settle_pending(struct writer *writer, const version_t *found, unsigned index)
{
    uint32_t there = 0;

    for (uint32_t i = 0; i < writer->pending_count; i++)
        there += found[writer->pending_key[i]] == writer->pending_version[i] &&
                 writer->acknowledged[writer->pending_key[i]] != writer->pending_version[i];
    if (there == 0)
        return false;
    for (uint32_t i = 0; i < writer->pending_count; i++) {
        HARNESS_CHECK(found[writer->pending_key[i]] == writer->pending_version[i],
                      "writer %u: a transaction of %u is there in part", index,
                      writer->pending_count);
        writer->acknowledged[writer->pending_key[i]] = writer->pending_version[i];
    }
    return true;
}

static uint64_t verify(struct test *test, struct bts_store *store)
{
    static version_t found[KEYS];
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_error error;
    uint64_t present = 0;

    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    HARNESS_OK(bts_bucket_open(&snapshot, "default", 7, &bucket, &error), &error);
    for (unsigned w = 0; w < WRITERS; w++) {
        struct writer *writer = &test->writers[w];

        for (uint32_t k = 0; k < KEYS; k++) {
            found[k] = version_in(&snapshot, &bucket, w, k);
            present += found[k] != 0;
        }
        if (writer->pending_count > 0)
            settle_pending(writer, found, w);
        writer->pending_count = 0;
        for (uint32_t k = 0; k < KEYS; k++)
            HARNESS_CHECK(found[k] == writer->acknowledged[k],
                          "writer %u key %u: version %u was acknowledged, %u is there", w, k,
                          writer->acknowledged[k], found[k]);
    }
    HARNESS_CHECK(bucket.entry_count == present, "the bucket counts %llu, %llu are there",
                  (unsigned long long)bucket.entry_count, (unsigned long long)present);
    bts_snapshot_close(&snapshot);
    return present;
}

static void one_round(struct test *test, uint64_t *random)
{
    struct writer_task tasks[WRITERS];
    pid_t pids[WRITERS];
    struct bts_store *store;

    harness_start(&test->harness, "--log-size", "2M", NULL);
    store = harness_open(&test->harness);
    verify(test, store);
    harness_check_store(store);
    bts_store_close(store);
    for (unsigned w = 0; w < WRITERS; w++) {
        tasks[w] = (struct writer_task){test, w};
        pids[w] = harness_spawn(write_until_killed, &tasks[w]);
    }
    harness_sleep_us(3000 + harness_random(random) % 60000);
    harness_kill(&test->harness);
    for (unsigned w = 0; w < WRITERS; w++)
        harness_join(pids[w], "writer");
}

int main(void)
{
    struct test *test = harness_shared(sizeof *test);
    unsigned kills = harness_count(KILLS, KILLS_SANITIZED);
    uint64_t random = 20261123;
    uint64_t commits = 0;
    struct bts_store *store;

    harness_init(&test->harness);
    for (unsigned w = 0; w < WRITERS; w++)
        test->writers[w].random = 1000 + w;
    for (unsigned i = 0; i < kills; i++)
        one_round(test, &random);
    harness_start(&test->harness, NULL);
    store = harness_open(&test->harness);
    verify(test, store);
    harness_check_store(store);
    bts_store_close(store);
    harness_stop(&test->harness);
    for (unsigned w = 0; w < WRITERS; w++)
        commits += test->writers[w].commits;
    HARNESS_CHECK(commits > kills, "only %llu commits were acknowledged",
                  (unsigned long long)commits);
    printf("# %u kills, %llu acknowledged commits, none lost\n", kills,
           (unsigned long long)commits);
    return 0;
}
