/* SPDX-License-Identifier: MIT */
/*
 * fuzz: what a fuzz target gives, and who runs it.
 *
 * A target is one function that takes any bytes and aborts when a promise is
 * broken, and one that makes valid bytes to begin with.  Two drivers run it:
 *
 *   libFuzzer     clang -fsanitize=fuzzer,address,undefined, guided by coverage:
 *                 make check-fuzz-guided, make fuzz-NAME SECONDS=600 (see local.mk)
 *   fuzz_main.c   any compiler: runs the corpus and mutants of it, made by a
 *                 fixed generator: make check-fuzz
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Largest input that fuzz_main makes. */
#define FUZZ_SIZE_MAX (144u << 10)

/* The target: 0 always. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes valid input number `index` to `out`, FUZZ_SIZE_MAX bytes of room; its size, 0: no more. */
size_t fuzz_seed(unsigned index, uint8_t *out);

/* A promise, broken: say which and abort, so that either driver keeps the input. */
#define FUZZ_PROMISE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
