/* Days that are folded anew: what came late, was corrected, moved or taken back. */
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/run_int.h"

#define PATIENCE_MS INDICATOR_HOUR_MS /* a day that is touched by each batch waits no longer */

void run_mark(struct run *r, int32_t day, int64_t batch)
{
    uint32_t i = 0;
    if (r->open && day == r->open->day)
        r->open->disordered = true;
    if (r->open && day >= r->open->day)
        return;
    while (i < r->ndirty && r->dirty[i].day < day)
        i++;
    if (i < r->ndirty && r->dirty[i].day == day) {
        r->dirty[i].batch = batch > r->dirty[i].batch ? batch : r->dirty[i].batch;
        return;
    }
    if (r->ndirty == RUN_DIRTY) {
        store_event(r->store, STORE_WARNING, "indicator.kept", NULL,
                    "more than %d days are to be computed anew: some stay as they were", RUN_DIRTY);
        return;
    }
    memmove(&r->dirty[i + 1], &r->dirty[i], (r->ndirty - i) * sizeof *r->dirty);
    r->dirty[i] = (struct run_dirty){day, batch, clk_mono(r->clk)};
    r->ndirty++;
}

/* ---- what is held ---- */

static bool any_row(void *ctx, const struct store_partial *p)
{
    (void)p;
    *(bool *)ctx = true;
    return false;
}

/* Whether anything was said of that time. */
static enum st was_said(struct run *r, int64_t from_ms, int64_t to_ms, bool *said, struct err *e)
{
    *said = false;
    for (uint32_t i = 0; i < r->in->n && !*said; i++)
        ERR_TRY(store_partial_each(r->reader, r->in->v[i].id, from_ms, to_ms, any_row, said, e));
    return ST_OK;
}

/* Whether all batches are held that made it. A day that was never folded: whether nothing was said
 * of it. */
static enum st is_whole(struct run *r, int32_t day, bool *whole, struct err *e)
{
    struct store_partial_day was;
    int64_t n = 0;
    enum st st = store_partial_day_get(r->reader, day, &was, &r->before, e);
    if (st == ST_OK) {
        ERR_TRY(store_batches_held(r->reader, was.first, was.last, &n, e));
        *whole = n == was.n;
        return ST_OK;
    }
    if (st != ST_NOT_FOUND)
        return st;
    ERR_TRY(was_said(r, indicator_day_ms(day), indicator_day_ms(day + 1), whole, e));
    *whole = !*whole;
    return ST_OK;
}

static void keep(struct run *r, const char *until, int32_t day, const char *why)
{
    char when[CLK_TEXT_BYTES];
    (void)clk_text(indicator_day_ms(day) + INDICATOR_ZONE_MS, when);
    when[strcspn(when, "T")] = '\0';
    store_event(r->store, STORE_WARNING, "indicator.kept", NULL,
                "the figures of %s%s stay as they were computed, without what was said later: %s",
                until, when, why);
}

/* ---- what a control batch touches ---- */

struct touched {
    struct run *r;
    int64_t batch;
    int32_t first;          /* no day before it is held */
    int64_t from_ms, to_ms; /* of what is touched before it */
};

static void touch(void *ctx, int64_t from_ms, int64_t to_ms)
{
    struct touched *t = ctx;
    int64_t first_ms = indicator_day_ms(t->first);
    if (!t->r->open || to_ms <= from_ms)
        return;
    if (from_ms < first_ms) {
        t->from_ms = from_ms < t->from_ms ? from_ms : t->from_ms;
        t->to_ms = to_ms > t->to_ms ? to_ms : t->to_ms;
        from_ms = first_ms;
    }
    int64_t reach_ms = t->r->open->reach_ms; /* a day looks so far back */
    for (int32_t d = indicator_day_of(from_ms);
         d <= t->r->open->day && indicator_day_ms(d) - reach_ms < to_ms; d++)
        run_mark(t->r, d, t->batch);
}

enum st run_touched(struct run *r, int64_t batch, struct err *e)
{
    struct touched t = {r, batch, 0, INT64_MAX, INT64_MIN};
    struct store_batch b;
    bool said = false;
    enum st st = store_batch_behind(r->reader, 0, INT64_MIN, INT64_MAX, &b, e);
    if (st != ST_OK || !r->open)
        return st == ST_NOT_FOUND ? ST_OK : st;
    t.first = b.from_ms < 2 * CLK_UNKNOWN_BASE_MS ? r->open->day - RUN_DIRTY
                                                  : indicator_day_of(b.from_ms);
    ERR_TRY(store_each_touched(r->reader, batch, touch, &t, e));
    int64_t first_ms = indicator_day_ms(t.first);
    if (t.from_ms < t.to_ms)
        ERR_TRY(was_said(
            r, t.from_ms - INDICATOR_DAY_MS < t.from_ms ? t.from_ms - INDICATOR_DAY_MS : t.from_ms,
            t.to_ms < first_ms ? t.to_ms : first_ms, &said, e));
    if (said)
        keep(r, "days before ", t.first, "batches with their readings have left the store");
    return ST_OK;
}

/* The day is done: what it stood on, and whether the next one has to follow. */
static enum st note_day(struct run *r, const struct day *d, struct err *e)
{
    struct store_partial_day was;
    enum st st = store_partial_day_get(r->reader, d->day, &was, &r->before, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    r->stood.n = 0;
    ERR_TRY(day_stood_text(d, &r->stood, e));
    bool same = st == ST_OK && was.stood.n == r->stood.n &&
                memcmp(was.stood.p, r->stood.p, r->stood.n) == 0;
    r->folded = (struct store_partial_day){.day = d->day,
                                           .first = d->batch_first,
                                           .last = d->batch_last,
                                           .stood = {r->stood.p, r->stood.n}};
    ERR_TRY(store_batches_held(r->reader, d->batch_first, d->batch_last, &r->folded.n, e));
    if (!same)
        run_mark(r, d->day + 1, 0); /* nothing more has to come */
    return ST_OK;
}

static enum st fold_anew(struct run *r, int32_t day, struct err *e)
{
    struct day *d = NULL;
    ERR_TRY(run_day(r, day, &d, e));
    d->fresh = false;
    enum st st = run_values(r, d, INT64_MIN, INT64_MAX, e);
    if (st == ST_OK)
        st = note_day(r, d, e);
    day_close(d);
    return st;
}

static void unmark(struct run *r, uint32_t i)
{
    memmove(&r->dirty[i], &r->dirty[i + 1], (r->ndirty - i - 1) * sizeof *r->dirty);
    r->ndirty--;
}

enum st run_redo(struct run *r, struct err *e)
{
    uint32_t i = 0;
    int64_t now_ms = clk_mono(r->clk).ms;
    while (i < r->ndirty && r->dirty[i].batch >= r->data_batch &&
           now_ms - r->dirty[i].since.ms < PATIENCE_MS)
        i++;
    if (i == r->ndirty)
        return ST_NOT_FOUND;
    int32_t day = r->dirty[i].day;
    bool whole = false;
    struct err why = {.text = ""};
    ERR_TRY(is_whole(r, day, &whole, e));
    enum st st = whole ? fold_anew(r, day, &why) : ST_OK;
    if (st != ST_OK && st != ST_CORRUPT && st != ST_BAD) {
        if (e)
            *e = why;
        return st;
    }
    if (!whole)
        keep(r, "", day, "batches with its readings have left the store");
    else if (st != ST_OK)
        keep(r, "", day, why.text);
    unmark(r, i);
    r->clean = day;
    return run_flush(r, e);
}
