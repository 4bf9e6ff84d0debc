/* SPDX-License-Identifier: MIT */
/*
 * bitflip: one bit flips in a store's files, and nobody is fooled.
 *
 * Stores of several shapes are made by the engine (flip_store.c).  Then, again
 * and again, one bit of a live byte is flipped in place, drawn uniformly over
 * the places of one type, and
 *   - a reader opens the file, walks all buckets and gets keys: it has right
 *     data, or an error that names this very page and says why,
 *   - `btstore check`, by the function behind it, reports the page and why,
 *   - of some flips a daemon's engine recovers a copy: it refuses, or works on
 *     right data, which is read and checked once more after a clean stop.
 * Then the bit is flipped back.  What is live, see flip_places.h.
 *
 * A flip in one meta or one copy of a space map takes nothing from readers, for
 * the other copy is as good; the check must name it all the same, and the next
 * start of the daemon must mend it.
 *
 * The log, apart: "A frame carries the txnid that was durable when it was
 * written; a bad frame at or below that is damage, never the end" (DESIGN).  So
 * a flip in a frame that a later one calls durable must be refused by recovery
 * and reported by the check.  Of the last frame nothing says that it was ever
 * acknowledged: without it the log ends one commit earlier, whole.  Never does
 * half a group, or anything else, come of it.
 *
 *   bitflip [--flips N] [--every MIB] [--jobs N] [--seed N]
 *
 * --flips: in all pages types together.  --every: every bit of so many MiB of
 * live pages instead, for a soak.  Jobs are processes; each makes its own
 * stores.  One row a type:
 *   # leaf: 30000 flips, 30000 detected, 0 wrong data
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flip_places.h"
#include "flip_try.h"

#define FLIPS_DEFAULT 105000u
#define FLIPS_SANITIZER 4000u
#define JOBS_MAX 64u
#define RECOVER_EACH 150u  /* every so manieth flip is recovered from too */
#define LOG_PART 60u      /* of the flips, one part goes to the log */

static const struct flip_shape shapes[] = {
    {.name = "short keys", .page_size = 4096, .keys = FLIP_KEYS_SHORT, .key_count = 420,
     .bucket_count = 3, .value_max = 150},
    {.name = "deep", .page_size = 4096, .keys = FLIP_KEYS_LONG, .key_count = 44,
     .bucket_count = 2, .value_max = 300},
    {.name = "runs, many buckets", .page_size = 4096, .keys = FLIP_KEYS_SHORT, .key_count = 60,
     .bucket_count = 4, .empty_buckets = 30, .value_max = 200, .run_each = 14},
    {.name = "log", .page_size = 4096, .keys = FLIP_KEYS_SHORT, .key_count = 120,
     .bucket_count = 2, .value_max = 200, .run_each = 60, .log_commits = 24},
    {.name = "pages of 16 KiB", .page_size = 16384, .keys = FLIP_KEYS_LONG, .key_count = 16,
     .bucket_count = 1, .value_max = 900, .run_each = 15},
    {.name = "pages of 64 KiB", .page_size = 65536, .keys = FLIP_KEYS_LONG, .key_count = 7,
     .bucket_count = 1, .value_max = 9000, .run_each = 5},
    {.name = "two map groups", .page_size = 4096, .keys = FLIP_KEYS_SHORT, .key_count = 60,
     .bucket_count = 1, .value_max = 100, .is_far = true},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* Of a hundred flips of a type, so many are made in each store that has the type. */
static const unsigned shares[SHAPES] = {26, 26, 26, 12, 5, 2, 3};

/* The stores of one job. */
struct stores {
    struct flip_store store[SHAPES];
    struct bts_store *open[SHAPES];
};

static struct flipper *at_work; /* for on_crash */

/* Whatever kills this process was a flip: say which. */
static void on_crash(int signal_number)
{
    char text[300];
    int size = 0;

    if (at_work != NULL && at_work->place != NULL)
        size = snprintf(text, sizeof(text), "CRASH by signal %d: \"%s\", %s, page %u, bit %llu\n",
                        signal_number, at_work->store->shape.name,
                        flip_type_names[at_work->place->type], at_work->place->pgno,
                        (unsigned long long)at_work->bit);
    if (size > 0 && write(STDOUT_FILENO, text, (size_t)size) < 0)
        _exit(3);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void flip_bit(const struct flipper *flipper)
{
    uint8_t *base = flip_in_log(flipper->place) ? flipper->store->log : flipper->store->file;

    base[flipper->place->offset + flipper->bit / 8] ^= (uint8_t)(1u << flipper->bit % 8);
}

/* ---- many of them ------------------------------------------------------------ */

static void flip_once(struct flipper *flipper, const struct flip_store *store,
                      const struct flip_place *place, uint64_t bit, bool recover)
{
    flipper->store = store;
    flipper->place = place;
    flipper->bit = bit;
    flipper->count++;
    flip_row(flipper)->flips++;
    flip_bit(flipper);
    if (flip_in_log(place))
        flip_try_log(flipper);
    else
        flip_try_page(flipper);
    if (recover)
        flip_try_recovery(flipper);
    flip_bit(flipper);
    flipper->place = NULL;
}

/* Flips `count` bits of one type, shared out over the stores that have it. */
static void flip_type(struct flipper *flipper, enum flip_type type, unsigned long count,
                      unsigned recover_each)
{
    unsigned total = 0;

    for (size_t s = 0; s < SHAPES; s++)
        total += flip_store_place_count(&flipper->stores[s], type) > 0 ? shares[s] : 0;
    for (size_t s = 0; s < SHAPES; s++) {
        const struct flip_store *store = &flipper->stores[s];
        size_t places = flip_store_place_count(store, type);
        unsigned long part = places > 0 ? count * shares[s] / total + 1 : 0;

        for (unsigned long i = 0; i < part; i++) {
            const struct flip_place *place =
                &store->places[store->type_first[type] + flip_draw(flipper, places)];
            flip_once(flipper, store, place, flip_draw(flipper, place->size * 8),
                      i % recover_each == 0);
        }
    }
}

/* What is not flipped is whole: else all else would be found for the wrong reason. */
static void expect_whole(struct flipper *flipper)
{
    for (size_t s = 0; s < SHAPES; s++) {
        const struct flip_store *store = &flipper->stores[s];
        struct bts_check_result result;
        struct flip_reading reading;
        struct bts_store *open;
        struct bts_error error;
        struct flip_watch watch;

        if (flip_open(store->path, &open, &error) != BTS_OK ||
            flip_check(open, 0, &watch, &result, &error) != BTS_OK)
            flip_die("%s: without a flip: %s", store->shape.name, error.text);
        flip_read(store, open, 0, PGNO_NONE, SIZE_MAX, &reading);
        if (getenv("BITFLIP_SHAPES") != NULL)
            printf("# %s: %zu places, %llu pages reachable\n", store->shape.name,
                   store->place_count, (unsigned long long)result.reachable);
        if (reading.wrong || result.pending_frames != store->shape.log_commits)
            flip_die("%s: without a flip: %s", store->shape.name, reading.text);
        bts_store_close(open);
    }
}

static void flip_some(struct flipper *flipper, unsigned long flips)
{
    unsigned long each = flips / FLIP_PAGE_TYPES;

    for (unsigned type = 0; type < FLIP_PAGE_TYPES; type++)
        flip_type(flipper, type, each, RECOVER_EACH);
    for (unsigned type = FLIP_PAGE_TYPES; type < FLIP_TYPES; type++)
        flip_type(flipper, type, flips / LOG_PART, 4);
}

/* Job `index` of `jobs` takes its part of every bit of `bytes` bytes of live pages. */
static void flip_every(struct flipper *flipper, uint64_t bytes, unsigned index, unsigned jobs)
{
    for (size_t s = 0; s < SHAPES && bytes > 0; s++) {
        const struct flip_store *store = &flipper->stores[s];

        for (size_t p = 0; p < store->place_count && bytes > 0; p++) {
            const struct flip_place *place = &store->places[p];
            uint64_t take = place->size < bytes ? place->size : bytes;

            if (flip_in_log(place))
                continue;
            for (uint64_t bit = index; bit < take * 8; bit += jobs)
                flip_once(flipper, store, place, bit, bit / jobs % 1000 == 0);
            bytes -= take;
        }
    }
    if (bytes > 0 && index == 0)
        printf("# the stores have %llu live bytes less\n", (unsigned long long)bytes);
}

/* ---- jobs -------------------------------------------------------------------- */

struct plan {
    const char *base;
    unsigned long flips;
    uint64_t every;
    unsigned jobs;
    uint64_t seed;
};

static void run_job(const struct plan *plan, unsigned index, struct job *job)
{
    static struct stores stores;
    static struct flipper flipper = {.stores = stores.store, .open = stores.open};
    struct bts_error error;

    flipper.job = job;
    flipper.random = flip_mix(plan->seed * 1000 + index);
    snprintf(flipper.scratch, sizeof(flipper.scratch), "%s/bitflip_copy.XXXXXX", plan->base);
    if (mkdtemp(flipper.scratch) == NULL)
        flip_die("%s: no folder below it", plan->base);
    snprintf(flipper.scratch_path, sizeof(flipper.scratch_path), "%s/store.bts", flipper.scratch);
    snprintf(flipper.scratch_log, sizeof(flipper.scratch_log), "%s.pending",
             flipper.scratch_path);
    for (size_t s = 0; s < SHAPES; s++)
        flip_store_create(&stores.store[s], plan->base, &shapes[s]);
    expect_whole(&flipper);
    for (size_t s = 0; s < SHAPES; s++)
        if (flip_open(stores.store[s].path, &stores.open[s], &error) != BTS_OK)
            flip_die("%s: %s", stores.store[s].path, error.text);
    at_work = &flipper;
    if (plan->every > 0)
        flip_every(&flipper, plan->every, index, plan->jobs);
    else
        flip_some(&flipper, plan->flips / plan->jobs);
    expect_whole(&flipper);
    for (size_t s = 0; s < SHAPES; s++) {
        bts_store_close(stores.open[s]);
        flip_store_destroy(&stores.store[s]);
    }
    unlink(flipper.scratch_path);
    unlink(flipper.scratch_log);
    rmdir(flipper.scratch);
}

/* Runs all jobs; false: one did not end well. */
static bool run_jobs(const struct plan *plan, struct job *jobs)
{
    pid_t children[JOBS_MAX];
    bool good = true;

    fflush(stdout);
    for (unsigned i = 0; i < plan->jobs; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            signal(SIGABRT, on_crash);
            signal(SIGSEGV, on_crash);
            signal(SIGBUS, on_crash);
            run_job(plan, i, &jobs[i]);
            exit(0);
        }
        if (children[i] < 0)
            flip_die("cannot fork");
    }
    for (unsigned i = 0; i < plan->jobs; i++) {
        int status;
        if (waitpid(children[i], &status, 0) != children[i] || status != 0) {
            printf("job %u ended with %#x\n", i, status);
            good = false;
        }
    }
    return good;
}

/* ---- the report -------------------------------------------------------------- */

static void add_row(struct row *sum, const struct row *row)
{
    sum->flips += row->flips;
    sum->detected += row->detected;
    sum->refused += row->refused;
    sum->recovered += row->recovered;
    sum->declined += row->declined;
    sum->undetected += row->undetected;
    if (sum->wrong == 0 && row->wrong > 0)
        memcpy(sum->first, row->first, sizeof(sum->first));
    sum->wrong += row->wrong;
}

/* One row; the failures in it. */
static unsigned long print_row(enum flip_type type, const struct row *row)
{
    if (row->flips == 0)
        return 0;
    printf("# %s: %lu flips, %lu detected, %lu wrong data", flip_type_names[type], row->flips,
           row->detected, row->wrong);
    if (type < FLIP_PAGE_TYPES)
        printf("; readers refused %lu", row->refused);
    else if (row->undetected > 0)
        printf("; %lu as if it had not been written", row->undetected);
    if (row->recovered > 0)
        printf("; %lu of %lu starts refused", row->declined, row->recovered);
    printf("\n");
    if (row->wrong > 0)
        printf("%s: the first: %s\n", flip_type_names[type], row->first);
    return row->wrong;
}

static double cpu_s(void)
{
    struct rusage own, children;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
                    children.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec +
                    children.ru_stime.tv_usec) / 1e6;
}

static bool report(const struct plan *plan, const struct job *jobs)
{
    unsigned long flips = 0;
    unsigned long detected = 0;
    unsigned long wrong = 0;

    for (unsigned type = 0; type < FLIP_TYPES; type++) {
        struct row sum = {.flips = 0};
        for (unsigned i = 0; i < plan->jobs; i++)
            add_row(&sum, &jobs[i].rows[type]);
        wrong += print_row(type, &sum);
        if (type < FLIP_PAGE_TYPES) {
            flips += sum.flips;
            detected += sum.detected;
        }
    }
    printf("# %lu bit flips in live bytes of pages, %lu detected, %lu wrong data, %.1f s of CPU\n",
           flips, detected, wrong, cpu_s());
    return wrong == 0 && flips > 0 && detected == flips;
}

int main(int argc, char **argv)
{
    const char *sanitizer = getenv("BTS_SANITIZER");
    bool slow = sanitizer != NULL && sanitizer[0] == '1';
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct plan plan = {.base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
                        .flips = slow ? FLIPS_SANITIZER : FLIPS_DEFAULT,
                        .jobs = processors > 0 ? (unsigned)processors : 1,
                        .seed = 1};
    struct job *jobs;
    bool good;

    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned long number = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--flips") == 0)
            plan.flips = number;
        else if (strcmp(argv[i], "--every") == 0)
            plan.every = (uint64_t)number << 20;
        else if (strcmp(argv[i], "--jobs") == 0)
            plan.jobs = (unsigned)number;
        else if (strcmp(argv[i], "--seed") == 0)
            plan.seed = number;
        else
            flip_die("%s: no such option", argv[i]);
    }
    plan.jobs = plan.jobs < 1 ? 1 : plan.jobs > JOBS_MAX ? JOBS_MAX : plan.jobs;
    jobs = mmap(NULL, plan.jobs * sizeof(*jobs), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (jobs == MAP_FAILED)
        flip_die("out of memory");
    good = run_jobs(&plan, jobs);
    good = report(&plan, jobs) && good;
    return good ? 0 : 1;
}
