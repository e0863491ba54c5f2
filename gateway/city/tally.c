/* Hours of many series: polls by count, and every due instant by what it was (decision 0019).
 *
 * A reading stands for the time from its own to a period later, or to the gap that begins before.
 * What it does not cover goes to the first of: a signed gap, readings that were taken back, a
 * window that is here (a stretch there of more than two periods is unexplained), given up, the
 * clock, not received. Per period only its first and last reading are kept: two readings with more
 * than two periods between them are always the last and the first of theirs. */
#include <stdlib.h>
#include <string.h>

#include "gateway/city/report_int.h"

#define SEEN_MAX ((size_t)2 * 1024 * 1024) /* periods of a piece: 16 MiB */
#define CELLS_MAX ((size_t)64 * 1024)
#define NEVER INT64_MAX

const char *const city_why_text[CITY_WHYS] = {
    "off",     "bus",     "device",      "overrun", "queue", "paused",      "storage",
    "thinned", "invalid", "unexplained", "void",    "clock", "not_received"};

static int64_t margin_of(const struct city_plan *p)
{
    int64_t period_ms = 0;

    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->series[i].ndue; k++)
            period_ms = most(period_ms, p->series[i].due[k].period_ms);
    return 2 * period_ms;
}

enum st city_tally_open(struct city_tally *t, struct city_plan *plan, struct err *e)
{
    *t = (struct city_tally){.plan = plan, .margin_ms = margin_of(plan)};
    t->cell = calloc(plan->n > CELLS_MAX ? plan->n : CELLS_MAX, sizeof *t->cell);
    return t->cell != NULL ? ST_OK : err_set(e, ST_MEMORY, "no memory for a report");
}

void city_tally_done(struct city_tally *t)
{
    free(t->cell);
    free(t->seen);
    free(t->gaps.v);
    memset(t, 0, sizeof *t);
}

/* How many multiples of period lie in [a, b); times are not negative. */
static int64_t multiples(int64_t a, int64_t b, int64_t period)
{
    return (b + period - 1) / period - (a + period - 1) / period;
}

/* ---- pieces ---- */

/* The part of a due time that matters for [from, to): empty when from >= to. */
static struct city_due around(const struct city_due *d, int64_t from_ms, int64_t to_ms)
{
    return (struct city_due){.from_ms = most(d->from_ms, from_ms - 2 * d->period_ms),
                             .to_ms = least(d->to_ms, to_ms + 2 * d->period_ms),
                             .period_ms = d->period_ms};
}

static size_t slots_of(const struct city_plan *p, int64_t from_ms, int64_t to_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->series[i].ndue; k++) {
            struct city_due x = around(&p->series[i].due[k], from_ms, to_ms);
            if (x.from_ms < x.to_ms && x.period_ms > 0)
                n += (size_t)((x.to_ms - 1) / x.period_ms - x.from_ms / x.period_ms + 1);
        }
    return n;
}

int64_t city_tally_fits(const struct city_tally *t, int64_t from_ms, int64_t to_ms)
{
    int64_t hour_end = (from_ms / CITY_HOUR_MS + 1) * CITY_HOUR_MS;
    int64_t hours = t->plan->n > 0 ? (int64_t)(CELLS_MAX / t->plan->n) : 1;
    int64_t end = least(to_ms, hour_end + (hours > 1 ? hours - 1 : 0) * CITY_HOUR_MS);

    while (end > hour_end && slots_of(t->plan, from_ms, end) > SEEN_MAX)
        end = hour_end + (end - hour_end) / 2 / CITY_HOUR_MS * CITY_HOUR_MS;
    while (end - from_ms > 1 && slots_of(t->plan, from_ms, end) > SEEN_MAX)
        end = from_ms + (end - from_ms) / 2;
    return end;
}

enum st city_tally_begin(struct city_tally *t, int64_t from_ms, int64_t to_ms, struct err *e)
{
    size_t nseries = t->plan->n, n = 0;

    t->from_ms = from_ms;
    t->to_ms = to_ms;
    t->gaps.n = 0;
    if (from_ms / CITY_HOUR_MS != t->hour0 || t->hours != 1) {
        t->hour0 = from_ms / CITY_HOUR_MS;
        t->hours = (size_t)((to_ms - 1) / CITY_HOUR_MS - t->hour0 + 1);
        if (nseries > 0)
            memset(t->cell, 0, t->hours * nseries * sizeof *t->cell);
    }
    t->nseen = slots_of(t->plan, from_ms, to_ms);
    if (t->nseen > t->seen_cap) {
        uint32_t(*seen)[2] = reallocarray(t->seen, t->nseen, sizeof *seen);
        if (seen == NULL)
            return err_set(e, ST_MEMORY, "no memory for a report");
        t->seen = seen;
        t->seen_cap = t->nseen;
    }
    if (t->nseen > 0)
        memset(t->seen, 0, t->nseen * sizeof *t->seen);
    for (size_t i = 0; i < nseries; i++)
        for (size_t k = 0; k < t->plan->series[i].ndue; k++) {
            struct city_due *d = &t->plan->series[i].due[k];
            struct city_due x = around(d, from_ms, to_ms);
            d->slot = n;
            d->nslots = 0;
            if (x.from_ms >= x.to_ms || x.period_ms == 0)
                continue;
            d->slot0 = x.from_ms / x.period_ms;
            d->nslots = (x.to_ms - 1) / x.period_ms - d->slot0 + 1;
            n += (size_t)d->nslots;
        }
    return ST_OK;
}

struct city_cell *city_tally_cell(const struct city_tally *t, size_t hour, uint32_t series)
{
    return &t->cell[hour * t->plan->n + series];
}

static struct city_cell *cell_at(const struct city_tally *t, int64_t t_ms, uint32_t series)
{
    return t_ms >= t->from_ms && t_ms < t->to_ms
               ? city_tally_cell(t, (size_t)(t_ms / CITY_HOUR_MS - t->hour0), series)
               : NULL;
}

void city_tally_reading(struct city_tally *t, uint32_t series, int64_t t_ms, uint32_t q, bool taken)
{
    struct city_cell *c = cell_at(t, t_ms, series);
    const struct city_due *d = city_plan_due(&t->plan->series[series], t_ms);

    if (d == NULL)
        return;
    if (c != NULL && taken)
        c->invalid++;
    else if (c != NULL && q == 0)
        c->good++;
    else if (c != NULL)
        c->flagged++;
    for (unsigned k = 0; c != NULL && !taken && k < 8 && q >> k != 0; k++)
        c->flag[k] += q >> k & 1;
    if (taken || d->period_ms == 0)
        return;
    int64_t k = t_ms / d->period_ms - d->slot0;
    if (k < 0 || k >= d->nslots)
        return;
    uint32_t *seen = t->seen[d->slot + (size_t)k], at = (uint32_t)(t_ms % d->period_ms) + 1;
    if (seen[0] == 0 || at < seen[0])
        seen[0] = at;
    if (at > seen[1])
        seen[1] = at;
}

void city_tally_thinned(struct city_tally *t, uint32_t series, int64_t t_ms, uint64_t count)
{
    struct city_cell *c = cell_at(t, t_ms, series);

    if (c != NULL && city_plan_due(&t->plan->series[series], t_ms) != NULL)
        c->thinned += count;
}

enum st city_tally_gap(struct city_tally *t, struct city_iv x)
{
    if (x.to_ms <= t->from_ms - t->margin_ms || x.from_ms >= t->to_ms + t->margin_ms)
        return ST_OK;
    return city_iv_add(&t->gaps, x);
}

/* ---- times ---- */

/* Intervals of one list that are still to come. */
struct cursor {
    const struct city_iv *v, *end;
};
#define CURSORS 6
struct sweep {
    struct city_tally *t;
    uint32_t series;
    const struct city_due *d;
    struct cursor at[CURSORS];
    int64_t until[CITY_WHYS + 1]; /* per cause: it holds up to here */
    int64_t cover;                /* the last reading stands for the time up to here */
    int64_t slot;                 /* the next one, and which of its two */
    int which;
};

static struct cursor list_of(const struct city_ivs *l, uint32_t target)
{
    size_t lo = 0, hi = l->n, end;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (l->v[mid].target < target)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (end = lo; end < l->n && l->v[end].target == target; end++)
        ;
    return (struct cursor){l->v + lo, l->v + end};
}

/* Adds [from, to) to every hour that it touches. */
static void add(struct sweep *s, int64_t from_ms, int64_t to_ms, unsigned why)
{
    from_ms = most(from_ms, s->t->from_ms);
    to_ms = least(to_ms, s->t->to_ms);
    while (from_ms < to_ms) {
        int64_t end = least(to_ms, (from_ms / CITY_HOUR_MS + 1) * CITY_HOUR_MS);
        struct city_cell *c = cell_at(s->t, from_ms, s->series);
        *(why == CITY_HELD ? &c->read_ms : &c->why_ms[why]) += end - from_ms;
        from_ms = end;
    }
}

/* What holds at x beside readings: the first in the order of enum city_why, or a window. */
static unsigned why_at(const struct sweep *s, int64_t x)
{
    for (unsigned why = 0; why < CITY_WHY_UNEXPLAINED; why++)
        if (s->until[why] > x)
            return why;
    if (s->until[CITY_HELD] > x)
        return CITY_WHY_UNEXPLAINED;
    for (unsigned why = CITY_WHY_VOID; why < CITY_WHY_NOT_RECEIVED; why++)
        if (s->until[why] > x)
            return why;
    return CITY_WHY_NOT_RECEIVED;
}

/* Between x and y nothing begins, ends or is read. */
static void judge(struct sweep *s, int64_t x, int64_t y)
{
    int64_t rest = most(x, least(y, s->cover));
    unsigned why = why_at(s, x);

    add(s, x, rest, CITY_HELD);
    if (why == CITY_WHY_UNEXPLAINED && (s->d->period_ms == 0 || y - x <= 2 * s->d->period_ms))
        why = CITY_HELD; /* rule 17 asks for no more */
    add(s, rest, y, why);
}

/* The next reading at or behind the sweep's place; NEVER: none. */
static int64_t next_reading(const struct sweep *s)
{
    if (s->slot >= s->d->nslots)
        return NEVER;
    return (s->d->slot0 + s->slot) * s->d->period_ms +
           (int64_t)s->t->seen[s->d->slot + (size_t)s->slot][s->which] - 1;
}

static void to_next_reading(struct sweep *s)
{
    const uint32_t(*seen)[2] = (const uint32_t(*)[2])s->t->seen + s->d->slot;

    if (s->slot >= 0 && s->which == 0 && seen[s->slot][1] > seen[s->slot][0]) {
        s->which = 1;
        return;
    }
    s->which = 0;
    do
        s->slot++;
    while (s->slot < s->d->nslots && seen[s->slot][0] == 0);
}

/* Lets begin what begins up to x. */
static void begin(struct sweep *s, int64_t x)
{
    for (size_t i = 0; i < CURSORS; i++)
        for (struct cursor *c = &s->at[i]; c->v < c->end && c->v->from_ms <= x; c->v++) {
            s->until[c->v->why] = most(s->until[c->v->why], c->v->to_ms);
            if (c->v->why < CITY_WHY_UNEXPLAINED)
                s->cover = least(s->cover, c->v->from_ms);
        }
}

static int64_t next_change(const struct sweep *s, int64_t x, int64_t end)
{
    for (size_t i = 0; i < CURSORS; i++)
        if (s->at[i].v < s->at[i].end)
            end = least(end, s->at[i].v->from_ms);
    for (unsigned why = 0; why <= CITY_HELD; why++)
        if (s->until[why] > x)
            end = least(end, s->until[why]);
    return least(end, next_reading(s));
}

static void sweep(struct city_tally *t, uint32_t series, const struct city_due *d)
{
    const struct city_plan *p = t->plan;
    struct city_due x = around(d, t->from_ms, t->to_ms);
    uint32_t device = CITY_TARGET_DEVICE + p->series[series].device;
    struct sweep s = {.t = t,
                      .series = series,
                      .d = d,
                      .at = {{p->held.v, p->held.v + p->held.n},
                             {p->holes.v, p->holes.v + p->holes.n},
                             list_of(&p->taken, series),
                             list_of(&t->gaps, CITY_TARGET_ALL),
                             list_of(&t->gaps, device),
                             list_of(&t->gaps, series)},
                      .slot = -1};

    if (d->nslots > 0)
        to_next_reading(&s);
    else
        s.slot = 0;
    for (int64_t at = x.from_ms; at < x.to_ms;) {
        begin(&s, at);
        for (; next_reading(&s) <= at; to_next_reading(&s))
            s.cover = next_reading(&s) + d->period_ms;
        int64_t next = next_change(&s, at, x.to_ms);
        judge(&s, at, next);
        at = next;
    }
}

/* Due polls and due time of each hour. */
static void due(struct city_tally *t, uint32_t series, const struct city_due *d)
{
    int64_t from_ms = most(d->from_ms, t->from_ms), end = least(d->to_ms, t->to_ms);

    while (from_ms < end) {
        int64_t to_ms = least(end, (from_ms / CITY_HOUR_MS + 1) * CITY_HOUR_MS);
        struct city_cell *c = cell_at(t, from_ms, series);
        c->due_ms += to_ms - from_ms;
        c->period_ms = d->period_ms;
        if (d->period_ms > 0)
            c->due += (uint64_t)multiples(from_ms, to_ms, d->period_ms);
        from_ms = to_ms;
    }
}

void city_tally_end(struct city_tally *t)
{
    city_iv_join(&t->gaps);
    for (uint32_t i = 0; i < t->plan->n; i++)
        for (size_t k = 0; k < t->plan->series[i].ndue; k++) {
            const struct city_due *d = &t->plan->series[i].due[k];
            if (d->from_ms >= t->to_ms || d->to_ms <= t->from_ms)
                continue;
            due(t, i, d);
            sweep(t, i, d);
        }
}
