/* SPDX-License-Identifier: MIT */
/* fault_story: see fault_story.h. */
#include "fault_story.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commit/commit_private.h"
#include "fault_batch.h"
#include "fault_check.h"

#define STORY_FDS_MAX 256
#define STORY_TRIES_MAX 3000   /* of waiting for an answer */
#define STORY_TRIES_FAULTY 20  /* after so many nothing fails any more */
#define STORY_PIN_AT 5u        /* versions */
#define STORY_UNPIN_AT 52u

/* One call into the engine: only there calls fail. */
#define IN_ENGINE(call) (faults_enter(), (call), faults_leave())

/* ---- start and end ------------------------------------------------------ */

static enum bts_status engine_open(struct story *story, const char *directory,
                                   const struct file_system *system, struct commit **commit,
                                   struct bts_error *error)
{
    char path[150];
    struct commit_options options = {.path = path,
                                     .system = system,
                                     .create = true,
                                     .map_span = STORY_MAP_SPAN,
                                     .log_segment_size = 64u << 10,
                                     .log_size_max = 512u << 10,
                                     .inline_only = !story->threads,
                                     .scan_always = true};
    enum bts_status status;

    snprintf(path, sizeof(path), "%s/%s", directory, FAULTS_STORE);
    IN_ENGINE(status = commit_open(&options, commit, error));
    return status;
}

static void story_close(struct story *story)
{
    IN_ENGINE(commit_close(story->commit));
    story->commit = NULL;
}

/* False: it failed, or (wrong) it did not and should have. */
static bool story_start(struct story *story)
{
    struct bts_error error;
    enum bts_status status =
        engine_open(story, story->directory, story->system, &story->commit, &error);

    if (status == BTS_OK) {
        struct commit_identity identity = commit_identity(story->commit);
        memcpy(story->beacon->uuid, identity.uuid, sizeof(identity.uuid));
        IN_ENGINE(status = commit_recover(story->commit, story->beacon, &story->horizon,
                                          story->pinned.map != NULL, &error));
    }
    if (status == BTS_OK && story->lost_counts && faults_lost())
        return story_wrong(story, "a start succeeded though a sync or write of it failed");
    if (status == BTS_OK)
        return true;
    if (!faults_fired())
        return story_wrong(story, "a start failed though nothing else did: %.200s", error.text);
    if (story->commit != NULL)
        story_close(story);
    story->died = true;
    return false;
}

static bool story_stop(struct story *story)
{
    struct bts_error error;
    enum bts_status status;
    char path[150];

    IN_ENGINE(status = commit_stop(story->commit, &error));
    story_close(story);
    if (status == BTS_OK && story->lost_counts && faults_lost())
        return story_wrong(story, "a stop succeeded though a sync or write of it failed");
    snprintf(path, sizeof(path), "%s/%s", story->directory, FAULTS_PENDING);
    if (status == BTS_OK && access(path, F_OK) == 0)
        return story_wrong(story, "a clean stop left the pending log");
    if (status != BTS_OK && !faults_fired())
        return story_wrong(story, "a stop failed though nothing else did: %.200s", error.text);
    story->died = story->died || status != BTS_OK;
    return status == BTS_OK;
}

/* ---- commits ------------------------------------------------------------ */

/* Takes a list of `count` requests and waits for all of them. */
static bool story_take(struct story *story, struct commit_request *requests, unsigned count)
{
    unsigned missing = count;

    IN_ENGINE(commit_take(story->commit, requests));
    for (unsigned tries = 0; tries < STORY_TRIES_MAX; tries++) {
        struct pollfd wait = {.fd = commit_event_fd(story->commit), .events = POLLIN};
        struct commit_request *list;

        IN_ENGINE(list = commit_collect(story->commit));
        for (; list != NULL; list = list->next)
            missing--;
        if (missing == 0)
            return true;
        if (tries == STORY_TRIES_FAULTY)
            faults_disarm();
        (void)poll(&wait, 1, story->threads ? 10 : 0);
        IN_ENGINE(commit_tick(story->commit));
    }
    return story_wrong(story, "a request was never answered");
}

/* One batch in a group: alone, or after one that is refused. */
static bool story_try(struct story *story, unsigned version, bool company,
                      enum bts_status *status, struct bts_error *error)
{
    struct batch batches[2];
    struct commit_request requests[2] = {{.next = company ? &requests[1] : NULL},
                                         {.next = NULL}};
    struct commit_request *request = &requests[company ? 1 : 0];
    bool good;

    fault_batch_make_refused(version, &batches[0]);
    fault_batch_make(version, &batches[1]);
    requests[0].batch = batch_bytes(&batches[company ? 0 : 1], &requests[0].size);
    requests[1].batch = batch_bytes(&batches[1], &requests[1].size);
    good = story_take(story, requests, company ? 2 : 1);
    if (good && company && requests[0].status == BTS_OK)
        good = story_wrong(story, "a batch was committed that must be refused");
    *status = request->status;
    *error = request->error;
    for (unsigned i = 0; good && i < (company ? 2u : 1u); i++)
        apply_results_fini(&requests[i].results);
    batch_fini(&batches[0]);
    batch_fini(&batches[1]);
    return good;
}

/* The engine has failed: it acknowledges nothing ever again. */
static bool story_check_dead(struct story *story)
{
    enum bts_status status;
    struct bts_error error;

    story->died = true;
    if (!faults_fired())
        return story_wrong(story, "the engine failed though nothing else did: %.200s",
                           story->commit->failure.text);
    if (!story_try(story, story->begun, false, &status, &error))
        return false;
    if (status == BTS_OK)
        story_wrong(story, "a failed engine acknowledged a commit");
    return false;
}

/* A refusal: allowed for want of room or memory only, and without a trace. */
static bool story_check_refusal(struct story *story, unsigned version, enum bts_status status,
                                const struct bts_error *error)
{
    struct tree_view directory = commit_latest(story->commit);
    unsigned found;
    bool good;

    story->refused++;
    if (!faults_fired())
        return story_wrong(story, "version %u was refused though nothing failed: %.200s", version,
                           error->text);
    if (status != BTS_NO_SPACE && status != BTS_NO_MEMORY)
        return story_wrong(story, "version %u was refused with %s: %.200s", version,
                           bts_status_name(status), error->text);
    story->begun = version - 1;
    good = story_check_content(story, "after a refusal", &directory, &found) &&
           story_check_live(story, "after a refusal") && story_check_readers(story);
    story->begun = version;
    return good;
}

/* Commits a version, once more if it is refused.  False: the engine is dead, or all is wrong. */
static bool story_commit(struct story *story, unsigned version)
{
    bool fired = faults_fired();

    story->begun = version;
    for (unsigned tries = 0; tries < 4; tries++) {
        bool lost = story->lost_counts && faults_lost();
        struct bts_error error;
        enum bts_status status;

        if (!story_try(story, version, version % 4 == 1, &status, &error))
            return false;
        if (status == BTS_OK && lost)
            return story_wrong(story, "version %u was acknowledged by an engine that failed to "
                               "write or sync", version);
        if (status == BTS_OK)
            story->acknowledged = version;
        if (commit_failed(story->commit, NULL) != BTS_OK)
            return story_check_dead(story);
        if (status == BTS_OK)
            return fired == faults_fired() || story_check_readers(story);
        if (!story_check_refusal(story, version, status, &error))
            return false;
        if (tries == 1)
            faults_disarm();
    }
    return story_wrong(story, "version %u is refused though nothing fails any more", version);
}

/* Asks for a checkpoint, with a pin, or one that takes its time.  False: the engine is dead. */
static bool story_checkpoint(struct story *story, bool pin)
{
    struct commit_checkpoint ticket = {.pin = true};
    txnid_t wanted = commit_stat(story->commit).latest;

    IN_ENGINE(commit_checkpoint_request(story->commit, pin ? &ticket : NULL));
    for (unsigned tries = 0; tries < STORY_TRIES_MAX && !ticket.done; tries++) {
        if (!pin)
            ticket.done = commit_checkpoint_txnid(story->commit) >= wanted;
        if (commit_failed(story->commit, NULL) != BTS_OK)
            break;
        if (tries == STORY_TRIES_FAULTY)
            faults_disarm();
        if (story->threads)
            usleep(500);
        IN_ENGINE(commit_tick(story->commit));
    }
    IN_ENGINE(commit_checkpoint_forget(story->commit, &ticket));
    if (commit_failed(story->commit, NULL) != BTS_OK)
        return story_check_dead(story);
    return ticket.done || story_wrong(story, "a checkpoint never came");
}

/* ---- the story ---------------------------------------------------------- */

/* At the first telling: what a version that was just committed holds. */
static bool story_learn(struct story *story, unsigned version)
{
    struct tree_view directory = commit_latest(story->commit);
    unsigned found;

    return fault_batch_read(&directory, &found, &story->digests[version], &story->wrong) ==
               BTS_OK &&
           (found == version || story_wrong(story, "version %u says %u", version, found));
}

static bool story_work(struct story *story, unsigned last)
{
    if (story->learns && story->acknowledged == 0 && !story_learn(story, 0))
        return false;
    for (unsigned version = story->acknowledged + 1; version <= last; version++) {
        if (!story_commit(story, version))
            return false;
        if (story->learns && !story_learn(story, version))
            return false;
        if (version == STORY_PIN_AT && !story_pin(story))
            return false;
        if (version == STORY_UNPIN_AT)
            story_detach(&story->pinned);
        if (version % 9 == 0 && !story_checkpoint(story, version % 2 == 0))
            return false;
        if (version % 10 == 0 && !story_check_readers(story))
            return false;
    }
    return true;
}

/* False: it ended before its time. */
static bool story_play(struct story *story)
{
    if (!story_start(story) || !story_work(story, 24) || !story_stop(story))
        return false;
    if (!story_start(story) || !story_work(story, 44))
        return false;
    story_close(story);
    if (!story_start(story) || !story_work(story, STORY_VERSIONS))
        return false;
    return story_stop(story);
}

/* ---- afterwards --------------------------------------------------------- */

/* What is durable and nothing else: recovers it elsewhere. */
static bool story_power_cut(struct story *story, const char *who)
{
    static struct beacon none;
    struct horizon horizon;
    struct commit *commit = NULL;
    struct bts_error error;
    unsigned version;
    bool good = false;

    faults_power_cut(story->scratch);
    memset(&none, 0, sizeof(none));
    if (horizon_init(&horizon, &error) != BTS_OK)
        abort();
    if (engine_open(story, story->scratch, &file_system_real, &commit, &error) != BTS_OK ||
        commit_recover(commit, &none, &horizon, false, &error) != BTS_OK) {
        story_wrong(story, "%s: %.200s", who, error.text);
    } else {
        struct tree_view directory = commit_latest(commit);
        good = story_check_content(story, who, &directory, &version) &&
               story_check_maps(story, who, commit);
    }
    commit_close(commit);
    horizon_fini(&horizon);
    return good;
}

/* The files as they are: recovers them, goes on, and then the power is cut again. */
static bool story_go_on(struct story *story)
{
    struct tree_view directory;
    unsigned version;

    if (!story_start(story))
        return story_wrong(story, "does not start again");
    directory = commit_latest(story->commit);
    if (!story_check_content(story, "started again", &directory, &version) ||
        !story_check_maps(story, "started again", story->commit))
        return false;
    story->acknowledged = story->begun = version;
    if (!story_check_readers(story))
        return false;
    if (!story_work(story, version + STORY_AFTER - 1))
        return false;
    story_detach(&story->pinned);
    IN_ENGINE(commit_tick(story->commit));
    return story_work(story, version + STORY_AFTER) && story_check_live(story, "at last") &&
           story_power_cut(story, "after a power cut at last");
}

static bool story_afterwards(struct story *story)
{
    faults_disarm();
    story->lost_counts = false;
    if (!story_check_readers(story))
        return false;
    if (story->commit != NULL)
        story_close(story);
    return story_check_readers(story) && story_power_cut(story, "after a power cut") &&
           story_go_on(story);
}

/* ---- a telling ---------------------------------------------------------- */

static int story_count_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < STORY_FDS_MAX; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void story_remove_files(const char *directory)
{
    char path[150];

    snprintf(path, sizeof(path), "%s/%s", directory, FAULTS_STORE);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%s", directory, FAULTS_PENDING);
    unlink(path);
}

static void story_begin(struct story *story)
{
    size_t id;

    story_remove_files(story->directory);
    memset(story->beacon, 0, sizeof(*story->beacon));
    memset(story->slots, 0, sizeof(*story->slots));
    atomic_store(&story->slots->used, 2);
    story->system = faults_init(story->threads);
    if (horizon_init(&story->horizon, NULL) != BTS_OK ||
        horizon_add(&story->horizon, story->slots, &id, NULL) != BTS_OK)
        abort();
    story->acknowledged = story->begun = story->refused = 0;
    story->died = story->is_wrong = false;
    story->lost_counts = true;
}

static void story_end(struct story *story)
{
    story_detach(&story->pinned);
    if (story->commit != NULL)
        story_close(story);
    horizon_fini(&story->horizon);
    faults_fini();
}

/* What is interrupted or done in part is gone on with; a close that fails is a close. */
static bool story_must_not_notice(const struct fault_plan *plan)
{
    return plan->error == FAULTS_SHORT || plan->function == FAULTS_CLOSE ||
           (plan->error == EINTR && !plan->stays &&
            (plan->function == FAULTS_PREAD || plan->function == FAULTS_PWRITEV ||
             plan->function == FAULTS_FALLOCATE));
}

bool story_tell(struct story *story, const struct fault_plan *plan)
{
    int fds = story_count_fds();
    long live = faults_live();

    story_begin(story);
    faults_arm(plan);
    (void)story_play(story);
    if (!story->is_wrong && story->died && plan != NULL && story_must_not_notice(plan))
        story_wrong(story, "the engine ended for something that is to be gone on with");
    if (!story->is_wrong && story->refused > 0 && story_must_not_notice(plan))
        story_wrong(story, "a commit was refused for something that is to be gone on with");
    if (!story->is_wrong)
        (void)story_afterwards(story);
    faults_disarm();
    story_end(story);
    if (!story->is_wrong && story_count_fds() != fds)
        story_wrong(story, "%d descriptors are open, %d were", story_count_fds(), fds);
    if (!story->is_wrong && faults_live() != live)
        story_wrong(story, "%ld allocations more than before", faults_live() - live);
    return !story->is_wrong;
}

bool story_init(struct story *story, bool threads)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    bool good;

    memset(story, 0, sizeof(*story));
    story->threads = threads;
    snprintf(story->directory, sizeof(story->directory), "%s/faults.XXXXXX", base);
    snprintf(story->scratch, sizeof(story->scratch), "%s/faults_scratch.XXXXXX", base);
    story->beacon = aligned_alloc(4096, sizeof(*story->beacon));
    story->slots = aligned_alloc(4096, sizeof(*story->slots));
    if (mkdtemp(story->directory) == NULL || mkdtemp(story->scratch) == NULL ||
        story->beacon == NULL || story->slots == NULL)
        abort();
    story->learns = true;
    good = story_tell(story, NULL);
    story->learns = false;
    return good;
}

void story_fini(struct story *story)
{
    story_remove_files(story->directory);
    story_remove_files(story->scratch);
    rmdir(story->directory);
    rmdir(story->scratch);
    free(story->beacon);
    free(story->slots);
}
