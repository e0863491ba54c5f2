/* Indicator: what follows the store and says figures: run.c, walk.c, value.c, late.c, put.c, age.c.
 */
#ifndef GATEWAY_INDICATOR_RUN_INT_H
#define GATEWAY_INDICATOR_RUN_INT_H

#include "gateway/indicator/day_int.h"
#include "gateway/indicator/fed_int.h"

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
    int32_t clean;                   /* that day is done; INT32_MIN: none */
    struct store_partial_day folded; /* that one, too; day INT32_MIN: none */
    struct buf stood, before;        /* of folded; as read */
    struct run_row *row;
    size_t nrows, nput;
    bool written; /* the rows are in the store, their readings may not be */
    struct buf cose, texts;
    struct fold_result result;
    uint32_t like;
    int64_t age_tick_ms;
    bool flushing;        /* it failed half way, and goes on */
    bool fed_known;       /* what feeds them was held against what did */
    struct wire_span fed; /* to be written; p NULL: nothing */
    struct fed gone;      /* what fed them once */
    bool *stays;          /* of each instance: its figures of the day that is folded stay */
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
/* Once, with the open day there when there is one: days on which the configuration says something
 * else than at the start before are to be folded anew. */
enum st run_fed(struct run *r, struct err *e) ST_MUST_CHECK;
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
