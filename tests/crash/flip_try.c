/* SPDX-License-Identifier: MIT */
/* flip_try: see flip_try.h. */
#include "flip_try.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flip_places.h"

#define ALL_GETS_EACH 16u /* every so manieth flip all keys are got */
#define AFRESH_EACH 12u   /* .. the store is opened anew; of a meta each other time */

uint64_t flip_draw(struct flipper *flipper, uint64_t below)
{
    flipper->random = flip_mix(flipper->random);
    return flipper->random % below;
}

/* ---- what is said ------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void fail(struct flipper *flipper,
                                                       const char *format, ...)
{
    struct row *row = flip_row(flipper);
    va_list arguments;
    int size;

    if (row->wrong++ > 0)
        return;
    size = snprintf(row->first, sizeof(row->first), "store \"%s\", page %u, byte %llu, bit %u: ",
                    flipper->store->shape.name, flipper->place->pgno,
                    (unsigned long long)flipper->bit / 8, (unsigned)(flipper->bit % 8));
    va_start(arguments, format);
    vsnprintf(row->first + size, sizeof(row->first) - (size_t)size, format, arguments);
    va_end(arguments);
}

/* ---- the flip ---------------------------------------------------------------- */

/* Metas and maps lie there twice: a reader goes on with the other one. */
static bool is_doubled(const struct flip_place *place)
{
    return place->type == FLIP_META || place->type == FLIP_MAP;
}

/* Whether the report names the page and gives a reason. */
static void watch_report(void *argument, const char *text)
{
    struct flip_watch *watch = argument;
    const char *reason = strstr(text, "): ");

    watch->lines++;
    if (strncmp(text, watch->begin, strlen(watch->begin)) == 0 && reason != NULL &&
        reason[3] != '\0')
        watch->named = true;
}

enum bts_status flip_check(struct bts_store *open, pgno_t pgno, struct flip_watch *watch,
                           struct bts_check_result *result, struct bts_error *error)
{
    memset(watch, 0, sizeof(*watch));
    snprintf(watch->begin, sizeof(watch->begin), "page %u (", pgno);
    return bts_store_check(open, result, watch_report, watch, error);
}

/* ---- a page ------------------------------------------------------------------ */

static void check_page(struct flipper *flipper, struct bts_store *open)
{
    struct bts_check_result result;
    struct bts_error error;
    struct flip_watch watch;
    enum bts_status status = flip_check(open, flipper->place->pgno, &watch, &result, &error);

    if (status == BTS_DAMAGED && watch.named)
        flip_row(flipper)->detected++;
    else if (status == BTS_DAMAGED)
        fail(flipper, "the check names another page: %.300s", error.text);
    else
        fail(flipper, "the check finds nothing (%s)", bts_status_name(status));
}

static void read_page(struct flipper *flipper, struct bts_store *open)
{
    struct flip_reading reading;
    bool doubled = is_doubled(flipper->place);

    flip_read(flipper->store, open, 0, doubled ? PGNO_NONE : flipper->place->pgno,
              flipper->count % ALL_GETS_EACH == 0 ? SIZE_MAX : 2, &reading);
    if (reading.wrong)
        fail(flipper, "a reader: %.400s", reading.text);
    else if (!doubled && !reading.damage)
        fail(flipper, "a reader of everything does not notice");
    flip_row(flipper)->refused += reading.damage;
}

/* As a process does that did not know the file before. */
static void try_page_afresh(struct flipper *flipper)
{
    struct bts_store *open;
    struct bts_error error;

    if (flip_open(flipper->store->path, &open, &error) != BTS_OK) {
        fail(flipper, "it cannot be opened: %.300s", error.text);
        return;
    }
    read_page(flipper, open);
    check_page(flipper, open);
    bts_store_close(open);
}

/* Mostly in a store that is open already and forgets what it has verified: that is faster. */
void flip_try_page(struct flipper *flipper)
{
    struct bts_store *open = flipper->open[flipper->store - flipper->stores];

    if (flipper->count % (flipper->place->type == FLIP_META ? 2 : AFRESH_EACH) == 0) {
        try_page_afresh(flipper);
        return;
    }
    flip_forget(open);
    read_page(flipper, open);
    check_page(flipper, open);
}

/* ---- the log ----------------------------------------------------------------- */

/* Whether without this the log just ends one commit earlier. */
static bool may_end_there(const struct flipper *flipper)
{
    return flipper->place->type == FLIP_LOG_LAST ||
           (flipper->place->type == FLIP_LOG_HEADER &&
            flipper->place->version + 1 == flipper->store->shape.log_commits);
}

void flip_try_log(struct flipper *flipper)
{
    unsigned all = flipper->store->shape.log_commits;
    struct bts_check_result result;
    struct bts_store *open = flipper->open[flipper->store - flipper->stores];
    struct bts_error error;
    struct flip_watch watch;
    enum bts_status status;

    status = flip_check(open, 0, &watch, &result, &error);
    if (status == BTS_DAMAGED && watch.lines > 0 && strstr(error.text, "pending log") != NULL)
        flip_row(flipper)->detected++;
    else if (status != BTS_OK)
        fail(flipper, "the check says %s: %.300s", bts_status_name(status), error.text);
    else if (flipper->place->type == FLIP_LOG_REST || may_end_there(flipper))
        flip_row(flipper)->undetected++;
    else
        fail(flipper, "the check finds nothing");
    if (status == BTS_OK && result.pending_frames != all &&
        !(may_end_there(flipper) && result.pending_frames == flipper->place->version))
        fail(flipper, "the check counts %llu frames of %u",
             (unsigned long long)result.pending_frames, all);
}

/* ---- a daemon that starts on it ------------------------------------------------- */

static void write_file(const char *path, const uint8_t *bytes, uint64_t size,
                       const struct flip_place *places, size_t place_count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && ftruncate(fd, (off_t)size) == 0;

    for (size_t i = 0; good && i < place_count; i++)
        good = flip_in_log(&places[i]) ||
               pwrite(fd, bytes + places[i].offset, places[i].size, (off_t)places[i].offset) ==
                   (ssize_t)places[i].size;
    if (good && places == NULL)
        good = pwrite(fd, bytes, size, 0) == (ssize_t)size;
    if (!good)
        flip_die("%s: cannot write the copy", path);
    close(fd);
}

static void copy_store(const struct flipper *flipper)
{
    const struct flip_store *store = flipper->store;

    write_file(flipper->scratch_path, store->file, store->file_size, store->places,
               store->place_count);
    unlink(flipper->scratch_log);
    if (store->log != NULL)
        write_file(flipper->scratch_log, store->log, store->log_size, NULL, 0);
}

/* Refused: as damage, and it says of what. */
static void judge_refusal(struct flipper *flipper, const char *who, enum bts_status status,
                          const struct bts_error *error)
{
    char page[32];

    snprintf(page, sizeof(page), "page %u:", flipper->place->pgno);
    if (status != BTS_DAMAGED)
        fail(flipper, "%s: %s: %.300s", who, bts_status_name(status), error->text);
    else if (flip_in_log(flipper->place) ? strstr(error->text, ".pending: ") == NULL
                                    : strstr(error->text, page) == NULL)
        fail(flipper, "%s does not say where: %.300s", who, error->text);
}

/* What a stopped store must be: all there, at this version, but for what was flipped. */
static void judge_recovered(struct flipper *flipper, struct bts_store *open, unsigned version)
{
    bool whole = flip_in_log(flipper->place) || is_doubled(flipper->place);
    pgno_t pgno = whole ? PGNO_NONE : flipper->place->pgno;
    struct flip_reading reading;
    struct bts_check_result result;
    struct bts_error error;
    struct flip_watch watch;
    enum bts_status status;

    flip_read(flipper->store, open, version, pgno, 2, &reading);
    if (reading.wrong)
        fail(flipper, "after recovery a reader: %.400s", reading.text);
    status = flip_check(open, pgno, &watch, &result, &error);
    if (whole ? status != BTS_OK : status != BTS_DAMAGED || !watch.named)
        fail(flipper, "after recovery the check says %s: %.300s", bts_status_name(status),
             status != BTS_OK ? error.text : "");
}

/* A store that a daemon took, changed and stopped. */
static void examine_recovered(struct flipper *flipper)
{
    const struct flip_place *place = flipper->place;
    unsigned all = flipper->store->shape.log_commits;
    struct bts_store *open;
    struct bts_error error;
    unsigned version;

    if (flip_open(flipper->scratch_path, &open, &error) != BTS_OK) {
        fail(flipper, "after recovery it cannot be opened: %.300s", error.text);
        return;
    }
    if (flip_version(open, &version) == BTS_DAMAGED)
        version = all; /* the reading will tell */
    if (version != all && !(may_end_there(flipper) && version == place->version))
        fail(flipper, "recovered %u of %u commits and says nothing", version, all);
    else
        judge_recovered(flipper, open, version);
    bts_store_close(open);
}

void flip_try_recovery(struct flipper *flipper)
{
    const struct flip_store *store = flipper->store;
    const struct flip_bucket *model = &store->versions[0];
    struct flip_engine engine;
    struct bts_error error;
    enum bts_status status;

    copy_store(flipper);
    flip_row(flipper)->recovered++;
    status = flip_engine_start(&engine, flipper->scratch_path, store->shape.page_size, &error);
    if (status != BTS_OK) {
        flip_row(flipper)->declined++;
        judge_refusal(flipper, "recovery", status, &error);
        return;
    }
    status = flip_engine_put(&engine, &model->entries[flip_draw(flipper, model->count)], &error);
    if (status != BTS_OK)
        judge_refusal(flipper, "a commit", status, &error);
    status = commit_stop(engine.commit, &error);
    flip_engine_kill(&engine);
    if (status != BTS_OK)
        fail(flipper, "the daemon cannot stop: %.300s", error.text);
    else
        examine_recovered(flipper);
}
