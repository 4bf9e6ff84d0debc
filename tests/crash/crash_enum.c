/* SPDX-License-Identifier: MIT */
/*
 * crash_enum: every state that a power cut can leave recovers to what was
 * acknowledged.
 *
 * One run of the engine over a recorder: a store is created, commits follow,
 * checkpoints, batches too large for the log, a clean stop, a kill, and starts.
 * Before each sync every operation since the last one is in doubt, and images
 * are made of what the disk may hold then:
 *
 *   nothing of it, all of it, every subset of a few operations; of many, the
 *   prefixes, all but one, one alone, and some at random; a write torn at 512
 *   bytes; a size that changed alone
 *
 * Each image is recovered in this process, and must
 *   - open,
 *   - hold a version from the last acknowledged one to the last begun one,
 *   - hold exactly that version's entries,
 *   - have every page reached accounted for, live and in the map, page for page.
 *
 * Of some images the recovery is recorded in its turn, and cut short itself.
 * In further runs one sync fails: what it should have kept is lost, though the
 * processes go on seeing it.  At last, so that it is known to find anything at
 * all, syncs are left out, and bad images must come of it.
 *
 *   crash_enum [COMMITS [SEED]]
 */
#include "crash_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

#define SUBSETS_WHOLE 6u      /* so many operations: all subsets */
#define SAMPLES 12u           /* of each kind, else */
#define SEEN_MAX (1u << 18)   /* images told apart */

/* ---- all images --------------------------------------------------------- */

struct enumeration {
    struct oracle oracle;
    struct run scratch;          /* where images are recovered */
    struct enumeration *nested;  /* cuts the recoveries of some of them; NULL: none */
    unsigned long nested_each;
    unsigned samples;
    uint64_t random;
    uint64_t *seen;              /* a hash set */
    unsigned long images;
    unsigned long bad;
    struct bts_error first;      /* what was wrong with the first bad one */
};

static uint64_t draw(struct enumeration *all, uint64_t below)
{
    all->random = run_mix(all->random + 0x9e3779b97f4a7c15ull);
    return below > 0 ? all->random % below : 0;
}

static bool is_new(struct enumeration *all, uint64_t hash)
{
    uint64_t place = hash % SEEN_MAX;

    hash = hash != 0 ? hash : 1;
    for (unsigned tries = 0; tries < 1000; tries++, place = (place + 1) % SEEN_MAX) {
        if (all->seen[place] == hash)
            return false;
        if (all->seen[place] == 0) {
            all->seen[place] = hash;
            return true;
        }
    }
    return true;
}

static void at_sync(void *context, struct recorder *recorder);

/* Recovers an image, and the power goes again at each sync of that recovery. */
static void check_nested(struct enumeration *all)
{
    struct enumeration *nested = all->nested;
    struct recorder recorder;
    struct run run;
    struct bts_error error;

    run_init(&run, all->scratch.directory);
    recorder_init(&recorder, run.directory);
    recorder.at_sync = at_sync;
    recorder.context = nested;
    nested->oracle = all->oracle;
    (void)!run_start(&run, &recorder.system, &error); /* its own outcome was looked at before */
    run_fini(&run);
    recorder_fini(&recorder);
}

static void check_image(struct enumeration *all, const struct recorder_image *image,
                        const char *what, size_t which, size_t count)
{
    struct bts_error error;
    enum bts_status status;

    if (!is_new(all, recorder_image_hash(image)))
        return;
    all->images++;
    if (all->nested != NULL && all->images % all->nested_each == 0) {
        recorder_image_save(image, all->scratch.directory);
        check_nested(all);
    }
    recorder_image_save(image, all->scratch.directory);
    status = run_check(&all->scratch, &all->oracle, &error);
    run_kill(&all->scratch);
    if (status == BTS_OK)
        return;
    if (all->bad++ == 0)
        err_set(&all->first, status, "%s %zu of %zu in doubt: %.300s", what, which, count,
                error.text);
}

/* An image with the operations for which `keep` says so; `torn` only in part. */
static void build(struct enumeration *all, const struct recorder *recorder, const uint8_t *keep,
                  size_t torn, const char *what, size_t which)
{
    struct recorder_image image;

    recorder_image_copy(&image, &recorder->durable);
    for (size_t i = 0; i < recorder->pending_count; i++) {
        const struct recorder_op *op = &recorder->pending[i];
        if (i == torn && op->type == RECORDER_WRITE) {
            for (uint64_t at = 0; at < op->size; at += 512) {
                if (draw(all, 2) == 0)
                    recorder_image_apply_part(&image, op, at, at + 512);
            }
        } else if (keep[i]) {
            recorder_image_apply(&image, op);
        }
    }
    check_image(all, &image, what, which, recorder->pending_count);
    recorder_image_fini(&image);
}

/* The `i`th of `samples` places in [0, count), the last ones always among them. */
static size_t sample_place(size_t i, size_t samples, size_t count)
{
    return count <= samples ? i : count - 1 - i * count / samples;
}

static void build_subsets(struct enumeration *all, const struct recorder *recorder, uint8_t *keep)
{
    size_t count = recorder->pending_count;

    for (size_t mask = 0; mask < (size_t)1 << count; mask++) {
        for (size_t i = 0; i < count; i++)
            keep[i] = (uint8_t)((mask >> i) & 1);
        build(all, recorder, keep, SIZE_MAX, "subset", mask);
    }
}

static void build_samples(struct enumeration *all, const struct recorder *recorder, uint8_t *keep)
{
    size_t count = recorder->pending_count;
    size_t samples = count < all->samples ? count : all->samples;

    for (size_t i = 0; i < samples; i++) {
        size_t place = sample_place(i, samples, count);
        memset(keep, 0, count);
        memset(keep, 1, place);
        build(all, recorder, keep, SIZE_MAX, "the first", place);
        memset(keep, 1, count);
        keep[place] = 0;
        build(all, recorder, keep, SIZE_MAX, "all without", place);
        memset(keep, 0, count);
        keep[place] = 1;
        build(all, recorder, keep, SIZE_MAX, "only", place);
        for (size_t k = 0; k < count; k++)
            keep[k] = (uint8_t)draw(all, 2);
        build(all, recorder, keep, SIZE_MAX, "random", i);
    }
}

/* All that a power cut before this sync can leave, or a good part of it. */
static void at_sync(void *context, struct recorder *recorder)
{
    struct enumeration *all = context;
    size_t count = recorder->pending_count;
    uint8_t *keep = calloc(1, count + 1);
    size_t samples = count < all->samples ? count : all->samples;

    if (recorder->syncs < recorder->fail_sync) { /* the story up to there was cut before */
        free(keep);
        return;
    }
    build(all, recorder, keep, SIZE_MAX, "none", 0);
    memset(keep, 1, count);
    build(all, recorder, keep, SIZE_MAX, "all", 0);
    if (count <= SUBSETS_WHOLE)
        build_subsets(all, recorder, keep);
    else
        build_samples(all, recorder, keep);
    memset(keep, 1, count);
    for (size_t i = 0; i < samples; i++)
        build(all, recorder, keep, sample_place(i, samples, count), "torn", i);
    free(keep);
}

static void enumeration_init(struct enumeration *all, const char *directory, unsigned samples)
{
    memset(all, 0, sizeof(*all));
    run_init(&all->scratch, directory);
    all->samples = samples;
    all->random = run_mix(88172645463325252ull + run_seed);
    all->seen = calloc(SEEN_MAX, sizeof(*all->seen));
    if (all->seen == NULL)
        abort();
}

static void enumeration_fini(struct enumeration *all)
{
    run_fini(&all->scratch);
    free(all->seen);
}

/* ---- the run that is cut ------------------------------------------------ */

/* Commits up to version `last`, with a checkpoint now and then; false: the engine failed. */
static bool work(struct run *run, struct oracle *oracle, unsigned last, unsigned checkpoint_each)
{
    struct bts_error error;
    unsigned version;

    while (oracle->acknowledged < last) {
        unsigned next = oracle->acknowledged + 1;
        oracle->begun = next;
        if (run_commit(run, next, &error) != BTS_OK)
            return false;
        oracle->acknowledged = next;
        if (run_read(run, &version, &oracle->digests[next], &error) != BTS_OK || version != next)
            abort();
        if (next % checkpoint_each == 0)
            commit_checkpoint_request(run->commit, NULL);
        if (commit_failed(run->commit, NULL) != BTS_OK)
            return false;
    }
    return true;
}

/*
 * The whole story; begun versions must have their digest before an image can
 * hold them, so the same story is told twice: once without cuts.
 */
static bool story(struct run *run, const struct file_system *system, struct oracle *oracle,
                  unsigned length, struct bts_error *error)
{
    unsigned third = length / 3;

    if (run_start(run, system, error) != BTS_OK || !work(run, oracle, third, 9))
        return false;
    if (commit_stop(run->commit, error) != BTS_OK)
        return false;
    run_kill(run);
    if (run_start(run, system, error) != BTS_OK || !work(run, oracle, 2 * third, 14))
        return false;
    run_kill(run);
    return run_start(run, system, error) == BTS_OK && work(run, oracle, length, 7);
}

static void remove_files(const char *directory)
{
    struct recorder_image empty;

    recorder_image_init(&empty);
    recorder_image_save(&empty, directory);
}

/* Tells the story once, to learn what each version holds. */
static void learn(const char *directory, struct oracle *oracle, unsigned length)
{
    struct run run;
    struct bts_error error = {.text = ""};

    memset(oracle, 0, sizeof(*oracle));
    remove_files(directory);
    run_init(&run, directory);
    oracle->digests[0] = RUN_EMPTY_DIGEST;
    if (!story(&run, &file_system_real, oracle, length, &error)) {
        fprintf(stderr, "the story fails without any cut: %s\n", error.text);
        exit(1);
    }
    run_fini(&run);
    oracle->acknowledged = oracle->begun = 0;
}

/* Tells the story over a recorder; each sync makes images. */
static void tell(const char *directory, struct enumeration *all, unsigned length,
                 unsigned long fail_sync, unsigned long skip_sync)
{
    struct recorder recorder;
    struct run run;
    struct bts_error error;

    remove_files(directory);
    run_init(&run, directory);
    recorder_init(&recorder, directory);
    recorder.at_sync = at_sync;
    recorder.context = all;
    recorder.fail_sync = fail_sync;
    recorder.skip_sync = skip_sync;
    if (!story(&run, &recorder.system, &all->oracle, length, &error) && fail_sync != 0) {
        /* the daemon ended, as it should; the next one sees what the disk may not have */
        run_kill(&run);
        memset(run.beacon, 0, sizeof(*run.beacon));
        if (run_start(&run, &recorder.system, &error) == BTS_OK) {
            unsigned version;
            uint64_t digest;
            if (run_read(&run, &version, &digest, &error) == BTS_OK)
                all->oracle.acknowledged = all->oracle.begun = version;
            (void)work(&run, &all->oracle, version + 6, 4);
        }
    }
    run_fini(&run);
    recorder_fini(&recorder);
}

/* ---- main --------------------------------------------------------------- */

static int report(const char *what, const struct enumeration *all)
{
    printf("# %s: %lu images, %lu bad\n", what, all->images, all->bad);
    if (all->bad > 0)
        printf("%s: the first: %s\n", what, all->first.text);
    return all->bad > 0;
}

static int check_story(const char *work_directory, const char *scratch, unsigned length,
                       unsigned samples)
{
    static struct enumeration all;
    static struct enumeration nested;
    char deeper[220];
    int failed;

    snprintf(deeper, sizeof(deeper), "%s/deeper", scratch);
    mkdir(deeper, 0700);
    enumeration_init(&all, scratch, samples);
    enumeration_init(&nested, deeper, 2);
    all.nested = &nested;
    all.nested_each = 40;
    learn(work_directory, &all.oracle, length);
    tell(work_directory, &all, length, 0, 0);
    failed = report("power cut at each sync", &all) | report("and in recovery again", &nested);
    remove_files(deeper);
    rmdir(deeper);
    enumeration_fini(&nested);
    enumeration_fini(&all);
    return failed;
}

static int check_failed_syncs(const char *work_directory, const char *scratch, unsigned length,
                              unsigned long step)
{
    static struct enumeration all;
    struct oracle oracle;
    int failed;

    enumeration_init(&all, scratch, 1);
    learn(work_directory, &oracle, VERSIONS_MAX - 10);
    for (unsigned long n = 1; n < 3 * length; n += step) {
        all.oracle = oracle;
        tell(work_directory, &all, length, n, 0);
    }
    failed = report("after a sync that failed", &all);
    enumeration_fini(&all);
    return failed;
}

/* Leaves syncs out: bad images must be found (or the process dies of them). */
static int check_power(const char *work_directory, const char *scratch, unsigned length)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        static struct enumeration all;
        enumeration_init(&all, scratch, 4);
        learn(work_directory, &all.oracle, length);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(0);
        tell(work_directory, &all, length, 0, 5);
        _exit(all.bad > 0 ? 1 : 0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    printf("# with every fifth sync left out: %s\n", status != 0 ? "found" : "not found");
    return status == 0;
}

int main(int argc, char **argv)
{
    const char *sanitizer = getenv("BTS_SANITIZER");
    bool slow = sanitizer != NULL && sanitizer[0] == '1';
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    unsigned length = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : slow ? 24 : 75;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char work_directory[100];
    char scratch[100];
    int failed = 0;

    snprintf(work_directory, sizeof(work_directory), "%s/crash_enum.XXXXXX", base);
    snprintf(scratch, sizeof(scratch), "%s/crash_scratch.XXXXXX", base);
    run_seed = seed;
    if (mkdtemp(work_directory) == NULL || mkdtemp(scratch) == NULL)
        abort();
    failed += check_story(work_directory, scratch, length, slow ? 4 : SAMPLES);
    failed += check_failed_syncs(work_directory, scratch, 30, slow ? 13 : 1);
    failed += check_power(work_directory, scratch, 24);
    remove_files(work_directory);
    remove_files(scratch);
    rmdir(work_directory);
    rmdir(scratch);
    return failed != 0;
}
