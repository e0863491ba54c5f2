/* Days that are folded anew: what came late, was corrected, moved or taken back, or is said
 * otherwise by the configuration. */
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/run_int.h"

#define FED_MAX DAY_STOOD_MAX
#define LEFT "batches with their readings have left the store"
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

static void date(int32_t day, char when[CLK_TEXT_BYTES])
{
    (void)clk_text(indicator_day_ms(day) + INDICATOR_ZONE_MS, when);
    when[strcspn(when, "T")] = '\0';
}

static void keep(struct run *r, const char *until, int32_t day, const char *why)
{
    char when[CLK_TEXT_BYTES];
    date(day, when);
    store_event(r->store, STORE_WARNING, "indicator.kept", NULL,
                "the figures of %s%s stay as they were computed, without what was said later: %s",
                until, when, why);
}

static void keep_fed(struct run *r, int32_t day, const struct fed_line *l)
{
    char when[CLK_TEXT_BYTES];
    date(day, when);
    store_event(r->store, STORE_WARNING, "indicator.kept", NULL,
                "figures of %s that %s/%s fed stay as they were computed, without what was said "
                "later: it is no longer in the configuration",
                when, l->device, l->point);
}

/* ---- what a control batch touches ---- */

struct touched {
    struct run *r;
    int64_t batch;
    int32_t first;          /* no day before it is held */
    int64_t from_ms, to_ms; /* of what is touched before it */
    bool any;               /* something is said otherwise */
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

/* ST_NOT_FOUND: nothing is there that could be touched. */
static enum st touched_begin(struct run *r, int64_t batch, struct touched *t, struct err *e)
{
    struct store_batch b;
    if (!r->open)
        return ST_NOT_FOUND;
    ERR_TRY(store_batch_behind(r->reader, 0, INT64_MIN, INT64_MAX, &b, e));
    *t = (struct touched){.r = r, .batch = batch, .from_ms = INT64_MAX, .to_ms = INT64_MIN};
    t->first = b.from_ms < 2 * CLK_UNKNOWN_BASE_MS ? r->open->day - RUN_DIRTY
                                                   : indicator_day_of(b.from_ms);
    return ST_OK;
}

/* Says of which days nothing can be computed any more. */
static enum st touched_end(const struct touched *t, struct err *e)
{
    int64_t first_ms = indicator_day_ms(t->first), from_ms = t->from_ms;
    bool said = false;
    if (from_ms >= t->to_ms)
        return ST_OK;
    from_ms -= from_ms > INT64_MIN + INDICATOR_DAY_MS ? INDICATOR_DAY_MS : 0;
    ERR_TRY(was_said(t->r, from_ms, t->to_ms < first_ms ? t->to_ms : first_ms, &said, e));
    if (said)
        keep(t->r, "days before ", t->first, LEFT);
    return ST_OK;
}

enum st run_touched(struct run *r, int64_t batch, struct err *e)
{
    struct touched t;
    enum st st = touched_begin(r, batch, &t, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    ERR_TRY(store_each_touched(r->reader, batch, touch, &t, e));
    return touched_end(&t, e);
}

/* ---- what the configuration says otherwise than before ---- */

static void differs(void *ctx, int32_t from_day, int32_t until_day)
{
    struct touched *t = ctx;
    t->any = true;
    touch(t, indicator_day_ms(from_day),
          until_day == INT32_MAX ? INT64_MAX : indicator_day_ms(until_day) + INDICATOR_DAY_MS);
    if (from_day > t->first) /* for where a series stood that fed nothing before */
        run_mark(t->r, from_day - 1, t->batch);
}

static bool any_said(struct run *r, const char *figure)
{
    bool said = false;
    return store_partial_each(r->reader, figure, INT64_MIN, INT64_MAX, any_row, &said, NULL) ==
               ST_OK &&
           said;
}

/* Something feeds it again, on whatever days: what was said of the others may be wrong. */
static void began(void *ctx, const char *figure)
{
    struct touched *t = ctx;
    if (any_said(t->r, figure))
        differs(t, INT32_MIN, INT32_MAX);
}

/* It has no device any more in whose name something could be said. */
static void ended(void *ctx, const char *figure)
{
    struct touched *t = ctx;
    if (t->any && any_said(t->r, figure))
        store_event(t->r->store, STORE_WARNING, "indicator.kept", figure,
                    "the figures of %s stay as they were computed, though nothing feeds it any "
                    "more; what was wrong from the first day is taken back by `was` with a day "
                    "before it",
                    figure);
}

static enum st compare_fed(struct run *r, const struct fed *was, const struct fed *now,
                           struct err *e)
{
    struct touched t;
    enum st st = was->n > 0 ? touched_begin(r, 0, &t, e) : ST_NOT_FOUND;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    fed_compare(was, now, differs, &t);
    fed_figures_but(was, now, ended, &t);
    fed_figures_but(now, was, began, &t);
    return touched_end(&t, e);
}

/* What is to be folded anew and what it was held against are written as one. */
static enum st note_fed(struct run *r, const struct buf *before, const struct buf *text,
                        struct err *e)
{
    if (before->n == text->n && (text->n == 0 || memcmp(before->p, text->p, text->n) == 0))
        return ST_OK;
    r->fed = (struct wire_span){text->p, text->n};
    enum st st = run_flush(r, e);
    r->fed = (struct wire_span){NULL, 0};
    return st;
}

enum st run_fed(struct run *r, struct err *e)
{
    struct fed was = {.text = NULL}, now = {.text = NULL};
    struct buf before, text;
    if (r->fed_known)
        return ST_OK;
    buf_init(&before, FED_MAX);
    buf_init(&text, FED_MAX);
    enum st st = store_partial_fed_get(r->reader, &before, e);
    if (st == ST_OK || st == ST_NOT_FOUND)
        st = fed_read(&was, (struct wire_span){before.p, before.n}, e);
    if (st == ST_OK)
        st = fed_text(&text, r->in, r->store, &was, r->open ? r->open->day : INT32_MIN,
                      run_forget_before(r), e);
    if (st == ST_OK)
        st = fed_read(&now, (struct wire_span){text.p, text.n}, e);
    if (st == ST_OK)
        st = compare_fed(r, &was, &now, e);
    if (st == ST_OK)
        st = note_fed(r, &before, &text, e);
    if (st == ST_OK) {
        fed_keep_gone(&now);
        r->gone = now;
        now = (struct fed){.text = NULL};
        r->fed_known = true;
    }
    fed_done(&was);
    fed_done(&now);
    buf_done(&before);
    buf_done(&text);
    return st;
}

/* What a series fed that is no longer there stays, and with it what is made of that. A line of one;
 * NULL: nothing stays. */
static const struct fed_line *find_stays(struct run *r, int32_t day)
{
    const struct fed_line *one = NULL;
    for (uint32_t at = 0; at < r->in->n; at++) {
        const struct instance *i = &r->in->v[at];
        const struct fed_line *l = fed_gone_of(
            &r->gone, i, i->of == UINT32_MAX ? NULL : store_device_at(r->store, i->of)->id, day);
        r->stays[at] = l != NULL;
        for (uint32_t s = 0; s < i->nsources; s++)
            r->stays[at] |= r->stays[i->source[s].instance];
        one = one ? one : l;
    }
    return one;
}

/* ---- a day ---- */

/* The day is done: what it stood on, and whether the next one has to follow. */
static enum st note_day(struct run *r, const struct day *d, struct err *e)
{
    struct store_partial_day was;
    enum st st = store_partial_day_get(r->reader, d->day, &was, &r->before, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    r->stood.n = 0;
    ERR_TRY(day_stood_text(d, &r->stood, e));
    was.stood.n = st == ST_OK ? day_stood_known(r->in, r->before.p, was.stood.n) : 0;
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
    const struct fed_line *gone = find_stays(r, day);
    enum st st = run_values(r, d, INT64_MIN, INT64_MAX, e);
    memset(r->stays, 0, r->in->n * sizeof *r->stays);
    if (st == ST_OK)
        st = note_day(r, d, e);
    if (st == ST_OK && gone)
        keep_fed(r, day, gone);
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
        keep(r, "", day, LEFT);
    else if (st != ST_OK)
        keep(r, "", day, why.text);
    unmark(r, i);
    r->clean = day;
    return run_flush(r, e);
}
