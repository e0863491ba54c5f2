/* What the fuzz targets share. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* libFuzzer's; the first two are the target's, LLVMFuzzerMutate is for its mutator to call. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);

/* A rule that must hold; unlike assert it stands in every build. */
#define demand(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The bug that a build with FP_PLANTED has behind the target's last check: how the target proves
 * that it gets there. No seed may fit the condition. */
#ifdef FP_PLANTED
#define PLANT(condition)                                                                           \
    do {                                                                                           \
        if (condition) {                                                                           \
            (void)fprintf(stderr, "planted bug\n");                                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#else
#define PLANT(condition) (void)0
#endif

#endif
