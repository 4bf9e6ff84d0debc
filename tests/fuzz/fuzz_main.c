/* SPDX-License-Identifier: MIT */
/*
 * fuzz_main: run a fuzz target without libFuzzer.
 *
 *     fuzz_batch               the corpus, then mutants for two seconds
 *     fuzz_batch ROUNDS        the corpus, then so many mutants
 *     fuzz_batch FILE...       run these inputs, as found by a fuzzer
 *     fuzz_batch --seeds DIR   write the seeds there, for libFuzzer to start from
 *
 * The corpus is BTS_SRCDIR/tests/fuzz/corpus/NAME (every input that ever broke
 * a promise is in it) and the target's own seeds; the mutants are made of both,
 * the same ones in the same order each time.  Every input is a block of its own
 * of exactly its size, so that a sanitizer sees a read of the byte behind it.
 * An input that breaks something is left in TMPDIR, or the working folder.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FUZZ_ROUNDS 20000
#define FUZZ_SECONDS 2.0
#define FUZZ_MUTATIONS_MAX 6
#define FUZZ_SEEDS_MAX 256

/* Numbers that parsers trip over. */
static const uint64_t fuzz_numbers[] = {
    0, 1, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
    UINT64_MAX,
};

static uint64_t fuzz_state = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64*: the same row of numbers on every machine. */
static uint64_t fuzz_random(uint64_t below)
{
    fuzz_state ^= fuzz_state >> 12;
    fuzz_state ^= fuzz_state << 25;
    fuzz_state ^= fuzz_state >> 27;
    return (fuzz_state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

/* ---- one input ------------------------------------------------------------------ */

static const uint8_t *fuzz_data;  /* at work */
static size_t fuzz_size;
static char fuzz_kept[4096];      /* where it is left if it breaks something; "": it is a file */

/* How an input ends the program; where a sanitizer watches it says more, and itself. */
static const int fuzz_signals[] = {
    SIGABRT,
#if !BTS_SANITIZER
    SIGSEGV, SIGBUS, SIGFPE,
#endif
};

static void fuzz_say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        return; /* nobody listens */
    }
}

/* Keeps the input; does only what a signal handler may do. */
static void fuzz_keep(int signal_number)
{
    int fd = fuzz_kept[0] != '\0' ? open(fuzz_kept, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;

    if (fd >= 0 && write(fd, fuzz_data, fuzz_size) == (ssize_t)fuzz_size) {
        fuzz_say("the input is ");
        fuzz_say(fuzz_kept);
        fuzz_say("\n");
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void fuzz_run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    if (exact == NULL) {
        abort();
    }
    memcpy(exact, data, size);
    fuzz_data = exact;
    fuzz_size = size;
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

/* ---- mutants ---------------------------------------------------------------------- */

/* One small change; most fall near the start, where headers are. */
static size_t fuzz_mutate(uint8_t *data, size_t size)
{
    size_t span = fuzz_random(2) == 0 && size > 64 ? 64 : size;
    size_t at = size > 0 ? fuzz_random(span) : 0;
    uint64_t number = fuzz_numbers[fuzz_random(sizeof(fuzz_numbers) / sizeof(fuzz_numbers[0]))];
    size_t width = (size_t)1 << fuzz_random(4);

    if (size == 0) {
        return size;
    }
    switch (fuzz_random(6)) {
    case 0:
        data[at] ^= (uint8_t)(1u << fuzz_random(8));
        return size;
    case 1:
        data[at] = (uint8_t)fuzz_random(256);
        return size;
    case 2:
        memcpy(data + at, &number, width < size - at ? width : size - at);
        return size;
    case 3:
        return fuzz_random(size + 1); /* cut */
    case 4:
        if (size < FUZZ_SIZE_MAX) {
            memmove(data + at + 1, data + at, size - at);
            size++;
        }
        return size;
    default:
        memmove(data + at, data + at + 1, size - at - 1);
        return size - 1;
    }
}

/* ---- the corpus ------------------------------------------------------------------- */

/* Inputs to begin with; kept until the end. */
static struct {
    uint8_t *data;
    size_t size;
} fuzz_corpus[FUZZ_SEEDS_MAX];
static unsigned fuzz_corpus_count;

static void fuzz_add(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    if (copy == NULL || fuzz_corpus_count == FUZZ_SEEDS_MAX) {
        abort();
    }
    memcpy(copy, data, size);
    fuzz_corpus[fuzz_corpus_count].data = copy;
    fuzz_corpus[fuzz_corpus_count++].size = size;
}

static bool fuzz_add_file(const char *path, uint8_t *room)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        return false;
    }
    fuzz_add(room, fread(room, 1, FUZZ_SIZE_MAX, file));
    fclose(file);
    return true;
}

static int fuzz_by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The files of the corpus, by name; false: there are none. */
static bool fuzz_add_folder(const char *name, uint8_t *room)
{
    const char *source = getenv("BTS_SRCDIR");
    char folder[4000];
    char path[4400];
    struct dirent **entries;
    bool readable = true;
    unsigned before = fuzz_corpus_count;
    int count;

    snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", source != NULL ? source : ".",
             name);
    count = scandir(folder, &entries, NULL, fuzz_by_name);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            readable = fuzz_add_file(path, room) && readable;
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    if (fuzz_corpus_count == before) {
        printf("SKIP corpus: no files in %s\n", folder);
    }
    return readable;
}

static void fuzz_add_seeds(uint8_t *room)
{
    size_t size;

    for (unsigned i = 0; (size = fuzz_seed(i, room)) > 0; i++) {
        fuzz_add(room, size);
    }
}

/* ---- rounds ------------------------------------------------------------------------- */

static double fuzz_now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Mutates and runs; how many were run. */
static unsigned long fuzz_mutants(unsigned long rounds, double until, uint8_t *data)
{
    unsigned long round = 0;

    for (; round < rounds && (until == 0 || fuzz_now_s() < until); round++) {
        unsigned which = (unsigned)(round % fuzz_corpus_count);
        size_t size = fuzz_corpus[which].size;
        memcpy(data, fuzz_corpus[which].data, size);
        for (uint64_t i = 1 + fuzz_random(FUZZ_MUTATIONS_MAX); i > 0; i--) {
            size = fuzz_mutate(data, size);
        }
        fuzz_run(data, size);
    }
    return round;
}

static int fuzz_rounds(const char *program, unsigned long rounds, double seconds)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash != NULL ? slash + 1 : program;
    const char *folder = getenv("TMPDIR");
    uint8_t *data = malloc(FUZZ_SIZE_MAX);
    double started = fuzz_now_s();
    unsigned long mutants;
    bool readable;

    if (data == NULL) {
        return EXIT_FAILURE;
    }
    snprintf(fuzz_kept, sizeof(fuzz_kept), "%s/%s.crash", folder != NULL ? folder : ".", name);
    for (size_t i = 0; i < sizeof(fuzz_signals) / sizeof(fuzz_signals[0]); i++) {
        signal(fuzz_signals[i], fuzz_keep);
    }
    readable = fuzz_add_folder(strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name, data);
    fuzz_add_seeds(data);
    for (unsigned i = 0; i < fuzz_corpus_count; i++) {
        fuzz_run(fuzz_corpus[i].data, fuzz_corpus[i].size);
    }
    mutants = fuzz_mutants(rounds, seconds > 0 ? started + seconds : 0, data);
    for (unsigned i = 0; i < fuzz_corpus_count; i++) {
        free(fuzz_corpus[i].data);
    }
    free(data);
    printf("# %s: %u inputs of the corpus, %lu mutants, %.1f s\n", name, fuzz_corpus_count,
           mutants, fuzz_now_s() - started);
    return readable ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int fuzz_file(const char *path)
{
    uint8_t *data = malloc(FUZZ_SIZE_MAX);
    FILE *file = fopen(path, "rb");
    bool readable = data != NULL && file != NULL;

    if (readable) {
        fuzz_run(data, fread(data, 1, FUZZ_SIZE_MAX, file));
    } else {
        perror(path);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(data);
    return readable ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int fuzz_seeds(const char *folder)
{
    static uint8_t data[FUZZ_SIZE_MAX];

    for (unsigned i = 0; i < FUZZ_SEEDS_MAX; i++) {
        char path[4096];
        size_t size = fuzz_seed(i, data);
        snprintf(path, sizeof(path), "%s/seed%u", folder, i);
        FILE *file = size > 0 ? fopen(path, "wb") : NULL;
        if (file == NULL) {
            return size == 0 ? EXIT_SUCCESS : (perror(path), EXIT_FAILURE);
        }
        bool written = fwrite(data, 1, size, file) == size;
        if (fclose(file) != 0 || !written) {
            perror(path);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    char *end = NULL;
    unsigned long rounds = argc > 1 ? strtoul(argv[1], &end, 10) : FUZZ_ROUNDS;
    int result = EXIT_SUCCESS;

    if (argc < 2 || *end == '\0') {
        return fuzz_rounds(argv[0], rounds, argc < 2 ? FUZZ_SECONDS : 0);
    }
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        return fuzz_seeds(argv[2]);
    }
    for (int i = 1; i < argc; i++) {
        if (fuzz_file(argv[i]) != EXIT_SUCCESS) {
            result = EXIT_FAILURE;
        }
    }
    return result;
}
