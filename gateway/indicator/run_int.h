/* Indicator: what its running parts share: instances.c, day.c, step.c, put.c, late.c, run.c. */
#ifndef GATEWAY_INDICATOR_RUN_INT_H
#define GATEWAY_INDICATOR_RUN_INT_H

#include "gateway/indicator/indicator_int.h"

/* ---- instances.c: which series feed which input of whom -------------------------------------- */

/* The points of a result, in the order of a poll's records; `revision` begins each. */
enum instance_point {
    INSTANCE_REVISION,
    INSTANCE_VALUE,
    INSTANCE_NUMERATOR,
    INSTANCE_DENOMINATOR,
    INSTANCE_DUE,
    INSTANCE_GOOD,
    INSTANCE_REASON,
    INSTANCE_CATALOGUE,
    INSTANCE_POINTS
};
/* A series is what an input asks for, from one day to another (both inclusive). */
struct instance_member {
    uint32_t feed;
    uint32_t input;
    int32_t from_day, until_day;
    struct num capacity;
};
/* An input that takes the values of another instance. */
struct instance_source {
    uint32_t instance, input;
};
struct instance {
    const struct indicator_def *def;
    char *id;          /* the device of its results */
    const char *place; /* by place; else NULL */
    uint32_t of;       /* by device: the store's; else UINT32_MAX */
    struct instance_member *member;
    uint32_t nmembers;
    struct instance_source *source;
    uint32_t nsources;
    uint32_t device, series[INSTANCE_POINTS]; /* in the store */
};
/* A series that feeds any of them. */
struct instance_feed {
    const char *device, *point; /* borrowed from the store */
    uint32_t of;                /* the store's device */
    int64_t period_ms;
    const struct quantity *quantity;
};
struct instances {
    struct instance *v; /* each behind those whose values it takes */
    uint32_t n;
    struct instance_feed *feed;
    uint32_t nfeeds;
    uint32_t *slot; /* hash table of feeds, + 1; nslots is a power of two */
    uint32_t nslots;
};
/* Finds them among the devices and series of the store. */
enum st instances_open(struct instances **out, const struct indicators *x, const struct store *s,
                       struct err *e) ST_MUST_CHECK;
void instances_close(struct instances *in);
/* Whether a series of the store ever was what the input asks for; an indicator's: has instances. */
bool instances_match(const struct instances *in, const struct store *s,
                     const struct indicator_input *input);
/* Adds their devices and points to the store. */
enum st instances_declare(struct instances *in, struct store *s, struct err *e) ST_MUST_CHECK;
/* The series of that name, UINT32_MAX: nobody wants it. `like` is where the search begins: the one
 * that came before. */
uint32_t instances_find(const struct instances *in, struct wire_span device, struct wire_span point,
                        uint32_t like);

/* ---- day.c: one day of all instances ----------------------------------------------------------- */

/* The last good reading of a series. */
struct day_stood {
    int64_t t_ms; /* INT64_MIN: none */
    struct num v;
};
struct day_use { /* a series of a fold that a feed is */
    uint32_t instance, series;
};
struct day_meter {
    uint32_t feed;
    int64_t at_ms;
    struct num last, first;
};
struct day_got { /* what an instance came to in an hour, or in the day, for those that take it */
    bool has;
    struct num v;
};
struct day {
    const struct instances *in;
    int32_t day;
    int64_t from_ms, to_ms, reach_ms;
    struct fold **fold;              /* NULL: nothing to compute on that day */
    struct day_use *use;             /* of feed f: from first_use[f] to first_use[f + 1] */
    uint32_t *first_use;
    int64_t *last_ms;                /* of each feed: what was put last */
    struct day_stood *before, *stood; /* of each feed, up to the day, and up to now */
    struct day_got *got;             /* INDICATOR_HOURS of each instance */
    uint32_t *given;                 /* of each source of an instance: periods that it has had */
    struct day_meter *meter;         /* since the reading before the day, in order of time */
    uint32_t nmeters;
    bool disordered;                 /* it must be folded anew from the store */
    bool fresh;                      /* no period was computed yet */
    int64_t batch_first, batch_last; /* with readings of it; 0: none */
    uint64_t readings;
};
/* before: where each feed stood at its begin; copied. */
enum st day_open(struct day **out, const struct instances *in, int32_t day,
                 const struct day_stood *before, struct store_reader *r,
                 struct err *e) ST_MUST_CHECK;
void day_close(struct day *d);
/* A reading of the day, or of the time before it that instances reach back to. One that goes back in
 * time within its series is not taken and makes the day disordered. */
enum st day_put(struct day *d, uint32_t feed, int64_t t_ms, struct num v, uint32_t q, int64_t batch,
                struct err *e) ST_MUST_CHECK;
/* All such readings up to that batch, from the store, in order of time within each series. Once,
 * into a day that has had none. ST_FULL: more of them come out of order than can be sorted. */
enum st day_fill(struct day *d, struct store_reader *r, int64_t batch, struct err *e) ST_MUST_CHECK;
#define DAY_LATE_MAX 32768 /* that can */
/* Where its series stand at its end, as text and back: "device/point ms value" in lines. */
enum st day_stood_text(const struct day *d, struct buf *out, struct err *e) ST_MUST_CHECK;
void day_stood_read(const struct instances *in, struct wire_span text, struct day_stood *out);
#define DAY_STOOD_MAX (16 * 1024 * 1024)
size_t day_bytes(const struct day *d); /* memory that it holds */

/* ---- run.c and its parts ------------------------------------------------------------------------ */

#define RUN_ROWS 256   /* partials of one transaction */
#define RUN_DIRTY 4096 /* days that wait to be folded anew */
struct run_row {
    struct store_partial p; /* its texts are the row's own, but for its indicator */
    char *texts;
    uint32_t instance;
    struct num value, numerator, denominator;
};
struct run_dirty {
    int32_t day;
    int64_t batch; /* the last that touched it */
    struct mono since;
};
struct run {
    const struct indicators *x;
    const struct instances *in;
    struct store *store;
    struct store_reader *reader;
    const struct clk *clk;
    struct store_partial_progress at; /* the walk's; the file's may be behind */
    int64_t data_batch;               /* the last data batch that was looked at */
    struct day *open;                 /* NULL: no batch was seen yet */
    struct store_times *times;        /* NULL: to be loaded */
    struct run_dirty *dirty;          /* in order of day */
    uint32_t ndirty;
    int32_t clean;                    /* that day is done; INT32_MIN: none */
    struct store_partial_day folded;  /* that one, too; day INT32_MIN: none */
    struct buf stood, before;         /* of folded; as read */
    struct run_row *row;
    size_t nrows, nput;
    bool written;                     /* the rows are in the store, their readings may not be */
    struct buf cose, texts;
    struct fold_result result;
    uint32_t like;
    int64_t age_tick_ms;
    bool flushing;                    /* it failed half way, and goes on */
};
enum st run_open(struct run **out, const struct indicators *x, struct store *s,
                 const struct clk *clk, struct err *e) ST_MUST_CHECK;
void run_close(struct run *r);
/* A bounded piece of work; ST_NOT_FOUND: there is none now. After a failure the next call tries it
 * again. */
enum st run_step(struct run *r, struct err *e) ST_MUST_CHECK;
int32_t run_forget_before(struct run *r);

/* walk.c: the next batch. ST_NOT_FOUND. And the open day once more, from the store. */
enum st run_walk(struct run *r, struct err *e) ST_MUST_CHECK;
enum st run_day(struct run *r, int32_t day, struct day **out, struct err *e) ST_MUST_CHECK;
enum st run_reopen(struct run *r, int32_t day, struct err *e) ST_MUST_CHECK;
/* value.c: what the periods of d that end in (after_ms, upto_ms] come to, into the store and as
 * readings where it differs. */
enum st run_values(struct run *r, struct day *d, int64_t after_ms, int64_t upto_ms,
                   struct err *e) ST_MUST_CHECK;
/* late.c: that day is to be folded anew; what a control batch touches; the next such day, which
 * ST_NOT_FOUND is there when none is. */
void run_mark(struct run *r, int32_t day, int64_t batch);
enum st run_touched(struct run *r, int64_t batch, struct err *e) ST_MUST_CHECK;
enum st run_redo(struct run *r, struct err *e) ST_MUST_CHECK;
/* put.c: rows and progress into the store, then the rows as readings: run_write, run_put, run_told,
 * between which the power may go. */
enum st run_flush(struct run *r, struct err *e) ST_MUST_CHECK;
enum st run_write(struct run *r, struct err *e) ST_MUST_CHECK;
enum st run_put(struct run *r, struct err *e) ST_MUST_CHECK;
enum st run_told(struct run *r, struct err *e) ST_MUST_CHECK;
/* At the start: takes up the rows whose readings may be nowhere, without those whose are. */
enum st run_recover(struct run *r, struct err *e) ST_MUST_CHECK;
/* A row more; there is room (RUN_ROWS). Texts are copied. */
enum st run_row_add(struct run *r, const struct store_partial *p, uint32_t instance,
                    struct err *e) ST_MUST_CHECK;
void run_rows_drop(struct run *r);
/* age.c: every five minutes, the age of what is not sent. */
enum st run_age_declare(struct indicators *x, struct store *s, struct err *e) ST_MUST_CHECK;
void run_age(struct run *r);

#endif
