/* Recorded series that points replay: CSV files `series,ts_ms,value`, plain or .xz. One thread. */
#ifndef TESTS_SIM_TRACE_H
#define TESTS_SIM_TRACE_H

#include <stddef.h>

#include "gateway/base/err.h"

struct sim_series {
    char *name;
    double *rows;
    size_t n;
};
struct sim_trace {
    char *name;                /* of the file, without suffix */
    struct sim_series *series; /* sorted by name */
    size_t n;
};
#define SIM_TRACE_MAX_BYTES (64 * 1024 * 1024)

/* Reads dir/name.csv, or dir/name.csv.xz through `xz -dc`. */
enum st sim_trace_load(struct sim_trace *t, const char *dir, const char *name,
                       struct err *e) ST_MUST_CHECK;
void sim_trace_done(struct sim_trace *t);
const struct sim_series *sim_trace_find(const struct sim_trace *t, const char *series);

#endif
