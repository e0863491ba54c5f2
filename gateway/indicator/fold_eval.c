#include "gateway/indicator/fold_int.h"

/* ---- terms ---------------------------------------------------------------------------------- */

/* Of all readings of the period, pooled. */
static enum fold_reason mean(struct fold *f, unsigned input, const struct fold_span *p, mpq_t out)
{
    uint64_t n = fold_good(f, input, p);
    mpz_t sum;
    if (n == 0) {
        return FOLD_MISSING;
    }
    mpz_init(sum);
    for (uint32_t i = f->from[input]; i < f->from[input + 1]; i++) {
        for (unsigned h = p->hour; h < p->hour + p->nhours; h++) {
            rational_set_int(f->z, f->one[f->order[i]].sum[h]);
            mpz_add(sum, sum, f->z);
        }
    }
    rational_set_mean(out, sum, n);
    mpz_clear(sum);
    return FOLD_OK;
}

static uint64_t due(const struct fold *f, unsigned input, const struct fold_span *p)
{
    uint64_t n = 0;
    for (uint32_t i = f->from[input]; i < f->from[input + 1]; i++) {
        n += fold_due(&f->one[f->order[i]], p->from_ms, p->to_ms, f->now_ms);
    }
    return n;
}

/* What the readings were too large for, of the hours that the term looks at. */
static enum fold_reason spoilt(const struct fold *f, const struct fold_term *t,
                               const struct fold_span *p)
{
    uint64_t hours = ((UINT64_C(1) << p->nhours) - 1) << p->hour;
    if (t->t->fn == FORMULA_NOWCAST) {
        hours = UINT64_C(0xfff) << (p->hour - FOLD_REACH_HOURS);
    }
    bool large = f->large[t->t->input] & hours;
    for (unsigned i = 0; i < t->ninputs; i++) {
        large = large || f->large[t->inputs[i]] & hours;
    }
    if (t->t->fn == FORMULA_GROWTH && f->jumped[t->t->input] & hours) {
        return FOLD_COUNTER;
    }
    return large && t->t->fn != FORMULA_DUE ? FOLD_RANGE : FOLD_OK;
}

/* What counts is 0 where nothing is. */
static bool counts(const struct fold_term *t)
{
    switch ((enum formula_fn)t->t->fn) {
    case FORMULA_COUNT:
    case FORMULA_COUNT_COND:
    case FORMULA_DUE:
    case FORMULA_TIME:
    case FORMULA_TIME_COND:
    case FORMULA_COLLECTIONS:
    case FORMULA_WINDOWS:
    case FORMULA_EXCEED:
        return true;
    default:
        return false;
    }
}

static enum fold_reason of_sums(const struct fold_term *t, const struct fold_span *p, mpq_t out)
{
    rational_set_ratio(out, t->sum[p->slot], RATIONAL_MILLION);
    return t->parts[p->slot] > 0 ? FOLD_OK : FOLD_MISSING;
}

static enum fold_reason work_out(struct fold *f, const struct fold_term *t,
                                 const struct fold_span *p, mpq_t out)
{
    unsigned input = t->t->input;
    switch ((enum formula_fn)t->t->fn) {
    case FORMULA_COUNT:
        rational_set_ratio(out, (int64_t)fold_good(f, input, p), 1);
        return FOLD_OK;
    case FORMULA_COUNT_COND:
        rational_set_ratio(out, t->sum[p->slot] + (t->ninputs > 1 ? fold_pair_rest(f, t, p) : 0),
                           1);
        return FOLD_OK;
    case FORMULA_DUE:
        rational_set_ratio(out, (int64_t)due(f, input, p), 1);
        return FOLD_OK;
    case FORMULA_MEAN:
        return mean(f, input, p, out);
    case FORMULA_LEAST:
    case FORMULA_LARGEST:
    case FORMULA_GROWTH:
        return of_sums(t, p, out);
    case FORMULA_DROPS:
    case FORMULA_DROPS_VOLUME:
    case FORMULA_COLLECTIONS:
        return fold_drops(f, t, p, out);
    case FORMULA_TIME:
    case FORMULA_TIME_COND:
        return fold_time(f, t, p, out);
    case FORMULA_PEAK:
        return fold_peak(f, t, p, out);
    default:
        return fold_hours(f, t, p, out);
    }
}

/* Which inputs have brought a value: for what counts, a reading; for what is due, that something is
 * (that nothing came is then the figure). */
static void note(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                 enum fold_reason why, const mpq_t v)
{
    if (!counts(t) || t->t->fn == FORMULA_DUE) {
        bool yes = why == FOLD_OK && (!counts(t) || mpq_sgn(v) > 0);
        f->brought |= yes ? UINT32_C(1) << t->t->input : 0;
        return;
    }
    for (unsigned i = 0; i < (t->ninputs > 0 ? t->ninputs : 1u); i++) {
        unsigned input = t->ninputs > 0 ? t->inputs[i] : t->t->input;
        if (fold_good(f, input, p) > 0) {
            f->brought |= UINT32_C(1) << input;
        }
    }
}

static enum fold_reason term(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                             mpq_t out)
{
    enum fold_reason why = work_out(f, t, p, out), bad = spoilt(f, t, p);
    note(f, t, p, why, out);
    return bad != FOLD_OK ? bad : why;
}

/* ---- arithmetic ----------------------------------------------------------------------------- */

/* Between two rows with c between them; before the first and beyond the last their own index. */
static void interpolate(struct fold *f, const struct formula_table *t, const mpq_t c, mpq_t out)
{
    rational_set_num(out, t->index[0]);
    for (size_t i = 0; i < t->rows; i++) {
        rational_set_num(f->q, t->bp[i]);
        if (mpq_cmp(c, f->q) < 0) {
            return; /* before the first */
        }
        if (i + 1 == t->rows) {
            break;
        }
        rational_set_num(f->r, t->bp[i + 1]);
        if (mpq_cmp(f->q, f->r) < 0 && mpq_cmp(c, f->r) <= 0) {
            mpq_sub(f->r, f->r, f->q);
            mpq_sub(f->q, c, f->q);
            mpq_div(f->q, f->q, f->r); /* how far between the rows */
            rational_set_num(out, t->index[i]);
            rational_set_num(f->r, t->index[i + 1]);
            mpq_sub(f->r, f->r, out);
            mpq_mul(f->q, f->q, f->r);
            mpq_add(out, out, f->q);
            return;
        }
    }
    rational_set_num(out, t->index[t->rows - 1]);
}

static enum fold_reason root(const mpq_t v, unsigned n, mpq_t out)
{
    if (mpq_sgn(v) < 0) {
        return FOLD_RANGE;
    }
    rational_root(out, v, n);
    return FOLD_OK;
}

/* max_of and its like: of the arguments that have a value. */
static enum fold_reason of_many(struct fold *f, const struct formula *x,
                                const struct formula_node *n, mpq_t out)
{
    enum fold_reason why = FOLD_OK, none = FOLD_MISSING;
    unsigned long count = 0;
    for (uint16_t c = n->child; c != FORMULA_NONE; c = x->node[c].next) {
        if (f->why[c] != FOLD_OK) {
            why = fold_fatal(f->why[c]) ? fold_worse(why, f->why[c]) : why;
            none = f->why[c] == FOLD_NO_HOURS ? FOLD_NO_HOURS : none;
            continue;
        }
        int order = count > 0 ? mpq_cmp(f->node[c], out) : 0;
        if (count++ == 0 || (n->kind == FORMULA_MAX_OF && order > 0) ||
            (n->kind == FORMULA_MIN_OF && order < 0)) {
            mpq_set(out, f->node[c]);
        } else if (n->kind == FORMULA_SUM_OF || n->kind == FORMULA_MEAN_OF) {
            mpq_add(out, out, f->node[c]);
        } else if (n->kind == FORMULA_PRODUCT_OF) {
            mpq_mul(out, out, f->node[c]);
        }
        if (!rational_fits(out)) {
            return FOLD_RANGE;
        }
    }
    if (n->kind == FORMULA_MEAN_OF && count > 0) {
        mpq_set_ui(f->q, 1, count);
        mpq_mul(out, out, f->q);
    }
    return why != FOLD_OK ? why : count == 0 ? none : FOLD_OK;
}

static enum fold_reason choose(struct fold *f, const struct formula *x,
                               const struct formula_node *n, mpq_t out)
{
    uint16_t left = n->child, right = x->node[left].next, a = x->node[right].next;
    enum fold_reason why = fold_worse(f->why[left], f->why[right]);
    if (why != FOLD_OK) {
        return why;
    }
    int c = mpq_cmp(f->node[left], f->node[right]);
    enum indicator_op op = (enum indicator_op)n->small;
    bool yes = indicator_holds(c, op);
    uint16_t of = yes ? a : x->node[a].next;
    mpq_set(out, f->node[of]);
    return f->why[of];
}

/* Of the values of its arguments, which all have one. */
static enum fold_reason calculate(struct fold *f, const struct formula *x,
                                  const struct formula_node *n, mpq_t out)
{
    const mpq_t *a = &f->node[n->child];
    const mpq_t *b = x->node[n->child].next != FORMULA_NONE ? &f->node[x->node[n->child].next] : a;
    switch ((enum formula_kind)n->kind) {
    case FORMULA_NEG:
        mpq_neg(out, *a);
        break;
    case FORMULA_ADD:
        mpq_add(out, *a, *b);
        break;
    case FORMULA_SUB:
        mpq_sub(out, *a, *b);
        break;
    case FORMULA_MUL:
        mpq_mul(out, *a, *b);
        break;
    case FORMULA_DIV:
        if (mpq_sgn(*b) == 0) {
            return FOLD_DIVISION;
        }
        mpq_div(out, *a, *b);
        break;
    case FORMULA_TABLE:
        interpolate(f, &x->table[n->at], *a, out);
        break;
    case FORMULA_ROOT:
        return root(*a, n->small, out);
    case FORMULA_ABS:
        mpq_abs(out, *a);
        break;
    case FORMULA_ROUND:
        mpq_set(out, *a);
        rational_round_to(out, n->small);
        break;
    default: /* number(e) */
        mpq_set(out, *a);
        break;
    }
    return FOLD_OK;
}

static enum fold_reason evaluate(struct fold *f, const struct formula *x, const uint16_t *terms,
                                 const struct formula_node *n, const struct fold_span *p, mpq_t out)
{
    enum fold_reason why = FOLD_OK;
    switch ((enum formula_kind)n->kind) {
    case FORMULA_NUMBER:
        rational_set_num(out, formula_number(&x->number[n->at]));
        return FOLD_OK;
    case FORMULA_TERM:
        return term(f, &f->term[terms[n->at]], p, out);
    case FORMULA_MAX_OF:
    case FORMULA_MIN_OF:
    case FORMULA_SUM_OF:
    case FORMULA_MEAN_OF:
    case FORMULA_PRODUCT_OF:
        return of_many(f, x, n, out);
    case FORMULA_IF:
        return choose(f, x, n, out);
    default:
        for (uint16_t c = n->child; c != FORMULA_NONE; c = x->node[c].next) {
            why = fold_worse(why, f->why[c]);
        }
        return why != FOLD_OK ? why : calculate(f, x, n, out);
    }
}

enum fold_reason fold_eval(struct fold *f, const struct formula *x, const uint16_t *terms,
                           const struct fold_span *p, mpq_t out)
{
    /* a node stands behind its arguments, so that no recursion is needed */
    for (size_t i = 0; i < x->nnodes; i++) {
        f->why[i] = evaluate(f, x, terms, &x->node[i], p, f->node[i]);
        if (f->why[i] == FOLD_OK && !rational_fits(f->node[i])) {
            f->why[i] = FOLD_RANGE;
        }
    }
    mpq_set(out, f->node[x->root]);
    return f->why[x->root];
}
