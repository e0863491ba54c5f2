/* A case that this machine cannot run says so and why, and its program ends with a code that ctest
 * tells from success. tests/run names each. */
#ifndef TESTS_SUPPORT_SKIP_H
#define TESTS_SUPPORT_SKIP_H

#include <stdio.h>

#define SKIP_CODE 77 /* fp_test in board/cmake/fieldpost.cmake */

static int skip_count;

/* Ends the case. */
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        printf("skipped: %s: %s\n", __func__, why);                                                \
        skip_count++;                                                                              \
        skip();                                                                                    \
    } while (0)

/* What main returns: how many cases failed, as cmocka counts, or the code. */
static inline int skip_result(int failed)
{
    return failed || !skip_count ? failed : SKIP_CODE;
}

#endif
