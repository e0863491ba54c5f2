/* Fold: what its files share. A day's readings go by once; each series keeps sums by the hour, and
 * each term of the formulas what no sum can say. fold.c: open, put; fold_hours.c: means of hours;
 * fold_counter.c, fold_drops.c, fold_cond.c, fold_time.c: the terms; fold_eval.c: the figure. */
#ifndef GATEWAY_INDICATOR_FOLD_INT_H
#define GATEWAY_INDICATOR_FOLD_INT_H

#include "gateway/indicator/formula_int.h"
#include "gateway/indicator/rational_int.h"

#define FOLD_REACH_HOURS 11 /* of nowcast, before the day */
#define FOLD_HOURS_MAX (INDICATOR_HOURS + FOLD_REACH_HOURS)
#define FOLD_PAIR_MAX 131072 /* readings of one device that wait for their like */

/* One comparison, in millionths: whether v is in one of the ranges, which end inclusively. */
struct fold_range {
    int64_t lo, hi;
};
struct fold_cond {
    uint8_t slot; /* of its input among the term's */
    bool negate;
    uint16_t first, n;
};

/* What a term adds up over the periods of the day, by kind: steps, falls, ms, counts. */
struct fold_term {
    const struct formula_term *t;
    int64_t *sum;    /* one for each period */
    uint32_t *parts; /* how many were added */
    uint16_t cond, nconds;
    uint8_t ninputs; /* of a COND */
    uint8_t inputs[FORMULA_TOGETHER_MAX];
    int64_t least; /* of falls */
};
/* What one series has to do for one term at each reading. */
struct fold_feed {
    uint16_t term;
    uint8_t slot; /* of the series' input in a COND */
    bool on;      /* time: the last reading holds */
    uint32_t pair;
    int64_t *sum; /* drops_volume: by period; peak: by window */
    uint32_t *n;  /* peak */
};

struct fold_one {
    struct fold_series about;
    int64_t seen_ms;         /* its last reading */
    int64_t good_ms, value;  /* its last good one */
    bool has, falls, counts; /* there is a last good one; it feeds falls, growth */
    unsigned bad;            /* quality flags with which a reading is not good */
    unsigned hour;           /* of the last reading, from first_ms on, and its end */
    int64_t hour_to;
    int64_t *sum; /* by hour, from first_ms on */
    uint32_t *n;
    uint32_t feed, nfeeds;
    /* counter */
    uint32_t meter, meters; /* the next change, behind the last */
    int64_t base_ms, grown; /* since the last good reading before the hour */
    int64_t base_hour;
    int64_t most; /* in an hour; 0: not known */
    /* falls */
    int64_t top;
    int run_slot; /* -1: before the day, or it belongs to another input */
};

/* Readings of one device for a COND over several inputs, which wait until all have gone by. */
struct fold_moment {
    int32_t at;         /* ms in the day */
    uint8_t seen, fail; /* by slot; seen 0: a reading that is not good */
};
struct fold_pair {
    uint16_t term;
    uint32_t device;
    uint32_t *series;
    uint32_t nseries;
    int64_t holds_ms; /* two of the shortest period */
    struct fold_moment *wait;
    uint32_t n, cap;
    int32_t on_at; /* since when it is true; -1: it is not */
};

struct fold {
    const struct indicator_def *def;
    int64_t day_ms, first_ms, end_ms;
    unsigned slots, hours, reach; /* periods in the day; hours that are kept, before the day */
    bool falls;
    struct fold_one *one;
    uint32_t nones;
    uint32_t *order; /* series by input */
    uint32_t from[INDICATOR_INPUTS_MAX + 1];
    struct fold_term *term;
    uint16_t nterms;
    uint16_t *num_term, *den_term; /* of the formulas' own numbers */
    struct fold_cond *cond;
    struct fold_range *range;
    struct fold_feed *feed;
    uint32_t nfeeds;
    struct fold_pair *pair;
    uint32_t npairs;
    struct fold_meter *meter;
    uint32_t nmeters;
    uint64_t large[INDICATOR_INPUTS_MAX];  /* by hour: a number too large */
    uint64_t jumped[INDICATOR_INPUTS_MAX]; /* by hour: a counter grew too much */
    size_t bytes;
    /* while a figure is worked out */
    int64_t now_ms;
    uint32_t brought; /* inputs */
    mpq_t *node;
    enum fold_reason *why;
    size_t nnodes;
    mpq_t mean[INDICATOR_HOURS];
    mpz_t z;
    mpq_t q, r;
};

/* A period of the day. */
struct fold_span {
    unsigned slot, hour, nhours; /* its first hour, from first_ms on */
    int64_t from_ms, to_ms;
};

void *fold_alloc(struct fold *f, size_t n, size_t size); /* zeroed, counted; NULL */
unsigned fold_slot(const struct fold *f, unsigned hour);
/* Adds; what does not fit makes the hour of that input `range`. */
void fold_add(struct fold *f, unsigned input, unsigned hour, int64_t *sum, int64_t v);
uint64_t fold_due(const struct fold_one *s, int64_t from_ms, int64_t to_ms, int64_t now_ms);
uint64_t fold_good(const struct fold *f, unsigned input, const struct fold_span *p);

/* fold_terms.c: which series feed which terms. */
enum st fold_terms(struct fold *f, struct err *e) ST_MUST_CHECK;
enum st fold_feeds(struct fold *f, struct err *e) ST_MUST_CHECK;

/* fold_hours.c: these give FOLD_OK, FOLD_MISSING, FOLD_NO_HOURS, FOLD_NORM. */
enum fold_reason fold_hours(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                            mpq_t out);

/* fold_counter.c: before the reading is the last good one. `count`: it belongs to the day. */
void fold_counter_put(struct fold *f, struct fold_one *s, int64_t t_ms, int64_t v, bool count);

/* fold_drops.c */
void fold_drops_put(struct fold *f, struct fold_one *s, int64_t v, int slot);
enum fold_reason fold_drops(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                            mpq_t out);

/* fold_cond.c: whether v is what the conditions on that input demand. */
bool fold_cond_holds(const struct fold *f, const struct fold_term *t, unsigned slot, int64_t v);
/* A reading for a COND over several inputs; seen false: it is not good. */
enum st fold_pair_put(struct fold *f, const struct fold_feed *feed, int64_t t_ms, bool good,
                      int64_t v, struct err *e) ST_MUST_CHECK;
/* What is added to the sum of a period by what still waits. */
int64_t fold_pair_rest(const struct fold *f, const struct fold_term *t, const struct fold_span *p);

/* fold_time.c: the last reading ends at t_ms, or with the period. */
void fold_time_end(struct fold *f, const struct fold_one *s, struct fold_feed *feed, int64_t t_ms);
enum fold_reason fold_time(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                           mpq_t out);
enum fold_reason fold_peak(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                           mpq_t out);
void fold_peak_put(struct fold *f, const struct fold_one *s, const struct fold_feed *feed,
                   int64_t t_ms, int64_t v);

/* fold_result.c */
enum fold_reason fold_worse(enum fold_reason a, enum fold_reason b);
bool fold_fatal(enum fold_reason r); /* never a number, also within max_of and the like */
bool fold_complete(const struct indicator_def *def, uint64_t due, uint64_t good);
/* num / den * factor, to the decimals of the quantity. */
enum fold_reason fold_quotient(const struct indicator_def *def, const mpq_t num, const mpq_t den,
                               mpq_t scratch, struct num *out);

/* fold_eval.c: numerator or denominator, into out. */
enum fold_reason fold_eval(struct fold *f, const struct formula *x, const uint16_t *terms,
                           const struct fold_span *p, mpq_t out);

#endif
