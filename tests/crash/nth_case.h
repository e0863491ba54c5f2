/* Runs a script once for each fault: a child process per case, so that a crash, a leak and a
 * deadlock of one are seen and harm no other. */
#ifndef TESTS_CRASH_NTH_CASE_H
#define TESTS_CRASH_NTH_CASE_H

#include "tests/crash/nth.h"

/* What a class can fail with. */
struct nth_fault {
    enum nth_class class;
    int error;
    const char *name;
};
struct nth_case {
    const struct nth_fault *fault; /* NULL: the count pass, nothing fails */
    int64_t at;
    bool forever; /* until the script disarms it */
    int number;   /* of this case, 0 …: a child may use it to name what must be its own */
};
struct nth_plan {
    const struct nth_fault *faults;
    int nfaults;
    void (*script)(const struct nth_case *c); /* asserts; exits when it fails */
    int deadline_s;                           /* of a case */
    int samples;                              /* of each fault and kind, where not all are run */
    int jobs;                                 /* children at a time */
    /* Libraries behind the one that the product calls, which are known to crash where memory is
     * refused: the beginnings of their names, NULL last; NULL: none. A crash amid their code, or an
     * abort() that they call, is told and counted by itself, each other one is a failure. */
    const char *const *frail;
};
/* For the script: from here its calls count and fail. */
void nth_begin(const struct nth_case *c);
/* FP_SEED seeds the sample, FP_FULL runs every call; --case CLASS:ERROR:AT:once|ever runs that one
 * alone in this process. Returns what main returns. */
int nth_run(const struct nth_plan *p, int argc, char **argv);

#endif
