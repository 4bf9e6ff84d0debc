/* SPDX-License-Identifier: MIT */
/*
 * fuzz_main: run a fuzz target without libFuzzer.
 *
 *     fuzz_batch [ROUNDS]      mutate the target's seeds, the same way each time
 *     fuzz_batch FILE...       run these inputs, as found by a fuzzer
 *     fuzz_batch --seeds DIR   write the seeds there, for libFuzzer to start from
 *
 * Every input is a block of its own of exactly its size, so that a sanitizer
 * sees a read of the byte behind it.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#define FUZZ_ROUNDS 20000
#define FUZZ_MUTATIONS_MAX 6
#define FUZZ_SEEDS_MAX 64

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

static void fuzz_run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    if (exact == NULL) {
        abort();
    }
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

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

static int fuzz_rounds(unsigned long rounds)
{
    uint8_t *data = malloc(FUZZ_SIZE_MAX);
    unsigned seeds = 0;

    if (data == NULL) {
        return EXIT_FAILURE;
    }
    while (seeds < FUZZ_SEEDS_MAX && fuzz_seed(seeds, data) > 0) {
        seeds++;
    }
    for (unsigned long round = 0; round < rounds; round++) {
        size_t size = fuzz_seed((unsigned)(round % seeds), data);
        for (uint64_t i = round < seeds ? 0 : 1 + fuzz_random(FUZZ_MUTATIONS_MAX); i > 0; i--) {
            size = fuzz_mutate(data, size);
        }
        fuzz_run(data, size);
    }
    free(data);
    printf("%lu inputs from %u seeds\n", rounds, seeds);
    return EXIT_SUCCESS;
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
        return fuzz_rounds(rounds);
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
