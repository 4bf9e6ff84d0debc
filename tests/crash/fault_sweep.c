/* SPDX-License-Identifier: MIT */
/*
 * fault_sweep: whatever fails, nothing acknowledged is lost and no reader
 * notices.
 *
 * The story (fault_story.h) is told once without faults.  Every call that the
 * engine makes of the storage seam and of malloc is noted then, with its call
 * site.  After that it is told again and again, each time with one fault: of
 * each call site the first, a middle and the last call (with --all, or
 * BTS_FAULTS_ALL in the environment: every call; under a sanitizer: the first),
 * by every error that makes sense for the function, once and from then
 * on.  And with the engine's threads, where the n-th call is not always the
 * same one, for some calls of each function.
 *
 *   fault_sweep [--all] [--first] [FUNCTION]...
 *
 * FUNCTION is open close pread pwritev fallocate truncate sync sync_range unlink
 * sync_directory or malloc; with --first the first one that goes wrong ends it.
 */
#include "fault_story.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHOWN_MAX 10u

/* What each function is made to fail with; 0 ends. */
static const int errors_of[FAULTS_FUNCTIONS][6] = {
    [FAULTS_OPEN] = {EIO, EMFILE, ENOSPC, ENOMEM, EINTR},
    [FAULTS_CLOSE] = {EIO, EINTR},
    [FAULTS_PREAD] = {EIO, EINTR, FAULTS_SHORT},
    [FAULTS_PWRITEV] = {EIO, ENOSPC, EINTR, FAULTS_SHORT},
    [FAULTS_FALLOCATE] = {EIO, ENOSPC, EINTR, FAULTS_FULL_DISK},
    [FAULTS_TRUNCATE] = {EIO, ENOSPC, EINTR},
    [FAULTS_SYNC] = {EIO, ENOSPC, EINTR},
    [FAULTS_SYNC_RANGE] = {EIO, ENOSPC, EINTR},
    [FAULTS_UNLINK] = {EIO, EINTR},
    [FAULTS_SYNC_DIRECTORY] = {EIO, EMFILE, EINTR},
    [FAULTS_MALLOC] = {ENOMEM},
};

struct tally {
    unsigned long once;
    unsigned long stays;
    unsigned long ended;   /* the engine, or a start or stop of it */
    unsigned long refused; /* only some commit was */
    unsigned long unfired; /* threads: the call never came */
    unsigned long wrong;
};

static struct {
    struct story story;
    struct fault_plan plan;
    bool all;
    bool slow;             /* under a sanitizer */
    bool asked[FAULTS_FUNCTIONS];
    bool first; /* the first wrong one is enough */
    unsigned shown;
} sweep;

/* An assertion that fails, or a crash, is told with the fault that led to it. */
static void sweep_on_signal(int number)
{
    static const char text[] = "\nkilled by a signal while there was: ";
    const char *plan = faults_describe(&sweep.plan);

    (void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
    (void)!write(STDOUT_FILENO, plan, strlen(plan));
    (void)!write(STDOUT_FILENO, "\n", 1);
    signal(number, SIG_DFL);
    raise(number);
}

static void sweep_one(enum fault_function function, unsigned long call, int error, bool stays,
                      struct tally *tally)
{
    struct story *story = &sweep.story;
    bool good;

    if (sweep.first && sweep.shown > 0)
        return;
    sweep.plan = (struct fault_plan){
        .function = function, .call = call, .error = error, .stays = stays};
    good = story_tell(story, &sweep.plan);
    if (good && !story->threads && !(faults_fired() && faults_same_site())) {
        good = false;
        snprintf(story->wrong.text, sizeof(story->wrong.text),
                 "the story is not the same each time");
    }
    if (faults_fired())
        (*(stays ? &tally->stays : &tally->once))++;
    else
        tally->unfired++;
    tally->ended += story->died;
    tally->refused += story->refused > 0 && !story->died;
    tally->wrong += !good;
    if (!good && sweep.shown++ < SHOWN_MAX)
        printf("%s%s: %s\n", faults_describe(&sweep.plan), story->threads ? ", with threads" : "",
               story->wrong.text);
}

static void sweep_call(enum fault_function function, unsigned long call, struct tally *tally)
{
    for (const int *error = errors_of[function]; *error != 0; error++) {
        /* A sanitizer is there for the ways out: each once, and by turns. */
        bool turn = (call + (unsigned long)(error - errors_of[function])) % 2 == 0;
        bool once = *error != FAULTS_FULL_DISK && (!sweep.slow || turn);
        if (once)
            sweep_one(function, call, *error, false, tally);
        if (!once || !sweep.slow)
            sweep_one(function, call, *error, true, tally);
    }
}

/* Whether a call is the first, the middle or the last one of its site. */
static bool sweep_chooses(enum fault_function function, unsigned long call)
{
    unsigned site = faults_site(function, call);
    unsigned long before = 0;
    unsigned long after = 0;

    for (unsigned long other = 1; other <= faults_calls(function); other++) {
        if (faults_site(function, other) == site)
            (*(other < call ? &before : &after))++;
    }
    return before == 0 || (!sweep.slow && (after == 1 || before == (before + after) / 2));
}

static void sweep_tell(const char *what, const struct tally *tally)
{
    printf("# %s: %lu faults injected (%lu once, %lu from then on): %lu ended the engine, %lu "
           "refused a commit; %lu wrong\n",
           what, tally->once + tally->stays, tally->once, tally->stays, tally->ended,
           tally->refused, tally->wrong);
    fflush(stdout);
}

/* Of each call site the calls that are chosen. */
static unsigned long sweep_function(enum fault_function function)
{
    struct tally tally = {.once = 0};
    char what[100];

    for (unsigned long call = 1; call <= faults_calls(function); call++) {
        if (sweep.all || sweep_chooses(function, call))
            sweep_call(function, call, &tally);
    }
    snprintf(what, sizeof(what), "%s%s: %u call sites, %lu calls", faults_function_name(function),
             sweep.story.threads ? ", with threads" : "", faults_sites(function),
             faults_calls(function));
    if (faults_calls(function) > 0)
        sweep_tell(what, &tally);
    return tally.wrong;
}

/* With threads: some calls of each function, as they come; and a function that only they call. */
static unsigned long sweep_threads(void)
{
    struct tally tally = {.once = 0};
    unsigned long parts = sweep.all ? 60 : sweep.slow ? 1 : 3;
    unsigned long wrong = 0;

    if (sweep.asked[FAULTS_SYNC_RANGE])
        wrong = sweep_function(FAULTS_SYNC_RANGE);
    for (enum fault_function function = 0; function < FAULTS_FUNCTIONS; function++) {
        unsigned long calls = faults_calls(function);
        unsigned long step = calls > parts ? calls / parts : 1;
        if (!sweep.asked[function] || function == FAULTS_SYNC_RANGE)
            continue;
        for (unsigned long call = 1; call <= calls; call += step)
            sweep_call(function, call, &tally);
    }
    sweep_tell("with threads", &tally);
    if (tally.unfired > 0)
        printf("# with threads: %lu more never came to pass\n", tally.unfired);
    return wrong + tally.wrong;
}

static bool sweep_begin(bool threads)
{
    if (story_init(&sweep.story, threads))
        return true;
    printf("the story goes wrong without any fault%s: %s\n", threads ? ", with threads" : "",
           sweep.story.wrong.text);
    return false;
}

static bool sweep_take_arguments(int argc, char **argv)
{
    const char *sanitizer = getenv("BTS_SANITIZER");
    bool any = false;

    sweep.slow = sanitizer != NULL && sanitizer[0] == '1';
    sweep.all = getenv("BTS_FAULTS_ALL") != NULL;
    for (int i = 1; i < argc; i++) {
        bool all = strcmp(argv[i], "--all") == 0;
        bool first = strcmp(argv[i], "--first") == 0;
        bool known = all || first;
        sweep.all = sweep.all || all;
        sweep.first = sweep.first || first;
        for (enum fault_function f = 0; f < FAULTS_FUNCTIONS; f++) {
            if (strcmp(argv[i], faults_function_name(f)) == 0)
                known = any = sweep.asked[f] = true;
        }
        if (!known) {
            fprintf(stderr, "fault_sweep: what is %s?\n", argv[i]);
            return false;
        }
    }
    for (enum fault_function f = 0; f < FAULTS_FUNCTIONS; f++)
        sweep.asked[f] = sweep.asked[f] || !any;
    return true;
}

int main(int argc, char **argv)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    unsigned long wrong = 0;

    if (!sweep_take_arguments(argc, argv))
        return 2;
#ifdef M_MMAP_THRESHOLD /* thousands of engines have the same memory one after the other: keep it */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], sweep_on_signal);
    if (!sweep_begin(false))
        return 1;
    for (enum fault_function function = 0; function < FAULTS_FUNCTIONS; function++) {
        if (sweep.asked[function])
            wrong += sweep_function(function);
    }
    story_fini(&sweep.story);
    faults_forget();
    if (!sweep_begin(true))
        return 1;
    wrong += sweep_threads();
    story_fini(&sweep.story);
    faults_forget();
    printf("# %.1f s of processor time, %lu wrong\n", (double)clock() / CLOCKS_PER_SEC, wrong);
    return wrong != 0;
}
