#include "gateway/indicator/fold_int.h"

/* The hour to whose bits a period's overflow goes. */
static unsigned hour_of(const struct fold *f, unsigned slot)
{
    return f->reach + slot;
}

static bool of_falls(const struct fold_term *t)
{
    return t->t->fn == FORMULA_DROPS || t->t->fn == FORMULA_DROPS_VOLUME ||
           t->t->fn == FORMULA_COLLECTIONS;
}

/* How deep the run of falls is that still goes on; 0: none, or one that is not in the slot. */
static int64_t depth(const struct fold_one *s, int slot)
{
    int64_t d = 0;
    if (!s->has || s->run_slot != slot || s->top <= s->value) {
        return 0;
    }
    return __builtin_sub_overflow(s->top, s->value, &d) ? INT64_MAX : d;
}

static void close_run(struct fold *f, struct fold_one *s)
{
    int64_t fall = s->run_slot >= 0 ? depth(s, s->run_slot) : 0;
    for (uint32_t i = 0; fall > 0 && i < s->nfeeds; i++) {
        struct fold_feed *d = &f->feed[s->feed + i];
        struct fold_term *t = &f->term[d->term];
        if (of_falls(t) && fall >= t->least) {
            unsigned slot = (unsigned)s->run_slot;
            int64_t *sum = d->sum ? &d->sum[slot] : &t->sum[slot];
            fold_add(f, s->about.input, hour_of(f, slot), sum, fall);
            t->parts[slot]++;
        }
    }
}

void fold_drops_put(struct fold *f, struct fold_one *s, int64_t v, int slot)
{
    if (slot != s->run_slot) { /* a period begins with the last reading before it */
        close_run(f, s);
        s->run_slot = slot;
        s->top = s->has ? s->value : v;
    }
    if (!s->has || v >= s->value) {
        close_run(f, s);
        s->top = v;
    }
}

/* With a run that still goes on. */
static void of_series(struct fold *f, const struct fold_term *t, const struct fold_one *s,
                      const struct fold_feed *d, const struct fold_span *p, mpq_t out,
                      int64_t *count)
{
    int64_t fall = depth(s, (int)p->slot), sum = d->sum ? d->sum[p->slot] : 0;
    if (fall > 0 && fall >= t->least) {
        fold_add(f, s->about.input, hour_of(f, p->slot), &sum, fall);
        ++*count;
    }
    rational_set_ratio(f->q, sum, RATIONAL_MILLION);
    if (d->sum) { /* percent of litres, in cubic metres */
        rational_set_num(f->r, s->about.capacity);
        mpq_mul(f->q, f->q, f->r);
        mpq_set_ui(f->r, 1, 100000);
        mpq_mul(f->q, f->q, f->r);
    }
    mpq_add(out, out, f->q);
}

enum fold_reason fold_drops(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                            mpq_t out)
{
    int64_t count = t->parts[p->slot];
    bool no_capacity = false;
    mpq_set_ui(out, 0, 1);
    if (t->t->fn == FORMULA_DROPS) {
        rational_set_ratio(out, t->sum[p->slot], RATIONAL_MILLION);
    }
    for (uint32_t i = f->from[t->t->input]; i < f->from[t->t->input + 1]; i++) {
        const struct fold_one *s = &f->one[f->order[i]];
        for (uint32_t k = 0; k < s->nfeeds; k++) {
            if (&f->term[f->feed[s->feed + k].term] == t) {
                of_series(f, t, s, &f->feed[s->feed + k], p, out, &count);
            }
        }
        no_capacity = no_capacity || s->about.capacity.kind == NUM_NONE;
    }
    if (t->t->fn == FORMULA_COLLECTIONS) {
        rational_set_ratio(out, count, 1);
        return FOLD_OK;
    }
    bool missing =
        fold_good(f, t->t->input, p) == 0 || (t->t->fn == FORMULA_DROPS_VOLUME && no_capacity);
    return missing ? FOLD_MISSING : FOLD_OK;
}
