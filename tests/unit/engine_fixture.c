/* SPDX-License-Identifier: MIT */
/* engine_fixture: see engine_fixture.h. */
#include "engine_fixture.h"
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commit/commit_private.h"
#include "format/locks.h"
#include "format/space_map.h"
#include "read/bucket.h"
#include "read/cursor.h"
#include "read/snapshot.h"
#include "read/tree_check.h"

#define ENGINE_VALUE_MAX 20000u
#define ENGINE_WAIT_MS 30000

static void engine_note(void *context, const char *text)
{
    struct engine *engine = context;

    snprintf(engine->note, sizeof(engine->note), "%s", text);
}

/* ---- suites ---------------------------------------------------------------- */

void engine_add_case(Suite *suite, int times, const TTest *const *tests, size_t test_count)
{
    TCase *cases = tcase_create("engine");
    int first = ENGINE_THREADS_ONLY && times == 2 ? 1 : 0;

    tcase_set_timeout(cases, UNIT_TIMEOUT_S);
    for (size_t i = 0; i < test_count; i++)
        tcase_add_loop_test(cases, tests[i], first, times);
    suite_add_tcase(suite, cases);
}

int engine_run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- life ------------------------------------------------------------------ */

void engine_init(struct engine *engine)
{
    const char *directory = getenv("TMPDIR");
    struct bts_error error;

    if (access("/dev/shm", W_OK) == 0) /* thousands of syncs: in memory, where that can be */
        directory = "/dev/shm";
    memset(engine, 0, sizeof(*engine));
    snprintf(engine->directory, sizeof(engine->directory), "%s/engine.XXXXXX",
             directory != NULL ? directory : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(engine->directory));
    snprintf(engine->path, sizeof(engine->path), "%s/store.bts", engine->directory);
    snprintf(engine->pending_path, sizeof(engine->pending_path), "%s.pending", engine->path);
    faulty_files_init(&engine->faulty);
    engine->options = (struct commit_options){.path = engine->path,
                                              .system = &engine->faulty.system,
                                              .create = true,
                                              .map_span = 1u << 30,
                                              .log_segment_size = 64u << 10,
                                              .log_size_max = 512u << 10,
                                              .inline_only = true,
                                              .note = engine_note,
                                              .note_context = engine};
    engine->beacon = aligned_alloc(4096, sizeof(*engine->beacon));
    memset(engine->beacon, 0, sizeof(*engine->beacon));
    ck_assert_int_eq(horizon_init(&engine->horizon, &error), BTS_OK);
    engine->random = 0x9e3779b97f4a7c15ull;
}

void engine_fini(struct engine *engine)
{
    engine_kill(engine);
    horizon_fini(&engine->horizon);
    free(engine->beacon);
    unlink(engine->path);
    unlink(engine->pending_path);
    ck_assert_int_eq(rmdir(engine->directory), 0);
}

enum bts_status engine_try_start(struct engine *engine, bool survivors, struct bts_error *error)
{
    enum bts_status status = commit_open(&engine->options, &engine->commit, error);

    if (status == BTS_OK) {
        struct commit_identity identity = commit_identity(engine->commit);
        memcpy(engine->beacon->uuid, identity.uuid, sizeof(identity.uuid));
        status = commit_recover(engine->commit, engine->beacon, &engine->horizon, survivors,
                                error);
    }
    if (status != BTS_OK) {
        commit_close(engine->commit);
        engine->commit = NULL;
    }
    return status;
}

void engine_start(struct engine *engine)
{
    struct bts_error error;

    ck_assert_msg(engine_try_start(engine, false, &error) == BTS_OK, "%s", error.text);
}

void engine_init_and_start(struct engine *engine, bool threads)
{
    engine_init(engine);
    engine->options.inline_only = !threads;
    engine_start(engine);
}

void engine_kill(struct engine *engine)
{
    commit_close(engine->commit);
    engine->commit = NULL;
}

void engine_power_cut(struct engine *engine)
{
    engine_kill(engine);
    memset(engine->beacon, 0, sizeof(*engine->beacon));
}

void engine_stop(struct engine *engine)
{
    struct bts_error error;

    ck_assert_msg(commit_stop(engine->commit, &error) == BTS_OK, "%s", error.text);
    engine_kill(engine);
}

int engine_open_reader(const struct engine *engine)
{
    struct flock lock = {.l_type = F_RDLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)(LOCK_READERS + 7),
                         .l_len = 1};
    int reader = open(engine->path, O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(reader, 0);
    ck_assert_int_eq(fcntl(reader, F_OFD_SETLK, &lock), 0);
    return reader;
}

uint64_t engine_random(struct engine *engine, uint64_t below)
{
    engine->random ^= engine->random << 13;
    engine->random ^= engine->random >> 7;
    engine->random ^= engine->random << 17;
    return engine->random % below;
}

/* ---- keys and values ---------------------------------------------------- */

static size_t engine_key(uint32_t index, char key[32])
{
    return (size_t)snprintf(key, 32, "key %u", index * 7919u % 100003u);
}

size_t engine_value(uint32_t index, uint32_t version, uint8_t *value)
{
    uint32_t mix = (index * 2654435761u) ^ (version * 40503u);
    size_t size = mix % 37 == 0 ? mix % ENGINE_VALUE_MAX : mix % 200;

    for (size_t i = 0; i < size; i++)
        value[i] = (uint8_t)(mix + i * 13);
    return size;
}

void engine_batch(struct batch *batch, uint32_t index, uint32_t version)
{
    static uint8_t value[ENGINE_VALUE_MAX];
    char key[32];
    size_t key_size = engine_key(index, key);
    size_t value_size = engine_value(index, version, value);
    enum bts_status status;

    memset(batch, 0, sizeof(*batch));
    if (version > 0)
        status = batch_add(batch, BATCH_PUT, 0, key, key_size, value, value_size, NULL);
    else
        status = batch_add(batch, BATCH_DELETE, 0, key, key_size, NULL, 0, NULL);
    ck_assert_int_eq(status, BTS_OK);
}

void engine_add(struct batch *batch, enum batch_type type, unsigned flags, const char *first,
                const char *second)
{
    struct bts_error error;

    ck_assert_msg(batch_add(batch, type, flags, first, strlen(first), second,
                            second != NULL ? strlen(second) : 0, &error) == BTS_OK,
                  "%s", error.text);
}

/* ---- requests ----------------------------------------------------------- */

static void engine_wait(struct engine *engine)
{
    struct pollfd wait = {.fd = commit_event_fd(engine->commit), .events = POLLIN};

    ck_assert_msg(poll(&wait, 1, ENGINE_WAIT_MS) == 1, "the engine is stuck");
    commit_tick(engine->commit);
}

struct commit_request *engine_run(struct engine *engine, struct commit_request *requests)
{
    struct commit_request *first = NULL;
    struct commit_request **end = &first;
    size_t missing = 0;

    for (struct commit_request *request = requests; request != NULL; request = request->next)
        missing++;
    commit_take(engine->commit, requests);
    for (;;) {
        struct commit_request *list = commit_collect(engine->commit);
        *end = list;
        for (; *end != NULL; end = &(*end)->next)
            missing--;
        if (missing == 0)
            return first;
        engine_wait(engine);
    }
}

enum bts_status engine_commit(struct engine *engine, struct batch *batch, txnid_t *txnid,
                              struct bts_error *error)
{
    struct commit_request request = {.next = NULL};

    request.batch = batch_bytes(batch, &request.size);
    ck_assert_ptr_eq(engine_run(engine, &request), &request);
    apply_results_fini(&request.results);
    if (txnid != NULL)
        *txnid = request.txnid;
    if (error != NULL)
        *error = request.error;
    return request.status;
}

enum bts_status engine_change(struct engine *engine, uint32_t index, bool put)
{
    uint32_t version = put ? ++engine->version : 0;
    struct batch batch;
    enum bts_status status;

    engine_batch(&batch, index, version);
    status = engine_commit(engine, &batch, NULL, NULL);
    if (status == BTS_OK)
        engine->model[index] = version;
    batch_fini(&batch);
    return status;
}

void engine_load(struct engine *engine, unsigned count, unsigned group_max)
{
    struct commit_request *requests = calloc(group_max, sizeof(*requests));
    struct batch *batches = calloc(group_max, sizeof(*batches));

    while (count > 0) {
        unsigned n = 1 + (unsigned)engine_random(engine, group_max);
        n = n < count ? n : count;
        for (unsigned i = 0; i < n; i++) {
            uint32_t index = (uint32_t)engine_random(engine, ENGINE_KEYS);
            uint32_t version = engine_random(engine, 4) > 0 ? ++engine->version : 0;
            engine_batch(&batches[i], index, version);
            engine->model[index] = version;
            memset(&requests[i], 0, sizeof(requests[i]));
            requests[i].batch = batch_bytes(&batches[i], &requests[i].size);
            requests[i].next = i + 1 < n ? &requests[i + 1] : NULL;
        }
        ck_assert_ptr_eq(engine_run(engine, requests), requests);
        for (unsigned i = 0; i < n; i++) {
            ck_assert_msg(requests[i].status == BTS_OK, "%s", requests[i].error.text);
            ck_assert_ptr_eq(requests[i].next, i + 1 < n ? &requests[i + 1] : NULL);
            batch_fini(&batches[i]);
            apply_results_fini(&requests[i].results);
        }
        count -= n;
    }
    free(requests);
    free(batches);
}

/* ---- checks ------------------------------------------------------------- */

static void engine_check_model(struct engine *engine, const struct tree_view *directory)
{
    static uint8_t value[ENGINE_VALUE_MAX];
    struct bucket_record record;
    struct bts_error error;
    struct tree_view view;
    uint64_t count = 0;
    uint32_t wrong = UINT32_MAX;

    ck_assert_msg(bucket_find(directory, "default", 7, &record, &error) == BTS_OK, "%s",
                  error.text);
    view = bucket_view(directory, &record);
    for (uint32_t i = 0; i < ENGINE_KEYS; i++) {
        char key[32];
        size_t key_size = engine_key(i, key);
        size_t size = engine_value(i, engine->model[i], value);
        struct bts_bytes found;
        enum bts_status status = tree_get(&view, key, key_size, &found, &error);
        bool same = engine->model[i] == 0
                        ? status == BTS_NOT_FOUND
                        : status == BTS_OK && found.size == size &&
                              (size == 0 || memcmp(found.data, value, size) == 0);
        count += engine->model[i] != 0;
        if (!same && wrong == UINT32_MAX)
            wrong = i;
    }
    ck_assert_msg(wrong == UINT32_MAX, "key %u, version %u, is not as it was", wrong,
                  wrong < ENGINE_KEYS ? engine->model[wrong] : 0);
    ck_assert_uint_eq(record.entry_count, count);
}

static void engine_report(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

/* The live pages, as a space map would show them. */
static uint8_t *engine_live_bits(const struct commit *commit, pgno_t page_count)
{
    size_t page_size = commit_page_size(commit);
    pgno_t group_pages = space_map_group_pages(page_size);
    uint32_t groups = space_map_group_count(page_count, page_size);
    uint8_t *bits = calloc(groups, group_pages / 8);

    for (pgno_t pgno = 0; pgno < page_count; pgno++) {
        if (space_is_live(commit->space, pgno))
            bits[pgno / 8] |= (uint8_t)(1u << (pgno % 8));
    }
    return bits;
}

void engine_check(struct engine *engine)
{
    struct commit *commit = engine->commit;
    struct tree_view directory = commit_latest(commit);
    pgno_t page_count = (pgno_t)commit_stat(commit).space.page_count;
    struct tree_check check;
    struct bts_error error;
    uint8_t *bits = engine_live_bits(commit, page_count);

    space_check(commit->space);
    pending_log_check(&commit->log);
    engine_check_model(engine, &directory);
    ck_assert_int_eq(tree_check_init(&check, directory.source, directory.txnid, page_count,
                                     engine_report, NULL, &error), BTS_OK);
    ck_assert_int_eq(tree_check_walk(&check, directory.root, directory.depth,
                                     commit->published.root.bucket_count, &error), BTS_OK);
    ck_assert_msg(tree_check_bits(&check, bits, &error) == BTS_OK, "%s", error.text);
    tree_check_fini(&check);
    free(bits);
}

void engine_check_checkpoint(struct engine *engine)
{
    struct commit_checkpoint ticket = {.pin = true};
    struct tree_check check;
    struct bts_error error;

    commit_checkpoint_request(engine->commit, &ticket);
    while (!ticket.done)
        engine_wait(engine);
    ck_assert_ptr_nonnull(ticket.slot);
    ck_assert_uint_eq(ticket.txnid, commit_checkpoint_txnid(engine->commit));
    ck_assert_int_eq(tree_check_init(&check, commit_latest(engine->commit).source, ticket.txnid,
                                     ticket.page_count, engine_report, NULL, &error), BTS_OK);
    ck_assert_int_eq(tree_check_walk(&check, ticket.root, ticket.depth, ticket.bucket_count,
                                     &error), BTS_OK);
    ck_assert_msg(tree_check_maps(&check, &error) == BTS_OK, "%s", error.text);
    tree_check_fini(&check);
    commit_checkpoint_forget(engine->commit, &ticket);
}

void engine_check_after_kill(struct engine *engine)
{
    engine_check(engine);
    engine_kill(engine);
    engine_start(engine);
    engine_check(engine);
    engine_check_checkpoint(engine);
}
