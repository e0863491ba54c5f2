#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/fold_int.h"
#include "gateway/wire/wire.h"

#define NOT_GOOD                                                                                   \
    (WIRE_Q_LIMITS | WIRE_Q_STUCK | WIRE_Q_FAULT | WIRE_Q_CALIBRATING | WIRE_Q_TIME_UNKNOWN)

int32_t indicator_day_of(int64_t t_ms)
{
    int64_t local = t_ms + INDICATOR_ZONE_MS, day = local / INDICATOR_DAY_MS;
    return (int32_t)(day - (local % INDICATOR_DAY_MS < 0));
}

int64_t indicator_day_ms(int32_t day)
{
    return day * INDICATOR_DAY_MS - INDICATOR_ZONE_MS;
}

static bool has_nowcast(const struct formula *x)
{
    for (size_t i = 0; x && i < x->nterms; i++) {
        if (x->term[i].fn == FORMULA_NOWCAST) {
            return true;
        }
    }
    return false;
}

int64_t fold_reaches_ms(const struct indicator_def *def)
{
    return has_nowcast(def->num) || has_nowcast(def->den) ? FOLD_REACH_HOURS * INDICATOR_HOUR_MS
                                                          : 0;
}

void *fold_alloc(struct fold *f, size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);
    f->bytes += p ? n * size : 0;
    return p;
}

unsigned fold_slot(const struct fold *f, unsigned hour)
{
    return f->slots == 1 ? 0 : hour - f->reach;
}

void fold_add(struct fold *f, unsigned input, unsigned hour, int64_t *sum, int64_t v)
{
    if (__builtin_add_overflow(*sum, v, sum)) {
        f->large[input] |= UINT64_C(1) << hour;
    }
}

uint64_t fold_due(const struct fold_one *s, int64_t from_ms, int64_t to_ms, int64_t now_ms)
{
    const struct fold_series *a = &s->about;
    int64_t from = from_ms > a->due_from_ms ? from_ms : a->due_from_ms;
    int64_t to = to_ms < a->due_to_ms ? to_ms : a->due_to_ms;
    to = to < now_ms ? to : now_ms;
    if (a->period_ms <= 0 || to <= from) {
        return 0;
    }
    return to - from < a->period_ms ? 1 : (uint64_t)((to - from) / a->period_ms);
}

uint64_t fold_good(const struct fold *f, unsigned input, const struct fold_span *p)
{
    uint64_t n = 0;
    for (uint32_t i = f->from[input]; i < f->from[input + 1]; i++) {
        for (unsigned h = p->hour; h < p->hour + p->nhours; h++) {
            n += f->one[f->order[i]].n[h];
        }
    }
    return n;
}

/* ---- what a fold holds ---------------------------------------------------------------------- */

/* The series by input: counted, then laid out. */
static enum st sort_series(struct fold *f, const struct fold_series *series, struct err *e)
{
    uint32_t at[INDICATOR_INPUTS_MAX] = {0};
    for (uint32_t i = 0; i < f->nones; i++) {
        if (series[i].input >= f->def->inputs.n) {
            return err_set(e, ST_BAD, "indicator %s has no input %u", f->def->id, series[i].input);
        }
        f->from[series[i].input + 1]++;
    }
    for (size_t i = 0; i < INDICATOR_INPUTS_MAX; i++) {
        f->from[i + 1] += f->from[i];
        at[i] = f->from[i];
    }
    for (uint32_t i = 0; i < f->nones; i++) {
        f->order[at[series[i].input]++] = i;
    }
    return ST_OK;
}

static int64_t most_of(const struct quantity *q)
{
    int64_t most = q ? q->most_per_hour : 0;
    for (int i = q ? q->decimals : 6; i < 6; i++) {
        if (__builtin_mul_overflow(most, 10, &most)) {
            return 0;
        }
    }
    return most;
}

static void open_series(struct fold *f, const struct fold_series *series, int64_t *sum, uint32_t *n)
{
    const struct indicator_input *inputs = f->def->inputs.v;
    for (uint32_t i = 0; i < f->nones; i++) {
        struct fold_one *s = &f->one[i];
        *s = (struct fold_one){.about = series[i],
                               .seen_ms = INT64_MIN,
                               .hour_to = INT64_MIN,
                               .base_hour = -1,
                               .run_slot = -1,
                               .bad = NOT_GOOD,
                               .most = most_of(series[i].quantity),
                               .sum = sum + (size_t)i * f->hours,
                               .n = n + (size_t)i * f->hours};
        if (!inputs[series[i].input].indicator) {
            s->bad |= WIRE_Q_COMPUTED;
        }
    }
}

static enum st open_all(struct fold *f, const struct fold_series *series, struct err *e)
{
    size_t nodes = f->def->num ? f->def->num->nnodes : 0;
    size_t more = f->def->den ? f->def->den->nnodes : 0;
    size_t want = nodes > more ? nodes : more;
    int64_t *sum = fold_alloc(f, (size_t)f->nones * f->hours, sizeof *sum);
    uint32_t *n = fold_alloc(f, (size_t)f->nones * f->hours, sizeof *n);
    f->one = fold_alloc(f, f->nones, sizeof *f->one);
    f->order = fold_alloc(f, f->nones, sizeof *f->order);
    f->node = fold_alloc(f, want, sizeof *f->node);
    f->why = fold_alloc(f, want, sizeof *f->why);
    if (f->one) { /* they are found there again to be freed */
        f->one[0].sum = sum;
        f->one[0].n = n;
    }
    for (; f->node && f->nnodes < want; f->nnodes++) {
        mpq_init(f->node[f->nnodes]);
    }
    if (!sum || !n || !f->one || !f->order || !f->node || !f->why) {
        if (!f->one) {
            free(sum);
            free(n);
        }
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
    }
    ERR_TRY(sort_series(f, series, e));
    open_series(f, series, sum, n);
    ERR_TRY(fold_terms(f, e));
    return fold_feeds(f, e);
}

enum st fold_open(struct fold **out, const struct indicator_def *def, int32_t day,
                  const struct fold_series *series, size_t nseries, struct err *e)
{
    struct fold *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f) {
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", def->id);
    }
    f->bytes = sizeof *f;
    f->def = def;
    f->nones = (uint32_t)nseries;
    f->slots = def->period == INDICATOR_HOUR ? INDICATOR_HOURS : 1;
    f->reach = (unsigned)(fold_reaches_ms(def) / INDICATOR_HOUR_MS);
    f->hours = INDICATOR_HOURS + f->reach;
    f->day_ms = indicator_day_ms(day);
    f->first_ms = f->day_ms - f->reach * INDICATOR_HOUR_MS;
    f->end_ms = f->day_ms + INDICATOR_DAY_MS;
    mpz_init(f->z);
    mpq_inits(f->q, f->r, (mpq_ptr)NULL);
    for (size_t i = 0; i < INDICATOR_HOURS; i++) {
        mpq_init(f->mean[i]);
    }
    enum st st = open_all(f, series, e);
    if (st != ST_OK) {
        fold_close(f);
        return st;
    }
    *out = f;
    return ST_OK;
}

void fold_close(struct fold *f)
{
    if (!f) {
        return;
    }
    for (uint16_t i = 0; i < f->nterms; i++) {
        free(f->term[i].sum);
        free(f->term[i].parts);
    }
    for (uint32_t i = 0; i < f->nfeeds; i++) {
        free(f->feed[i].sum);
        free(f->feed[i].n);
    }
    for (uint32_t i = 0; i < f->npairs; i++) {
        free(f->pair[i].series);
        free(f->pair[i].wait);
    }
    if (f->one) {
        free(f->one[0].sum);
        free(f->one[0].n);
    }
    for (size_t i = 0; i < f->nnodes; i++) {
        mpq_clear(f->node[i]);
    }
    for (size_t i = 0; i < INDICATOR_HOURS; i++) {
        mpq_clear(f->mean[i]);
    }
    mpq_clears(f->q, f->r, (mpq_ptr)NULL);
    mpz_clear(f->z);
    free(f->node);
    free(f->why);
    free(f->one);
    free(f->order);
    free(f->term);
    free(f->num_term);
    free(f->den_term);
    free(f->cond);
    free(f->range);
    free(f->feed);
    free(f->pair);
    free(f->meter);
    free(f);
}

size_t fold_bytes(const struct fold *f)
{
    return f->bytes;
}

static int by_series(const void *a, const void *b)
{
    const struct fold_meter *x = a, *y = b;
    return x->series != y->series ? (x->series < y->series ? -1 : 1)
                                  : (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

enum st fold_meters(struct fold *f, const struct fold_meter *m, size_t n, struct err *e)
{
    if (f->meter) {
        return err_set(e, ST_CONFLICT, "the meters of this day are known already");
    }
    f->meter = fold_alloc(f, n, sizeof *m);
    if (!f->meter) {
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
    }
    if (n > 0) {
        memcpy(f->meter, m, n * sizeof *m);
        qsort(f->meter, n, sizeof *m, by_series);
    }
    for (size_t i = 0; i < n; i++) {
        if (m[i].series >= f->nones) {
            return err_set(e, ST_BAD, "indicator %s has no series %u", f->def->id, m[i].series);
        }
        struct fold_one *s = &f->one[f->meter[i].series];
        s->meter = s->meters == 0 ? (uint32_t)i : s->meter;
        s->meters = (uint32_t)i + 1;
    }
    return ST_OK;
}

/* ---- readings ------------------------------------------------------------------------------- */

/* What a good reading of the period is to the terms that its series feeds. */
static enum st feed(struct fold *f, struct fold_one *s, int64_t t_ms, int64_t v, struct err *e)
{
    unsigned slot = fold_slot(f, s->hour);
    for (uint32_t i = 0; i < s->nfeeds; i++) {
        struct fold_feed *d = &f->feed[s->feed + i];
        struct fold_term *t = &f->term[d->term];
        switch ((enum formula_fn)t->t->fn) {
        case FORMULA_LEAST:
        case FORMULA_LARGEST:
            if (t->parts[slot]++ == 0 ||
                (t->t->fn == FORMULA_LEAST ? v < t->sum[slot] : v > t->sum[slot])) {
                t->sum[slot] = v;
            }
            break;
        case FORMULA_COUNT_COND:
            if (d->pair != UINT32_MAX) {
                ERR_TRY(fold_pair_put(f, d, t_ms, true, v, e));
            } else if (t->ninputs == 1) {
                t->sum[slot] += fold_cond_holds(f, t, 0, v);
            }
            break;
        case FORMULA_TIME_COND:
            if (d->pair != UINT32_MAX) {
                ERR_TRY(fold_pair_put(f, d, t_ms, true, v, e));
            } else if (t->ninputs == 1) {
                d->on = fold_cond_holds(f, t, 0, v);
            }
            break;
        case FORMULA_TIME:
            d->on = true;
            break;
        case FORMULA_PEAK:
            fold_peak_put(f, s, d, t_ms, v);
            break;
        default: /* by the series' sums, steps and falls */
            break;
        }
    }
    return ST_OK;
}

/* What ends with any next reading of the series: what held until now; and, with one that is not
 * good or belongs to another input, what its device says together. */
static enum st end_holds(struct fold *f, const struct fold_one *s, int64_t t_ms, bool good,
                         struct err *e)
{
    for (uint32_t i = 0; i < s->nfeeds; i++) {
        struct fold_feed *d = &f->feed[s->feed + i];
        if (d->on) {
            fold_time_end(f, s, d, t_ms);
        }
        if (!good && d->pair != UINT32_MAX && t_ms >= f->day_ms) {
            ERR_TRY(fold_pair_put(f, d, t_ms, false, 0, e));
        }
    }
    return ST_OK;
}

static void set_hour(struct fold *f, struct fold_one *s, int64_t t_ms)
{
    s->hour = (unsigned)((t_ms - f->first_ms) / INDICATOR_HOUR_MS);
    s->hour_to = f->first_ms + (s->hour + 1) * INDICATOR_HOUR_MS;
}

/* A good reading, in millionths. */
static enum st take(struct fold *f, struct fold_one *s, int64_t t_ms, int64_t v, bool belongs,
                    struct err *e)
{
    bool counts = belongs && t_ms >= f->day_ms;
    if (belongs && t_ms >= f->first_ms) {
        fold_add(f, s->about.input, s->hour, &s->sum[s->hour], v);
        s->n[s->hour]++;
    }
    if (s->counts) {
        fold_counter_put(f, s, t_ms, v, counts);
    }
    if (s->falls) {
        fold_drops_put(f, s, v, counts ? (int)fold_slot(f, s->hour) : -1);
    }
    s->has = true;
    s->good_ms = t_ms;
    s->value = v;
    s->seen_ms = t_ms;
    return counts ? feed(f, s, t_ms, v, e) : ST_OK;
}

enum st fold_put(struct fold *f, const struct fold_reading *r, struct err *e)
{
    if (r->series >= f->nones || r->t_ms >= f->end_ms) {
        return err_set(e, ST_BAD, "indicator %s: a reading of no series of it, or of a later day",
                       f->def->id);
    }
    struct fold_one *s = &f->one[r->series];
    if (r->v.kind == NUM_NONE || r->q & WIRE_Q_TIME_UNKNOWN) {
        return ST_OK; /* its time says nothing */
    }
    if (r->t_ms < s->seen_ms) {
        return err_set(e, ST_CONFLICT, "indicator %s: a reading comes after a later one",
                       f->def->id);
    }
    bool good = !(r->q & s->bad),
         belongs = r->t_ms >= s->about.due_from_ms && r->t_ms < s->about.due_to_ms;
    int64_t v = 0;
    if (s->has && r->t_ms == s->good_ms) {
        return ST_OK; /* the first of a time counts */
    }
    bool fits = !good || rational_millionths(r->v, &v);
    ERR_TRY(end_holds(f, s, r->t_ms, good && fits && belongs, e));
    if (r->t_ms >= s->hour_to && r->t_ms >= f->first_ms) {
        set_hour(f, s, r->t_ms);
    }
    if (!fits && belongs && r->t_ms >= f->first_ms) {
        f->large[s->about.input] |= UINT64_C(1) << s->hour;
    }
    s->seen_ms = r->t_ms;
    return good && fits ? take(f, s, r->t_ms, v, belongs, e) : ST_OK;
}
