/* Private to charts and to the readings of a past time: which batches may have one, what they have
 * of a series, and a counter's readings in order of time. */
#ifndef GATEWAY_STORE_CHART_INT_H
#define GATEWAY_STORE_CHART_INT_H

#include "gateway/store/rollup_int.h"

/* ---- chart_range.c: which batches may have a reading of a time ---- */

struct store_range {
    struct store_db *db;
    const struct store_roll_progress *at;
    int64_t from_ms, to_ms;  /* the time, … */
    int64_t until_ms;        /* … and the end of its last quarter */
    int64_t lo, hi;          /* ids: behind lo, up to hi */
    int64_t late;            /* the next of table rollup_late; INT64_MAX: no more */
    int64_t moved, moved_to; /* may be moved and not among the late yet; INT64_MAX: none */
    bool few;                /* batches that the rollups' job has not looked at: any may be late */
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
/* All up to this id were looked at, or have nothing to tell. */
int64_t store_range_passed(const struct store_range *x);

/* ---- chart_order.c: a counter's readings in order of time ---- */

/* A counter's readings, gathered as batches bring them, to be counted in order of time: what grew
 * between two of them is told by neighbours in time alone. */
struct store_counts {
    struct store_counted *v;
    uint32_t n, cap;
};
/* ST_FULL: STORE_ROLL_COUNTED are in; count these, then go on. */
enum st store_counts_add(struct store_counts *x, int64_t t_ms, struct num v,
                         struct err *e) ST_MUST_CHECK;
void store_counts_sort(struct store_counts *x);

/* ---- chart_part.c: what a batch has of a series; chart_kept.c keeps it for the next chart ---- */

/* As sealed: what is added to its time, and corrections, are for whoever uses it. */
struct store_part_reading {
    int64_t t_ms;
    uint64_t v; /* the value of a struct num, with its kind and exp */
    uint8_t kind, q;
    int8_t exp;
};
struct store_part {
    const struct store_chart_gap *gap; /* of the series, of its device, of all */
    const struct store_part_reading *reading;
    uint32_t gaps, readings;
};
struct store_part_bytes {
    struct buf gaps, readings;
};
void store_part_begin(struct store_part_bytes *x);
void store_part_end(struct store_part_bytes *x);
/* *out lies in x, until the next call. ST_CORRUPT; ST_MEMORY. */
enum st store_part_take(struct store_part_bytes *x, const char *series, const struct wire_batch *b,
                        struct store_part *out, struct err *e) ST_MUST_CHECK;

#define STORE_KEPT_BYTES ((size_t)1024 * 1024) /* of all that a reader keeps */
#define STORE_KEPT_NONE UINT32_MAX             /* a series that nothing is kept of */
struct store_kept;
struct store_kept *store_kept_of(struct store_reader *r); /* NULL: no memory */
void store_kept_close(struct store_kept *k);              /* takes NULL */
/* A chart of so many series begins: what it uses stays until it is drawn, the rest makes way. */
void store_kept_turn(struct store_kept *k, size_t series);
uint32_t store_kept_series(struct store_kept *k, const char *name);
/* false: not kept. Good until the next call. */
bool store_kept_find(struct store_kept *k, uint32_t series, int64_t id, struct store_part *out);
/* Copies *p where there is room. Not one that is kept. */
void store_kept_add(struct store_kept *k, uint32_t series, int64_t id, const struct store_part *p);

#endif
