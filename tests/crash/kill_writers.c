/* SPDX-License-Identifier: MIT */
/* kill_writers: see kill_writers.h. */
#include "kill_writers.h"

#include <string.h>

#define VALUE_MAX 30000u
#define NAME_MAX_SIZE 32

static const char digests[] = "digests";
#define DIGESTS_SIZE (sizeof(digests) - 1)

/* ---- keys, values, digests ------------------------------------------------ */

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

/* The version that a value of a key was made from; fails if it was not made so. */
static version_t value_version(struct bts_bytes value, unsigned writer, uint32_t key)
{
    static uint8_t expected[VALUE_MAX + sizeof(version_t)];
    version_t version;

    HARNESS_CHECK(value.size >= sizeof version, "writer %u key %u: %zu bytes", writer, key,
                  value.size);
    memcpy(&version, value.data, sizeof version);
    fill_value(expected, writer, key, version);
    HARNESS_CHECK(value.size == sizeof version + value_size(version) &&
                      memcmp(value.data, expected, value.size) == 0,
                  "writer %u key %u: the value of version %u is wrong", writer, key, version);
    return version;
}

static size_t key_name(char name[NAME_MAX_SIZE], unsigned writer, uint32_t key)
{
    return (size_t)snprintf(name, NAME_MAX_SIZE, "writer%u:key%05u", writer, key);
}

static size_t writer_name(char name[NAME_MAX_SIZE], unsigned writer)
{
    return (size_t)snprintf(name, NAME_MAX_SIZE, "writer%u:", writer);
}

/* What one key adds to its writer's digest, by XOR; an absent one adds 0. */
static uint64_t key_digest(uint32_t key, version_t version)
{
    uint64_t mixed = (uint64_t)key << 32 | version;

    if (version == 0)
        return 0;
    mixed *= 0x9e3779b97f4a7c15u;
    mixed ^= mixed >> 29;
    mixed *= 0xbf58476d1ce4e5b9u;
    return mixed ^ mixed >> 32;
}

/* The digest once the transaction on its way is there. */
static uint64_t pending_digest(const struct kill_writer *writer)
{
    uint64_t digest = 0;

    for (uint32_t key = 0; key < KILL_KEYS; key++)
        digest ^= key_digest(key, writer->acknowledged[key]);
    for (uint32_t i = 0; i < writer->pending_count; i++) {
        uint32_t key = writer->pending_key[i];

        digest ^= key_digest(key, writer->acknowledged[key]);
        digest ^= key_digest(key, writer->pending_version[i]);
    }
    return digest;
}

/* ---- writing -------------------------------------------------------------- */

/* Chooses distinct keys and what becomes of them. */
static void choose(struct kill_writer *writer)
{
    uint32_t count = 1 + (uint32_t)(harness_random(&writer->random) % KILL_TRANSACTION_MAX);
    uint32_t key = (uint32_t)(harness_random(&writer->random) % KILL_KEYS);

    if (harness_random(&writer->random) % 2 == 0)
        count = 1;
    for (uint32_t i = 0; i < count; i++) {
        bool drop = harness_random(&writer->random) % 6 == 0;

        writer->pending_key[i] = (key + i * 37) % KILL_KEYS;
        writer->pending_version[i] = drop ? 0 : ++writer->next_version;
    }
    __atomic_store_n(&writer->pending_count, count, __ATOMIC_RELEASE);
}

static void fill_batch(struct bts_batch *batch, unsigned index, const struct kill_writer *writer)
{
    static uint8_t value[VALUE_MAX + sizeof(version_t)];
    uint64_t digest = pending_digest(writer);
    struct bts_error error;
    char name[NAME_MAX_SIZE];
    size_t size;

    bts_batch_clear(batch);
    for (uint32_t i = 0; i < writer->pending_count; i++) {
        version_t version = writer->pending_version[i];

        size = key_name(name, index, writer->pending_key[i]);
        if (version == 0) {
            HARNESS_OK(bts_batch_delete(batch, name, size, &error), &error);
            continue;
        }
        fill_value(value, index, writer->pending_key[i], version);
        HARNESS_OK(bts_batch_put(batch, name, size, value, sizeof version + value_size(version),
                                 &error),
                   &error);
    }
    size = writer_name(name, index);
    HARNESS_OK(bts_batch_use(batch, digests, DIGESTS_SIZE, &error), &error);
    HARNESS_OK(bts_batch_put(batch, name, size, &digest, sizeof digest, &error), &error);
}

static void take_acknowledgement(struct kill_writer *writer)
{
    for (uint32_t i = 0; i < writer->pending_count; i++)
        writer->acknowledged[writer->pending_key[i]] = writer->pending_version[i];
    __atomic_store_n(&writer->pending_count, 0, __ATOMIC_RELEASE);
}

struct writer_task {
    struct kill_writers *writers;
    unsigned index;
};

/* Writes until the daemon is gone. */
static int write_until_killed(void *argument)
{
    const struct writer_task *task = argument;
    struct kill_writer *writer = &task->writers->writers[task->index];
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct bts_store *store;
    struct bts_batch *batch;
    struct bts_error error;
    enum bts_status status =
        bts_store_open(task->writers->harness->store, &options, &store, &error);

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
        take_acknowledgement(writer);
        writer->commits++;
    }
    bts_batch_destroy(batch);
    bts_store_close(store);
    return 0;
}

void kill_writers_init(struct kill_writers *writers, struct harness *harness)
{
    struct bts_store *store = harness_open(harness);
    struct bts_error error;

    writers->harness = harness;
    for (unsigned w = 0; w < KILL_WRITERS; w++)
        writers->writers[w].random = 1000 + w;
    HARNESS_OK(bts_bucket_create(store, digests, DIGESTS_SIZE, NULL, &error), &error);
    bts_store_close(store);
}

void kill_writers_start(struct kill_writers *writers)
{
    struct writer_task tasks[KILL_WRITERS];

    for (unsigned w = 0; w < KILL_WRITERS; w++) {
        tasks[w] = (struct writer_task){writers, w};
        writers->pids[w] = harness_spawn(write_until_killed, &tasks[w]);
    }
}

void kill_writers_join(struct kill_writers *writers)
{
    for (unsigned w = 0; w < KILL_WRITERS; w++)
        harness_join(writers->pids[w], "writer");
}

uint64_t kill_writers_commits(const struct kill_writers *writers)
{
    uint64_t commits = 0;

    for (unsigned w = 0; w < KILL_WRITERS; w++)
        commits += writers->writers[w].commits;
    return commits;
}

/* ---- reading -------------------------------------------------------------- */

/* The digest that a snapshot holds for a writer; 0: it has written nothing. */
static uint64_t digest_in(const struct bts_snapshot *snapshot, unsigned index)
{
    struct bts_bucket bucket;
    struct bts_bytes value;
    struct bts_error error;
    char name[NAME_MAX_SIZE];
    size_t size = writer_name(name, index);
    uint64_t digest = 0;
    enum bts_status status;

    HARNESS_OK(bts_bucket_open(snapshot, digests, DIGESTS_SIZE, &bucket, &error), &error);
    status = bts_get(snapshot, &bucket, name, size, &value, &error);
    if (status == BTS_NOT_FOUND)
        return 0;
    HARNESS_CHECK(status == BTS_OK && value.size == sizeof digest, "%s: %s, %zu bytes", name,
                  bts_status_name(status), value.size);
    memcpy(&digest, value.data, sizeof digest);
    return digest;
}

/* Walks the keys of a writer and notes their versions; returns how many there are. */
static uint64_t walk_versions(const struct bts_snapshot *snapshot, unsigned index,
                              version_t found[KILL_KEYS])
{
    struct bts_bucket bucket;
    struct bts_cursor cursor;
    struct bts_bytes key, value;
    struct bts_error error;
    char prefix[NAME_MAX_SIZE], name[NAME_MAX_SIZE];
    size_t size = writer_name(prefix, index);
    uint64_t count = 0;
    enum bts_status status;

    memset(found, 0, KILL_KEYS * sizeof *found);
    HARNESS_OK(bts_bucket_open(snapshot, "default", 7, &bucket, &error), &error);
    bts_cursor_init(&cursor, snapshot, &bucket);
    bts_cursor_set_prefix(&cursor, prefix, size);
    for (status = bts_cursor_first(&cursor, &key, &value, &error); status == BTS_OK;
         status = bts_cursor_next(&cursor, &key, &value, &error)) {
        uint32_t number = 0;

        HARNESS_CHECK(key.size == size + 8, "a key of %zu bytes", key.size);
        for (size_t i = size + 3; i < key.size; i++)
            number = number * 10 + (uint32_t)(((const char *)key.data)[i] - '0');
        HARNESS_CHECK(number < KILL_KEYS && key.size == key_name(name, index, number) &&
                          memcmp(name, key.data, key.size) == 0,
                      "nobody wrote key %.*s", (int)key.size, (const char *)key.data);
        found[number] = value_version(value, index, number);
        count++;
    }
    HARNESS_CHECK(status == BTS_END, "%s: %s", bts_status_name(status), error.text);
    return count;
}

static uint64_t check_digest(const struct bts_snapshot *snapshot, unsigned index,
                             const version_t found[KILL_KEYS])
{
    uint64_t expected = digest_in(snapshot, index);
    uint64_t digest = 0;

    for (uint32_t key = 0; key < KILL_KEYS; key++)
        digest ^= key_digest(key, found[key]);
    HARNESS_CHECK(digest == expected,
                  "snapshot %llu: the keys of writer %u do not belong together: digest %016llx, "
                  "not %016llx",
                  (unsigned long long)bts_snapshot_txnid(snapshot), index,
                  (unsigned long long)digest, (unsigned long long)expected);
    return digest;
}

uint64_t kill_writers_walk(const struct bts_snapshot *snapshot, unsigned index)
{
    version_t found[KILL_KEYS];

    walk_versions(snapshot, index, found);
    return check_digest(snapshot, index, found);
}

/* ---- after a kill --------------------------------------------------------- */

/* The transaction on its way is there, or it is not; anything between fails. */
static void settle_pending(struct kill_writer *writer, const version_t *found, unsigned index)
{
    uint32_t there = 0;

    for (uint32_t i = 0; i < writer->pending_count; i++)
        there += found[writer->pending_key[i]] == writer->pending_version[i] &&
                 writer->acknowledged[writer->pending_key[i]] != writer->pending_version[i];
    for (uint32_t i = 0; there > 0 && i < writer->pending_count; i++) {
        HARNESS_CHECK(found[writer->pending_key[i]] == writer->pending_version[i],
                      "writer %u: a transaction of %u is there in part", index,
                      writer->pending_count);
        writer->acknowledged[writer->pending_key[i]] = writer->pending_version[i];
    }
    writer->settled += there > 0;
    writer->pending_count = 0;
}

void kill_writers_verify(struct kill_writers *writers, struct bts_store *store)
{
    version_t found[KILL_KEYS];
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_error error;
    uint64_t present = 0;

    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    for (unsigned w = 0; w < KILL_WRITERS; w++) {
        struct kill_writer *writer = &writers->writers[w];

        present += walk_versions(&snapshot, w, found);
        settle_pending(writer, found, w);
        for (uint32_t k = 0; k < KILL_KEYS; k++)
            HARNESS_CHECK(found[k] == writer->acknowledged[k],
                          "writer %u key %u: version %u was acknowledged, %u is there", w, k,
                          writer->acknowledged[k], found[k]);
        check_digest(&snapshot, w, found);
    }
    HARNESS_OK(bts_bucket_open(&snapshot, "default", 7, &bucket, &error), &error);
    HARNESS_CHECK(bucket.entry_count == present, "the bucket counts %llu, %llu are there",
                  (unsigned long long)bucket.entry_count, (unsigned long long)present);
    bts_snapshot_close(&snapshot);
}
