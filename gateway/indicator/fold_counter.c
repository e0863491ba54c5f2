#include "gateway/indicator/fold_int.h"

/* most in an hour, over at least an hour; INT64_MAX: whatever. */
static int64_t allowed(int64_t most, int64_t ms)
{
    int64_t whole = most / INDICATOR_HOUR_MS, rest = most % INDICATOR_HOUR_MS, a, b;
    if (most == 0) {
        return INT64_MAX;
    }
    if (ms <= INDICATOR_HOUR_MS) {
        return most;
    }
    if (__builtin_mul_overflow(whole, ms, &a) || __builtin_mul_overflow(rest, ms, &b) ||
        __builtin_add_overflow(a, b / INDICATOR_HOUR_MS, &a)) {
        return INT64_MAX;
    }
    return a;
}

/* How far a meter went from `from` to `to`; a step back starts anew. */
static bool rise(int64_t from, int64_t to, int64_t *sum)
{
    int64_t d = 0;
    return to <= from ||
           (!__builtin_sub_overflow(to, from, &d) && !__builtin_add_overflow(*sum, d, sum));
}

/* From the last good reading to v at t_ms, over the changes of the meter between them. */
static bool step(struct fold *f, struct fold_one *s, int64_t t_ms, int64_t v, int64_t *sum)
{
    int64_t from = s->value, at = 0;
    bool known = true, fits = true;
    *sum = 0;
    for (; s->meter < s->meters && f->meter[s->meter].at_ms <= t_ms; s->meter++) {
        const struct fold_meter *m = &f->meter[s->meter];
        if (!s->has || m->at_ms <= s->good_ms) {
            continue; /* the last reading is of the new meter already */
        }
        if (known && rational_millionths(m->last, &at)) {
            fits = rise(from, at, sum) && fits;
        }
        known = rational_millionths(m->first, &from);
    }
    return known ? rise(from, v, sum) && fits : fits;
}

void fold_counter_put(struct fold *f, struct fold_one *s, int64_t t_ms, int64_t v, bool count)
{
    int64_t d;
    bool fits = step(f, s, t_ms, v, &d);
    if (!count) {
        return;
    }
    if (s->base_hour != (int64_t)s->hour) {
        s->base_hour = s->hour;
        s->base_ms = s->has ? s->good_ms : t_ms;
        s->grown = 0;
    }
    if (!s->has) {
        return;
    }
    uint64_t bit = UINT64_C(1) << s->hour;
    if (!fits || __builtin_add_overflow(s->grown, d, &s->grown)) {
        f->large[s->about.input] |= bit;
        return;
    }
    if (s->grown > allowed(s->most, t_ms - s->base_ms)) {
        f->jumped[s->about.input] |= bit;
    }
    for (uint32_t i = 0; i < s->nfeeds; i++) {
        struct fold_term *t = &f->term[f->feed[s->feed + i].term];
        if (t->t->fn == FORMULA_GROWTH) {
            unsigned slot = fold_slot(f, s->hour);
            fold_add(f, s->about.input, s->hour, &t->sum[slot], d);
            t->parts[slot]++;
        }
    }
}
