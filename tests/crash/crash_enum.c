/* SPDX-License-Identifier: MIT */
/*
 * crash_enum: every state that a power cut can leave recovers to what was
 * acknowledged.
 *
 * A story is one life of a store over a recorder: it is created, commits
 * follow in groups, checkpoints, batches too large for the log, a bucket comes
 * and goes, the log wraps, a clean stop cuts the file, a kill, and starts.
 * Before each sync images are made of what the disk may hold then (cuts.h),
 * and each is recovered in this process.  It must
 *   - open,
 *   - hold a version from the last acknowledged one to the last begun one,
 *   - hold exactly that version's entries,
 *   - have every page reached accounted for, live and in the map, page for page,
 *   - be the same when it is recovered once more.
 *
 * Of some images the recovery is recorded in its turn, and cut short itself.
 * In further tellings of a story one sync fails: what it should have kept is
 * lost, though the processes go on seeing it.
 *
 * A story follows from its seed, but for those whose engine has threads (they
 * are told with the seed, too, but the order of their syncs is the machine's).
 *
 *   crash_enum [--images N] [--seed FIRST] [--stories N] [--workers N] [--first]
 *
 * tells stories until N distinct images were recovered (BTS_CRASH_IMAGES, else
 * half a million), or N stories told; with --first, until the first bad image.
 */
#include "calls.h"
#include "cuts.h"
#include "versions.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

#define WORKERS_MAX 16u

/* What one worker has found. */
struct findings {
    struct cut_counts story;
    struct cut_counts nested;
    struct cut_counts failed;      /* after a sync that failed */
    uint64_t stories;
    uint64_t at_work;              /* seed of the story that is told; 0: none */
};

/* Shared by the workers. */
struct board {
    _Atomic uint64_t next_seed;
    _Atomic uint64_t distinct;
    struct findings findings[WORKERS_MAX];
};

struct options {
    uint64_t images;
    uint64_t seed;
    uint64_t stories;
    unsigned workers;
    unsigned samples;              /* of each kind, when there are many operations */
    unsigned torn;                 /* ways to tear one write */
    unsigned nested_each;
    unsigned length;               /* commits of a story */
    unsigned failures;             /* tellings with a failed sync */
    bool first;                    /* the first bad image is enough */
};

/* ---- a story ------------------------------------------------------------ */

struct story {
    uint64_t seed;
    unsigned length;               /* commits of three lives alike */
    unsigned more;                 /* and of the last: all segments of the log are used again */
    unsigned most;                 /* requests at once */
    unsigned checkpoint_each;
    size_t page_size;
    bool threads;
    bool direct;                   /* most batches bypass the log */
};

static struct story story_of(uint64_t seed, const struct options *options)
{
    uint64_t drawn = disk_mix(seed);
    bool wraps = seed % 4 == 1;

    return (struct story){.seed = seed,
                          .length = options->length + (unsigned)(drawn % 12),
                          .more = wraps ? options->length : 0,
                          .most = wraps ? 1 : 1 + (unsigned)(drawn >> 8) % 4,
                          .checkpoint_each = 5 + (unsigned)(drawn >> 16) % 12,
                          .page_size = seed % 6 == 5 ? 16384 : 4096,
                          .threads = seed % 3 == 2,
                          .direct = seed % 5 == 3};
}

/* Starts, commits up to version `last`. */
static bool live(struct run *run, const struct file_system *system, const struct story *story,
                 struct oracle *oracle, unsigned last)
{
    struct bts_error error;

    return run_start(run, system, &error) == BTS_OK &&
           run_work(run, oracle, last, story->most, story->checkpoint_each);
}

static bool stop(struct run *run)
{
    struct bts_error error;
    bool stopped = commit_stop(run->commit, &error) == BTS_OK;

    run_kill(run);
    return stopped;
}

/* All of it: a life that ends cleanly, one that is killed, one that ends cleanly. */
static bool tell_lives(struct run *run, const struct file_system *system,
                       const struct story *story, struct oracle *oracle)
{
    unsigned third = story->length / 3;

    if (!live(run, system, story, oracle, third) || !stop(run) ||
        !live(run, system, story, oracle, 2 * third))
        return false;
    run_kill(run);
    return live(run, system, story, oracle, story->length + story->more) && stop(run);
}

/* The daemon ended, as it should; the next one sees what the disk may not have. */
static void go_on_after_failure(struct run *run, const struct file_system *system,
                                const struct story *story, struct oracle *oracle)
{
    struct bts_error error;
    unsigned version;
    uint64_t digest;

    run_kill(run);
    run_power_cut(run);
    if (run_start(run, system, &error) != BTS_OK ||
        run_read(run, &version, &digest, &error) != BTS_OK)
        return;
    oracle->acknowledged = oracle->begun = version;
    (void)run_work(run, oracle, version + 6, story->most, 4);
    run_kill(run);
}

/*
 * Tells the story over a recorder with these cuts; how many syncs it had.
 * `fail_sync`: that one fails, 0: none.
 */
static unsigned long tell(const char *folder, const struct story *story, struct cuts *cuts,
                          struct oracle *oracle, unsigned long fail_sync)
{
    struct recorder recorder;
    struct run run;
    unsigned long syncs;
    char path[300];
    bool good;

    oracle->acknowledged = oracle->begun = 0;
    cuts->from_sync = fail_sync;
    run_init(&run, folder);
    run.page_size = story->page_size;
    run.threads = story->threads;
    run.direct = story->direct;
    recorder_init(&recorder, &file_system_real, NULL);
    recorder.at_sync = cuts_at_sync;
    recorder.context = cuts;
    recorder.fail_sync = fail_sync;
    good = tell_lives(&run, &recorder.system, story, oracle);
    if (!good && fail_sync != 0)
        go_on_after_failure(&run, &recorder.system, story, oracle);
    run_fini(&run);
    cuts->counts->direct_groups += run.direct_groups;
    syncs = recorder.syncs;
    cuts_forget(cuts);
    recorder_fini(&recorder);
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        snprintf(path, sizeof(path), "%s/%s", folder, disk_names[name]);
        unlink(path);
    }
    if (!good && fail_sync == 0) { /* nothing was cut yet, and it does not even live */
        cuts->counts->verdicts[RUN_REFUSED]++;
        err_set(&cuts->counts->first, BTS_IO, "%s fails without any cut", cuts->story);
    }
    return syncs;
}

static uint64_t bad_of(const struct findings *findings)
{
    return cut_counts_bad(&findings->story) + cut_counts_bad(&findings->nested) +
           cut_counts_bad(&findings->failed);
}

static void tell_with_failures(const char *folder, const struct story *story,
                               struct oracle *oracle, struct findings *findings,
                               unsigned long syncs, const struct options *options)
{
    char name[80];
    struct cuts cuts;

    for (unsigned i = 0; i < options->failures; i++) {
        unsigned long sync = 1 + disk_mix(story->seed * 31 + i) % syncs;
        cuts_init(&cuts, 0, oracle, &findings->failed, 2, options->torn / 4, story->seed + i);
        snprintf(name, sizeof(name), "story %" PRIu64 ", sync %lu failed", story->seed, sync);
        cuts.story = name;
        (void)tell(folder, story, &cuts, oracle, sync);
        cuts_fini(&cuts);
    }
}

/* A story with all its cuts. */
static void tell_story(const char *folder, uint64_t seed, const struct options *options,
                       struct findings *findings)
{
    struct story story = story_of(seed, options);
    static struct oracle oracle;
    static struct cuts cuts;
    static struct cuts nested;
    char name[80];
    unsigned long syncs;

    version_seed = seed;
    version_digests(oracle.digests, VERSIONS_MAX);
    snprintf(name, sizeof(name), "story %" PRIu64, seed);
    cuts_init(&cuts, 0, &oracle, &findings->story, options->samples, options->torn, seed);
    cuts_init(&nested, 1, &oracle, &findings->nested, 2, options->torn / 4, seed);
    cuts.story = nested.story = name;
    cuts.nested = &nested;
    cuts.first = nested.first = options->first;
    cuts.nested_each = options->nested_each;
    cuts.run.page_size = nested.run.page_size = story.page_size;
    calls_keep_maps(true);
    syncs = tell(folder, &story, &cuts, &oracle, 0);
    cuts_fini(&nested);
    cuts_fini(&cuts);
    if (!options->first || bad_of(findings) == 0)
        tell_with_failures(folder, &story, &oracle, findings, syncs, options);
    calls_keep_maps(false);
    findings->stories++;
}

/* ---- workers ------------------------------------------------------------ */

static uint64_t sum(const uint64_t *counts, unsigned count)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < count; i++)
        all += counts[i];
    return all;
}

static uint64_t distinct_of(const struct findings *findings)
{
    return sum(findings->story.distinct, CUT_KINDS) + sum(findings->nested.distinct, CUT_KINDS) +
           sum(findings->failed.distinct, CUT_KINDS);
}

/* On one processor: what maps come and go then need not be told to the others. */
static void stay_on(unsigned processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

static void work(const char *folder, const struct options *options, struct board *board,
                 struct findings *findings)
{
    /* The same few blocks again and again: not from and back to the system each time. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    scratch_make_pool();
    mkdir(folder, 0700);
    while (atomic_load(&board->distinct) < options->images) {
        uint64_t seed = atomic_fetch_add(&board->next_seed, 1);
        uint64_t before = distinct_of(findings);
        if (seed - options->seed >= options->stories || (options->first && bad_of(findings) > 0))
            break;
        findings->at_work = seed;
        tell_story(folder, seed, options, findings);
        findings->at_work = 0;
        atomic_fetch_add(&board->distinct, distinct_of(findings) - before);
    }
    rmdir(folder);
}

static void minute_is_over(int signal)
{
    (void)signal; /* it interrupts the wait, that is all */
}

static void interrupt_each_minute(void)
{
    const struct sigaction action = {.sa_handler = minute_is_over};
    const struct itimerval minute = {{60, 0}, {60, 0}};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &minute, NULL);
}

/* Waits for a worker, and tells each minute how far all are. */
static int wait_for(pid_t child, const struct options *options, const struct board *board)
{
    int status;

    while (waitpid(child, &status, 0) != child) {
        if (errno != EINTR)
            abort();
        fprintf(stderr, "# so far %" PRIu64 " of %" PRIu64 " images; next story: %" PRIu64 "\n",
                atomic_load(&board->distinct), options->images, atomic_load(&board->next_seed));
    }
    return status;
}

/* Runs the workers as processes: an assertion ends one, and is a finding. */
static unsigned run_workers(const char *base, const struct options *options, struct board *board)
{
    pid_t children[WORKERS_MAX];
    unsigned died = 0;

    for (unsigned i = 0; i < options->workers; i++) {
        stay_on(i);
        children[i] = fork();
        if (children[i] < 0)
            abort();
        if (children[i] == 0) {
            char folder[200];
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            snprintf(folder, sizeof(folder), "%s/worker%u", base, i);
            work(folder, options, board, &board->findings[i]);
            _exit(0);
        }
    }
    interrupt_each_minute();
    for (unsigned i = 0; i < options->workers; i++) {
        int status = wait_for(children[i], options, board);
        if (status == 0)
            continue;
        printf("died in story %" PRIu64 " (status %x): crash_enum --seed %" PRIu64
               " --stories 1 --workers 1 shows it again\n",
               board->findings[i].at_work, (unsigned)status, board->findings[i].at_work);
        died++;
    }
    return died;
}

/* ---- the report --------------------------------------------------------- */

static void add_counts(struct cut_counts *to, const struct cut_counts *from)
{
    to->built += from->built;
    to->direct_groups += from->direct_groups;
    for (unsigned i = 0; i < CUT_KINDS; i++) {
        to->images[i] += from->images[i];
        to->distinct[i] += from->distinct[i];
    }
    for (unsigned i = 0; i < RUN_VERDICTS; i++)
        to->verdicts[i] += from->verdicts[i];
    if (to->first.text[0] == '\0')
        to->first = from->first;
}

static void report_counts(const char *what, const struct cut_counts *counts)
{
    printf("# %s: %" PRIu64 " images built, %" PRIu64 " recovered, %" PRIu64 " distinct:", what,
           counts->built, sum(counts->images, CUT_KINDS), sum(counts->distinct, CUT_KINDS));
    for (unsigned i = 0; i < CUT_KINDS; i++)
        printf(" %s %" PRIu64, cut_names[i], counts->distinct[i]);
    printf("\n");
    if (counts->first.text[0] != '\0')
        printf("%s: the first bad one: %s\n", what, counts->first.text);
}

/* The verdict over all; the last line is it. */
static int report(const struct board *board, const struct options *options, unsigned died)
{
    struct findings all;
    struct cut_counts total;
    uint64_t lost;
    uint64_t holes;
    uint64_t leaked;

    memset(&all, 0, sizeof(all));
    memset(&total, 0, sizeof(total));
    for (unsigned i = 0; i < options->workers; i++) {
        add_counts(&all.story, &board->findings[i].story);
        add_counts(&all.nested, &board->findings[i].nested);
        add_counts(&all.failed, &board->findings[i].failed);
        all.stories += board->findings[i].stories;
    }
    report_counts("power cut at each sync", &all.story);
    report_counts("nested, cut again in recovery", &all.nested);
    report_counts("after a sync that failed", &all.failed);
    add_counts(&total, &all.story);
    add_counts(&total, &all.nested);
    add_counts(&total, &all.failed);
    lost = total.verdicts[RUN_REFUSED] + total.verdicts[RUN_LOST] + died;
    holes = total.verdicts[RUN_HOLES] + total.verdicts[RUN_RESTLESS];
    leaked = total.verdicts[RUN_LEAKED];
    printf("# %" PRIu64 " stories, seeds from %" PRIu64 "; %" PRIu64
           " groups committed without the log\n", all.stories, options->seed, total.direct_groups);
    printf("%" PRIu64 " distinct crash images, %" PRIu64 " lost, %" PRIu64 " holes, %" PRIu64
           " leaked\n",
           sum(total.distinct, CUT_KINDS), lost, holes, leaked);
    return lost + holes + leaked > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- main --------------------------------------------------------------- */

static struct options parse(int argc, char **argv)
{
    static const struct option names[] = {{"images", required_argument, NULL, 'i'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"stories", required_argument, NULL, 'n'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"first", no_argument, NULL, 'f'},
                                          {NULL, 0, NULL, 0}};
    const char *sanitizer = getenv("BTS_SANITIZER");
    const char *images = getenv("BTS_CRASH_IMAGES");
    bool slow = sanitizer != NULL && sanitizer[0] == '1';
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct options options = {.images = slow ? 4000 : 500000,
                              .seed = 1,
                              .stories = UINT64_MAX,
                              .workers = processors > 0 ? (unsigned)processors : 1,
                              .samples = 6,
                              .torn = 64,
                              .nested_each = 40,
                              .length = 45,
                              .failures = 6};
    int option;

    if (images != NULL)
        options.images = strtoull(images, NULL, 10);
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'i': options.images = strtoull(optarg, NULL, 10); break;
        case 's': options.seed = strtoull(optarg, NULL, 10); break;
        case 'n': options.stories = strtoull(optarg, NULL, 10); break;
        case 'w': options.workers = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'f': options.first = true; break;
        default: exit(2);
        }
    }
    if (options.workers > WORKERS_MAX)
        options.workers = WORKERS_MAX;
    return options;
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    char base[] = "/dev/shm/crash_enum.XXXXXX";
    struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned died;
    int result;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (board == MAP_FAILED || mkdtemp(base) == NULL) {
        perror(base);
        return EXIT_FAILURE;
    }
    board->next_seed = options.seed;
    died = run_workers(base, &options, board);
    result = report(board, &options, died);
    rmdir(base);
    return result;
}
