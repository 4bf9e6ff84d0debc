/* SPDX-License-Identifier: MIT */
/*
 * count: add one to shared counters, one durable commit each, and remember
 * what was acknowledged.
 *
 * An increment must not be sent twice.  When the daemon goes away with one on
 * its way (BTS_UNKNOWN), it was done or not: the counter may then stand one
 * higher than what was acknowledged.  When nothing was sent (BTS_UNAVAILABLE),
 * the increment is tried again.
 */
#include "packages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTAGE_MAX_MS 30000

struct counting {
    uint64_t acknowledged[COUNTER_COUNT];
    uint64_t unknown[COUNTER_COUNT];
    uint64_t acknowledged_sum;
    uint64_t unknown_sum;
    uint64_t txnid;
};

size_t counter_name(unsigned index, char name[COUNTER_NAME_MAX])
{
    return (size_t)snprintf(name, COUNTER_NAME_MAX, "counter-%u", index % COUNTER_COUNT);
}

int64_t counter_parse(struct bts_bytes value)
{
    char text[24];

    if (value.size == 0 || value.size >= sizeof(text)) {
        fail("a counter of %zu bytes", value.size);
    }
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    return strtoll(text, NULL, 10);
}

static void counting_tell(const struct arguments *arguments, const struct counting *counting)
{
    char line[512];
    size_t used = 0;

    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        used += (size_t)snprintf(line + used, sizeof(line) - used, " %" PRIu64 " %" PRIu64,
                                 counting->acknowledged[i], counting->unknown[i]);
    }
    status_write(arguments, "writer %" PRIu64 " %" PRIu64 " %" PRIu64 "%s",
                 counting->acknowledged_sum, counting->unknown_sum, counting->txnid, line);
}

/* A commit that was acknowledged is in every snapshot opened after it. */
static void see_own_commit(struct bts_store *store, uint64_t txnid)
{
    struct bts_snapshot snapshot;
    struct bts_error error;

    must(bts_snapshot_open(store, &snapshot, &error), &error);
    if (bts_snapshot_txnid(&snapshot) < txnid) {
        fail("commit %" PRIu64 " was acknowledged, but a later snapshot shows %" PRIu64, txnid,
             bts_snapshot_txnid(&snapshot));
    }
    bts_snapshot_close(&snapshot);
}

static void count_once(const struct arguments *arguments, struct bts_batch *batch, unsigned index,
                       struct counting *counting)
{
    struct bts_error error;
    char name[COUNTER_NAME_MAX];
    size_t name_size = counter_name(index, name);
    uint64_t deadline_ms = now_ms() + OUTAGE_MAX_MS;
    uint64_t txnid;
    enum bts_status status;

    bts_batch_clear(batch);
    must(bts_batch_use(batch, COUNTERS_BUCKET, strlen(COUNTERS_BUCKET), &error), &error);
    must(bts_batch_increment(batch, name, name_size, 1, &error), &error);
    while ((status = bts_commit(arguments->store, batch, &txnid, &error)) == BTS_UNAVAILABLE &&
           now_ms() < deadline_ms && !is_stopping()) {
        sleep_ms(20);
    }
    if (status == BTS_OK) {
        counting->txnid = txnid;
        counting->acknowledged[index]++;
        counting->acknowledged_sum++;
        see_own_commit(arguments->store, counting->txnid);
    } else if (status == BTS_UNKNOWN) {
        counting->unknown[index]++;
        counting->unknown_sum++;
    } else if (status != BTS_UNAVAILABLE || !is_stopping()) {
        must(status, &error);
    }
}

void count_run(const struct arguments *arguments)
{
    struct counting counting = {0};
    struct bts_batch *batch;
    struct bts_error error;
    uint64_t random = (uint64_t)getpid() + 1;
    uint64_t tell_ms = 0;

    must(bts_batch_create(&batch, &error), &error);
    make_bucket(arguments->store, COUNTERS_BUCKET);
    while (!is_stopping()) {
        count_once(arguments, batch, (unsigned)(random_next(&random) % COUNTER_COUNT), &counting);
        if (now_ms() >= tell_ms) {
            counting_tell(arguments, &counting);
            tell_ms = now_ms() + 100;
        }
    }
    counting_tell(arguments, &counting);
    bts_batch_destroy(batch);
}
