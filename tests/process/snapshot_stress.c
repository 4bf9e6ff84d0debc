/* SPDX-License-Identifier: MIT */
/*
 * snapshot_stress: no page of a pinned state is ever written.
 *
 * A writer process makes states as fast as it can, over a few hundred small
 * pages in shared memory that it reuses the moment the rules allow.  Reader
 * processes pin states with the real slots_pin and look whether each page of
 * their state still is what it was.  Publishing and scanning are the daemon's
 * own.  Groups are applied ahead of their publication, and a second thread
 * publishes too, so a state may become visible in the middle of a scan.
 *
 * A state is a root page that names LEAVES leaves and when each was born.  A
 * commit makes a new root and a few new leaves.
 *
 * Half of the readers announce without a fence, for which each scan makes a
 * barrier; if the system has none, the variant without it cannot fail.
 *
 * The same machine with one step left out must be seen to fail: a stress that
 * finds nothing wrong with those would prove nothing about the right one.
 * Where the time between two steps is too short to be hit, the broken variant
 * waits there.
 *
 * snapshot_stress SECONDS runs the right one alone, until its first error.
 */
#include "base/barrier.h"
#include "commit/publish.h"
#include "pages/horizon.h"
#include "read/slots.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READERS 4u
#define PAGES 512u
#define LEAVES 8u
#define AHEAD_MAX 4u      /* groups applied and not yet published */
#define RIGHT_US 4000000u /* for the right one */
#define BROKEN_US 15000000u /* until a broken one must have failed */

enum variant {
    RIGHT,
    NO_FENCE,         /* a plain store announces, not an exchange */
    NO_RECHECK,       /* `latest` is not looked at again after the announcement */
    NO_RING_CHECK,    /* the ring entry is not looked at again */
    LATEST_AFTER,     /* the scan loads `latest` after the slots */
    ANY_FREED,        /* pages of unpublished groups are reused: "F <= L" dropped */
    NO_BARRIER,       /* the scan makes no barrier for readers that do not fence */
    VARIANT_COUNT,
};

static const char *const variant_names[VARIANT_COUNT] = {
    "right", "no fence", "no recheck", "no ring check", "latest after the scan", "any freed page",
    "no barrier",
};

/* A page: all relaxed, as the bytes of the real ones are. */
struct stress_page {
    _Atomic txnid_t born;
    _Atomic uint32_t leaf[LEAVES];
    _Atomic txnid_t leaf_born[LEAVES];
};

/* What the processes share. */
struct stress {
    struct beacon beacon;
    struct slot_file slots[READERS];
    struct stress_page pages[PAGES];
    enum variant variant;
    _Atomic bool stop;
    _Atomic uint64_t errors;
    _Atomic uint64_t snapshots;
    _Atomic uint64_t commits;
    _Atomic uint64_t reuses;
    _Atomic bool publishing;               /* held by the thread that publishes */
    _Atomic txnid_t applied;               /* states up to here may be published */
    _Atomic uint32_t roots[2 * AHEAD_MAX]; /* of the applied states */
};

static struct stress *stress;

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void spin(uint64_t rounds)
{
    for (volatile uint64_t i = 0; i < rounds; i++) {
    }
}

static bool stopped(void)
{
    return atomic_load_explicit(&stress->stop, memory_order_relaxed);
}

/* ---- the reader ------------------------------------------------------------------ */

/*
 * Stores that miss the caches, so that the next one waits for long in the
 * processor's store buffer, where no other processor sees it.
 */
static void delay_stores(uint64_t *seed)
{
    static uint8_t far[16u << 20];

    for (unsigned i = 0; i < 8; i++)
        ((volatile uint8_t *)far)[random_next(seed) % sizeof far] = 1;
}

/* slots_pin with a step left out; `slot` is the reader's only one. */
static struct snapshot_root pin_broken(struct slot *slot, uint64_t *seed)
{
    const struct beacon *beacon = &stress->beacon;
    struct snapshot_root root;

    for (;;) {
        txnid_t t = atomic_load_explicit(&beacon->latest, memory_order_acquire);
        const struct beacon_root *entry = &beacon->ring[t % BEACON_RING];

        if (stress->variant == NO_RECHECK)
            spin(200);
        if (stress->variant == NO_FENCE) {
            delay_stores(seed);
            atomic_store_explicit(&slot->txn, t, memory_order_relaxed);
        } else {
            atomic_exchange_explicit(&slot->txn, t, memory_order_seq_cst);
        }
        if (stress->variant != NO_RECHECK &&
            atomic_load_explicit(&beacon->latest, memory_order_relaxed) != t)
            continue;
        if (stress->variant == NO_RING_CHECK)
            spin(100000);
        root.txnid = t;
        root.root = atomic_load_explicit(&entry->root, memory_order_acquire);
        if (stress->variant == NO_RING_CHECK ||
            atomic_load_explicit(&entry->txn, memory_order_acquire) == t)
            return root;
    }
}

static struct slot *pin(struct slots *slots, struct snapshot_root *root, uint64_t *seed)
{
    struct slot *slot = &slots->file->slots[0];

    /* The writer is at fault in these: the readers do all right. */
    if (stress->variant == RIGHT || stress->variant == LATEST_AFTER ||
        stress->variant == ANY_FREED || stress->variant == NO_BARRIER) {
        if (random_next(seed) % 2 == 0)
            delay_stores(seed);
        return slots_pin(slots, &stress->beacon, root);
    }
    atomic_store_explicit(&slots->file->used, 1, memory_order_seq_cst);
    *root = pin_broken(slot, seed);
    return slot;
}

/* Whether every page is the one that the state was made of. */
static bool is_whole(const struct snapshot_root *root)
{
    const struct stress_page *page = &stress->pages[root->root];

    for (unsigned i = 0; i < LEAVES; i++) {
        uint32_t leaf = atomic_load_explicit(&page->leaf[i], memory_order_relaxed);
        txnid_t born = atomic_load_explicit(&page->leaf_born[i], memory_order_relaxed);

        if (leaf >= PAGES ||
            atomic_load_explicit(&stress->pages[leaf].born, memory_order_relaxed) != born)
            return false;
    }
    return atomic_load_explicit(&page->born, memory_order_relaxed) == root->txnid;
}

/* Looks at the state a few times, sometimes for long. */
static bool stays_whole(const struct snapshot_root *root, uint64_t *seed)
{
    uint64_t looks = 1 + random_next(seed) % 8;

    if (random_next(seed) % 1000 == 0)
        looks = 20000;
    for (uint64_t i = 0; i < looks; i++)
        if (!is_whole(root))
            return false;
    return true;
}

static int read_states(unsigned number)
{
    /* Half of the readers fence for themselves. */
    struct slots slots = {.file = &stress->slots[number],
                          .owner = getpid(),
                          .joined = number % 2 == 0 && barrier_join()};
    uint64_t seed = 0x9e3779b97f4a7c15u * (number + 1);
    txnid_t newest = 0;

    while (!stopped()) {
        struct snapshot_root root;
        struct slot *slot = pin(&slots, &root, &seed);

        if (slot == NULL || root.txnid < newest || !stays_whole(&root, &seed))
            atomic_fetch_add_explicit(&stress->errors, 1, memory_order_relaxed);
        newest = root.txnid;
        if (slot != NULL)
            slots_unpin(slot);
        atomic_fetch_add_explicit(&stress->snapshots, 1, memory_order_relaxed);
    }
    return 0;
}

/* ---- the writer --------------------------------------------------------------------- */

/* A freed page that somebody may still see. */
struct limbo_page {
    uint32_t page;
    txnid_t born;
    txnid_t freed;
};

struct writer {
    struct horizon horizon;
    uint32_t free[PAGES];
    size_t free_count;
    struct limbo_page limbo[PAGES];
    size_t limbo_count;
    uint32_t root;
    txnid_t root_born;
    uint64_t seed;
};

/* Publishes the next state that was applied, unless there is none or the other thread is at it. */
static bool publish_next(void)
{
    txnid_t next;
    bool is_there;

    /* acquire and release: hand the right to publish from thread to thread */
    if (atomic_exchange_explicit(&stress->publishing, true, memory_order_acquire))
        return false;
    next = atomic_load_explicit(&stress->beacon.latest, memory_order_relaxed) + 1;
    /* acquire: pairs with the release store in write_states */
    is_there = atomic_load_explicit(&stress->applied, memory_order_acquire) >= next;
    if (is_there) {
        uint32_t root = atomic_load_explicit(&stress->roots[next % (2 * AHEAD_MAX)],
                                             memory_order_relaxed);
        publish(&stress->beacon, next, root, 1, PAGES);
        atomic_fetch_add_explicit(&stress->commits, 1, memory_order_relaxed);
    }
    atomic_store_explicit(&stress->publishing, false, memory_order_release);
    return is_there;
}

/* The writer's second thread. */
static void *publish_states(void *unused)
{
    (void)unused;
    while (!stopped())
        if (!publish_next())
            sched_yield();
    return NULL;
}

static void scan(struct writer *writer)
{
    if (horizon_scan(&writer->horizon, &stress->beacon, NULL) != BTS_OK)
        abort();
    if (stress->variant == LATEST_AFTER) {
        spin(1000);
        publish_next();
        writer->horizon.latest =
            atomic_load_explicit(&stress->beacon.latest, memory_order_seq_cst);
    }
}

/* Moves what may be reused from limbo to the free pages, by one scan. */
static void reclaim(struct writer *writer)
{
    size_t kept = 0;

    scan(writer);
    for (size_t i = 0; i < writer->limbo_count; i++) {
        struct limbo_page *page = &writer->limbo[i];
        bool freed_in_view =
            page->freed <= writer->horizon.latest || stress->variant == ANY_FREED;

        if (freed_in_view && !horizon_pins(&writer->horizon, page->born, page->freed))
            writer->free[writer->free_count++] = page->page;
        else
            writer->limbo[kept++] = *page;
    }
    atomic_fetch_add_explicit(&stress->reuses, writer->limbo_count - kept, memory_order_relaxed);
    writer->limbo_count = kept;
}

/* The page freed last: the one most likely to be missed. */
static uint32_t claim(struct writer *writer)
{
    while (writer->free_count == 0 && !stopped()) {
        reclaim(writer);
        if (writer->free_count == 0)
            sched_yield();
    }
    return writer->free_count > 0 ? writer->free[--writer->free_count] : 0;
}

static void release(struct writer *writer, uint32_t page, txnid_t born, txnid_t freed)
{
    writer->limbo[writer->limbo_count++] = (struct limbo_page){page, born, freed};
}

static uint32_t new_leaf(struct writer *writer, txnid_t txnid)
{
    uint32_t page = claim(writer);

    atomic_store_explicit(&stress->pages[page].born, txnid, memory_order_relaxed);
    return page;
}

/* Makes state `txnid` from the one before: a new root and, of the leaves, about a quarter. */
static void apply(struct writer *writer, txnid_t txnid)
{
    uint32_t root = claim(writer);
    struct stress_page *new = &stress->pages[root];
    const struct stress_page *old = &stress->pages[writer->root];

    for (unsigned i = 0; i < LEAVES; i++) {
        uint32_t leaf = atomic_load_explicit(&old->leaf[i], memory_order_relaxed);
        txnid_t born = atomic_load_explicit(&old->leaf_born[i], memory_order_relaxed);

        if (writer->root_born == 0 || random_next(&writer->seed) % 4 == 0) {
            if (writer->root_born != 0)
                release(writer, leaf, born, txnid);
            leaf = new_leaf(writer, txnid);
            born = txnid;
        }
        atomic_store_explicit(&new->leaf[i], leaf, memory_order_relaxed);
        atomic_store_explicit(&new->leaf_born[i], born, memory_order_relaxed);
    }
    atomic_store_explicit(&new->born, txnid, memory_order_relaxed);
    if (writer->root_born != 0)
        release(writer, writer->root, writer->root_born, txnid);
    writer->root = root;
    writer->root_born = txnid;
}

/* Whether the next group would need the place of one that is not yet published. */
static bool is_far_ahead(txnid_t applied)
{
    return applied >=
           atomic_load_explicit(&stress->beacon.latest, memory_order_acquire) + AHEAD_MAX;
}

static int write_states(void)
{
    struct writer *writer = calloc(1, sizeof *writer);
    pthread_t publisher;
    size_t id;

    if (writer == NULL || horizon_init(&writer->horizon, NULL) != BTS_OK)
        return 1;
    for (unsigned i = 0; i < READERS; i++)
        if (horizon_add(&writer->horizon, &stress->slots[i], &id, NULL) != BTS_OK)
            return 1;
    for (uint32_t page = 0; page < PAGES; page++)
        writer->free[writer->free_count++] = page;
    writer->seed = 88172645463325252u;
    if (pthread_create(&publisher, NULL, publish_states, NULL) != 0)
        return 1;
    for (txnid_t txnid = 1; !stopped(); txnid++) {
        apply(writer, txnid);
        atomic_store_explicit(&stress->roots[txnid % (2 * AHEAD_MAX)], writer->root,
                              memory_order_relaxed);
        /* release: root and pages come before it; pairs with the acquire load in publish_next */
        atomic_store_explicit(&stress->applied, txnid, memory_order_release);
        while (!stopped() && (random_next(&writer->seed) % 4 != 0 || is_far_ahead(txnid)))
            publish_next();
        reclaim(writer);
    }
    pthread_join(publisher, NULL);
    horizon_fini(&writer->horizon);
    free(writer);
    return 0;
}

/* ---- one run -------------------------------------------------------------------------- */

/* A child that runs the writer (number READERS) or a reader. */
static pid_t start(unsigned number)
{
    pid_t parent = getpid();
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    /* Readers begin when there is a state. */
    while (number < READERS && atomic_load(&stress->beacon.latest) == 0 && !stopped())
        sched_yield();
    _exit(number == READERS ? write_states() : read_states(number));
}

/* Runs one variant until the time is over, or, if it says so, until the first error. */
static uint64_t run(enum variant variant, uint64_t limit_us, bool to_first)
{
    pid_t children[READERS + 1];
    uint64_t begun = now_us();

    memset(stress, 0, sizeof *stress);
    stress->variant = variant;
    stress->beacon.barriers = variant != NO_BARRIER && variant != NO_FENCE;
    for (unsigned i = 0; i <= READERS; i++)
        children[i] = start(i);
    while (now_us() - begun < limit_us && (!to_first || atomic_load(&stress->errors) == 0))
        usleep(1000);
    atomic_store(&stress->stop, true);
    for (unsigned i = 0; i <= READERS; i++) {
        int status = 1;

        if (children[i] < 0 || waitpid(children[i], &status, 0) != children[i] || status != 0) {
            printf("%s: process %u ended with %x\n", variant_names[variant], i, (unsigned)status);
            exit(EXIT_FAILURE);
        }
    }
    printf("# %s: %" PRIu64 " errors in %" PRIu64 " ms; %" PRIu64 " snapshots, %" PRIu64
           " states, %" PRIu64 " pages reused\n",
           variant_names[variant], stress->errors, (now_us() - begun) / 1000, stress->snapshots,
           stress->commits, stress->reuses);
    return stress->errors;
}

int main(int argc, char **argv)
{
    bool sanitizer = getenv("BTS_SANITIZER") != NULL && atoi(getenv("BTS_SANITIZER")) != 0;
    uint64_t limit_us = sanitizer ? RIGHT_US / 4 : RIGHT_US;
    bool alone = argc > 1;
    bool failed = false;

    if (alone)
        limit_us = strtoull(argv[1], NULL, 10) * 1000000;
    stress = mmap(NULL, sizeof *stress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stress == MAP_FAILED)
        return EXIT_FAILURE;
    if (run(RIGHT, limit_us, alone) != 0 || stress->snapshots < 1000 || stress->reuses < 1000) {
        printf("the right protocol failed, or hardly ran\n");
        failed = true;
    }
    if (alone)
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
    for (enum variant variant = RIGHT + 1; variant < VARIANT_COUNT; variant++) {
        if ((variant == NO_FENCE || variant == NO_BARRIER) &&
            (sanitizer || sysconf(_SC_NPROCESSORS_ONLN) < 2)) {
            printf("SKIP snapshot_stress, %s: %s\n", variant_names[variant],
                   sanitizer ? "the sanitizer's checks take longer than a store waits"
                             : "one processor sees its own stores in order");
            continue;
        }
        if (run(variant, BROKEN_US, true) == 0) {
            printf("%s: not seen to fail\n", variant_names[variant]);
            failed = true;
        }
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
