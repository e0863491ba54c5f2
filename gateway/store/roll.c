/* One rollup: readings and rollups added up (rollup_int.h says what comes out). */
#include "gateway/store/rollup_int.h"

#include <math.h>
#include <string.h>

static const double pow10_of[STORE_ROLL_FLOAT] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12,
    1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24};

#define AMOUNTS 7
/* All amounts of a rollup, which share its scale. */
static void amounts(struct store_roll *r, union store_roll_value *a[AMOUNTS])
{
    union store_roll_value *all[AMOUNTS] = {&r->min,  &r->max, &r->first, &r->last,
                                            &r->from, &r->to,  &r->grown};
    memcpy(a, all, sizeof all);
}

struct num store_roll_num(const struct store_roll *r, union store_roll_value a)
{
    return r->scale == STORE_ROLL_FLOAT ? num_flt(a.f) : num_dec(a.i, -(int)r->scale);
}

double store_roll_mean(const struct store_roll *r)
{
    double mean = r->sum / r->count;
    return r->scale == STORE_ROLL_FLOAT ? mean : mean / pow10_of[r->scale];
}

static void to_float(struct store_roll *r)
{
    union store_roll_value *a[AMOUNTS];
    if (r->scale == STORE_ROLL_FLOAT)
        return;
    amounts(r, a);
    for (size_t i = 0; i < AMOUNTS; i++)
        a[i]->f = num_double((struct num){.i = a[i]->i, .kind = NUM_DEC, .exp = (int8_t)-r->scale});
    r->sum /= pow10_of[r->scale];
    r->scale = STORE_ROLL_FLOAT;
}

static bool scaled(int64_t i, unsigned by, int64_t *out)
{
    for (*out = i; by > 0; by--)
        if (__builtin_mul_overflow(*out, INT64_C(10), out))
            return false;
    return true;
}

/* Takes all amounts to a finer scale; to binary64 when one of them does not fit. */
static void to_scale(struct store_roll *r, uint8_t scale)
{
    union store_roll_value *a[AMOUNTS], fine[AMOUNTS];
    amounts(r, a);
    if (r->scale == scale)
        return;
    bool fits = scale < STORE_ROLL_FLOAT;
    for (size_t i = 0; i < AMOUNTS && fits; i++)
        fits = scaled(a[i]->i, scale - r->scale, &fine[i].i);
    if (!fits) {
        to_float(r);
        return;
    }
    for (size_t i = 0; i < AMOUNTS; i++)
        *a[i] = fine[i];
    r->sum *= pow10_of[scale - r->scale];
    r->scale = scale;
}

/* The value in the rollup's scale, which is made fine enough for it. */
static union store_roll_value amount_of(struct store_roll *r, struct num v)
{
    union store_roll_value a;
    uint8_t scale = v.kind == NUM_DEC ? (uint8_t)-v.exp : STORE_ROLL_FLOAT;
    if (r->count == 0)
        r->scale = scale;
    else if (scale > r->scale)
        to_scale(r, scale);
    if (r->scale != STORE_ROLL_FLOAT && !scaled(v.i, r->scale - scale, &a.i))
        to_float(r);
    if (r->scale == STORE_ROLL_FLOAT)
        a.f = num_double(v);
    return a;
}

static bool less(const struct store_roll *r, union store_roll_value a, union store_roll_value b)
{
    return r->scale == STORE_ROLL_FLOAT ? a.f < b.f : a.i < b.i;
}

/* One step of a counter. */
static void step(struct store_roll *r, union store_roll_value a, union store_roll_value b)
{
    if (less(r, b, a))
        r->resets++;
    else if (r->scale == STORE_ROLL_FLOAT)
        r->grown.f += b.f - a.f;
    else if (__builtin_sub_overflow(b.i, a.i, &b.i) ||
             __builtin_add_overflow(r->grown.i, b.i, &r->grown.i))
        r->disordered = true; /* beyond 63 bits: not known */
}

static void add_trusted(struct store_roll *r, uint32_t at_ms, union store_roll_value a)
{
    if (r->counter && at_ms < r->to_ms) {
        r->disordered = true; /* what grew is not known; the last one stays the last */
        return;
    }
    if (!r->counter)
        r->from = a;
    else
        step(r, r->to, a);
    r->counter = true;
    r->to = a;
    r->to_ms = at_ms;
}

void store_roll_add(struct store_roll *r, uint32_t at_ms, struct num v, uint32_t q, bool counter)
{
    union store_roll_value a = amount_of(r, v);
    if (r->count == 0 || less(r, a, r->min))
        r->min = a;
    if (r->count == 0 || less(r, r->max, a))
        r->max = a;
    if (r->count == 0 || at_ms < r->first_ms) {
        r->first = a;
        r->first_ms = at_ms;
    }
    if (r->count == 0 || at_ms >= r->last_ms) {
        r->last = a;
        r->last_ms = at_ms;
    }
    r->sum += r->scale == STORE_ROLL_FLOAT ? a.f : (double)a.i;
    r->count++;
    r->good += q == 0;
    if (counter && store_roll_trusts(q))
        add_trusted(r, at_ms, a);
}

void store_roll_count(struct store_roll *r, uint32_t at_ms, struct num v)
{
    add_trusted(r, at_ms, amount_of(r, v));
}

/* Both in the rollup's scale, which the second may make finer. */
static void amounts_of(struct store_roll *r, struct num a, struct num b, union store_roll_value *x,
                       union store_roll_value *y)
{
    (void)amount_of(r, a);
    *y = amount_of(r, b);
    *x = amount_of(r, a);
}

void store_roll_change(struct store_roll *r, uint32_t at_ms, struct num last, struct num first)
{
    union store_roll_value a, b;
    amounts_of(r, last, first, &a, &b);
    if (r->counter)
        step(r, r->to, a);
    else
        r->from = a;
    r->counter = true;
    r->to = b;
    r->to_ms = at_ms;
}

void store_roll_change_before(struct store_roll *r, struct num last, struct num first)
{
    union store_roll_value a, b;
    if (!r->counter)
        return;
    amounts_of(r, last, first, &a, &b);
    step(r, b, r->from);
    r->from = a;
}

/* Brings both to one scale. */
static void align(struct store_roll *a, struct store_roll *b)
{
    to_scale(a->scale < b->scale ? a : b, a->scale < b->scale ? b->scale : a->scale);
    if (a->scale != b->scale) {
        to_float(a);
        to_float(b);
    }
}

void store_roll_join(const struct store_roll *before, struct store_roll *r)
{
    struct store_roll b = *before;
    if (!b.counter || !r->counter)
        return;
    align(&b, r);
    step(r, b.to, r->from);
}

void store_roll_merge(struct store_roll *r, const struct store_roll *next)
{
    struct store_roll n = *next;
    if (n.count == 0)
        return;
    if (r->count == 0) {
        *r = n;
        return;
    }
    align(r, &n);
    if (less(r, n.min, r->min))
        r->min = n.min;
    if (less(r, r->max, n.max))
        r->max = n.max;
    r->last = n.last;
    r->sum += n.sum;
    r->count += n.count;
    r->good += n.good;
    if (!n.counter)
        return;
    if (r->counter)
        step(r, r->to, n.from);
    else
        r->from = n.from;
    if (r->scale == STORE_ROLL_FLOAT)
        r->grown.f += n.grown.f;
    else if (__builtin_add_overflow(r->grown.i, n.grown.i, &r->grown.i))
        r->disordered = true;
    r->to = n.to;
    r->resets += n.resets;
    r->disordered |= n.disordered;
    r->counter = true;
}

void store_roll_restart(struct store_roll *r)
{
    r->counter = r->disordered = false;
    r->resets = 0;
    r->grown = r->scale == STORE_ROLL_FLOAT ? (union store_roll_value){.f = 0}
                                            : (union store_roll_value){.i = 0};
}
