#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/fold_int.h"

/* ---- terms: each that is asked for, once ---------------------------------------------------- */

static bool same_number(const struct formula_number *a, const struct formula_number *b)
{
    return a->param == b->param && (a->param || num_cmp(a->value, b->value) == 0);
}

static bool same_term(const struct formula_term *a, const struct formula_term *b)
{
    bool takes_number = a->arg.param || a->arg.value.kind != NUM_NONE;
    return a->fn == b->fn && a->input == b->input && a->whole == b->whole && a->nconds == 0 &&
           b->nconds == 0 && a->norm == b->norm && a->parameter == b->parameter &&
           (!takes_number || same_number(&a->arg, &b->arg));
}

/* One comparison as ranges: what is above 3 in millionths is from 3000001 on. */
static struct fold_range range_of(enum indicator_op op, struct num v)
{
    int64_t below = rational_floor(v), above = rational_ceil(v);
    switch (op) {
    case INDICATOR_LT:
        return (struct fold_range){INT64_MIN, above == INT64_MIN ? above : above - 1};
    case INDICATOR_LE:
        return (struct fold_range){INT64_MIN, below};
    case INDICATOR_GT:
        return (struct fold_range){below == INT64_MAX ? below : below + 1, INT64_MAX};
    case INDICATOR_GE:
        return (struct fold_range){above, INT64_MAX};
    default: /* equal: nothing, where it has more than six decimals */
        return (struct fold_range){above, below};
    }
}

static unsigned slot_of(struct fold_term *t, uint8_t input)
{
    for (unsigned i = 0; i < t->ninputs; i++) {
        if (t->inputs[i] == input) {
            return i;
        }
    }
    t->inputs[t->ninputs] = input;
    return t->ninputs++;
}

static void conditions(struct fold *f, struct fold_term *t, const struct formula *x, size_t *nconds,
                       size_t *nranges)
{
    t->cond = (uint16_t)*nconds;
    t->nconds = t->t->nconds;
    for (unsigned i = 0; i < t->nconds; i++) {
        const struct formula_cond *from = &x->cond[t->t->cond + i];
        f->cond[(*nconds)++] = (struct fold_cond){.slot = (uint8_t)slot_of(t, from->input),
                                                  .negate = from->op == INDICATOR_NE,
                                                  .first = (uint16_t)*nranges,
                                                  .n = from->ncount};
        for (unsigned k = 0; k < from->ncount; k++) {
            f->range[(*nranges)++] =
                range_of((enum indicator_op)from->op, formula_number(&x->number[from->first + k]));
        }
    }
}

static enum st add_terms(struct fold *f, const struct formula *x, uint16_t **map, size_t *nconds,
                         size_t *nranges, struct err *e)
{
    if (!x) {
        return ST_OK;
    }
    *map = fold_alloc(f, x->nterms, sizeof **map);
    if (!*map) {
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
    }
    for (size_t i = 0; i < x->nterms; i++) {
        uint16_t k = 0;
        while (k < f->nterms && !same_term(f->term[k].t, &x->term[i])) {
            k++;
        }
        (*map)[i] = k;
        if (k < f->nterms) {
            continue;
        }
        struct fold_term *t = &f->term[f->nterms++];
        t->t = &x->term[i];
        t->sum = fold_alloc(f, f->slots, sizeof *t->sum);
        t->parts = fold_alloc(f, f->slots, sizeof *t->parts);
        if (!t->sum || !t->parts) {
            return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
        }
        t->least = rational_ceil(formula_number(&t->t->arg));
        conditions(f, t, x, nconds, nranges);
    }
    return ST_OK;
}

enum st fold_terms(struct fold *f, struct err *e)
{
    const struct formula *num = f->def->num, *den = f->def->den;
    size_t terms = (num ? num->nterms : 0) + (den ? den->nterms : 0);
    size_t conds = (num ? num->nconds : 0) + (den ? den->nconds : 0);
    size_t numbers = (num ? num->nnumbers : 0) + (den ? den->nnumbers : 0), nconds = 0, nranges = 0;
    f->term = fold_alloc(f, terms, sizeof *f->term);
    f->cond = fold_alloc(f, conds, sizeof *f->cond);
    f->range = fold_alloc(f, numbers, sizeof *f->range);
    if (!f->term || !f->cond || !f->range) {
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
    }
    ERR_TRY(add_terms(f, num, &f->num_term, &nconds, &nranges, e));
    return add_terms(f, den, &f->den_term, &nconds, &nranges, e);
}

/* ---- feeds: what a reading of a series has to do -------------------------------------------- */

/* Whether the term looks at each reading of that input; *slot: which of its inputs that is. */
static bool looks_at(const struct fold_term *t, unsigned input, unsigned *slot)
{
    *slot = 0;
    switch ((enum formula_fn)t->t->fn) {
    case FORMULA_COUNT_COND:
    case FORMULA_TIME_COND:
        for (*slot = 0; *slot < t->ninputs && t->inputs[*slot] != input; (*slot)++) {
        }
        return *slot < t->ninputs;
    case FORMULA_LEAST:
    case FORMULA_LARGEST:
    case FORMULA_GROWTH:
    case FORMULA_DROPS:
    case FORMULA_DROPS_VOLUME:
    case FORMULA_COLLECTIONS:
    case FORMULA_TIME:
    case FORMULA_PEAK:
        return t->t->input == input;
    default:
        return false;
    }
}

/* The device's pair for that term, made at its first series; UINT32_MAX: the device lacks one of
 * the inputs, and is never asked. */
static enum st pair_of(struct fold *f, uint16_t term, uint32_t series, uint32_t *out, struct err *e)
{
    const struct fold_term *t = &f->term[term];
    struct fold_pair *more, pair = {.term = term,
                                    .device = f->one[series].about.device,
                                    .holds_ms = INT64_MAX,
                                    .on_at = -1};
    unsigned slot;
    uint8_t seen = 0;
    *out = UINT32_MAX;
    for (uint32_t i = 0; i < f->npairs; i++) {
        if (f->pair[i].term == term && f->pair[i].device == pair.device) {
            *out = i;
            return ST_OK;
        }
    }
    for (uint32_t i = 0; i < f->nones; i++) {
        if (f->one[i].about.device == pair.device && looks_at(t, f->one[i].about.input, &slot)) {
            int64_t holds = 2 * f->one[i].about.period_ms;
            pair.holds_ms = holds < pair.holds_ms ? holds : pair.holds_ms;
            pair.nseries++;
            seen |= (uint8_t)(1u << slot);
        }
    }
    if (seen != (uint8_t)((1u << t->ninputs) - 1)) {
        return ST_OK;
    }
    pair.series = fold_alloc(f, pair.nseries, sizeof *pair.series);
    more = realloc(f->pair, (f->npairs + 1) * sizeof *more);
    f->pair = more ? more : f->pair;
    if (!pair.series || !more) {
        free(pair.series);
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
    }
    for (uint32_t i = 0, n = 0; i < f->nones; i++) {
        if (f->one[i].about.device == pair.device && looks_at(t, f->one[i].about.input, &slot)) {
            pair.series[n++] = i;
        }
    }
    f->bytes += sizeof pair;
    f->pair[f->npairs] = pair;
    *out = f->npairs++;
    return ST_OK;
}

static enum st open_feed(struct fold *f, uint32_t series, uint16_t term, unsigned slot,
                         struct fold_feed *d, struct err *e)
{
    const struct fold_term *t = &f->term[term];
    struct fold_one *s = &f->one[series];
    bool volume = t->t->fn == FORMULA_DROPS_VOLUME, peak = t->t->fn == FORMULA_PEAK;
    size_t windows = peak ? 24u * 60 / t->t->whole : 0;
    *d = (struct fold_feed){.term = term, .slot = (uint8_t)slot, .pair = UINT32_MAX};
    s->counts = s->counts || t->t->fn == FORMULA_GROWTH;
    s->falls = s->falls || volume || t->t->fn == FORMULA_DROPS || t->t->fn == FORMULA_COLLECTIONS;
    d->sum = volume || peak ? fold_alloc(f, peak ? windows : f->slots, sizeof *d->sum) : NULL;
    d->n = peak ? fold_alloc(f, windows, sizeof *d->n) : NULL;
    if ((volume || peak) && (!d->sum || (peak && !d->n))) {
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
    }
    return t->ninputs > 1 ? pair_of(f, term, series, &d->pair, e) : ST_OK;
}

enum st fold_feeds(struct fold *f, struct err *e)
{
    uint32_t n = 0;
    unsigned slot;
    for (uint32_t i = 0; i < f->nones; i++) {
        for (uint16_t k = 0; k < f->nterms; k++) {
            n += looks_at(&f->term[k], f->one[i].about.input, &slot);
        }
    }
    f->feed = fold_alloc(f, n, sizeof *f->feed);
    if (!f->feed) {
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
    }
    n = 0;
    for (uint32_t i = 0; i < f->nones; i++) {
        f->one[i].feed = n;
        for (uint16_t k = 0; k < f->nterms; k++) {
            if (looks_at(&f->term[k], f->one[i].about.input, &slot)) {
                f->nfeeds = n + 1;
                f->one[i].nfeeds++;
                ERR_TRY(open_feed(f, i, k, slot, &f->feed[n++], e));
            }
        }
    }
    return ST_OK;
}
