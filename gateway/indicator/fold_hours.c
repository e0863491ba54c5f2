#include "gateway/indicator/fold_int.h"

#define OF_8 6   /* hours that a mean of 8 needs */
#define OF_24 18 /* of a day */

static void add_int(struct fold *f, mpz_t sum, int64_t v)
{
    rational_set_int(f->z, v);
    mpz_add(sum, sum, f->z);
}

/* The mean of an input in an hour, pooled over the readings of those of its series that are
 * complete enough then; false: there is none. */
static bool hour_mean(struct fold *f, unsigned input, unsigned h, mpq_t out)
{
    int64_t from = f->first_ms + h * INDICATOR_HOUR_MS;
    uint64_t n = 0;
    mpz_t sum;
    mpz_init(sum);
    for (uint32_t i = f->from[input]; i < f->from[input + 1]; i++) {
        const struct fold_one *s = &f->one[f->order[i]];
        uint64_t due = fold_due(s, from, from + INDICATOR_HOUR_MS, f->now_ms);
        if (s->n[h] > 0 && fold_complete(f->def, due, s->n[h])) {
            add_int(f, sum, s->sum[h]);
            n += s->n[h];
        }
    }
    if (n > 0) {
        rational_set_mean(out, sum, n);
    }
    mpz_clear(sum);
    return n > 0;
}

/* f->mean[0 …] of so many hours; bit i of the answer: it is there. */
static uint32_t hour_means(struct fold *f, unsigned input, unsigned first, unsigned n)
{
    uint32_t there = 0;
    for (unsigned i = 0; i < n; i++) {
        there |= (uint32_t)hour_mean(f, input, first + i, f->mean[i]) << i;
    }
    return there;
}

/* The mean of those of hours [from, from + n) that are there; how many these are. */
static unsigned mean_of(struct fold *f, uint32_t there, unsigned from, unsigned n, mpq_t out)
{
    unsigned count = 0;
    mpq_set_ui(out, 0, 1);
    for (unsigned i = from; i < from + n; i++) {
        if (there >> i & 1) {
            mpq_add(out, out, f->mean[i]);
            count++;
        }
    }
    if (count > 0) {
        mpq_set_ui(f->q, 1, count);
        mpq_mul(out, out, f->q);
    }
    return count;
}

static bool hours_max(struct fold *f, uint32_t there, unsigned n, mpq_t out)
{
    bool any = false;
    for (unsigned i = 0; i < n; i++) {
        if (there >> i & 1 && (!any || mpq_cmp(f->mean[i], out) > 0)) {
            mpq_set(out, f->mean[i]);
            any = true;
        }
    }
    return any;
}

static bool hours8_max(struct fold *f, uint32_t there, mpq_t out)
{
    bool any = false;
    for (unsigned i = 0; i + 8 <= INDICATOR_HOURS; i++) {
        if (mean_of(f, there, i, 8, f->r) >= OF_8 && (!any || mpq_cmp(f->r, out) > 0)) {
            mpq_set(out, f->r);
            any = true;
        }
    }
    return any;
}

/* Nearest rank: the ceil(p / 100 * N)-th smallest. */
static bool percentile(struct fold *f, uint32_t there, unsigned n, struct num p, mpq_t out)
{
    unsigned order[INDICATOR_HOURS], count = 0;
    for (unsigned i = 0; i < n; i++) {
        if (there >> i & 1) {
            unsigned at = count++;
            for (; at > 0 && mpq_cmp(f->mean[order[at - 1]], f->mean[i]) > 0; at--) {
                order[at] = order[at - 1];
            }
            order[at] = i;
        }
    }
    if (count == 0) {
        return false;
    }
    rational_set_num(f->q, p);
    mpz_mul_ui(mpq_numref(f->q), mpq_numref(f->q), count);
    mpz_mul_ui(mpq_denref(f->q), mpq_denref(f->q), 100);
    mpz_cdiv_q(f->z, mpq_numref(f->q), mpq_denref(f->q));
    unsigned rank = mpz_cmp_ui(f->z, 1) < 0       ? 1
                    : mpz_cmp_ui(f->z, count) > 0 ? count
                                                  : (unsigned)mpz_get_ui(f->z);
    mpq_set(out, f->mean[order[rank - 1]]);
    return true;
}

/* Decision 1459: f->mean[11] is c1, the hour itself, f->mean[0] is c12. */
static bool nowcast(struct fold *f, uint32_t there, mpq_t out)
{
    const unsigned n = 12;
    unsigned least = n, most = n;
    mpq_t w, weight, weights;
    if ((there >> 11 & 1) + (there >> 10 & 1) + (there >> 9 & 1) < 2) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        if (there >> i & 1) {
            least = least == n || mpq_cmp(f->mean[i], f->mean[least]) < 0 ? i : least;
            most = most == n || mpq_cmp(f->mean[i], f->mean[most]) > 0 ? i : most;
        }
    }
    mpq_inits(w, weight, weights, (mpq_ptr)NULL);
    if (mpq_sgn(f->mean[most]) > 0) {
        mpq_div(w, f->mean[least], f->mean[most]);
    }
    mpq_set_ui(f->q, 1, 2);
    bool half = mpq_cmp(w, f->q) <= 0; /* then sum(0.5^i c_i), and no division by the weights */
    mpq_set(w, half ? f->q : w);
    mpq_set_ui(weight, 1, 1);
    if (half) {
        mpq_set(weight, w);
    }
    mpq_set_ui(out, 0, 1);
    for (unsigned i = n; i-- > 0;) {
        if (there >> i & 1) {
            mpq_mul(f->q, weight, f->mean[i]);
            mpq_add(out, out, f->q);
            mpq_add(weights, weights, weight);
        }
        mpq_mul(weight, weight, w);
    }
    if (!half) {
        mpq_div(out, out, weights);
    }
    mpq_clears(w, weight, weights, (mpq_ptr)NULL);
    return true;
}

/* Windows of 1, 8 or 24 hours that have a mean, or those of them whose mean is above the limit. */
static enum fold_reason windows(struct fold *f, const struct formula_term *t, uint32_t there,
                                const struct fold_span *p, mpq_t out)
{
    bool exceed = t->fn == FORMULA_EXCEED;
    unsigned count = 0, needs = t->whole == 8 ? OF_8 : t->whole == 24 ? OF_24 : 1;
    const struct indicator_limit *limit = NULL;
    char window[8];
    if (exceed) {
        (void)snprintf(window, sizeof window, "%uh", t->whole);
        limit = indicator_limit_on(t->norm, t->parameter, window, indicator_day_of(p->from_ms));
        if (!limit) {
            return FOLD_NORM;
        }
    }
    for (unsigned i = 0; i + t->whole <= p->nhours; i++) {
        if (mean_of(f, there, i, t->whole, f->r) >= needs) {
            rational_set_num(f->q, exceed ? limit->value : (struct num){.kind = NUM_NONE});
            count += !exceed || mpq_cmp(f->r, f->q) > 0;
        }
    }
    mpq_set_ui(out, count, 1);
    return FOLD_OK;
}

enum fold_reason fold_hours(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                            mpq_t out)
{
    const struct formula_term *x = t->t;
    bool now = x->fn == FORMULA_NOWCAST, any;
    unsigned first = now ? p->hour - FOLD_REACH_HOURS : p->hour, n = now ? 12 : p->nhours;
    uint32_t there = hour_means(f, x->input, first, n);
    switch ((enum formula_fn)x->fn) {
    case FORMULA_HOUR_MEAN:
        any = mean_of(f, there, 0, n, out) > 0;
        break;
    case FORMULA_HOUR_MAX:
        any = hours_max(f, there, n, out);
        break;
    case FORMULA_HOUR8_MAX:
        any = hours8_max(f, there, out);
        break;
    case FORMULA_PERCENTILE:
        any = percentile(f, there, n, formula_number(&x->arg), out);
        break;
    case FORMULA_NOWCAST:
        any = nowcast(f, there, out);
        break;
    default:
        return windows(f, x, there, p, out);
    }
    return any ? FOLD_OK : fold_good(f, x->input, p) > 0 ? FOLD_NO_HOURS : FOLD_MISSING;
}
