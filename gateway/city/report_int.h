/* Completeness: what the files that reckon it share (gateway/doc/decisions/0019). */
#ifndef GATEWAY_CITY_REPORT_INT_H
#define GATEWAY_CITY_REPORT_INT_H

#include "gateway/city/city_int.h"

#define CITY_HOUR_MS INT64_C(3600000)
/* A time below it counts from a boot and says no hour. */
#define CITY_KNOWN_MS (2 * CLK_UNKNOWN_BASE_MS)
/* A slower series owes gaps only, as one that speaks of events. */
#define CITY_PERIOD_MAX_MS (31 * 24 * CITY_HOUR_MS)

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Why an instant that is due has no reading; the first that fits counts. The causes of signed gaps
 * come first, in the order of wire_causes. */
enum city_why {
    CITY_WHY_SIGNED = 8,                /* so many */
    CITY_WHY_INVALID = CITY_WHY_SIGNED, /* its readings were taken back */
    CITY_WHY_UNEXPLAINED,               /* in a window, without reading or gap (rule 17) */
    CITY_WHY_VOID,                      /* given up for ever */
    CITY_WHY_CLOCK,                     /* the clock was set, or not known */
    CITY_WHY_NOT_RECEIVED,              /* in no window that is here */
    CITY_WHYS
};
extern const char *const city_why_text[CITY_WHYS];

/* ---- plan.c: what is due ------------------------------------------------------------------- */

/* Half open. */
struct city_due {
    int64_t from_ms, to_ms, period_ms; /* period 0: owes gaps only */
    size_t slot;                       /* tally.c: the first of its slots, and how many */
    int64_t slot0, nslots;
};
struct city_series {
    char *name;              /* device/point */
    size_t name_n, device_n; /* its length, and that of the device's id */
    uint32_t device;         /* numbered as they come */
    uint32_t follows;        /* the series that stood behind it last */
    int64_t key;             /* of its first plan entry: it never changes */
    struct city_due *due;
    size_t ndue;
};
/* An interval with one cause. */
#define CITY_TARGET_ALL UINT32_MAX
#define CITY_TARGET_DEVICE UINT32_C(0x80000000) /* plus the number of a device; else a series */
#define CITY_HELD CITY_WHYS                     /* as why: a window that is here */
struct city_iv {
    int64_t from_ms, to_ms;
    uint32_t target;
    uint8_t why;
};
struct city_ivs {
    struct city_iv *v;
    size_t n, cap;
};
struct city_plan {
    struct city_series *series; /* in the order in which they were planned */
    size_t n, cap;
    uint32_t devices;
    uint32_t *slot; /* hash table of series + 1 */
    size_t slots;
    struct city_ivs held;  /* windows, joined where they abut, by time */
    struct city_ivs holes; /* CITY_WHY_VOID and _CLOCK */
    bool corrected;        /* some readings are not what they were sealed as */
    struct city_ivs taken; /* CITY_WHY_INVALID, by series and time */
};
/* In one transaction with what is read by it. Free with city_plan_done in any case. ST_FULL: more
 * intervals than a report can hold. */
enum st city_plan_read(struct city_plan *p, struct city_db *d, int64_t gateway,
                       struct err *e) ST_MUST_CHECK;
void city_plan_done(struct city_plan *p);
/* UINT32_MAX: no plan names it. `near` is the one found last, or UINT32_MAX. */
uint32_t city_plan_find(struct city_plan *p, struct wire_span device, struct wire_span point,
                        uint32_t near);
/* What a gap's series means; false: nothing that a plan names. */
bool city_plan_target(struct city_plan *p, const char *series, uint32_t *target);
/* What of the series is due at t; NULL: nothing. */
struct city_due *city_plan_due(const struct city_series *s, int64_t t_ms);

/* ST_FULL beyond what a report can hold. */
enum st city_iv_add(struct city_ivs *l, struct city_iv x) ST_MUST_CHECK;
/* By target and time. */
void city_iv_sort(struct city_ivs *l);
/* Sorts, and joins what abuts or overlaps: a lasting gap is told anew in each window. */
void city_iv_join(struct city_ivs *l);

/* ---- tally.c: hours of many series --------------------------------------------------------- */

struct city_cell {
    uint64_t due, good, flagged, thinned, invalid;
    uint64_t flag[8];
    int64_t due_ms, read_ms, why_ms[CITY_WHYS];
    int64_t period_ms;
};
/* Pieces of time, one behind the other; what it takes does not grow with the readings. */
struct city_tally {
    struct city_plan *plan;
    int64_t margin_ms;      /* how far before and behind the piece readings and gaps matter */
    int64_t from_ms, to_ms; /* the piece */
    int64_t hour0;          /* the first hour of it */
    size_t hours;
    struct city_cell *cell; /* hours x series */
    uint32_t (*seen)[2];    /* per period: first and last reading, ms in it + 1; 0: none */
    size_t nseen, seen_cap;
    struct city_ivs gaps; /* of the piece */
};
enum st city_tally_open(struct city_tally *t, struct city_plan *plan, struct err *e) ST_MUST_CHECK;
void city_tally_done(struct city_tally *t); /* takes a zeroed one */
/* How long a piece from `from` on may be: whole hours where that fits. */
int64_t city_tally_fits(const struct city_tally *t, int64_t from_ms, int64_t to_ms);
/* Begins a piece; keeps the hour that the piece before began. */
enum st city_tally_begin(struct city_tally *t, int64_t from_ms, int64_t to_ms,
                         struct err *e) ST_MUST_CHECK;
/* A reading that counts, in the piece or its margin; `taken`: it was taken back. */
void city_tally_reading(struct city_tally *t, uint32_t series, int64_t t_ms, uint32_t q,
                        bool taken);
void city_tally_thinned(struct city_tally *t, uint32_t series, int64_t t_ms, uint64_t count);
enum st city_tally_gap(struct city_tally *t, struct city_iv x) ST_MUST_CHECK;
/* All is there: reckons the piece's times. */
void city_tally_end(struct city_tally *t);
struct city_cell *city_tally_cell(const struct city_tally *t, size_t hour, uint32_t series);

/* ---- report.c ------------------------------------------------------------------------------ */

struct city_report {
    int64_t gateway, from_ms, to_ms;
    int64_t max_ms; /* what is reckoned at most, from the first time that is due; 0: all */
    /* Every hour of every series that is due in it, by time and then in the order of the plan; at
     * the end once with c NULL. ST_STOPPED ends the report. */
    enum st (*row)(void *ctx, const struct city_plan *p, int64_t from_ms, int64_t to_ms,
                   uint32_t series, const struct city_cell *c, struct err *e);
    void *ctx;
    int64_t end_ms; /* out: where max_ms ended it, else to_ms */
};
/* Inside a transaction of a reading connection. ST_FULL: gaps, corrections, repeats or chains
 * beyond all bounds. */
enum st city_report_run(struct city_db *d, struct city_report *q, struct err *e) ST_MUST_CHECK;

/* ---- rows.c: how they are printed ---------------------------------------------------------- */

extern const char city_rows_head[]; /* of the CSV */
/* One row, as CSV or as a JSON object, without what stands between two. */
enum st city_rows_put(struct buf *out, const char *gw, const char *series, int64_t from_ms,
                      int64_t to_ms, const struct city_cell *c, bool json) ST_MUST_CHECK;

#endif
