/* Private to charts: which batches may have a reading of a time. */
#ifndef GATEWAY_STORE_CHART_INT_H
#define GATEWAY_STORE_CHART_INT_H

#include "gateway/store/rollup_int.h"

struct store_range {
    struct store_db *db;
    const struct store_roll_progress *at;
    int64_t from_ms, to_ms;  /* the time */
    int64_t lo, hi;          /* ids: behind lo, up to hi */
    int64_t late;            /* the next of table rollup_late; INT64_MAX: no more */
    int64_t moved, moved_to; /* may be moved and not among the late yet; INT64_MAX: none */
    int64_t id;              /* the batch before */
};
/* at: how far the rollups are; borrowed, like d. Within a view of a reader. */
enum st store_range_open(struct store_range *x, struct store_db *d,
                         const struct store_roll_progress *at, int64_t from_ms, int64_t to_ms,
                         struct err *e) ST_MUST_CHECK;
/* The next batch and where its window begins; *wanted: it may have something to tell. ST_NOT_FOUND
 * at the end. */
enum st store_range_next(struct store_range *x, int64_t *id, int64_t *from_ms, bool *wanted,
                         struct err *e) ST_MUST_CHECK;

#endif
