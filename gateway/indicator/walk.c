/* Follows what is sealed: each batch once, in order. The readings of the open day go into its
 * folds; its periods are computed once a window begins at their end or behind it. */
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/run_int.h"

#define KNOWN_MS (2 * CLK_UNKNOWN_BASE_MS) /* earlier times count from a boot */
#define SKIP_DAYS 62                       /* days without a batch that have values still */

/* ---- the open day ---- */

/* That day with all that the store has of it up to the walk. */
enum st run_day(struct run *r, int32_t day, struct day **out, struct err *e)
{
    struct store_partial_day was = {.day = 0};
    struct day_stood *before = calloc(r->in->nfeeds + (size_t)1, sizeof *before);
    *out = NULL;
    if (!before)
        return err_set(e, ST_MEMORY, "indicators: no memory for a day");
    enum st st = store_partial_day_before(r->reader, day, &was, &r->before, e);
    day_stood_read(r->in, st == ST_OK ? was.stood : (struct wire_span){NULL, 0}, before);
    if (st == ST_OK || st == ST_NOT_FOUND)
        st = day_open(out, r->in, day, before, r->reader, e);
    free(before);
    if (st == ST_OK)
        st = day_fill(*out, r->reader, r->at.batch, e);
    if (st == ST_OK && (*out)->cut)
        store_event(r->store, STORE_WARNING, "indicator.cut", NULL,
                    "%llu readings of one day are not in its figures: more than %d came out of "
                    "order",
                    (unsigned long long)(*out)->cut, DAY_LATE_MAX);
    if (st != ST_OK) {
        day_close(*out);
        *out = NULL;
    }
    return st;
}

enum st run_reopen(struct run *r, int32_t day, struct err *e)
{
    day_close(r->open);
    r->open = NULL;
    return run_day(r, day, &r->open, e);
}

static enum st values(struct run *r, int64_t upto_ms, struct err *e)
{
    int64_t after_ms = r->at.done_ms;
    if (r->open->disordered)
        ERR_TRY(run_reopen(r, r->open->day, e));
    if (r->open->fresh) /* others want the values of hours that were said already, too */
        after_ms = INT64_MIN;
    r->open->fresh = false;
    return run_values(r, r->open, after_ms, upto_ms, e);
}

/* The open day is over, and the next one is open. */
static enum st close_day(struct run *r, struct err *e)
{
    struct day *d = r->open;
    ERR_TRY(values(r, d->to_ms, e));
    d = r->open;
    r->stood.n = 0;
    ERR_TRY(day_stood_text(d, &r->stood, e));
    r->folded = (struct store_partial_day){.day = d->day,
                                           .first = d->batch_first,
                                           .last = d->batch_last,
                                           .stood = {r->stood.p, r->stood.n}};
    ERR_TRY(store_batches_held(r->reader, d->batch_first, d->batch_last, &r->folded.n, e));
    r->at.done_ms = d->to_ms;
    ERR_TRY(run_flush(r, e));
    return run_reopen(r, d->day + 1, e);
}

/* A window begins at from_ms: what ended before it is computed. */
static enum st advance(struct run *r, int64_t from_ms, struct err *e)
{
    int32_t day = indicator_day_of(from_ms);
    while (r->open->day < day && day - r->open->day <= SKIP_DAYS)
        ERR_TRY(close_day(r, e));
    if (r->open->day < day) {
        ERR_TRY(close_day(r, e));
        r->at.done_ms = indicator_day_ms(day);
        ERR_TRY(run_reopen(r, day, e));
    }
    if (day < r->open->day) /* the clock was set back: its readings mark their days */
        return ST_OK;
    int64_t upto_ms = from_ms - (from_ms - r->open->from_ms) % INDICATOR_HOUR_MS;
    if (upto_ms <= r->at.done_ms)
        return ST_OK;
    ERR_TRY(values(r, upto_ms, e));
    r->at.done_ms = upto_ms;
    return run_flush(r, e);
}

/* ---- a batch ---- */

static enum st take(struct run *r, const struct wire_reading *w, int64_t batch, struct err *e)
{
    uint32_t f = instances_find(r->in, w->device, w->point, r->like);
    if (f == UINT32_MAX)
        return ST_OK;
    r->like = f;
    if (w->t_ms < KNOWN_MS || w->t_ms >= r->open->to_ms) /* those come with their day */
        return ST_OK;
    if (w->t_ms >= r->open->from_ms) {
        if (w->t_ms < r->at.done_ms)
            r->open->disordered = true;
        return r->open->disordered ? ST_OK : day_put(r->open, f, w->t_ms, w->v, w->q, batch, e);
    }
    int32_t day = indicator_day_of(w->t_ms);
    run_mark(r, day, batch);
    if (w->t_ms >= indicator_day_ms(day + 1) - r->open->reach_ms)
        run_mark(r, day + 1, batch);
    return ST_OK;
}

static enum st readings(struct run *r, const struct wire_batch *b, int64_t id,
                        struct store_shift shift, struct err *e)
{
    struct wire_senml it;
    struct wire_reading w;
    enum st st = wire_senml_open(&it, b->cose.payload.p, b->cose.payload.n, b->header.gw, NULL, e);
    while (st == ST_OK && (st = wire_senml_next(&it, &w, e)) == ST_OK)
        if (store_times_apply(r->times, shift, &w))
            st = take(r, &w, id, e);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st data(struct run *r, const struct wire_batch *b, int64_t id, struct err *e)
{
    if (!r->times)
        ERR_TRY(store_times_open(&r->times, r->reader, e));
    struct store_shift shift =
        store_times_of(r->times, b->header.chain, b->header.boot, b->header.seq);
    int64_t from_ms = b->header.from_ms + shift.add_ms;
    if (from_ms < KNOWN_MS)
        return ST_OK; /* its time is not known: the entry that tells it names the days */
    if (!r->open) {
        int32_t day = indicator_day_of(from_ms);
        r->at.done_ms = indicator_day_ms(day);
        ERR_TRY(run_reopen(r, day, e));
    }
    ERR_TRY(readings(r, b, id, shift, e));
    int64_t was = r->at.batch;
    r->at.batch = r->data_batch = id;
    enum st st = advance(r, from_ms, e);
    if (st != ST_OK) {
        r->at.batch = was; /* the batch is met again: its day is folded anew then */
        if (r->open)
            r->open->disordered = true;
    }
    return st;
}

static enum st one(struct run *r, const struct store_batch *b, struct err *e)
{
    struct wire_batch w;
    r->cose.n = 0;
    ERR_TRY(wire_zstd_unpack(b->packed.p, b->packed.n, WIRE_BATCH_MAX, &r->cose, e));
    ERR_TRY(wire_batch_open_sealed(&w, r->cose.p, r->cose.n, e));
    enum st st;
    if (w.header.kind == WIRE_CONTROL) {
        store_times_close(r->times);
        r->times = NULL;
        st = run_touched(r, b->id, e);
    } else {
        st = data(r, &w, b->id, e);
    }
    wire_batch_done(&w);
    return st;
}

enum st run_walk(struct run *r, struct err *e)
{
    struct store_batch b;
    ERR_TRY(store_batch_behind(r->reader, r->at.batch, INT64_MIN, INT64_MAX, &b, e));
    enum st st = one(r, &b, e);
    if (st == ST_CORRUPT || st == ST_BAD) { /* another's to tell; its good readings are in */
        st = ST_OK;
    }
    if (st == ST_OK)
        r->at.batch = b.id;
    return st;
}
