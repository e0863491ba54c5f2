/* Values that stand for the readings of an interval: count, mean, min, max, first and last.
 *
 * The mean is a binary64, moved on reading by reading (or value by value, by their counts), so that
 * it neither overflows nor drifts from a constant; the others are readings as they were. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/seal/thin_int.h"

const char *const seal_suffix[SEAL_WHATS] = {"",     ":count", ":mean", ":min",
                                             ":max", ":first", ":last"};
#define ALL_WHATS ((1u << SEAL_WHATS) - 1 - (1u << SEAL_RAW))

const int64_t seal_step_ms[STORE_LEVELS] = {[STORE_1MIN] = 60000,
                                            [STORE_15MIN] = SEAL_ALIGN_MS,
                                            [STORE_LAST_1MIN] = 60000,
                                            [STORE_LAST_15MIN] = SEAL_ALIGN_MS};

/* What some readings of one series have in common. */
struct sum {
    uint64_t n;
    double mean;
    struct num min, max, first, last;
    uint8_t q;
};

void seal_name_split(struct item *x, struct wire_span name)
{
    const uint8_t *colon = memchr(name.p, ':', name.n);
    x->point = name;
    x->what = SEAL_RAW;
    for (uint8_t w = SEAL_COUNT; colon && w < SEAL_WHATS; w++)
        if (span_cmp((struct wire_span){colon, name.n - (size_t)(colon - name.p)},
                     (struct wire_span){(const uint8_t *)seal_suffix[w], strlen(seal_suffix[w])}) ==
            0) {
            x->point.n = (size_t)(colon - name.p);
            x->what = w;
        }
}

/* Whether the series is thinned last. */
static bool is_last(const struct seal *l, const struct item *x)
{
    uint32_t d = 0, n = store_device_count(l->store);
    char id[SEAL_NAME_BYTES], point[SEAL_NAME_BYTES];
    (void)snprintf(id, sizeof id, "%.*s", (int)x->device.n, (const char *)x->device.p);
    (void)snprintf(point, sizeof point, "%.*s", (int)x->point.n, (const char *)x->point.p);
    while (d < n && strcmp(store_device_at(l->store, d)->id, id) != 0)
        d++;
    if (d == n || store_device_at(l->store, d)->legal)
        return true;
    for (uint32_t i = 0; i < store_series_count(l->store); i++) {
        const struct store_series *s = store_series_at(l->store, i);
        if (s->period_ms == 0 && s->device == d && strcmp(s->point, point) == 0)
            return true;
    }
    return false;
}

/* What the items at x say together: one raw reading, or the six values of a thinned one. 0: they
 * are neither; else how many they are. */
static size_t part(const struct item *x, size_t n, struct sum *out)
{
    if (x->what == SEAL_RAW) {
        *out = (struct sum){1, num_double(x->v), x->v, x->v, x->v, x->v, x->q};
        return 1;
    }
    unsigned seen = 0;
    *out = (struct sum){0};
    for (size_t i = 0; i < n && i < SEAL_WHATS - 1 && x[i].t_ms == x->t_ms; i++) {
        struct num *const to[SEAL_WHATS] = {[SEAL_MIN] = &out->min,
                                            [SEAL_MAX] = &out->max,
                                            [SEAL_FIRST] = &out->first,
                                            [SEAL_LAST] = &out->last};
        seen |= 1u << x[i].what;
        out->q |= x[i].q;
        if (x[i].what == SEAL_COUNT)
            out->n = x[i].v.kind == NUM_DEC && x[i].v.exp == 0 ? (uint64_t)x[i].v.i : 0;
        else if (x[i].what == SEAL_MEAN)
            out->mean = num_double(x[i].v);
        else if (to[x[i].what])
            *to[x[i].what] = x[i].v;
    }
    return seen == ALL_WHATS && out->n > 0 ? SEAL_WHATS - 1 : 0;
}

static void sum_add(struct sum *s, const struct sum *p)
{
    if (s->n == 0) {
        *s = *p;
        return;
    }
    s->n += p->n;
    s->mean += (p->mean - s->mean) * ((double)p->n / (double)s->n);
    s->min = num_cmp(p->min, s->min) < 0 ? p->min : s->min;
    s->max = num_cmp(p->max, s->max) > 0 ? p->max : s->max;
    s->last = p->last;
    s->q |= p->q;
}

/* The start of the interval that t lies in; with an unknown clock times begin at 2^28 s. */
static int64_t bucket_of(int64_t t_ms, int64_t step)
{
    int64_t b = t_ms - t_ms % step;
    return b < CLK_UNKNOWN_BASE_MS ? CLK_UNKNOWN_BASE_MS : b;
}

/* The values of one interval of a series: x[0] … x[*used-1] lie in it. false: they cannot be
 * summed. */
static bool interval(const struct item *x, size_t n, int64_t step, struct sum *s, size_t *used)
{
    int64_t start = bucket_of(x->t_ms, step);
    *s = (struct sum){0};
    for (*used = 0; *used < n && bucket_of(x[*used].t_ms, step) == start;) {
        struct sum p;
        size_t k = part(x + *used, n - *used, &p);
        if (k == 0)
            return false;
        sum_add(s, &p);
        *used += k;
    }
    return num_flt(s->mean).kind == NUM_FLT;
}

/* Whether thinning makes the series shorter, and can. */
static bool is_worth_it(const struct item *x, size_t n, int64_t step)
{
    size_t records = 0;
    const struct wire_span *unit = NULL;
    for (size_t i = 0; i < n; i++) {
        if (x[i].what == SEAL_COUNT)
            continue;
        if (unit && span_cmp(*unit, x[i].unit) != 0)
            return false; /* the plan changed in between */
        unit = &x[i].unit;
    }
    for (size_t i = 0, used; i < n; i += used) {
        struct sum s;
        if (!interval(x + i, n - i, step, &s, &used))
            return false;
        records += SEAL_WHATS - 1;
    }
    return records < n;
}

static void emit(struct thin *t, const struct item *like, int64_t t_ms, enum what what,
                 struct num v, uint8_t q)
{
    struct item *x = &t->out[t->nout];
    *x = *like;
    x->t_ms = t_ms;
    x->what = (uint8_t)what;
    x->v = v;
    x->q = q;
    if (what == SEAL_COUNT)
        x->unit = (struct wire_span){NULL, 0};
    x->at = (uint32_t)t->nout++;
}

/* batch.md rule 11 leaves the flags open: those of all the readings, and that it is computed. */
static void emit_sum(struct thin *t, const struct item *like, int64_t t_ms, const struct sum *s)
{
    uint8_t q = s->q | WIRE_Q_COMPUTED;
    emit(t, like, t_ms, SEAL_COUNT, num_dec((int64_t)s->n, 0), q);
    emit(t, like, t_ms, SEAL_MEAN, num_flt(s->mean), q);
    emit(t, like, t_ms, SEAL_MIN, s->min, q);
    emit(t, like, t_ms, SEAL_MAX, s->max, q);
    emit(t, like, t_ms, SEAL_FIRST, s->first, q);
    emit(t, like, t_ms, SEAL_LAST, s->last, q);
}

bool seal_thin_series(struct thin *t, const struct item *x, size_t n)
{
    int64_t step = seal_step_ms[t->level];
    bool later = t->level < STORE_LAST_1MIN && is_last(t->l, x);
    if (later || !is_worth_it(x, n, step)) {
        for (size_t i = 0; i < n; i++)
            emit(t, &x[i], x[i].t_ms, (enum what)x[i].what, x[i].v, x[i].q);
        return x->what != SEAL_RAW; /* thinned before */
    }
    const struct item *like = x;
    while (like->what == SEAL_COUNT) /* has no unit */
        like++;
    for (size_t i = 0, used; i < n; i += used) {
        struct sum s;
        (void)interval(x + i, n - i, step, &s, &used); /* is_worth_it has seen it */
        emit_sum(t, like, bucket_of(x[i].t_ms, step), &s);
    }
    t->gain = true;
    return true;
}
